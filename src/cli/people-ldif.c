/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/people.h"

#include <search.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/dn.h"
#include "cli/ldif.h"

enum { ACCOUNT_DISABLED = 2 };

/* A group of the file: members and groups are known by the keys of their names. */
struct group {
        char *key;
        char *name;
        struct msg_texts members;
};

struct reading {
        struct people people;
        struct msg_texts keys; /* of the DN of each person in people.list */
        struct {
                struct group *at;
                size_t count;
        } groups;
};

static void reading_done(struct reading *reading)
{
        for (size_t i = 0; i < reading->groups.count; i++) {
                struct group *group = &reading->groups.at[i];
                for (size_t j = 0; j < group->members.count; j++)
                        free(group->members.at[j]);
                free(group->members.at);
                free(group->key);
                free(group->name);
        }
        free(reading->groups.at);
        for (size_t i = 0; i < reading->keys.count; i++)
                free(reading->keys.at[i]);
        free(reading->keys.at);
        people_done(&reading->people);
}

static bool has_class(const struct ldif_entry *entry, const char *const *classes)
{
        struct bytes value;

        for (size_t i = 0; ldif_text(entry, "objectclass", i, &value); i++) {
                char *class CLEANUP(mem_freep) = text_copy_n((const char *)value.data, value.len);
                for (size_t j = 0; classes[j]; j++)
                        if (text_equal_ignoring_case(class, classes[j]))
                                return true;
        }
        return false;
}

static bool is_group(const struct ldif_entry *entry)
{
        static const char *const classes[] = {"groupOfNames", "groupOfUniqueNames", "groupOfMembers", "group", NULL};

        return has_class(entry, classes);
}

static bool is_person(const struct ldif_entry *entry)
{
        static const char *const classes[] = {"person",   "organizationalPerson", "inetOrgPerson", "user",
                                              "mailUser", "mailRecipient",        "inetMailUser",  NULL};
        static const char *const not_people[] = {"computer", NULL};
        struct bytes value;

        if (has_class(entry, not_people))
                return false;
        return has_class(entry, classes) ||
               (!ldif_text(entry, "objectclass", 0, &value) && ldif_text(entry, "mail", 0, &value));
}

/* The text of the first type that has any. */
static char *first_text(const struct ldif_entry *entry, const char *const *types, size_t most)
{
        struct bytes value;

        for (size_t i = 0; types[i]; i++) {
                char *text = ldif_text(entry, types[i], 0, &value) ? people_text(value, most) : NULL;
                if (text)
                        return text;
        }
        return NULL;
}

static char *key_of(struct bytes name)
{
        CLEANUP(dn_done) struct dn dn = {0};
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        if (dn_parse(name, &dn) != 0)
                return NULL;
        dn_key_add(&key, &dn);
        return text_copy(buf_text(&key));
}

static char *unit_of(const struct dn *dn)
{
        CLEANUP(buf_done) struct buf unit = BUF_NONE;

        for (size_t i = dn->count; i-- > 0;)
                if (strcmp(dn->parts[i].type, "ou") == 0)
                        buf_add_format(&unit, "%s%s", unit.len ? "/" : "", dn->parts[i].value);
        return people_text(buf_view(&unit), 2048);
}

static char *guid_of(const struct ldif_entry *entry, const struct dn *dn)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        struct bytes value;
        char *guid = NULL;

        if (ldif_text(entry, "entryuuid", 0, &value))
                guid = guid_of_text(value);
        if (!guid && ldif_value(entry, "objectguid", &value))
                guid = guid_of_active_directory(value);
        if (guid)
                return guid;
        dn_key_add(&key, dn);
        return guid_of_name(buf_view(&key));
}

/* mailHost, or the last name of "/o=…/cn=Servers/cn=MAIL1". */
static char *server_of(const struct ldif_entry *entry)
{
        struct bytes value;

        if (ldif_text(entry, "mailhost", 0, &value))
                return people_text(value, 255);
        if (!ldif_text(entry, "msexchhomeservername", 0, &value))
                return NULL;
        for (size_t at = value.len; at-- > 0;)
                if (value.data[at] == '=')
                        return people_text(bytes_of(value.data + at + 1, value.len - at - 1), 255);
        return people_text(value, 255);
}

