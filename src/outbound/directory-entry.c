/* SPDX-License-Identifier: Apache-2.0 */
/* From entries to people and groups of pages, and what of them is kept. */
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "outbound/directory.h"

enum {
        GROUPS_MOST = 256,
        GROUP_DN_MOST = 1024,
        IDS_AT_ONCE = 40,
        MEMBERS_MOST = 2000000,
        MEMORY_MOST = 512 << 20,
};

static void note(struct directory *directory, bool whole, const char *severity, const char *dn,
                 const char *detail)
{
        schema_finding_add(directory_page_open(directory, whole), severity, dn, detail);
}

int directory_room(const struct directory *directory)
{
        if (directory->roster.size + directory->groups.size <= MEMORY_MOST)
                return 0;
        return refuse(PROBLEM_TOO_LARGE,
                      "The people, groups and members of groups that %s shows take more than %d MB of memory, after %zu "
                      "entries. Narrow [directory] base, people-filter and group-filter, or see what is wrong with it.",
                      ldap_connection_server(directory->connection), MEMORY_MOST >> 20, directory->roster.count);
}

/* ---- known again ------------------------------------------------------------------------------------------
 */

enum meeting { MET_NOT, MET_SAME, MET_OTHER };

/* In one reading an id is met once. Twice with one name is a page that overlaps another; with two, somebody lies. */
static enum meeting met_before(const struct directory *directory, const struct id *id, const struct id *name)
{
        const struct roster_entry *known = roster_find(&directory->roster, id);

        return !known ? MET_NOT : id_equal(&known->name, name) ? MET_SAME : MET_OTHER;
}

static bool known_names(const struct ldap_entry *entry, const struct msg_person *person, struct id *ret_id,
                        struct id *ret_name)
{
        return roster_name(bytes_text(entry->dn), ret_name) == 0 &&
               id_parse(bytes_text(person->guid), ret_id) == 0;
}

static void groups_set(struct directory *directory, bool whole, const struct id *name,
                       struct msg_person *person)
{
        for (size_t i = 0; i < person->groups.count; i++)
                free(person->groups.at[i]);
        person->groups.count = 0;
        if (!roster_groups_of(&directory->roster, name, GROUPS_MOST, &person->groups))
                note(directory, whole, "error", person->dn,
                     "It is in more than 256 groups; the others were left out.");
}

/* ---- members ----------------------------------------------------------------------------------------------
 */

static void members_take(struct directory *directory, const struct ldap_entry *entry, struct id_list *members)
{
        struct schema_members cursor = {0};
        struct bytes member;
        bool whole = directory->phase != DIRECTORY_FOLLOWING;
        size_t wrong = 0;
        struct id name;

        while (schema_member_next(&directory->schema, entry, &cursor, &member)) {
                if (members->count == MEMBERS_MOST) {
                        note(directory, whole, "error", entry->dn,
                             "It has more than 2,000,000 members; the others were left out.");
                        return;
                }
                if (roster_name(member, &name) == 0)
                        id_list_add(members, &name);
                else if (!wrong++)
                        note(directory, whole, "error", entry->dn,
                             "Some of its members have names that cannot be read, and were left out.");
        }
}

static int part_keep(void *context, struct ldap_entry *entry)
{
        struct ldap_entry *part = context;

        ldap_entry_done(part);
        *part = *entry;
        *entry = (struct ldap_entry){0};
        return 0;
}

/* The parts of a long list that did not come with the entry. Not on the connection that it came on: what the server
 * goes on to send there would pile up meanwhile. */
static int members_more(struct directory *directory, const char *dn, uint64_t from, struct id_list *members)
{
        while (from && members->count < MEMBERS_MOST) {
                CLEANUP(mem_freep)
                char *type =
                    text_format("%s;range=%llu-*", directory->schema.member.at[0], (unsigned long long)from);
                const char *const attributes[] = {type, NULL};
                const struct ldap_search search = {dn, LDAP_SCOPE_BASE, "(objectClass=*)", attributes, .most = 1};
                CLEANUP(ldap_entry_done) struct ldap_entry part = {0};
                uint64_t next;

                TRY(directory_ask(directory, &search, part_keep, &part));
                members_take(directory, &part, members);
                next = schema_members_more(&directory->schema, &part);
                from = next > from ? next : 0;
        }
        return 0;
}

