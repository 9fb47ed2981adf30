/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <lber.h>

#include "base/mem.h"
#include "ldapd/match.h"
#include "ldapd/reply.h"

#define BYTES(text) bytes_of(text, sizeof(text) - 1)

/* ---- encoding, by the library: what a client would send ---- */

static struct buf flattened(BerElement *ber)
{
        struct berval value;
        struct buf out = BUF_NONE;

        assert_int_equal(ber_flatten2(ber, &value, 0), 0);
        buf_add(&out, value.bv_val, value.bv_len);
        ber_free(ber, 1);
        return out;
}

static void equal_add(BerElement *ber, unsigned kind, const char *attribute, const char *value)
{
        ber_printf(ber, "t{ss}", (ber_tag_t)kind, attribute, value);
}

static struct buf search_of(const char *filter_attribute, const char *value)
{
        BerElement *ber = ber_alloc_t(LBER_USE_DER);

        ber_printf(ber, "{it{seeiib", 7, (ber_tag_t)LDAP_SEARCH, "o=Example", SCOPE_SUBTREE, 0, 10, 20, 0);
        equal_add(ber, FILTER_EQUAL, filter_attribute, value);
        ber_printf(ber, "{ss}}}", "cn", "userCertificate;binary");
        return flattened(ber);
}

/* A filter in Polish notation: "&" "|" and "!" with a count, else "attribute=value", "attribute=a*b". */
static void filter_add(BerElement *ber, const char *const **words)
{
        const char *word = *(*words)++;

        if (strchr("&|!", word[0])) {
                unsigned kind = word[0] == '&' ? FILTER_AND : word[0] == '|' ? FILTER_OR : FILTER_NOT;

                ber_printf(ber, "t{", (ber_tag_t)kind);
                for (int i = 0; i < word[1] - '0'; i++)
                        filter_add(ber, words);
                ber_printf(ber, "}");
                return;
        }
        CLEANUP(mem_freep) char *attribute = text_copy_n(word, strcspn(word, "="));
        const char *value = word + strlen(attribute) + 1, *star = strchr(value, '*');

        if (strcmp(value, "*") == 0) {
                ber_printf(ber, "ts", (ber_tag_t)FILTER_PRESENT, attribute);
        } else if (star) {
                ber_printf(ber, "t{s{", (ber_tag_t)FILTER_SUBSTRINGS, attribute);
                if (star > value)
                        ber_printf(ber, "to", (ber_tag_t)PIECE_INITIAL, value, (ber_len_t)(star - value));
                for (const char *next; (next = strchr(star + 1, '*')); star = next)
                        ber_printf(ber, "to", (ber_tag_t)PIECE_ANY, star + 1, (ber_len_t)(next - star - 1));
                if (star[1])
                        ber_printf(ber, "ts", (ber_tag_t)PIECE_FINAL, star + 1);
                ber_printf(ber, "}}");
        } else {
                equal_add(ber, FILTER_EQUAL, attribute, value);
        }
}

static struct buf filter_of(const char *const *words)
{
        BerElement *ber = ber_alloc_t(LBER_USE_DER);

        filter_add(ber, &words);
        return flattened(ber);
}
#define FILTER(...) filter_of((const char *const[]){__VA_ARGS__})

static struct msg_lookup_person alice(void)
{
        struct msg_lookup_person person = {.name = text_copy("Alice Liddell"),
                                           .given_name = text_copy("Alice"),
                                           .surname = text_copy("Liddell"),
                                           .unit = text_copy("Europe/Sales, \"West\"/Größe")};

        msg_texts_add(&person.addresses, "alice@example.org");
        msg_texts_add(&person.addresses, "a.liddell@example.org");
        buf_add_text(&MSG_LIST_ADD(person.certificates)->der, "a certificate");
        return person;
}

/* ---- requests ---- */

static void a_search_is_read(void **state)
{
        CLEANUP(buf_done) struct buf message = search_of("mail", "alice@example.org");
        CLEANUP(ldap_request_done) struct ldap_request request = {0};
        size_t len = 0;

        assert_int_equal(ldap_frame(buf_view(&message), &len), 0);
        assert_int_equal(len, message.len);
        assert_int_equal(ldap_request_parse(buf_view(&message), &request), 0);
        assert_int_equal(request.id, 7);
        assert_int_equal(request.operation, LDAP_SEARCH);
        assert_true(bytes_equal(request.search.base, BYTES("o=Example")));
        assert_int_equal(request.search.scope, SCOPE_SUBTREE);
        assert_int_equal(request.search.size_limit, 10);
        assert_int_equal(request.search.time_limit, 20);
        assert_int_equal(request.search.filter.count, 1);
        assert_true(bytes_equal(request.search.filter.nodes[0].value, BYTES("alice@example.org")));
        assert_int_equal(request.search.attribute_count, 2);
}

