/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/x509v3.h>

#include "base/fault.h"
#include "base/text.h"
#include "crypto/der.h"
#include "crypto/name.h"

static void assert_name(const struct name_attributes *attributes, const char *text)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE, shown = BUF_NONE;
        const unsigned char *at;
        X509_NAME *theirs;

        name_write(&name, attributes);
        assert_int_equal(name_check(buf_view(&name)), 0);
        assert_int_equal(name_add_text(&shown, buf_view(&name)), 0);
        assert_string_equal(buf_text(&shown), text);
        at = name.data;
        theirs = d2i_X509_NAME(NULL, &at, (long)name.len);
        assert_non_null(theirs);
        assert_ptr_equal(at, name.data + name.len);
        X509_NAME_free(theirs);
}

static void names_are_written_and_shown(void **state)
{
        assert_name(&(struct name_attributes){.common_name = "Zoë Ångström",
                                              .organization = "Example, Inc.",
                                              .country = "de"},
                    "CN=Zoë Ångström,O=Example\\, Inc.,C=DE");
        assert_name(&(struct name_attributes){.common_name = "  \"a\"+<b>;\\ =", .unit = "#1", .country = "DEU"},
                    "CN=\\  \\\"a\\\"\\+\\<b\\>\\;\\\\ \\=,OU=\\#1");
        assert_name(&(struct name_attributes){.common_name = "😀 日本語", .given_name = "", .surname = "O'Neil"},
                    "CN=😀 日本語,SN=O'Neil");
        assert_name(&(struct name_attributes){.common_name = "a\nb\xff"
                                                             "c\xe2\x80\xae"},
                    "CN=a\xef\xbf\xbd"
                    "b\xef\xbf\xbd"
                    "c\xef\xbf\xbd");
        assert_name(&(struct name_attributes){.serial_number = "ä_1"}, "serialNumber=??1");
        assert_name(&(struct name_attributes){.country = "1e"}, "");
}

static void long_names_are_cut_at_characters(void **state)
{
        static const char *const units[] = {"x", "ß", "語", "😀"};

        for (size_t i = 0; i < ARRAY_LEN(units); i++) {
                CLEANUP(buf_done) struct buf text = BUF_NONE, name = BUF_NONE, back = BUF_NONE;

                for (int k = 0; k < 300; k++)
                        buf_add_text(&text, units[i]);
                name_write(&name,
                           &(struct name_attributes){.common_name = buf_text(&text), .organization = buf_text(&text)});
                assert_int_equal(name_common_name(buf_view(&name), &back), 0);
                assert_int_equal(back.len, 64 * strlen(units[i]));
                assert_memory_equal(back.data, text.data, back.len);
                const unsigned char *at = name.data;
                X509_NAME *theirs = d2i_X509_NAME(NULL, &at, (long)name.len);
                assert_non_null(theirs); /* OpenSSL checks no bounds here, but that UTF-8 is well formed */
                X509_NAME_free(theirs);
        }
}

static void foreign_names_are_shown(void **state)
{
        /* Latin-1 and UCS-2 strings, two attributes in one RDN, an unknown attribute, a DC */
        static const char der[] = "\x30\x46"
                                  "\x31\x0b\x30\x09\x06\x03\x55\x04\x0a\x14\x02"
                                  "A\xe4"
                                  "\x31\x1c\x30\x0b\x06\x03\x55\x04\x03\x1e\x04\x00"
                                  "B\x20\xac"
                                  "\x30\x0d\x06\x03\x55\x04\x2a\x13\x06"
                                  "Gi,ven"
                                  "\x31\x0a\x30\x08\x06\x02\x2a\x03\x0c\x02"
                                  "xy"
                                  "\x31\x0d\x30\x0b\x06\x03\x55\x04\x04\x01\x04"
                                  "abcd";
        CLEANUP(buf_done) struct buf text = BUF_NONE;
        struct bytes name = bytes_of(der, sizeof(der) - 1);

        assert_int_equal(name_add_text(&text, name), 0);
        assert_string_equal(buf_text(&text), "2.5.4.4=#010461626364,1.2.3=#0c027879,CN=B€+GN=Gi\\,ven,O=Aä");
        for (size_t len = 0; len < name.len; len++)
                assert_int_equal(name_check(bytes_of(der, len)), PROBLEM_MALFORMED);
        assert_int_equal(name_check(bytes_of("\x30\x02\x31\x00", 4)), PROBLEM_MALFORMED);
        assert_int_equal(name_check(bytes_of("\x30\x00", 2)), 0);
}

