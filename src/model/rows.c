/* SPDX-License-Identifier: Apache-2.0 */
#include "model/rows.h"

#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"

void entry_row_done(struct entry_row *row)
{
        free(row->name);
        free(row->cn);
        free(row->given_name);
        free(row->surname);
        texts_done(&row->addresses);
        free(row->unit);
        free(row->server);
        texts_done(&row->groups);
        buf_done(&row->origin);
        free(row->language);
        *row = (struct entry_row){0};
}

void user_row_done(struct user_row *row)
{
        free(row->address);
        free(row->cn);
        free(row->profile);
        *row = (struct user_row){0};
}

void token_row_done(struct token_row *row)
{
        secret_done(&row->auth);
        secret_done(&row->mail);
        buf_done(&row->recipient);
        free(row->issuer);
        free(row->profile);
        *row = (struct token_row){0};
}

void certificate_row_done(struct certificate_row *row)
{
        texts_done(&row->addresses);
        free(row->profile);
        buf_done(&row->der);
        *row = (struct certificate_row){0};
}

void smime_row_done(struct smime_row *row)
{
        buf_done(&row->value);
        *row = (struct smime_row){0};
}

void revocation_row_done(struct revocation_row *row)
{
        *row = (struct revocation_row){0};
}

void archive_row_done(struct archive_row *row)
{
        buf_done(&row->record);
        *row = (struct archive_row){0};
}

void request_row_done(struct request_row *row)
{
        free(row->requester);
        free(row->reason);
        buf_done(&row->recipient);
        buf_done(&row->records);
        buf_done(&row->result);
        *row = (struct request_row){0};
}

void approval_row_done(struct approval_row *row)
{
        free(row->officer);
        buf_done(&row->partials);
        buf_done(&row->signature);
        free(row->comment);
        *row = (struct approval_row){0};
}

void operator_row_done(struct operator_row *row)
{
        free(row->name);
        free(row->cn);
        free(row->address);
        buf_done(&row->public_key);
        buf_done(&row->admission);
        buf_done(&row->envelope);
        secret_done(&row->invitation_auth);
        buf_done(&row->invitation_share);
        *row = (struct operator_row){0};
}

void pool_row_done(struct pool_row *row)
{
        free(row->profile);
        buf_done(&row->public_key);
        buf_done(&row->wrapped);
        *row = (struct pool_row){0};
}

void setting_row_done(struct setting_row *row)
{
        free(row->name);
        buf_done(&row->value);
        *row = (struct setting_row){0};
}

void operation_row_done(struct operation_row *row)
{
        free(row->operator_name);
        secret_done(&row->answer);
        *row = (struct operation_row){0};
}

void reply_row_done(struct reply_row *row)
{
        secret_done(&row->answer);
        *row = (struct reply_row){0};
}

void job_row_done(struct job_row *row)
{
        free(row->subject);
        free(row->kind);
        free(row->error);
        free(row->recipient);
        secret_done(&row->payload);
        *row = (struct job_row){0};
}

const char *role_name(enum operator_role role)
{
        switch (role) {
        case ROLE_OFFICER:
                return "officer";
        case ROLE_REGISTRAR:
                return "registrar";
        case ROLE_AUDITOR:
                return "auditor";
        }
        return "?";
}

int role_parse(struct bytes name, enum operator_role *ret_role)
{
        for (unsigned bit = ROLE_OFFICER; bit <= ROLE_AUDITOR; bit <<= 1)
                if (bytes_equal(name, bytes_text(role_name(bit)))) {
                        *ret_role = bit;
                        return 0;
                }
        return refuse(PROBLEM_MALFORMED, "\"%.*s\" is no role: there are officer, registrar and auditor.",
                      (int)MIN(name.len, 40), name.data ? (const char *)name.data : "");
}

int operator_name_check(const char *name)
{
        size_t length = strlen(name);

        for (size_t i = 0; i < length; i++)
                if ((unsigned char)name[i] <= ' ' || strchr("\"/\\:,;", name[i]))
                        length = 0;
        if (length && length <= 64 && name[0] != '.' && text_is_printable(bytes_text(name)))
                return 0;
        return refuse(PROBLEM_MALFORMED,
                      "An operator's name has 1 to 64 characters, without blanks and without any of \" / \\ : , ;; "
                      "it is not \"%s\".",
                      name);
}
