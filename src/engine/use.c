/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/use.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/csr.h"
#include "crypto/seal.h"
#include "crypto/statement.h"
#include "crypto/token.h"

/* ---- what a wrong selector is checked against */

/* As the row of a token is read: a MAC over its columns, a sealed column. */
struct token_decoy {
        struct secret key, auth;
        struct buf sealed;
};

enum { DECOY_ROW_SIZE = 256 };

int decoy_init(struct engine *engine)
{
        struct token_decoy *decoy;

        decoy_done(engine);
        decoy = engine->decoy = NEW(struct token_decoy);
        decoy->key = secret_random(KEY_SIZE);
        decoy->auth = secret_random(KEY_SIZE);
        return PASS(seal(&decoy->key, bytes_text("decoy"), secret_view(&decoy->auth), &decoy->sealed));
}

void decoy_done(struct engine *engine)
{
        if (!engine->decoy)
                return;
        secret_done(&engine->decoy->key);
        secret_done(&engine->decoy->auth);
        buf_done(&engine->decoy->sealed);
        free(TAKE(engine->decoy));
}

static int decoy_read(struct engine *engine)
{
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;
        uint8_t columns[DECOY_ROW_SIZE] = {0};

        hmac_sha256(&engine->decoy->key, bytes_of(columns, sizeof(columns)));
        return PASS(seal_open(&engine->decoy->key, bytes_text("decoy"), buf_view(&engine->decoy->sealed), &plain));
}

/* The write that counts a wrong attempt, for tokens that have nothing to count. */
static int decoy_count(struct engine *engine)
{
        CLEANUP(setting_row_done) struct setting_row row = {0};
        int r = store_setting_find(engine->store, "token-attempts-elsewhere", &row);

        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (r)
                row.name = text_copy("token-attempts-elsewhere");
        buf_clear(&row.value);
        buf_add_format(&row.value, "%lld", (long long)engine_now(engine));
        return PASS(store_setting_put(engine->store, &row));
}

/* ---- refusals */

int token_refused(void)
{
        return refuse(
            PROBLEM_TOKEN_REFUSED,
            "The token was not accepted: it is wrong, is for another command, was used, was replaced by a newer one, or has "
            "expired. Check it, or ask who gave it to you for a new one.");
}

const struct secret *token_use_auth(const struct token_use *use)
{
        return use->is_invitation ? &use->operator.invitation_auth : & use->token.auth;
}

static int attempt_count_token(struct engine *engine, struct token_row *token)
{
        if (token->state != TOKEN_ISSUED)
                return PASS(decoy_count(engine));
        token->attempts++;
        if (token->attempts >= token->attempts_most) {
                TRY(row_advance(&token_states, &token->state, TOKEN_EXHAUST));
                TRY(user_lose(engine, token));
        }
        return PASS(store_token_put(engine->store, token));
}

static int attempt_count_operator(struct engine *engine, struct operator_row *operator)
{
        if (operator->state != OPERATOR_INVITED)
                return PASS(decoy_count(engine));
        operator->attempts++;
        return PASS(store_operator_put(engine->store, operator));
}

/* A wrong attempt is counted and stays counted: its record is made here, before the request is refused. */
static int attempt_refuse(struct request *request, struct token_use *use)
{
        struct engine *engine = request->engine;

        if (use->is_invitation && use->operator.row.version)
                TRY(attempt_count_operator(engine, &use->operator));
        else if (use->token.row.version)
                TRY(attempt_count_token(engine, &use->token));
        else
                TRY(decoy_count(engine));
        request->keep_refusal = true;
        return token_refused();
}

/* ---- finding and checking */

static int use_find(struct engine *engine, struct token_use *use)
{
        const char *selector = msg_text(use->ask.selector);
        int r;

        if (use->is_invitation)
                r = store_operator_find_invitation(engine->store, selector, &use->operator);
        else
                r = store_token_find(engine->store, selector, &use->token);
        if (r == PROBLEM_NOT_FOUND)
                return PASS(decoy_read(engine));
        return PASS(r);
}

static bool use_usable(const struct engine *engine, const struct token_use *use)
{
        int64_t now = engine_now(engine);

        if (use->is_invitation)
                return use->operator.row.version && use->operator.state != OPERATOR_DISABLED &&(
                           use->operator.state == OPERATOR_ACTIVE || use->operator.invitation_expires> now) &&
                       use->operator.attempts<(int64_t) engine->config.token_attempts;
        if (!use->token.row.version)
                return false;
        if (use->token.kind != (strcmp(msg_text(use->ask.purpose), "recover") == 0 ? TOKEN_RECOVER : TOKEN_ENROLL))
                return false;
        return use->token.state == TOKEN_USED || (use->token.state == TOKEN_ISSUED && use->token.expires > now);
}

