/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a keeper and an officer's machine do in a second of processor time, without processes and channels around them:
 * enrollments, opening archived keys with a quorum of two, an officer's contributions. With --json an object a line, as
 * bench/run.py wants it.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench.h"
#include "keeper/fixture.h"

enum { KEYS = 500, PARTIALS = 1000 };

static struct fixture f;
static bool json;
static struct msg_keeper_enroll enrollment;

static void check(int result)
{
        if (result) {
                fprintf(stderr, "bench-keeper: %s\n", report_text());
                exit(3);
        }
}

static void print(const char *name, double value, const char *unit)
{
        if (json)
                printf("{\"name\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", \"peer\": null, \"ratio\": null}\n", name, value,
                       unit);
        else
                printf("%-58s %12.1f %s\n", name, value, unit);
        fflush(stdout);
}

/* ---- enrollment -------------------------------------------------------------------------------------------- */

static void enroll_request(struct msg_keeper_enroll *request, const char *profile)
{
        struct msg_subject *subject = MSG_LIST_ADD(request->subject);
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        subject->user = text_copy("user");
        subject->name = text_copy("Zoë Ångström");
        msg_texts_add(&subject->addresses, "zoe@example.org");
        check(pkey_generate(PKEY_P256, &key));
        check(pkey_to_spki(key, &request->spki));
        buf_add_bytes(&request->recipient, point_view(&f.recipient_public));
        request->encryption_profile = text_copy(profile);
        request->not_before = clock_now();
        request->signature_not_after = request->encryption_not_after = clock_now() + 86400;
}

static void enroll_once(void)
{
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};

        id_set_done(&f.keeper.pool_used); /* one pair of the pool stands for many, and each is given out once */
        check(fixture_ask(&f, MSG_keeper_enroll, &enrollment, &answer));
}

static void bench_enroll(const char *name, const char *profile, bool pooled)
{
        enroll_request(&enrollment, profile);
        if (pooled) {
                MSG_OWN(keeper_pool) pool = {.profile = text_copy(profile)};
                MSG_OWN(keeper_pooled) made = {0};
                CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};

                check(fixture_ask(&f, MSG_keeper_pool, &pool, &answer));
                check(msg_decode(keeper_pooled, keeper_reply_view(&answer), &made));
                enrollment.pool_key = buf_take(&made.pool_key);
        }
        print(name, rate(enroll_once, 1), "1/s");
        msg_done(keeper_enroll, &enrollment);
}

/* ---- recovery ---------------------------------------------------------------------------------------------- */

/* One enrolled key, listed `count` times under the same terms: what is computed for each is the same as for different ones. */
static void request_fill(unsigned count, struct msg_terms *terms, struct msg_keeper_open *open)
{
        const struct msg_recovery_item *first;

        fixture_terms(&f, terms);
        for (unsigned i = 1; i < count; i++) {
                struct msg_recovery_item *item = MSG_LIST_ADD(terms->items);

                first = &terms->items.at[0];
                item->record_id = first->record_id;
                item->spki_hash = buf_copy_of(buf_view(&first->spki_hash));
                item->point = buf_copy_of(buf_view(&first->point));
                item->record_hash = buf_copy_of(buf_view(&first->record_hash));
        }
        if (!open)
                return;
        fixture_open(&f, terms, open);
        for (unsigned i = 1; i < count; i++) {
                struct msg_archive_item *item = MSG_LIST_ADD(open->archive);

                item->record_id = f.keys[0].record_id;
                item->user = text_copy(f.keys[0].user);
                item->certificate = buf_copy_of(buf_view(&f.keys[0].certificate));
                item->record = buf_copy_of(buf_view(&f.keys[0].record));
        }
}

static void bench_partials(void)
{
        MSG_OWN(terms) terms = {0};
        MSG_OWN(approval_item) approval = {0};
        double start;

        request_fill(PARTIALS, &terms, NULL);
        start = cpu_now();
        fixture_approve(&f, 0, &terms, &approval);
        print("an officer's contributions with proofs, 1000 keys", cpu_now() - start, "s");
}

static void bench_open(void)
{
        MSG_OWN(terms) terms = {0};
        MSG_OWN(keeper_open) open = {0};
        CLEANUP(keeper_reply_done) struct keeper_reply answer = {0};
        double start;

        request_fill(KEYS, &terms, &open);
        for (unsigned i = 0; i < 2; i++)
                fixture_approve(&f, i, &terms, MSG_LIST_ADD(open.approvals));
        start = cpu_now();
        check(fixture_ask(&f, MSG_keeper_open, &open, &answer));
        print("archived keys opened for their recipient, quorum two", (double)KEYS / (cpu_now() - start), "1/s");
}

int main(int argc, char **argv)
{
        json = argc > 1 && strcmp(argv[1], "--json") == 0;
        fixture_init(&f);
        fixture_unseal(&f);
        fixture_admit(&f);
        fixture_enroll(&f);
        bench_enroll("enrollments in a keeper, P-256", "p256", false);
        bench_enroll("enrollments in a keeper, RSA-3072 from the pool", "rsa3072", true);
        bench_partials();
        bench_open();
        fixture_done(&f);
        return 0;
}
