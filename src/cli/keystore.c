/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/keystore.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/home.h"
#include "crypto/seal.h"

enum { SEALED_MOST = 256 << 20 };

struct password_cost client_password_cost = PASSWORD_COST_DEFAULT;

/* The record's name is what the content is bound to: a pending exchange is never taken for a key store. */
static void context_of(const struct msg_record *record, struct buf *out)
{
        buf_add_format(out, "vouchsafe %s 1", record->name);
}

int sealed_read(const char *path, const struct secret *password, const struct msg_record *record, void *ret_message)
{
        CLEANUP(buf_done) struct buf content = BUF_NONE, context = BUF_NONE;
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;
        int r;

        TRY(file_read(path, SEALED_MOST, &content));
        context_of(record, &context);
        r = password_open(secret_view(password), buf_view(&context), buf_view(&content), &plain);
        if (r == PROBLEM_PASSWORD)
                return refuse(PROBLEM_PASSWORD, "The password does not open %s.", path);
        if (r == 0)
                r = message_decode(record, secret_view(&plain), ret_message);
        if (r > 0)
                return refuse(PROBLEM_MALFORMED, "The file %s is damaged or of another version.", path);
        return PASS(r);
}

int sealed_write(const char *path, const struct secret *password, const struct msg_record *record,
                 const void *message)
{
        CLEANUP(buf_done) struct buf content = BUF_NONE, context = BUF_NONE;
        CLEANUP(secret_done) struct secret plain = SECRET_NONE;

        TRY(message_encode_secret(record, message, &plain));
        context_of(record, &context);
        TRY(password_seal(secret_view(password), &client_password_cost, buf_view(&context), secret_view(&plain),
                          &content));
        TRY(home_make_parent(path));
        return PASS(file_write(path, buf_view(&content), 0600));
}

void keystore_add(struct msg_key_store *store, const char *kind, struct bytes certificate, const struct secret *pkcs8)
{
        struct msg_own_key *added;

        for (size_t i = 0; i < store->keys.count; i++)
                if (bytes_equal(buf_view(&store->keys.at[i].certificate), certificate))
                        return;
        (void)MSG_LIST_ADD(store->keys);
        memmove(&store->keys.at[1], &store->keys.at[0], (store->keys.count - 1) * sizeof(*store->keys.at));
        added = &store->keys.at[0];
        *added = (struct msg_own_key){
            .kind = text_copy(kind),
            .certificate = buf_copy_of(certificate),
            .private_key = secret_copy(secret_view(pkcs8)),
            .added = clock_now(),
        };
}

void keystore_merge(struct msg_key_store *store, const struct msg_key_store *from)
{
        for (size_t i = from->keys.count; i-- > 0;)
                keystore_add(store, msg_text(from->keys.at[i].kind), buf_view(&from->keys.at[i].certificate),
                             &from->keys.at[i].private_key);
}
