/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The LDAP service: mail programs look up certificates by LDAP only. Read-only (RFC 4511); answers come from
 * the engine, in small pages, a few at a time for all clients together. Its files, from the outside in:
 *
 *   connection   a client: limits, TLS, deadlines, its requests one after another
 *   stream       its socket, plain or under TLS
 *   reader, request, request-filter   what it sends, as a structure (pure)
 *   operation    what is answered at once: bind, abandon, StartTLS, who am I, and what is refused
 *   search       a search from its base to its end
 *   match        filters: what to ask the engine, and whether an entry matches (pure)
 *   names, entry, reply               what it is answered (pure)
 *   engine       the channel to the engine
 *
 * Everything is one thread.
 */
#include <gnutls/gnutls.h>
#include <stdio.h>

#include "base/log.h"
#include "base/loop.h"
#include "config/config.h"
#include "ldapd/match.h"
#include "ldapd/reply.h"
#include "net/acceptor.h"
#include "net/peers.h"
#include "net/tls.h"
#include "wire/channel.h"
#include "wire/control.h"

struct ldapd;
struct connection;

/* ---- stream.c ---- */

struct stream {
        int fd;
        gnutls_session_t tls; /* NULL: plain */
        bool handshaking;
        bool sending; /* GnuTLS has taken a piece of `out` and must be asked again */
        struct buf in, out;
};

void stream_done(struct stream *stream);
/* From now on TLS. What came before it was asked for must be consumed. */
int stream_secure(struct stream *stream, gnutls_certificate_credentials_t credentials) must_check;
/* Read what there is, at most a piece; *ret_more: ask again. PROBLEM_UNREACHABLE: it ended, or TLS failed. */
int stream_read(struct stream *stream, bool *ret_more) must_check;
int stream_write(struct stream *stream) must_check;
/* What to wait for. */
uint32_t stream_events(const struct stream *stream, bool reading);

/* ---- search.c ---- */

enum { CURSOR_SIZE = 64 };

/* Where a search is, also between its pages. */
struct position {
        size_t ask;                  /* of the plan */
        char after[CURSOR_SIZE + 1]; /* "": at its start */
        uint64_t examined, sent;
};

struct search {
        struct list link;    /* of the connection */
        struct list waiting; /* for its turn at the engine; in no list while it is asked */
        struct connection *connection;
        struct buf message;
        struct ldap_request request;
        struct plan plan;
        struct position at;
        uint64_t page_end; /* `sent` at which the page ends; 0: no pages */
        uint64_t size_limit;
        uint64_t due_ms;
        char *base_address; /* a search at somebody's own entry; NULL: below our base */
        bool found;         /* that entry is there */
        bool stalled;       /* until the client has read some of what it was answered */
        struct channel_call call;
};

/* The place where a client's paged search goes on. */
struct paged {
        uint64_t cookie; /* 0: nowhere */
        struct buf body; /* of the request, which must stay the same */
        struct position at;
};

/* `message` and `request` are taken. */
void search_start(struct connection *connection, struct buf *message, struct ldap_request *request);
/* Ask for more, or end. */
void search_continue(struct search *search);
void search_finish(struct search *search, const struct outcome *outcome);
void search_free(struct search *search);
/* What the engine answered: 0 and the reply, or why there is none. */
void search_answered(struct search *search, int result, const struct msg_lookup_reply *reply);

/* ---- operation.c ---- */

/* Both are taken. PROBLEM_STATE: the connection ends without a word. */
int operation_do(struct connection *connection, struct buf *message, struct ldap_request *request) must_check;
/* The time for a wrong password is over: answer it. */
void operation_bind_refused(struct connection *connection);

/* ---- connection.c ---- */

enum purpose { PURPOSE_LDAP, PURPOSE_LDAPS, PURPOSE_COUNT };

struct connection {
        struct list link;
        struct ldapd *ldapd;
        struct peer *peer;
        struct loop_source source;
        struct loop_once again;
        struct stream stream;
        bool loopback, bound, closing, secure_next;
        struct list searches;
        size_t search_count;
        struct paged paged;
        unsigned wrong_passwords;
        struct {
                int32_t id; /* 0: none */
                uint64_t due_ms;
        } refused_bind; /* answered after a while, and nothing is read until then */
        uint64_t opened_ms, active_ms;
        uint64_t input_ms, output_ms; /* since when part of a request, or of answers, waits; 0: none */
};

int connections_init(struct ldapd *ldapd) must_check;
void connections_done(struct ldapd *ldapd);
void connections_stop(struct ldapd *ldapd);
/* Something was put into its buffer, or can be read again: at the end of this round. */
void connection_wake(struct connection *connection);
/* So much waits to be sent that nothing more should be made. */
bool connection_congested(const struct connection *connection);

/* ---- engine.c ---- */

void engine_init(struct ldapd *ldapd);
int engine_connect(struct ldapd *ldapd, int fd) must_check;
void engine_done(struct ldapd *ldapd);
/* Ask for the next page of a search, when it is its turn. */
void engine_ask(struct search *search);
void engine_forget(struct search *search);

struct ldapd {
        struct loop loop;
        struct control control;
        struct config config;
        char *base, *base_key; /* as configured, and to compare by */
        struct secret password;
        bool configured, stopping;
        struct tls tls;
        gnutls_certificate_credentials_t credentials;
        struct acceptors acceptors;
        struct peers peers;
        struct list connections;
        size_t descriptor_limit;
        struct loop_timer sweep;
        struct channel *engine; /* NULL: there is none now */
        struct list waiting;    /* searches, for their turn */
        size_t asked;
        struct loop_once pump;
        struct msg_lookup_state state;
        struct loop_timer tell;
        uint64_t last_cookie;
};
