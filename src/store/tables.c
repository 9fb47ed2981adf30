/* SPDX-License-Identifier: Apache-2.0 */
/* The tables. Order and names of columns are those of sql/; a column is added at the end, with a migration.
 */
#include "store/table.h"

#define COLUMN(row, member, column_type)                                                                     \
        {                                                                                                    \
                .name = #member, .type = column_type, .offset = offsetof(struct row, member),                \
                .size = sizeof(((struct row *)0)->member)                                                    \
        }
#define NAMED(row, member, column_type, column_name)                                                         \
        {                                                                                                    \
                .name = column_name, .type = column_type, .offset = offsetof(struct row, member),            \
                .size = sizeof(((struct row *)0)->member)                                                    \
        }
#define NUMBER_(row, member) COLUMN(row, member, COLUMN_NUMBER)
#define TEXT_(row, member)   COLUMN(row, member, COLUMN_TEXT)
#define CHARS_(row, member)  COLUMN(row, member, COLUMN_CHARS)
#define FIXED_(row, member)  COLUMN(row, member, COLUMN_FIXED)
#define BYTES_(row, member)  COLUMN(row, member, COLUMN_BYTES)
#define TEXTS_(row, member)  COLUMN(row, member, COLUMN_TEXTS)
#define SEALED_(row, member) COLUMN(row, member, COLUMN_SEALED)

