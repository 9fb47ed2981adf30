/* SPDX-License-Identifier: Apache-2.0 */
#include "outbound/follow.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "ldap/sync.h"
#include "outbound/watch.h"

#define ACTIVE_DIRECTORY_OID "1.2.840.113556.1.4.800"
#define DIRSYNC_FILTER       "(|(objectClass=user)(objectClass=group))"
#define DIRSYNC_NOTHING      "(!(objectClass=*))"

enum {
        CLOCKS_DIFFER = 3600, /* s that the server's clock may be behind ours */
        CHANGES_MOST = 2000000,
        DIRSYNC_STEPS_MOST = 100000,
};

/* ---- what the server offers -------------------------------------------------------------------------------
 */

static int root_number(struct ldap_connection *connection, const char *attribute, uint64_t *ret_number)
{
        const char *const attributes[] = {attribute, NULL};
        CLEANUP(ldap_entry_done) struct ldap_entry root = {0};
        const struct ldap_attribute *found;

        TRY(ldap_connection_read(connection, "", attributes, &root));
        found = ldap_entry_find(&root, attribute);
        if (!found || found->count != 1 || number_parse(found->values[0], INT64_MAX, ret_number))
                return refuse(PROBLEM_UNSUPPORTED, "%s does not tell its %s.",
                              ldap_connection_server(connection), attribute);
        return 0;
}

/* The naming context that holds the base: the longest that it ends in. */
static int root_find(struct follower *follower)
{
        static const char *const attributes[] = {"namingContexts", "defaultNamingContext", NULL};
        CLEANUP(ldap_entry_done) struct ldap_entry root = {0};
        const char *base = follower->options->base;
        size_t base_len = strlen(base);

        int r = ldap_connection_read(follower->connection, "", attributes, &root);

        if (r && r != PROBLEM_NOT_FOUND) /* not everybody is shown it */
                return PASS(r);
        for (size_t a = 0; attributes[a]; a++) {
                const struct ldap_attribute *found = ldap_entry_find(&root, attributes[a]);

                for (size_t i = 0; found && i < found->count; i++) {
                        struct bytes value = found->values[i];

                        if (value.len > base_len || (follower->root && value.len <= strlen(follower->root)) ||
                            strncasecmp((const char *)value.data, base + base_len - value.len, value.len) !=
                                0)
                                continue;
                        free(follower->root);
                        follower->root = text_copy_n((const char *)value.data, value.len);
                }
        }
        if (!follower->root)
                follower->root = text_copy(base);
        return 0;
}

/* ---- asking -----------------------------------------------------------------------------------------------
 */

int follower_note(struct follower *follower, struct id_list *list, const struct id *id)
{
        bool full = list->count >= CHANGES_MOST;

        if (full)
                id_list_sort(list); /* each once */
        if (full && list->count > CHANGES_MOST / 2)
                return refuse(PROBLEM_TOO_LARGE,
                              "%s tells of more than %d changes at once: see what is wrong with that server.",
                              ldap_connection_server(follower->connection), CHANGES_MOST);
        id_list_add(list, id);
        return 0;
}

static int id_take(void *context, struct ldap_entry *entry)
{
        struct follower *follower = context;
        struct id id;

        /* What has no id was a finding when everything was read. */
        return schema_id_of(follower->schema, entry, &id) ? 0
                                                          : PASS(follower_note(follower, &follower->changed, &id));
}

/* DirSync tells of entries of which one of these attributes changed. A move or a new name changes "name". */
static const char **dirsync_attributes(const struct schema *schema)
{
        char *const *const lists[] = {schema->person_attributes, schema->group_attributes};
        static const char *const more[] = {"name", "isDeleted"};
        const char **all = NULL;
        size_t count = 0;

        for (size_t l = 0; l < ARRAY_LEN(lists); l++)
                for (char *const *at = lists[l]; *at; at++) {
                        all = mem_resize(all, count + 1, sizeof(char *));
                        all[count++] = *at;
                }
        all = mem_resize(all, count + ARRAY_LEN(more) + 1, sizeof(char *));
        memcpy(all + count, more, sizeof(more));
        all[count + ARRAY_LEN(more)] = NULL;
        return all;
}