static void assert_address(const char *address, uint8_t tag, const char *back_expected)
{
        CLEANUP(buf_done) struct buf general = BUF_NONE, back = BUF_NONE;
        struct bytes cursor;
        GENERAL_NAME *theirs;
        const unsigned char *at;

        general_name_add_address(&general, address);
        assert_int_equal(general.data[0], tag);
        at = general.data;
        theirs = d2i_GENERAL_NAME(NULL, &at, (long)general.len);
        assert_non_null(theirs);
        GENERAL_NAME_free(theirs);
        cursor = buf_view(&general);
        assert_int_equal(general_name_read_address(&cursor, &back), 0);
        assert_int_equal(cursor.len, 0);
        assert_string_equal(buf_text(&back), back_expected);
}

static void addresses_become_general_names(void **state)
{
        CLEANUP(buf_done) struct buf general = BUF_NONE, ascii = BUF_NONE, hidden = BUF_NONE;

        assert_address("alice@example.org", 0x81, "alice@example.org");
        assert_address("alice@bücher.example", 0x81, "alice@bücher.example");
        assert_address("zoë@example.org", 0xa0, "zoë@example.org");
        assert_address("zoë@bücher.example", 0xa0, "zoë@bücher.example");
        general_name_add_address(&general, "alice@bücher.example");
        assert_string_equal(buf_text(&general) + 2, "alice@xn--bcher-kva.example");
        address_to_ascii("zoë@straße.example", &ascii);
        assert_string_equal(buf_text(&ascii), "zoë@xn--strae-oqa.example");
        address_to_unicode("a@xn--a.example", &hidden); /* no proper A-label */
        assert_string_equal(buf_text(&hidden), "a@xn--a.example");
        buf_done(&hidden);
        address_to_unicode("a@xn--example-3z6c.org", &hidden); /* a blank without width, which the way back drops */
        assert_string_equal(buf_text(&hidden), "a@xn--example-3z6c.org");
        buf_done(&hidden);
        address_to_unicode("a@xn--i-7iq.ws", &hidden); /* has no way back, and so is nobody else's */
        assert_string_equal(buf_text(&hidden), "a@i\xe2\x9d\xa4.ws");
        buf_done(&hidden);
        address_to_unicode("\xe2\x9d\xa4\xef\xb8\x8f@xn--bcher-kva.example", &hidden); /* local parts are as they are */
        assert_string_equal(buf_text(&hidden), "\xe2\x9d\xa4\xef\xb8\x8f@bücher.example");
        buf_done(&hidden);
        address_to_unicode("zoe\xcc\x88@xn--bcher-kva.example", &hidden);
        assert_string_equal(buf_text(&hidden), "zoe\xcc\x88@bücher.example");
}

