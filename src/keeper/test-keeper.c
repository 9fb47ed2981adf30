/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/archive.h"
#include "crypto/statement.h"
#include "crypto/crl.h"
#include "crypto/pkcs12.h"
#include "keeper/fixture.h"
#include "keeper/internal.h"

static const struct msg_done nothing = {0};

/* ---- set-up ----------------------------------------------------------------------------------------------- */

static void set_up_gives_all_that_a_server_needs(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(certificate_done) struct certificate root = {0}, tls = {0};
        CLEANUP(secret_done) struct secret password = secret_copy(bytes_text("root password"));
        CLEANUP(pkcs12_content_done) struct pkcs12_content file = {0};
        struct commitments archive, startup;

        fixture_init(&f);
        assert_int_equal(f.setup.invitations.count, 4);
        assert_int_equal(f.setup.codes.count, 4);
        assert_int_equal(f.trust.officers.count, 3);
        assert_int_equal(f.trust.quorum, 2);
        assert_string_equal(f.trust.officers.at[1].name, "ben");
        assert_int_equal(f.setup.invitations.at[1].shares.len, 0); /* the registrar's */
        assert_int_equal(commitments_parse(buf_view(&f.trust.archive_commitments), &archive), 0);
        assert_int_equal(commitments_parse(buf_view(&f.trust.startup_commitments), &startup), 0);
        assert_false(point_equal(commitments_key(&archive), commitments_key(&startup)));
        for (unsigned i = 0; i < OFFICERS; i++) {
                assert_int_equal(share_verify(&archive, i + 1, &f.archive_shares[i]), 0);
                assert_int_equal(share_verify(&startup, i + 1, &f.startup_shares[i]), 0);
        }
        assert_int_equal(certificate_parse(buf_view(&f.trust.root), &root), 0);
        assert_true(root.is_ca);
        assert_int_equal(certificate_parse(buf_view(&f.setup.tls_certificate), &tls), 0);
        assert_string_equal(tls.crl_url, "http://ca.example.org/pki/issuer.crl");
        assert_int_equal(pkcs12_read(buf_view(&f.setup.root_pkcs12), &password, &file), 0);
        assert_non_null(file.items[0].key);
        assert_string_equal(keeper_state_name(&f.keeper), "sealed");
}

static struct msg_keeper_init init_request(unsigned officers, unsigned quorum)
{
        struct msg_keeper_init request = {.organisation = text_copy("Example"),
                                          .quorum = quorum,
                                          .root_password = secret_copy(bytes_text("password")),
                                          .root_lifetime = 1000000,
                                          .issuer_lifetime = 1000000,
                                          .tls_lifetime = 1000000};

        for (unsigned i = 0; i < officers; i++) {
                struct msg_operator_setup *operator = MSG_LIST_ADD(request.operators);

                operator->operator = text_format("officer %u", i);
                msg_texts_add(&operator->roles, "officer");
        }
        return request;
}

static int init_try(struct msg_keeper_init *request)
{
        struct fixture f = {0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        int r = keeper_init(&f.keeper);

        f.keeper.cost = PASSWORD_COST_TESTS;
        if (!r)
                r = fixture_ask_as(&f, PEER_SETUP, MSG_keeper_init, request, &answer);
        keeper_done(&f.keeper);
        return r;
}

static void impossible_set_ups_are_refused(void **state)
{
        static const struct {
                unsigned officers, quorum;
                int problem;
        } cases[] = {{1, 1, 0}, {3, 0, PROBLEM_UNSUPPORTED}, {3, 4, PROBLEM_UNSUPPORTED}, {0, 0, PROBLEM_UNSUPPORTED},
                     {65, 2, PROBLEM_UNSUPPORTED}};

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                MSG_OWN(keeper_init) request = init_request(cases[i].officers, cases[i].quorum);

                assert_int_equal(init_try(&request), cases[i].problem);
        }
        MSG_OWN(keeper_init) twice = init_request(3, 2);
        free(twice.operators.at[2].operator);
        twice.operators.at[2].operator = text_copy("officer 0");
        assert_int_equal(init_try(&twice), PROBLEM_MALFORMED);
        MSG_OWN(keeper_init) open = init_request(3, 2);
        secret_done(&open.root_password);
        assert_int_equal(init_try(&open), PROBLEM_PASSWORD);
}

