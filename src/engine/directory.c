/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded address book: people are imported by their stable id, again and again; what did not change is left
 * alone. An address that somebody else has is a finding, never taken over: keys belong to the id, not to the address.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/kdf.h"
#include "engine/people.h"

/* ---- import */

/* Ids that are no UUID are hashed to 16 bytes; who has none is known by his main address. */
static int guid_of(struct engine *engine, const struct msg_person *person, const char *address, struct id *ret_guid)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        CLEANUP(buf_done) struct buf text = BUF_NONE;
        struct digest digest;
        int r;

        if (person->guid) {
                if (!id_parse(bytes_text(person->guid), ret_guid) && !id_is_none(ret_guid))
                        return 0;
                buf_add_format(&text, "vouchsafe guid 1 %s", person->guid);
        } else {
                if (!address)
                        return refuse(PROBLEM_MALFORMED, "There is neither an id nor an address.");
                r = store_entry_find_address(engine->store, address, &entry);
                if (r == 0 && entry.addresses.count && strcmp(entry.addresses.items[0], address) == 0) {
                        *ret_guid = entry.guid;
                        return 0;
                }
                if (r && r != PROBLEM_NOT_FOUND)
                        return PASS(r);
                buf_add_format(&text, "vouchsafe guid 1 mail %s", address);
        }
        digest = sha256(buf_view(&text));
        memcpy(ret_guid->data, digest.data, ID_SIZE);
        return 0;
}

static int addresses_parse(const struct msg_person *person, struct texts *ret_addresses)
{
        for (size_t i = 0; i < person->addresses.count; i++) {
                CLEANUP(buf_done) struct buf address = BUF_NONE;
                int r = address_parse(bytes_text(person->addresses.at[i]), &address);

                if (r)
                        return report_prefix(r, "%s: ", person->addresses.at[i]);
                TRY(texts_add(ret_addresses, buf_text(&address)));
        }
        return 0;
}

/* Of another person? Then it is not accepted. */
static int addresses_free(struct engine *engine, const struct id *guid, const struct texts *addresses)
{
        for (size_t i = 0; i < addresses->count; i++) {
                CLEANUP(entry_row_done) struct entry_row other = {0};
                int r = store_entry_find_address(engine->store, addresses->items[i], &other);

                if (r == PROBLEM_NOT_FOUND)
                        continue;
                TRY(r);
                if (!id_equal(&other.guid, guid))
                        return refuse(PROBLEM_EXISTS,
                                      "%s belongs to %s; give it up there first. Keys stay with the person, not with "
                                      "the address.",
                                      addresses->items[i], msg_text(other.cn));
        }
        return 0;
}

static int origin_of(const struct msg_person *person, struct buf *ret_origin)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        struct digest digest;

        TRY(msg_encode(person, person, &encoded));
        digest = sha256(buf_view(&encoded));
        buf_add(ret_origin, digest.data, ID_SIZE);
        return 0;
}

static void text_set(char **field, const char *text)
{
        free(*field);
        *field = text_copy(msg_text(text));
}

static int groups_fill(const struct msg_person *person, struct texts *groups)
{
        texts_done(groups);
        for (size_t i = 0; i < person->groups.count; i++)
                TRY(texts_add(groups, person->groups.at[i]));
        return 0;
}

static int entry_fill(const struct msg_person *person, struct texts *addresses, struct entry_row *entry)
{
        entry->kind = ENTRY_PERSON;
        text_set(&entry->cn, person->name && person->name[0] ? person->name
                             : addresses->count              ? addresses->items[0]
                                                             : "");
        text_set(&entry->given_name, person->given_name);
        text_set(&entry->surname, person->surname);
        text_set(&entry->unit, person->unit);
        text_set(&entry->server, person->home_server);
        texts_done(&entry->addresses);
        entry->addresses = *addresses;
        *addresses = TEXTS_NONE;
        entry->disabled = person->disabled;
        return PASS(groups_fill(person, &entry->groups));
}

enum outcome { ADDED, CHANGED, UNCHANGED };

