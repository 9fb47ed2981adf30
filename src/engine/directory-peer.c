/* SPDX-License-Identifier: Apache-2.0 */
/* The process that follows the directory: its connection, and the questions that it is asked for requests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine.h"

/* ---- questions */

static void question_end(struct request *request)
{
        if (list_empty(&request->question.link))
                return;
        list_remove(&request->question.link);
        request->engine->directory.question_count--;
}

void directory_question_cancel(struct request *request)
{
        channel_call_cancel(&request->question.wire);
        question_end(request);
}

static int answer_check(const struct directory_question *question, const struct channel_message *reply)
{
        if (reply->kind == question->reply)
                return 0;
        if (reply->kind == MSG_problem)
                return PASS(peer_problem("the process that follows the directory", reply->payload));
        return fault(EPROTO, "the process that follows the directory answered with kind %u in place of %u",
                     reply->kind, question->reply);
}

static void question_answered(void *context, int result, struct channel_message *reply)
{
        struct request *request = context;
        int r = result ? refuse(PROBLEM_UNREACHABLE,
                                "The process that asks the directory was lost over this; repeat the request.")
                       : answer_check(&request->question, reply);

        question_end(request);
        request_continue(request, r, r ? BYTES_NONE : reply->payload);
}

static int question_ready(struct engine *engine)
{
        struct directory *directory = &engine->directory;

        if (!engine->config.directory_ldap)
                return refuse(PROBLEM_UNSUPPORTED,
                              "This server keeps its own address book and has no directory to ask; that takes "
                              "[directory] kind = ldap in its configuration.");
        if (!directory->channel || !channel_is_open(directory->channel))
                return refuse(PROBLEM_UNREACHABLE,
                              "The process that asks the directory does not run at the moment; try again shortly.");
        if (directory->question_count >= DIRECTORY_QUESTIONS_MOST)
                return refuse(PROBLEM_BUSY, "Too many questions wait for the directory; try again shortly.");
        return 0;
}

static int question_send(struct request *request, enum msg_kind kind, struct bytes payload, enum msg_kind reply,
                         int (*resume)(struct request *request, int result, struct bytes reply))
{
        struct directory *directory = &request->engine->directory;
        struct directory_question *question = &request->question;

        question->reply = (uint16_t)reply;
        question->since_ms = clock_monotonic_ms();
        question->wire.replied = question_answered;
        question->wire.context = request;
        TRY(channel_call(directory->channel, &question->wire, (uint16_t)kind, payload));
        list_append(&directory->questions, &question->link);
        directory->question_count++;
        request_wait(request, resume);
        return 0;
}

int directory_ask(struct request *request, enum msg_kind kind, const void *message, enum msg_kind reply,
                  int (*resume)(struct request *request, int result, struct bytes payload))
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        TRY(question_ready(request->engine));
        TRY(message_encode(msg_record_of_kind(kind), message, &encoded));
        return PASS(question_send(request, kind, buf_view(&encoded), reply, resume));
}

int directory_ask_search(struct request *request, const char *filter, uint64_t limit,
                         int (*resume)(struct request *request, int result, struct bytes reply))
{
        struct msg_directory_search ask = {.filter = (char *)(uintptr_t)filter, .limit = limit};

        return PASS(directory_ask(request, MSG_directory_search, &ask, MSG_directory_found, resume));
}

int directory_ask_bind(struct request *request, const struct id *guid, const char *dn, const struct secret *password,
                       int (*resume)(struct request *request, int result, struct bytes reply))
{
        MSG_OWN(directory_bind) ask = {0};
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE;
        char text[ID_TEXT_SIZE];

        TRY(question_ready(request->engine));
        if (!password->len || memchr(password->data, 0, password->len))
                return refuse(PROBLEM_PASSWORD, "The password is empty, or has a zero byte.");
        ask.guid = text_copy(id_text(guid, text));
        ask.dn = text_copy(msg_text(dn));
        ask.password = secret_copy(secret_view(password));
        TRY(message_encode_secret(msg_record_directory_bind(), &ask, &encoded));
        return PASS(question_send(request, MSG_directory_bind, secret_view(&encoded), MSG_done, resume));
}

static void questions_give_up(struct engine *engine)
{
        uint64_t now = clock_monotonic_ms();

        while (!list_empty(&engine->directory.questions)) {
                struct request *request = CONTAINER_OF(engine->directory.questions.next, struct request, question.link);

                if (now - request->question.since_ms < DIRECTORY_PATIENCE_MS)
                        return;
                directory_question_cancel(request);
                request_continue(request, refuse(PROBLEM_UNREACHABLE, "The directory did not answer in time."),
                                 BYTES_NONE);
        }
}

/* ---- the connection */

static int peer_received(void *context, struct channel *channel, struct channel_message *message)
{
        return PASS(directory_received(context, message));
}

static void peer_drop(struct directory *directory)
{
        struct channel *channel = TAKE(directory->channel);

        if (!channel)
                return;
        channel_close(channel);
        channel_unref(channel);
}

static int peer_closed(void *context, struct channel *channel, int result)
{
        struct engine *engine = context;

        if (result)
                log_report(result, "the process that follows the directory was cut");
        if (engine->directory.channel != channel)
                return 0;
        peer_drop(&engine->directory);
        directory_lost(engine);
        return 0;
}

static const struct channel_handler peer_handler = {
    .received = peer_received,
    .closed = peer_closed,
    .frame_limit = 64 << 20, /* a page of people with all their groups */
};

int directory_peer_add(struct engine *engine, int fd)
{
        struct channel *channel = NULL;

        TRY(channel_new(engine->loop, fd, &peer_handler, engine, &channel));
        if (engine->directory.channel) {
                peer_drop(&engine->directory);
                directory_lost(engine);
        }
        engine->directory.channel = channel;
        engine->directory.next_ms = 0;
        return 0;
}

/* ---- life */

void directory_init(struct engine *engine)
{
        list_init(&engine->directory.questions);
        directory_run_init(engine);
}

void directory_done(struct engine *engine)
{
        channel_call_cancel(&engine->directory.follow);
        peer_drop(&engine->directory);
        directory_run_done(engine);
}

void directory_pump(struct engine *engine)
{
        questions_give_up(engine);
        directory_run_pump(engine);
}
