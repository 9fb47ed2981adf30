/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the engine asks about our values in the directory, answered over its channel: jobs, comparisons, what is left of
 * ours. */
#include "outbound/publisher.h"
#include "wire/channel.h"

/* A job "publish-user"; answered with job_done. */
int publish_job(struct publisher *publisher, struct channel *channel, uint64_t message, struct msg_job *job) must_check;
/* A directory_compare; answered with directory_compared, or problem when the directory is away. */
int publish_compare(struct publisher *publisher, struct channel *channel, struct channel_message *message) must_check;

/* A reading of all entries that have values in the attributes that are published to. It waits, a page at a time. */
struct leftovers {
        struct publisher *publisher; /* whose schema, attributes and options it uses */
        struct ldap_connection *connection;
        struct ldap_options options;
        struct ldap_reading reading;
        struct buf filter;
        const char *names[5];
        struct cert_list issuers;
        uint64_t number;
        bool reads;
};
void leftovers_done(struct leftovers *leftovers);
/* A directory_leftovers; answered with directory_leftover, or problem. */
int leftovers_page(struct leftovers *leftovers, struct channel *channel, struct channel_message *message) must_check;
