/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who asks: the operator or the user of the client's folder, and the server that he belongs to.
 */
#include "cli/command.h"
#include "cli/home.h"
#include "cli/server.h"

#define OPERATOR_CONTEXT "vouchsafe operator 1" /* of password_seal() */

struct session {
        struct server server;
        struct msg_operator_file file;
        struct msg_operator_envelope envelope; /* of an operator: opened */
        struct secret password;                /* that opened it */
        struct msg_client_config config;       /* of a user */
        char *away;                            /* why the server could not be asked for certificates; NULL: it was */
};

void session_done(struct session *session);

/* The operator that --as and --server choose, or the only one; asks for his password. PROBLEM_NOT_FOUND,
 * PROBLEM_USAGE when several fit, PROBLEM_PASSWORD. */
int session_operator(const struct arguments *arguments, struct session *ret_session) must_check;
/* The user that --user chooses, or the only one. No password: the ticket is enough for look-ups. */
int session_user(const struct arguments *arguments, struct session *ret_session) must_check;
/* Nobody in particular: the server of --server, $VOUCHSAFE_SERVER, an operator or a user; its CA if it is known. */
int session_anyone(const struct arguments *arguments, struct session *ret_session) must_check;

/* The operators of the folder, one after another. */
struct operators {
        struct home_entries entries;
        char *folder;
        size_t at;
        struct msg_operator_file file; /* of this one; who takes it leaves {0} */
        int result;                    /* of reading it */
};
void operators_done(struct operators *operators);
int operators_open(struct operators *ret_operators) must_check;
bool operators_next(struct operators *operators);

/* Path of an operator's file. */
int operator_path(const char *url, const char *name, char **ret_path) must_check;
/* Folder of a user. */
int user_folder(const char *address, char **ret_path) must_check;
/* The address (as the folder's configuration names it) and folder of the user that --user chooses. */
int user_chosen(const struct arguments *arguments, char **ret_folder) must_check;

/* clang-format off */
#define OPTION_LDAP {"ldap", "URL", "also look in this LDAP directory, as ldaps://host/dc=example,dc=org; may be repeated", 0, true}
#define OPTION_USER {"user", "ADDRESS", "whose keys (default: the only user of the folder)", 'u', false}
/* clang-format on */
