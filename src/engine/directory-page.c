/* SPDX-License-Identifier: Apache-2.0 */
/* A page of people and groups from the directory: each is taken, or told back as a conflict, or a finding. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/entry.h"

enum { WORDS_MOST = 1500, CONFLICT_MS = 5 * 60 * 1000 };

struct taking {
        struct engine *engine;
        const struct msg_directory_page *page;
        const struct msg_person *person;
        struct id guid;
        bool again; /* it was a conflict before, in this run */
        struct buf words;
        uint64_t added, changed, returned, left;
};

/* ---- conflicts */

static struct directory_conflict *conflict_find(struct directory *directory, const struct id *guid)
{
        for (size_t i = 0; i < directory->conflict_count; i++)
                if (id_equal(&directory->conflicts[i].guid, guid))
                        return &directory->conflicts[i];
        return NULL;
}

static void conflict_remove(struct directory *directory, const struct id *guid)
{
        struct directory_conflict *conflict = conflict_find(directory, guid);

        if (!conflict)
                return;
        texts_done(&conflict->claims);
        *conflict = directory->conflicts[--directory->conflict_count];
}

void directory_conflicts_done(struct directory *directory)
{
        for (size_t i = 0; i < directory->conflict_count; i++)
                texts_done(&directory->conflicts[i].claims);
        free(TAKE(directory->conflicts));
        directory->conflict_count = 0;
}

/* False: there are too many already. */
static bool conflict_add(struct taking *taking)
{
        struct directory *directory = &taking->engine->directory;
        struct directory_conflict *conflict;
        CLEANUP(entry_row_done) struct entry_row wanted = {0};
        char *name CLEANUP(mem_freep) = NULL;

        if (directory->conflict_count >= DIRECTORY_CONFLICTS_MOST || entry_fill(taking->person, &wanted) != 0)
                return false;
        name = store_name_key(msg_text(wanted.name));
        directory->conflicts =
            message_list_grow(directory->conflicts, directory->conflict_count, sizeof(*directory->conflicts));
        conflict = &directory->conflicts[directory->conflict_count++];
        *conflict = (struct directory_conflict){.guid = taking->guid, .claims = wanted.addresses};
        wanted.addresses = TEXTS_NONE;
        return texts_add(&conflict->claims, name) == 0;
}

/* Whether who has it by his row gives it up to this one, who is said to have it for the second time: all others were
 * heard of by then, or all that changed. */
static bool holder_yields(void *context, const struct entry_row *holder, const char *key)
{
        struct taking *taking = context;
        struct directory *directory = &taking->engine->directory;
        struct directory_conflict *conflict;

        if (!taking->again || holder->source != ENTRY_LDAP)
                return false;
        conflict = conflict_find(directory, &holder->guid);
        if (conflict)
                return !texts_have(&conflict->claims, key); /* his row is from before: he gave it up, or claims it too */
        /* He was not seen in the run: he has left. */
        return taking->page->whole && !id_set_has(&directory->seen, &holder->guid);
}

/* ---- findings */

static void finding_of_report(struct taking *taking, const struct msg_person *person)
{
        const char *subject = *msg_text(person->dn) ? person->dn : msg_text(person->guid);

        directory_finding(taking->engine, "error", subject, report_text());
}

static void word_add(struct taking *taking, const char *verb, const char *name)
{
        if (taking->words.len > WORDS_MOST)
                return;
        if (taking->words.len)
                buf_add_text(&taking->words, "; ");
        buf_add_format(&taking->words, "%s ", verb);
        text_add_printable(&taking->words, bytes_text(name), 100);
        if (taking->words.len > WORDS_MOST)
                buf_add_text(&taking->words, "; and more");
}

/* ---- one person or group */

static void outcome_count(struct taking *taking, enum entry_outcome outcome)
{
        const struct msg_person *person = taking->person;
        const char *name = *msg_text(person->name) ? person->name : msg_text(person->dn);

        taking->added += outcome == ENTRY_ADDED;
        taking->changed += outcome == ENTRY_CHANGED;
        taking->returned += outcome == ENTRY_RETURNED;
        if (outcome != ENTRY_UNCHANGED)
                word_add(taking, outcome == ENTRY_ADDED ? "added" : outcome == ENTRY_CHANGED ? "changed" : "returned", name);
}

static int conflict_note(struct taking *taking)
{
        struct directory *directory = &taking->engine->directory;

        if (!taking->again && conflict_add(taking)) {
                msg_texts_add(&directory->answer.taken.conflicts, msg_text(taking->person->guid));
                return 0;
        }
        finding_of_report(taking, taking->person);
        if (taking->page->whole)
                return 0; /* that he claims it counts until the end of the run */
        /* A run sorts it out, should who has it give it up later. */
        conflict_remove(directory, &taking->guid);
        directory->next_ms = MIN(directory->next_ms, clock_monotonic_ms() + CONFLICT_MS);
        return 0;
}