static const struct column chain_columns[] = {
    NUMBER_(chain_row, number), NUMBER_(chain_row, seq),         NUMBER_(chain_row, time),
    FIXED_(chain_row, hash),    NUMBER_(chain_row, revocations), NUMBER_(chain_row, jobs),
    NUMBER_(chain_row, heads),  BYTES_(chain_row, counts),
};
static const struct column bootstrap_columns[] = {
    TEXT_(bootstrap_row, name),
    NUMBER_(bootstrap_row, number),
    BYTES_(bootstrap_row, record),
};
static const struct column entry_columns[] = {
    FIXED_(entry_row, guid),      NUMBER_(entry_row, kind),     TEXT_(entry_row, name),
    TEXT_(entry_row, cn),         TEXT_(entry_row, given_name), TEXT_(entry_row, surname),
    TEXTS_(entry_row, addresses), TEXT_(entry_row, unit),       TEXT_(entry_row, server),
    TEXTS_(entry_row, groups),    NUMBER_(entry_row, disabled), TEXT_(entry_row, language),
    NUMBER_(entry_row, source),   NUMBER_(entry_row, gone),     NUMBER_(entry_row, updated),
    BYTES_(entry_row, origin),
};
static const struct column user_columns[] = {
    FIXED_(user_row, id),       FIXED_(user_row, guid),      TEXT_(user_row, address),
    TEXT_(user_row, cn),        NUMBER_(user_row, state),    TEXT_(user_row, profile),
    NUMBER_(user_row, created), NUMBER_(user_row, enrolled), NUMBER_(user_row, revoked),
};
static const struct column token_columns[] = {
    CHARS_(token_row, selector),
    NUMBER_(token_row, kind),
    NAMED(token_row, user, COLUMN_FIXED, "user_id"),
    NAMED(token_row, request, COLUMN_FIXED, "request_id"),
    NUMBER_(token_row, state),
    SEALED_(token_row, auth),
    BYTES_(token_row, recipient),
    NUMBER_(token_row, created),
    NUMBER_(token_row, expires),
    NUMBER_(token_row, used),
    NUMBER_(token_row, attempts),
    NUMBER_(token_row, attempts_most),
    FIXED_(token_row, digest),
    TEXT_(token_row, issuer),
    TEXT_(token_row, profile),
    NUMBER_(token_row, delivery),
    SEALED_(token_row, mail),
};
static const struct column reply_columns[] = {
    CHARS_(reply_row, selector),
    FIXED_(reply_row, digest),
    NUMBER_(reply_row, created),
    SEALED_(reply_row, answer),
};
static const struct column certificate_columns[] = {
    FIXED_(certificate_row, serial),     NAMED(certificate_row, user, COLUMN_FIXED, "user_id"),
    NUMBER_(certificate_row, kind),      NUMBER_(certificate_row, state),
    FIXED_(certificate_row, spki_hash),  TEXTS_(certificate_row, addresses),
    NUMBER_(certificate_row, issued),    NUMBER_(certificate_row, not_before),
    NUMBER_(certificate_row, not_after), NUMBER_(certificate_row, revoked),
    NUMBER_(certificate_row, reason),    TEXT_(certificate_row, profile),
    BYTES_(certificate_row, der),
};
static const struct column revocation_columns[] = {
    NUMBER_(revocation_row, number), FIXED_(revocation_row, serial),     NUMBER_(revocation_row, time),
    NUMBER_(revocation_row, reason), NUMBER_(revocation_row, not_after),
};
static const struct column archive_columns[] = {
    FIXED_(archive_row, id),        NAMED(archive_row, user, COLUMN_FIXED, "user_id"),
    NUMBER_(archive_row, state),    FIXED_(archive_row, serial),
    FIXED_(archive_row, spki_hash), NUMBER_(archive_row, archive_key),
    NUMBER_(archive_row, created),  BYTES_(archive_row, record),
};
static const struct column pool_columns[] = {
    FIXED_(pool_row, id),         TEXT_(pool_row, profile),  NUMBER_(pool_row, created),
    BYTES_(pool_row, public_key), BYTES_(pool_row, wrapped),
};
static const struct column request_columns[] = {
    FIXED_(request_row, id),
    NUMBER_(request_row, kind),
    NAMED(request_row, user, COLUMN_FIXED, "user_id"),
    NUMBER_(request_row, state),
    TEXT_(request_row, requester),
    TEXT_(request_row, reason),
    BYTES_(request_row, recipient),
    BYTES_(request_row, records),
    FIXED_(request_row, digest),
    NUMBER_(request_row, created),
    NUMBER_(request_row, expires),
    NUMBER_(request_row, decided),
    CHARS_(request_row, selector),
    BYTES_(request_row, result),
};
static const struct column approval_columns[] = {
    NAMED(approval_row, request, COLUMN_FIXED, "request_id"),
    TEXT_(approval_row, officer),
    NUMBER_(approval_row, verdict),
    NUMBER_(approval_row, created),
    BYTES_(approval_row, partials),
    BYTES_(approval_row, signature),
    TEXT_(approval_row, comment),
};
static const struct column operator_columns[] = {
    TEXT_(operator_row, name),
    TEXT_(operator_row, cn),
    TEXT_(operator_row, address),
    NUMBER_(operator_row, roles),
    NUMBER_(operator_row, state),
    NUMBER_(operator_row, share),
    BYTES_(operator_row, public_key),
    BYTES_(operator_row, admission),
    BYTES_(operator_row, envelope),
    CHARS_(operator_row, invitation),
    SEALED_(operator_row, invitation_auth),
    NUMBER_(operator_row, invitation_expires),
    NUMBER_(operator_row, attempts),
    BYTES_(operator_row, invitation_share),
    NUMBER_(operator_row, created),
    NUMBER_(operator_row, changed),
};
static const struct column operation_columns[] = {
    TEXT_(operation_row, operator_name), FIXED_(operation_row, nonce),    FIXED_(operation_row, digest),
    NUMBER_(operation_row, created),     NUMBER_(operation_row, problem), SEALED_(operation_row, answer),
};
static const struct column setting_columns[] = {TEXT_(setting_row, name), BYTES_(setting_row, value)};
static const struct column job_columns[] = {
    NUMBER_(job_row, number),   TEXT_(job_row, subject),   TEXT_(job_row, kind),
    NUMBER_(job_row, state),    NUMBER_(job_row, created), NUMBER_(job_row, due),
    NUMBER_(job_row, attempts), TEXT_(job_row, error),     TEXT_(job_row, recipient),
    SEALED_(job_row, payload),
};

static const struct column smime_columns[] = {
    NAMED(smime_row, user, COLUMN_FIXED, "user_id"),
    FIXED_(smime_row, signature_serial),
    FIXED_(smime_row, encryption_serial),
    NUMBER_(smime_row, created),
    BYTES_(smime_row, value),
};

