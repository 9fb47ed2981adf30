/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "config/config.h"

#define LEAST "[server]\norganisation = Ünïted Example\nhost-names = keys.example.org\n"

static void defaults_are_complete(void **state)
{
        CLEANUP(config_done) struct config config = {0};

        assert_int_equal(config_parse("a", LEAST, &config), 0);
        assert_string_equal(config.server.organisation, "Ünïted Example");
        assert_string_equal(config.store.url, "sqlite:/var/lib/vouchsafe/vouchsafe.db");
        assert_string_equal(config.tls.key, "/var/lib/vouchsafe/tls-key.pem");
        assert_int_equal(config.limits.body, 4 << 20);
        assert_int_equal(config.crl.lifetime, 7 * 86400);
        assert_string_equal(config.listen.https.at[0], "[::]:8443");
        assert_false(config.publish.users);
}

static void addresses_in_certificates_lead_to_where_is_listened(void **state)
{
        static const char *const cases[][2] = {
                {LEAST, "http://keys.example.org:8080"},
                {LEAST "[listen]\nhttp = [::1]:80 127.0.0.1:8080\n", "http://keys.example.org"},
                {LEAST "[listen]\nhttp =\n", "http://keys.example.org"},
                {LEAST "url = http://pki.example.org\n", "http://pki.example.org"},
                {"[server]\norganisation = a\nhost-names = 2001:db8::1\n", "http://[2001:db8::1]:8080"},
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                CLEANUP(config_done) struct config config = {0};

                assert_int_equal(config_parse("a", cases[i][0], &config), 0);
                assert_string_equal(config.server.url, cases[i][1]);
        }
}

static void values_are_read(void **state)
{
        CLEANUP(config_done) struct config config = {0};

        assert_int_equal(config_parse("a",
                                      LEAST "   keys.example.net\n; comment\n# another\n[listen]\nhttps = 127.0.0.1:0 "
                                            "[::1]:0\n"
                                            "[process]\nkeepers = 3 ; as many\n[publish]\nusers=yes\n[crl]\ninterval: "
                                            "2m\n",
                                      &config),
                         0);
        assert_int_equal(config.server.host_names.count, 2);
        assert_string_equal(config.server.host_names.at[1], "keys.example.net");
        assert_int_equal(config.listen.https.count, 2);
        assert_int_equal(config.process.keepers, 3);
        assert_true(config.publish.users);
        assert_int_equal(config.crl.interval, 120);
}

