/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/csr.h"
#include "crypto/operation.h"
#include "crypto/seal.h"
#include "crypto/shares.h"
#include "crypto/statement.h"
#include "engine/init.h"

void must(int result)
{
        if (result == 0)
                return;
        fprintf(stderr, "world: %d: %s (%s)\n", result, report_text(), report_trace());
        abort();
}

/* ---- the keeper: the library behind a queue */

static struct world *here;

static int stub_send(struct keeper_link *keeper, struct keeper_call *call)
{
        return 0; /* it is in keeper->calls, where world_keeper() finds it */
}

static void stub_state(void)
{
        CLEANUP(keeper_reply_done) struct keeper_reply state = {0};

        if (!(here->fixture.keeper.changed & CHANGE_STATE))
                return;
        here->fixture.keeper.changed = 0;
        must(keeper_describe(&here->fixture.keeper, &state));
        must(keeper_state_received(&here->stub, keeper_reply_view(&state)));
}

static int stub_load(struct keeper_link *keeper, struct bytes records)
{
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};

        must(keeper_handle(&here->fixture.keeper, PEER_ENGINE, MSG_keeper_load, records, &answer));
        if (answer.kind == MSG_keeper_state)
                must(keeper_state_received(&here->stub, keeper_reply_view(&answer)));
        return 0;
}

void world_keeper(struct world *world)
{
        while (!list_empty(&world->stub.calls)) {
                struct keeper_call *call = CONTAINER_OF(world->stub.calls.next, struct keeper_call, link);
                CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};

                must(keeper_handle(&world->fixture.keeper, PEER_ENGINE, call->kind, buf_view(&call->payload),
                                   &answer));
                stub_state();
                keeper_answered(call, 0, answer.kind, keeper_reply_view(&answer));
        }
        stub_state();
}

static void stub_add(struct world *world)
{
        world->stub = (struct keeper_link){.send = stub_send, .load = stub_load};
        keeper_add(&world->engine, &world->stub);
        keepers_load(&world->engine);
}

void world_keeper_lost(struct world *world)
{
        keeper_lost(&world->stub);
        stub_add(world);
}

/* ---- rounds */

void world_run(struct world *world)
{
        for (unsigned i = 0; i < 12; i++) {
                must(loop_step(&world->loop, 0));
                if (!world->keeper_holds)
                        world_keeper(world);
        }
}

static void engine_begin(struct world *world)
{
        struct config config;
        struct engine_config engine_config;

        config_init(&config);
        engine_config_from(&config, &engine_config);
        config_done(&config);
        free(engine_config.database);
        engine_config.database = text_copy(world->database);
        free(engine_config.encryption_profile);
        engine_config.encryption_profile = text_copy("p256");
        must(loop_init(&world->loop));
        must(engine_init(&world->engine, &world->loop, &engine_config));
        stub_add(world);
}

