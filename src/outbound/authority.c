/* SPDX-License-Identifier: Apache-2.0 */
#include "outbound/authority.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/dn.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/crl.h"
#include "crypto/name.h"
#include "ldap/filter.h"
#include "outbound/publisher.h"
#include "wire/paths.h"

enum { TARGETS_MOST = 8 };

/* One attribute of one entry. */
struct target {
        char *dn;
        const char *attribute;
        bool is_crl;
        const struct buf *value;
};
struct targets {
        struct target at[TARGETS_MOST];
        size_t count;
};

static void targets_done(struct targets *targets)
{
        for (size_t i = 0; i < targets->count; i++)
                free(targets->at[i].dn);
}

/* ---- where */

static bool is_ad(const struct config *config)
{
        return strcmp(config->directory.schema, "ad") == 0;
}

static void target_add(struct targets *targets, const struct config *config, char *dn, const struct buf *value,
                       bool is_crl)
{
        const char *crl = is_ad(config) ? "certificateRevocationList" : "certificateRevocationList;binary";
        const char *certificate = is_ad(config) ? "cACertificate" : "cACertificate;binary";

        if (*dn && value->len)
                targets->at[targets->count++] = (struct target){dn, is_crl ? crl : certificate, is_crl, value};
        else
                free(dn);
}

/* "CN=name": how Windows names the objects of a CA. */
static int common_name_dn(const struct buf *certificate, struct buf *out)
{
        CLEANUP(certificate_done) struct certificate parsed = {0};
        CLEANUP(buf_done) struct buf name = BUF_NONE;

        TRY(certificate_parse(buf_view(certificate), &parsed));
        TRY(name_common_name(parsed.subject, &name));
        buf_add_text(out, "CN=");
        dn_value_add(out, buf_view(&name));
        return 0;
}

/* Below "Public Key Services", as certutil -dsPublish has it: AIA, CDP, Certification Authorities, NTAuthCertificates.
 */
static int targets_windows(const struct authority *authority, struct targets *targets)
{
        const struct config *config = authority->config;
        const char *place = config->publish.authority_dn;
        CLEANUP(buf_done) struct buf issuer = BUF_NONE, root = BUF_NONE;
        const char *host = config->server.host_names.count ? config->server.host_names.at[0] : "localhost";
        CLEANUP(mem_freep) char *label = text_copy_n(host, strcspn(host, "."));

        TRY(common_name_dn(&authority->issuer, &issuer));
        TRY(common_name_dn(&authority->root, &root));
        target_add(targets, config, text_format("%s,CN=AIA,%s", buf_text(&issuer), place), &authority->issuer, false);
        target_add(targets, config, text_format("%s,CN=Certification Authorities,%s", buf_text(&root), place),
                   &authority->root, false);
        target_add(targets, config, text_format("CN=NTAuthCertificates,%s", place), &authority->issuer, false);
        target_add(targets, config, text_format("%s,CN=%s,CN=CDP,%s", buf_text(&issuer), label, place), &authority->crl,
                   true);
        return 0;
}

static int targets_of(const struct authority *authority, struct targets *targets)
{
        const struct config *config = authority->config;

        if (is_ad(config) && *config->publish.authority_dn)
                return PASS(targets_windows(authority, targets));
        target_add(targets, config, text_copy(config->publish.authority_dn), &authority->issuer, false);
        target_add(targets, config, text_copy(config->publish.root_dn), &authority->root, false);
        target_add(targets, config,
                   text_copy(*config->publish.crl_dn ? config->publish.crl_dn : config->publish.authority_dn),
                   &authority->crl, true);
        return 0;
}

static bool wanted(const struct config *config)
{
        return config->publish.directory &&
               (*config->publish.authority_dn || *config->publish.root_dn || *config->publish.crl_dn);
}

/* ---- what */

static bool crl_is_ours(struct bytes value, const struct certificate *issuer, uint64_t *ret_number)
{
        struct crl crl;

        if (crl_parse(value, &crl) != 0) {
                report_clear();
                return false;
        }
        *ret_number = crl.number;
        return bytes_equal(crl.issuer, issuer->subject) && bytes_equal(crl.authority_key_id, issuer->subject_key_id);
}

