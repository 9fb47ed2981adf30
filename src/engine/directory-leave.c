/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a complete run: who was not seen has left. Found first, all of them, so that nobody leaves when too many
 * would; then marked. A few hundred at a time, so that others are served meanwhile.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/entry.h"
#include "engine/people.h"

enum { STEP_MOST = 250, STEP_MS = 1, WORDS_MOST = 1500, DEPARTURES_S = 86400 };

bool directory_may_leave(const struct engine *engine, int64_t leaving, int64_t present)
{
        int64_t share = (int64_t)engine->config.left_most;

        /* One may always: else nobody could leave a small organisation. */
        return leaving <= MAX((int64_t)1, present / 100 * share + present % 100 * share / 100);
}

int directory_people_may_leave(struct engine *engine, int64_t leaving, bool *ret_may)
{
        int64_t since = MAX(engine_now(engine) - DEPARTURES_S, engine->directory.accepted_at), left = 0;

        TRY(store_entry_count_left_since(engine->store, since, &left));
        *ret_may = !leaving || directory_may_leave(engine, leaving + left, engine->directory.present_people + left);
        return 0;
}

/* ---- finding */

struct finding_step {
        struct directory *directory;
        size_t seen;
};

static int entry_look(void *context, struct entry_row *entry)
{
        struct finding_step *step = context;

        step->seen++;
        step->directory->cursor = entry->guid;
        if (entry->source != ENTRY_LDAP)
                return 0;
        step->directory->present++;
        step->directory->present_people += entry->kind == ENTRY_PERSON;
        if (id_set_has(&step->directory->seen, &entry->guid))
                return 0;
        step->directory->leaving_people += entry->kind == ENTRY_PERSON;
        buf_add_bytes(&step->directory->leaving, id_view(&entry->guid));
        return 0;
}

static void refuse_departures(struct engine *engine, size_t count)
{
        char *detail CLEANUP(mem_freep) = text_format(
            "%zu of %lld entries are no longer in the directory, %zu of them people; with those who left within a day that is "
            "more than the %llu %% that may leave at once ([directory] left-most), so all were left as they are. Look at the "
            "directory; if it is right, run \"vouchsafe directory sync --accept-departures\".",
            count, (long long)engine->directory.present, engine->directory.leaving_people,
            (unsigned long long)engine->config.left_most);

        engine->directory.run.left = count;
        directory_run_end(engine, "refused", detail);
}

static int look_end(struct engine *engine)
{
        struct directory *directory = &engine->directory;
        size_t count = directory->leaving.len / ID_SIZE;
        bool may = false;

        TRY(directory_people_may_leave(engine, (int64_t)directory->leaving_people, &may));
        may = may && directory_may_leave(engine, (int64_t)count, directory->present);
        if (!may && directory->accepted != directory->run.run) {
                refuse_departures(engine, count);
                return 0;
        }
        directory->leaving_done = 0;
        directory->phase = DIRECTORY_LEAVING;
        loop_timer_arm(&directory->step, STEP_MS);
        return 0;
}

static int look_step(struct engine *engine)
{
        struct directory *directory = &engine->directory;
        struct finding_step step = {.directory = directory};

        TRY(store_entry_list(engine->store, NULL, id_is_none(&directory->cursor) ? NULL : &directory->cursor, STEP_MOST,
                             &step, entry_look));
        if (step.seen < STEP_MOST) {
                directory->looked = true;
                return PASS(look_end(engine));
        }
        loop_timer_arm(&directory->step, STEP_MS);
        return 0;
}

/* ---- leaving */

static int leave_some(struct engine *engine, void *context)
{
        struct directory *directory = &engine->directory;
        CLEANUP(buf_done) struct buf words = BUF_NONE;
        char *subject CLEANUP(mem_freep) = text_format("run %llu", (unsigned long long)directory->run.run);
        size_t *at = context, count = directory->leaving.len / ID_SIZE, until = MIN(*at + STEP_MOST, count), left = 0;

        for (; *at < until; (*at)++) {
                CLEANUP(entry_row_done) struct entry_row entry = {0};
                struct id id;
                bool done = false;

                memcpy(id.data, directory->leaving.data + *at * ID_SIZE, ID_SIZE);
                TRY(entry_leave(engine, &id, ENTRY_LDAP, &entry, &done));
                if (!done)
                        continue;
                left++;
                if (words.len < WORDS_MOST) {
                        buf_add_text(&words, words.len ? "; left " : "left ");
                        text_add_printable(&words, bytes_text(msg_text(entry.cn)), 100);
                        if (words.len >= WORDS_MOST)
                                buf_add_text(&words, "; and more");
                }
        }
        directory->run.left += left;
        return left ? PASS(engine_audit_server(engine, "server.directory.leave", subject, "done", buf_text(&words))) : 0;
}

