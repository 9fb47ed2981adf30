/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups by the LDAP service: people with a valid encryption certificate, some of them at a time. What it
 * asks for, anybody may ask for; so it gets names, addresses and certificates, and no more.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypto/name.h"
#include "engine/people.h"
#include "engine/publication.h"

enum { PEOPLE_MOST = 50, CERTIFICATES_MOST = 16 };

struct lookup_peer {
        struct list link;
        struct engine *engine;
        struct channel *channel;
        uint64_t index;
        struct msg_lookup_state state;
};

/* ---- one page */

struct looking {
        struct engine *engine;
        struct msg_lookup_reply *reply;
        struct id last;
};

/* One from before he had the address he has now must not be used for it. */
static bool certificate_serves(const struct looking *looking, const struct entry_row *entry,
                               const struct certificate_row *row)
{
        int64_t now = engine_now(looking->engine);

        if (now < row->not_before || now > row->not_after)
                return false;
        for (size_t i = 0; i < row->addresses.count; i++)
                if (texts_have(&entry->addresses, row->addresses.items[i]))
                        return true;
        return false;
}

static int certificates_fill(struct looking *looking, const struct entry_row *entry,
                             struct msg_lookup_person *person)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        CLEANUP(certificate_rows_done) struct certificate_rows rows = {0};
        int r = store_user_find_guid(looking->engine->store, &entry->guid, &user);

        if (r == PROBLEM_NOT_FOUND)
                return 0;
        TRY(r);
        TRY(certificates_of(looking->engine, &user.id, CERTIFICATE_ENCRYPTION, CERTIFICATE_VALID, &rows));
        for (size_t i = 0; i < rows.count && person->certificates.count < CERTIFICATES_MOST; i++)
                if (certificate_serves(looking, entry, &rows.items[i]))
                        TRY(certificate_item_fill(&rows.items[i], true, MSG_LIST_ADD(person->certificates)));
        return person->certificates.count ? PASS(publication_smime(looking->engine, &user.id, &person->smime))
                                          : 0;
}

/* Mail programs ask for the form that their user has typed, or for the one that mail has. */
static void addresses_fill(const struct texts *addresses, struct msg_texts *out)
{
        for (size_t i = 0; i < addresses->count; i++) {
                CLEANUP(buf_done) struct buf ascii = BUF_NONE;

                msg_texts_add(out, addresses->items[i]);
                address_to_ascii(addresses->items[i], &ascii);
                if (strcmp(buf_text(&ascii), addresses->items[i]) != 0)
                        msg_texts_add(out, buf_text(&ascii));
        }
}

static int person_look(void *context, struct entry_row *entry)
{
        struct looking *looking = context;
        MSG_OWN(lookup_person) person = {0};
        char text[ID_TEXT_SIZE];

        looking->last = entry->guid;
        looking->reply->examined++;
        if (entry->kind != ENTRY_PERSON || entry->disabled || entry->gone || !entry->addresses.count)
                return 0;
        TRY(certificates_fill(looking, entry, &person));
        if (!person.certificates.count)
                return 0;
        person.guid = text_copy(id_text(&entry->guid, text));
        person.name = text_copy(msg_text(entry->cn));
        person.given_name = text_copy(msg_text(entry->given_name));
        person.surname = text_copy(msg_text(entry->surname));
        person.unit = text_copy(msg_text(entry->unit));
        addresses_fill(&entry->addresses, &person.addresses);
        *MSG_LIST_ADD(looking->reply->people) = person;
        person = (struct msg_lookup_person){0};
        return 0;
}

/* At most one has an address, so there is no second page. */
static int address_look(struct looking *looking, const struct msg_lookup *ask)
{
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        CLEANUP(buf_done) struct buf address = BUF_NONE;
        int r;

        if (*msg_text(ask->cursor) || address_key(bytes_text(msg_text(ask->address)), &address) != 0)
                return 0;
        r = store_entry_find_address(looking->engine->store, buf_text(&address), &entry);
        return r == PROBLEM_NOT_FOUND ? 0 : r ? PASS(r) : PASS(person_look(looking, &entry));
}

static int list_look(struct looking *looking, const struct msg_lookup *ask)
{
        struct store_entry_filter filter = {.text = ask->prefix, .kind = ENTRY_PERSON, .enabled = true};
        size_t limit = MIN(MAX((size_t)ask->limit, (size_t)1), (size_t)PEOPLE_MOST);
        bool first = !*msg_text(ask->cursor);
        struct id after = ID_NONE;
        char text[ID_TEXT_SIZE];

        if (!first)
                TRY(id_parse(bytes_text(ask->cursor), &after));
        TRY(store_entry_list(looking->engine->store, &filter, first ? NULL : &after, limit, looking,
                             person_look));
        if (looking->reply->examined == limit)
                looking->reply->cursor = text_copy(id_text(&looking->last, text));
        return 0;
}

