/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/dn.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "ldapd/ldapd.h"

static const struct outcome success = {.code = RESULT_SUCCESS};

/* ---- its end ---- */

void search_free(struct search *search)
{
        engine_forget(search);
        list_remove(&search->link);
        search->connection->search_count--;
        connection_wake(search->connection);
        buf_done(&search->message);
        ldap_request_done(&search->request);
        plan_done(&search->plan);
        free(search->base_address);
        free(search);
}

static void search_end(struct search *search, const struct outcome *outcome, struct bytes cookie)
{
        struct connection *connection = search->connection;
        struct msg_lookup_state *state = &connection->ldapd->state;

        if (search->request.paged.asked)
                reply_page(&connection->stream.out, &search->request, outcome, cookie);
        else
                reply_outcome(&connection->stream.out, &search->request, outcome);
        state->limited += outcome->code == RESULT_SIZE_LIMIT_EXCEEDED ||
                          outcome->code == RESULT_ADMIN_LIMIT_EXCEEDED ||
                          outcome->code == RESULT_TIME_LIMIT_EXCEEDED;
        connection->active_ms = clock_monotonic_ms();
        search_free(search);
}

void search_finish(struct search *search, const struct outcome *outcome)
{
        search_end(search, outcome, BYTES_NONE);
}

/* ---- pages: RFC 2696 ---- */

static void paged_clear(struct paged *paged)
{
        buf_done(&paged->body);
        *paged = (struct paged){0};
}

/* The place is kept here and named by a number, so that no cookie leads where the limits would not. */
static void page_end(struct search *search)
{
        struct paged *paged = &search->connection->paged;

        paged_clear(paged);
        paged->cookie = ++search->connection->ldapd->last_cookie;
        paged->body = buf_copy_of(search->request.body);
        paged->at = search->at;
        search_end(search, &success, bytes_of(&paged->cookie, sizeof(paged->cookie)));
}

/* False: the search is over. */
static bool page_begin(struct search *search)
{
        static const struct outcome stale = {
            .code = RESULT_UNWILLING_TO_PERFORM,
            .text = "The cookie is not of the last page of this search on this connection; begin anew."};
        struct paged *paged = &search->connection->paged;
        const struct ldap_request *request = &search->request;

        if (!request->paged.asked)
                return true;
        if (request->paged.cookie.len) {
                if (!paged->cookie ||
                    !bytes_equal(request->paged.cookie, bytes_of(&paged->cookie, sizeof(paged->cookie))) ||
                    !bytes_equal(request->body, buf_view(&paged->body))) {
                        search_finish(search, &stale);
                        return false;
                }
                search->at = paged->at;
        }
        paged_clear(paged);
        if (!request->paged.size && request->paged.cookie.len) { /* the client has seen enough */
                search_finish(search, &success);
                return false;
        }
        search->page_end = request->paged.size ? search->at.sent + request->paged.size : 0;
        return true;
}

/* ---- people, as the engine gives them ---- */

static bool is_at_base(const struct search *search, const struct msg_lookup_person *person)
{
        return !search->base_address ||
               (person->addresses.count && strcmp(person->addresses.at[0], search->base_address) == 0);
}

/* False: the search is over, at a limit or at the end of a page. */
static bool person_send(struct search *search, const struct entry *entry)
{
        static const struct outcome limit = {
            .code = RESULT_SIZE_LIMIT_EXCEEDED,
            .text = "There are more; ask for a longer part of the name or address."};

        if (search->at.sent == search->size_limit) {
                search_finish(search, &limit);
                return false;
        }
        if (search->page_end && search->at.sent == search->page_end) {
                page_end(search);
                return false;
        }
        reply_entry(&search->connection->stream.out, &search->request, entry);
        search->at.sent++;
        search->connection->ldapd->state.entries++;
        return true;
}

static bool person_take(struct search *search, const struct msg_lookup_person *person)
{
        const struct ldapd *ldapd = search->connection->ldapd;
        CLEANUP(entry_done) struct entry entry = {0};

        if (plan_finds(&search->plan, search->at.ask, person) || !is_at_base(search, person))
                return true;
        search->found = true;
        entry_person(person, ldapd->config.server.organisation, ldapd->base, &entry);
        return filter_match(&search->request.search.filter, &entry) != TRUTH_TRUE ||
               person_send(search, &entry);
}

static void cursor_set(struct search *search, const char *cursor)
{
        snprintf(search->at.after, sizeof(search->at.after), "%s", cursor);
}

static void search_failed(struct search *search, int result)
{
        char text[512];
        struct outcome outcome = {.code = result > 0 ? RESULT_UNAVAILABLE : RESULT_OTHER, .text = text};

        snprintf(text, sizeof(text), "%s",
                 result > 0 ? report_text() : "The server failed; its log says why.");
        if (result < 0)
                log_report(result, "a search failed");
        search_finish(search, &outcome);
}

void search_answered(struct search *search, int result, const struct msg_lookup_reply *reply)
{
        const char *cursor;

        if (result) {
                search_failed(search, result);
                return;
        }
        for (size_t i = 0; i < reply->people.count; i++) {
                if (!person_take(search, &reply->people.at[i]))
                        return;
                cursor_set(search, msg_text(reply->people.at[i].guid));
        }
        cursor = msg_text(reply->cursor);
        cursor_set(search, cursor);
        search->at.ask += !*cursor;
        search->at.examined += reply->examined + 1;
        connection_wake(search->connection); /* what there is leaves, and makes room */
        search_continue(search);
}

