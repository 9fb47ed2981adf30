/* SPDX-License-Identifier: Apache-2.0 */
/* Searches, page by page (RFC 2696), across the servers of the options. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ldap/internal.h"

enum { REFERRALS_MOST = 64, URL_MOST = 2048, CONTROLS_MOST = 8, ENTRIES_MOST = 10000000, EMPTY_MOST = 1000 };
#define DOMAIN_SCOPE "1.2.840.113556.1.4.1339"

void ldap_reading_init(struct ldap_reading *reading, struct ldap_connection *connection,
                       const struct ldap_search *search)
{
        *reading = (struct ldap_reading){.connection = connection, .search = *search};
        if (!reading->search.base)
                reading->search.base = connection->options->base;
}

static struct ldap_connection *current(struct ldap_reading *reading)
{
        return reading->elsewhere ? reading->elsewhere : reading->connection;
}

static void page_abandon(struct ldap_reading *reading)
{
        ldap_abandon_ext(current(reading)->ldap, reading->number, NULL, NULL);
        reading->under_way = false;
}

static void answered_done(struct ldap_reading *reading)
{
        if (reading->answered)
                ldap_controls_free(TAKE(reading->answered));
}

static void place_done(struct ldap_reading *reading)
{
        ldap_free_urldesc(TAKE(reading->place));
        ldap_connection_close(TAKE(reading->elsewhere));
}

void ldap_reading_done(struct ldap_reading *reading)
{
        if (reading->under_way)
                page_abandon(reading);
        ber_bvfree(TAKE(reading->cookie));
        for (size_t i = 0; i < reading->referral_count; i++)
                free(reading->referrals[i]);
        free(TAKE(reading->referrals));
        reading->referral_count = 0;
        buf_done(&reading->unfollowed);
        answered_done(reading);
        place_done(reading);
}

/* ---- referrals --------------------------------------------------------------------------------------------
 */

/* Each once: servers may refer to each other in circles. */
static void referral_add(struct ldap_reading *reading, const char *url)
{
        for (size_t i = 0; i < reading->referral_count; i++)
                if (strcmp(reading->referrals[i], url) == 0)
                        return;
        if (reading->referral_count == REFERRALS_MOST)
                return;
        reading->referrals = mem_resize(reading->referrals, reading->referral_count + 1, sizeof(char *));
        reading->referrals[reading->referral_count++] = text_copy_n(url, strnlen(url, URL_MOST));
}

static void referrals_add(struct ldap_reading *reading, char **urls)
{
        const struct ldap_options *options = reading->connection->options;
        const char *best = urls ? urls[0] : NULL;

        /* Any of the URLs will do (RFC 4511 4.1.10): rather one that may be followed. */
        for (char **url = urls; url && *url; url++)
                if (ldap_server_find(options, *url))
                        best = *url;
        if (best)
                referral_add(reading, best);
        ber_memvfree((void **)urls);
}

static void unfollowed_note(struct ldap_reading *reading, const char *url)
{
        if (!reading->unfollowed.len)
                buf_add_text(&reading->unfollowed,
                             "Parts of the directory are on servers that are not among [directory] servers:");
        buf_add_format(&reading->unfollowed, " %s", url);
}

/* Go where the next referral leads; done when there is none left. */
static int elsewhere_go(struct ldap_reading *reading)
{
        const struct ldap_options *options = reading->connection->options;

        place_done(reading);
        while (reading->referral_next < reading->referral_count) {
                const char *url = reading->referrals[reading->referral_next++];
                const char *server = ldap_server_find(options, url);

                if (!server || ldap_url_parse(url, &reading->place) != LDAP_URL_SUCCESS) {
                        unfollowed_note(reading, url);
                        continue;
                }
                return PASS(ldap_connection_open_at(options, server, &reading->elsewhere));
        }
        reading->done = true;
        return 0;
}

/* ---- one page ---------------------------------------------------------------------------------------------
 */

static int page_send(struct ldap_reading *reading, LDAPControl *page)
{
        struct ldap_connection *connection = current(reading);
        const struct ldap_search *search = &reading->search;
        const LDAPURLDesc *place = reading->place;
        LDAPControl domain_scope = {.ldctl_oid = (char *)(uintptr_t)DOMAIN_SCOPE};
        LDAPControl *controls[CONTROLS_MOST + 3] = {page};
        size_t count = page != NULL;
        struct timeval limit = ldap_limit(connection->options->time_limit);
        int code;

        for (LDAPControl **more = reading->controls; more && *more && count < CONTROLS_MOST; more++)
                controls[count++] = *more;
        if (connection->options->domain_scope)
                controls[count] = &domain_scope;
        code = ldap_search_ext(connection->ldap, place && place->lud_dn ? place->lud_dn : search->base,
                               place && place->lud_scope >= 0 ? place->lud_scope : search->scope,
                               search->filter, (char **)(uintptr_t)search->attributes, 0, controls, NULL,
                               &limit, LDAP_NO_LIMIT, &reading->number);
        reading->under_way = code == LDAP_SUCCESS;
        return PASS(ldap_connection_judge(connection, code, "The directory cannot be searched"));
}

static int entry_give(struct ldap_reading *reading, LDAPMessage *message, ldap_found *found, void *context)
{
        CLEANUP(ldap_entry_done) struct ldap_entry entry = {0};
        uint64_t most = reading->search.most ? reading->search.most : ENTRIES_MOST;

        if (reading->taken == most)
                return refuse(PROBLEM_TOO_LARGE,
                              "%s sends more than %" PRIu64 " entries for one search: the search is too wide, or "
                              "something is wrong with that server.",
                              current(reading)->server, most);
        reading->taken++;
        reading->empty = 0;
        ldap_entry_take(current(reading)->ldap, message, &entry);
        return PASS(found(context, &entry));
}