static int leave_step(struct engine *engine)
{
        struct directory *directory = &engine->directory;

        if (directory->leaving_done >= directory->leaving.len / ID_SIZE) {
                directory_run_end(engine, "complete", NULL);
                return 0;
        }
        TRY(directory_change(engine, leave_some, &directory->leaving_done));
        loop_timer_arm(&directory->step, STEP_MS);
        return 0;
}

/* ---- both */

void directory_leave_begin(struct engine *engine)
{
        struct directory *directory = &engine->directory;

        buf_done(&directory->leaving);
        directory->cursor = ID_NONE;
        directory->present = directory->present_people = 0;
        directory->leaving_people = 0;
        directory->looked = false;
        loop_timer_arm(&directory->step, STEP_MS);
}

int directory_leave_step(void *context)
{
        struct engine *engine = context;
        struct directory *directory = &engine->directory;
        int r;

        if (directory->phase != DIRECTORY_LEAVING || engine->state != ENGINE_UNSEALED)
                return 0;
        r = directory->looked ? leave_step(engine) : look_step(engine);
        if (r) {
                log_report(r, "the end of a run of the directory");
                directory_run_fail(engine, r, report_text());
        }
        return 0;
}

/* ---- who left long enough ago */

enum { REVOKED_AT_ONCE = 20, REVOKE_MS = 60 * 1000 };

struct user_rows {
        struct user_row *items;
        size_t count;
};

static int user_collect(void *context, struct user_row *user)
{
        struct user_rows *users = context;

        users->items[users->count++] = *user;
        *user = (struct user_row){0};
        return 0;
}

static int departed_revoke(struct engine *engine, struct user_row *user)
{
        CLEANUP(certificate_rows_done) struct certificate_rows revoked = {0};
        char *details CLEANUP(mem_freep) = NULL;
        char text[ID_TEXT_SIZE];

        TRY(user_revoke(engine, user, REASON_CESSATION, &revoked));
        details = text_format("%zu certificates of %s revoked, %s; he is not in the directory any more", revoked.count,
                              *msg_text(user->address) ? user->address : msg_text(user->cn),
                              reason_name(REASON_CESSATION));
        return PASS(engine_audit_server(engine, "server.revoke", id_text(&user->id, text), "done", details));
}

static int departed_revoke_some(struct engine *engine, int state, bool *ret_more)
{
        struct user_row items[REVOKED_AT_ONCE] = {0};
        struct user_rows users = {.items = items};
        int64_t before = engine_now(engine) - engine->config.revoke_left_after;
        int r = store_user_list_left(engine->store, state, before, REVOKED_AT_ONCE, &users, user_collect);

        for (size_t i = 0; i < users.count; i++) {
                if (!r)
                        r = departed_revoke(engine, &items[i]);
                user_row_done(&items[i]);
        }
        *ret_more = *ret_more || users.count == REVOKED_AT_ONCE;
        return PASS(r);
}

/* Not who is in a recovery: that ends by itself, and then he is revoked. */
int directory_sweep(struct engine *engine)
{
        struct directory *directory = &engine->directory;
        uint64_t now = clock_monotonic_ms();
        bool more = false;

        if (!engine->config.revoke_left_after || now < directory->revoke_ms)
                return 0;
        TRY(departed_revoke_some(engine, USER_ENROLLED, &more));
        TRY(departed_revoke_some(engine, USER_NEW, &more));
        /* Who is to go after seconds does not wait for a minute. */
        directory->revoke_ms =
            more ? now : now + MIN((uint64_t)REVOKE_MS, (uint64_t)engine->config.revoke_left_after * 1000);
        return 0;
}
