/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store alone: what an enrollment writes, with 1,000 and with 100,000 users there, one in a transaction
 * and many; looking up, revoking, opening, verifying. In a folder on disk ($VOUCHSAFE_TEST_FOLDER, else
 * /var/tmp); PostgreSQL when $VOUCHSAFE_TEST_DATABASE names one.
 *
 *   bench-store [--json] [USERS …]
 */
#include <stdio.h>

#include "base/fault.h"
#include "base/mem.h"
#include "bench.h"
#include "store/test-help.h"

static bool json;

struct stopwatch {
        double wall, cpu;
};
static struct stopwatch start(void)
{
        return (struct stopwatch){seconds_now(CLOCK_MONOTONIC), cpu_now()};
}

/* `peer` is the same with fewer users; NULL for none. */
static void report(const char *name, unsigned users, double value, const char *unit, const char *peer,
                   double peer_value)
{
        if (!json) {
                printf("%-44s %8u users %12.1f %s\n", name, users, value, unit);
        } else {
                printf("{\"name\":\"store: %s, %u users\",\"value\":%.3f,\"unit\":\"%s\",", name, users,
                       value, unit);
                if (peer)
                        printf("\"peer\":\"%s\",\"ratio\":%.3f}\n", peer, peer_value / value);
                else
                        printf("\"peer\":null,\"ratio\":null}\n");
        }
        fflush(stdout);
}

static void prepare(struct store *store, unsigned i)
{
        CLEANUP(user_row_done) struct user_row user = help_user(i);
        CLEANUP(entry_row_done) struct entry_row entry = help_entry(i);
        CLEANUP(token_row_done) struct token_row token = help_token(i, &user.id);

        must(store_entry_put(store, &entry));
        must(store_user_add(store, &user));
        must(store_token_add(store, &token));
        help_audit(store, "token.issue", user.address);
}

/* All that the engine asks of the store for one enrollment. */
static void enroll(struct store *store, unsigned i)
{
        struct id user_id = help_id(4, i);
        CLEANUP(user_row_done) struct user_row user = {0};
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        CLEANUP(token_row_done) struct token_row token = {0};
        CLEANUP(certificate_row_done)
        struct certificate_row a = help_certificate(i, &user_id, CERTIFICATE_SIGNATURE),
                               b = help_certificate(i, &user_id, CERTIFICATE_ENCRYPTION);
        CLEANUP(archive_row_done) struct archive_row archive = help_archive(i, &user_id);
        CLEANUP(reply_row_done) struct reply_row reply = {.answer = help_secret(i, 4000), .created = i};
        CLEANUP(job_row_done)
        struct job_row job = {.subject = text_copy(help_address(i)),
                              .kind = text_copy("publish"),
                              .payload = help_secret(i, 60)};

        memcpy(reply.selector, help_selector(i), SELECTOR_SIZE);
        must(store_savepoint(store));
        must(store_token_find(store, help_selector(i), &token));
        must(store_user_find(store, &token.user, &user));
        must(store_entry_find(store, &user.guid, &entry));
        must(store_certificate_add(store, &a));
        must(store_certificate_add(store, &b));
        must(store_archive_add(store, &archive));
        token.state = TOKEN_USED;
        must(store_token_put(store, &token));
        user.state = USER_ENROLLED;
        must(store_user_put(store, &user));
        must(store_reply_add(store, &reply));
        must(store_job_push(store, &job));
        help_audit(store, "user.enroll", user.address);
        must(store_release(store));
}

static void revoke(struct store *store, unsigned i)
{
        struct id user_id = help_id(4, i);
        CLEANUP(user_row_done) struct user_row user = {0};
        CLEANUP(certificate_row_done)
        struct certificate_row wanted = help_certificate(i, &user_id, CERTIFICATE_ENCRYPTION),
                               row = {0};
        struct revocation_row revocation = {.time = i, .reason = 1};

        must(store_user_find_address(store, help_address(i), &user));
        must(store_certificate_find(store, wanted.serial, &row));
        row.state = CERTIFICATE_REVOKED;
        user.state = USER_REVOKED;
        memcpy(revocation.serial, row.serial, SERIAL_SIZE);
        must(store_certificate_put(store, &row));
        must(store_revocation_add(store, &revocation));
        must(store_user_put(store, &user));
        help_audit(store, "user.revoke", user.address);
}

