/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/authorization.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/text.h"
#include "protocol/percent.h"

enum { NONCE_LEN = 16, SIGNATURE_MAX = 80, TICKET_MAX = 256, NAME_MAX_LEN = 255 };

void authorization_done(struct authorization *authorization)
{
        msg_done(authorization, &authorization->operator);
        buf_done(&authorization->ticket);
        authorization->is_operator = false;
}

static int refused(const char *why)
{
        return refuse(PROBLEM_UNAUTHENTICATED, "The Authorization header %s.", why);
}

/* Take `text` off the start. */
static bool take(struct bytes *rest, const char *text)
{
        size_t len = strlen(text);

        if (rest->len < len || memcmp(rest->data, text, len) != 0)
                return false;
        *rest = bytes_of(rest->data + len, rest->len - len);
        return true;
}

static bool take_scheme(struct bytes *rest, const char *scheme)
{
        size_t len = strlen(scheme);
        char start[16];

        if (rest->len < len)
                return false;
        memcpy(start, rest->data, len);
        start[len] = 0;
        if (!text_equal_ignoring_case(start, scheme))
                return false;
        *rest = bytes_of(rest->data + len, rest->len - len);
        return true;
}

/* name="value" */
static int take_parameter(struct bytes *rest, const char *name, struct bytes *ret_value)
{
        const uint8_t *end;

        if (!take(rest, name) || !take(rest, "=\""))
                return refused(
                        "lacks a parameter, or has them in another order than operator, created, nonce, signature");
        end = rest->len ? memchr(rest->data, '"', rest->len) : NULL;
        if (!end)
                return refused("has a parameter without closing quote");
        *ret_value = bytes_of(rest->data, (size_t)(end - rest->data));
        *rest = bytes_of(end + 1, rest->len - ret_value->len - 1);
        return 0;
}

static int read_name(struct bytes value, char **ret_name)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE;
        CLEANUP(buf_done) struct buf again = BUF_NONE;

        if (percent_parse(value, &name) || !name.len || name.len > NAME_MAX_LEN)
                return refused("has an ill-formed operator");
        percent_add(&again, buf_view(&name));
        if (!bytes_equal(buf_view(&again), value))
                return refused("has an operator that is not percent-encoded as it must be");
        *ret_name = text_copy(buf_text(&name));
        return 0;
}

static int read_base64url(struct bytes value, const char *why, size_t max, struct buf *ret_bytes)
{
        CLEANUP(buf_done) struct buf bytes = BUF_NONE;

        if (value.len > max * 2 || base64url_parse(value, &bytes) || !bytes.len || bytes.len > max)
                return refused(why);
        *ret_bytes = buf_take(&bytes);
        return 0;
}

static int read_operator(struct bytes rest, struct msg_authorization *operator)
{
        struct bytes name, created, nonce, signature;
        uint64_t instant = 0;

        TRY(take_parameter(&rest, "operator", &name));
        TRY(take_parameter(&rest, ", created", &created));
        TRY(take_parameter(&rest, ", nonce", &nonce));
        TRY(take_parameter(&rest, ", signature", &signature));
        if (rest.len)
                return refused("has something after its signature");
        TRY(read_name(name, &operator->operator));
        if (number_parse(created, INT64_MAX, &instant))
                return refused("has an ill-formed time");
        operator->created =(int64_t) instant;
        TRY(read_base64url(nonce, "has an ill-formed nonce", NONCE_LEN, &operator->nonce));
        if (operator->nonce.len != NONCE_LEN)
                return refused("has a nonce that is not 16 bytes long");
        return PASS(read_base64url(signature, "has an ill-formed signature", SIGNATURE_MAX, &operator->signature));
}

int authorization_parse(struct bytes header, struct authorization *ret_authorization)
{
        CLEANUP(authorization_done) struct authorization authorization = {0};

        if (take_scheme(&header, "Vouchsafe ")) {
                authorization.is_operator = true;
                TRY(read_operator(header, &authorization.operator));
        } else if (take_scheme(&header, "Bearer ")) {
                TRY(read_base64url(header, "has an ill-formed ticket", TICKET_MAX, &authorization.ticket));
        } else {
                return refused("is of a scheme that is not known here; Vouchsafe and Bearer are");
        }
        *ret_authorization = authorization;
        authorization = (struct authorization){0};
        return 0;
}

void authorization_operator_add(struct buf *out, const struct msg_authorization *operator)
{
        buf_add_text(out, "Vouchsafe operator=\"");
        percent_add(out, bytes_text(msg_text(operator->operator)));
        buf_add_format(out, "\", created=\"%" PRId64 "\", nonce=\"", operator->created);
        base64url_add(out, buf_view(&operator->nonce));
        buf_add_text(out, "\", signature=\"");
        base64url_add(out, buf_view(&operator->signature));
        buf_add_text(out, "\"");
}

void authorization_ticket_add(struct buf *out, struct bytes ticket)
{
        buf_add_text(out, "Bearer ");
        base64url_add(out, ticket);
}
