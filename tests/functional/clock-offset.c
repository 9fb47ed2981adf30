/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded by test_clock.py: the wall clock of a process is off by so many seconds as the file $VOUCHSAFE_TEST_CLOCK says, eight bytes. The file is
 * mapped before the process confines itself and can open none; that is what libfaketime cannot do.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset; /* NULL in constructors of libraries that come before ours */

__attribute__((constructor)) static void start(void)
{
        const char *path = getenv("VOUCHSAFE_TEST_CLOCK");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

        if (fd < 0)
                abort();
        offset = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
        if (offset == MAP_FAILED)
                abort();
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
        int r = (int)syscall(SYS_clock_gettime, clock, ret_time);

        if (r == 0 && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
                ret_time->tv_sec += *offset;
        return r;
}

time_t time(time_t *ret_time)
{
        struct timespec now = {0};

        clock_gettime(CLOCK_REALTIME, &now);
        if (ret_time)
                *ret_time = now.tv_sec;
        return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
        struct timespec now = {0};

        clock_gettime(CLOCK_REALTIME, &now);
        *ret_time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
        return 0;
}
