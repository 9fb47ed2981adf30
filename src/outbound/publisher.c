/* SPDX-License-Identifier: Apache-2.0 */
#include "outbound/publisher.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "ldap/filter.h"

enum { TRIES_MOST = 5, ATTRIBUTES_MOST = 3, PATIENCE_STEP_MS = 1000, VALUES_MOST = 16 };

enum step { STEP_BY_NAME, STEP_BY_ID, STEP_CHANGE };

struct task {
        struct list link;
        struct publisher *publisher;
        struct msg_directory_values values;
        struct id guid;
        struct cert_list issuers;
        bool look;
        publication_done *done;
        void *context;
        enum step step;
        int number; /* of the operation that it waits for */
        unsigned tries;
        uint64_t deadline_ms;
        struct buf detail;
};

static void task_end(struct task *task, struct publication_result result)
{
        list_remove(&task->link);
        task->done(task->context, &result);
        msg_done(directory_values, &task->values);
        cert_list_done(&task->issuers);
        buf_done(&task->detail);
        free(task);
}

static void task_fail(struct task *task, int result, bool unreachable)
{
        CLEANUP(mem_freep) char *detail = text_copy(report_text());

        task_end(task, (struct publication_result){.result = result, .unreachable = unreachable, .detail = detail});
}

static void task_succeed(struct task *task, enum publication_outcome outcome)
{
        CLEANUP(buf_done) struct buf detail = buf_take(&task->detail);

        task_end(task, (struct publication_result){.outcome = outcome, .detail = buf_text(&detail)});
}

/* ---- the connection */

/* All that was under way is told so; what is asked next connects again. */
static void connection_lose(struct publisher *publisher, int result)
{
        CLEANUP(mem_freep) char *detail = text_copy(report_text());
        struct publication_result lost = {.result = result, .unreachable = true, .detail = detail};

        loop_source_done(&publisher->source);
        ldap_connection_close(TAKE(publisher->connection));
        loop_timer_disarm(&publisher->patience);
        while (!list_empty(&publisher->tasks))
                task_end(CONTAINER_OF(publisher->tasks.next, struct task, link), lost);
}

static int publisher_ready(void *context, uint32_t events);

int publisher_prepare(struct publisher *publisher)
{
        if (publisher->schema_known)
                return 0;
        if (strcmp(publisher->config->directory.kind, "ldap") != 0)
                return refuse(PROBLEM_CONFIGURATION,
                              "[publish] directory = yes needs [directory] kind = ldap: there is none to publish to.");
        TRY(schema_init(publisher->config, &publisher->schema));
        publisher->schema_known = true;
        publisher_attributes(publisher->config, publisher->attributes, publisher->kinds, &publisher->attribute_count);
        return 0;
}

static int connection_open(struct publisher *publisher)
{
        int r;

        if (publisher->connection)
                return 0;
        TRY(publisher_prepare(publisher));
        publisher->options = ldap_options_of(publisher->config, publisher->secrets);
        TRY(ldap_connection_open(&publisher->options, &publisher->connection));
        r = loop_source_init(&publisher->source, publisher->loop, ldap_connection_fd(publisher->connection), EPOLLIN,
                             publisher_ready, publisher);
        if (r)
                ldap_connection_close(TAKE(publisher->connection));
        return PASS(r);
}

/* ---- reading */

static int search_send(struct task *task, const char *base, int scope, const char *filter)
{
        struct publisher *publisher = task->publisher;
        const char *names[ATTRIBUTES_MOST + 3] = {publisher->schema.id, ENTRY_CHANGED};
        struct timeval limit = {.tv_sec = (time_t)publisher->options.time_limit};
        int code;

        for (size_t i = 0; i < publisher->attribute_count; i++)
                names[2 + i] = publisher->attributes[i];
        code = ldap_search_ext(ldap_connection_handle(publisher->connection), base, scope, filter,
                               (char **)(uintptr_t)names, 0, NULL, NULL, &limit, LDAP_NO_LIMIT, &task->number);
        return PASS(ldap_connection_judge(publisher->connection, code, "The entry cannot be read"));
}

static int read_send(struct task *task)
{
        CLEANUP(buf_done) struct buf filter = BUF_NONE;

        if (task->step == STEP_BY_NAME)
                return PASS(search_send(task, task->values.dn, LDAP_SCOPE_BASE, "(objectClass=*)"));
        schema_id_filter_add(&task->publisher->schema, &task->guid, &filter);
        return PASS(search_send(task, task->publisher->options.base, LDAP_SCOPE_SUBTREE, buf_text(&filter)));
}

/* ---- changing */