void world_init(struct world *world)
{
        static const char *const names[] = {"ada", "ben", "cyd", "rob"};
        struct msg_engine_init init = {0};

        *world = (struct world){.address = "192.0.2.1"};
        here = world;
        /* In memory where there is such a file system: what is durable is not what is tested here. */
        snprintf(world->folder, sizeof(world->folder), "%s/vouchsafe-engine-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(world->folder))
                abort();
        world->database = text_format("%s/vouchsafe.db", world->folder);
        fixture_init(&world->fixture);
        init.server_id = world->fixture.setup.server_id;
        init.organisation = (char[]){"Example"};
        init.records.at = world->fixture.setup.records.at;
        init.keys.at = world->fixture.setup.keys.at;
        init.records.count = init.keys.count = 1;
        init.invitations.at = world->fixture.setup.invitations.at;
        init.invitations.count = world->fixture.setup.invitations.count;
        init.trust = world->fixture.setup.trust;
        init.invitations_expire = clock_now() + 86400;
        must(engine_create(world->database, &init));
        if (engine_create(world->database, &init) != PROBLEM_EXISTS)
                abort();
        for (unsigned i = 0; i < 4; i++) {
                snprintf(world->people[i].name, sizeof(world->people[i].name), "%s", names[i]);
                must(scalar_random(&world->people[i].signing));
        }
        engine_begin(world);
}

void world_open(struct world *world)
{
        fixture_unseal(&world->fixture);
        world_run(world);
        for (int i = 0; i < 4; i++)
                must(operator_accept(world, i));
        world_run(world);
}

void world_crash(struct world *world)
{
        /* As the kernel would do it: what is open in the database is lost. */
        if (world->engine.round.open)
                store_rollback(world->engine.store);
        world->engine.round.open = false;
        while (!list_empty(&world->engine.round.answers))
                request_free(CONTAINER_OF(world->engine.round.answers.next, struct request, link));
        while (!list_empty(&world->engine.requests))
                request_free(CONTAINER_OF(world->engine.requests.next, struct request, link));
        engine_done(&world->engine);
        loop_done(&world->loop);
        engine_begin(world);
        world_run(world);
}

void world_done(struct world *world)
{
        CLEANUP(mem_freep) char *command = text_format("rm -rf %s", world->folder);

        engine_done(&world->engine);
        loop_done(&world->loop);
        fixture_done(&world->fixture);
        for (unsigned i = 0; i < 4; i++) {
                secret_done(&world->people[i].signing);
                if (world->people[i].acceptance)
                        client_done(world->people[i].acceptance);
                free(world->people[i].acceptance);
        }
        free(world->database);
        if (system(command) != 0)
                abort();
}

/* ---- asking */

static void answer_take(void *context, uint16_t kind, struct bytes payload)
{
        struct world_answer *answer = context;
        MSG_OWN(problem) problem = {0};

        if (answer->there)
                abort();
        answer->there = true;
        answer->kind = kind;
        if (kind == MSG_problem) {
                must(msg_decode(problem, payload, &problem));
                answer->result =
                    refuse(problem_from_code(problem.code) ?: PROBLEM_COUNT, "%s", msg_text(problem.detail));
        }
        answer->payload = buf_copy_of(payload);
}

void world_answer_done(struct world_answer *answer)
{
        buf_done(&answer->payload);
        *answer = (struct world_answer){0};
}

static void sign(struct world *world, int operator, struct msg_api * api)
{
        struct person *person = &world->people[operator];
        struct msg_authorization *authorization = MSG_LIST_ADD(api->authorization);
        uint8_t signature[SIGNATURE_SIZE],
            nonce[OPERATION_NONCE_SIZE] = {(uint8_t)person->nonce, (uint8_t)(person->nonce >> 8)};
        struct operation operation = {
            .server_id = bytes_text(world->fixture.trust.server_id),
            .created = engine_now(&world->engine) + world->sign_ahead,
            .nonce = bytes_of(nonce, sizeof(nonce)),
            .kind = bytes_text(msg_record_of_kind((unsigned)api->kind)->name),
            .message = buf_view(&api->payload),
        };

        must(operation_sign(&operation, &person->signing, signature));
        authorization->operator = text_copy(person->name);
        authorization->created = operation.created;
        buf_add(&authorization->nonce, nonce, sizeof(nonce));
        buf_add(&authorization->signature, signature, sizeof(signature));
}

void world_send_raw(struct world *world, int operator, enum msg_kind kind, struct bytes payload,
                    struct world_answer *answer)
{
        struct msg_api api = {.kind = kind, .address = text_copy(world->address)};

        *answer = (struct world_answer){0};
        buf_add_bytes(&api.payload, payload);
        buf_add_bytes(&api.ticket, world->ticket);
        if (operator >= 0)
                sign(world, operator, &api);
        request_receive(&world->engine, &api, (struct request_sink){answer_take, answer});
}

void world_send(struct world *world, int operator, enum msg_kind kind, const void *message,
                struct world_answer *answer)
{
        CLEANUP(buf_done) struct buf payload = BUF_NONE;

        must(message_encode(msg_record_of_kind(kind), message, &payload));
        world_send_raw(world, operator, kind, buf_view(&payload), answer);
}

int world_ask(struct world *world, int operator, enum msg_kind kind, const void *message, void *ret_reply)
{
        struct world_answer answer;
        MSG_OWN(api_reply) reply = {0};
        int r;

        if (operator>= 0)
                world->people[operator].nonce++;
        world_send(world, operator, kind, message, &answer);
        world_run(world);
        if (!answer.there)
                abort();
        r = answer.result;
        if (!r) {
                must(msg_decode(api_reply, buf_view(&answer.payload), &reply));
                if (reply.kind != kind + 1)
                        abort();
                must(message_decode(msg_record_of_kind(kind + 1), buf_view(&reply.payload), ret_reply));
        }
        world_answer_done(&answer);
        return r;
}

/* ---- the directory and tokens */

void world_import(struct world *world, const char *guid, const char *name, const char *address)
{
        MSG_OWN(directory_import) ask = {0};
        MSG_OWN(directory_imported) reply = {0};
        struct msg_person *person = MSG_LIST_ADD(ask.people);

        person->guid = guid ? text_copy(guid) : NULL;
        person->name = text_copy(name);
        person->unit = text_copy("Sales/Berlin");
        msg_texts_add(&person->addresses, address);
        must(world_ask(world, ROB, MSG_directory_import, &ask, &reply));
}

struct token world_token(struct world *world, const char *address)
{
        MSG_OWN(user_enroll) ask = {0};
        MSG_OWN(user_enroll_reply) reply = {0};
        struct token token = TOKEN_NONE;

        msg_texts_add(&ask.selection, address);
        must(world_ask(world, ROB, MSG_user_enroll, &ask, &reply));
        if (reply.rows.count != 1 || !reply.rows.at[0].token.len) {
                fprintf(stderr, "no token: %s %s\n", msg_text(reply.rows.at[0].outcome),
                        msg_text(reply.rows.at[0].detail));
                abort();
        }
        must(token_parse(secret_view(&reply.rows.at[0].token), &token));
        return token;
}

/* ---- a user's machine */

void client_request(struct client *client, const struct msg_token_request *ask)
{
        CLEANUP(secret_done) struct secret auth = token_auth(&client->token);

        buf_clear(&client->request);
        must(msg_encode(token_request, ask, &client->request));
        client->mac = token_request_mac(&auth, buf_view(&client->request));
}

void client_init(struct client *client, const struct token *token, const char *purpose)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        must(pkey_generate(PKEY_P256, &key));
        client_init_key(client, token, purpose, key);
}

