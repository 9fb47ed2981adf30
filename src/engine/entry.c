/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/entry.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/kdf.h"
#include "crypto/name.h"
#include "engine/people.h"
#include "engine/publication.h"

/* ---- ids */

static struct id id_hashed(const char *words, const char *text)
{
        CLEANUP(buf_done) struct buf input = BUF_NONE;
        struct digest digest;
        struct id id;

        buf_add_format(&input, "vouchsafe guid 1 %s%s", words, text);
        digest = sha256(buf_view(&input));
        memcpy(id.data, digest.data, ID_SIZE);
        return id;
}

struct id entry_guid(const char *guid)
{
        struct id id = ID_NONE;

        if (id_parse(bytes_text(guid), &id) == 0 && !id_is_none(&id))
                return id;
        return id_hashed("", guid);
}

/* Who has no id is known by his main address, as far as he is there under it; a group by its name. */
static int guid_of(struct engine *engine, const struct msg_person *person, const struct entry_row *wanted,
                   struct id *ret_guid)
{
        CLEANUP(entry_row_done) struct entry_row found = {0};
        const char *address = wanted->addresses.count ? wanted->addresses.items[0] : NULL;
        int r;

        if (person->guid && *person->guid) {
                *ret_guid = entry_guid(person->guid);
                return 0;
        }
        if (!address && !*msg_text(wanted->name))
                return refuse(PROBLEM_MALFORMED, "There is neither an id nor an address.");
        r = address ? store_entry_find_address(engine->store, address, &found)
                    : store_entry_find_name(engine->store, wanted->name, &found);
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (r == 0 && (!address || (found.addresses.count && strcmp(found.addresses.items[0], address) == 0)))
                *ret_guid = found.guid;
        else
                *ret_guid = address ? id_hashed("mail ", address) : id_hashed("name ", wanted->name);
        return 0;
}

/* ---- fields */

/* Names end in certificates and on terminals. */
static int text_take(char **field, const char *text, const char *noun)
{
        if (!text_is_printable(bytes_text(msg_text(text))))
                return refuse(PROBLEM_MALFORMED, "Its %s has control characters.", noun);
        free(*field);
        *field = text_copy(msg_text(text));
        return 0;
}

static int addresses_take(const struct msg_person *person, struct texts *addresses)
{
        texts_done(addresses);
        for (size_t i = 0; i < person->addresses.count; i++) {
                CLEANUP(buf_done) struct buf address = BUF_NONE;
                int r = address_key(bytes_text(person->addresses.at[i]), &address);

                if (r)
                        return report_prefix(r, "%s: ", person->addresses.at[i]);
                if (!texts_have(addresses, buf_text(&address)))
                        TRY(texts_add(addresses, buf_text(&address)));
        }
        return 0;
}

static int groups_take(const struct msg_person *person, struct texts *groups)
{
        texts_done(groups);
        for (size_t i = 0; i < person->groups.count; i++)
                TRY(texts_add(groups, person->groups.at[i]));
        return 0;
}