static int members_read(struct directory *directory, const struct ldap_entry *entry, struct id_list *members)
{
        members_take(directory, entry, members);
        return PASS(
            members_more(directory, entry->dn, schema_members_more(&directory->schema, entry), members));
}

/* ---- reading everything -----------------------------------------------------------------------------------
 */

/* 0 for what is a finding, and no failure. */
static int not_taken(struct directory *directory, bool whole, const struct ldap_entry *entry, int result)
{
        if (result < 0)
                return result;
        if (result == PROBLEM_NOT_FOUND)
                directory->without_address++;
        else
                note(directory, whole, "error", entry->dn, report_text());
        return 0;
}

static int group_take(struct directory *directory, struct ldap_entry *entry)
{
        CLEANUP(id_list_done) struct id_list members = {0}, changed = {0};
        MSG_OWN(person) group = {0};
        enum meeting met;
        struct id id, name;
        int r = schema_group(&directory->schema, entry, directory_page_open(directory, true), &group);

        if (r)
                return PASS(not_taken(directory, true, entry, r));
        if (strlen(group.dn) > GROUP_DN_MOST) {
                note(directory, true, "error", entry->dn, "Its DN is too long for a group; it was left out.");
                return 0;
        }
        if (!known_names(entry, &group, &id, &name))
                return 0;
        met = met_before(directory, &id, &name);
        if (met == MET_OTHER)
                note(directory, true, "error", entry->dn, "Its id is that of another entry too; it was not taken.");
        if (met != MET_NOT)
                return 0;
        TRY(members_read(directory, entry, &members));
        (void)roster_put(&directory->roster, &id, &name, true);
        roster_group_put(&directory->roster, &id, entry->dn, &members, &changed);
        directory->groups.size += sizeof(group) + 2 * strlen(entry->dn);
        *MSG_LIST_ADD(directory->groups) = group;
        group = (struct msg_person){0};
        return PASS(directory_room(directory));
}

static int person_take(struct directory *directory, struct ldap_entry *entry)
{
        MSG_OWN(person) person = {0};
        enum meeting met;
        struct id id, name;
        int r = schema_person(&directory->schema, entry, directory_page_open(directory, true), &person);

        if (r)
                return PASS(not_taken(directory, true, entry, r));
        if (!known_names(entry, &person, &id, &name))
                return 0;
        met = met_before(directory, &id, &name);
        if (met == MET_SAME)
                return 0;
        /* Of two with one id the engine hears of both, and believes neither. */
        if (met == MET_NOT) {
                (void)roster_put(&directory->roster, &id, &name, false);
                groups_set(directory, true, &name, &person);
                directory->people++;
        }
        directory_person_add(directory, true, &person);
        return PASS(directory_room(directory));
}

/* However much the server sends: the engine takes a page first. */
int directory_group_found(void *context, struct ldap_entry *entry)
{
        struct directory *directory = context;

        TRY(group_take(directory, entry));
        directory->reading.pause = directory_page_full(directory);
        return 0;
}

int directory_person_found(void *context, struct ldap_entry *entry)
{
        struct directory *directory = context;

        TRY(person_take(directory, entry));
        directory->reading.pause = directory_page_full(directory);
        return 0;
}

/* ---- reading some of them again ---------------------------------------------------------------------------
 */

struct again {
        struct directory *directory;
        const struct id *ids; /* that are asked for at a time; sorted */
        size_t count;
        bool whole, groups;
        struct id_list found, changed;
};

static void again_done(struct again *again)
{
        id_list_done(&again->found);
        id_list_done(&again->changed);
}

static bool asked_for(const struct again *again, const struct id *id)
{
        for (size_t i = 0; i < again->count; i++)
                if (id_equal(&again->ids[i], id))
                        return true;
        return false;
}

/* Of two entries with one id it cannot be told which it is. The same one may well be sent twice. */
static bool found_before(const struct again *again, const struct ldap_entry *entry, const struct id *id,
                         const struct id *name)
{
        size_t i = 0;

        while (i < again->found.count && !id_equal(&again->found.at[i], id))
                i++;
        if (i == again->found.count)
                return false;
        if (met_before(again->directory, id, name) == MET_OTHER)
                note(again->directory, again->whole, "error", entry->dn,
                     "It has an id that another entry has too; it was not taken.");
        return true;
}

