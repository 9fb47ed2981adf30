/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Enrollment by the directory's password. That password opens more than the mail, so it is sent to a server that was
 * authenticated only: by a CA file, the fingerprint of its root CA, a CA that this folder knows of it, or the
 * system's CAs; never to whoever answers.
 */
#include "cli/command.h"
#include "cli/server.h"
#include "crypto/token.h"

/* The server of --server, with what it must prove. PROBLEM_UNAUTHENTICATED: another root CA answers. */
int self_server(const struct arguments *arguments, struct server *ret_server) must_check;
/* Ask for the password and have the token made good with it. PROBLEM_PASSWORD, and what the server says. */
int self_ask(const struct arguments *arguments, struct server *server, const char *address,
             const struct token *token) must_check;

/* clang-format off */
#define OPTIONS_SELF                                                                                         \
        {"user", "ADDRESS", "enroll this address with the directory's password in place of a token", 'u', false},        \
        {"ca-file", "FILE", "with --user: the server's certificate must come from this CA (PEM; default $VOUCHSAFE_CA_FILE)", 0, false}, \
        {"ca-fingerprint", "HEX", "with --user: or from the root CA with this SHA-256 fingerprint", 0, false},           \
        {"directory-password-file", "FILE", "read the directory's password from the first line of FILE (- is stdin)", 0, false}, \
        {"directory-password-fd", "N", "read it from file descriptor N", 0, false}
/* clang-format on */