int authority_compare(bool is_crl, const struct bytes *current, size_t count, struct bytes value,
                      const struct certificate *issuer, struct bytes *remove, size_t *ret_remove_count, bool *ret_add)
{
        uint64_t number = 0, other = 0;

        *ret_remove_count = 0;
        *ret_add = false;
        if (is_crl && !crl_is_ours(value, issuer, &number))
                return refuse(PROBLEM_MALFORMED, "The revocation list to be published is not one of this CA.");
        for (size_t i = 0; i < count; i++) {
                bool placeholder = is_crl && current[i].len == 1 && current[i].data[0] == 0;

                if (bytes_equal(current[i], value))
                        return 0;
                if (!is_crl || (!placeholder && !crl_is_ours(current[i], issuer, &other)))
                        continue;
                if (!placeholder && other > number) { /* of another server with this CA, which is ahead */
                        *ret_remove_count = 0;
                        return 0;
                }
                remove[(*ret_remove_count)++] = current[i];
        }
        *ret_add = true;
        return 0;
}

/* OpenLDAP has no equality rule for revocation lists either (publisher.h): the attribute as a whole, with what others
 * have there as it was, if the entry has not changed since it was read. */
static int target_write_whole(struct ldap_connection *connection, const struct target *target,
                              const struct ldap_entry *entry, const struct bytes *values, size_t count)
{
        struct ldap_change change = {.attribute = target->attribute, .replace = true, .values = values, .count = count};
        const struct ldap_attribute *csn = ldap_entry_find(entry, ENTRY_CHANGED);
        CLEANUP(buf_done) struct buf filter = BUF_NONE;
        LDAPControl *controls[] = {NULL, NULL};
        int r;

        if (!ldap_connection_supports(connection, ENTRY_ASSERTION) || !csn || csn->count != 1)
                return refuse(
                    PROBLEM_UNSUPPORTED,
                    "%s can change %s as a whole only, and does not let us make sure that nobody else does meanwhile.",
                    ldap_connection_server(connection), target->attribute);
        filter_equal_add(&filter, ENTRY_CHANGED, csn->values[0]);
        if (ldap_create_assertion_control(ldap_connection_handle(connection), (char *)(uintptr_t)buf_text(&filter), 1,
                                          &controls[0]) != LDAP_SUCCESS)
                return fault(0, "an assertion about an entry cannot be made");
        r = ldap_connection_modify(connection, target->dn, &change, 1, controls);
        ldap_control_free(controls[0]);
        return PASS(r);
}

static int target_change(struct ldap_connection *connection, const struct target *target,
                         const struct ldap_entry *entry, const struct ldap_attribute *attribute,
                         const struct bytes *remove, size_t remove_count)
{
        CLEANUP(mem_freep)
        struct bytes *whole = mem_array((attribute ? attribute->count : 0) + 1, sizeof(struct bytes));
        struct bytes value = buf_view(target->value);
        struct ldap_change changes[] = {
            {.attribute = target->attribute, .values = remove, .count = remove_count},
            {.attribute = target->attribute, .add = true, .values = &value, .count = 1},
        };
        size_t count = 0;
        int r = ldap_connection_modify(connection, target->dn, changes, ARRAY_LEN(changes), NULL);

        if (r != PROBLEM_UNSUPPORTED)
                return r == PROBLEM_EXISTS ? 0 : PASS(r);
        for (size_t i = 0; attribute && i < attribute->count; i++) {
                bool removed = false;

                for (size_t j = 0; j < remove_count; j++)
                        removed |= remove[j].data == attribute->values[i].data;
                if (!removed)
                        whole[count++] = attribute->values[i];
        }
        whole[count++] = value;
        return PASS(target_write_whole(connection, target, entry, whole, count));
}