static void again_take(struct again *again, const struct ldap_entry *entry, const struct id *id, const struct id *name,
                       struct id_list *members, struct msg_person *person)
{
        struct directory *directory = again->directory;

        id_list_add(&again->found, id);
        (void)roster_put(&directory->roster, id, name, again->groups);
        if (again->groups)
                roster_group_put(&directory->roster, id, entry->dn, members, &again->changed);
        groups_set(directory, again->whole, name, person);
        directory_person_add(directory, again->whole, person);
}

static int again_found(void *context, struct ldap_entry *entry)
{
        struct again *again = context;
        struct directory *directory = again->directory;
        struct msg_directory_page *page = directory_page_open(directory, again->whole);
        CLEANUP(id_list_done) struct id_list members = {0};
        MSG_OWN(person) person = {0};
        struct id id, name;
        int r = again->groups ? schema_group(&directory->schema, entry, page, &person)
                              : schema_person(&directory->schema, entry, page, &person);

        /* Who has no usable address any more is gone, as he would be when everything is read. */
        if (r)
                return PASS(not_taken(directory, again->whole, entry, r));
        if (!known_names(entry, &person, &id, &name) || (again->groups && strlen(person.dn) > GROUP_DN_MOST))
                return 0;
        if (!asked_for(again, &id) || found_before(again, entry, &id, &name))
                return 0;
        /* Renamed since the run met it: to the engine it would be another entry with the same id. */
        if (again->whole && met_before(directory, &id, &name) != MET_SAME) {
                id_list_add(&directory->follower.changed, &id);
                return 0;
        }
        if (again->groups)
                TRY(members_read(directory, entry, &members));
        again_take(again, entry, &id, &name, &members, &person);
        return PASS(directory_room(directory));
}

static int again_search(struct again *again)
{
        struct directory *directory = again->directory;
        CLEANUP(buf_done) struct buf filter = BUF_NONE, any = BUF_NONE;
        struct ldap_search search = {.scope = LDAP_SCOPE_SUBTREE, .most = 4 * IDS_AT_ONCE};

        buf_add_text(&any, "(|");
        for (size_t i = 0; i < again->count; i++)
                schema_id_filter_add(&directory->schema, &again->ids[i], &any);
        buf_add_text(&any, ")");
        for (int groups = 1; groups >= 0; groups--) {
                buf_clear(&filter);
                again->groups = groups;
                schema_filter_add(&directory->schema, groups, buf_view(&any), &filter);
                search.filter = buf_text(&filter);
                search.attributes = (const char *const *)(groups ? directory->schema.group_attributes
                                                                 : directory->schema.person_attributes);
                TRY(ldap_connection_search(directory->connection, &search, again_found, again));
        }
        return 0;
}

/* Of these ids, who was known and is not found. */
static void gone_note(struct again *again, const struct id *ids, size_t count)
{
        struct directory *directory = again->directory;

        id_list_sort(&again->found);
        for (size_t i = 0; i < count; i++) {
                if (id_list_has(&again->found, &ids[i]) || !roster_find(&directory->roster, &ids[i]))
                        continue;
                roster_remove(&directory->roster, &ids[i], &again->changed);
                directory_gone_add(directory, &ids[i]);
        }
}

/* Whose groups changed are members by name. They are followed: in a run the engine has heard of them already, and there
 * may be any number of them. */
static void members_follow(struct again *again)
{
        struct directory *directory = again->directory;

        id_list_sort(&again->changed);
        for (size_t i = 0; i < again->changed.count; i++) {
                const struct roster_entry *entry = roster_find_name(&directory->roster, &again->changed.at[i]);

                if (entry && (again->whole || !id_list_has(&again->found, &entry->id)))
                        id_list_add(&directory->follower.changed, &entry->id);
        }
}

int directory_read_again(struct directory *directory, const struct id_list *ids, bool whole)
{
        CLEANUP(again_done) struct again again = {.directory = directory, .whole = whole};

        for (size_t at = 0; at < ids->count; at += IDS_AT_ONCE) {
                again.ids = ids->at + at;
                again.count = MIN((size_t)IDS_AT_ONCE, ids->count - at);
                TRY(again_search(&again));
        }
        if (!whole)
                gone_note(&again, ids->at, ids->count);
        members_follow(&again);
        return 0;
}
