/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/deliver.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/kdf.h"

enum { TAG_SIZE = 16, BEGINS = 3 };

static const char *const names[] = {[DELIVER_HAND] = "hand", [DELIVER_MAIL] = "mail", [DELIVER_SPLIT] = "split"};

const char *delivery_name(int64_t delivery)
{
        return delivery >= DELIVER_HAND && delivery <= DELIVER_SPLIT ? names[delivery] : "";
}

int delivery_of(const struct engine *engine, const char *asked, enum token_delivery *ret_delivery)
{
        enum token_delivery delivery = *asked ? 0 : engine->config.delivery;

        for (int i = DELIVER_HAND; i <= DELIVER_SPLIT; i++)
                if (strcmp(asked, names[i]) == 0)
                        delivery = i;
        if (!delivery)
                return refuse(PROBLEM_MALFORMED, "Tokens are delivered by hand, mail or split, not by \"%s\".", asked);
        if (delivery != DELIVER_HAND && !engine->config.mail)
                return refuse(PROBLEM_STATE, "The server sends no mail: [mail] servers is empty. Deliver by hand.");
        *ret_delivery = delivery;
        return 0;
}

enum token_delivery delivery_of_recovery(const struct engine *engine)
{
        return engine->config.recovery_split && engine->config.mail ? DELIVER_SPLIT : DELIVER_HAND;
}

struct token delivery_token(enum token_delivery delivery, struct secret *ret_mail)
{
        struct token token = delivery == DELIVER_SPLIT ? token_new_split() : token_new();

        *ret_mail = delivery == DELIVER_SPLIT  ? token_mail_text(&token)
                    : delivery == DELIVER_MAIL ? token_text(&token)
                                               : SECRET_NONE;
        return token;
}

/* ---- the job */

#define SUBJECT_PREFIX "mail "

int token_deliver(struct engine *engine, const struct token_row *token)
{
        CLEANUP(job_row_done) struct job_row job = {0};
        char text[ID_TEXT_SIZE];

        if (token->delivery != DELIVER_MAIL && token->delivery != DELIVER_SPLIT)
                return 0;
        job.kind = text_copy("mail-token");
        job.subject = text_format(SUBJECT_PREFIX "%s", id_text(&token->user, text));
        job.created = job.due = engine_now(engine);
        job.payload = secret_copy(bytes_text(token->selector));
        /* What waits before it is of a token that this one replaces, as a rule: that ends at once. */
        TRY(store_job_push_on(engine->store, &job));
        outbound_wake(engine, "mail-token");
        return 0;
}

static int job_user(struct engine *engine, const struct job_row *job, struct user_row *ret_user)
{
        const char *blank = strchr(msg_text(job->subject), ' ');
        struct id id;

        if (!blank || id_parse(bytes_text(blank + 1), &id) != 0)
                return PROBLEM_NOT_FOUND;
        return PASS(store_user_find(engine->store, &id, ret_user));
}

static int job_token(struct engine *engine, const struct job_row *job, struct token_row *ret_token)
{
        CLEANUP(mem_freep) char *selector = text_copy_n((const char *)job->payload.data, job->payload.len);
        CLEANUP(token_row_done) struct token_row token = {0};

        TRY(store_token_find(engine->store, selector, &token));
        if (token.state != TOKEN_ISSUED || token.expires <= engine_now(engine) || !token.mail.len)
                return refuse(PROBLEM_NOT_FOUND, "The token is none any more.");
        *ret_token = token;
        token = (struct token_row){0};
        return 0;
}

/* ---- Message-ID: NUMBER.TAG@DOMAIN */

static void tag_make(struct engine *engine, const struct job_row *job, struct buf *ret_tag)
{
        CLEANUP(hasher_done) struct hasher hasher = HASHER_NONE;
        CLEANUP(mem_freep) char *number = text_format("%lld", (long long)job->number);
        struct digest mac;

        hasher_init_keyed(&hasher, &engine->keys.token);
        hasher_add_part(&hasher, bytes_text("vouchsafe message id 1"));
        hasher_add_part(&hasher, bytes_text(number));
        hasher_add_part(&hasher, secret_view(&job->payload));
        mac = hasher_end(&hasher);
        hex_add(ret_tag, bytes_of(mac.data, TAG_SIZE));
}