static int import_one(struct request *request, const struct msg_person *person, enum outcome *ret_outcome)
{
        const struct msg_directory_import *ask = request->message;
        struct engine *engine = request->engine;
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        CLEANUP(texts_done) struct texts addresses = TEXTS_NONE;
        CLEANUP(buf_done) struct buf origin = BUF_NONE;
        struct id guid = ID_NONE;
        int r;

        TRY(addresses_parse(person, &addresses));
        TRY(guid_of(engine, person, addresses.count ? addresses.items[0] : NULL, &guid));
        TRY(origin_of(person, &origin));
        r = store_entry_find(engine->store, &guid, &entry);
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        *ret_outcome = r ? ADDED : bytes_equal(buf_view(&entry.origin), buf_view(&origin)) ? UNCHANGED : CHANGED;
        if (*ret_outcome == UNCHANGED)
                return 0;
        TRY(addresses_free(engine, &guid, &addresses));
        entry.guid = guid;
        TRY(entry_fill(person, &addresses, &entry));
        buf_done(&entry.origin);
        entry.origin = buf_take(&origin);
        entry.updated = engine_now(engine);
        return ask->dry_run ? 0 : PASS(store_entry_put(engine->store, &entry));
}

static void finding_add(struct msg_directory_imported *reply, const struct msg_person *person)
{
        struct msg_finding *finding = MSG_LIST_ADD(reply->findings);
        CLEANUP(buf_done) struct buf subject = BUF_NONE, detail = BUF_NONE;

        text_add_printable(&subject, bytes_text(msg_text(person->name)), 250);
        if (person->addresses.count) {
                buf_add_text(&subject, " ");
                text_add_printable(&subject, bytes_text(person->addresses.at[0]), 250);
        }
        text_add_printable(&detail, bytes_text(report_text()), 1000);
        finding->severity = text_copy("error");
        finding->subject = text_copy(buf_text(&subject));
        finding->detail = text_copy(buf_text(&detail));
}

static int import_person(struct request *request, const struct msg_person *person)
{
        struct msg_directory_imported *reply = request->reply;
        enum outcome outcome = UNCHANGED;
        int r = import_one(request, person, &outcome);

        if (r == PROBLEM_EXISTS || r == PROBLEM_MALFORMED) {
                finding_add(reply, person);
                return 0;
        }
        TRY(r);
        reply->added += outcome == ADDED;
        reply->changed += outcome == CHANGED;
        reply->unchanged += outcome == UNCHANGED;
        return 0;
}

int directory_import_handle(struct request *request)
{
        const struct msg_directory_import *ask = request->message;
        const struct msg_directory_imported *reply = request->reply;

        for (size_t i = 0; i < ask->people.count; i++)
                TRY(import_person(request, &ask->people.at[i]));
        request_subject(request, "%zu people", ask->people.count);
        request_details(request, "%llu added, %llu changed, %llu unchanged, %zu refused%s",
                        (unsigned long long)reply->added, (unsigned long long)reply->changed,
                        (unsigned long long)reply->unchanged, reply->findings.count, ask->dry_run ? ", dry run" : "");
        return 0;
}

/* ---- list */

struct listing {
        struct msg_directory_listed *reply;
        struct id last;
};

static int list_add(void *context, struct entry_row *entry)
{
        struct listing *listing = context;
        struct msg_person *person = MSG_LIST_ADD(listing->reply->people);
        char text[ID_TEXT_SIZE];

        listing->last = entry->guid;
        person->guid = text_copy(id_text(&entry->guid, text));
        person->name = text_copy(msg_text(entry->cn));
        person->given_name = text_copy(msg_text(entry->given_name));
        person->surname = text_copy(msg_text(entry->surname));
        texts_to_message(&entry->addresses, &person->addresses);
        person->unit = text_copy(msg_text(entry->unit));
        person->home_server = text_copy(msg_text(entry->server));
        texts_to_message(&entry->groups, &person->groups);
        person->disabled = entry->disabled != 0;
        return 0;
}

int directory_list_handle(struct request *request)
{
        const struct msg_directory_list *ask = request->message;
        struct listing listing = {.reply = request->reply};
        struct store_entry_filter filter = {.text = ask->search, .kind = ENTRY_PERSON};
        size_t limit = ask->limit ? (size_t)ask->limit : 100;
        struct id after = ID_NONE;
        char text[ID_TEXT_SIZE];

        if (ask->cursor)
                TRY(id_parse(bytes_text(ask->cursor), &after));
        TRY(store_entry_list(request->engine->store, &filter, ask->cursor ? &after : NULL, limit, &listing,
                             list_add));
        if (listing.reply->people.count == limit)
                listing.reply->cursor = text_copy(id_text(&listing.last, text));
        return 0;
}
