/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What people and groups of a directory look like: a preset (inetOrgPerson with groupOfNames, or Active
 * Directory), each part of which the configuration may override. Pure but for the clock, by which accounts
 * expire: entries in, people out; and the filters by which they are found.
 *
 * Nothing of an entry is believed. What cannot be right is left out with a finding that says why; without a
 * stable id, a name that can be read, and for people an address, the entry is not taken at all.
 */
#include "config/config.h"
#include "ldap/entry.h"
#include "model/id.h"
#include "wire/message.h"

enum schema_id { SCHEMA_ID_UUID, SCHEMA_ID_ACTIVE_DIRECTORY, SCHEMA_ID_389 };

/* Attributes of which the first that an entry has counts; ended by NULL. */
struct schema_names {
        char **at;
};

struct schema {
        char *id;
        enum schema_id id_form;
        struct schema_names name, given_name, surname, mail, unit, server, disabled, member, language;
        char *people_filter, *group_filter;
        char **person_attributes, **group_attributes; /* what to ask for; ended by NULL */
};

/* PROBLEM_CONFIGURATION: a filter is none. */
int schema_init(const struct config *config, struct schema *ret_schema) must_check;
void schema_done(struct schema *schema);

/* Append "(&PEOPLE EXTRA)", with `groups` of groups, and without EXTRA when it is empty. */
void schema_filter_add(const struct schema *schema, bool groups, struct bytes extra, struct buf *out);
/* Append "(id=…)" for this id. */
void schema_id_filter_add(const struct schema *schema, const struct id *id, struct buf *out);

/* The id of an entry. PROBLEM_MALFORMED says what is wrong with it. */
int schema_id_of(const struct schema *schema, const struct ldap_entry *entry, struct id *ret_id) must_check;

/* A finding about an entry, its DN as far as it can be shown. */
void schema_finding_add(struct msg_directory_page *page, const char *severity, const char *dn,
                        const char *detail);

/*
 * The person (or the group) of an entry, but for `groups`. What was left out of it is added to the page's
 * findings. PROBLEM_NOT_FOUND: it has no mail address, which is nothing wrong. PROBLEM_MALFORMED, TOO_LARGE:
 * not taken, and why.
 */
int schema_person(const struct schema *schema, const struct ldap_entry *entry,
                  struct msg_directory_page *findings, struct msg_person *ret_person) must_check;
int schema_group(const struct schema *schema, const struct ldap_entry *entry,
                 struct msg_directory_page *findings, struct msg_person *ret_group) must_check;

/*
 * The members of a group, one after the other: schema_member_next() is false at the end. Active Directory gives
 * many members in parts ("member;range=0-1499"); schema_members_more() says where the next part begins, 0 when there
 * is none.
 */
struct schema_members {
        size_t attribute, value;
};
bool schema_member_next(const struct schema *schema, const struct ldap_entry *entry,
                        struct schema_members *cursor, struct bytes *ret_member);
uint64_t schema_members_more(const struct schema *schema, const struct ldap_entry *entry);