static bool use_mac_right(struct engine *engine, const struct token_use *use, struct bytes mac)
{
        bool known = use->is_invitation ? use->operator.row.version != 0 : use->token.row.version != 0;
        const struct secret *auth = known ? token_use_auth(use) : &engine->decoy->auth;
        struct digest right = token_request_mac(auth->len ? auth : &engine->decoy->auth, use->encoded);

        return bytes_equal_constant_time(digest_view(&right), mac) && known && auth->len;
}

/* ---- repeating */

/* *ret_repeated: this very request was answered before, and gets the same answer. */
static int use_repeat(struct request *request, struct token_use *use, bool *ret_repeated)
{
        CLEANUP(reply_row_done) struct reply_row row = {0};
        int r = store_reply_find(request->engine->store, msg_text(use->ask.selector), use->digest.data, &row);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        message_done(request->reply_record, request->reply);
        TRY(message_decode(request->reply_record, secret_view(&row.answer), request->reply));
        request->repeated = *ret_repeated = true;
        return 0;
}

static bool use_spent(const struct token_use *use)
{
        return use->is_invitation ? use->operator.state != OPERATOR_INVITED : use->token.state != TOKEN_ISSUED;
}

/* ---- purposes */

static const struct purpose {
        const char *name;
        bool is_invitation;
        int (*begin)(struct request *request, struct token_use *use);
} purposes[] = {
    {"enroll", false, enroll_begin},
    {"recover", false, redeem_begin},
    {"invitation", true, invitation_show},
    {"accept", true, accept_begin},
};

static const struct purpose *purpose_find(const char *name)
{
        for (size_t i = 0; i < ARRAY_LEN(purposes); i++)
                if (strcmp(purposes[i].name, name) == 0)
                        return &purposes[i];
        return NULL;
}

static void use_free(void *work)
{
        struct token_use *use = work;

        if (!use)
                return;
        msg_done(token_request, &use->ask);
        token_row_done(&use->token);
        operator_row_done(&use->operator);
        user_row_done(&use->user);
        msg_done(subject, &use->subject);
        buf_done(&use->spki);
        if (use->pool)
                pool_key_free(use->pool);
        free(use);
}

/* One at a time for each user, and for each operator. */
static bool use_guard(struct request *request, const struct token_use *use)
{
        char guard[ID_TEXT_SIZE + 8];

        if (use->is_invitation)
                return request_guard(request, "accept"); /* each makes a new trust record from the one before */
        memcpy(guard, "user:", 6);
        id_text(&use->token.user, guard + 5);
        return request_guard(request, guard);
}

static int use_check(struct request *request, struct token_use *use, const struct msg_token_use *message)
{
        struct engine *engine = request->engine;
        bool usable, right;

        TRY(use_find(engine, use));
        usable = use_usable(engine, use);
        right = use_mac_right(engine, use, buf_view(&message->mac));
        if (!right)
                return PASS(attempt_refuse(request, use));
        request->proven = true;
        return usable ? 0 : token_refused();
}

int token_use_handle(struct request *request)
{
        const struct msg_token_use *message = request->message;
        struct engine *engine = request->engine;
        const struct purpose *purpose;
        struct token_use *use;
        bool repeated = false;

        if (!limits_permit(&engine->limits, msg_text(request->api.address), clock_monotonic_ms()))
                return refuse(PROBLEM_TOO_MANY, "Too many tokens were refused from this address, or from all; wait a "
                                                "while before the next attempt.");
        request->work_free = use_free;
        use = request->work = NEW(struct token_use);
        use->encoded = buf_view(&message->request);
        use->digest = sha256(use->encoded);
        TRY(msg_decode(token_request, use->encoded, &use->ask));
        purpose = purpose_find(msg_text(use->ask.purpose));
        if (!purpose)
                return refuse(PROBLEM_UNSUPPORTED, "A token is not used to \"%s\".", msg_text(use->ask.purpose));
        TRY(selector_check(bytes_text(msg_text(use->ask.selector))));
        request_subject(request, "%s %s", purpose->name, msg_text(use->ask.selector));
        use->is_invitation = purpose->is_invitation;
        TRY(use_check(request, use, message));
        if (use_guard(request, use))
                return 0;
        TRY(use_repeat(request, use, &repeated));
        if (repeated)
                return 0;
        if (use_spent(use))
                return token_refused();
        return PASS(purpose->begin(request, use));
}

