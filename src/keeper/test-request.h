/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Requests to open archived keys, for tests: a server of keeper/fixture.h, and what an engine puts together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/envelope.h"
#include "crypto/seal.h"
#include "crypto/statement.h"
#include "keeper/fixture.h"

/* A request that is about to be opened, honest until a test alters it. */
struct request {
        struct fixture f;
        struct msg_terms terms;
        struct msg_keeper_open open;
};

static inline void request_init(struct request *r, size_t keys)
{
        *r = (struct request){0};
        fixture_init(&r->f);
        fixture_unseal(&r->f);
        fixture_admit(&r->f);
        for (size_t i = 0; i < keys; i++)
                fixture_enroll(&r->f);
        fixture_terms(&r->f, &r->terms);
}

static inline void request_done(struct request *r)
{
        msg_done(terms, &r->terms);
        msg_done(keeper_open, &r->open);
        fixture_done(&r->f);
}

static inline void request_approve(struct request *r, unsigned officer)
{
        fixture_approve(&r->f, officer, &r->terms, MSG_LIST_ADD(r->open.approvals));
}

/* The problem, or 0 with what was answered. */
static inline int request_send(struct request *r, struct msg_keeper_opened *ret_opened)
{
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        MSG_OWN(keeper_opened) opened = {0};

        TRY(fixture_ask(&r->f, MSG_keeper_open, &r->open, &answer));
        TRY(msg_decode(keeper_opened, keeper_reply_view(&answer), &opened));
        if (ret_opened) {
                *ret_opened = opened;
                opened = (struct msg_keeper_opened){0};
        } else {
                /* whoever does not look expects nothing */
                assert_int_equal(opened.keys.count, 0);
        }
        return 0;
}

/* Nothing was opened, and these officers were named. */
static inline void assert_struck(struct request *r, const char *first, const char *second)
{
        MSG_OWN(keeper_opened) opened = {0};

        assert_int_equal(request_send(r, &opened), 0);
        assert_int_equal(opened.keys.count, 0);
        assert_int_equal(opened.wrap.len, 0);
        assert_int_equal(opened.struck.count, second ? 2 : 1);
        assert_string_equal(opened.struck.at[0], first);
        if (second)
                assert_string_equal(opened.struck.at[1], second);
}

/* The approval is right again but for the engine's change in what is signed: the officer himself plays foul. */
static inline void approval_sign(struct request *r, unsigned officer, struct msg_approval_item *approval)
{
        CLEANUP(buf_done) struct buf statement = BUF_NONE, encoded = BUF_NONE;
        uint8_t signature[SIGNATURE_SIZE];
        struct digest digest;

        assert_int_equal(msg_encode(terms, &r->terms, &encoded), 0);
        digest = terms_digest(buf_view(&encoded));
        approval_statement(&digest, buf_view(&approval->box), &statement);
        assert_int_equal(signature_make(&r->f.signing[officer], buf_view(&statement), signature), 0);
        buf_clear(&approval->signature);
        buf_add(&approval->signature, signature, sizeof(signature));
}
