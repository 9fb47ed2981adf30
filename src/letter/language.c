/* SPDX-License-Identifier: Apache-2.0 */
/* What differs by language besides the templates: dates. */
#include <string.h>
#include <time.h>

#include "letter/letter.h"

enum { TAG_MOST = 35 };

void language_add(struct buf *out, const char *tag)
{
        for (size_t i = 0; tag && tag[i]; i++) {
                char c = tag[i] == '_' ? '-' : tag[i];
                bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

                if (i == TAG_MOST || (!letter && (c != '-' || !i))) {
                        buf_clear(out); /* it becomes part of a path: nothing else may pass */
                        return;
                }
                buf_add_byte(out, (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c));
        }
}

static const struct {
        const char *language, *day_end;
        const char *months[12];
} languages[] = {
        {"en", "",
         {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December"}},
        {"de", ".",
         {"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
          "Dezember"}},
};

void letter_date_add(struct buf *out, int64_t time, const char *language)
{
        time_t seconds = (time_t)time;
        struct tm local;

        localtime_r(&seconds, &local);
        for (size_t i = 0; i < sizeof(languages) / sizeof(*languages); i++) {
                if (strncmp(language, languages[i].language, 2) != 0 || (language[2] && language[2] != '-'))
                        continue;
                buf_add_format(out, "%d%s %s %d, %02d:%02d %s", local.tm_mday, languages[i].day_end,
                               languages[i].months[local.tm_mon], local.tm_year + 1900, local.tm_hour, local.tm_min,
                               local.tm_zone);
                return;
        }
        buf_add_format(out, "%04d-%02d-%02d %02d:%02d %s", local.tm_year + 1900, local.tm_mon + 1, local.tm_mday,
                       local.tm_hour, local.tm_min, local.tm_zone);
}