void client_init_key(struct client *client, const struct token *token, const char *purpose, EVP_PKEY *key)
{
        MSG_OWN(token_request) ask = {0};
        struct point recipient;

        *client = (struct client){0};
        memcpy(client->token.selector, token->selector, sizeof(token->selector));
        client->token.secret = secret_copy(secret_view(&token->secret));
        client->token.mail = secret_copy(secret_view(&token->mail));
        EVP_PKEY_up_ref(key);
        client->key = key;
        must(scalar_random(&client->recipient_scalar));
        must(point_of_scalar(&client->recipient_scalar, &recipient));
        ask.purpose = text_copy(purpose);
        ask.selector = text_copy(token->selector);
        must(csr_make(client->key, BYTES_NONE, &ask.csr));
        buf_add_bytes(&ask.recipient, point_view(&recipient));
        client_request(client, &ask);
}

void client_done(struct client *client)
{
        token_done(&client->token);
        EVP_PKEY_free(client->key);
        secret_done(&client->recipient_scalar);
        buf_done(&client->request);
        msg_done(token_answer, &client->answer);
}

int client_use(struct world *world, struct client *client)
{
        CLEANUP(secret_done) struct secret auth = token_auth(&client->token);
        MSG_OWN(token_use) use = {0};
        MSG_OWN(token_used) used = {0};
        struct digest mac;

        use.request = buf_copy_of(buf_view(&client->request));
        buf_add_bytes(&use.mac, digest_view(&client->mac));
        TRY(world_ask(world, -1, MSG_token_use, &use, &used));
        mac = token_answer_mac(&auth, buf_view(&client->request), buf_view(&used.answer));
        if (!bytes_equal(digest_view(&mac), buf_view(&used.mac)))
                return refuse(PROBLEM_TAMPERED, "The MAC of the answer is wrong");
        msg_done(token_answer, &client->answer);
        must(msg_decode(token_answer, buf_view(&used.answer), &client->answer));
        return 0;
}

/* ---- operators */

static struct token operator_code(struct world *world, const char *name)
{
        struct token code = TOKEN_NONE;

        for (size_t i = 0; i < world->fixture.setup.codes.count; i++)
                if (strcmp(world->fixture.setup.codes.at[i].operator, name) == 0)
                        must(token_parse(secret_view(&world->fixture.setup.codes.at[i].code), &code));
        return code;
}

