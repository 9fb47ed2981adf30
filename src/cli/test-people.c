/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/dn.h"
#include "cli/people.h"

static struct people ldif(const char *text)
{
        struct people people = {0};

        assert_int_equal(people_from_ldif(bytes_text(text), &people), 0);
        return people;
}

static struct people csv(const char *text)
{
        struct people people = {0};

        assert_int_equal(people_from_csv(bytes_text(text), &people), 0);
        return people;
}

static void folded_encoded_and_commented(void **state)
{
        struct people people =
            ldif("version: 1\n"
                 "# a comment\n  that goes on\n"
                 "dn: cn=Ann\\, B.,ou=Berlin,ou=Sa\n les,o=Example\r\n"
                 "objectClass: inetOrgPerson\n"
                 "cn:: Wm/DqyAi8J+YgCI=\n"
                 "entryUUID: 6BA7B814-9DAD-11D1-80B4-00C04FD430C8\n"
                 "mail: ANN@Example.ORG\nmail: ann@example.org\nproxyAddresses: smtp:boss@example.org\n"
                 "jpegPhoto:< file:///etc/passwd\n"
                 "userCertificate;binary:: AAEC\n\n\n");

        assert_int_equal(people.list.count, 1);
        assert_string_equal(people.list.at[0].name, "Zoë \"😀\"");
        assert_string_equal(people.list.at[0].guid, "6ba7b814-9dad-11d1-80b4-00c04fd430c8");
        assert_string_equal(people.list.at[0].unit, "Sales/Berlin");
        assert_int_equal(people.list.at[0].addresses.count, 1);
        assert_string_equal(people.list.at[0].addresses.at[0], "ann@example.org");
        assert_int_equal(people.notes.count, 0);
        people_done(&people);
}

static void memberships_of_groups_of_the_file(void **state)
{
        struct people people =
            ldif("dn: cn=a,dc=x\nobjectClass: person\npreferredLanguage: de\nmail: a@x.org\nmemberOf: CN=G, dc=X\n\n"
                 "dn: cn=g,dc=x\nobjectClass: group\nmail: g@x.org\n");

        assert_string_equal(people.list.at[0].language, "de");
        assert_string_equal(people.list.at[0].groups.at[0], "cn=g,dc=x");
        assert_int_equal(people.list.at[1].addresses.count, 0);
        people_done(&people);
        people = csv("kind,name,mail,groups,dn,language\ngroup,All,,Others,,\n,A,a@x.org,All,cn=a,fr\ngroup,,,,,\n");
        assert_int_equal(people.list.count, 2);
        assert_string_equal(people.list.at[0].kind, "group");
        assert_string_equal(people.list.at[0].groups.at[0], "Others");
        assert_string_equal(people.list.at[1].dn, "cn=a");
        assert_string_equal(people.list.at[1].language, "fr");
        assert_int_equal(people.notes.count, 1);
        people_done(&people);
}

static void groups_within_groups(void **state)
{
        struct people people =
            ldif("dn: cn=a,dc=x\nobjectClass: person\ncn: a\nmail: a@x.org\n\n"
                 "dn: cn=b,dc=x\nobjectClass: person\ncn: b\nmail: b@x.org\nmemberOf: cn=Chess\\, old,dc=x\n\n"
                 "dn: cn=inner,dc=x\nobjectClass: groupOfNames\nmember: CN=A, DC=x\nmember: cn=outer,dc=x\n\n"
                 "dn: cn=outer,dc=x\nobjectClass: groupOfNames\nmember: cn=inner,dc=x\nmember: cn=gone,dc=x\n");

        assert_int_equal(people.list.count, 4);
        assert_string_equal(people.list.at[0].dn, "cn=a,dc=x");
        assert_int_equal(people.list.at[0].groups.count, 1); /* the store knows what is in what */
        assert_string_equal(people.list.at[0].groups.at[0], "cn=inner,dc=x");
        assert_int_equal(people.list.at[1].groups.count, 1);
        assert_string_equal(people.list.at[1].groups.at[0], "Chess, old");
        assert_string_equal(people.list.at[2].kind, "group");
        assert_string_equal(people.list.at[2].name, "inner");
        assert_string_equal(people.list.at[2].groups.at[0], "cn=outer,dc=x");
        assert_string_equal(people.list.at[3].groups.at[0], "cn=inner,dc=x");
        people_done(&people);
}