#define COLUMNS(list)   .columns = list, .column_count = ARRAY_LEN(list)
#define COUNTED(member) .count_offset = offsetof(struct store_counts, member)
#define COUNTED_BY_STATE(member, row, most)                                                                  \
        COUNTED(member), .count_states = most, .state_offset = offsetof(struct row, state)

/* clang-format off */
const struct table table_chain = {"chain", 1, "chain", sizeof(struct chain_row), COLUMNS(chain_columns), 1,
        .count_states = -1};
const struct table table_bootstrap = {"bootstrap", 2, "record", sizeof(struct bootstrap_row),
        COLUMNS(bootstrap_columns), 2,
        .chained = true, .count_states = -1};
const struct table table_entries = {"entries", 3, "entry", sizeof(struct entry_row), COLUMNS(entry_columns), 1,
        .chained = true, COUNTED(entries)};
const struct table table_users = {"users", 4, "user", sizeof(struct user_row), COLUMNS(user_columns), 1,
        .chained = true, COUNTED_BY_STATE(users, user_row, USER_REVOKED)};
const struct table table_tokens = {"tokens", 5, "token", sizeof(struct token_row), COLUMNS(token_columns), 1,
        .chained = true, COUNTED_BY_STATE(tokens, token_row, TOKEN_EXHAUSTED)};
const struct table table_replies = {"replies", 6, "reply", sizeof(struct reply_row), COLUMNS(reply_columns), 2,
        .chained = true, .made = true, COUNTED(replies)};
const struct table table_certificates = {"certificates", 7, "certificate", sizeof(struct certificate_row),
        COLUMNS(certificate_columns), 1,
        .chained = true, .made = true, COUNTED_BY_STATE(certificates, certificate_row, CERTIFICATE_SUPERSEDED)};
const struct table table_revocations = {"revocations", 8, "revocation", sizeof(struct revocation_row),
        COLUMNS(revocation_columns), 1, .chained = true, COUNTED(revocations)};
const struct table table_archives = {"archives", 9, "archive record", sizeof(struct archive_row),
        COLUMNS(archive_columns), 1,
        .chained = true, .made = true, COUNTED_BY_STATE(archives, archive_row, ARCHIVE_FORMER)};
const struct table table_pool = {"pool", 10, "pool key", sizeof(struct pool_row), COLUMNS(pool_columns), 1,
        .chained = true, COUNTED(pool)};
const struct table table_requests = {"requests", 11, "request", sizeof(struct request_row), COLUMNS(request_columns), 1,
        .chained = true, COUNTED_BY_STATE(requests, request_row, REQUEST_CANCELLED)};
const struct table table_approvals = {"approvals", 12, "approval", sizeof(struct approval_row),
        COLUMNS(approval_columns), 2,
        .chained = true, .count_states = -1};
const struct table table_operators = {"operators", 13, "operator", sizeof(struct operator_row),
        COLUMNS(operator_columns), 1,
        .chained = true, COUNTED_BY_STATE(operators, operator_row, OPERATOR_DISABLED)};
const struct table table_operations = {"operations", 14, "operation", sizeof(struct operation_row),
        COLUMNS(operation_columns), 2, .chained = true, .count_states = -1};
const struct table table_settings = {"settings", 15, "setting", sizeof(struct setting_row), COLUMNS(setting_columns), 1,
        .chained = true, .count_states = -1};
const struct table table_jobs = {"jobs", 16, "job", sizeof(struct job_row), COLUMNS(job_columns), 1,
        COUNTED_BY_STATE(jobs, job_row, JOB_BOUNCED)};
const struct table table_smime = {"smime", 17, "userSMIMECertificate", sizeof(struct smime_row), COLUMNS(smime_columns), 1,
        .chained = true, .count_states = -1};
/* clang-format on */

const struct table *const tables[] = {
    &table_chain,
    &table_bootstrap,
    &table_entries,
    &table_users,
    &table_tokens,
    &table_replies,
    &table_certificates,
    &table_revocations,
    &table_archives,
    &table_pool,
    &table_requests,
    &table_approvals,
    &table_operators,
    &table_operations,
    &table_settings,
    &table_jobs,
    &table_smime,
    NULL,
};

const struct table *table_of(unsigned number)
{
        return number >= 1 && number < ARRAY_LEN(tables) ? tables[number - 1] : NULL;
}