/* What one attribute lacks and has too much. */
static void attribute_compare(const struct task *task, size_t index, const struct ldap_entry *entry,
                              struct difference *ret_difference)
{
        const struct publisher *publisher = task->publisher;
        const struct ldap_attribute *attribute = ldap_entry_find(entry, publisher->attributes[index]);
        struct bytes desired[VALUES_MOST];
        size_t count = 0;

        if (publisher->kinds[index] == VALUE_SMIME && task->values.smime.len)
                desired[count++] = buf_view(&task->values.smime);
        for (size_t i = 0; publisher->kinds[index] == VALUE_CERTIFICATE && i < task->values.certificates.count; i++)
                desired[count++] = buf_view(&task->values.certificates.at[i].value);
        difference_make(publisher->kinds[index], attribute ? attribute->values : NULL, attribute ? attribute->count : 0,
                        desired, count, &task->issuers, ret_difference);
}

static void difference_describe(struct buf *out, const char *attribute, const struct difference *difference)
{
        if (difference_is_none(difference))
                return;
        buf_add_format(out, "%s%s:", out->len ? "; " : "", attribute);
        if (difference->remove_count)
                buf_add_format(out, " %zu to be removed", difference->remove_count);
        if (difference->add_count)
                buf_add_format(out, "%s %zu to be added", difference->remove_count ? "," : "", difference->add_count);
}

/* That it is this entry; and, where values of others are written again, that it is as it was read. */
static int assertion_add(const struct task *task, const struct ldap_entry *entry, bool unchanged, struct buf *out)
{
        const struct ldap_attribute *csn = ldap_entry_find(entry, ENTRY_CHANGED);

        buf_add_text(out, "(&");
        schema_id_filter_add(&task->publisher->schema, &task->guid, out);
        if (unchanged && (!csn || csn->count != 1))
                return refuse(PROBLEM_FORBIDDEN,
                              "%s does not show us " ENTRY_CHANGED ", without which values of others could be lost.",
                              entry->dn);
        if (unchanged)
                filter_equal_add(out, ENTRY_CHANGED, csn->values[0]);
        buf_add_text(out, ")");
        return 0;
}

/* Only if it still is this entry: asserted where the server can do that; Active Directory takes the id for a name. */
static int change_send(struct task *task, const struct ldap_entry *entry, const struct ldap_change *changes,
                       size_t count, bool unchanged)
{
        struct publisher *publisher = task->publisher;
        const struct ldap_attribute *id = ldap_entry_find(entry, publisher->schema.id);
        CLEANUP(buf_done) struct buf name = BUF_NONE, filter = BUF_NONE;
        LDAPControl *controls[] = {NULL, NULL};
        bool asserted = ldap_connection_supports(publisher->connection, ENTRY_ASSERTION);
        int r;

        if (publisher->schema.id_form == SCHEMA_ID_ACTIVE_DIRECTORY && id && id->count) {
                buf_add_text(&name, "<GUID=");
                hex_add(&name, id->values[0]);
                buf_add_text(&name, ">");
        } else {
                buf_add_text(&name, entry->dn);
        }
        if (unchanged && !asserted)
                return refuse(PROBLEM_UNSUPPORTED,
                              "%s changes attributes as a whole only, and cannot be told that nothing else "
                              "may have changed.",
                              ldap_connection_server(publisher->connection));
        TRY(assertion_add(task, entry, unchanged, &filter));
        if (asserted &&
            ldap_create_assertion_control(ldap_connection_handle(publisher->connection),
                                          (char *)(uintptr_t)buf_text(&filter), 1, &controls[0]) != LDAP_SUCCESS)
                return fault(0, "the assertion of an entry's id cannot be made");
        r = ldap_connection_modify_send(publisher->connection, buf_text(&name), changes, count,
                                        asserted ? controls : NULL, &task->number);
        if (controls[0])
                ldap_control_free(controls[0]);
        return PASS(r);
}

static size_t changes_add(struct ldap_change *changes, const char *name, const struct difference *difference,
                          bool whole)
{
        size_t count = 0;

        if (whole && !difference_is_none(difference))
                changes[count++] = (struct ldap_change){.attribute = name,
                                                        .replace = true,
                                                        .values = difference->result,
                                                        .count = difference->result_count};
        if (!whole && difference->remove_count)
                changes[count++] = (struct ldap_change){
                    .attribute = name, .values = difference->remove, .count = difference->remove_count};
        if (!whole && difference->add_count)
                changes[count++] = (struct ldap_change){
                    .attribute = name, .add = true, .values = difference->add, .count = difference->add_count};
        return count;
}