/* One answer; a search for nothing makes a mark. */
static int dirsync_step(struct follower *follower, const char *filter, bool *ret_more)
{
        CLEANUP(mem_freep) const char **attributes = dirsync_attributes(follower->schema);
        CLEANUP(buf_done) struct buf value = BUF_NONE, cookie = BUF_NONE;
        CLEANUP(ldap_reading_done) struct ldap_reading reading;
        struct ldap_search search = {follower->root, LDAP_SCOPE_SUBTREE, filter, attributes};
        LDAPControl control, *controls[] = {&control, NULL}, *answer;

        dirsync_request_add(follower->object_security, buf_view(&follower->mark), &value);
        control = (LDAPControl){.ldctl_oid = (char *)(uintptr_t)DIRSYNC_OID,
                                .ldctl_value = {value.len, (char *)value.data},
                                .ldctl_iscritical = 1};
        ldap_reading_init(&reading, follower->connection, &search);
        reading.unpaged = true;
        reading.controls = controls;
        TRY(ldap_reading_next(&reading, id_take, follower));
        answer = ldap_control_find(DIRSYNC_OID, reading.answered, NULL);
        if (!answer)
                return refuse(PROBLEM_UNSUPPORTED, "%s does not answer with a DirSync cookie.",
                              ldap_connection_server(follower->connection));
        TRY(dirsync_answer_parse(bytes_of(answer->ldctl_value.bv_val, answer->ldctl_value.bv_len), ret_more,
                                 &cookie));
        buf_done(&follower->mark);
        follower->mark = buf_take(&cookie);
        return 0;
}

/* To the end: it goes through everything, also where nothing is to come out. */
static int dirsync_steps(struct follower *follower, const char *filter)
{
        bool more = true;

        for (unsigned step = 0; more; step++) {
                if (step == DIRSYNC_STEPS_MOST)
                        return refuse(PROBLEM_TOO_LARGE, "%s answers DirSync without end.",
                                      ldap_connection_server(follower->connection));
                TRY(dirsync_step(follower, filter, &more));
        }
        return 0;
}

static int dirsync_ask(struct follower *follower)
{
        return PASS(dirsync_steps(follower, DIRSYNC_FILTER));
}

static int search_ask(struct follower *follower, const char *condition, const char *extra, ldap_found *found)
{
        const char *const attributes[] = {follower->schema->id, extra, NULL};
        CLEANUP(buf_done) struct buf filter = BUF_NONE;
        struct ldap_search search = {.scope = LDAP_SCOPE_SUBTREE, .attributes = attributes};

        buf_add_format(&filter, "(&(|%s%s)%s)", follower->schema->people_filter,
                       follower->schema->group_filter, condition);
        search.filter = buf_text(&filter);
        return PASS(ldap_connection_search(follower->connection, &search, found, follower));
}

static int usn_ask(struct follower *follower)
{
        CLEANUP(mem_freep) char *condition = NULL;
        uint64_t highest;

        TRY(root_number(follower->connection, "highestCommittedUSN", &highest));
        if (highest == follower->usn)
                return 0;
        condition = text_format("(uSNChanged>=%llu)", (unsigned long long)follower->usn + 1);
        TRY(search_ask(follower, condition, NULL, id_take));
        follower->usn = highest;
        return 0;
}

/* Seconds only: what changed in the same second as the last is found each time again. */
static int stamp_take(void *context, struct ldap_entry *entry)
{
        struct follower *follower = context;
        const struct ldap_attribute *stamp = ldap_entry_find(entry, "modifyTimestamp");

        if (stamp && stamp->count == 1 && stamp->values[0].len >= 15 && stamp->values[0].len < 32 &&
            strcmp((const char *)stamp->values[0].data, buf_text(&follower->mark)) > 0) {
                buf_clear(&follower->mark);
                buf_add_bytes(&follower->mark, stamp->values[0]);
        }
        return PASS(id_take(context, entry));
}

static int time_ask(struct follower *follower)
{
        CLEANUP(mem_freep) char *condition = text_format("(modifyTimestamp>=%s)", buf_text(&follower->mark));

        return PASS(search_ask(follower, condition, "modifyTimestamp", stamp_take));
}

