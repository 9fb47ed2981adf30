/* SPDX-License-Identifier: Apache-2.0 */
/* What a keeper forgets is nowhere in its memory any more: not in libcrypto's either, nor in what was freed or is kept for
 * the next time. */
#include "keeper/test-request.h"

#include <stdio.h>

#include "base/sandbox.h"
#include "keeper/internal.h"

enum { SECRETS_MOST = 16, SECRET_LEAST = 32 };

/* Inverted, so that the list is not what is found. */
static struct {
        const char *name;
        uint8_t inverted[SECRET_LEAST];
} secrets[SECRETS_MOST];
static size_t secret_count;

static void remember(const char *name, struct bytes secret)
{
        assert_true(secret.len >= SECRET_LEAST && secret_count < SECRETS_MOST);
        secrets[secret_count].name = name;
        for (size_t i = 0; i < SECRET_LEAST; i++)
                secrets[secret_count].inverted[i] = secret.data[i] ^ 0xff;
        secret_count++;
}

static void remember_key(const char *name, const EVP_PKEY *key)
{
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;

        assert_int_equal(pkey_to_scalar(key, &scalar), 0);
        remember(name, secret_view(&scalar));
}

/* Forwards as encodings have it, and backwards as numbers of libcrypto do. */
static bool is_there(const uint8_t *at, const uint8_t *inverted)
{
        bool forwards = true, backwards = true;

        for (size_t i = 0; i < SECRET_LEAST && (forwards || backwards); i++) {
                forwards = forwards && (at[i] ^ inverted[i]) == 0xff;
                backwards = backwards && (at[SECRET_LEAST - 1 - i] ^ inverted[i]) == 0xff;
        }
        return forwards || backwards;
}

/* Notes what is found, and where. */
static size_t range_search(const uint8_t *from, const uint8_t *to, const char *where, struct buf *note)
{
        size_t found = 0;

        for (const uint8_t *at = from; at + SECRET_LEAST <= to; at++)
                for (size_t i = 0; i < secret_count; i++)
                        if (is_there(at, secrets[i].inverted)) {
                                buf_add_format(note, "%s is there: %s", secrets[i].name, where);
                                found++;
                        }
        return found;
}

/* All that this process could write to. */
static size_t memory_search(struct buf *note)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        size_t found = 0;
        char line[512];

        assert_non_null(maps);
        while (fgets(line, sizeof(line), maps)) {
                unsigned long from, to;
                char rights[5];

                if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) == 3 && rights[0] == 'r' && rights[1] == 'w')
                        found += range_search((const uint8_t *)from, (const uint8_t *)to, line, note);
        }
        fclose(maps);
        return found;
}

static void assert_forgotten(void)
{
        CLEANUP(buf_done) struct buf note = BUF_NONE;

        if (memory_search(&note))
                fail_msg("%s", buf_text(&note));
}

/* ---- tests ------------------------------------------------------------------------------------------------ */

static int forget_nothing(void **state)
{
        secret_count = 0;
        return 0;
}

/* What an officer would have contributed; proofs have other numbers each time. */
static void remember_partial(const struct fixture *f, unsigned officer, const struct msg_terms *terms)
{
        struct partial_context context = {.index = officer + 1};
        struct partial partial;
        struct point r;

        assert_int_equal(point_of_scalar(&f->archive_shares[officer], &context.public_share), 0);
        assert_int_equal(point_parse(buf_view(&terms->items.at[0].point), &r), 0);
        assert_int_equal(partial_make(&context, &f->archive_shares[officer], &r, &partial), 0);
        remember("an officer's contribution", bytes_of(partial.point.data + 1, SECRET_LEAST));
        memory_wipe(&partial, sizeof(partial));
}

/* Also of the machine of the officers and the requester, which is this process too. */
static void an_opened_key_is_forgotten(void **state)
{
        CLEANUP(request_done) struct request r;
        MSG_OWN(keeper_opened) opened = {0};

        request_init(&r, KEYS_MOST);
        fixture_open(&r.f, &r.terms, &r.open);
        for (unsigned i = 0; i < 2; i++)
                request_approve(&r, i);
        assert_int_equal(request_send(&r, &opened), 0);
        for (unsigned i = 0; i < 2; i++)
                remember_partial(&r.f, i, &r.terms);
        for (size_t i = 0; i < KEYS_MOST; i++) {
                CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;
                CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

                assert_int_equal(envelope_open(&r.f.recipient, buf_view(&opened.keys.at[i].envelope), &pkcs8), 0);
                assert_int_equal(pkey_from_pkcs8(secret_view(&pkcs8), &key), 0);
                remember_key("a user's key", key);
        }
        assert_forgotten();
}

static void keeper_remember(const struct keeper *keeper)
{
        remember("the database key", secret_view(&keeper->keys.database));
        remember("the archive's key", secret_view(&keeper->keys.archive));
        remember("the key of the CA's keys", secret_view(&keeper->keys.ca));
        remember("the key of the trust record", secret_view(&keeper->keys.trust));
        remember("the transport key", secret_view(&keeper->keys.transport));
        remember("the key of the pool", secret_view(&keeper->pool));
        remember_key("the issuing key", keeper->authority.issuer_key);
        remember_key("the audit key", keeper->authority.audit_key);
}

static void a_sealed_keeper_has_no_key(void **state)
{
        CLEANUP(request_done) struct request r;
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        MSG_OWN(keeper_opened) opened = {0};
        struct msg_keeper_pool pool = {.profile = (char[]){"p256"}};
        CLEANUP(buf_done) struct buf note = BUF_NONE;
        struct msg_seal seal = {0};

        request_init(&r, 1);
        assert_int_equal(fixture_ask(&r.f, MSG_keeper_pool, &pool, &answer), 0);
        keeper_reply_done(&answer);
        fixture_open(&r.f, &r.terms, &r.open);
        for (unsigned i = 0; i < 2; i++)
                request_approve(&r, i);
        assert_int_equal(request_send(&r, &opened), 0);
        keeper_remember(&r.f.keeper);
        assert_true(memory_search(&note) >= secret_count); /* what is there is found */
        assert_int_equal(fixture_ask_as(&r.f, PEER_LOCAL, MSG_seal, &seal, &answer), 0);
        assert_forgotten();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(an_opened_key_is_forgotten, forget_nothing),
                cmocka_unit_test_setup(a_sealed_keeper_has_no_key, forget_nothing),
        };

        /* Sanitizers keep what was freed, and terabytes of notes. */
        return SANITIZED ? 77 : cmocka_run_group_tests(tests, NULL, NULL);
}
