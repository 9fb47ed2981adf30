/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "ldap/filter.h"
#include "ldap/schema.h"

#define UUID "6ba7b814-9dad-11d1-80b4-00c04fd430c8"
#define TEXT(text)                                                                                           \
        {                                                                                                    \
                (const uint8_t *)(text), sizeof(text) - 1                                                    \
        }

static struct schema schema_of(const char *preset, const char *key, const char *value)
{
        CLEANUP(config_done) struct config config = {0};
        CLEANUP(mem_freep)
        char *text =
            text_format("[server]\norganisation = x\nhost-names = y\n[directory]\nschema = %s\n%s%s%s\n",
                        preset, key, *key ? " = " : "", value);
        struct schema schema;

        assert_int_equal(config_parse("test", text, &config), 0);
        assert_int_equal(schema_init(&config, &schema), 0);
        return schema;
}

/* An entry of attributes with one value each; the same name again adds a value. */
struct given {
        const char *type;
        struct bytes value;
};

static struct ldap_entry entry_of(const char *dn, const struct given *given)
{
        struct ldap_entry entry = {.dn = text_copy(dn)};

        for (; given->type; given++) {
                struct ldap_attribute *attribute =
                    (struct ldap_attribute *)(uintptr_t)ldap_entry_find(&entry, given->type);

                if (!attribute) {
                        entry.attributes = mem_resize(entry.attributes, entry.count + 1, sizeof(*attribute));
                        attribute = &entry.attributes[entry.count++];
                        *attribute = (struct ldap_attribute){.type = text_copy(given->type)};
                }
                attribute->values = mem_resize(attribute->values, attribute->count + 1, sizeof(struct bytes));
                attribute->values[attribute->count++] = given->value;
        }
        return entry;
}

static int person(const char *preset, const char *dn, const struct given *given,
                  struct msg_directory_page *findings, struct msg_person *ret_person)
{
        CLEANUP(schema_done) struct schema schema = schema_of(preset, "", "");
        CLEANUP(ldap_entry_done) struct ldap_entry entry = entry_of(dn, given);

        return schema_person(&schema, &entry, findings, ret_person);
}

static void people_of_openldap(void **state)
{
        MSG_OWN(directory_page) findings = {0};
        MSG_OWN(person) one = {0};
        static const struct given given[] = {
            {"entryuuid", TEXT(UUID)},          {"cn", TEXT("Hans")},
            {"cn", TEXT("Müller, Hans")},       {"sn", TEXT(" Müller ")},
            {"givenname", TEXT("Hans")},        {"mail", TEXT("Hans@Example.ORG")},
            {"mail", TEXT("hans@example.org")}, {"mail", TEXT("h.m@example.org")},
            {"mailhost", TEXT("mail1")},        {"preferredlanguage", TEXT("de")},
            {"nsaccountlock", TEXT("TRUE")},    {NULL, {0}},
        };

        assert_int_equal(
            person("inetorgperson", "cn=Müller\\2C Hans,ou=Süd,ou=Vertrieb,o=x", given, &findings, &one), 0);
        assert_string_equal(one.guid, "6ba7b8149dad11d180b400c04fd430c8");
        assert_string_equal(one.name, "Müller, Hans");
        assert_string_equal(one.surname, "Müller");
        assert_int_equal(one.addresses.count, 2);
        assert_string_equal(one.addresses.at[0], "hans@example.org");
        assert_string_equal(one.unit, "Vertrieb/Süd");
        assert_string_equal(one.home_server, "mail1");
        assert_string_equal(one.language, "de");
        assert_string_equal(one.dn, "cn=Müller\\2C Hans,ou=Süd,ou=Vertrieb,o=x");
        assert_true(one.disabled);
        assert_int_equal(findings.findings.count, 0);
}