static void mistakes_are_named(void **state)
{
        static const struct {
                const char *text, *words;
        } cases[] = {
                {"[server]\nhost-names = a\n", "[server] organisation is missing"},
                {"[server]\norganisation = a\n", "[server] host-names is missing"},
                {"key = value\n", "line 1: \"key\" stands before"},
                {LEAST " https://a.example\n", "not \"https://a.example\""},
                {LEAST " a.example:8443\n", "not \"a.example:8443\""},
                {LEAST " bücher.example\n", "not \"bücher.example\""},
                {LEAST " *.example\n", "not \"*.example\""},
                {LEAST "url = http://bücher.example\n", "not \"http://bücher.example\""},
                {LEAST "url = http://a.example/?x\n", "not \"http://a.example/?x\""},
                {LEAST "[publish]\ndirectory = yes\n", "[directory] kind is embedded"},
                {LEAST "[publish]\nauthority-dn = o=x\n", "authority-dn does nothing"},
                {LEAST "[publish]\ncrl-dn = nonsense\n", "[publish] crl-dn is no distinguished name"},
                {LEAST "[directory]\nkind = ldap\n", "[directory] servers is missing"},
                {LEAST "[directory]\nkind = ldap\nservers = ldaps://a\n", "[directory] base is missing"},
                {LEAST "[directory]\nkind = ldap\nservers = ldaps://a http://b\nbase = o=x\n", "not \"http://b\""},
                {LEAST "[directory]\nkind = ldap\nservers = ldaps://a\nbase = o=x\n", "[directory] bind-dn is missing"},
                {LEAST "[mail]\nservers = mail.example.org\nfrom = a@example.org\n", "URLs as smtp://"},
                {LEAST "[mail]\nservers = smtp://u:p@mail.example.org\nfrom = a@example.org\n", "URLs as smtp://"},
                {LEAST "[mail]\nservers = http://mail.example.org\nfrom = a@example.org\n", "URLs as smtp://"},
                {LEAST "[mail]\nservers = smtp://mail.example.org\n", "from is missing"},
                {LEAST "[mail]\nservers = smtp://mail.example.org\nfrom = nobody\n", "[mail] from is an address"},
                {LEAST "[mail]\nservers = smtp://mail.example.org\nfrom = a@example.org\nstarttls = no\n", "would send tokens"},
                {LEAST "[mail]\nservers = smtp://localhost.example.org\nfrom = a@example.org\nstarttls = no\n", "would send tokens"},
                {LEAST "[mail]\nuser = x\n", "given together"},
                {LEAST "[mail]\n[token]\ndelivery = split\n", "needs [mail] servers"},
                {LEAST "[mail]\n[token]\nrecovery-delivery = split\n", "needs [mail] servers"},
                {LEAST "[serve]\nx = y\n", "line 5: there is no section [serve]"},
                {LEAST "[crl]\ninterva = 5m\n", "line 5: [crl] has no option \"interva\""},
                {LEAST "[crl]\ninterval = 5\n", "line 5: [crl] interval is a duration as 90s"},
                {LEAST "[crl]\ninterval = 5m\ninterval = 6m\n", "line 6: [crl] interval was already given in line 5"},
                {LEAST "[crl]\ninterval = 5m\n  lifetime = 6m\n", "line 6 is indented"},
                {LEAST "[crl]\ninterval = 1s\n", "is from 1m to 7d, not \"1s\""},
                {LEAST "[crl]\ninterval = 7d\nlifetime = 8d\n", "at least twice"},
                {LEAST "[process]\nkeepers = 0\n", "is from 1 to 64"},
                {LEAST "[process]\nkeepers = -1\n", "is a number"},
                {LEAST "[listen]\nhttps = localhost:443\n", "takes addresses with ports"},
                {LEAST "[listen]\nhttps = ::1:443\n", "takes addresses with ports"},
                {LEAST "[listen]\nhttps = 127.0.0.1:65536\n", "takes addresses with ports"},
                {LEAST "[log]\nlevel = inf\n", "is one of error|warning"},
                {LEAST "[log]\nlevel =\n", "is one of error|warning"},
                {LEAST "[publish]\nusers = true\n", "is yes or no"},
                {LEAST "[limits]\nbody = 5T\n", "is a size"},
                {LEAST "[tls]\ncertificate = /a\n", "[tls] key is missing"},
                {LEAST "[startup]\nsecret = file\n", "[startup] secret-file is missing"},
                {LEAST "[store]\nurl = mysql://x\n", "[store] url is sqlite:"},
                {LEAST "what\n", "line 4 is neither"},
                {LEAST "[server\n", "line 4 is neither"},
                {LEAST "[log]\nlevel = \x01\n", "printable"},
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct config config;

                assert_int_equal(config_parse("here", cases[i].text, &config), PROBLEM_CONFIGURATION);
                if (!strstr(report_text(), cases[i].words) || strncmp(report_text(), "here", 4) != 0)
                        fail_msg("\"%s\" instead of \"%s\"", report_text(), cases[i].words);
        }
}

static void long_lines_are_refused_not_cut(void **state)
{
        CLEANUP(mem_freep) char *text = text_format(LEAST "[store]\nurl = sqlite:/%0300d\n", 7);
        struct config config;

        assert_int_equal(config_parse("here", text, &config), PROBLEM_CONFIGURATION);
        assert_non_null(strstr(report_text(), "here line 5 is longer"));
}

