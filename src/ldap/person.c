/* SPDX-License-Identifier: Apache-2.0 */
/* From an entry to a person or a group. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/dn.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "ldap/schema.h"

enum {
        DN_MOST = 2048,
        NAME_MOST = 1024,
        GIVEN_NAME_MOST = 512,
        UNIT_MOST = 2048,
        SERVER_MOST = 255,
        LANGUAGE_MOST = 35,
        ADDRESSES_MOST = 32,
        FINDINGS_MOST = 500,
        AD_ACCOUNT_DISABLED = 2,
};
#define AD_EPOCH INT64_C(11644473600) /* seconds from 1601 to 1970 */

struct reading {
        const struct schema *schema;
        const struct ldap_entry *entry;
        struct msg_directory_page *page;
        struct dn dn;
};

static void reading_done(struct reading *reading)
{
        dn_done(&reading->dn);
}

/* ---- findings ---------------------------------------------------------------------------------------------
 */

void schema_finding_add(struct msg_directory_page *page, const char *severity, const char *dn,
                        const char *detail)
{
        CLEANUP(buf_done) struct buf subject = BUF_NONE, words = BUF_NONE;
        struct msg_finding *finding;

        if (page->findings.count == FINDINGS_MOST)
                return;
        text_add_printable(&subject, bytes_text(dn), 500);
        text_add_printable(&words, bytes_text(detail), 1000);
        finding = MSG_LIST_ADD(page->findings);
        finding->severity = text_copy(severity);
        finding->subject = text_copy(buf_text(&subject));
        finding->detail = text_copy(buf_text(&words));
}

static void note(const struct reading *reading, const char *attribute, const char *what)
{
        CLEANUP(mem_freep) char *detail = text_format("%s %s, and was left out.", attribute, what);

        schema_finding_add(reading->page, "note", reading->entry->dn, detail);
}

/* ---- values -----------------------------------------------------------------------------------------------
 */

static struct bytes trimmed(struct bytes value)
{
        while (value.len && value.data[0] == ' ')
                value = bytes_of(value.data + 1, value.len - 1);
        while (value.len && value.data[value.len - 1] == ' ')
                value.len--;
        return value;
}

/* NULL when it is fit to be shown and signed; else what is wrong with it. */
static const char *text_fault(struct bytes value, size_t most)
{
        if (!text_is_utf8(value))
                return "is no text (UTF-8)";
        if (!text_is_printable(value))
                return "holds control characters";
        return value.len > most ? "is too long" : NULL;
}

/* The first value of the first attribute that has one that can be used; NULL. */
static char *first_text(const struct reading *reading, const struct schema_names *names, size_t most)
{
        for (char **name = names->at; *name; name++) {
                const struct ldap_attribute *attribute = ldap_entry_find(reading->entry, *name);

                for (size_t i = 0; attribute && i < attribute->count; i++) {
                        struct bytes value = trimmed(attribute->values[i]);
                        const char *fault = text_fault(value, most);

                        if (!fault && value.len)
                                return text_copy_n((const char *)value.data, value.len);
                        if (fault)
                                note(reading, *name, fault);
                }
        }
        return NULL;
}

/* Servers give values in any order. Of several names the one that the entry is named by. */
static char *name_of(const struct reading *reading)
{
        const struct dn_part *own = &reading->dn.parts[0];

        for (char **name = reading->schema->name.at; *name; name++) {
                const struct ldap_attribute *attribute = ldap_entry_find(reading->entry, *name);

                for (size_t i = 0; attribute && attribute->count > 1 && i < attribute->count; i++)
                        if (text_equal_ignoring_case(own->type, *name) &&
                            !text_fault(attribute->values[i], NAME_MOST) &&
                            bytes_equal(trimmed(attribute->values[i]), bytes_text(own->value)))
                                return text_copy(own->value);
        }
        return first_text(reading, &reading->schema->name, NAME_MOST);
}

static void address_note(const struct reading *reading, const char *name, struct bytes value)
{
        CLEANUP(buf_done) struct buf shown = BUF_NONE;
        CLEANUP(mem_freep) char *what = NULL;

        text_add_printable(&shown, value, 100);
        what = text_format("\"%s\" is no mail address", buf_text(&shown));
        note(reading, name, what);
}

static void address_take(const struct reading *reading, const char *name, struct bytes value,
                         struct msg_person *person)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        const uint8_t *colon = value.len ? memchr(value.data, ':', value.len) : NULL;

        /* proxyAddresses: "SMTP:main@…", "smtp:other@…", "X500:…", "sip:…" */
        if (colon) {
                if (colon - value.data != 4 || strncasecmp((const char *)value.data, "smtp", 4) != 0)
                        return;
                value = bytes_of(colon + 1, value.len - 5);
        }
        if (address_parse(trimmed(value), &key))
                return address_note(reading, name, value);
        if (msg_texts_have(&person->addresses, buf_text(&key)))
                return;
        if (person->addresses.count == ADDRESSES_MOST)
                return note(reading, name, "is one of more than 32 addresses");
        msg_texts_add(&person->addresses, buf_text(&key));
}

