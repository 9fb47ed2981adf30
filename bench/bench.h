/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Clocks of the benchmarks. What one process computes is measured by its processor time, the best of several runs: other
 * work on the machine then makes the figures little worse.
 */
#include <time.h>

static inline double seconds_now(clockid_t clock)
{
        struct timespec now;

        clock_gettime(clock, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline double cpu_now(void)
{
        return seconds_now(CLOCK_PROCESS_CPUTIME_ID);
}

enum { RATE_RUNS = 3 };
#define RATE_SECONDS 0.2

/* Calls in a second of processor time, each of them `each` things. */
static inline double rate(void (*run)(void), double each)
{
        double best = 0;

        for (int i = 0; i < RATE_RUNS; i++) {
                double start = cpu_now(), count = 0, seconds;

                do {
                        run();
                        count++;
                        seconds = cpu_now() - start;
                } while (seconds < RATE_SECONDS);
                best = best > count / seconds ? best : count / seconds;
        }
        return best * each;
}