static void people_of_active_directory(void **state)
{
        MSG_OWN(directory_page) findings = {0};
        MSG_OWN(person) one = {0};
        static const struct given given[] = {
            {"objectguid", TEXT("\x14\xb8\xa7\x6b\xad\x9d\xd1\x11\x80\xb4\x00\xc0\x4f\xd4\x30\xc8")},
            {"displayname", TEXT("Ann Archer")},
            {"cn", TEXT("aarcher")},
            {"mail", TEXT("ann@example.org")},
            {"proxyaddresses", TEXT("SMTP:ann@example.org")},
            {"proxyaddresses", TEXT("smtp:a.archer@example.org")},
            {"proxyaddresses", TEXT("X500:/o=x/cn=ann")},
            {"proxyaddresses", TEXT("sip:ann@example.org")},
            {"useraccountcontrol", TEXT("514")},
            {"msexchhomeservername", TEXT("/o=Org/ou=Site/cn=Configuration/cn=Servers/cn=MAIL1")},
            {NULL, {0}},
        };

        assert_int_equal(person("ad", "CN=aarcher,OU=Sales,DC=example", given, &findings, &one), 0);
        assert_string_equal(one.guid, "6ba7b8149dad11d180b400c04fd430c8");
        assert_string_equal(one.name, "Ann Archer");
        assert_int_equal(one.addresses.count, 2);
        assert_string_equal(one.addresses.at[1], "a.archer@example.org");
        assert_string_equal(one.home_server, "MAIL1");
        assert_string_equal(one.unit, "Sales");
        assert_true(one.disabled);
        assert_int_equal(findings.findings.count, 0);
}

static void accounts_expire(void **state)
{
        static const struct {
                const char *time;
                bool over;
        } cases[] = {{"0", false},   {"9223372036854775807", false}, {"132223104000000000", true}, /* 2020 */
                     {"1", true},    {"252455616000000000", false},  /* 2401 */
                     {"-1", false},  {"18446744073709551616", false}, {"never", false}, {"", false}};

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                MSG_OWN(directory_page) findings = {0};
                MSG_OWN(person) one = {0};
                const struct given given[] = {
                    {"objectguid", TEXT("\x14\xb8\xa7\x6b\xad\x9d\xd1\x11\x80\xb4\x00\xc0\x4f\xd4\x30\xc8")},
                    {"cn", TEXT("aarcher")},
                    {"mail", TEXT("ann@example.org")},
                    {"useraccountcontrol", TEXT("512")},
                    {"accountexpires", bytes_text(cases[i].time)},
                    {NULL, {0}},
                };

                assert_int_equal(person("ad", "CN=aarcher,DC=example", given, &findings, &one), 0);
                assert_int_equal(one.disabled, cases[i].over);
        }
}