/* The entry is there: done when it is as it should be. */
static int entry_mend(struct task *task, const struct ldap_entry *entry, bool *ret_right)
{
        struct publisher *publisher = task->publisher;
        struct difference differences[ATTRIBUTES_MOST] = {0};
        struct ldap_change changes[2 * ATTRIBUTES_MOST];
        size_t count = 0;
        bool whole = false;
        int r = 0;

        buf_clear(&task->detail);
        for (size_t i = 0; i < publisher->attribute_count; i++) {
                const char *name = publisher->attributes[i];
                struct difference *difference = &differences[i];

                attribute_compare(task, i, entry, difference);
                difference_describe(&task->detail, name, difference);
                count += changes_add(changes + count, name, difference, publisher->whole[i]);
                whole |= publisher->whole[i] && !difference_is_none(difference);
        }
        *ret_right = count == 0;
        if (count && !task->look)
                r = change_send(task, entry, changes, count, whole);
        for (size_t i = 0; i < publisher->attribute_count; i++)
                difference_done(&differences[i]);
        return PASS(r);
}

/* ---- one step after the other */

static void task_wait(struct task *task)
{
        task->deadline_ms = clock_monotonic_ms() + 1000 * (uint64_t)task->publisher->options.time_limit;
        if (!task->publisher->patience.due_ms)
                loop_timer_arm(&task->publisher->patience, PATIENCE_STEP_MS);
}

static bool is_of_connection(int result)
{
        return result < 0 || result == PROBLEM_UNREACHABLE || result == PROBLEM_TIMEOUT;
}

/* What fails for want of a connection fails for all. True: the task is no more. */
static bool task_failed(struct task *task, int result)
{
        if (!result)
                return false;
        if (is_of_connection(result))
                connection_lose(task->publisher, result);
        else
                task_fail(task, result, false);
        return true;
}

static void task_read(struct task *task, enum step step)
{
        task->step = step;
        if (!task_failed(task, read_send(task)))
                task_wait(task);
}

static void task_found(struct task *task, LDAPMessage *message)
{
        LDAP *ldap = ldap_connection_handle(task->publisher->connection);
        LDAPMessage *first = ldap_first_entry(ldap, message);
        CLEANUP(ldap_entry_done) struct ldap_entry entry = {0};
        struct id id = ID_NONE;
        bool right = false;

        if (first)
                ldap_entry_take(ldap, first, &entry);
        if (!first || schema_id_of(&task->publisher->schema, &entry, &id) || !id_equal(&id, &task->guid)) {
                if (task->step == STEP_BY_NAME)
                        task_read(task, STEP_BY_ID);
                else
                        task_succeed(task, PUBLICATION_GONE);
                return;
        }
        if (ldap_next_entry(ldap, first)) {
                task_failed(task, refuse(PROBLEM_STATE,
                                         "Two entries of the directory have one id, %s and another; neither is "
                                         "changed.",
                                         entry.dn));
                return;
        }
        if (task_failed(task, entry_mend(task, &entry, &right)))
                return;
        if (right || task->look) {
                task_succeed(task, right ? PUBLICATION_RIGHT : PUBLICATION_CHANGED);
                return;
        }
        task->step = STEP_CHANGE;
        task_wait(task);
}

/* Somebody changed the entry after it was read: one of these says so. */
static bool code_is_of_a_race(int code)
{
        return code == LDAP_TYPE_OR_VALUE_EXISTS || code == LDAP_NO_SUCH_ATTRIBUTE || code == LDAP_NO_SUCH_OBJECT ||
               code == LDAP_ASSERTION_FAILED;
}

/* An attribute without an equality rule; which of them it is, the server says in words only. userCertificate, the
 * first, has one everywhere (RFC 4523 4.1). */
static bool learns_whole(struct publisher *publisher)
{
        bool learned = false;

        for (size_t i = 1; i < publisher->attribute_count; i++) {
                learned |= !publisher->whole[i];
                publisher->whole[i] = true;
        }
        return learned;
}

static void task_answered(struct task *task, LDAPMessage *message)
{
        struct publisher *publisher = task->publisher;
        int code = LDAP_OTHER;

        (void)ldap_parse_result(ldap_connection_handle(publisher->connection), message, &code, NULL, NULL, NULL, NULL,
                                0);
        if (task->step == STEP_CHANGE && ++task->tries < TRIES_MOST &&
            (code_is_of_a_race(code) ||
             (code == LDAP_INAPPROPRIATE_MATCHING && (learns_whole(publisher) || task->tries == 1))))
                task_read(task, STEP_BY_ID);
        else if (task->step == STEP_CHANGE && code == LDAP_SUCCESS)
                task_succeed(task, PUBLICATION_CHANGED);
        else if (task->step != STEP_CHANGE && (code == LDAP_SUCCESS || code == LDAP_NO_SUCH_OBJECT))
                task_found(task, message);
        else if (task->step == STEP_BY_NAME && code == LDAP_INVALID_DN_SYNTAX)
                task_read(task, STEP_BY_ID);
        else
                task_failed(task, ldap_connection_answer(publisher->connection, message,
                                                         task->values.dn ? task->values.dn : "The entry"));
}