static void children_get_their_sections(void **state)
{
        CLEANUP(config_done) struct config config = {0}, front = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        assert_int_equal(config_parse("a",
                                      LEAST "[store]\nurl = postgresql://secret\n[limits]\nbody = 1M\n[log]\nlevel = "
                                            "debug\n",
                                      &config),
                         0);
        config_encode(&config, CONFIG_FRONT, &encoded);
        assert_null(memmem(encoded.data, encoded.len, "postgresql", 10));
        assert_int_equal(config_decode(buf_view(&encoded), &front), 0);
        assert_string_equal(front.log.level, "debug");
        assert_int_equal(front.limits.body, 1 << 20);
        assert_string_equal(front.server.host_names.at[0], "keys.example.org");
        for (size_t len = 1; len < encoded.len; len++) {
                struct config cut = {0};
                if (config_decode(bytes_of(encoded.data, len), &cut) == 0)
                        config_done(&cut);
        }
        CLEANUP(buf_done) struct buf doubled = buf_copy_of(buf_view(&encoded));
        buf_add_bytes(&doubled, buf_view(&encoded));
        struct config twice;
        assert_int_equal(config_decode(buf_view(&doubled), &twice), PROBLEM_MALFORMED);
}

static void changes_that_need_a_restart_are_named(void **state)
{
        CLEANUP(config_done) struct config a = {0}, b = {0};
        CLEANUP(buf_done) struct buf keys = BUF_NONE;

        assert_int_equal(config_parse("a", LEAST "[process]\nkeepers = 2\n", &a), 0);
        assert_int_equal(
                config_parse("a", LEAST "[process]\nkeepers = 3\n[crl]\ninterval = 5m\n[listen]\nhttp = [::]:80\n", &b),
                0);
        config_restart_needed(&a, &b, &keys);
        assert_string_equal(buf_text(&keys), "[listen] http, [process] keepers");
}

static int64_t bound(const char *section, const char *key, bool most)
{
        int64_t seconds = 0;

        for (size_t i = 0; config_option_at(i); i++) {
                const struct config_option *option = config_option_at(i);

                if (strcmp(option->section, section) == 0 && strcmp(option->key, key) == 0)
                        assert_int_equal(duration_parse(bytes_text(most ? option->most : option->least), &seconds), 0);
        }
        assert_true(seconds > 0);
        return seconds;
}

/* A request signed ahead of our clock is good until both tolerances are over: its answer is kept longer, or it could be done twice. */
static void answers_outlive_their_requests(void **state)
{
        assert_true(2 * bound("operator", "clock-tolerance", true) < bound("store", "answer-lifetime", false));
}

static void the_sample_is_right(void **state)
{
        CLEANUP(config_done) struct config config = {0};

        assert_int_equal(config_load(SAMPLE, &config), 0);
}

static void mail_servers_are_taken(void **state)
{
        static const char *const right[] = {
                LEAST "[mail]\nservers = smtp://a.example.org:587 smtps://b\nfrom = \"Key, Management\" <a@example.org>\n",
                LEAST "[mail]\nservers = smtp://[::1]:25 smtp://localhost\nfrom = a@example.org\nstarttls = no\n",
        };

        for (size_t i = 0; i < ARRAY_LEN(right); i++) {
                CLEANUP(config_done) struct config config = {0};

                assert_int_equal(config_parse("here", right[i], &config), 0);
                assert_string_equal(config.mail.client_url, "https://keys.example.org:8443");
        }
}

static void mailboxes_are_read(void **state)
{
        static const struct {
                const char *text, *name, *address;
        } cases[] = {{"a@example.org", "", "a@example.org"},
                     {"Key Management <a@example.org>", "Key Management", "a@example.org"},
                     {"\"Doe, J\" <a@example.org>", "Doe, J", "a@example.org"},
                     {"<a@example.org>", "", "a@example.org"}};

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                CLEANUP(mem_freep) char *name = NULL;
                CLEANUP(mem_freep) char *address = NULL;

                assert_int_equal(config_mailbox(cases[i].text, &name, &address), 0);
                assert_string_equal(name, cases[i].name);
                assert_string_equal(address, cases[i].address);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(defaults_are_complete),
                cmocka_unit_test(addresses_in_certificates_lead_to_where_is_listened),
                cmocka_unit_test(values_are_read),
                cmocka_unit_test(mistakes_are_named),          cmocka_unit_test(long_lines_are_refused_not_cut),
                cmocka_unit_test(children_get_their_sections), cmocka_unit_test(changes_that_need_a_restart_are_named),
                cmocka_unit_test(mail_servers_are_taken), cmocka_unit_test(mailboxes_are_read),
                cmocka_unit_test(the_sample_is_right),         cmocka_unit_test(answers_outlive_their_requests),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
