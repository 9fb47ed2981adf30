/* SPDX-License-Identifier: Apache-2.0 */
#include "follower.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

/* Whom the engine made up has no DN. */
static int follower_bind(struct follower *follower, struct channel *channel, const struct channel_message *message)
{
        MSG_OWN(problem) problem = {.code = text_copy("password"), .detail = text_copy("Invalid credentials.")};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        struct msg_directory_bind *bind = &follower->bind;

        msg_done(directory_bind, bind);
        must(msg_decode(directory_bind, message->payload, bind));
        follower->binds++;
        follower->bind_id = message->id;
        if (!follower->password)
                return 0;
        if (*msg_text(bind->dn) && bytes_equal(secret_view(&bind->password), bytes_text(follower->password)))
                return PASS(channel_reply(channel, message->id, MSG_done, BYTES_NONE));
        must(msg_encode(problem, &problem, &encoded));
        return PASS(channel_reply(channel, message->id, MSG_problem, buf_view(&encoded)));
}

static int follower_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct follower *follower = context;
        struct msg_directory_follow ask = {0};

        if (message->kind == MSG_directory_search) {
                msg_done(directory_search, &follower->search);
                must(msg_decode(directory_search, message->payload, &follower->search));
                follower->search_id = message->id;
                return 0;
        }
        if (message->kind == MSG_directory_bind)
                return PASS(follower_bind(follower, channel, message));
        if (message->kind != MSG_directory_follow)
                abort();
        must(msg_decode(directory_follow, message->payload, &ask));
        follower->run = ask.run;
        follower->asked++;
        must(channel_reply(channel, message->id, MSG_done, BYTES_NONE));
        return 0;
}

static int follower_closed(void *context, struct channel *channel, int result)
{
        return 0;
}

static const struct channel_handler handler = {.received = follower_received, .closed = follower_closed};

static void follower_connect(struct follower *follower)
{
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                abort();
        must(channel_new(&follower->world->loop, fds[0], &handler, follower, &follower->channel));
        must(directory_peer_add(&follower->world->engine, fds[1]));
        directory_pump(&follower->world->engine);
        world_run(follower->world);
}

void follower_begin(struct follower *follower, struct world *world)
{
        *follower = (struct follower){.world = world};
        world->engine.config.directory_ldap = true;
        world->engine.config.left_most = 20;
        world->engine.config.reconcile = 86400;
        follower_connect(follower);
}

void follower_end(struct follower *follower)
{
        channel_call_cancel(&follower->call);
        channel_close(follower->channel);
        channel_unref(TAKE(follower->channel));
        world_run(follower->world);
        msg_done(directory_taken, &follower->taken);
        msg_done(directory_page, &follower->page);
        msg_done(directory_search, &follower->search);
        msg_done(directory_bind, &follower->bind);
}

void follower_lost(struct follower *follower)
{
        follower_end(follower);
        follower_connect(follower);
}

struct msg_person *follower_person(struct follower *follower, const char *guid, const char *name, const char *address)
{
        struct msg_person *person = MSG_LIST_ADD(follower->page.people);

        person->guid = text_copy(guid);
        person->name = text_copy(name);
        person->dn = text_format("cn=%s,ou=people,dc=example,dc=org", name);
        if (*address)
                msg_texts_add(&person->addresses, address);
        return person;
}

static void follower_answered(void *context, int result, struct channel_message *reply)
{
        struct follower *follower = context;

        if (result)
                return;
        follower->answered = true;
        if (reply->kind == MSG_directory_taken)
                must(msg_decode(directory_taken, reply->payload, &follower->taken));
        else if (reply->kind != MSG_done)
                abort();
}

static void page_ignored(void *context, int result, struct channel_message *reply)
{
}

static void follower_call(struct follower *follower, enum msg_kind kind, const void *message)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        must(message_encode(msg_record_of_kind(kind), message, &encoded));
        follower->answered = false;
        msg_done(directory_taken, &follower->taken);
        follower->call.replied = follower_answered;
        follower->call.context = follower;
        must(channel_call(follower->channel, &follower->call, (uint16_t)kind, buf_view(&encoded)));
        for (unsigned i = 0; i < 1000 && !follower->answered; i++) {
                usleep(500);
                world_run(follower->world);
        }
        if (!follower->answered)
                abort();
}

void follower_send(struct follower *follower, bool whole)
{
        follower->page.run = follower->run;
        follower->page.whole = whole;
        follower_call(follower, MSG_directory_page, &follower->page);
        msg_done(directory_page, &follower->page);
}

void follower_complete(struct follower *follower, bool complete)
{
        struct msg_directory_end end = {.run = follower->run,
                                        .complete = complete,
                                        .detail = complete ? NULL : (char[]){"the server said nothing"},
                                        .server = (char[]){"ldaps://ldap.example.org"}};

        follower_call(follower, MSG_directory_end, &end);
}

void follower_fail(struct follower *follower)
{
        struct msg_directory_end end = {.run = follower->run, .detail = (char[]){"the server is gone"}};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        struct channel_call page = {.replied = page_ignored};

        follower->page.run = follower->run;
        must(msg_encode(directory_page, &follower->page, &encoded));
        must(channel_call(follower->channel, &page, MSG_directory_page, buf_view(&encoded)));
        follower_call(follower, MSG_directory_end, &end);
        channel_call_cancel(&page);
}

void follower_sync(struct follower *follower, bool accept_departures)
{
        struct msg_directory_sync ask = {.accept_departures = accept_departures};
        struct msg_directory_syncing reply = {0};

        must(world_ask(follower->world, ROB, MSG_directory_sync, &ask, &reply));
        directory_pump(&follower->world->engine);
        world_run(follower->world);
        if (reply.run != follower->run)
                abort();
}

void follower_found(struct follower *follower, const char *const *guids, size_t count)
{
        MSG_OWN(directory_found) found = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        for (size_t i = 0; i < count; i++) {
                struct id id;

                must(id_parse(bytes_text(guids[i]), &id));
                buf_add_bytes(&found.guids, id_view(&id));
        }
        must(msg_encode(directory_found, &found, &encoded));
        must(channel_reply(follower->channel, follower->search_id, MSG_directory_found, buf_view(&encoded)));
        world_run(follower->world);
}

void follower_bound(struct follower *follower)
{
        must(channel_reply(follower->channel, follower->bind_id, MSG_done, BYTES_NONE));
        world_run(follower->world);
}