/* ---- in common */

static int csr_key_permitted(enum pkey_type type, bool is_invitation)
{
        if (is_invitation)
                return type == PKEY_P256 ? 0 : refuse(PROBLEM_UNSUPPORTED, "Operators sign with P-256 keys only.");
        if (type == PKEY_P256 || type == PKEY_P384 || pkey_type_is_rsa(type))
                return 0;
        return refuse(PROBLEM_UNSUPPORTED, "Signature keys are P-256, P-384, or RSA of 2048 bits or more.");
}

/* A key that is certified for somebody else, or is archived, is not his to be certified again; the same person may use
 * his key again. */
static int key_is_free(struct engine *engine, const struct token_use *use, struct bytes spki)
{
        CLEANUP(certificate_row_done) struct certificate_row certificate = {0};
        CLEANUP(archive_row_done) struct archive_row archive = {0};
        struct digest hash = spki_hash(spki);
        int r = store_certificate_find_key(engine->store, hash.data, &certificate);

        if (r == 0 && certificate.kind == CERTIFICATE_SIGNATURE && id_equal(&certificate.user, &use->user.id))
                return 0;
        if (r == PROBLEM_NOT_FOUND) {
                r = store_archive_find_key(engine->store, hash.data, &archive);
                if (r == PROBLEM_NOT_FOUND)
                        return 0;
        }
        TRY(r);
        return refuse(PROBLEM_EXISTS,
                      "This key is certified already, for another purpose or person; make a new one.");
}

int token_use_csr(struct request *request, struct token_use *use)
{
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        struct csr csr;

        TRY(csr_verify(buf_view(&use->ask.csr), &csr, &key));
        TRY(csr_key_permitted(pkey_type_of(key), use->is_invitation));
        if (!use->is_invitation)
                TRY(key_is_free(request->engine, use, csr.spki));
        buf_clear(&use->spki);
        buf_add_bytes(&use->spki, csr.spki);
        return 0;
}

int token_answer_begin(struct engine *engine, struct msg_token_answer *answer)
{
        answer->server_id = text_copy(msg_text(engine->trust.server_id));
        answer->organisation = text_copy(msg_text(engine->trust.organisation));
        buf_add_bytes(&answer->root, buf_view(&engine->trust.root));
        buf_add_bytes(&answer->issuer, buf_view(&engine->trust.issuer));
        return 0;
}

static int answer_store(struct request *request, const struct token_use *use)
{
        CLEANUP(reply_row_done) struct reply_row row = {0};

        memcpy(row.selector, msg_text(use->ask.selector), SELECTOR_SIZE);
        memcpy(row.digest, use->digest.data, sizeof(row.digest));
        row.created = engine_now(request->engine);
        TRY(message_encode_secret(request->reply_record, request->reply, &row.answer));
        return PASS(store_reply_add(request->engine->store, &row));
}

int token_answer_finish(struct request *request, struct token_use *use, const struct msg_token_answer *answer,
                        bool keep)
{
        struct msg_token_used *reply = request->reply;
        struct digest mac;

        TRY(msg_encode(token_answer, answer, &reply->answer));
        mac = token_answer_mac(token_use_auth(use), use->encoded, buf_view(&reply->answer));
        buf_add_bytes(&reply->mac, digest_view(&mac));
        return keep ? PASS(answer_store(request, use)) : 0;
}

int token_use_user(struct request *request, struct token_use *use)
{
        user_row_done(&use->user);
        return PASS(store_user_find(request->engine->store, &use->token.user, &use->user));
}

int token_use_reload(struct request *request, struct token_use *use)
{
        token_row_done(&use->token);
        TRY(store_token_find(request->engine->store, msg_text(use->ask.selector), &use->token));
        if (use->token.state != TOKEN_ISSUED)
                return token_refused();
        return PASS(token_use_user(request, use));
}

int token_use_spend(struct request *request, struct token_use *use)
{
        TRY(row_advance(&token_states, &use->token.state, TOKEN_USE));
        use->token.used = engine_now(request->engine);
        memcpy(use->token.digest, use->digest.data, sizeof(use->token.digest));
        return PASS(store_token_put(request->engine->store, &use->token));
}