static bool disabled_of(const struct ldif_entry *entry)
{
        struct bytes value;
        uint64_t flags;

        if (ldif_text(entry, "nsaccountlock", 0, &value) && value.len == 4 && memcmp(value.data, "true", 4) == 0)
                return true;
        return ldif_text(entry, "useraccountcontrol", 0, &value) && number_parse(value, UINT32_MAX, &flags) == 0 &&
               (flags & ACCOUNT_DISABLED);
}

static void warn_of_charset(struct reading *reading, const struct ldif_entry *entry)
{
        static const char *const ours[] = {"cn",       "displayname", "givenname",    "sn", "mail",
                                           "memberof", "member",      "uniquemember", NULL};

        for (size_t i = 0; i < entry->count; i++)
                for (size_t j = 0; ours[j]; j++)
                        if (strcmp(entry->attributes[i].type, ours[j]) == 0 &&
                            (entry->attributes[i].elsewhere || !text_is_utf8(buf_view(&entry->attributes[i].value))))
                                people_note(&reading->people, entry->attributes[i].line, "%s is %s and was left out.",
                                            ours[j],
                                            entry->attributes[i].elsewhere ? "a reference to another place"
                                                                           : "not UTF-8 (is the file Latin-1?)");
}

/* The value of the first part of a group's name, which is how people speak of it. */
static char *group_name(const struct dn *dn)
{
        return people_text(bytes_text(dn->parts[0].value), 1024);
}

static void add_group(struct msg_person *person, const char *name)
{
        if (name && person->groups.count < 256 && !msg_texts_have(&person->groups, name))
                msg_texts_add(&person->groups, name);
}

static void take_member_of(const struct ldif_entry *entry, struct msg_person *person)
{
        struct bytes value;

        for (size_t i = 0; ldif_text(entry, "memberof", i, &value); i++) {
                CLEANUP(dn_done) struct dn dn = {0};
                if (dn_parse(value, &dn) == 0) {
                        char *name CLEANUP(mem_freep) = group_name(&dn);
                        add_group(person, name);
                }
        }
}

static void take_person(struct reading *reading, const struct ldif_entry *entry, const struct dn *dn)
{
        static const char *const names[] = {"cn", "displayname", "name", NULL},
                                 *const given[] = {"givenname", "gn", NULL},
                                 *const surnames[] = {"sn", "surname", NULL};
        MSG_OWN(person) person = {0};
        struct bytes value;
        size_t before = reading->people.list.count;

        for (size_t i = 0; ldif_text(entry, "mail", i, &value); i++)
                people_address(&reading->people, entry->line, value, &person);
        person.name = first_text(entry, names, 1024);
        if (!person.addresses.count) {
                people_note(&reading->people, entry->line, "%s has no mail address and was left out.",
                            person.name ? person.name : buf_text(&entry->dn));
                return;
        }
        person.given_name = first_text(entry, given, 512);
        person.surname = first_text(entry, surnames, 512);
        person.unit = unit_of(dn);
        person.guid = guid_of(entry, dn);
        person.home_server = server_of(entry);
        person.disabled = disabled_of(entry);
        take_member_of(entry, &person);
        people_take(&reading->people, entry->line, &person);
        if (reading->people.list.count > before) {
                CLEANUP(buf_done) struct buf key = BUF_NONE;
                dn_key_add(&key, dn);
                msg_texts_add(&reading->keys, buf_text(&key));
        }
}

static void take_group(struct reading *reading, const struct ldif_entry *entry, const struct dn *dn)
{
        static const char *const types[] = {"member", "uniquemember", NULL};
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        struct group *group = MSG_LIST_ADD(reading->groups);
        struct bytes value;

        dn_key_add(&key, dn);
        group->key = text_copy(buf_text(&key));
        group->name = group_name(dn);
        for (size_t t = 0; types[t]; t++) {
                for (size_t i = 0; ldif_text(entry, types[t], i, &value); i++) {
                        char *member CLEANUP(mem_freep) = key_of(value);
                        if (member)
                                msg_texts_add(&group->members, member);
                        else
                                people_note(&reading->people, entry->line,
                                            "A member of %s has a name that cannot be read.",
                                            group->name ? group->name : "the group");
                }
        }
}