/* The first of a list of preferences ("de, en;q=0.5", as RFC 2798 2.7 has it). */
static void language_take(const char *text, char **field)
{
        size_t len = strspn(msg_text(text), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

        free(*field);
        *field = text_copy_n(msg_text(text), MIN(len, (size_t)35));
}

static int kind_take(const char *kind, int64_t *ret_kind)
{
        if (!*msg_text(kind) || strcmp(kind, "person") == 0)
                *ret_kind = ENTRY_PERSON;
        else if (strcmp(kind, "group") == 0)
                *ret_kind = ENTRY_GROUP;
        else
                return refuse(PROBLEM_MALFORMED, "An entry is a person or a group, not a \"%s\".", kind);
        return 0;
}

/* What it is called where nothing says so. */
static const char *shown_name(const struct msg_person *person, const struct entry_row *entry)
{
        if (*msg_text(person->name))
                return person->name;
        return entry->addresses.count ? entry->addresses.items[0] : msg_text(person->dn);
}

int entry_fill(const struct msg_person *person, struct entry_row *entry)
{
        TRY(kind_take(person->kind, &entry->kind));
        texts_done(&entry->addresses);
        /* A distribution list's address is nobody's own. */
        if (entry->kind == ENTRY_PERSON)
                TRY(addresses_take(person, &entry->addresses));
        TRY(text_take(&entry->cn, shown_name(person, entry), "name"));
        TRY(text_take(&entry->name, *msg_text(person->dn) || entry->kind == ENTRY_PERSON ? person->dn : entry->cn,
                      "DN"));
        TRY(text_take(&entry->given_name, person->given_name, "given name"));
        TRY(text_take(&entry->surname, person->surname, "surname"));
        TRY(text_take(&entry->unit, person->unit, "unit"));
        TRY(text_take(&entry->server, person->home_server, "mail server"));
        language_take(person->language, &entry->language);
        entry->disabled = person->disabled;
        return PASS(groups_take(person, &entry->groups));
}

void entry_to_person(const struct entry_row *entry, struct msg_person *person)
{
        char text[ID_TEXT_SIZE];

        person->guid = text_copy(id_text(&entry->guid, text));
        person->name = text_copy(msg_text(entry->cn));
        person->given_name = text_copy(msg_text(entry->given_name));
        person->surname = text_copy(msg_text(entry->surname));
        texts_to_message(&entry->addresses, &person->addresses);
        person->unit = text_copy(msg_text(entry->unit));
        person->home_server = text_copy(msg_text(entry->server));
        texts_to_message(&entry->groups, &person->groups);
        person->disabled = entry->disabled != 0;
        person->dn = text_copy(msg_text(entry->name));
        person->kind = text_copy(entry->kind == ENTRY_GROUP ? "group" : "person");
        person->language = text_copy(msg_text(entry->language));
        person->gone = entry->gone;
}

/* ---- addresses and names, of which each is one entry's */

static int holder_find(struct engine *engine, const char *key, bool is_name, struct entry_row *ret_holder)
{
        return PASS(is_name ? store_entry_find_name(engine->store, key, ret_holder)
                            : store_entry_find_address(engine->store, key, ret_holder));
}

static int claim_check(const struct entry_taking *taking, const struct entry_row *entry, const char *text,
                       bool is_name)
{
        CLEANUP(entry_row_done) struct entry_row holder = {0};
        char *key CLEANUP(mem_freep) = is_name ? store_name_key(text) : text_copy(text);
        char id[ID_TEXT_SIZE];
        int r = holder_find(taking->engine, text, is_name, &holder);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        if (id_equal(&holder.guid, &entry->guid) || holder.gone ||
            (taking->yields && taking->yields(taking->context, &holder, key)))
                return 0;
        if (is_name)
                return refuse(PROBLEM_EXISTS, "Another entry, with the id %s, has the name %s.",
                              id_text(&holder.guid, id), text);
        if (holder.source == ENTRY_EMBEDDED && taking->source == ENTRY_LDAP)
                return refuse(PROBLEM_EXISTS,
                              "%s belongs to %s of the address book that was imported before; 'vouchsafe directory remove "
                              "%s' makes that entry leave. Its keys stay with it.",
                              text, msg_text(holder.cn), id_text(&holder.guid, id));
        return refuse(PROBLEM_EXISTS,
                      "%s belongs to %s; give it up there first. Keys stay with the person, not with the address.",
                      text, msg_text(holder.cn));
}

static int claims_check(const struct entry_taking *taking, const struct entry_row *entry)
{
        for (size_t i = 0; i < entry->addresses.count; i++)
                TRY(claim_check(taking, entry, entry->addresses.items[i], false));
        return *msg_text(entry->name) ? PASS(claim_check(taking, entry, entry->name, true)) : 0;
}

static int holder_strip(const struct entry_row *entry, struct entry_row *holder)
{
        CLEANUP(texts_done) struct texts kept = TEXTS_NONE;
        char *name CLEANUP(mem_freep) = store_name_key(msg_text(entry->name)),
                   *other CLEANUP(mem_freep) = store_name_key(msg_text(holder->name));

        for (size_t i = 0; i < holder->addresses.count; i++)
                if (!texts_have(&entry->addresses, holder->addresses.items[i]))
                        TRY(texts_add(&kept, holder->addresses.items[i]));
        texts_done(&holder->addresses);
        holder->addresses = kept;
        kept = TEXTS_NONE;
        if (strcmp(name, other) == 0)
                free(TAKE(holder->name));
        buf_done(&holder->origin); /* what is said of him next is taken, though it were the same */
        return 0;
}

static int claim_take(struct engine *engine, const struct entry_row *entry, const char *text, bool is_name)
{
        CLEANUP(entry_row_done) struct entry_row holder = {0};
        int r = holder_find(engine, text, is_name, &holder);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        if (id_equal(&holder.guid, &entry->guid))
                return 0;
        TRY(holder_strip(entry, &holder));
        TRY(publication_folder_follow(engine, &holder));
        return PASS(store_entry_put(engine->store, &holder));
}

int entry_claim(const struct entry_taking *taking, const struct entry_row *entry)
{
        TRY(claims_check(taking, entry));
        if (taking->dry_run)
                return 0;
        for (size_t i = 0; i < entry->addresses.count; i++)
                TRY(claim_take(taking->engine, entry, entry->addresses.items[i], false));
        return *msg_text(entry->name) ? PASS(claim_take(taking->engine, entry, entry->name, true)) : 0;
}

/* ---- taking */

/* An address says nothing of who has it now: who left comes back without an id only when somebody says that it is he. */
static int return_check(const struct msg_person *person, const struct entry_row *entry)
{
        char id[ID_TEXT_SIZE];

        if (*msg_text(person->guid) || !entry->gone || entry->kind != ENTRY_PERSON)
                return 0;
        return refuse(PROBLEM_EXISTS,
                      "It has the address of %s, who has left, and no id. If it is the same person, restore that entry "
                      "(\"vouchsafe directory edit %s --restore\"); if it is another one, give an id: keys stay with whom they "
                      "belong to.",
                      msg_text(entry->cn), id_text(&entry->guid, id));
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

static enum entry_outcome outcome_of(const struct entry_taking *taking, const struct entry_row *entry, bool there,
                                     struct bytes origin)
{
        if (!there)
                return ENTRY_ADDED;
        if (entry->gone)
                return ENTRY_RETURNED;
        return entry->source == taking->source && bytes_equal(buf_view(&entry->origin), origin) ? ENTRY_UNCHANGED
                                                                                               : ENTRY_CHANGED;
}

int entry_resolve_groups(struct engine *engine, struct texts *groups)
{
        CLEANUP(texts_done) struct texts resolved = TEXTS_NONE;

        for (size_t i = 0; i < groups->count; i++) {
                CLEANUP(entry_row_done) struct entry_row group = {0};
                int r = store_group_find(engine->store, groups->items[i], &group);

                if (r && r != PROBLEM_NOT_FOUND)
                        return PASS(r);
                TRY(texts_add(&resolved, r ? groups->items[i] : msg_text(group.name)));
        }
        texts_done(groups);
        *groups = resolved;
        resolved = TEXTS_NONE;
        return 0;
}

static int entry_store(const struct entry_taking *taking, struct entry_row *entry, struct buf *origin)
{
        TRY(entry_claim(taking, entry));
        entry->source = taking->source;
        entry->gone = 0;
        entry->updated = engine_now(taking->engine);
        buf_done(&entry->origin);
        entry->origin = buf_take(origin);
        if (taking->dry_run)
                return 0;
        taking->engine->directory.changed = true;
        TRY(publication_folder_follow(taking->engine, entry));
        TRY(store_entry_put(taking->engine->store, entry));
        return PASS(publication_queue_entry(taking->engine, &entry->guid));
}

int entry_take(const struct entry_taking *taking, const struct msg_person *person, enum entry_outcome *ret_outcome)
{
        CLEANUP(entry_row_done) struct entry_row wanted = {0}, entry = {0};
        CLEANUP(buf_done) struct buf origin = BUF_NONE;
        struct id guid = ID_NONE;
        enum entry_outcome outcome;
        int r;

        TRY(entry_fill(person, &wanted));
        TRY(guid_of(taking->engine, person, &wanted, &guid));
        TRY(origin_of(person, &origin));
        r = store_entry_find(taking->engine->store, &guid, &entry);
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (r == 0)
                TRY(return_check(person, &entry));
        outcome = outcome_of(taking, &entry, r == 0, buf_view(&origin));
        if (outcome != ENTRY_UNCHANGED) {
                wanted.guid = guid;
                wanted.row = entry.row;
                if (taking->source == ENTRY_EMBEDDED)
                        TRY(entry_resolve_groups(taking->engine, &wanted.groups));
                TRY(entry_store(taking, &wanted, &origin));
        }
        *ret_outcome = outcome;
        return 0;
}

int entry_leave(struct engine *engine, const struct id *guid, int64_t source, struct entry_row *ret_left,
                bool *ret_done)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        int r = store_entry_find(engine->store, guid, &entry);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        if (entry.gone || (source && entry.source != source))
                return 0;
        entry.gone = entry.updated = engine_now(engine);
        engine->directory.changed = true;
        TRY(publication_folder_follow(engine, &entry));
        TRY(store_entry_put(engine->store, &entry));
        TRY(publication_queue_entry(engine, guid));
        *ret_left = entry;
        entry = (struct entry_row){0};
        *ret_done = true;
        return 0;
}

/* ---- naming */

int entry_named(struct engine *engine, const char *name, struct entry_row *ret_entry)
{
        CLEANUP(buf_done) struct buf address = BUF_NONE;
        struct id id;
        int r = PROBLEM_NOT_FOUND;

        if (id_parse(bytes_text(name), &id) == 0)
                r = store_entry_find(engine->store, &id, ret_entry);
        if (r == PROBLEM_NOT_FOUND && address_key(bytes_text(name), &address) == 0)
                r = store_entry_find_address(engine->store, buf_text(&address), ret_entry);
        if (r == PROBLEM_NOT_FOUND)
                r = store_entry_find_name(engine->store, name, ret_entry);
        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_NOT_FOUND, "The address book has no %s: give an address, a directory id or a DN.",
                              name);
        return PASS(r);
}