static int look(struct engine *engine, const struct msg_lookup *ask, struct msg_lookup_reply *reply)
{
        struct looking looking = {.engine = engine, .reply = reply};

        if (engine->state != ENGINE_UNSEALED)
                return refuse(PROBLEM_SEALED,
                              "The server is sealed; certificates can be looked up once it is unsealed.");
        if (*msg_text(ask->address))
                return PASS(address_look(&looking, ask));
        return PASS(list_look(&looking, ask));
}

/* ---- the LDAP processes */

static int lookup_problem(struct channel *channel, uint64_t id, int result)
{
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        struct msg_problem problem = {
            .code = (char *)problem_info(result)->code,
            .detail = result > 0 ? (char *)report_text() : (char[]){"The server failed; its log says why."},
        };

        if (result < 0)
                log_report(result, "a look-up failed");
        TRY(msg_encode(problem, &problem, &encoded));
        return PASS(channel_reply(channel, id, MSG_problem, buf_view(&encoded)));
}

static int lookup_answer(struct lookup_peer *peer, struct channel *channel, struct channel_message *message)
{
        MSG_OWN(lookup) ask = {0};
        MSG_OWN(lookup_reply) reply = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        int r;

        TRY(msg_decode(lookup, message->payload, &ask));
        peer->engine->lookups++;
        r = look(peer->engine, &ask, &reply);
        if (r)
                return PASS(lookup_problem(channel, message->id, r));
        TRY(msg_encode(lookup_reply, &reply, &encoded));
        return PASS(channel_reply(channel, message->id, MSG_lookup_reply, buf_view(&encoded)));
}

static int lookup_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct lookup_peer *peer = context;

        if (message->kind == MSG_lookup && message->id)
                return PASS(lookup_answer(peer, channel, message));
        if (message->kind == MSG_lookup_state)
                return PASS(msg_decode(lookup_state, message->payload, &peer->state));
        return refuse(PROBLEM_MALFORMED, "An LDAP process sent a message of kind %u.", message->kind);
}

static void lookup_free(struct lookup_peer *peer)
{
        list_remove(&peer->link);
        channel_unref(peer->channel);
        free(peer);
}

static int lookup_closed(void *context, struct channel *channel, int result)
{
        if (result)
                log_report(result, "an LDAP process was cut");
        lookup_free(context);
        return 0;
}

int lookup_add(struct engine *engine, uint64_t index, int fd)
{
        static const struct channel_handler handler = {lookup_received, lookup_closed};
        struct lookup_peer *peer = NEW(struct lookup_peer);
        int r;

        peer->engine = engine;
        peer->index = index;
        r = channel_new(engine->loop, fd, &handler, peer, &peer->channel);
        if (r) {
                free(peer);
                return PASS(r);
        }
        list_append(&engine->lookup_peers, &peer->link);
        return 0;
}

void lookups_done(struct engine *engine)
{
        LIST_EACH (peer, &engine->lookup_peers, struct lookup_peer, link) {
                channel_close(peer->channel);
                lookup_free(peer);
        }
}

/* ---- metrics */

#define NUMBER(field, type, help)                                                                            \
        {                                                                                                    \
#field, type, help, offsetof(struct msg_lookup_state, field)                                 \
        }
static const struct {
        const char *name, *type, *help;
        size_t offset;
} numbers[] = {
    NUMBER(connections, "gauge", "Open LDAP connections."),
    NUMBER(connections_total, "counter", "Accepted LDAP connections."),
    NUMBER(connections_cut, "counter", "LDAP connections closed because they were too slow, or idle."),
    NUMBER(connections_refused, "counter",
           "LDAP connections that were not taken: too many from one address, or no descriptor left."),
    NUMBER(searches, "counter", "LDAP searches."),
    NUMBER(entries, "counter", "Entries given to LDAP clients."),
    NUMBER(limited, "counter", "LDAP searches that ended at a limit."),
    NUMBER(binds_refused, "counter", "LDAP binds with a wrong name or password."),
    NUMBER(malformed, "counter", "LDAP connections closed because of what was sent."),
};

void lookups_metrics(const struct engine *engine, struct buf *out)
{
        if (list_empty(&engine->lookup_peers))
                return;
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
                buf_add_format(out, "# HELP vouchsafe_ldap_%s %s\n# TYPE vouchsafe_ldap_%s %s\n",
                               numbers[i].name, numbers[i].help, numbers[i].name, numbers[i].type);
                LIST_EACH (peer, &engine->lookup_peers, struct lookup_peer, link)
                        buf_add_format(
                            out, "vouchsafe_ldap_%s{process=\"%llu\"} %llu\n", numbers[i].name,
                            (unsigned long long)peer->index,
                            (unsigned long long)*(const uint64_t *)(const void *)((const char *)&peer->state +
                                                                                  numbers[i].offset));
        }
}
