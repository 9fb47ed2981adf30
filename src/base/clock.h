/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Time. Instants are seconds since 1970 UTC (int64_t), durations are seconds unless a name says otherwise. No function here
 * depends on locale or zone. Certificates reach past 2038 and 2050; so do these.
 */
#include "base/buf.h"

int64_t clock_now(void);          /* the wall clock; can be set back by an administrator */
uint64_t clock_monotonic_ms(void); /* for deadlines and intervals */

/* Broken-down UTC, proleptic Gregorian. */
struct calendar {
        int year, month, day, hour, minute, second;
};
struct calendar calendar_of(int64_t instant);
/* PROBLEM_MALFORMED when the date does not exist. */
int calendar_instant(const struct calendar *calendar, int64_t *ret_instant) must_check;

#define TIME_TEXT_SIZE 32
/* RFC 3339 in UTC: "2026-11-23T02:51:30Z". */
const char *time_text(int64_t instant, char text[static TIME_TEXT_SIZE]);
int time_parse(struct bytes text, int64_t *ret_instant) must_check;
/* "90s" "15m" "24h" "30d" "18mo" (of 30 days) "2y" (of 365 days): a duration of the configuration. */
int duration_parse(struct bytes text, int64_t *ret_seconds) must_check;
/* The same the other way, in days at the most: "30d", "90s". */
const char *duration_text(int64_t seconds, char text[static TIME_TEXT_SIZE]);
