/* SPDX-License-Identifier: Apache-2.0 */
#include "room.h"

int set_up(void **state)
{
        *state = NEW(struct world);
        world_init(WORLD);
        world_open(WORLD);
        world_import(WORLD, "11111111111111111111111111111111", "Alice Ärger", "alice@example.org");
        world_import(WORLD, "22222222222222222222222222222222", "Bob", "bob@example.org");
        return 0;
}

int set_up_sealed(void **state)
{
        *state = NEW(struct world);
        world_init(WORLD);
        world_run(WORLD);
        return 0;
}

int tear_down(void **state)
{
        world_done(WORLD);
        free(*state);
        return 0;
}

void enroll(struct world *world, const char *address, struct client *client)
{
        CLEANUP(token_done) struct token token = world_token(world, address);

        client_init(client, &token, "enroll");
        must(client_use(world, client));
}

EVP_PKEY *client_key(struct client *client, size_t index)
{
        CLEANUP(secret_done) struct secret pkcs8 = SECRET_NONE;
        EVP_PKEY *key = NULL;

        must(envelope_open(&client->recipient_scalar, buf_view(&client->answer.keys.at[index].envelope), &pkcs8));
        must(pkey_from_pkcs8(secret_view(&pkcs8), &key));
        return key;
}

void client_opens(struct client *client, size_t index)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = client_key(client, index);
        CLEANUP(certificate_done) struct certificate certificate = {0};
        CLEANUP(buf_done) struct buf spki = BUF_NONE;

        must(pkey_to_spki(key, &spki));
        must(certificate_parse(buf_view(&client->answer.keys.at[index].certificate), &certificate));
        assert_true(bytes_equal(buf_view(&spki), certificate.spki));
}

void crl_has(struct world *world, const struct buf *certificate_der, bool expected)
{
        CLEANUP(certificate_done) struct certificate certificate = {0}, issuer = {0};
        struct crl_entry entry;
        struct crl crl;

        must(certificate_parse(buf_view(certificate_der), &certificate));
        must(certificate_parse(buf_view(&world->engine.trust.issuer), &issuer));
        must(crl_parse(buf_view(&world->engine.crl.der), &crl));
        must(crl_verify(&crl, &issuer));
        assert_int_equal(crl_find(&crl, certificate.serial, &entry), expected ? 0 : PROBLEM_NOT_FOUND);
}

void crl_settle(struct world *world)
{
        int64_t last = 0;

        must(store_revocation_last(world->engine.store, &last));
        for (unsigned i = 0; i < 200 && (world->engine.crl.signing || last > world->engine.crl.published); i++) {
                usleep(10000);
                world_run(world);
        }
}