int message_id_make(struct engine *engine, const struct job_row *job, char **ret_message_id)
{
        CLEANUP(buf_done) struct buf tag = BUF_NONE;

        tag_make(engine, job, &tag);
        *ret_message_id = text_format("%lld.%s@%s", (long long)job->number, buf_text(&tag), engine->config.mail_domain);
        return 0;
}

static int message_unknown(void)
{
        return refuse(PROBLEM_NOT_FOUND, "No mail of this server has this Message-ID, or it was too long ago.");
}

int message_id_find(struct engine *engine, const char *message_id, struct job_row *ret_job)
{
        CLEANUP(job_row_done) struct job_row job = {0};
        CLEANUP(buf_done) struct buf tag = BUF_NONE;
        size_t number_len = strcspn(message_id, "."), tag_len;
        uint64_t number = 0;
        int r;

        if (!message_id[number_len] || number_parse(bytes_of(message_id, number_len), INT64_MAX, &number) != 0)
                return message_unknown();
        r = store_job_find(engine->store, (int64_t)number, &job);
        if (r == PROBLEM_NOT_FOUND || (r == 0 && strcmp(msg_text(job.kind), "mail-token") != 0))
                return message_unknown();
        TRY(r);
        tag_make(engine, &job, &tag);
        message_id += number_len + 1;
        tag_len = strcspn(message_id, "@");
        if (!bytes_equal_constant_time(buf_view(&tag), bytes_of(message_id, tag_len)))
                return message_unknown();
        *ret_job = job;
        job = (struct job_row){0};
        return 0;
}

int token_mail_clean(struct engine *engine, const struct job_row *job, const char *words, char **ret_words)
{
        CLEANUP(token_row_done) struct token_row token = {0};
        CLEANUP(buf_done) struct buf clean = BUF_NONE;
        int r = job_token(engine, job, &token);

        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (r == 0 && token_text_is_in(bytes_text(words), &token.mail))
                words = "(its words are left out, since they repeat the message)";
        text_add_printable(&clean, bytes_text(words), 500);
        *ret_words = text_copy(buf_text(&clean));
        return 0;
}

int job_address(struct engine *engine, const struct job_row *job, char **ret_address)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        bool went = job->state != JOB_WAITING && job->state != JOB_RUNNING && *msg_text(job->recipient);
        int r = went ? 0 : job_user(engine, job, &user);

        if (r == 0 && !went)
                r = store_entry_find(engine->store, &user.guid, &entry);
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        *ret_address = text_copy(went                     ? job->recipient
                                 : entry.addresses.count ? entry.addresses.items[0]
                                                         : msg_text(user.address));
        return 0;
}

/* ---- giving it out */

static void person_fill(const struct entry_row *entry, struct msg_token_mail *mail)
{
        mail->address = text_copy(entry->addresses.items[0]);
        mail->name = text_copy(msg_text(entry->cn));
        mail->given_name = text_copy(msg_text(entry->given_name));
        mail->surname = text_copy(msg_text(entry->surname));
        mail->language = text_copy(msg_text(entry->language));
}

static int mail_person(struct engine *engine, const struct token_row *token, struct msg_token_mail *mail)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        int r;

        TRY(store_user_find(engine->store, &token->user, &user));
        r = store_entry_find(engine->store, &user.guid, &entry);
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (r || entry.gone)
                return refuse(PROBLEM_STATE, "%s is no longer in the directory, so nothing can be mailed there.",
                              msg_text(user.cn));
        if (!entry.addresses.count)
                return refuse(PROBLEM_STATE, "%s has no mail address in the directory.", msg_text(user.cn));
        person_fill(&entry, mail);
        return 0;
}

int token_mail_fill(struct engine *engine, struct job_row *job, struct buf *ret_content)
{
        CLEANUP(token_row_done) struct token_row token = {0};
        MSG_OWN(token_mail) mail = {0};

        TRY(job_token(engine, job, &token));
        TRY(mail_person(engine, &token, &mail));
        free(job->recipient);
        job->recipient = text_copy(mail.address);
        TRY(message_id_make(engine, job, &mail.message_id));
        mail.letter = text_copy(token.kind == TOKEN_RECOVER        ? "recover-part"
                                : token.delivery == DELIVER_SPLIT ? "enroll-part"
                                                                  : "enroll");
        mail.organisation = text_copy(msg_text(engine->trust.organisation));
        mail.token = secret_copy(secret_view(&token.mail));
        mail.begins = text_copy_n(token.selector, BEGINS);
        mail.expires = token.expires;
        return PASS(msg_encode(token_mail, &mail, ret_content));
}
