/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"

/* Findings about mail by their exit code; what stopped the reading is only less bad than an alteration or a deception. */
static int severity(int problem)
{
        int code = problem_info(problem)->exit_code;

        if (problem == PROBLEM_NONE)
                return 0;
        if (problem < PROBLEM_MAIL_WEAK)
                return 2 * problem_info(PROBLEM_MAIL_DECEPTIVE)->exit_code - 1;
        return 2 * code;
}

bool problem_is_worse(int a, int b)
{
        return severity(a) > severity(b);
}

static void finding_put(struct mail_report *report, int problem, unsigned layer, const char *sentence)
{
        CLEANUP(buf_done) struct buf shown = BUF_NONE;

        text_add_printable(&shown, bytes_text(sentence), 1000);
        report->findings = mem_resize(report->findings, report->finding_count + 1, sizeof(*report->findings));
        report->findings[report->finding_count++] =
                (struct mail_finding){(enum problem)problem, layer, text_copy(buf_text(&shown))};
        if (problem_is_worse(problem, report->worst))
                report->worst = problem;
}

void finding_add(struct mail_report *report, int problem, unsigned layer, const char *format, ...)
{
        char sentence[1024];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(sentence, sizeof(sentence), format, arguments);
        va_end(arguments);
        finding_put(report, problem, layer, sentence);
}

int finding_add_result(struct mail_report *report, unsigned layer, int result)
{
        if (result < 0)
                return PASS(result);
        if (result > 0)
                finding_put(report, result, layer, report_text());
        return 0;
}

void findings_forget(struct mail_report *report, unsigned layer)
{
        size_t kept = 0;

        report->worst = PROBLEM_NONE;
        for (size_t i = 0; i < report->finding_count; i++) {
                struct mail_finding finding = report->findings[i];

                if (finding.layer > layer) {
                        free(finding.sentence);
                        continue;
                }
                report->findings[kept++] = finding;
                if (problem_is_worse(finding.problem, report->worst))
                        report->worst = finding.problem;
        }
        report->finding_count = kept;
        kept = 0;
        for (size_t i = 0; i < report->signer_count; i++)
                if (report->signers[i].layer <= layer)
                        report->signers[kept++] = report->signers[i];
                else
                        certificate_done(&report->signers[i].certificate);
        report->signer_count = kept;
}

int mail_report_result(const struct mail_report *report)
{
        if (report->worst == PROBLEM_NONE)
                return 0;
        for (size_t i = 0; i < report->finding_count; i++)
                if ((int)report->findings[i].problem == report->worst)
                        return refuse(report->worst, "%s", report->findings[i].sentence);
        return refuse(report->worst, "%s.", problem_info(report->worst)->title);
}

void mail_report_done(struct mail_report *report)
{
        for (size_t i = 0; i < report->finding_count; i++)
                free(report->findings[i].sentence);
        free(report->findings);
        for (size_t i = 0; i < report->signer_count; i++)
                certificate_done(&report->signers[i].certificate);
        free(report->signers);
        cert_list_done(&report->certificates);
        *report = (struct mail_report){0};
}
