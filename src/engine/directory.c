/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded address book: people are imported by their stable id, again and again; what did not change is left
 * alone. An address that somebody else has is a finding, never taken over: keys belong to the id, not to the address.
 * And lists of the directory, whichever it is.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/name.h"
#include "engine/entry.h"
#include "engine/people.h"
#include "engine/publication.h"

int directory_embedded(const struct engine *engine)
{
        if (!engine->config.directory_ldap)
                return 0;
        return refuse(PROBLEM_UNSUPPORTED,
                      "The people of this server come from an LDAP directory; change them there, and the server follows "
                      "(\"vouchsafe directory status\" shows how far it is).");
}

/* ---- import */

static void finding_add(struct msg_directory_imported *reply, const struct msg_person *person)
{
        struct msg_finding *finding = MSG_LIST_ADD(reply->findings);
        CLEANUP(buf_done) struct buf subject = BUF_NONE, detail = BUF_NONE;

        text_add_printable(&detail, bytes_text(report_text()), 1000);
        text_add_printable(&subject, bytes_text(msg_text(person->name)), 250);
        if (person->addresses.count) {
                buf_add_text(&subject, " ");
                text_add_printable(&subject, bytes_text(person->addresses.at[0]), 250);
        }
        finding->severity = text_copy("error");
        finding->subject = text_copy(buf_text(&subject));
        finding->detail = text_copy(buf_text(&detail));
}

static int import_person(struct request *request, const struct msg_person *person)
{
        const struct msg_directory_import *ask = request->message;
        struct msg_directory_imported *reply = request->reply;
        struct entry_taking taking = {
            .engine = request->engine, .source = ENTRY_EMBEDDED, .dry_run = ask->dry_run};
        enum entry_outcome outcome = ENTRY_UNCHANGED;
        int r = entry_take(&taking, person, &outcome);

        if (r == PROBLEM_EXISTS || r == PROBLEM_MALFORMED) {
                finding_add(reply, person);
                return 0;
        }
        TRY(r);
        reply->added += outcome == ENTRY_ADDED;
        reply->changed += outcome == ENTRY_CHANGED || outcome == ENTRY_RETURNED;
        reply->unchanged += outcome == ENTRY_UNCHANGED;
        return 0;
}

int directory_import_handle(struct request *request)
{
        const struct msg_directory_import *ask = request->message;
        const struct msg_directory_imported *reply = request->reply;

        request_subject(request, "%zu people", ask->people.count);
        TRY(directory_embedded(request->engine));
        for (size_t i = 0; i < ask->people.count; i++)
                TRY(import_person(request, &ask->people.at[i]));
        request_details(request, "%llu added, %llu changed, %llu unchanged, %zu refused%s",
                        (unsigned long long)reply->added, (unsigned long long)reply->changed,
                        (unsigned long long)reply->unchanged, reply->findings.count, ask->dry_run ? ", dry run" : "");
        return 0;
}

/* ---- list */

struct listing {
        struct engine *engine;
        struct msg_directory_listed *reply;
        bool left;
        size_t seen;
        struct id last;
};

/* Only who has certificates has something that is revoked. */
static int departure_fill(struct engine *engine, const struct entry_row *entry, struct msg_departure *departure)
{
        CLEANUP(user_row_done) struct user_row user = {.state = USER_UNDEFINED};
        char text[ID_TEXT_SIZE];
        int r = store_user_find_guid(engine->store, &entry->guid, &user);

        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        departure->guid = text_copy(id_text(&entry->guid, text));
        departure->name = text_copy(msg_text(entry->cn));
        texts_to_message(&entry->addresses, &departure->addresses);
        departure->left = entry->gone;
        departure->state = text_copy(state_name(&user_states, (int)user.state));
        if (engine->config.revoke_left_after && (user.state == USER_ENROLLED || user.state == USER_NEW))
                departure->revoke = entry->gone + engine->config.revoke_left_after;
        return 0;
}

static int list_add(void *context, struct entry_row *entry)
{
        struct listing *listing = context;

        listing->last = entry->guid;
        listing->seen++;
        if (listing->left)
                return PASS(departure_fill(listing->engine, entry, MSG_LIST_ADD(listing->reply->departures)));
        entry_to_person(entry, MSG_LIST_ADD(listing->reply->people));
        return 0;
}

/* One entry by its id or DN, when that is what was given. */
static int list_named(struct listing *listing, const char *search)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        struct id id;
        int r = PROBLEM_NOT_FOUND;

        if (id_parse(bytes_text(search), &id) == 0)
                r = store_entry_find(listing->engine->store, &id, &entry);
        else if (strchr(search, '='))
                r = store_entry_find_name(listing->engine->store, search, &entry);
        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        return PASS(list_add(listing, &entry));
}