/* Each is refused, or taken without what is wrong with it and with a finding. */
static void lies_are_findings(void **state)
{
        static const struct {
                const char *dn, *words;
                struct given given[5];
                int result;
        } cases[] = {
            {"cn=a", "no entryUUID", {{"cn", TEXT("a")}, {"mail", TEXT("a@x.org")}}, PROBLEM_MALFORMED},
            {"cn=a",
             "more than one",
             {{"entryuuid", TEXT(UUID)}, {"entryuuid", TEXT(UUID)}},
             PROBLEM_MALFORMED},
            {"cn=a",
             "no known form",
             {{"entryuuid", TEXT("x\0y")}, {"mail", TEXT("a@x.org")}},
             PROBLEM_MALFORMED},
            {"cn=a",
             "no known form",
             {{"entryuuid", TEXT("00000000-0000-0000-0000-000000000000")}},
             PROBLEM_MALFORMED},
            {"cn=a", "no mail address.", {{"entryuuid", TEXT(UUID)}, {"cn", TEXT("a")}}, PROBLEM_NOT_FOUND},
            {"cn=a",
             "that can be used",
             {{"entryuuid", TEXT(UUID)}, {"cn", TEXT("a")}, {"mail", TEXT("a@x.org\nBcc: b@x.org")}},
             PROBLEM_MALFORMED},
            {"cn=a",
             "that can be used",
             {{"entryuuid", TEXT(UUID)}, {"cn", TEXT("a")}, {"mail", TEXT("a\0@x.org")}},
             PROBLEM_MALFORMED},
            {"cn=a",
             "no name",
             {{"entryuuid", TEXT(UUID)}, {"cn", TEXT("\x30\x82\x01\xff")}, {"mail", TEXT("a@x.org")}},
             PROBLEM_MALFORMED},
            {"cn=a",
             "no name",
             {{"entryuuid", TEXT(UUID)}, {"cn", TEXT("a\x1b[31m")}, {"mail", TEXT("a@x.org")}},
             PROBLEM_MALFORMED},
            {"cn=a",
             "no name",
             {{"entryuuid", TEXT(UUID)},
              {"cn", TEXT("a\xe2\x80\xae"
                          "b")},
              {"mail", TEXT("a@x.org")}},
             PROBLEM_MALFORMED},
            {"", "DN is empty", {{"entryuuid", TEXT(UUID)}}, PROBLEM_MALFORMED},
            {"nonsense", "type=value", {{"entryuuid", TEXT(UUID)}}, PROBLEM_MALFORMED},
            {"cn=\x01", "DN holds control", {{"entryuuid", TEXT(UUID)}}, PROBLEM_MALFORMED},
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                MSG_OWN(directory_page) findings = {0};
                MSG_OWN(person) one = {0};
                int r = person("inetorgperson", cases[i].dn, cases[i].given, &findings, &one);

                if (r != cases[i].result || !strstr(report_text(), cases[i].words))
                        fail_msg("case %zu: %d %s", i, r, report_text());
        }
}

static void what_is_wrong_is_left_out(void **state)
{
        MSG_OWN(directory_page) findings = {0};
        MSG_OWN(person) one = {0};
        static const struct given given[] = {
            {"entryuuid", TEXT(UUID)},
            {"cn", TEXT("a")},
            {"sn", TEXT("\xff\xfe")},
            {"givenname", TEXT("a\0b")},
            {"mail", TEXT("no address")},
            {"mail", TEXT("good@x.org")},
            {"preferredlanguage", TEXT("a language that is longer than any tag may be")},
            {NULL, {0}},
        };

        assert_int_equal(person("inetorgperson", "cn=a", given, &findings, &one), 0);
        assert_null(one.surname);
        assert_null(one.given_name);
        assert_null(one.language);
        assert_int_equal(one.addresses.count, 1);
        assert_int_equal(findings.findings.count, 4);
        assert_string_equal(findings.findings.at[0].subject, "cn=a");
}

static void long_names(void **state)
{
        CLEANUP(mem_freep)
        char *name = text_format("%0300d", 7), *dn = text_format("cn=a,ou=%01990d", 7),
             *too_long = text_format("cn=a,ou=%02100d", 7);
        struct given given[] = {
            {"entryuuid", TEXT(UUID)}, {"cn", bytes_text(name)}, {"mail", TEXT("a@x.org")}, {NULL, {0}}};
        MSG_OWN(directory_page) findings = {0};
        MSG_OWN(person) one = {0};

        assert_int_equal(person("inetorgperson", dn, given, &findings, &one), 0);
        assert_string_equal(one.name, name);
        assert_string_equal(one.dn, dn);
        assert_int_equal(person("inetorgperson", too_long, given, &findings, &one), PROBLEM_MALFORMED);
        assert_non_null(strstr(report_text(), "too long"));
}