/* ---- states ----------------------------------------------------------------------------------------------- */

static void peers_ask_only_what_is_theirs(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        MSG_OWN(keeper_init) request = init_request(3, 2);
        struct msg_unseal unseal;

        fixture_init(&f);
        unseal = (struct msg_unseal){f.setup.startup_secret, 0};
        assert_int_equal(fixture_ask(&f, MSG_unseal, &unseal, &answer), PROBLEM_FORBIDDEN);
        assert_int_equal(fixture_ask(&f, MSG_keeper_init, &request, &answer), PROBLEM_FORBIDDEN);
        assert_int_equal(fixture_ask_as(&f, PEER_SETUP, MSG_keeper_init, &request, &answer), PROBLEM_SEALED);
        assert_int_equal(fixture_ask_as(&f, PEER_LOCAL, MSG_adopt, &(struct msg_adopt){0}, &answer), PROBLEM_FORBIDDEN);
        assert_int_equal(keeper_handle(&f.keeper, PEER_ENGINE, 9999, BYTES_NONE, &answer), PROBLEM_FORBIDDEN);
        assert_int_equal(fixture_ask(&f, MSG_keeper_pool, &(struct msg_keeper_pool){0}, &answer), PROBLEM_SEALED);
        fixture_unseal(&f);
        assert_int_equal(fixture_ask_as(&f, PEER_LOCAL, MSG_unseal, &unseal, &answer), PROBLEM_STATE);
        assert_int_equal(fixture_ask(&f, MSG_keeper_pool, &(struct msg_keeper_pool){0}, &answer), PROBLEM_UNSUPPORTED);
}

static void only_the_startup_secret_unseals(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        CLEANUP(secret_done) struct secret other = secret_copy(bytes_text("2222222-2222222-2222222-2222222"));
        struct msg_unseal unseal;

        fixture_init(&f);
        unseal = (struct msg_unseal){other, 0};
        assert_int_equal(fixture_ask_as(&f, PEER_LOCAL, MSG_unseal, &unseal, &answer), PROBLEM_PASSWORD);
        other.data[3] = '3';
        assert_int_equal(fixture_ask_as(&f, PEER_LOCAL, MSG_unseal, &unseal, &answer), PROBLEM_TOKEN_TYPO);
        assert_int_equal(f.keeper.state, KEEPER_SEALED);
        fixture_unseal(&f);
        assert_int_equal(f.keeper.state, KEEPER_UNSEALED);
        assert_int_equal(f.keeper.changed, CHANGE_STATE | CHANGE_SIBLINGS);
        assert_true(bytes_equal(secret_view(&f.keeper.keys.engine.row), secret_view(&f.setup.keys.at[0].row)));
}

static void sealing_forgets(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};

        fixture_init(&f);
        fixture_unseal(&f);
        assert_int_equal(fixture_ask_as(&f, PEER_LOCAL, MSG_seal, &nothing, &answer), 0);
        assert_int_equal(f.keeper.state, KEEPER_SEALED);
        assert_null(f.keeper.keys.database.data);
        assert_null(f.keeper.authority.issuer_key);
        assert_true(f.keeper.ordered);
        fixture_unseal(&f);
        assert_false(f.keeper.ordered);
}

static void altered_records_do_not_unseal(void **state)
{
        for (unsigned part = 0; part < 4; part++) {
                CLEANUP(fixture_done) struct fixture f;
                CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
                struct msg_unseal unseal;

                fixture_init(&f);
                if (part == 0)
                        f.keeper.records.trust.data[f.keeper.records.trust.len - 3] ^= 1;
                else if (part == 1)
                        f.keeper.records.authority.data[40] ^= 1;
                else if (part == 2)
                        f.keeper.records.wrap.data[40] ^= 1;
                else
                        f.keeper.records.trust_number = 2;
                unseal = (struct msg_unseal){f.setup.startup_secret, 0};
                assert_int_equal(fixture_ask_as(&f, PEER_LOCAL, MSG_unseal, &unseal, &answer),
                                 part < 2 ? PROBLEM_TAMPERED : part == 2 ? PROBLEM_PASSWORD : PROBLEM_STALE);
                assert_int_equal(f.keeper.state, KEEPER_SEALED);
        }
}

