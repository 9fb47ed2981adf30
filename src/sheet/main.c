/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe-sheet: draws sheets with tokens. Started by vouchsafe, with a connection on descriptor 3; answers one sheet_print with
 * sheet_printed, and ends. */
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "sheet/sheet.h"
#include "wire/control.h"

enum { SHEETS_FRAME = 16 << 20 };

static struct loop loop;

static int print(struct bytes payload, struct msg_sheet_printed *ret_printed)
{
        MSG_OWN(sheet_print) ask = {0};

        TRY(msg_decode(sheet_print, payload, &ask));
        if (strcmp(msg_text(ask.form), "pdf") == 0)
                return PASS(sheet_pdf(&ask, &ret_printed->file));
        if (strcmp(msg_text(ask.form), "text") == 0)
                return PASS(sheet_text(&ask, &ret_printed->file));
        return refuse(PROBLEM_UNSUPPORTED, "Sheets are printed as pdf or text, not as \"%s\".", msg_text(ask.form));
}

static int received(void *context, struct channel *channel, struct channel_message *message)
{
        MSG_OWN(sheet_printed) printed = {0};
        MSG_OWN(problem) problem = {0};
        CLEANUP(buf_wipe) struct buf encoded = BUF_NONE;
        int r;

        if (message->kind != MSG_sheet_print || !message->id)
                return refuse(PROBLEM_MALFORMED, "A message of kind %u came in place of sheet_print.", message->kind);
        loop_stop(&loop);
        r = print(message->payload, &printed);
        if (!r) {
                TRY(msg_encode(sheet_printed, &printed, &encoded));
                buf_wipe(&printed.file);
                return PASS(channel_reply(channel, message->id, MSG_sheet_printed, buf_view(&encoded)));
        }
        problem.code = text_copy(r > 0 ? problem_info(r)->code : "fault");
        problem.detail = text_copy(report_text());
        TRY(msg_encode(problem, &problem, &encoded));
        return PASS(channel_reply(channel, message->id, MSG_problem, buf_view(&encoded)));
}

static int closed(void *context, struct channel *channel, int result)
{
        loop_stop(&loop);
        return 0;
}

static const struct channel_handler handler = {.received = received, .closed = closed, .frame_limit = SHEETS_FRAME};

static int serve(void)
{
        CLEANUP(channel_unrefp) struct channel *channel = NULL;
        int r;

        TRY(sandbox_hide());
        TRY(loop_init(&loop));
        TRY(channel_new(&loop, CONTROL_FD, &handler, NULL, &channel));
        r = loop_run(&loop);
        channel_close(channel);
        channel_unref(TAKE(channel));
        loop_done(&loop);
        return PASS(r);
}

int main(int argc, char **argv)
{
        int r;

        log_setup("vouchsafe-sheet", LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
        if (argc > 1) {
                fprintf(stderr, "%s is started by vouchsafe.\n", argv[0]);
                return problem_info(PROBLEM_USAGE)->exit_code;
        }
        r = serve();
        if (r)
                log_report(r, "no sheets");
        return result_exit_code(r);
}