static int take_entry(struct reading *reading, const struct ldif_entry *entry)
{
        CLEANUP(dn_done) struct dn dn = {0};

        warn_of_charset(reading, entry);
        if (dn_parse(buf_view(&entry->dn), &dn) != 0) {
                people_note(&reading->people, entry->line, "%s The entry was left out.", report_text());
                return 0;
        }
        if (is_group(entry))
                take_group(reading, entry, &dn);
        else if (is_person(entry))
                take_person(reading, entry, &dn);
        return 0;
}

/* ---- membership ------------------------------------------------------------------------------------------- */

struct index_entry {
        const char *key;
        size_t place;
        bool is_group;
};

static int compare_index(const void *a, const void *b)
{
        return strcmp(((const struct index_entry *)a)->key, ((const struct index_entry *)b)->key);
}

/* Who is in which group. However many ways lead from one group to another, it is walked once for each: a file in which
   groups hold each other would otherwise take exponential time. */
struct membership {
        struct reading *reading;
        struct index_entry *index;
        size_t count;
        size_t *walked; /* for each group, 1 + the place of the group for which it was walked last */
        size_t *queue;  /* places of groups to be walked; room for all */
};

static const struct index_entry *find_member(const struct membership *membership, const char *key)
{
        struct index_entry wanted = {.key = key};

        return bsearch(&wanted, membership->index, membership->count, sizeof(wanted), compare_index);
}

/* Puts everybody in the group at `top`, and in groups within it, into that group. */
static void spread(const struct membership *membership, size_t top)
{
        const struct group *groups = membership->reading->groups.at;
        size_t queued = 0;

        membership->walked[top] = top + 1;
        membership->queue[queued++] = top;
        for (size_t next = 0; next < queued; next++) {
                const struct msg_texts *members = &groups[membership->queue[next]].members;
                for (size_t i = 0; i < members->count; i++) {
                        const struct index_entry *found = find_member(membership, members->at[i]);
                        if (!found)
                                continue;
                        if (!found->is_group)
                                add_group(&membership->reading->people.list.at[found->place], groups[top].name);
                        else if (membership->walked[found->place] != top + 1) {
                                membership->walked[found->place] = top + 1;
                                membership->queue[queued++] = found->place;
                        }
                }
        }
}

static void join_groups(struct reading *reading)
{
        size_t people = reading->people.list.count, groups = reading->groups.count;
        struct index_entry *index CLEANUP(mem_freep) = mem_array(people + groups + 1, sizeof(*index));
        size_t *walked CLEANUP(mem_freep) = mem_array(groups + 1, sizeof(*walked));
        size_t *queue CLEANUP(mem_freep) = mem_array(groups + 1, sizeof(*queue));
        struct membership membership = {
                .reading = reading, .index = index, .count = people + groups, .walked = walked, .queue = queue};

        for (size_t i = 0; i < people; i++)
                index[i] = (struct index_entry){.key = reading->keys.at[i], .place = i};
        for (size_t i = 0; i < groups; i++)
                index[people + i] =
                    (struct index_entry){.key = reading->groups.at[i].key, .place = i, .is_group = true};
        qsort(index, people + groups, sizeof(*index), compare_index);
        for (size_t i = 0; i < groups; i++)
                spread(&membership, i);
}

int people_from_ldif(struct bytes file, struct people *ret_people)
{
        CLEANUP(reading_done) struct reading reading = {0};
        struct ldif_reader reader = ldif_read(file);

        for (;;) {
                CLEANUP(ldif_entry_done) struct ldif_entry entry = {0};
                int r = ldif_next(&reader, &entry);
                if (r == PROBLEM_NOT_FOUND)
                        break;
                TRY(r);
                TRY(take_entry(&reading, &entry));
        }
        join_groups(&reading);
        *ret_people = reading.people;
        reading.people = (struct people){0};
        return 0;
}
