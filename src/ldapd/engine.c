/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "ldapd/ldapd.h"

enum {
        ASKED_MOST = 4, /* of all clients together, so that the engine has time for everything else */
        PAGE_LEAST = 10,
        PAGE_MOST = 50,
        FRAME_LIMIT = 128 << 20,
};

static void engine_pump(struct ldapd *ldapd);

static int reply_read(const struct channel_message *message, struct msg_lookup_reply *ret_reply)
{
        MSG_OWN(problem) problem = {0};
        enum problem code;

        if (message->kind == MSG_lookup_reply)
                return PASS(msg_decode(lookup_reply, message->payload, ret_reply));
        if (message->kind != MSG_problem)
                return refuse(PROBLEM_MALFORMED, "The engine answered with a message of kind %u.",
                              message->kind);
        TRY(msg_decode(problem, message->payload, &problem));
        code = problem_from_code(msg_text(problem.code));
        return refuse(code ? code : PROBLEM_BUSY, "%s", msg_text(problem.detail));
}

static void engine_replied(void *context, int result, struct channel_message *message)
{
        struct search *search = context;
        struct ldapd *ldapd = search->connection->ldapd;
        MSG_OWN(lookup_reply) reply = {0};

        ldapd->asked--;
        if (!result)
                result = reply_read(message, &reply);
        else
                result = refuse(PROBLEM_UNREACHABLE, "The server is being restarted; search again.");
        search_answered(search, result, &reply);
        engine_pump(ldapd);
}

/* Not many more than the search may find, and look at. */
static uint64_t page_size(const struct search *search)
{
        uint64_t wanted = MAX(search->size_limit - search->at.sent + 1, (uint64_t)PAGE_LEAST);
        uint64_t left = search->connection->ldapd->config.ldap.scan_limit - search->at.examined;

        return MIN(MIN(wanted, left), (uint64_t)PAGE_MOST);
}

static int engine_send(struct search *search)
{
        const struct ask *ask = &search->plan.asks[search->at.ask];
        struct msg_lookup lookup = {
            .address = ask->kind == ASK_ADDRESS ? ask->text : NULL,
            .prefix = ask->kind == ASK_PREFIX ? ask->text : NULL,
            .cursor = search->at.after,
            .limit = page_size(search),
        };
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        if (!search->connection->ldapd->engine)
                return refuse(PROBLEM_UNREACHABLE, "The server is being restarted; search again.");
        TRY(msg_encode(lookup, &lookup, &encoded));
        search->call.replied = engine_replied;
        search->call.context = search;
        return PASS(
            channel_call(search->connection->ldapd->engine, &search->call, MSG_lookup, buf_view(&encoded)));
}

static void engine_pump(struct ldapd *ldapd)
{
        while (ldapd->asked < ASKED_MOST && !list_empty(&ldapd->waiting)) {
                struct search *search = CONTAINER_OF(ldapd->waiting.next, struct search, waiting);
                int r;

                list_remove(&search->waiting);
                r = engine_send(search);
                if (r)
                        search_answered(search, r, NULL);
                else
                        ldapd->asked++;
        }
}

void engine_ask(struct search *search)
{
        struct ldapd *ldapd = search->connection->ldapd;

        list_append(&ldapd->waiting, &search->waiting);
        engine_pump(ldapd);
}

void engine_forget(struct search *search)
{
        list_remove(&search->waiting);
        if (!search->call.channel)
                return;
        channel_call_cancel(&search->call);
        search->connection->ldapd->asked--;
        loop_once_schedule(&search->connection->ldapd->pump, &search->connection->ldapd->loop);
}

/* ---- the channel ---- */

static int pump_run(void *context)
{
        engine_pump(context);
        return 0;
}

void engine_init(struct ldapd *ldapd)
{
        list_init(&ldapd->waiting);
        loop_once_init(&ldapd->pump, pump_run, ldapd);
}

static int engine_received(void *context, struct channel *channel, struct channel_message *message)
{
        return refuse(PROBLEM_MALFORMED, "The engine sent a message of kind %u.", message->kind);
}

/* The calls that waited were answered before this; a new connection comes from the supervisor. */
static int engine_closed(void *context, struct channel *channel, int result)
{
        struct ldapd *ldapd = context;

        if (result)
                log_report(result, "the engine's connection is cut");
        if (ldapd->engine == channel)
                channel_unref(TAKE(ldapd->engine));
        return 0;
}

int engine_connect(struct ldapd *ldapd, int fd)
{
        static const struct channel_handler handler = {engine_received, engine_closed,
                                                       .frame_limit = FRAME_LIMIT};

        engine_done(ldapd);
        return PASS(channel_new(&ldapd->loop, fd, &handler, ldapd, &ldapd->engine));
}

void engine_done(struct ldapd *ldapd)
{
        struct channel *channel = TAKE(ldapd->engine);

        if (channel)
                channel_close(channel);
        channel_unref(channel);
}