/* All that stands for one domain is one address, so that nobody has a certificate that says another's. */
static void an_address_has_one_key(void **state)
{
        static const char *const forms[][2] = {
                {"Zoe@EXAMPLE.org", "zoe@example.org"},
                {"zoe@ｅxample.org", "zoe@example.org"},
                {"zoe@BÜCHER.example", "zoe@bücher.example"},
                {"zoe@xn--bcher-kva.example", "zoe@bücher.example"},
                {"zoe@XN--BCHER-KVA.example", "zoe@bücher.example"},
                {"zoë@xn--bcher-kva.example", "zoë@bücher.example"},
                {"a@xn--i-7iq.ws", "a@i\xe2\x9d\xa4.ws"},
                {"a@i\xe2\x9d\xa4.ws", "a@i\xe2\x9d\xa4.ws"},
                {"a@xn--a.example", "a@xn--a.example"},
                {"zoe\xcc\x88@example.org", "zoë@example.org"},
                {"a@xn--mgba3gch31f060k.com", "a@نامه\xe2\x80\x8cای.com"}, /* a joiner that belongs there */
                {"a@نامه\xe2\x80\x8cای.com", "a@نامه\xe2\x80\x8cای.com"},
                {"a@xn--example-3z6c.org", "a@xn--example-3z6c.org"},
                {"a@xn--example-3z6cj.org", "a@xn--example-3z6cj.org"}, /* two blanks without width, of which one has no way back */
        };
        static const char *const none[] = {"zoe\xe2\x80\x8b@example.org", "zo\xc2\xad@example.org", "zoe\xc2\xa0@example.org",
                                          "\xe2\x9d\xa4\xef\xb8\x8f@xn--bcher-kva.example", "a@exa\xe2\x80\x8cmple.org",
                                          "a@ex／ample.org", "zoe@example.org＠example.net", "a@x，y.example", "a@．example"};

        for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
                CLEANUP(buf_done) struct buf key = BUF_NONE;

                assert_int_equal(address_key(bytes_text(forms[i][0]), &key), 0);
                assert_string_equal(buf_text(&key), forms[i][1]);
        }
        for (size_t i = 0; i < ARRAY_LEN(none); i++) {
                CLEANUP(buf_done) struct buf key = BUF_NONE;

                assert_int_equal(address_key(bytes_text(none[i]), &key), PROBLEM_MALFORMED);
        }
}

static void other_general_names(void **state)
{
        static const struct {
                const char *der, *address;
        } cases[] = {
                {"\x81\x05"
                 "a b@c",
                 ""},
                {"\x81\x06"
                 "\xc3\xa4@b.c",
                 ""},
                {"\x82\x03"
                 "a.b",
                 ""},
                {"\x86\x05"
                 "a@b.c",
                 ""},
                {"\xa0\x0a\x06\x03\x2a\x03\x04\xa0\x03\x0c\x01"
                 "a",
                 ""},
                {"\x81\x05"
                 "A@B.C",
                 "a@b.c"},
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                CLEANUP(buf_done) struct buf address = BUF_NONE;
                struct bytes cursor = bytes_text(cases[i].der);

                assert_int_equal(general_name_read_address(&cursor, &address), 0);
                assert_string_equal(buf_text(&address), cases[i].address);
        }
        static const char *const bad[] = {"\x30\x01"
                                          "a",
                                          "\x89\x01"
                                          "a",
                                          "\x81\x05"
                                          "a",
                                          "\xa0\x01"
                                          "a",
                                          "\xa0\x02\x06\x00",
                                          ""};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                struct buf none = BUF_NONE;
                struct bytes cursor = bytes_text(bad[i]);
                assert_int_equal(general_name_read_address(&cursor, &none), PROBLEM_MALFORMED);
        }
        CLEANUP(buf_done) struct buf hosts = BUF_NONE;
        general_name_add_host(&hosts, "127.0.0.1");
        general_name_add_host(&hosts, "::1");
        general_name_add_host(&hosts, "kms.bücher.example");
        assert_memory_equal(
                hosts.data,
                "\x87\x04\x7f\0\0\1\x87\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x82\x19kms.xn--bcher-kva.example",
                6 + 18 + 27);
        assert_int_equal(hosts.len, 6 + 18 + 27);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_are_written_and_shown),    cmocka_unit_test(long_names_are_cut_at_characters),
                cmocka_unit_test(foreign_names_are_shown),        cmocka_unit_test(addresses_become_general_names),
                cmocka_unit_test(an_address_has_one_key),
                cmocka_unit_test(other_general_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
