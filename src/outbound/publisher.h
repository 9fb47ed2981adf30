/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Our values on people's entries of the directory: compared with what they should be, and mended. Asynchronous over one
 * connection, with as many at once as are started; connecting waits, within the limits of the configuration.
 *
 * An entry is found by its stable id. Its last name is where it is looked for first, but what is there counts only if
 * it has the id; and it is changed only if it still has it then. Values that are not ours are neither read for their
 * meaning nor written. All changes of an entry are one modification of exact values. Who changes the entry meanwhile
 * makes it fail, and it is read again. OpenLDAP cannot change single values of userSMIMECertificate, which has no
 * equality rule in its schema: there the whole attribute is written, somebody else's values byte for byte as they were
 * read, under the assertion that nothing has changed since.
 */
#include "base/loop.h"
#include "config/config.h"
#include "ldap/schema.h"
#include "ldap/settings.h"
#include "outbound/difference.h"

#define ENTRY_ASSERTION "1.3.6.1.1.12" /* RFC 4528 */
#define ENTRY_CHANGED   "entryCSN"

struct publisher {
        struct loop *loop;
        const struct config *config;
        const struct ldap_secrets *secrets;
        struct schema schema;
        bool schema_known;
        const char *attributes[3]; /* ended by NULL or full: certificates, legacy; then userSMIMECertificate */
        enum value_kind kinds[3];
        bool whole[3]; /* this server changes it as a whole only */
        size_t attribute_count;
        struct ldap_options options;
        struct ldap_connection *connection;
        struct loop_source source;
        struct list tasks; /* under way */
        struct loop_timer patience;
};

enum publication_outcome {
        PUBLICATION_RIGHT,   /* nothing was to be done */
        PUBLICATION_CHANGED, /* or, when only looked at: would be */
        PUBLICATION_GONE,    /* there is no such entry */
};
struct publication_result {
        int result;       /* 0; or a problem, whose sentence is in detail */
        bool unreachable; /* … of the directory as a whole */
        enum publication_outcome outcome;
        const char *detail; /* what was, or is to be, changed */
};
typedef void publication_done(void *context, const struct publication_result *result);

/* The configuration and the secrets are borrowed, and read when it connects. */
void publisher_init(struct publisher *publisher, struct loop *loop, const struct config *config,
                    const struct ldap_secrets *secrets);
void publisher_done(struct publisher *publisher);
/* Takes the values. `done` is called once, possibly before this returns. `look` changes nothing. */
void publisher_start(struct publisher *publisher, struct msg_directory_values *values, bool look,
                     publication_done *done, void *context);
/* What the configuration says, before the first connection. PROBLEM_CONFIGURATION. */
int publisher_prepare(struct publisher *publisher) must_check;
/* The attributes that are published to, for who searches for what is left of ours. */
void publisher_attributes(const struct config *config, const char *ret_names[static 3],
                          enum value_kind ret_kinds[static 3], size_t *ret_count);