/* Twenty layers of ten groups, each of which holds all of the next. */
static void groups_are_direct(void **state)
{
        CLEANUP(buf_done) struct buf file = BUF_NONE;
        CLEANUP(people_done) struct people people = {0};

        buf_add_text(&file, "dn: cn=A,dc=x\nobjectClass: person\nmail: a@x.org\n");
        for (int layer = 0; layer < 20; layer++)
                for (int group = 0; group < 10; group++) {
                        buf_add_format(&file, "\ndn: cn=g%d-%d,dc=x\nobjectClass: groupOfNames\n", layer, group);
                        for (int below = 0; below < 10; below++)
                                buf_add_format(&file, "member: cn=g%d-%d,dc=x\n", layer + 1, below);
                        if (layer == 15 && group == 0)
                                buf_add_text(&file, "member: cn=A,dc=x\n");
                }
        assert_int_equal(people_from_ldif(buf_view(&file), &people), 0);
        assert_int_equal(people.list.at[0].groups.count, 1);
        assert_int_equal(people.list.at[200].groups.count, 10);
}

static void the_same_name_gives_the_same_guid(void **state)
{
        struct people a = ldif("dn: CN=A,  DC=x\nmail: a@x.org\n"), b = ldif("dn: cn=\\41,dc=x\nmail: other@x.org\n");

        assert_string_equal(a.list.at[0].guid, b.list.at[0].guid);
        assert_int_equal(a.list.at[0].guid[14], '8');
        people_done(&a);
        people_done(&b);
}

static void active_directory(void **state)
{
        struct people people =
            ldif("dn: cn=a,dc=x\nobjectClass: user\ncn: a\nmail: a@x.org\nobjectGUID:: AAECAwQFBgcICQoLDA0ODw==\n"
                 "userAccountControl: 514\nmsExchHomeServerName: /o=X/ou=Y/cn=Servers/cn=MAIL1\n");

        assert_string_equal(people.list.at[0].guid, "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_string_equal(people.list.at[0].home_server, "MAIL1");
        assert_true(people.list.at[0].disabled);
        people_done(&people);
}

static void what_cannot_be_taken_is_noted(void **state)
{
        struct people people = ldif("dn: cn=a,dc=x\nobjectClass: person\ncn: no mail\n\n"
                                    "dn: cn=b,dc=x\nobjectClass: person\nmail: not an address\n\n"
                                    "dn: =broken\nobjectClass: person\nmail: c@x.org\n\n"
                                    "dn: cn=d,dc=x\nobjectClass: person\nmail: d@x.org\n\n"
                                    "dn: cn=e,dc=x\nobjectClass: person\nmail: D@x.org\n\n"
                                    "dn: cn=f,dc=x\nobjectClass: person\ncn: M\xfcller\nmail: f@x.org\n");

        assert_int_equal(people.list.count, 2);
        assert_int_equal(people.notes.count, 6);
        assert_int_equal(people.notes.at[0].line, 1);
        assert_string_equal(people.list.at[1].name, "f@x.org");
        people_done(&people);
}

static void what_is_no_ldif_is_refused_with_its_line(void **state)
{
        static const char *const wrong[] = {"hello\n",
                                            "dn: cn=a\nfoo\n",
                                            "dn: cn=a\nmail:: %%%\n",
                                            "cn: a\n",
                                            "dn: cn=a\ndn: cn=b\n",
                                            "version: 2\ndn: cn=a\n",
                                            "dn: cn=a\nchangetype: delete\n",
                                            "\377\376d"};
        struct people people;

        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                int r = people_from_ldif(bytes_text(wrong[i]), &people);
                assert_true(r == PROBLEM_MALFORMED || r == PROBLEM_UNSUPPORTED);
                assert_true(report_text()[0]);
        }
        assert_int_equal(people_from_ldif(bytes_text("dn: cn=a\nmail: a@x.org\n\ndn: cn=b\nnonsense\n"), &people),
                         PROBLEM_MALFORMED);
        assert_non_null(strstr(report_text(), "Line 5"));
}

static void names_are_taken_apart(void **state)
{
        struct dn dn;

        assert_int_equal(dn_parse(bytes_text("CN = \"Smith, John\" , ou=a\\+b\\ ;dc=\\E4\\BD\\A0"), &dn), 0);
        assert_int_equal(dn.count, 3);
        assert_string_equal(dn.parts[0].value, "Smith, John");
        assert_string_equal(dn.parts[1].value, "a+b ");
        assert_string_equal(dn.parts[2].value, "你");
        dn_done(&dn);
        assert_int_equal(dn_parse(bytes_text("cn=a,"), &dn), PROBLEM_MALFORMED);
        assert_int_equal(dn_parse(bytes_text("cn=a\\"), &dn), PROBLEM_MALFORMED);
        assert_int_equal(dn_parse(bytes_text("cn=\\ff"), &dn), PROBLEM_MALFORMED);
        assert_int_equal(dn_parse(bytes_text("cn=admins\\00x"), &dn), PROBLEM_MALFORMED); /* not cn=admins */
        assert_int_equal(dn_parse(bytes_text(""), &dn), PROBLEM_MALFORMED);
}

