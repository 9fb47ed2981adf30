/* SPDX-License-Identifier: Apache-2.0 */
#include "outbound/watch.h"

#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "ldap/sync.h"

/*
 * contextCSN is the state of the content, and makes a cookie: so everything can be read in pages, which
 * servers permit in any amount, and only what changed after the beginning comes through the synchronization,
 * which they limit.
 */
int watch_mark(struct follower *follower)
{
        static const char *const attributes[] = {"contextCSN", NULL};
        CLEANUP(ldap_entry_done) struct ldap_entry top = {0};
        const struct ldap_attribute *csn;

        if (!text_equal_ignoring_case(follower->schema->id, "entryUUID")) /* the ids of RFC 4533 are these */
                return refuse(PROBLEM_UNSUPPORTED, "Synchronization needs id-attribute = entryUUID.");
        TRY(ldap_connection_read(follower->connection, follower->root, attributes, &top));
        csn = ldap_entry_find(&top, "contextCSN");
        if (!csn || !csn->count)
                return refuse(PROBLEM_UNSUPPORTED, "%s does not show the contextCSN of %s.",
                              ldap_connection_server(follower->connection), follower->root);
        buf_clear(&follower->mark);
        buf_add_text(&follower->mark, "rid=000,csn=");
        for (size_t i = 0; i < csn->count; i++) {
                buf_add_text(&follower->mark, i ? ";" : "");
                buf_add_bytes(&follower->mark, csn->values[i]);
        }
        return 0;
}

void watch_done(struct follower *follower)
{
        loop_source_done(&follower->source);
        ldap_connection_close(TAKE(follower->watch));
}

/* ---- what comes -------------------------------------------------------------------------------------------
 */

static int entry_take(struct follower *follower, LDAPMessage *message)
{
        CLEANUP(ldap_entry_done) struct ldap_entry entry = {0};
        LDAPControl *state;
        struct id id;

        ldap_entry_take(ldap_connection_handle(follower->watch), message, &entry);
        state = ldap_control_find(SYNC_STATE_OID, entry.controls, NULL);
        if (!state)
                return refuse(PROBLEM_UNSUPPORTED, "%s sent an entry without its state.",
                              ldap_connection_server(follower->watch));
        TRY(sync_state_parse(bytes_of(state->ldctl_value.bv_val, state->ldctl_value.bv_len), &id));
        return PASS(follower_note(follower, &follower->changed, &id));
}

/* The refresh is over. Of who was neither sent nor named as present it is to be seen whether he is gone. */
static void refresh_end(struct follower *follower, bool present)
{
        if (follower->refreshing && present) {
                for (size_t i = 0; i < follower->changed.count; i++)
                        id_list_add(&follower->present, &follower->changed.at[i]);
                id_list_sort(&follower->present);
                roster_absent(follower->roster, &follower->present, &follower->changed);
        }
        follower->refreshing = false;
        id_list_done(&follower->present);
}

static int info_take(struct follower *follower, LDAPMessage *message)
{
        CLEANUP(sync_info_done) struct sync_info info = {0};
        struct berval *value = NULL;
        struct id_list *list;
        char *oid = NULL;
        int r = 0;

        if (ldap_parse_intermediate(ldap_connection_handle(follower->watch), message, &oid, &value, NULL,
                                    0) == LDAP_SUCCESS &&
            oid && strcmp(oid, SYNC_INFO_OID) == 0 && value)
                r = sync_info_parse(bytes_of(value->bv_val, value->bv_len), &info);
        ldap_memfree(oid);
        ber_bvfree(value);
        TRY(r);
        list = info.ids_are_gone ? &follower->changed : &follower->present;
        for (size_t i = 0; i < info.ids.count; i++)
                TRY(follower_note(follower, list, &info.ids.at[i]));
        if (info.refreshed)
                refresh_end(follower, info.present);
        return 0;
}

static int message_take(struct follower *follower, LDAPMessage *message)
{
        switch (ldap_msgtype(message)) {
        case LDAP_RES_SEARCH_ENTRY:
                return PASS(entry_take(follower, message));
        case LDAP_RES_INTERMEDIATE:
                return PASS(info_take(follower, message));
        case LDAP_RES_SEARCH_RESULT:
                TRY(ldap_connection_answer(follower->watch, message, "Changes are no longer told"));
                return refuse(PROBLEM_UNREACHABLE, "%s tells no more changes.",
                              ldap_connection_server(follower->watch));
        default:
                return 0;
        }
}

enum { MESSAGES_MOST = 2000000 };

/* Everything that is there, without waiting. */
static int watch_drain(struct follower *follower)
{
        for (unsigned count = 0; count < MESSAGES_MOST; count++) {
                struct timeval none = {0};
                LDAPMessage *message = NULL;
                int type = ldap_result(ldap_connection_handle(follower->watch), follower->search,
                                       LDAP_MSG_ONE, &none, &message);
                int r;

                if (type == 0)
                        return 0;
                if (type < 0)
                        return refuse(PROBLEM_UNREACHABLE, "The connection to %s was lost.",
                                      ldap_connection_server(follower->watch));
                r = message_take(follower, message);
                ldap_msgfree(message);
                TRY(r);
        }
        return refuse(PROBLEM_TOO_LARGE, "%s tells of changes without end.", ldap_connection_server(follower->watch));
}

static int watch_ready(void *context, uint32_t events)
{
        struct follower *follower = context;
        int r = watch_drain(follower);

        if (r)
                watch_done(follower);
        /* While it is refreshed what is missing is not known yet. */
        return r || (follower->changed.count && !follower->refreshing)
                   ? PASS(follower->news(follower->context, r))
                   : 0;
}

/* ---- beginning --------------------------------------------------------------------------------------------
 */

static int search_send(struct follower *follower)
{
        const char *attributes[] = {LDAP_NO_ATTRS, NULL};
        CLEANUP(buf_done) struct buf filter = BUF_NONE, value = BUF_NONE;
        LDAPControl control, *controls[] = {&control, NULL};
        int code;

        sync_request_add(buf_view(&follower->mark), &value);
        control = (LDAPControl){.ldctl_oid = (char *)(uintptr_t)SYNC_REQUEST_OID,
                                .ldctl_value = {value.len, (char *)value.data},
                                .ldctl_iscritical = 1};
        buf_add_format(&filter, "(|%s%s)", follower->schema->people_filter, follower->schema->group_filter);
        code = ldap_search_ext(ldap_connection_handle(follower->watch), follower->options->base,
                               LDAP_SCOPE_SUBTREE, buf_text(&filter), (char **)(uintptr_t)attributes, 0,
                               controls, NULL, NULL, LDAP_NO_LIMIT, &follower->search);
        return PASS(ldap_connection_judge(follower->watch, code, "Changes cannot be asked for"));
}

int watch_start(struct follower *follower)
{
        watch_done(follower);
        /* The mark is that of one server. */
        TRY(ldap_connection_open_at(follower->options, ldap_connection_server(follower->connection),
                                    &follower->watch));
        TRY(search_send(follower));
        follower->refreshing = true;
        return PASS(loop_source_init(&follower->source, follower->loop, ldap_connection_fd(follower->watch),
                                     EPOLLIN, watch_ready, follower));
}
