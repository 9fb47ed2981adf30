/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/fault.h"
#include "base/text.h"

int64_t clock_now(void)
{
        return (int64_t)time(NULL);
}

uint64_t clock_monotonic_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

enum { DAY = 86400 };

/* Days since 1970-01-01 of a Gregorian date; years start in March, so that the leap day comes last. */
static int64_t days_from_date(int64_t year, int month, int day)
{
        int64_t era, year_of_era, day_of_year;

        year -= month <= 2;
        era = (year >= 0 ? year : year - 399) / 400;
        year_of_era = year - era * 400;
        day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
        return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

struct calendar calendar_of(int64_t instant)
{
        int64_t days = instant / DAY - (instant % DAY < 0), rest = instant - days * DAY;
        int64_t shifted = days + 719468, era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
        int64_t day_of_era = shifted - era * 146097;
        int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
        int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        int64_t shifted_month = (5 * day_of_year + 2) / 153;
        int month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);

        return (struct calendar){
                .year = (int)(year_of_era + era * 400 + (month <= 2)),
                .month = month,
                .day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1),
                .hour = (int)(rest / 3600),
                .minute = (int)(rest / 60 % 60),
                .second = (int)(rest % 60),
        };
}

int calendar_instant(const struct calendar *calendar, int64_t *ret_instant)
{
        static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        const struct calendar *c = calendar;
        bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;

        if (c->year < 0 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 ||
            c->day > days[c->month - 1] || (c->month == 2 && c->day == 29 && !leap) || c->hour < 0 || c->hour > 23 ||
            c->minute < 0 || c->minute > 59 || c->second < 0 || c->second > 59)
                return refuse(PROBLEM_MALFORMED, "There is no such date or time.");
        *ret_instant = days_from_date(c->year, c->month, c->day) * DAY + c->hour * 3600 + c->minute * 60 + c->second;
        return 0;
}

const char *time_text(int64_t instant, char text[static TIME_TEXT_SIZE])
{
        struct calendar c = calendar_of(instant);

        snprintf(text, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year % 10000, c.month, c.day, c.hour,
                 c.minute, c.second);
        return text;
}

static bool digits(const uint8_t *at, int count, int *ret_value)
{
        int value = 0;

        for (int i = 0; i < count; i++) {
                if (at[i] < '0' || at[i] > '9')
                        return false;
                value = value * 10 + (at[i] - '0');
        }
        *ret_value = value;
        return true;
}

int time_parse(struct bytes text, int64_t *ret_instant)
{
        struct calendar c;
        const uint8_t *t = text.data;

        if (text.len != 20 || t[4] != '-' || t[7] != '-' || t[10] != 'T' || t[13] != ':' || t[16] != ':' ||
            t[19] != 'Z' || !digits(t, 4, &c.year) || !digits(t + 5, 2, &c.month) || !digits(t + 8, 2, &c.day) ||
            !digits(t + 11, 2, &c.hour) || !digits(t + 14, 2, &c.minute) || !digits(t + 17, 2, &c.second))
                return refuse(PROBLEM_MALFORMED, "A time is written as 2026-11-23T02:51:30Z.");
        return PASS(calendar_instant(&c, ret_instant));
}

int duration_parse(struct bytes text, int64_t *ret_seconds)
{
        static const struct {
                const char *unit;
                int64_t seconds;
        } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", DAY}, {"w", 7 * DAY}, {"mo", 30 * DAY}, {"y", 365 * DAY}};
        size_t number = 0;
        uint64_t count;

        while (number < text.len && text.data[number] >= '0' && text.data[number] <= '9')
                number++;
        for (size_t i = 0; i < ARRAY_LEN(units); i++) {
                if (!bytes_equal(bytes_of(text.data + number, text.len - number), bytes_text(units[i].unit)))
                        continue;
                if (number_parse(bytes_of(text.data, number), (uint64_t)(1000LL * 365 * DAY / units[i].seconds), &count))
                        break;
                *ret_seconds = (int64_t)count * units[i].seconds;
                return 0;
        }
        return refuse(PROBLEM_MALFORMED, "A duration is a number and one of s, m, h, d, w, mo, y, as in 30d.");
}

const char *duration_text(int64_t seconds, char text[static TIME_TEXT_SIZE])
{
        static const struct {
                char unit;
                int64_t seconds;
        } units[] = {{'d', DAY}, {'h', 3600}, {'m', 60}, {'s', 1}};
        size_t i = 0;

        while (seconds % units[i].seconds)
                i++;
        snprintf(text, TIME_TEXT_SIZE, "%lld%c", (long long)(seconds / units[i].seconds), units[i].unit);
        return text;
}