static int ask(struct follower *follower)
{
        if (follower->way == FOLLOW_DIRSYNC)
                return PASS(dirsync_ask(follower));
        return follower->way == FOLLOW_USN ? PASS(usn_ask(follower)) : PASS(time_ask(follower));
}

static int timer_expired(void *context)
{
        struct follower *follower = context;
        int r = ask(follower);

        if (!r)
                loop_timer_arm(&follower->timer, 1000 * (uint64_t)follower->config->directory.poll);
        return r || follower->changed.count ? PASS(follower->news(follower->context, r)) : 0;
}

/* ---- the mark ---------------------------------------------------------------------------------------------
 */

/* Also finds out whether the account may: with the right to replicate, or else as far as it may read. */
static int dirsync_mark(struct follower *follower)
{
        int r = dirsync_steps(follower, DIRSYNC_NOTHING);

        if (r != PROBLEM_FORBIDDEN && r != PROBLEM_UNSUPPORTED)
                return PASS(r);
        follower->object_security = true;
        return PASS(dirsync_steps(follower, DIRSYNC_NOTHING));
}

static int usn_mark(struct follower *follower)
{
        return PASS(root_number(follower->connection, "highestCommittedUSN", &follower->usn));
}

/* By our clock, which need not be the server's. */
static int time_mark(struct follower *follower)
{
        struct calendar c = calendar_of(clock_now() - CLOCKS_DIFFER);

        buf_clear(&follower->mark);
        buf_add_format(&follower->mark, "%04d%02d%02d%02d%02d%02dZ", c.year, c.month, c.day, c.hour, c.minute,
                       c.second);
        return 0;
}

static const struct {
        const char *oid; /* that the server lists, NULL: none is needed */
        enum follow_way way;
        int (*mark)(struct follower *follower);
        const char *words;
} ways[] = {
    {SYNC_REQUEST_OID, FOLLOW_SYNC, watch_mark, "it tells changes at once (RFC 4533)"},
    {DIRSYNC_OID, FOLLOW_DIRSYNC, dirsync_mark, "it is asked for changes with DirSync"},
    {ACTIVE_DIRECTORY_OID, FOLLOW_USN, usn_mark,
     "it is asked for changes by uSNChanged; who is deleted is noticed when all is read again"},
    {NULL, FOLLOW_TIME, time_mark,
     "it is asked for changes by modifyTimestamp; who is deleted is noticed when all is read again"},
};

const char *follower_words(const struct follower *follower)
{
        for (size_t i = 0; i < ARRAY_LEN(ways); i++)
                if (ways[i].way == follower->way)
                        return follower->way == FOLLOW_DIRSYNC && follower->object_security
                                   ? "it is asked for changes with DirSync, without the right to replicate; "
                                     "who is "
                                     "deleted is noticed when all is read again"
                                   : ways[i].words;
        return "";
}

int follower_mark(struct follower *follower, struct ldap_connection *connection)
{
        int r = 0;

        follower->connection = connection;
        TRY(root_find(follower));
        for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
                if (ways[i].oid && !ldap_connection_supports(connection, ways[i].oid))
                        continue;
                follower->way = ways[i].way;
                r = ways[i].mark(follower);
                id_list_done(&follower->changed);
                if (r == 0 || r == PROBLEM_UNREACHABLE || r == PROBLEM_TIMEOUT || r < 0)
                        return PASS(r);
                log_report(r, "changes cannot be followed in the best way");
        }
        return PASS(r);
}

int follower_start(struct follower *follower)
{
        if (follower->way == FOLLOW_SYNC)
                return PASS(watch_start(follower));
        loop_timer_arm(&follower->timer, 0); /* what changed while everything was read */
        return 0;
}

/* ---- life -------------------------------------------------------------------------------------------------
 */

void follower_init(struct follower *follower, struct loop *loop, int (*news)(void *context, int result),
                   void *context)
{
        *follower = (struct follower){.loop = loop, .news = news, .context = context};
        loop_timer_init(&follower->timer, loop, timer_expired, follower);
}

void follower_done(struct follower *follower)
{
        watch_done(follower);
        loop_timer_disarm(&follower->timer);
        buf_done(&follower->mark);
        free(TAKE(follower->root));
        id_list_done(&follower->changed);
        id_list_done(&follower->present);
        follower->connection = NULL;
        follower->object_security = false;
}
