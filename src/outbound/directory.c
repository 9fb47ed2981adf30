/* SPDX-License-Identifier: Apache-2.0 */
#include "outbound/directory.h"

#include "base/fault.h"
#include "base/log.h"

void directory_init(struct directory *directory, struct loop *loop, const struct config *config,
                    const struct ldap_secrets *secrets)
{
        *directory = (struct directory){.loop = loop, .config = config, .secrets = secrets};
        list_init(&directory->pages);
        loop_timer_init(&directory->step, loop, directory_step, directory);
        follower_init(&directory->follower, loop, directory_news, directory);
        directory->follower.config = config;
        directory->follower.options = &directory->options;
        directory->follower.schema = &directory->schema;
        directory->follower.roster = &directory->roster;
}

void directory_done(struct directory *directory)
{
        if (!directory->loop)
                return;
        directory_run_drop(directory);
        loop_timer_done(&directory->step);
        loop_timer_done(&directory->follower.timer);
        ldap_connection_close(TAKE(directory->asking));
        schema_done(&directory->schema);
}

int directory_configure(struct directory *directory)
{
        if (!directory->prepared)
                TRY(schema_init(directory->config, &directory->schema));
        directory->prepared = true;
        directory->options = ldap_options_of(directory->config, directory->secrets);
        return 0;
}

/* That who we are is not taken is for whoever runs this server, not for who asks it. */
int directory_connect(struct directory *directory, struct ldap_connection **ret_connection)
{
        int r = ldap_connection_open(&directory->options, ret_connection);

        if (r != PROBLEM_UNAUTHENTICATED && r != PROBLEM_FORBIDDEN)
                return PASS(r);
        return refuse(PROBLEM_DIRECTORY_LOGIN,
                      "%s Mend [directory] bind, bind-dn and bind-password-file (or keytab, certificate, key), then "
                      "restart the server; where a file has only new content, a reload will do.",
                      report_text());
}

void directory_engine(struct directory *directory, struct channel *engine)
{
        directory_run_drop(directory);
        directory->engine = engine;
}

static int follow(struct directory *directory, struct channel *channel, const struct channel_message *message)
{
        MSG_OWN(directory_follow) follow = {0};

        TRY(msg_decode(directory_follow, message->payload, &follow));
        TRY(channel_reply(channel, message->id, MSG_done, BYTES_NONE));
        directory_run_begin(directory, follow.run);
        return 0;
}

int directory_received(struct directory *directory, struct channel *channel,
                       const struct channel_message *message)
{
        if (message->kind == MSG_directory_follow && message->id)
                return PASS(follow(directory, channel, message));
        if (message->kind == MSG_directory_search && message->id)
                return PASS(directory_search(directory, channel, message));
        if (message->kind == MSG_directory_bind && message->id)
                return PASS(directory_bind(directory, channel, message));
        return refuse(PROBLEM_MALFORMED, "The engine sent a message of kind %u.", message->kind);
}