static void a_configured_secret_unseals_when_the_records_come(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        MSG_OWN(keeper_state) told = {0};
        struct msg_keeper_load load;

        fixture_init(&f);
        load = (struct msg_keeper_load){{f.setup.records.at, 1}, 0};
        f.keeper.startup_secret = secret_copy(bytes_text("2222222-2222222-2222222-2222222"));
        assert_int_equal(fixture_ask(&f, MSG_keeper_load, &load, &answer), 0);
        assert_int_equal(msg_decode(keeper_state, keeper_reply_view(&answer), &told), 0);
        assert_string_equal(told.state, "sealed");
        assert_non_null(strstr(told.detail, "startup secret"));
        assert_int_equal(told.keys.count, 0);
        assert_null(f.keeper.startup_secret.data);
        keeper_reply_done(&answer);
        msg_done(keeper_state, &told);
        f.keeper.startup_secret = secret_copy(secret_view(&f.setup.startup_secret));
        assert_int_equal(fixture_ask(&f, MSG_keeper_load, &load, &answer), 0);
        assert_int_equal(msg_decode(keeper_state, keeper_reply_view(&answer), &told), 0);
        assert_string_equal(told.state, "unsealed");
        assert_int_equal(told.keys.count, 1);
        assert_int_equal(told.transport.len, POINT_SIZE);
}

/* ---- siblings --------------------------------------------------------------------------------------------- */

static int sibling_tell(const struct keeper *from, struct keeper *to)
{
        CLEANUP(keeper_reply_done) struct keeper_reply adopt = {0}, answer = {0};

        TRY(keeper_describe_to_sibling(from, &adopt));
        TRY(keeper_handle(to, PEER_SIBLING, adopt.kind, keeper_reply_view(&adopt), &answer));
        return answer.kind == MSG_done ? 0 : answer.kind;
}

/* A server's keeper, and a sibling that has no records yet; what would bring them, borrowed from the first. */
static struct msg_keeper_load siblings_init(struct fixture *one, struct fixture *other)
{
        fixture_init(one);
        assert_int_equal(keeper_init(&other->keeper), 0);
        return (struct msg_keeper_load){{one->setup.records.at, 1}, 0};
}