/* `work` for [from, from + count), `batch` of them a transaction. */
static struct stopwatch run(struct store *store, void (*work)(struct store *store, unsigned i), unsigned from,
                            unsigned count, unsigned batch)
{
        struct stopwatch before = start(), after;

        for (unsigned i = 0; i < count; i += batch) {
                must(store_begin(store));
                for (unsigned k = i; k < i + batch && k < count; k++)
                        work(store, from + k);
                must(store_commit(store));
        }
        after = start();
        return (struct stopwatch){(after.wall - before.wall) / count, (after.cpu - before.cpu) / count};
}

static int see_certificate(void *context, struct certificate_row *row)
{
        ++*(unsigned *)context;
        return 0;
}

struct figures {
        double single, batch, cpu, lookup, revoke, open;
};

static double lookup_once(struct store *store, unsigned users)
{
        struct stopwatch before = start();
        unsigned found = 0, count = 2000;

        for (unsigned i = 0; i < count; i++)
                must(store_certificate_list_address(store, help_address((i * 7919u) % users), 1800000001,
                                                    &found, see_certificate));
        return found == count ? (start().cpu - before.cpu) / count : -1;
}

/* The first time the pages are not mapped yet, which is a matter of the start of a server. */
static double bench_lookup(struct store *store, unsigned users)
{
        double best = lookup_once(store, users);

        for (int i = 0; i < RATE_RUNS; i++)
                best = MIN(best, lookup_once(store, users));
        return best;
}

static double bench_open(struct help *help)
{
        struct stopwatch before = start();

        for (int i = 0; i < 10; i++)
                help_reopen(help);
        return (start().wall - before.wall) / 10;
}

static double bench_verify(struct store *store, double *ret_step)
{
        struct store_verify_options options = {0};
        CLEANUP(store_verify_freep) struct store_verify *verify = NULL;
        struct store_verify_progress progress;
        struct stopwatch before = start();
        bool finished = false;
        double last = before.wall;

        must(store_verify_new(store, &options, &verify));
        *ret_step = 0;
        while (!finished) {
                must(store_verify_step(verify, 500, &finished));
                double now = seconds_now(CLOCK_MONOTONIC);
                *ret_step = MAX(*ret_step, now - last);
                last = now;
        }
        store_verify_progress(verify, &progress);
        if (progress.findings)
                fprintf(stderr, "verify found %lld things wrong\n", (long long)progress.findings);
        return (double)progress.done / (start().wall - before.wall);
}

static struct figures bench(unsigned users)
{
        struct help *help = help_new();
        struct figures figures;
        double step = 0, rows;

        run(help->store, prepare, 0, users + 3000, 500);
        run(help->store, enroll, 0, users, 500);
        figures.single = run(help->store, enroll, users, 500, 1).wall;
        struct stopwatch batch = run(help->store, enroll, users + 500, 2000, 32);
        figures.batch = batch.wall;
        figures.cpu = batch.cpu;
        figures.lookup = bench_lookup(help->store, users);
        figures.revoke = run(help->store, revoke, 0, 500, 16).cpu;
        figures.open = bench_open(help);
        rows = bench_verify(help->store, &step);
        report("rows verified a second", users, rows, "rows/s", NULL, 0);
        report("longest step of verify (500 rows)", users, step * 1e3, "ms", NULL, 0);
        help_free(help);
        return figures;
}

int main(int argc, char **argv)
{
        unsigned sizes[8], count = 0;
        struct figures first = {0};

        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], "--json") == 0)
                        json = true;
                else if (count < ARRAY_LEN(sizes))
                        sizes[count++] = (unsigned)strtoul(argv[i], NULL, 10);
        if (count == 0) {
                sizes[count++] = 1000;
                sizes[count++] = 100000;
        }
        if (!getenv("VOUCHSAFE_TEST_FOLDER"))
                setenv("VOUCHSAFE_TEST_FOLDER", "/var/tmp", 1);
        for (unsigned i = 0; i < count; i++) {
                struct figures f = bench(sizes[i]);
                const char *peer = i ? "the first size" : NULL;

                if (i == 0)
                        first = f;
                report("an enrollment, one a commit", sizes[i], f.single * 1e6, "us", peer,
                       first.single * 1e6);
                report("an enrollment, 32 a commit", sizes[i], f.batch * 1e6, "us", peer, first.batch * 1e6);
                report("CPU of an enrollment, 32 a commit", sizes[i], f.cpu * 1e6, "us", peer,
                       first.cpu * 1e6);
                report("CPU of the certificates of an address", sizes[i], f.lookup * 1e6, "us", peer,
                       first.lookup * 1e6);
                report("CPU of a revocation, 16 a commit", sizes[i], f.revoke * 1e6, "us", peer,
                       first.revoke * 1e6);
                report("opening", sizes[i], f.open * 1e3, "ms", peer, first.open * 1e3);
        }
        return 0;
}
