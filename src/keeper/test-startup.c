/* SPDX-License-Identifier: Apache-2.0 */
/* The lost startup secret: a quorum of officers gives a sealed keeper the database key, and nobody else does. */
#include "keeper/test-request.h"

static void startup_init(struct request *r)
{
        request_init(r, 1);
        msg_done(terms, &r->terms);
        struct msg_seal seal = {0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};

        assert_int_equal(fixture_ask_as(&r->f, PEER_LOCAL, MSG_seal, &seal, &answer), 0);
        assert_int_equal(r->f.keeper.state, KEEPER_SEALED);
        fixture_startup_terms(&r->f, &r->terms);
        fixture_open(&r->f, &r->terms, &r->open);
}

static void officers_replace_a_lost_startup_secret(void **state)
{
        CLEANUP(request_done) struct request r;
        CLEANUP(secret_done) struct secret startup = SECRET_NONE;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        MSG_OWN(keeper_opened) opened = {0};
        struct msg_keeper_records *records;
        struct msg_keeper_load load;
        struct msg_unseal unseal;
        struct msg_seal seal = {0};

        startup_init(&r);
        request_approve(&r, 2);
        request_approve(&r, 0);
        assert_int_equal(request_send(&r, &opened), 0);
        assert_int_equal(r.f.keeper.state, KEEPER_UNSEALED);
        assert_int_equal(envelope_open(&r.f.recipient, buf_view(&opened.startup_envelope), &startup), 0);
        assert_false(bytes_equal(secret_view(&startup), secret_view(&r.f.setup.startup_secret)));
        /* the new secret opens the new record, and the old one does not */
        records = &r.f.setup.records.at[0];
        buf_done(&records->wrap);
        records->wrap = buf_take(&opened.wrap);
        assert_int_equal(fixture_ask_as(&r.f, PEER_LOCAL, MSG_seal, &seal, &answer), 0);
        keeper_reply_done(&answer);
        load = (struct msg_keeper_load){{records, 1}, 0};
        assert_int_equal(fixture_ask(&r.f, MSG_keeper_load, &load, &answer), 0);
        keeper_reply_done(&answer);
        unseal = (struct msg_unseal){r.f.setup.startup_secret, 0};
        assert_int_equal(fixture_ask_as(&r.f, PEER_LOCAL, MSG_unseal, &unseal, &answer), PROBLEM_PASSWORD);
        unseal = (struct msg_unseal){startup, 0};
        assert_int_equal(fixture_ask_as(&r.f, PEER_LOCAL, MSG_unseal, &unseal, &answer), 0);
}

static void one_officer_does_not_replace_the_startup_secret(void **state)
{
        CLEANUP(request_done) struct request r;

        startup_init(&r);
        request_approve(&r, 1);
        assert_int_equal(request_send(&r, NULL), PROBLEM_QUORUM);
        assert_int_equal(r.f.keeper.state, KEEPER_SEALED);
}

/* Partials for user keys, made with e, open no database key; and a recovery is not opened while sealed. */
static void archive_shares_do_not_open_the_database_key(void **state)
{
        CLEANUP(request_done) struct request r;
        struct secret kept[OFFICERS];

        startup_init(&r);
        memcpy(kept, r.f.startup_shares, sizeof(kept));
        memcpy(r.f.startup_shares, r.f.archive_shares, sizeof(kept));
        request_approve(&r, 0);
        request_approve(&r, 1);
        memcpy(r.f.startup_shares, kept, sizeof(kept));
        assert_struck(&r, "ada", "ben");
        assert_int_equal(r.f.keeper.state, KEEPER_SEALED);
        msg_done(terms, &r.terms);
        fixture_terms(&r.f, &r.terms);
        msg_done(keeper_open, &r.open);
        fixture_open(&r.f, &r.terms, &r.open);
        assert_int_equal(request_send(&r, NULL), PROBLEM_SEALED);
}

/* The engine puts its own officers and commitments before a sealed keeper: what they give opens nothing. */
static void a_forged_trust_record_opens_nothing(void **state)
{
        CLEANUP(request_done) struct request r;
        CLEANUP(fixture_done) struct fixture forger;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        struct msg_keeper_records records;
        struct msg_keeper_load load = {{&records, 1}, 0};
        char *server_id;

        startup_init(&r);
        fixture_init(&forger);
        fixture_unseal(&forger);
        fixture_admit(&forger);
        /* the forger's trust record, the victim's database key */
        records = r.f.setup.records.at[0];
        records.trust = forger.setup.records.at[0].trust;
        assert_int_equal(fixture_ask(&r.f, MSG_keeper_load, &load, &answer), 0);
        server_id = r.terms.server_id;
        r.terms.server_id = text_copy(forger.trust.server_id);
        free(server_id);
        for (unsigned i = 0; i < 2; i++)
                fixture_approve(&forger, i, &r.terms, MSG_LIST_ADD(r.open.approvals));
        buf_clear(&r.open.terms);
        assert_int_equal(msg_encode(terms, &r.terms, &r.open.terms), 0);
        assert_int_equal(request_send(&r, NULL), PROBLEM_TAMPERED);
        assert_int_equal(r.f.keeper.state, KEEPER_SEALED);
}

static void partials_are_boxed_to_the_keeper_that_lives(void **state)
{
        CLEANUP(request_done) struct request r;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        struct msg_seal seal = {0};

        startup_init(&r);
        request_approve(&r, 0);
        request_approve(&r, 1);
        /* sealed again, the transport key is another: what a thief has kept opens nowhere */
        assert_int_equal(fixture_ask_as(&r.f, PEER_LOCAL, MSG_seal, &seal, &answer), 0);
        assert_int_equal(request_send(&r, NULL), PROBLEM_STALE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(officers_replace_a_lost_startup_secret),
                cmocka_unit_test(one_officer_does_not_replace_the_startup_secret),
                cmocka_unit_test(archive_shares_do_not_open_the_database_key),
                cmocka_unit_test(a_forged_trust_record_opens_nothing),
                cmocka_unit_test(partials_are_boxed_to_the_keeper_that_lives),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