static void siblings_share_their_state(void **state)
{
        CLEANUP(fixture_done) struct fixture f, g = {0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        struct msg_keeper_load load;

        load = siblings_init(&f, &g);
        /* the older transport key stays, told either way */
        g.keeper.transport_since = f.keeper.transport_since + 1;
        assert_int_equal(sibling_tell(&g.keeper, &f.keeper), 0);
        assert_false(point_equal(&g.keeper.transport_public, &f.keeper.transport_public));
        assert_int_equal(sibling_tell(&f.keeper, &g.keeper), 0);
        assert_true(point_equal(&g.keeper.transport_public, &f.keeper.transport_public));
        /* the database key may come before the records */
        fixture_unseal(&f);
        assert_int_equal(sibling_tell(&f.keeper, &g.keeper), 0);
        assert_int_equal(g.keeper.state, KEEPER_UNSET);
        assert_int_equal(fixture_ask(&g, MSG_keeper_load, &load, &answer), 0);
        assert_int_equal(g.keeper.state, KEEPER_UNSEALED);
        /* and sealing goes to all */
        keeper_reply_done(&answer);
        assert_int_equal(fixture_ask_as(&f, PEER_LOCAL, MSG_seal, &nothing, &answer), 0);
        assert_int_equal(sibling_tell(&f.keeper, &g.keeper), 0);
        assert_int_equal(g.keeper.state, KEEPER_SEALED);
}

/* Before the engine has come with the records, a secret waits in each keeper; that is not to undo it. */
static void sealing_goes_to_those_without_records_too(void **state)
{
        CLEANUP(fixture_done) struct fixture f, g = {0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        struct msg_keeper_load load;

        load = siblings_init(&f, &g);
        g.keeper.startup_secret = secret_copy(secret_view(&f.setup.startup_secret));
        assert_int_equal(fixture_ask_as(&f, PEER_LOCAL, MSG_seal, &nothing, &answer), 0);
        keeper_reply_done(&answer);
        assert_int_equal(sibling_tell(&f.keeper, &g.keeper), 0);
        assert_int_equal(fixture_ask(&g, MSG_keeper_load, &load, &answer), 0);
        assert_int_equal(g.keeper.state, KEEPER_SEALED);
        assert_true(point_equal(&g.keeper.transport_public, &f.keeper.transport_public));
        /* until one of them is unsealed */
        fixture_unseal(&f);
        assert_int_equal(sibling_tell(&f.keeper, &g.keeper), 0);
        assert_int_equal(g.keeper.state, KEEPER_UNSEALED);
        assert_false(g.keeper.ordered);
}

/* Each is told by an administrator, or one of them, before it hears what the other had told. */
static void notices_may_cross(void **state)
{
        static const struct {
                bool other_ordered;
                int later;
        } rows[] = {{true, 1}, {true, 0}, {true, -1}, {false, 0}};

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                CLEANUP(fixture_done) struct fixture f, g = {0};
                CLEANUP(keeper_reply_done) struct keeper_reply answer = {0}, ours = {0}, theirs = {0};

                fixture_init(&f);
                assert_int_equal(keeper_init(&g.keeper), 0);
                if (rows[i].other_ordered) {
                        assert_int_equal(fixture_ask_as(&g, PEER_LOCAL, MSG_seal, &nothing, &answer), 0);
                        keeper_reply_done(&answer);
                }
                assert_int_equal(keeper_describe_to_sibling(&g.keeper, &theirs), 0);
                assert_int_equal(fixture_ask_as(&f, PEER_LOCAL, MSG_seal, &nothing, &answer), 0);
                keeper_reply_done(&answer);
                f.keeper.transport_since = g.keeper.transport_since + (uint64_t)(int64_t)rows[i].later;
                assert_int_equal(keeper_describe_to_sibling(&f.keeper, &ours), 0);
                assert_int_equal(keeper_handle(&g.keeper, PEER_SIBLING, ours.kind, keeper_reply_view(&ours), &answer), 0);
                keeper_reply_done(&answer);
                assert_int_equal(keeper_handle(&f.keeper, PEER_SIBLING, theirs.kind, keeper_reply_view(&theirs), &answer), 0);
                assert_true(f.keeper.ordered && g.keeper.ordered);
                assert_true(point_equal(&g.keeper.transport_public, &f.keeper.transport_public));
                assert_int_equal(g.keeper.transport_since, f.keeper.transport_since);
        }
}

/* ---- the trust record -------------------------------------------------------------------------------------- */

static void older_trust_records_are_refused(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        CLEANUP(buf_done) struct buf old = BUF_NONE;
        struct msg_keeper_records records;
        struct msg_keeper_load load = {{&records, 1}, 0};

        fixture_init(&f);
        fixture_unseal(&f);
        old = buf_copy_of(buf_view(&f.setup.records.at[0].trust));
        fixture_admit(&f);
        assert_int_equal(f.keeper.trust.public.number, 4);
        records = f.setup.records.at[0];
        records.trust = old;
        records.trust_number = 1;
        assert_int_equal(fixture_ask(&f, MSG_keeper_load, &load, &answer), PROBLEM_STALE);
        assert_int_equal(f.keeper.trust.public.number, 4);
        /* nor is it believed by a sealed keeper that has seen a later one, once it can read */
        assert_int_equal(fixture_ask_as(&f, PEER_LOCAL, MSG_seal, &nothing, &answer), 0);
        keeper_reply_done(&answer);
        assert_int_equal(fixture_ask(&f, MSG_keeper_load, &load, &answer), 0);
        struct msg_unseal unseal = {f.setup.startup_secret, 0};
        assert_int_equal(fixture_ask_as(&f, PEER_LOCAL, MSG_unseal, &unseal, &answer), PROBLEM_STALE);
}

static int admit_try(struct fixture *f, const char *name, const struct secret *share, const struct secret *key)
{
        MSG_OWN(keeper_admit) request = {.officer = text_copy(name)};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        CLEANUP(buf_done) struct buf statement = BUF_NONE;
        uint8_t signature[SIGNATURE_SIZE];
        struct point public;

        TRY(point_of_scalar(key, &public));
        TRY(point_to_spki(&public, &request.public_key));
        officer_statement(bytes_text(f->trust.server_id), buf_view(&request.public_key), &statement);
        TRY(signature_make(share, buf_view(&statement), signature));
        buf_add(&request.share_signature, signature, sizeof(signature));
        return fixture_ask(f, MSG_keeper_admit, &request, &answer);
}

static void only_the_share_admits_an_officer(void **state)
{
        CLEANUP(fixture_done) struct fixture f;

        fixture_init(&f);
        fixture_unseal(&f);
        assert_int_equal(admit_try(&f, "ada", &f.archive_shares[1], &f.signing[0]), PROBLEM_UNAUTHENTICATED);
        assert_int_equal(admit_try(&f, "ada", &f.startup_shares[0], &f.signing[0]), PROBLEM_UNAUTHENTICATED);
        assert_int_equal(admit_try(&f, "eve", &f.archive_shares[0], &f.signing[0]), PROBLEM_NOT_FOUND);
        fixture_admit(&f);
        /* the same again is the same, another key is not */
        assert_int_equal(admit_try(&f, "ada", &f.archive_shares[0], &f.signing[0]), 0);
        assert_int_equal(admit_try(&f, "ada", &f.archive_shares[0], &f.signing[1]), PROBLEM_EXISTS);
}

/* Two keepers each admit an officer to the same record: the engine can store one of the two, and no keeper takes
 * both. */
static void the_trust_record_does_not_fork(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        CLEANUP(buf_done) struct buf other = BUF_NONE;
        MSG_OWN(trust_public) forked = {0};
        struct msg_keeper_records records;
        struct msg_keeper_load load = {{&records, 1}, 0};

        fixture_init(&f);
        fixture_unseal(&f);
        fixture_admit(&f);
        assert_int_equal(msg_decode(trust_public,
                                    bytes_of(f.keeper.records.trust.data + 33, f.keeper.records.trust.len - 33),
                                    &forked),
                         0);
        buf_clear(&forked.officers.at[2].public_key);
        assert_int_equal(trust_write(&forked, &f.keeper.keys.trust, &other), 0);
        records = f.setup.records.at[0];
        records.trust = other;
        assert_int_equal(fixture_ask(&f, MSG_keeper_load, &load, &answer), PROBLEM_STALE);
        assert_true(trust_officer(&f.keeper.trust, "cyd")->admitted);
}

static void the_cas_keys_are_those_of_the_trust_record(void **state)
{
        CLEANUP(fixture_done) struct fixture f;
        CLEANUP(authority_done) struct authority opened = {0};
        CLEANUP(buf_done) struct buf sealed = BUF_NONE;
        MSG_OWN(authority_keys) keys = {0};
        EVP_PKEY *kept;

        fixture_init(&f);
        fixture_unseal(&f);
        for (unsigned round = 0; round < 3; round++) {
                msg_done(authority_keys, &keys);
                buf_clear(&sealed);
                kept = round == 1 ? f.keeper.authority.audit_key : f.keeper.authority.issuer_key;
                assert_int_equal(pkey_to_pkcs8(kept, &keys.issuer), 0);
                kept = round == 2 ? f.keeper.authority.issuer_key : f.keeper.authority.audit_key;
                assert_int_equal(pkey_to_pkcs8(kept, &keys.audit), 0);
                assert_int_equal(authority_seal(&f.keeper.keys, &keys, &sealed), 0);
                assert_int_equal(authority_open(&f.keeper.keys, &f.keeper.trust, buf_view(&sealed), &opened),
                                 round ? PROBLEM_TAMPERED : 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(set_up_gives_all_that_a_server_needs),
                cmocka_unit_test(impossible_set_ups_are_refused),
                cmocka_unit_test(peers_ask_only_what_is_theirs),
                cmocka_unit_test(only_the_startup_secret_unseals),
                cmocka_unit_test(sealing_forgets),
                cmocka_unit_test(altered_records_do_not_unseal),
                cmocka_unit_test(a_configured_secret_unseals_when_the_records_come),
                cmocka_unit_test(siblings_share_their_state),
                cmocka_unit_test(sealing_goes_to_those_without_records_too),
                cmocka_unit_test(notices_may_cross),
                cmocka_unit_test(older_trust_records_are_refused),
                cmocka_unit_test(only_the_share_admits_an_officer),
                cmocka_unit_test(the_trust_record_does_not_fork),
                cmocka_unit_test(the_cas_keys_are_those_of_the_trust_record),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
