/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Findings as they are collected (mail.h has what callers see). */
#include "base/fault.h"
#include "mail/mail.h"

void finding_add(struct mail_report *report, int problem, unsigned layer, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A positive result of a callee as a finding, with its sentence; faults are returned. */
int finding_add_result(struct mail_report *report, unsigned layer, int result) must_check;
/* Drop the findings and signers of layers deeper than `layer`: they were read from something that turned out to be altered. */
void findings_forget(struct mail_report *report, unsigned layer);
/* Is problem a worse than b? */
bool problem_is_worse(int a, int b);
/* What mail_…() returns: 0, or the worst problem with its sentence as the report. */
int mail_report_result(const struct mail_report *report) must_check;