static int target_write(struct ldap_connection *connection, const struct target *target,
                        const struct certificate *issuer)
{
        const char *const names[] = {target->attribute, ENTRY_CHANGED, NULL};
        CLEANUP(ldap_entry_done) struct ldap_entry entry = {0};
        const struct ldap_attribute *attribute;
        CLEANUP(mem_freep) struct bytes *remove = NULL;
        size_t remove_count = 0;
        bool add = false;
        int r = ldap_connection_read(connection, target->dn, names, &entry);

        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_NOT_FOUND,
                              "There is no entry %s for the CA; make it as packaging/directory shows.", target->dn);
        TRY(r);
        attribute = ldap_entry_find(&entry, target->attribute);
        remove = mem_array((attribute ? attribute->count : 0) + 1, sizeof(struct bytes));
        TRY(authority_compare(target->is_crl, attribute ? attribute->values : NULL, attribute ? attribute->count : 0,
                              buf_view(target->value), issuer, remove, &remove_count, &add));
        return add ? PASS(target_change(connection, target, &entry, attribute, remove, remove_count)) : 0;
}

/* ---- when */

/* What does not go at one entry does not keep the others from it; the first failure is told. */
static int authority_write(struct authority *authority)
{
        CLEANUP(targets_done) struct targets targets = {0};
        CLEANUP(ldap_connection_closep) struct ldap_connection *connection = NULL;
        CLEANUP(certificate_done) struct certificate issuer = {0};
        CLEANUP(mem_freep) char *first = NULL;
        struct ldap_options options = ldap_options_of(authority->config, authority->secrets);
        int r = 0;

        TRY(certificate_parse(buf_view(&authority->issuer), &issuer));
        TRY(targets_of(authority, &targets));
        TRY(ldap_connection_open(&options, &connection));
        for (size_t i = 0; i < targets.count; i++) {
                int failed = target_write(connection, &targets.at[i], &issuer);

                if (failed && !r) {
                        r = failed;
                        first = text_copy(report_text());
                }
        }
        return r > 0 ? refuse((enum problem)r, "%s", first) : PASS(r);
}

static int authority_expired(void *context)
{
        struct authority *authority = context;
        uint64_t again;
        int r;

        if (!authority->issuer.len || !authority->root.len)
                return 0; /* they come with the engine's first messages, and arm this again */
        r = authority_write(authority);
        authority->written_ms = clock_monotonic_ms();
        if (!r) {
                authority->failures = 0;
                return 0;
        }
        again = MIN((uint64_t)AUTHORITY_RETRY_MS << MIN(authority->failures, 10u), (uint64_t)AUTHORITY_RETRY_MOST_MS);
        authority->failures++;
        log_report(r, "the CA is not published in the directory; trying again in %u s", (unsigned)(again / 1000));
        loop_timer_arm(&authority->timer, again);
        return 0;
}

void authority_init(struct authority *authority, struct loop *loop, const struct config *config,
                    const struct ldap_secrets *secrets)
{
        *authority = (struct authority){.config = config, .secrets = secrets};
        loop_timer_init(&authority->timer, loop, authority_expired, authority);
}

void authority_done(struct authority *authority)
{
        loop_timer_done(&authority->timer);
        buf_done(&authority->crl);
        buf_done(&authority->issuer);
        buf_done(&authority->root);
}

void authority_take(struct authority *authority, const char *path, struct bytes content)
{
        struct buf *place = strcmp(path, PATH_CRL) == 0      ? &authority->crl
                            : strcmp(path, PATH_ISSUER) == 0 ? &authority->issuer
                            : strcmp(path, PATH_ROOT) == 0   ? &authority->root
                                                             : NULL;
        uint64_t now = clock_monotonic_ms(), rest = authority->written_ms + AUTHORITY_REST_MS;

        if (!place || !wanted(authority->config) || bytes_equal(buf_view(place), content))
                return;
        buf_clear(place);
        buf_add_bytes(place, content);
        if (!authority->timer.due_ms) /* else it takes this along */
                loop_timer_arm(&authority->timer, authority->written_ms && rest > now ? rest - now : 200);
}
