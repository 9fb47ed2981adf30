/* SPDX-License-Identifier: Apache-2.0 */
/* mail_decrypt() and mail_verify(). */
#include "base/clock.h"
#include "mail/reading.h"

static void reading_done(struct reading *reading)
{
        identity_done(&reading->identity);
        spool_done(&reading->output);
}

/* Findings after which nothing is given out: what is there is not what somebody sent, or was not reached. */
static bool is_withheld(const struct mail_report *report)
{
        for (size_t i = 0; i < report->finding_count; i++) {
                int problem = report->findings[i].problem;

                if (problem == PROBLEM_MAIL_ALTERED || problem == PROBLEM_MAIL_DECEPTIVE)
                        return true;
                if (problem == PROBLEM_MAIL_NO_KEY && report->findings[i].layer == 0)
                        return true;
        }
        return false;
}

static int give_out(struct reading *reading, int output)
{
        CLEANUP(fd_sink_done) struct fd_sink out;

        fd_sink_init(&out, output);
        TRY(spool_replay(&reading->output, &out.sink));
        TRY(sink_finish(&out.sink));
        reading->report->written = true;
        return 0;
}

static void lack_add(struct mail_report *report, int problem, const char *sentence)
{
        if (problem_is_worse(problem, report->worst))
                finding_add(report, problem, 0, "%s", sentence);
}

static const char other_sentence[] = "The message is S/MIME, but neither signed nor encrypted: it brings only certificates, or is compressed.";

/* What was asked for and is not there: nothing is given out without it. */
static bool lacks_layers(struct reading *reading, bool needs_encryption)
{
        struct mail_report *report = reading->report;

        if (needs_encryption && report->encrypted_layers == 0) {
                lack_add(report, PROBLEM_MAIL_UNENCRYPTED,
                         reading->outside == OUTSIDE_SIGNED  ? "The message is signed, but it is not encrypted on the outside."
                         : reading->outside == OUTSIDE_OTHER ? other_sentence
                                                             : "The message is not encrypted.");
                return true;
        }
        if (reading->verifies && report->signed_layers == 0) {
                lack_add(report, PROBLEM_MAIL_UNSIGNED,
                         reading->outside == OUTSIDE_OTHER ? other_sentence
                         : reading->outside == OUTSIDE_ENCRYPTED && !reading->decrypts
                                 ? "The message is encrypted, not signed on the outside; decrypt it first."
                                 : "The message is not signed.");
                return !needs_encryption;
        }
        return false;
}

/* RFC 8551 3.7: anybody can put his signature around what somebody else encrypted, and need not be able to read it. */
static void signed_outside_judge(struct reading *reading)
{
        if (reading->signed_depth > 0 && reading->sealed_depth > reading->signed_depth)
                finding_add(reading->report, PROBLEM_MAIL_UNSIGNED, reading->sealed_depth - 1,
                            "What was encrypted is not signed inside, only around the encryption: whoever signed need not have written it.");
}

static int message_open(struct reading *reading, int input, int output, bool needs_encryption)
{
        struct mail_report *report = reading->report;
        CLEANUP(layer_freep) struct layer *layer = NULL;
        bool lacks;
        int result;

        *report = (struct mail_report){0};
        reading->now = reading->options->now ? reading->options->now : clock_now();
        reading->layers_left = reading->options->layers ? MIN(reading->options->layers, (unsigned)LAYERS_MOST) : LAYERS_MOST;
        spool_init(&reading->output, reading->options->spool_folder);
        if (output < 0)
                spool_drop(&reading->output);
        layer = layer_new(reading, 0, LAYER_MESSAGE, false);
        result = stream_pump(input, &layer->sink);
        if (result == PROBLEM_MAIL_ALTERED)
                findings_forget(report, 0);
        TRY(finding_add_result(report, result == PROBLEM_MAIL_ALTERED ? 0 : reading->failed_layer, result));
        signed_outside_judge(reading);
        lacks = lacks_layers(reading, needs_encryption);
        if (result == 0 && !lacks && !is_withheld(report) && output >= 0)
                TRY(give_out(reading, output));
        return mail_report_result(report);
}

int mail_decrypt(int input, int output, const struct mail_keys *keys, const struct mail_options *options, struct mail_report *report)
{
        CLEANUP(reading_done) struct reading reading = {
                .keys = keys,
                .options = options,
                .report = report,
                .decrypts = true,
                .verifies = options->verify_too,
                .with_header = !options->entity_only,
        };

        return PASS(message_open(&reading, input, output, true));
}

int mail_verify(int input, int output, const struct mail_keys *keys, const struct mail_options *options, struct mail_report *report)
{
        CLEANUP(reading_done) struct reading reading = {
                .keys = keys,
                .options = options,
                .report = report,
                .decrypts = options->decrypt_too,
                .verifies = true,
                .with_header = options->with_header,
        };

        return PASS(message_open(&reading, input, output, false));
}