static void tables_of_offices(void **state)
{
        struct people people = csv("\xef\xbb\xbfName;Mail;Groups;Colour;Disabled\r\n"
                                   "\"O'Neil; \"\"Shaq\"\"\";shaq@x.org;a|b|a;red;no\r\n"
                                   "\r\n"
                                   "\"two\nlines\";l@x.org;;;yes\r\n"
                                   "short;row\r\n"
                                   "last;last@x.org;;;");

        assert_int_equal(people.list.count, 3);
        assert_string_equal(people.list.at[0].name, "O'Neil; \"Shaq\"");
        assert_int_equal(people.list.at[0].groups.count, 2);
        assert_true(people.list.at[1].disabled);
        assert_int_equal(people.notes.count, 2);
        assert_int_equal(people.notes.at[1].line, 6);
        people_done(&people);
        assert_int_equal(people_from_csv(bytes_text("a,b\n1,2\n"), &people), PROBLEM_MALFORMED);
        assert_int_equal(people_from_csv(bytes_text("mail\n\"open\n"), &people), PROBLEM_MALFORMED);
        assert_int_equal(people_from_csv(bytes_text("mail\n\"a\"b\n"), &people), PROBLEM_MALFORMED);
        assert_int_equal(people_from_csv(bytes_text(""), &people), PROBLEM_MALFORMED);
}

/* Whatever stays the same says who it is; what cannot be an id is not replaced by one from the address. */
static void ids_of_tables(void **state)
{
        CLEANUP(buf_done) struct buf file = BUF_NONE;
        CLEANUP(people_done) struct people people = {0};

        buf_add_text(&file, "mail,guid\na@x.org, E-4711 \nb@x.org,{6BA7B814-9DAD-11D1-80B4-00C04FD430C8}\nc@x.org,\nd@x.org,");
        for (int i = 0; i < 65; i++)
                buf_add_byte(&file, '1');
        buf_add_text(&file, "\ne@x.org,E-4711\n");
        assert_int_equal(people_from_csv(buf_view(&file), &people), 0);
        assert_int_equal(people.list.count, 3);
        assert_string_equal(people.list.at[0].guid, "E-4711");
        assert_string_equal(people.list.at[1].guid, "6ba7b814-9dad-11d1-80b4-00c04fd430c8");
        assert_int_equal(people.list.at[2].guid[14], '8');
        assert_int_equal(people.left_out, 2); /* the long one, and who has the id of another */
        assert_int_equal(people.notes.count, 2);
        assert_non_null(strstr(people.notes.at[0].text, "guid"));
}

static void every_beginning_of_a_file_is_survived(void **state)
{
        static const char file[] = "version: 1\ndn:: Y249YSxvdT1i\nobjectClass: person\ncn: a\n b\nmail: "
                                   "a@x.org\n\ndn: cn=g\nobjectClass: group\nmember: cn=a,ou=b\n";
        static const char table[] = "mail,name,guid\n\"a@x.org\",\"b\"\"c\",1\n";
        struct people people;

        for (size_t len = 0; len < sizeof(file); len++)
                if (people_from_ldif(bytes_of(file, len), &people) == 0)
                        people_done(&people);
        for (size_t len = 0; len < sizeof(table); len++)
                if (people_from_csv(bytes_of(table, len), &people) == 0)
                        people_done(&people);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(folded_encoded_and_commented),
            cmocka_unit_test(groups_within_groups),
            cmocka_unit_test(memberships_of_groups_of_the_file),
            cmocka_unit_test(groups_are_direct),
            cmocka_unit_test(the_same_name_gives_the_same_guid),
            cmocka_unit_test(active_directory),
            cmocka_unit_test(what_cannot_be_taken_is_noted),
            cmocka_unit_test(what_is_no_ldif_is_refused_with_its_line),
            cmocka_unit_test(names_are_taken_apart),
            cmocka_unit_test(tables_of_offices),
            cmocka_unit_test(every_beginning_of_a_file_is_survived),
            cmocka_unit_test(ids_of_tables),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