static struct task *task_of(struct publisher *publisher, int number)
{
        LIST_EACH (task, &publisher->tasks, struct task, link)
                if (task->number == number)
                        return task;
        return NULL;
}

/* Everything that has come: TLS may have more than the socket shows. */
static int publisher_ready(void *context, uint32_t events)
{
        struct publisher *publisher = context;

        while (publisher->connection) {
                struct timeval now = {0};
                LDAPMessage *message = NULL;
                int type = ldap_result(ldap_connection_handle(publisher->connection), LDAP_RES_ANY, LDAP_MSG_ALL, &now,
                                       &message);
                struct task *task = type > 0 ? task_of(publisher, ldap_msgid(message)) : NULL;

                if (type == 0)
                        return 0;
                if (type < 0 || ldap_msgid(message) == 0) { /* cut, or it says that it is about to (RFC 4511 4.4.1) */
                        ldap_msgfree(message);
                        connection_lose(publisher, ldap_connection_judge(publisher->connection, LDAP_SERVER_DOWN,
                                                                         "The connection was cut"));
                        return 0;
                }
                if (task)
                        task_answered(task, message);
                ldap_msgfree(message);
        }
        return 0;
}

static int patience_check(void *context)
{
        struct publisher *publisher = context;
        uint64_t now = clock_monotonic_ms();

        LIST_EACH (task, &publisher->tasks, struct task, link) {
                if (now < task->deadline_ms)
                        continue;
                connection_lose(publisher,
                                refuse(PROBLEM_TIMEOUT, "%s did not answer within %u s.",
                                       ldap_connection_server(publisher->connection), publisher->options.time_limit));
                return 0;
        }
        if (!list_empty(&publisher->tasks))
                loop_timer_arm(&publisher->patience, PATIENCE_STEP_MS);
        return 0;
}

/* ---- from outside */

void publisher_attributes(const struct config *config, const char *ret_names[static 3],
                          enum value_kind ret_kinds[static 3], size_t *ret_count)
{
        bool ad = strcmp(config->directory.schema, "ad") == 0;
        size_t count = 0;

        /* OpenLDAP wants the option (RFC 4523 2.1), Active Directory refuses it. */
        ret_names[count] = *config->publish.certificate_attribute ? config->publish.certificate_attribute
                           : ad                                   ? "userCertificate"
                                                                  : "userCertificate;binary";
        ret_kinds[count++] = VALUE_CERTIFICATE;
        if (*config->publish.legacy_attribute) {
                ret_names[count] = config->publish.legacy_attribute;
                ret_kinds[count++] = VALUE_CERTIFICATE;
        }
        if (*config->publish.smime_attribute) {
                ret_names[count] = config->publish.smime_attribute;
                ret_kinds[count++] = VALUE_SMIME;
        }
        *ret_count = count;
}

void publisher_init(struct publisher *publisher, struct loop *loop, const struct config *config,
                    const struct ldap_secrets *secrets)
{
        *publisher = (struct publisher){.loop = loop, .config = config, .secrets = secrets};
        list_init(&publisher->tasks);
        loop_timer_init(&publisher->patience, loop, patience_check, publisher);
}

void publisher_done(struct publisher *publisher)
{
        connection_lose(publisher, refuse(PROBLEM_UNREACHABLE, "The process that publishes ends."));
        loop_timer_done(&publisher->patience);
        if (publisher->schema_known)
                schema_done(&publisher->schema);
        publisher->schema_known = false;
}

static int task_prepare(struct task *task)
{
        TRY(id_parse(bytes_text(msg_text(task->values.guid)), &task->guid));
        for (size_t i = 0; i < task->values.issuers.count; i++)
                TRY(cert_list_add(&task->issuers, buf_view(&task->values.issuers.at[i].value)));
        return 0;
}

void publisher_start(struct publisher *publisher, struct msg_directory_values *values, bool look,
                     publication_done *done, void *context)
{
        struct task *task = NEW(struct task);
        int r;

        *task =
            (struct task){.publisher = publisher, .values = *values, .look = look, .done = done, .context = context};
        *values = (struct msg_directory_values){0};
        list_append(&publisher->tasks, &task->link);
        r = task_prepare(task);
        if (r) {
                task_fail(task, r, false);
                return;
        }
        r = connection_open(publisher);
        if (r)
                task_fail(task, r, true);
        else
                task_read(task, *msg_text(task->values.dn) ? STEP_BY_NAME : STEP_BY_ID);
}
