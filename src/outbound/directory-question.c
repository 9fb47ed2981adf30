/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine asks of the directory for its requests, on a connection of their own: a paged reading
 * tolerates no other beside it. */
#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "ldap/filter.h"
#include "outbound/directory.h"

enum { ASKED_MOST = 1000000 };

static int asking_open(struct directory *directory)
{
        if (!directory->prepared)
                return refuse(PROBLEM_UNREACHABLE, "The directory is not configured yet.");
        return directory->asking ? 0 : PASS(directory_connect(directory, &directory->asking));
}

/* A connection that was not used for long may have been closed at the other end: once more on a new one. */
int directory_ask(struct directory *directory, const struct ldap_search *search, ldap_found *found,
                  void *context)
{
        bool fresh = !directory->asking;
        int r = asking_open(directory);

        if (!r)
                r = ldap_connection_search(directory->asking, search, found, context);
        if (r == PROBLEM_UNREACHABLE || r == PROBLEM_TIMEOUT)
                ldap_connection_close(TAKE(directory->asking));
        if (r != PROBLEM_UNREACHABLE || fresh)
                return PASS(r);
        TRY(asking_open(directory));
        return PASS(ldap_connection_search(directory->asking, search, found, context));
}

static int answer_problem(struct channel *channel, const struct channel_message *message, int result)
{
        MSG_OWN(problem)
        problem = {.code = text_copy(result > 0 ? problem_info(result)->code : "fault"),
                   .detail = text_copy_n(report_text(), strnlen(report_text(), 1000))};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        if (result < 0)
                log_report(result, "the directory could not be asked");
        TRY(msg_encode(problem, &problem, &encoded));
        return PASS(channel_reply(channel, message->id, MSG_problem, buf_view(&encoded)));
}

/* ---- who matches ------------------------------------------------------------------------------------------
 */

struct matching {
        const struct schema *schema;
        struct id_list ids;
        uint64_t limit;
};

static void matching_done(struct matching *matching)
{
        id_list_done(&matching->ids);
}

static int match_take(void *context, struct ldap_entry *entry)
{
        struct matching *matching = context;
        struct id id;

        if (schema_id_of(matching->schema, entry, &id))
                return 0;
        if (matching->ids.count >= matching->limit)
                return refuse(PROBLEM_TOO_LARGE, "More than %llu people match the filter.",
                              (unsigned long long)matching->limit);
        id_list_add(&matching->ids, &id);
        return 0;
}

static int matching_find(struct directory *directory, const struct msg_directory_search *question,
                         struct matching *matching)
{
        const char *const attributes[] = {directory->schema.id, NULL};
        CLEANUP(buf_done) struct buf filter = BUF_NONE;
        struct ldap_search search = {.scope = LDAP_SCOPE_SUBTREE, .attributes = attributes, .most = ASKED_MOST};

        TRY(filter_check(bytes_text(msg_text(question->filter))));
        schema_filter_add(&directory->schema, false, bytes_text(question->filter), &filter);
        search.filter = buf_text(&filter);
        TRY(directory_ask(directory, &search, match_take, matching));
        id_list_sort(&matching->ids);
        return 0;
}

int directory_search(struct directory *directory, struct channel *channel,
                     const struct channel_message *message)
{
        CLEANUP(matching_done) struct matching matching = {.schema = &directory->schema};
        MSG_OWN(directory_search) question = {0};
        MSG_OWN(directory_found) answer = {0};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;
        int r;

        TRY(msg_decode(directory_search, message->payload, &question));
        matching.limit = question.limit;
        r = matching_find(directory, &question, &matching);
        if (r)
                return PASS(answer_problem(channel, message, r));
        buf_add(&answer.guids, matching.ids.at, matching.ids.count * sizeof(struct id));
        TRY(msg_encode(directory_found, &answer, &encoded));
        return PASS(channel_reply(channel, message->id, MSG_directory_found, buf_view(&encoded)));
}

/* ---- passwords --------------------------------------------------------------------------------------------
 */

static int dn_take(void *context, struct ldap_entry *entry)
{
        char **dn = context;

        if (*dn)
                return refuse(PROBLEM_PASSWORD, "The directory has the person twice.");
        *dn = TAKE(entry->dn);
        return 0;
}

/* Where he is now: he may have been moved, and somebody else may have his former name. */
static int password_check(struct directory *directory, const struct msg_directory_bind *question)
{
        const char *const attributes[] = {directory->schema.id, NULL};
        CLEANUP(buf_done) struct buf filter = BUF_NONE, wanted = BUF_NONE;
        CLEANUP(mem_freep) char *dn = NULL;
        struct ldap_search search = {.scope = LDAP_SCOPE_SUBTREE, .attributes = attributes};
        struct id id;

        if (!directory->prepared)
                return refuse(PROBLEM_UNREACHABLE, "The directory is not configured yet.");
        TRY(id_parse(bytes_text(msg_text(question->guid)), &id));
        schema_id_filter_add(&directory->schema, &id, &wanted);
        schema_filter_add(&directory->schema, false, buf_view(&wanted), &filter);
        search.filter = buf_text(&filter);
        TRY(directory_ask(directory, &search, dn_take, &dn));
        if (!dn)
                return refuse(PROBLEM_PASSWORD, "The directory does not have the person any more.");
        return PASS(ldap_password_check(&directory->options, dn, secret_view(&question->password)));
}

int directory_bind(struct directory *directory, struct channel *channel,
                   const struct channel_message *message)
{
        MSG_OWN(directory_bind) question = {0};
        int r;

        TRY(msg_decode(directory_bind, message->payload, &question));
        r = password_check(directory, &question);
        return r ? PASS(answer_problem(channel, message, r))
                 : PASS(channel_reply(channel, message->id, MSG_done, BYTES_NONE));
}