int directory_list_handle(struct request *request)
{
        const struct msg_directory_list *ask = request->message;
        struct listing listing = {.engine = request->engine, .reply = request->reply, .left = ask->left};
        struct store_entry_filter filter = {.text = ask->search, .kind = ask->groups ? ENTRY_GROUP : ENTRY_PERSON};
        size_t limit = ask->limit ? (size_t)ask->limit : 100;
        struct id after = ID_NONE;
        char text[ID_TEXT_SIZE];

        /* Who is looked for by name is found though he has left. */
        filter.presence = ask->left ? ENTRY_LEFT : *msg_text(ask->search) ? ENTRY_EITHER : ENTRY_PRESENT;
        if (*msg_text(ask->cursor))
                TRY(id_parse(bytes_text(ask->cursor), &after));
        else if (*msg_text(ask->search))
                TRY(list_named(&listing, ask->search));
        if (listing.seen)
                return 0;
        TRY(store_entry_list(request->engine->store, &filter, ask->cursor ? &after : NULL, limit, &listing,
                             list_add));
        if (listing.seen == limit)
                listing.reply->cursor = text_copy(id_text(&listing.last, text));
        return 0;
}

/* ---- edit */

struct field {
        const char *name;
        size_t offset; /* of the text in struct msg_person; 0: another type */
};

/* A set without some and with some others; the order of what stays is kept, so the main address is the first one. */
static void texts_edit(struct msg_texts *texts, const struct msg_texts *add, const struct msg_texts *remove,
                       bool (*equal)(const char *a, const char *b))
{
        size_t kept = 0;

        for (size_t i = 0; i < texts->count; i++) {
                bool removed = false;

                for (size_t j = 0; j < remove->count; j++)
                        removed = removed || equal(texts->at[i], remove->at[j]);
                if (removed)
                        free(texts->at[i]);
                else
                        texts->at[kept++] = texts->at[i];
        }
        texts->count = kept;
        for (size_t i = 0; i < add->count; i++)
                if (!msg_texts_have(texts, add->at[i]))
                        msg_texts_add(texts, add->at[i]);
}

static void texts_replace(struct msg_texts *texts, const struct msg_texts *with)
{
        for (size_t i = 0; i < texts->count; i++)
                free(texts->at[i]);
        texts->count = 0;
        for (size_t i = 0; i < with->count; i++)
                msg_texts_add(texts, with->at[i]);
}

static int field_set(const struct msg_person *from, const char *name, struct msg_person *person)
{
        static const struct field texts[] = {
            {"name", offsetof(struct msg_person, name)},
            {"given_name", offsetof(struct msg_person, given_name)},
            {"surname", offsetof(struct msg_person, surname)},
            {"unit", offsetof(struct msg_person, unit)},
            {"home_server", offsetof(struct msg_person, home_server)},
            {"dn", offsetof(struct msg_person, dn)},
            {"kind", offsetof(struct msg_person, kind)},
            {"language", offsetof(struct msg_person, language)},
        };

        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
                if (strcmp(texts[i].name, name) == 0) {
                        char **to = (char **)(void *)((char *)person + texts[i].offset);
                        char *const *value = (char *const *)(const void *)((const char *)from + texts[i].offset);

                        free(*to);
                        *to = text_copy(msg_text(*value));
                        return 0;
                }
        if (strcmp(name, "disabled") == 0)
                person->disabled = from->disabled;
        else if (strcmp(name, "addresses") == 0)
                texts_replace(&person->addresses, &from->addresses);
        else if (strcmp(name, "groups") == 0)
                texts_replace(&person->groups, &from->groups);
        else
                return refuse(PROBLEM_MALFORMED, "No field %s of an entry can be set.", name);
        return 0;
}

static int groups_named(struct engine *engine, const struct msg_texts *names, struct msg_texts *ret_groups)
{
        CLEANUP(texts_done) struct texts groups = TEXTS_NONE;

        for (size_t i = 0; i < names->count; i++)
                TRY(texts_add(&groups, names->at[i]));
        TRY(entry_resolve_groups(engine, &groups));
        texts_to_message(&groups, ret_groups);
        return 0;
}

static bool groups_equal(const char *a, const char *b)
{
        char *key CLEANUP(mem_freep) = store_name_key(a), *other CLEANUP(mem_freep) = store_name_key(b);

        return strcmp(key, other) == 0;
}

static int edit_groups(struct engine *engine, const struct msg_directory_edit *ask, struct msg_person *person)
{
        MSG_OWN(directory_edit) resolved = {0};
        MSG_OWN(person) now = {0}; /* an import may have named a group that there was no entry of */

        TRY(groups_named(engine, &person->groups, &now.groups));
        TRY(groups_named(engine, &ask->add_groups, &resolved.add_groups));
        TRY(groups_named(engine, &ask->remove_groups, &resolved.remove_groups));
        texts_replace(&person->groups, &now.groups);
        texts_edit(&person->groups, &resolved.add_groups, &resolved.remove_groups, groups_equal);
        return 0;
}