/* Whether it has any, usable or not. */
static bool addresses_take(const struct reading *reading, struct msg_person *person)
{
        bool any = false;

        for (char **name = reading->schema->mail.at; *name; name++) {
                const struct ldap_attribute *attribute = ldap_entry_find(reading->entry, *name);

                for (size_t i = 0; attribute && i < attribute->count; i++) {
                        address_take(reading, *name, attribute->values[i], person);
                        any = true;
                }
        }
        return any;
}

/* The last name of "/o=…/cn=Servers/cn=MAIL1", or the whole. */
static char *server_of(const struct reading *reading)
{
        CLEANUP(mem_freep) char *text = first_text(reading, &reading->schema->server, 1024);
        const char *last = text ? strrchr(text, '=') : NULL;

        last = last ? last + 1 : text;
        return last && *last && strlen(last) <= SERVER_MOST ? text_copy(last) : NULL;
}

static char *unit_of(const struct reading *reading)
{
        CLEANUP(buf_done) struct buf unit = BUF_NONE;

        if (*reading->schema->unit.at)
                return first_text(reading, &reading->schema->unit, UNIT_MOST);
        for (size_t i = reading->dn.count; i-- > 0;)
                if (strcmp(reading->dn.parts[i].type, "ou") == 0)
                        buf_add_format(&unit, "%s%s", unit.len ? "/" : "", reading->dn.parts[i].value);
        if (!unit.len || !text_fault(buf_view(&unit), UNIT_MOST))
                return unit.len ? text_copy(buf_text(&unit)) : NULL;
        note(reading, "the unit of its name", text_fault(buf_view(&unit), UNIT_MOST));
        return NULL;
}

/* Of a time as Active Directory has it, in 100 ns since 1601; 0 and the last one are never ([MS-ADA1] 2.1). */
static bool is_over(const char *text)
{
        uint64_t time = 0;

        return number_parse(bytes_text(text), INT64_MAX, &time) == 0 && time && time < INT64_MAX &&
               (int64_t)(time / 10000000) - AD_EPOCH <= clock_now();
}

/* userAccountControl has a bit for it, accountExpires a time; pwdAccountLockedTime has this value for "until an administrator says
 * otherwise" (draft-behera-ldap-password-policy 5.3.3), and times for what ends by itself; the others are
 * true or false. */
static bool value_disables(const char *name, struct bytes value)
{
        CLEANUP(mem_freep) char *text = text_copy_n((const char *)value.data, value.len);

        if (text_equal_ignoring_case(name, "userAccountControl"))
                return strtoul(text, NULL, 10) & AD_ACCOUNT_DISABLED;
        if (text_equal_ignoring_case(name, "accountExpires"))
                return is_over(text);
        if (text_equal_ignoring_case(name, "pwdAccountLockedTime"))
                return strcmp(text, "000001010000Z") == 0;
        return text_equal_ignoring_case(text, "true") || text_equal_ignoring_case(text, "yes") ||
               strcmp(text, "1") == 0;
}

static bool disabled_of(const struct reading *reading)
{
        for (char **name = reading->schema->disabled.at; *name; name++) {
                const struct ldap_attribute *attribute = ldap_entry_find(reading->entry, *name);

                for (size_t i = 0; attribute && i < attribute->count; i++)
                        if (attribute->values[i].len && attribute->values[i].len < 64 &&
                            value_disables(*name, attribute->values[i]))
                                return true;
        }
        return false;
}

/* ---- id and name ------------------------------------------------------------------------------------------
 */

int schema_id_of(const struct schema *schema, const struct ldap_entry *entry, struct id *ret_id)
{
        const struct ldap_attribute *attribute = ldap_entry_find(entry, schema->id);
        CLEANUP(buf_done) struct buf digits = BUF_NONE;
        struct bytes value;
        struct id id;
        int r;

        if (!attribute || attribute->count != 1)
                return refuse(PROBLEM_MALFORMED, "It has %s %s, by which it could be known again.",
                              attribute ? "more than one" : "no", schema->id);
        value = attribute->values[0];
        for (size_t i = 0; schema->id_form == SCHEMA_ID_389 && i < value.len && i < 64; i++)
                if (value.data[i] != '-')
                        buf_add_byte(&digits, value.data[i]);
        if (schema->id_form == SCHEMA_ID_ACTIVE_DIRECTORY)
                r = id_from_active_directory(value, &id);
        else
                r = id_parse(schema->id_form == SCHEMA_ID_389 ? buf_view(&digits) : value, &id);
        if (r || id_is_none(&id))
                return refuse(PROBLEM_MALFORMED, "Its %s is of no known form.", schema->id);
        *ret_id = id;
        return 0;
}