static int reference_take(struct ldap_reading *reading, LDAPMessage *message)
{
        char **urls = NULL;

        if (ldap_parse_reference(current(reading)->ldap, message, &urls, NULL, 0) == LDAP_SUCCESS)
                referrals_add(reading, urls);
        return 0;
}

static void cookie_take(struct ldap_reading *reading)
{
        LDAPControl *page = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, reading->answered, NULL);
        struct berval cookie = {0};
        ber_int_t size = 0;

        if (page &&
            ldap_parse_pageresponse_control(current(reading)->ldap, page, &size, &cookie) == LDAP_SUCCESS &&
            cookie.bv_len)
                reading->cookie = ber_bvdup(&cookie);
        ber_memfree(cookie.bv_val);
}

/* The end of a page: is there another? */
static int page_end(struct ldap_reading *reading, LDAPMessage *message)
{
        struct ldap_connection *connection = current(reading);
        char **urls = NULL;
        int code = LDAP_OTHER;

        ber_bvfree(TAKE(reading->cookie));
        answered_done(reading);
        if (ldap_parse_result(connection->ldap, message, &code, NULL, NULL, &urls, &reading->answered, 0) !=
            LDAP_SUCCESS)
                return PASS(
                    ldap_connection_judge(connection, LDAP_DECODING_ERROR, "The answer cannot be read"));
        if (code == LDAP_REFERRAL) {
                referrals_add(reading, urls);
                return 0;
        }
        ber_memvfree((void **)urls);
        if (code != LDAP_SUCCESS)
                return PASS(ldap_connection_answer(connection, message, "The directory cannot be searched"));
        cookie_take(reading);
        if (reading->empty++ == EMPTY_MOST)
                return refuse(PROBLEM_TOO_LARGE, "%s sends page after page without an entry.", connection->server);
        return 0;
}

static int message_take(struct ldap_reading *reading, LDAPMessage *message, ldap_found *found, void *context)
{
        switch (ldap_msgtype(message)) {
        case LDAP_RES_SEARCH_ENTRY:
                return PASS(entry_give(reading, message, found, context));
        case LDAP_RES_SEARCH_REFERENCE:
                return PASS(reference_take(reading, message));
        case LDAP_RES_SEARCH_RESULT:
                reading->under_way = false;
                return PASS(page_end(reading, message));
        default:
                return 0;
        }
}

/* Messages of one search until its end, or a pause: one at a time, so that a server that sends more than it was asked
 * for fills its own buffers. */
static int page_receive(struct ldap_reading *reading, ldap_found *found, void *context)
{
        struct ldap_connection *connection = current(reading);
        uint64_t deadline = clock_monotonic_ms() + 1000 * (uint64_t)connection->options->time_limit;

        for (reading->pause = false; reading->under_way && !reading->pause;) {
                uint64_t now = clock_monotonic_ms();
                unsigned left = now < deadline ? (unsigned)((deadline - now + 999) / 1000) : 0;
                LDAPMessage *message = NULL;
                int r = ldap_wait(connection, reading->number, LDAP_MSG_ONE, left, "The directory cannot be searched",
                                  &message);

                if (!r)
                        r = message_take(reading, message, found, context);
                ldap_msgfree(message);
                if (r && reading->under_way)
                        page_abandon(reading);
                TRY(r);
        }
        return 0;
}

static int page_ask(struct ldap_reading *reading)
{
        struct ldap_connection *connection = current(reading);
        LDAPControl *page = NULL;
        int r;

        if (reading->search.scope != LDAP_SCOPE_BASE && !reading->unpaged &&
            ldap_create_page_control(connection->ldap, (ber_int_t)connection->options->page_size,
                                     reading->cookie, 0, &page) != LDAP_SUCCESS)
                return fault(0, "cannot ask for a page");
        r = page_send(reading, page);
        ldap_control_free(page);
        return PASS(r);
}

int ldap_reading_next(struct ldap_reading *reading, ldap_found *found, void *context)
{
        if (!reading->under_way)
                TRY(page_ask(reading));
        TRY(page_receive(reading, found, context));
        return reading->under_way || reading->cookie ? 0 : PASS(elsewhere_go(reading));
}

int ldap_connection_search(struct ldap_connection *connection, const struct ldap_search *search,
                           ldap_found *found, void *context)
{
        CLEANUP(ldap_reading_done) struct ldap_reading reading;

        ldap_reading_init(&reading, connection, search);
        while (!reading.done)
                TRY(ldap_reading_next(&reading, found, context));
        return 0;
}

/* ---- one entry --------------------------------------------------------------------------------------------
 */

/* The first, if a server sends several. */
static int entry_keep(void *context, struct ldap_entry *entry)
{
        struct ldap_entry *kept = context;

        if (kept->dn)
                return 0;
        *kept = *entry;
        *entry = (struct ldap_entry){0};
        return 0;
}

int ldap_connection_read(struct ldap_connection *connection, const char *dn, const char *const *attributes,
                         struct ldap_entry *ret_entry)
{
        CLEANUP(ldap_entry_done) struct ldap_entry entry = {0};
        struct ldap_search search = {dn, LDAP_SCOPE_BASE, "(objectClass=*)", attributes, .most = 64};

        TRY(ldap_connection_search(connection, &search, entry_keep, &entry));
        if (!entry.dn)
                return refuse(PROBLEM_NOT_FOUND, "%s shows no entry %s.", connection->server, dn);
        *ret_entry = entry;
        entry = (struct ldap_entry){0};
        return 0;
}