int operator_accept(struct world *world, int operator)
{
        struct person *person = &world->people[operator];
        struct client *client = NEW(struct client);
        MSG_OWN(token_request) ask = {0};
        CLEANUP(buf_done) struct buf statement = BUF_NONE, spki = BUF_NONE;

        if (person->acceptance) {
                client_done(person->acceptance);
                free(person->acceptance);
        }
        person->acceptance = client;
        client->token = operator_code(world, person->name);
        must(pkey_from_scalar(&person->signing, &client->key));
        must(pkey_to_spki(client->key, &spki));
        ask.purpose = text_copy("accept");
        ask.selector = text_copy(client->token.selector);
        must(csr_make(client->key, BYTES_NONE, &ask.csr));
        buf_add_text(&ask.envelope, "sealed");
        if (operator<= CYD) {
                uint8_t signature[SIGNATURE_SIZE];

                officer_statement(bytes_text(world->fixture.trust.server_id), buf_view(&spki), &statement);
                must(signature_make(&world->fixture.archive_shares[operator], buf_view(&statement), signature));
                buf_add(&ask.share_signature, signature, sizeof(signature));
        }
        client_request(client, &ask);
        return client_use(world, client);
}

int operator_accept_again(struct world *world, int operator)
{
        return client_use(world, world->people[operator].acceptance);
}

static void partials_box(struct world *world, int officer, const struct msg_terms *terms, const struct digest *digest,
                         bool false_partial, struct buf *box)
{
        bool startup = strcmp(terms->kind, "startup") == 0;
        const struct secret *shares = startup ? world->fixture.startup_shares : world->fixture.archive_shares;
        const struct buf *commitments_of =
            startup ? &world->fixture.trust.startup_commitments : &world->fixture.trust.archive_commitments;
        struct partial_context context = {.index = (unsigned)officer + 1, .context = *digest};
        struct commitments commitments;
        MSG_OWN(partials) partials = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE, points = BUF_NONE;
        struct point transport;

        must(commitments_parse(buf_view(commitments_of), &commitments));
        must(share_public(&commitments, context.index, &context.public_share));
        for (size_t i = 0; i < terms->items.count; i++) {
                struct partial partial;
                struct point r;

                must(point_parse(buf_view(&terms->items.at[i].point), &r));
                must(partial_make(&context, &shares[officer], &r, &partial));
                if (false_partial)
                        partial.response[31] ^= 1;
                partial_add(&partial, &points, &partials.proof);
        }
        partials.points = secret_copy(buf_view(&points));
        must(msg_encode(partials, &partials, &encoded));
        must(point_parse(buf_view(&terms->transport), &transport));
        must(box_seal(&transport, digest_view(digest), buf_view(&encoded), box));
}

void officer_approval(struct world *world, int officer, struct bytes encoded, bool false_partial,
                      struct msg_approval_item *ret_approval)
{
        MSG_OWN(terms) terms = {0};
        struct digest digest = terms_digest(encoded);
        CLEANUP(buf_done) struct buf statement = BUF_NONE;
        uint8_t signature[SIGNATURE_SIZE];

        must(msg_decode(terms, encoded, &terms));
        ret_approval->officer = text_copy(world->people[officer].name);
        ret_approval->time = clock_now();
        buf_add_bytes(&ret_approval->digest, digest_view(&digest));
        partials_box(world, officer, &terms, &digest, false_partial, &ret_approval->box);
        approval_statement(&digest, buf_view(&ret_approval->box), &statement);
        must(signature_make(&world->people[officer].signing, buf_view(&statement), signature));
        buf_add(&ret_approval->signature, signature, sizeof(signature));
}

/* ---- looking */

struct counting {
        const char *outcome;
        int64_t count;
};

static int counting_one(void *context, const struct audit_record *record, struct bytes hash, bool altered)
{
        struct counting *counting = context;

        counting->count += bytes_equal(record->outcome, bytes_text(counting->outcome));
        return 0;
}

int64_t audit_count(struct world *world, const char *action, const char *outcome)
{
        struct counting counting = {.outcome = outcome};
        struct store_audit_filter filter = {.action = action};

        must(store_audit_list(world->engine.store, &filter, 0, 100000, &counting, counting_one));
        return counting.count;
}

void world_verify(struct world *world)
{
        struct msg_verify ask = {.start = true};
        MSG_OWN(verify_reply) reply = {0};

        must(world_ask(world, ADA, MSG_verify, &ask, &reply));
        ask.start = false;
        for (unsigned i = 0; i < 1000 && !reply.finished; i++) {
                usleep(5000);
                msg_done(verify_reply, &reply);
                must(world_ask(world, ADA, MSG_verify, &ask, &reply));
        }
        for (size_t i = 0; i < reply.findings.count; i++)
                fprintf(stderr, "verify: %s: %s\n", reply.findings.at[i].subject, reply.findings.at[i].detail);
        if (!reply.finished || reply.findings.count)
                abort();
}
