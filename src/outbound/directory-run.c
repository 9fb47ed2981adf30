/* SPDX-License-Identifier: Apache-2.0 */
/* One run: groups, people, those who could not be taken at first, the end; then changes. A step at a time, so
 * that the engine's questions are answered in between. */
#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "outbound/directory.h"

enum { CHANGES_AT_ONCE = 400 };

static void groups_forget(struct directory *directory)
{
        for (size_t i = 0; i < directory->groups.count; i++)
                msg_done(person, &directory->groups.at[i]);
        free(TAKE(directory->groups.at));
        directory->groups.count = directory->groups.sent = directory->groups.size = 0;
}

void directory_run_drop(struct directory *directory)
{
        directory->phase = DIRECTORY_IDLE;
        loop_timer_disarm(&directory->step);
        directory_pages_done(directory);
        follower_done(&directory->follower);
        ldap_reading_done(&directory->reading);
        ldap_connection_close(TAKE(directory->connection));
        roster_done(&directory->roster);
        groups_forget(directory);
        id_list_done(&directory->conflicts);
        id_list_done(&directory->again);
        buf_done(&directory->filter);
        directory->people = directory->without_address = 0;
        directory->repeated = false;
}

void directory_run_failed(struct directory *directory, int result)
{
        int r;

        log_report(result, "the directory is not %s",
                   directory->phase == DIRECTORY_FOLLOWING ? "followed" : "read");
        r = directory_end_send(directory, result, report_text());
        if (r && r != PROBLEM_UNREACHABLE)
                log_report(r, "the engine could not be told");
        directory_run_drop(directory); /* without waiting for its answer */
}

/* ---- steps ------------------------------------------------------------------------------------------------
 */

static void reading_begin(struct directory *directory, bool groups)
{
        struct ldap_search search = {.scope = LDAP_SCOPE_SUBTREE};

        ldap_reading_done(&directory->reading);
        buf_clear(&directory->filter);
        schema_filter_add(&directory->schema, groups, BYTES_NONE, &directory->filter);
        search.filter = buf_text(&directory->filter);
        search.attributes = (const char *const *)(groups ? directory->schema.group_attributes
                                                         : directory->schema.person_attributes);
        ldap_reading_init(&directory->reading, directory->connection, &search);
}

static void unfollowed_note(struct directory *directory)
{
        if (directory->reading.unfollowed.len)
                schema_finding_add(directory_page_open(directory, true), "error", directory->options.base,
                                   buf_text(&directory->reading.unfollowed));
}

static int step_groups(struct directory *directory)
{
        TRY(ldap_reading_next(&directory->reading, directory_group_found, directory));
        if (directory->reading.done) {
                unfollowed_note(directory);
                directory->phase = DIRECTORY_GROUPS_SENT;
        }
        return 0;
}

/* Now that all are known, each gets the groups that hold it. */
static int step_groups_sent(struct directory *directory)
{
        for (; directory->groups.sent < directory->groups.count; directory->groups.sent++) {
                struct msg_person *group = &directory->groups.at[directory->groups.sent];
                struct id name;

                if (directory_page_full(directory))
                        return 0;
                TRY(roster_name(bytes_text(group->dn), &name));
                if (!roster_groups_of(&directory->roster, &name, 256, &group->groups))
                        schema_finding_add(directory_page_open(directory, true), "error", group->dn,
                                           "It is in more than 256 groups; the others were left out.");
                directory_person_add(directory, true, group);
        }
        groups_forget(directory);
        reading_begin(directory, false);
        directory->phase = DIRECTORY_PEOPLE;
        return 0;
}

static int step_people(struct directory *directory)
{
        TRY(ldap_reading_next(&directory->reading, directory_person_found, directory));
        if (directory->reading.done)
                directory->phase = DIRECTORY_CONFLICTS;
        return 0;
}

/* Take some of a list, in order. */
static void some(struct id_list *from, struct id_list *ret_ids)
{
        size_t count;

        id_list_sort(from);
        count = MIN(from->count, (size_t)CHANGES_AT_ONCE);
        for (size_t i = 0; i < count; i++)
                id_list_add(ret_ids, &from->at[i]);
        memmove(from->at, from->at + count, (from->count - count) * sizeof(struct id));
        from->count -= count;
}

