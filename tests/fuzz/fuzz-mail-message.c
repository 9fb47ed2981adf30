/* SPDX-License-Identifier: Apache-2.0 */
/* Whole messages from outside, with nobody to trust: they are never good, and nothing is written that was not asked for. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "mail/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct mail_keys keys;
        struct mail_options options = {.now = 1800000000, .decrypt_too = true, .verify_too = true, .with_header = true};
        struct mail_report report;
        int fd = memfd_create("message", 0);

        if (fd < 0 || fd_write_all(fd, data, size) != 0)
                abort();
        lseek(fd, 0, SEEK_SET);
        if (mail_verify(fd, -1, &keys, &options, &report) == 0 || report.worst == PROBLEM_NONE)
                abort();
        mail_report_done(&report);
        lseek(fd, 0, SEEK_SET);
        if (mail_decrypt(fd, -1, &keys, &options, &report) == 0)
                abort();
        mail_report_done(&report);
        close(fd);
        return 0;
}
