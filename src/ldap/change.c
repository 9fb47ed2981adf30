/* SPDX-License-Identifier: Apache-2.0 */
/* Modifications of exact values. */
#include <stdlib.h>

#include "base/mem.h"
#include "ldap/internal.h"

/* libldap's form of changes; it points into ours. */
struct modifications {
        LDAPMod **list; /* ended by NULL */
};

static void modifications_done(struct modifications *modifications)
{
        for (LDAPMod **at = modifications->list; at && *at; at++) {
                for (struct berval **value = (*at)->mod_bvalues; value && *value; value++)
                        free(*value);
                free((*at)->mod_bvalues);
                free(*at);
        }
        free(modifications->list);
}

static LDAPMod *modification_of(const struct ldap_change *change)
{
        LDAPMod *modification = NEW(LDAPMod);

        modification->mod_op = change->replace ? LDAP_MOD_REPLACE
                               : change->add   ? LDAP_MOD_ADD
                                               : LDAP_MOD_DELETE;
        modification->mod_op |= LDAP_MOD_BVALUES;
        modification->mod_type = (char *)(uintptr_t)change->attribute;
        modification->mod_bvalues = mem_array(change->count + 1, sizeof(struct berval *));
        for (size_t i = 0; i < change->count; i++) {
                struct berval *value = NEW(struct berval);

                value->bv_val = (char *)(uintptr_t)change->values[i].data;
                value->bv_len = change->values[i].len;
                modification->mod_bvalues[i] = value;
        }
        return modification;
}

int ldap_connection_modify_send(struct ldap_connection *connection, const char *dn,
                                const struct ldap_change *changes, size_t count, LDAPControl **controls,
                                int *ret_number)
{
        CLEANUP(modifications_done)
        struct modifications modifications = {.list = mem_array(count + 1, sizeof(LDAPMod *))};
        size_t used = 0;
        int code;

        /* To delete no values would be to delete the whole attribute (RFC 4511 4.6). */
        for (size_t i = 0; i < count; i++)
                if (changes[i].count || changes[i].replace)
                        modifications.list[used++] = modification_of(&changes[i]);
        if (!used)
                return fault(0, "a modification without values");
        code = ldap_modify_ext(connection->ldap, dn, modifications.list, controls, NULL, ret_number);
        return PASS(ldap_connection_judge(connection, code, "The entry cannot be changed"));
}

/* Where a read-only server says that the entry can be changed: a server of the options, NULL for another. */
static const char *referred_to(struct ldap_connection *connection, LDAPMessage *answer)
{
        const char *server = NULL;
        char **urls = NULL;
        int code = LDAP_OTHER;

        if (ldap_parse_result(connection->ldap, answer, &code, NULL, NULL, &urls, NULL, 0) == LDAP_SUCCESS &&
            code == LDAP_REFERRAL)
                for (char **url = urls; url && *url && !server; url++)
                        server = ldap_server_find(connection->options, *url);
        ber_memvfree((void **)urls);
        return server;
}

static int modify_at(struct ldap_connection *connection, const char *dn, const struct ldap_change *changes,
                     size_t count, LDAPControl **controls, const char **ret_other)
{
        CLEANUP(mem_freep) char *what = text_format("The entry %.500s cannot be changed", dn);
        LDAPMessage *answer = NULL;
        int number, r;

        TRY(ldap_connection_modify_send(connection, dn, changes, count, controls, &number));
        TRY(ldap_wait(connection, number, LDAP_MSG_ALL, connection->options->time_limit, what, &answer));
        *ret_other = referred_to(connection, answer);
        r = *ret_other ? 0 : ldap_connection_answer(connection, answer, what);
        ldap_msgfree(answer);
        return PASS(r);
}

int ldap_connection_modify(struct ldap_connection *connection, const char *dn,
                           const struct ldap_change *changes, size_t count, LDAPControl **controls)
{
        CLEANUP(ldap_connection_closep) struct ldap_connection *writable = NULL;
        const char *other = NULL;

        TRY(modify_at(connection, dn, changes, count, controls, &other));
        if (!other)
                return 0;
        TRY(ldap_connection_open_at(connection->options, other, &writable));
        TRY(modify_at(writable, dn, changes, count, controls, &other));
        return other ? refuse(PROBLEM_CONFIGURATION, "%s and %s refer to each other for changes to %s.",
                              connection->server, writable->server, dn)
                     : 0;
}