void search_continue(struct search *search)
{
        static const struct outcome limit = {.code = RESULT_ADMIN_LIMIT_EXCEEDED,
                                             .text = "Too many entries would have to be looked at; search "
                                                     "for the beginning of a name or an address."};
        struct outcome nobody = {.code = RESULT_NO_SUCH_OBJECT, .matched = search->connection->ldapd->base};

        if (search->call.channel || !list_empty(&search->waiting))
                return;
        if (search->at.ask >= search->plan.count)
                search_finish(search, search->base_address && !search->found ? &nobody : &success);
        else if (search->at.examined >= search->connection->ldapd->config.ldap.scan_limit)
                search_finish(search, &limit);
        else if (connection_congested(search->connection))
                search->stalled = true;
        else
                engine_ask(search);
}

/* ---- its beginning ---- */

enum place { PLACE_ROOT, PLACE_SCHEMA, PLACE_BASE, PLACE_PERSON, PLACE_NONE, PLACE_MALFORMED };

/* A name right below ours: the part before, and the key of the rest. */
static enum place place_below(const struct ldapd *ldapd, struct dn *dn, char **ret_address)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE, address = BUF_NONE;
        struct dn parent = {.count = dn->count - 1};

        memcpy(parent.parts, dn->parts + 1, parent.count * sizeof(dn->parts[0]));
        dn_key_add(&key, &parent);
        if (strcmp(buf_text(&key), ldapd->base_key) != 0 || strcmp(dn->parts[0].type, "mail") != 0 ||
            address_parse(bytes_text(dn->parts[0].value), &address) != 0)
                return PLACE_NONE;
        *ret_address = text_copy(buf_text(&address));
        return PLACE_PERSON;
}

static enum place place_of(const struct ldapd *ldapd, const struct ldap_request *request, char **ret_address)
{
        CLEANUP(dn_done) struct dn dn = {0};
        CLEANUP(buf_done) struct buf key = BUF_NONE;
        struct bytes base = request->search.base;

        if (!base.len) /* clients that were told no base search below none */
                return request->search.scope == SCOPE_BASE ? PLACE_ROOT : PLACE_BASE;
        if (!text_is_utf8(base) || dn_parse(base, &dn))
                return PLACE_MALFORMED;
        dn_key_add(&key, &dn);
        if (strcmp(buf_text(&key), ldapd->base_key) == 0)
                return PLACE_BASE;
        if (dn.count == 1 && strcmp(buf_text(&key), "cn=subschema,") == 0)
                return PLACE_SCHEMA;
        return place_below(ldapd, &dn, ret_address);
}

static void entry_offer(struct search *search, const struct entry *entry)
{
        if (filter_match(&search->request.search.filter, entry) != TRUTH_TRUE)
                return;
        reply_entry(&search->connection->stream.out, &search->request, entry);
        search->connection->ldapd->state.entries++;
}

static void search_one(struct search *search, enum place place)
{
        const struct ldapd *ldapd = search->connection->ldapd;
        CLEANUP(entry_done) struct entry entry = {0};

        if (place == PLACE_ROOT)
                entry_root(ldapd->base, ldapd->tls.loaded, &entry);
        else if (place == PLACE_SCHEMA)
                entry_schema(&entry);
        else
                entry_base(ldapd->config.server.organisation, ldapd->base, &entry);
        if (search->request.search.scope != SCOPE_ONE)
                entry_offer(search, &entry);
}

static void search_people(struct search *search)
{
        static const struct outcome anonymous = {
            .code = RESULT_STRONGER_AUTH_REQUIRED,
            .text = "Bind with the name and password that your administrator gave you."};
        const struct ldapd *ldapd = search->connection->ldapd;

        if (!ldapd->config.ldap.anonymous && !search->connection->bound) {
                search_finish(search, &anonymous);
                return;
        }
        if (!page_begin(search))
                return;
        if (search->base_address)
                plan_address(search->base_address, &search->plan);
        else
                plan_make(&search->request.search.filter, &search->plan);
        search_continue(search);
}

static void search_begin(struct search *search, enum place place)
{
        static const struct outcome malformed = {.code = RESULT_INVALID_DN_SYNTAX,
                                                 .text = "The base of the search is no name."};
        struct outcome nowhere = {.code = RESULT_NO_SUCH_OBJECT,
                                  .text = "The base of the search does not exist here."};
        enum search_scope scope = search->request.search.scope;

        if (place == PLACE_MALFORMED) {
                search_finish(search, &malformed);
                return;
        }
        if (place == PLACE_NONE) {
                search_finish(search, &nowhere);
                return;
        }
        if (place != PLACE_PERSON && !search->request.paged.cookie.len)
                search_one(search, place);
        if (place == PLACE_ROOT || place == PLACE_SCHEMA || (place == PLACE_BASE && scope == SCOPE_BASE) ||
            (place == PLACE_PERSON && scope == SCOPE_ONE))
                search_finish(search, &success);
        else
                search_people(search);
}

static uint64_t least_limit(uint64_t asked, uint64_t most)
{
        return asked ? MIN(asked, most) : most;
}

void search_start(struct connection *connection, struct buf *message, struct ldap_request *request)
{
        struct search *search = NEW(struct search);
        const struct config *config = &connection->ldapd->config;

        *search =
            (struct search){.connection = connection, .message = buf_take(message), .request = *request};
        *request = (struct ldap_request){0};
        list_append(&connection->searches, &search->link);
        list_init(&search->waiting);
        connection->search_count++;
        connection->ldapd->state.searches++;
        search->size_limit = least_limit(search->request.search.size_limit, config->ldap.size_limit);
        search->due_ms = clock_monotonic_ms() + 1000 * least_limit(search->request.search.time_limit,
                                                                   (uint64_t)config->ldap.time_limit);
        search_begin(search, place_of(connection->ldapd, &search->request, &search->base_address));
}