/* Cut off anywhere, or with a byte more, it is none. */
static void parts_of_a_request_are_none(void **state)
{
        CLEANUP(buf_done) struct buf message = search_of("mail", "alice@example.org");
        struct ldap_request request;

        for (size_t len = 0; len < message.len; len++) {
                CLEANUP(buf_done) struct buf part = buf_copy_of(bytes_of(message.data, len));

                assert_int_equal(ldap_request_parse(buf_view(&part), &request), PROBLEM_MALFORMED);
        }
        buf_add_byte(&message, 0);
        assert_int_equal(ldap_request_parse(buf_view(&message), &request), PROBLEM_MALFORMED);
}

static void frames_are_limited(void **state)
{
        size_t len = 1;

        assert_int_equal(ldap_frame(BYTES("\x30\x84\x00\x00\x00"), &len), 0); /* Windows writes lengths so */
        assert_int_equal(len, 0);
        assert_int_equal(ldap_frame(BYTES("\x30\x84\x00\x00\x00\x05"), &len), 0);
        assert_int_equal(len, 11);
        assert_int_equal(ldap_frame(BYTES("\x30\x84\x7f\xff\xff\xff"), &len), PROBLEM_TOO_LARGE);
        assert_int_equal(ldap_frame(BYTES("\x30\x88\x00"), &len), PROBLEM_MALFORMED);
        assert_int_equal(ldap_frame(BYTES("\x30\x80"), &len), PROBLEM_MALFORMED);
        assert_int_equal(ldap_frame(BYTES("G"), &len), PROBLEM_MALFORMED);            /* GET / … */
        assert_int_equal(ldap_frame(BYTES("\x16\x03\x01"), &len), PROBLEM_MALFORMED); /* TLS */
}

/* "!" within "!" within "!" … */
static void depth_is_limited(void **state)
{
        for (int depth = 1; depth < 64; depth++) {
                const char *words[65];
                struct filter filter = {0};

                for (int i = 0; i < depth; i++)
                        words[i] = "!1";
                words[depth] = "cn=*";
                CLEANUP(buf_done) struct buf encoded = filter_of(words);
                int r = filter_parse(buf_view(&encoded), &filter);

                assert_int_equal(r, depth < FILTER_DEPTH_MOST ? 0 : PROBLEM_MALFORMED);
                filter_done(&filter);
        }
}

/* ---- filters ---- */

static enum truth match_of(struct buf encoded)
{
        MSG_OWN(lookup_person) person = alice();
        CLEANUP(entry_done) struct entry entry = {0};
        CLEANUP(filter_done) struct filter filter = {0};
        CLEANUP(plan_done) struct plan plan = {0};
        enum truth truth;

        assert_int_equal(filter_parse(buf_view(&encoded), &filter), 0);
        entry_person(&person, "Example", "o=Example", &entry);
        truth = filter_match(&filter, &entry);
        plan_make(&filter, &plan);
        if (truth == TRUTH_TRUE)
                assert_true(plan_finds(&plan, plan.count, &person));
        buf_done(&encoded);
        return truth;
}

static void filters_are_evaluated(void **state)
{
        assert_int_equal(match_of(FILTER("mail=ALICE@example.ORG")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("mail=a.liddell@example.org")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("rfc822Mailbox=alice@example.org")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("mail=bob@example.org")), TRUTH_FALSE);
        assert_int_equal(match_of(FILTER("cn=alice   liddell ")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("cn=al*")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("cn=a*ce*d*l")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("cn=a*ell*ell")), TRUTH_FALSE); /* not twice the same */
        assert_int_equal(match_of(FILTER("sn=*ddel*")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("givenName=ali*")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("ou=sales, \"west\"")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("ou= GRÖSSE")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("ou=g*o\u0308*e")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("ou=Grosse")), TRUTH_FALSE);
        assert_int_equal(match_of(FILTER("cn=A\u00adLICE\u200b*")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("cn=\u200b")), TRUTH_FALSE);
        assert_int_equal(match_of(FILTER("mail=a\u00adlice@example.org")), TRUTH_FALSE);
        assert_int_equal(match_of(FILTER("objectClass=inetOrgPerson")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("userCertificate;binary=*")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("userSMIMECertificate=*")), TRUTH_FALSE);
        assert_int_equal(match_of(FILTER("userCertificate=x")), TRUTH_UNDEFINED);
        assert_int_equal(match_of(FILTER("telephoneNumber=1")), TRUTH_UNDEFINED);
        assert_int_equal(match_of(FILTER("!1", "telephoneNumber=1")), TRUTH_UNDEFINED);
        assert_int_equal(match_of(FILTER("|2", "telephoneNumber=1", "cn=a*")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("&2", "mail=*", "!1", "cn=bob*")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("&0")), TRUTH_TRUE);
        assert_int_equal(match_of(FILTER("|0")), TRUTH_FALSE);
        assert_int_equal(match_of(FILTER("cn=Zo\xc3*")), TRUTH_UNDEFINED);
}