static int person_store(struct taking *taking)
{
        struct entry_taking how = {.engine = taking->engine,
                                   .source = ENTRY_LDAP,
                                   .yields = holder_yields,
                                   .context = taking};
        enum entry_outcome outcome = ENTRY_UNCHANGED;
        int r = entry_take(&how, taking->person, &outcome);

        if (r == PROBLEM_EXISTS)
                return conflict_note(taking);
        if (r == PROBLEM_MALFORMED || r == PROBLEM_TAMPERED) {
                finding_of_report(taking, taking->person);
                return 0;
        }
        TRY(r);
        if (taking->again)
                conflict_remove(&taking->engine->directory, &taking->guid);
        outcome_count(taking, outcome);
        return 0;
}

/* Met before in this run, and not as one who is sent again after a conflict, which has the same name. */
static bool is_twice(const struct taking *taking)
{
        struct directory *directory = &taking->engine->directory;
        const struct directory_conflict *conflict = conflict_find(directory, &taking->guid);
        char *name CLEANUP(mem_freep) = store_name_key(msg_text(taking->person->dn));

        if (!taking->page->whole || id_set_add(&directory->seen, &taking->guid))
                return false;
        return !conflict || !texts_have(&conflict->claims, name);
}

/* Of two entries with one id nobody can tell which is the person, and one was taken already: he is as good as disabled,
 * so that nothing is issued, until a run meets his id once. */
static int twice_refuse(struct taking *taking)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        int r;

        (void)refuse(PROBLEM_EXISTS,
                     "Its id %s is that of another entry too; nothing is issued for either until one of them has another id.",
                     taking->person->guid);
        finding_of_report(taking, taking->person);
        conflict_remove(&taking->engine->directory, &taking->guid);
        r = store_entry_find(taking->engine->store, &taking->guid, &entry);
        if (r || entry.source != ENTRY_LDAP)
                return r == PROBLEM_NOT_FOUND ? 0 : PASS(r);
        entry.disabled = 1;
        buf_clear(&entry.origin); /* the next run takes him as changed */
        word_add(taking, "held back", msg_text(entry.cn));
        return PASS(store_entry_put(taking->engine->store, &entry));
}

static int person_take(struct taking *taking)
{
        struct directory *directory = &taking->engine->directory;

        if (!*msg_text(taking->person->guid)) {
                (void)refuse(PROBLEM_MALFORMED, "It has no id that would stay the same when it is renamed.");
                finding_of_report(taking, taking->person);
                return 0;
        }
        taking->guid = entry_guid(taking->person->guid);
        taking->again = conflict_find(directory, &taking->guid) != NULL;
        return is_twice(taking) ? PASS(twice_refuse(taking)) : PASS(person_store(taking));
}

/* ---- followed departures */

static int gone_take(struct taking *taking, const char *guid)
{
        struct engine *engine = taking->engine;
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        struct id id = entry_guid(guid);
        bool left = false, may = false;

        TRY(directory_people_may_leave(engine, 1, &may));
        /* Like a run: a directory that says all have gone is not believed at once. */
        if (!may || !directory_may_leave(engine, engine->directory.followed_left + 1, engine->directory.present)) {
                directory_finding(engine, "error", guid,
                                  "It is said to be deleted, as more others than may leave at once; it was left as it "
                                  "is until the next complete run.");
                return 0;
        }
        TRY(entry_leave(engine, &id, ENTRY_LDAP, &entry, &left));
        if (!left)
                return 0;
        engine->directory.followed_left++;
        taking->left++;
        word_add(taking, "left", msg_text(entry.cn));
        return 0;
}

/* ---- all of it */

static int page_record(struct taking *taking)
{
        struct msg_directory_run *run = &taking->engine->directory.run;
        char *subject CLEANUP(mem_freep) =
            text_format("run %llu%s", (unsigned long long)taking->page->run, taking->page->whole ? "" : ", followed");

        run->added += taking->added;
        run->changed += taking->changed;
        run->returned += taking->returned;
        run->left += taking->left;
        if (!taking->words.len)
                return 0;
        return PASS(engine_audit_server(taking->engine, "server.directory.page", subject, "done",
                                        buf_text(&taking->words)));
}

int directory_page_take(struct engine *engine, const struct msg_directory_page *page)
{
        struct taking taking = {.engine = engine, .page = page};
        int r = 0;

        for (size_t i = 0; i < page->findings.count; i++)
                directory_finding(engine, msg_text(page->findings.at[i].severity), msg_text(page->findings.at[i].subject),
                                  msg_text(page->findings.at[i].detail));
        for (size_t i = 0; !r && i < page->people.count; i++) {
                taking.person = &page->people.at[i];
                r = person_take(&taking);
        }
        for (size_t i = 0; !r && i < page->gone.count; i++)
                r = gone_take(&taking, page->gone.at[i]);
        if (page->whole)
                engine->directory.run.seen = engine->directory.seen.count;
        if (!r)
                r = page_record(&taking);
        buf_done(&taking.words);
        return PASS(r);
}
