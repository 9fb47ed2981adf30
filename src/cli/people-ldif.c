/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/people.h"

#include <search.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/dn.h"
#include "cli/ldif.h"

enum { ACCOUNT_DISABLED = 2, DN_MOST = 2048, GROUP_NAME_MOST = 1024, LANGUAGE_MOST = 35 };

/* An entry of the file, in people.list: known by the key of its DN. */
struct member {
        char *key;
        size_t place;
        struct msg_texts members; /* keys; of a group */
        struct msg_texts groups;  /* DNs of memberOf */
};

struct reading {
        struct people people;
        struct {
                struct member *at;
                size_t count;
        } entries;
};

static void texts_free(struct msg_texts *texts)
{
        for (size_t i = 0; i < texts->count; i++)
                free(texts->at[i]);
        free(texts->at);
}

static void reading_done(struct reading *reading)
{
        for (size_t i = 0; i < reading->entries.count; i++) {
                struct member *entry = &reading->entries.at[i];

                texts_free(&entry->members);
                texts_free(&entry->groups);
                free(entry->key);
        }
        free(reading->entries.at);
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
        return people_text(bytes_text(dn->parts[0].value), GROUP_NAME_MOST);
}

static void add_group(struct msg_person *person, const char *name)
{
        if (name && person->groups.count < 256 && !msg_texts_have(&person->groups, name))
                msg_texts_add(&person->groups, name);
}

/* A name that does not fit is none: cut off, it would be another's. */
static char *dn_text(struct reading *reading, const struct ldif_entry *entry, size_t most)
{
        if (entry->dn.len <= most)
                return text_copy(buf_text(&entry->dn));
        people_note(&reading->people, entry->line, "The name is longer than %zu bytes and was left out.", most);
        return NULL;
}

static char *language_of(const struct ldif_entry *entry)
{
        static const char *const types[] = {"preferredlanguage", NULL};

        return first_text(entry, types, LANGUAGE_MOST);
}

/* Into the list, unless it is there already; then where it belongs is of interest. */
static struct member *take(struct reading *reading, const struct ldif_entry *entry, const struct dn *dn,
                           struct msg_person *person)
{
        size_t before = reading->people.list.count;
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        struct member *member;

        people_take(&reading->people, entry->line, person);
        if (reading->people.list.count == before)
                return NULL;
        dn_key_add(&key, dn);
        member = MSG_LIST_ADD(reading->entries);
        member->key = text_copy(buf_text(&key));
        member->place = before;
        return member;
}

static void take_member_of(const struct ldif_entry *entry, struct member *member)
{
        struct bytes value;

        for (size_t i = 0; ldif_text(entry, "memberof", i, &value); i++) {
                char *name CLEANUP(mem_freep) = text_copy_n((const char *)value.data, value.len);

                msg_texts_add(&member->groups, name);
        }
}

static void take_person(struct reading *reading, const struct ldif_entry *entry, const struct dn *dn)
{
        static const char *const names[] = {"cn", "displayname", "name", NULL},
                                 *const given[] = {"givenname", "gn", NULL},
                                 *const surnames[] = {"sn", "surname", NULL};
        MSG_OWN(person) person = {0};
        struct member *member;
        struct bytes value;

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
        person.language = language_of(entry);
        person.dn = dn_text(reading, entry, DN_MOST);
        member = take(reading, entry, dn, &person);
        if (member)
                take_member_of(entry, member);
}

static void take_members(struct reading *reading, const struct ldif_entry *entry, struct member *group)
{
        static const char *const types[] = {"member", "uniquemember", NULL};
        struct bytes value;

        for (size_t t = 0; types[t]; t++) {
                for (size_t i = 0; ldif_text(entry, types[t], i, &value); i++) {
                        char *key CLEANUP(mem_freep) = key_of(value);

                        if (key)
                                msg_texts_add(&group->members, key);
                        else
                                people_note(&reading->people, entry->line,
                                            "A member of %s has a name that cannot be read.", buf_text(&entry->dn));
                }
        }
}

static void take_group(struct reading *reading, const struct ldif_entry *entry, const struct dn *dn)
{
        MSG_OWN(person) group = {0};
        struct member *member;

        group.dn = dn_text(reading, entry, GROUP_NAME_MOST);
        group.name = group_name(dn);
        if (!group.dn || !group.name)
                return;
        group.kind = text_copy("group");
        group.guid = guid_of(entry, dn);
        member = take(reading, entry, dn, &group);
        if (!member)
                return;
        take_member_of(entry, member);
        take_members(reading, entry, member);
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

static int compare_members(const void *a, const void *b)
{
        return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static struct member *find_entry(const struct reading *reading, char *key)
{
        struct member wanted = {.key = key};

        return bsearch(&wanted, reading->entries.at, reading->entries.count, sizeof(wanted), compare_members);
}

static struct msg_person *person_of(struct reading *reading, const struct member *member)
{
        return &reading->people.list.at[member->place];
}

static bool is_group_of_file(struct reading *reading, const struct member *member)
{
        return member && *msg_text(person_of(reading, member)->kind);
}

/* Who is named as a member is in the group by its DN. */
static void join_members(struct reading *reading, const struct member *group)
{
        for (size_t i = 0; i < group->members.count; i++) {
                const struct member *found = find_entry(reading, group->members.at[i]);

                if (found)
                        add_group(person_of(reading, found), person_of(reading, group)->dn);
        }
}

/* What memberOf names is a group of the file, or else known by the name that people give it. */
static void join_groups(struct reading *reading, const struct member *member)
{
        for (size_t i = 0; i < member->groups.count; i++) {
                char *key CLEANUP(mem_freep) = key_of(bytes_text(member->groups.at[i]));
                const struct member *found = key ? find_entry(reading, key) : NULL;
                CLEANUP(dn_done) struct dn dn = {0};

                if (is_group_of_file(reading, found))
                        add_group(person_of(reading, member), person_of(reading, found)->dn);
                else if (key && dn_parse(bytes_text(member->groups.at[i]), &dn) == 0) {
                        char *name CLEANUP(mem_freep) = group_name(&dn);

                        add_group(person_of(reading, member), name);
                }
        }
}

static void join(struct reading *reading)
{
        if (reading->entries.count)
                qsort(reading->entries.at, reading->entries.count, sizeof(*reading->entries.at), compare_members);
        for (size_t i = 0; i < reading->entries.count; i++) {
                join_members(reading, &reading->entries.at[i]);
                join_groups(reading, &reading->entries.at[i]);
        }
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
        join(&reading);
        *ret_people = reading.people;
        reading.people = (struct people){0};
        return 0;
}