static bool addresses_equal(const char *a, const char *b)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE, other = BUF_NONE;

        return address_key(bytes_text(a), &key) == 0 && address_key(bytes_text(b), &other) == 0 &&
               bytes_equal(buf_view(&key), buf_view(&other));
}

static int edit_apply(struct engine *engine, const struct msg_directory_edit *ask, struct msg_person *person)
{
        for (size_t i = 0; i < ask->fields.count; i++) {
                if (!ask->person.count)
                        return refuse(PROBLEM_MALFORMED, "There is no value for %s.", ask->fields.at[i]);
                TRY(field_set(&ask->person.at[0], ask->fields.at[i], person));
        }
        texts_edit(&person->addresses, &ask->add_addresses, &ask->remove_addresses, addresses_equal);
        return PASS(edit_groups(engine, ask, person));
}

static int edit_new(struct request *request, const struct msg_directory_edit *ask, struct entry_row *entry)
{
        const char *guid = ask->person.count ? msg_text(ask->person.at[0].guid) : "";
        CLEANUP(entry_row_done) struct entry_row found = {0};
        int r;

        if (ask->remove || ask->restore)
                return refuse(PROBLEM_MALFORMED, "What is to be removed or restored must be named.");
        entry->guid = *guid ? entry_guid(guid) : id_new();
        r = store_entry_find(request->engine->store, &entry->guid, &found);
        if (r == 0)
                return refuse(PROBLEM_EXISTS, "The id belongs to %s already%s.", msg_text(found.cn),
                              found.gone ? ", who has left; restore that entry" : "");
        return r == PROBLEM_NOT_FOUND ? 0 : PASS(r);
}

static int edit_load(struct request *request, const struct msg_directory_edit *ask, struct entry_row *entry)
{
        if (!*msg_text(ask->entry))
                return PASS(edit_new(request, ask, entry));
        TRY(entry_named(request->engine, ask->entry, entry));
        if (entry->gone && !ask->restore)
                return refuse(PROBLEM_STATE, "%s has left; restore the entry first (\"vouchsafe directory edit --restore\").",
                              msg_text(entry->cn));
        return 0;
}

static int edit_store(struct request *request, struct entry_row *entry)
{
        struct entry_taking taking = {.engine = request->engine, .source = ENTRY_EMBEDDED};

        TRY(entry_claim(&taking, entry));
        entry->source = ENTRY_EMBEDDED;
        entry->updated = engine_now(request->engine);
        request->engine->directory.changed = true;
        buf_done(&entry->origin); /* an import says it anew */
        TRY(publication_folder_follow(request->engine, entry));
        TRY(store_entry_put(request->engine->store, entry));
        return PASS(publication_queue_entry(request->engine, &entry->guid));
}

static int edit_remove(struct request *request, const struct msg_directory_edit *ask)
{
        struct msg_directory_edited *reply = request->reply;
        CLEANUP(entry_row_done) struct entry_row entry = {0}, left = {0};
        bool done = false;

        TRY(entry_named(request->engine, msg_text(ask->entry), &entry));
        if (entry.source == ENTRY_LDAP)
                TRY(directory_embedded(request->engine));
        TRY(entry_leave(request->engine, &entry.guid, 0, &left, &done));
        entry_to_person(done ? &left : &entry, MSG_LIST_ADD(reply->person));
        request_details(request, "%s %s", msg_text(entry.cn), done ? "removed" : "had left already");
        return 0;
}

static int edit_entry(struct request *request, const struct msg_directory_edit *ask)
{
        struct msg_directory_edited *reply = request->reply;
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        MSG_OWN(person) person = {0};

        TRY(directory_embedded(request->engine));
        TRY(edit_load(request, ask, &entry));
        entry_to_person(&entry, &person);
        TRY(edit_apply(request->engine, ask, &person));
        TRY(entry_fill(&person, &entry));
        if (!*msg_text(entry.cn))
                return refuse(PROBLEM_MALFORMED, "A new entry needs a name or an address.");
        if (ask->restore)
                entry.gone = 0;
        TRY(edit_store(request, &entry));
        entry_to_person(&entry, MSG_LIST_ADD(reply->person));
        request_details(request, "%s %s", msg_text(entry.cn),
                        entry.row.version == 1 ? "added"
                        : ask->restore         ? "restored"
                                               : "changed");
        return 0;
}

int directory_edit_handle(struct request *request)
{
        const struct msg_directory_edit *ask = request->message;

        request_subject(request, "%s",
                        *msg_text(ask->entry)       ? ask->entry
                        : ask->add_addresses.count ? ask->add_addresses.at[0]
                                                   : "new entry");
        /* Also of a server that has an LDAP directory now, and people from before. */
        if (ask->remove && *msg_text(ask->entry))
                return PASS(edit_remove(request, ask));
        return PASS(edit_entry(request, ask));
}