static void assert_plan(struct buf encoded, int kind, const char *text, size_t count)
{
        CLEANUP(filter_done) struct filter filter = {0};
        CLEANUP(plan_done) struct plan plan = {0};

        assert_int_equal(filter_parse(buf_view(&encoded), &filter), 0);
        plan_make(&filter, &plan);
        assert_int_equal(plan.count, count);
        if (count) {
                assert_int_equal(plan.asks[0].kind, kind);
                assert_string_equal(plan.asks[0].text, text);
        }
        buf_done(&encoded);
}

static void the_index_is_asked_for_the_least(void **state)
{
        assert_plan(FILTER("mail=Bob@Example.org"), ASK_ADDRESS, "bob@example.org", 1);
        assert_plan(FILTER("&3", "objectClass=person", "cn=b*", "mail=bob@example.org"), ASK_ADDRESS,
                    "bob@example.org", 1);
        assert_plan(FILTER("&2", "cn=b*", "sn=bake*"), ASK_PREFIX, "bake", 1);
        assert_plan(FILTER("|3", "cn=Bo*", "sn=bo*", "telephoneNumber=1*"), ASK_PREFIX, "bo", 1);
        assert_plan(FILTER("|2", "cn=bo*", "mail=*bo*"), ASK_ALL, "", 1);
        assert_plan(FILTER("!1", "cn=bo*"), ASK_ALL, "", 1);
        assert_plan(FILTER("objectClass=*"), ASK_ALL, "", 1);
        assert_plan(FILTER("telephoneNumber=*"), 0, NULL, 0);
        assert_plan(FILTER("mail=no address"), 0, NULL, 0);
        assert_plan(FILTER("cn=Straß*"), ASK_PREFIX, "strass", 1);
        assert_plan(FILTER("mail=Straß*"), ASK_PREFIX, "straß", 1);
        assert_plan(FILTER("|2", "cn=ÜNAL", "sn=u\u0308nal*"), ASK_PREFIX, "ünal", 1);
}

/* As deep and with as many parts as is let in, all of them different, or all of them the same: work grows with the parts
 * and the levels, not with their square. */
static void large_filters_are_little_work(void **state)
{
        enum { PARTS = FILTER_NODES_MOST - FILTER_DEPTH_MOST };

        for (int same = 0; same < 2; same++) {
                CLEANUP(plan_done) struct plan plan = {0};
                CLEANUP(filter_done) struct filter filter = {0};
                BerElement *ber = ber_alloc_t(LBER_USE_DER);

                for (int level = 1; level < FILTER_DEPTH_MOST; level++)
                        ber_printf(ber, "t{", (ber_tag_t)(level % 2 ? FILTER_OR : FILTER_AND));
                for (int i = 0; i < PARTS; i++) {
                        CLEANUP(mem_freep) char *address = text_format("a%d@example.org", same ? 0 : i);

                        equal_add(ber, FILTER_EQUAL, "mail", address);
                }
                for (int level = 1; level < FILTER_DEPTH_MOST; level++)
                        ber_printf(ber, "}");
                CLEANUP(buf_done) struct buf encoded = flattened(ber);
                assert_int_equal(filter_parse(buf_view(&encoded), &filter), 0);
                plan_make(&filter, &plan);
                assert_int_equal(plan.count, same ? 1 : PARTS);
                assert_true(plan.work < (size_t)4 * PARTS * FILTER_DEPTH_MOST);
        }
}

/* ---- answers ---- */

static void an_entry_is_written(void **state)
{
        CLEANUP(buf_done) struct buf message = search_of("mail", "alice@example.org"), out = BUF_NONE;
        CLEANUP(ldap_request_done) struct ldap_request request = {0};
        CLEANUP(entry_done) struct entry entry = {0};
        MSG_OWN(lookup_person) person = alice();
        size_t len = 0;

        assert_int_equal(ldap_request_parse(buf_view(&message), &request), 0);
        entry_person(&person, "Example", "o=Example", &entry);
        reply_entry(&out, &request, &entry);
        assert_int_equal(ldap_frame(buf_view(&out), &len), 0);
        assert_int_equal(len, out.len);
        assert_non_null(memmem(out.data, out.len, "mail=alice@example.org,o=Example", 32));
        assert_non_null(memmem(out.data, out.len, "userCertificate;binary", 22));
        assert_non_null(memmem(out.data, out.len, "a certificate", 13));
        assert_null(memmem(out.data, out.len, "a.liddell", 9)); /* not asked for */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_search_is_read),      cmocka_unit_test(parts_of_a_request_are_none),
            cmocka_unit_test(frames_are_limited),    cmocka_unit_test(depth_is_limited),
            cmocka_unit_test(filters_are_evaluated), cmocka_unit_test(the_index_is_asked_for_the_least),
            cmocka_unit_test(an_entry_is_written),   cmocka_unit_test(large_filters_are_little_work),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