static void many_addresses(void **state)
{
        CLEANUP(schema_done) struct schema schema = schema_of("inetorgperson", "", "");
        struct given given[44] = {{"entryuuid", TEXT(UUID)}, {"cn", TEXT("a")}};
        char addresses[40][32];
        MSG_OWN(directory_page) findings = {0};
        MSG_OWN(person) one = {0};

        for (size_t i = 0; i < 40; i++) {
                snprintf(addresses[i], sizeof(addresses[i]), "a%zu@x.org", i);
                given[2 + i] = (struct given){"mail", bytes_text(addresses[i])};
        }
        assert_int_equal(person("inetorgperson", "cn=a", given, &findings, &one), 0);
        assert_int_equal(one.addresses.count, 32);
        assert_int_equal(findings.findings.count, 8);
}

static void parts_are_overridden(void **state)
{
        CLEANUP(schema_done)
        struct schema schema = schema_of("inetorgperson", "mail-attribute", "rfc822 mail");
        CLEANUP(schema_done)
        struct schema filtered = schema_of("inetorgperson", "people-filter", "(&(a=b)\n (c=d))");
        CLEANUP(buf_done) struct buf filter = BUF_NONE;

        assert_string_equal(schema.mail.at[0], "rfc822");
        assert_string_equal(schema.mail.at[1], "mail");
        schema_filter_add(&filtered, false, bytes_text("(e=f)"), &filter);
        assert_string_equal(buf_text(&filter), "(&(&(a=b) (c=d))(e=f))");
}

static void ids_are_found_again(void **state)
{
        static const struct {
                const char *preset, *key, *value, *filter;
        } cases[] = {
            {"inetorgperson", "", "", "(entryUUID=6ba7b814-9dad-11d1-80b4-00c04fd430c8)"},
            {"inetorgperson", "id-attribute", "nsUniqueId",
             "(nsUniqueId=6ba7b814-9dad11d1-80b400c0-4fd430c8)"},
            {"ad", "", "", "(objectGUID=\\14\\b8\\a7k\\ad\\9d\\d1\\11\\80\\b4\\00\\c0O\\d40\\c8)"},
        };
        struct id id;

        assert_int_equal(id_parse(bytes_text(UUID), &id), 0);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                CLEANUP(schema_done)
                struct schema schema = schema_of(cases[i].preset, cases[i].key, cases[i].value);
                CLEANUP(buf_done) struct buf filter = BUF_NONE;

                schema_id_filter_add(&schema, &id, &filter);
                assert_string_equal(buf_text(&filter), cases[i].filter);
                assert_int_equal(filter_check(buf_view(&filter)), 0);
        }
}

static void members_come_in_parts(void **state)
{
        static const struct given part[] = {{"member;range=0-1", TEXT("cn=a")},
                                            {"member;range=0-1", TEXT("cn=b")},
                                            {"memberx", TEXT("cn=no")},
                                            {NULL, {0}}};
        static const struct given last[] = {{"member", {0}}, {"member;range=2-*", TEXT("cn=c")}, {NULL, {0}}};
        CLEANUP(schema_done) struct schema schema = schema_of("ad", "", "");
        CLEANUP(ldap_entry_done)
        struct ldap_entry first = entry_of("cn=g", part), second = entry_of("cn=g", last);
        struct schema_members cursor = {0};
        struct bytes member;

        assert_true(schema_member_next(&schema, &first, &cursor, &member) &&
                    bytes_equal(member, bytes_text("cn=a")));
        assert_true(schema_member_next(&schema, &first, &cursor, &member) &&
                    bytes_equal(member, bytes_text("cn=b")));
        assert_false(schema_member_next(&schema, &first, &cursor, &member));
        assert_int_equal(schema_members_more(&schema, &first), 2);
        assert_int_equal(schema_members_more(&schema, &second), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(people_of_openldap),
            cmocka_unit_test(people_of_active_directory),
            cmocka_unit_test(accounts_expire),
            cmocka_unit_test(lies_are_findings),
            cmocka_unit_test(what_is_wrong_is_left_out),
            cmocka_unit_test(long_names),
            cmocka_unit_test(many_addresses),
            cmocka_unit_test(parts_are_overridden),
            cmocka_unit_test(ids_are_found_again),
            cmocka_unit_test(members_come_in_parts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