/* Who had the address of somebody else may have given it up to him by now. */
static int step_conflicts(struct directory *directory)
{
        CLEANUP(id_list_done) struct id_list ids = {0};

        if (!directory->repeated) {
                directory->again = directory->conflicts;
                directory->conflicts = (struct id_list){0};
        }
        directory->repeated = directory->again.count > 0;
        if (!directory->repeated) {
                directory->phase = DIRECTORY_END;
                return 0;
        }
        some(&directory->again, &ids);
        return PASS(directory_read_again(directory, &ids, true));
}

static int step_end(struct directory *directory)
{
        CLEANUP(mem_freep)
        char *words =
            text_format("%llu people; %llu more have no mail address. %s: %s.%s%s",
                        (unsigned long long)directory->people, (unsigned long long)directory->without_address,
                        ldap_connection_server(directory->connection), follower_words(&directory->follower),
                        *ldap_connection_notes(directory->connection) ? " " : "",
                        ldap_connection_notes(directory->connection));

        log_info("the directory was read: %s", words);
        id_list_done(&directory->conflicts); /* findings of the engine's now */
        ldap_reading_done(&directory->reading);
        directory->phase = DIRECTORY_FOLLOWING;
        TRY(follower_start(&directory->follower));
        return PASS(directory_end_send(directory, 0, words));
}

/* What changed; then once more those who could not be taken, since two may have changed places. */
static int step_following(struct directory *directory)
{
        CLEANUP(id_list_done) struct id_list ids = {0};

        if (directory->follower.changed.count) {
                directory->repeated = false;
                some(&directory->follower.changed, &ids);
        } else if (directory->conflicts.count && !directory->repeated) {
                directory->repeated = true;
                some(&directory->conflicts, &ids);
        } else {
                id_list_done(&directory->conflicts);
                return 0;
        }
        TRY(directory_read_again(directory, &ids, false));
        return PASS(directory_pages_pump(directory));
}

static int step(struct directory *directory)
{
        switch (directory->phase) {
        case DIRECTORY_IDLE:
                return 0;
        case DIRECTORY_GROUPS:
                TRY(step_groups(directory));
                break;
        case DIRECTORY_GROUPS_SENT:
                TRY(step_groups_sent(directory));
                break;
        case DIRECTORY_PEOPLE:
                TRY(step_people(directory));
                break;
        case DIRECTORY_CONFLICTS:
                TRY(step_conflicts(directory));
                break;
        case DIRECTORY_END:
                return PASS(step_end(directory));
        case DIRECTORY_FOLLOWING:
                return PASS(step_following(directory));
        }
        return PASS(directory_pages_pump(directory));
}

int directory_step(void *context)
{
        struct directory *directory = context;
        int r;

        if (directory->call.channel)
                return 0; /* an answer is awaited; it goes on then */
        r = step(directory);
        if (r)
                directory_run_failed(directory, r);
        return 0;
}

int directory_news(void *context, int result)
{
        struct directory *directory = context;

        if (result)
                directory_run_failed(directory, result);
        else
                loop_timer_arm(&directory->step, 0);
        return 0;
}

/* ---- beginning --------------------------------------------------------------------------------------------
 */

static int begin(struct directory *directory)
{
        TRY(directory_connect(directory, &directory->connection));
        if (*ldap_connection_notes(directory->connection))
                log_warning("%s is used: %s", ldap_connection_server(directory->connection),
                            ldap_connection_notes(directory->connection));
        TRY(follower_mark(&directory->follower, directory->connection));
        reading_begin(directory, true);
        directory->phase = DIRECTORY_GROUPS;
        loop_timer_arm(&directory->step, 0);
        return 0;
}

void directory_run_begin(struct directory *directory, uint64_t run)
{
        int r;

        directory_run_drop(directory);
        directory->run = run;
        r = begin(directory);
        if (r)
                directory_run_failed(directory, r);
}
