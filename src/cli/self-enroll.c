/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/self-enroll.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "crypto/certificate.h"
#include "crypto/kdf.h"

enum { CA_MOST = 1 << 20 };

/* ---- who answers */

static int fingerprint_parse(const char *text, struct buf *ret_digest)
{
        CLEANUP(buf_done) struct buf digits = BUF_NONE;

        for (; *text; text++)
                if (*text != ':' && *text != ' ')
                        buf_add_byte(&digits, (uint8_t)(*text >= 'A' && *text <= 'F' ? *text | 0x20 : *text));
        if (hex_parse(buf_view(&digits), ret_digest) != 0 || ret_digest->len != DIGEST_SIZE)
                return refuse(PROBLEM_USAGE,
                              "--ca-fingerprint takes the SHA-256 of the root CA: 64 hexadecimal digits, with "
                              "or without colons.");
        return 0;
}

/* What the server says of its CA is believed once it is the one that was named. */
static int trust_fingerprint(const char *text, struct server *server)
{
        CLEANUP(server_done) struct server anyone = {0};
        CLEANUP(buf_done) struct buf wanted = BUF_NONE;
        struct msg_authority ask = {0};
        MSG_OWN(authority_reply) reply = {0};
        struct digest found;

        TRY(fingerprint_parse(text, &wanted));
        server_init(&anyone, server->url, BYTES_NONE, BYTES_NONE);
        TRY(server_call(&anyone, authority, &ask, authority_reply, &reply));
        found = sha256(buf_view(&reply.root));
        if (!bytes_equal(digest_view(&found), buf_view(&wanted))) {
                CLEANUP(buf_done) struct buf shown = BUF_NONE;

                hex_add(&shown, digest_view(&found));
                return refuse(
                    PROBLEM_UNAUTHENTICATED,
                    "The root CA of the server at %s is another one, with the fingerprint %s; nothing was sent. Ask "
                    "whoever runs the server which is right.",
                    server->url, buf_text(&shown));
        }
        /* The issuing CA in the answer was named by nobody; the server's own chain brings it. */
        certificate_add_pem(&server->ca, buf_view(&reply.root));
        return 0;
}

static int trust_file(const char *path, struct server *server)
{
        int r = file_read(path, CA_MOST, &server->ca);

        if (r == PROBLEM_NOT_FOUND || (!r && !memmem(buf_text(&server->ca), server->ca.len, "-----BEGIN CERT", 15)))
                return refuse(PROBLEM_USAGE, "%s is no PEM file of CA certificates.", path);
        return PASS(r);
}

/* The CA that an enrollment or invitation brought before; none is no fault. */
static void trust_known(const struct arguments *arguments, struct server *server)
{
        CLEANUP(session_done) struct session known = {0};

        if (session_anyone(arguments, &known) == 0)
                server->ca = buf_take(&known.server.ca);
}

int self_server(const struct arguments *arguments, struct server *ret_server)
{
        CLEANUP(server_done) struct server server = {0};
        const char *url, *file = argument_text(arguments, "ca-file"),
                         *fingerprint = argument_text(arguments, "ca-fingerprint");

        TRY(argument_needed(arguments, "server", &url));
        if (file && fingerprint)
                return refuse(PROBLEM_USAGE, "--ca-file and --ca-fingerprint are both given; one is enough.");
        server_init(&server, url, BYTES_NONE, BYTES_NONE);
        server.public_trust = true;
        if (!file && !fingerprint)
                trust_known(arguments, &server);
        if (!file && !server.ca.len)
                file = getenv("VOUCHSAFE_CA_FILE");
        if (fingerprint)
                TRY(trust_fingerprint(fingerprint, &server));
        else if (!server.ca.len && file && *file)
                TRY(trust_file(file, &server));
        *ret_server = server;
        server = (struct server){0};
        return 0;
}

/* ---- the password */

int self_ask(const struct arguments *arguments, struct server *server, const char *address, const struct token *token)
{
        char *prompt CLEANUP(mem_freep) = text_format("Password of %s in the directory", address);
        struct password_source source = {"directory-password-file", "directory-password-fd", prompt, false};
        MSG_OWN(self_enroll) ask = {.address = text_copy(address), .selector = text_copy(token->selector)};
        MSG_OWN(self_enrolled) reply = {0};
        struct msg_status status = {0};
        MSG_OWN(status_reply) state = {0};

        /* Is it the right one? Before anybody is asked for a password. */
        TRY(server_call(server, status, &status, status_reply, &state));
        TRY(password_get(arguments, &source, &ask.password));
        /* To LDAP an empty password is an anonymous bind, which succeeds (RFC 4513 5.1.2). */
        if (!ask.password.len || memchr(ask.password.data, 0, ask.password.len))
                return refuse(PROBLEM_PASSWORD, "The password is empty, or has a zero byte; it was not sent.");
        ask.auth = token_auth(token);
        return PASS(server_call(server, self_enroll, &ask, self_enrolled, &reply));
}