static int dn_take(struct reading *reading, struct msg_person *person)
{
        struct bytes text = bytes_text(reading->entry->dn);

        if (!text.len || text_fault(text, DN_MOST))
                return refuse(PROBLEM_MALFORMED, "Its DN %s.",
                              text.len ? text_fault(text, DN_MOST) : "is empty");
        TRY(dn_parse(text, &reading->dn));
        person->dn = text_copy(reading->entry->dn);
        return 0;
}

static int id_take(const struct reading *reading, struct msg_person *person)
{
        char text[ID_TEXT_SIZE];
        struct id id;

        TRY(schema_id_of(reading->schema, reading->entry, &id));
        person->guid = text_copy(id_text(&id, text));
        return 0;
}

/* ---- whole entries ----------------------------------------------------------------------------------------
 */

int schema_person(const struct schema *schema, const struct ldap_entry *entry,
                  struct msg_directory_page *findings, struct msg_person *ret_person)
{
        CLEANUP(reading_done) struct reading reading = {.schema = schema, .entry = entry, .page = findings};
        MSG_OWN(person) person = {0};

        TRY(dn_take(&reading, &person));
        TRY(id_take(&reading, &person));
        if (!addresses_take(&reading, &person))
                return refuse(PROBLEM_NOT_FOUND, "It has no mail address.");
        if (!person.addresses.count)
                return refuse(PROBLEM_MALFORMED, "It has no mail address that can be used.");
        person.name = name_of(&reading);
        if (!person.name)
                return refuse(PROBLEM_MALFORMED, "It has no name that can be used.");
        person.given_name = first_text(&reading, &schema->given_name, GIVEN_NAME_MOST);
        person.surname = first_text(&reading, &schema->surname, GIVEN_NAME_MOST);
        person.unit = unit_of(&reading);
        person.home_server = server_of(&reading);
        person.language = first_text(&reading, &schema->language, LANGUAGE_MOST);
        person.disabled = disabled_of(&reading);
        *ret_person = person;
        person = (struct msg_person){0};
        return 0;
}

int schema_group(const struct schema *schema, const struct ldap_entry *entry,
                 struct msg_directory_page *findings, struct msg_person *ret_group)
{
        static char *const cn[] = {(char *)(uintptr_t) "cn", NULL};
        CLEANUP(reading_done) struct reading reading = {.schema = schema, .entry = entry, .page = findings};
        const struct schema_names names = {(char **)(uintptr_t)cn};
        MSG_OWN(person) group = {.kind = text_copy("group")};

        TRY(dn_take(&reading, &group));
        TRY(id_take(&reading, &group));
        group.name = first_text(&reading, &names, NAME_MOST);
        if (!group.name)
                return refuse(PROBLEM_MALFORMED, "It has no name that can be used.");
        group.unit = unit_of(&reading);
        *ret_group = group;
        group = (struct msg_person){0};
        return 0;
}

/* ---- members ----------------------------------------------------------------------------------------------
 */

/* "member" or "member;range=…" for one of the schema's attributes. */
static bool is_member_attribute(const struct schema *schema, const char *type)
{
        size_t len = strcspn(type, ";");

        for (char **name = schema->member.at; *name; name++)
                if (strlen(*name) == len && strncasecmp(*name, type, len) == 0)
                        return true;
        return false;
}

bool schema_member_next(const struct schema *schema, const struct ldap_entry *entry,
                        struct schema_members *cursor, struct bytes *ret_member)
{
        for (; cursor->attribute < entry->count; cursor->attribute++, cursor->value = 0) {
                const struct ldap_attribute *attribute = &entry->attributes[cursor->attribute];

                if (is_member_attribute(schema, attribute->type) && cursor->value < attribute->count) {
                        *ret_member = attribute->values[cursor->value++];
                        return true;
                }
        }
        return false;
}

/* "member;range=0-1499", and "member;range=1500-*" for the last part ([MS-ADTS] 3.1.1.3.1.3.3). */
uint64_t schema_members_more(const struct schema *schema, const struct ldap_entry *entry)
{
        for (size_t i = 0; i < entry->count; i++) {
                const char *range = strstr(entry->attributes[i].type, ";range=");
                const char *dash = range ? strchr(range, '-') : NULL;
                uint64_t last;

                if (dash && is_member_attribute(schema, entry->attributes[i].type) &&
                    entry->attributes[i].count && number_parse(bytes_text(dash + 1), 1 << 30, &last) == 0)
                        return last + 1;
        }
        return 0;
}
