/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The front: TLS, HTTP and JSON on one side, messages for the engine on the other. Its files, from the outside in:
 *
 *   connections   accepting, limits, deadlines: what libmicrohttpd leaves open
 *   http          libmicrohttpd on our event loop: one instance with TLS, one without
 *   strict        refusing what could be understood in two ways
 *   request       one request from its first line to its answer
 *   reply         answers and their headers
 *   pages         documents, health, metrics: what is answered from memory
 *   api           what is asked of the engine
 *   engine        the channel to the engine, and what it told without being asked
 *
 * Everything is one thread. A request is never repeated: when the engine goes, whoever waited is told so and repeats it
 * himself, with the nonce that makes that safe.
 */
#include <microhttpd.h>

#include "base/loop.h"
#include "config/config.h"
#include "front/documents.h"
#include "front/metrics.h"
#include "net/acceptor.h"
#include "net/peers.h"
#include "net/tls.h"
#include "protocol/authorization.h"
#include "wire/channel.h"
#include "wire/control.h"

struct front;

/* ---- connections.c ---- */

enum purpose { PURPOSE_HTTPS, PURPOSE_HTTP, PURPOSE_METRICS };

struct connection {
        struct list link;
        struct front *front;
        enum purpose purpose;
        int fd; /* libmicrohttpd's */
        struct peer *peer;
        char address[PEER_TEXT_SIZE];
        uint64_t opened_ms;
        uint64_t due_ms; /* when it is cut */
        struct request *request;
        bool taken; /* by libmicrohttpd, which closes it */
};

struct connections {
        struct list all;
        struct acceptors acceptors;
        size_t count;
        size_t descriptor_limit; /* how many the process may have for connections */
        struct connection **by_fd;
        size_t by_fd_count;
        struct peers peers;
        struct loop_timer sweep; /* deadlines */
};

int connections_init(struct front *front) must_check;
void connections_done(struct front *front);
/* Accept from a listening socket, which is taken. */
int connections_listen(struct front *front, enum purpose purpose, int fd) must_check;
void connections_stop_listening(struct front *front);
struct connection *connection_of_fd(struct front *front, int fd);
/* libmicrohttpd is about to close it. */
void connection_ended(struct connection *connection);
void connection_deadline(struct connection *connection, uint64_t in_ms);
/* It is old, or the front stops: the current answer is its last. */
bool connection_is_last_answer(const struct connection *connection);
/* Close connections that wait for a request. */
void connections_close_idle(struct front *front);

/* ---- http.c ---- */

struct http {
        struct front *front;
        struct MHD_Daemon *daemon;
        struct loop_source source;
        struct loop_timer timer;
        struct loop_once again;
        bool moved; /* libmicrohttpd has told us of something in this round */
};

int http_start(struct http *http, struct front *front, bool tls) must_check;
void http_stop(struct http *http);
/* Hand over an accepted socket, in any case. */
void http_add(struct http *http, struct connection *connection, const struct sockaddr *address, socklen_t len);
/* libmicrohttpd has something to do that no descriptor tells: run it at the end of this round. */
void http_wake(struct http *http);
struct http *http_of(struct connection *connection);

/* ---- engine.c ---- */

struct engine {
        struct channel *channel; /* NULL: there is none now */
        char *state, *metrics;
        uint64_t heard_ms;
};

/* A new connection to the engine, in place of the one before. */
int engine_connect(struct front *front, int fd) must_check;
void engine_done(struct front *front);
/* 0, or PROBLEM_BUSY, PROBLEM_SEALED with a sentence: why the server is not ready. */
int engine_readiness(const struct front *front) must_check;

/* ---- request.c ---- */

enum stage {
        STAGE_HEAD,    /* the headers are not checked yet */
        STAGE_BODY,    /* they are good, the body is coming */
        STAGE_WAITING, /* for the engine; suspended in libmicrohttpd */
        STAGE_READY,   /* the answer is there but not queued */
        STAGE_ANSWERED,
};

struct answer {
        unsigned status;
        const char *media_type;    /* constant */
        struct buf content;        /* wiped when it is sent */
        struct document *document; /* instead of content; a reference */
        struct buf allow;          /* of a 405 */
        bool close;                /* nothing more is understood on this connection */
};

struct request {
        struct connection *connection;
        struct MHD_Connection *mhd;
        struct buf target;
        const char *method; /* libmicrohttpd's */
        enum stage stage;
        struct timespec started;
        unsigned page;             /* of metrics */
        const struct route *route; /* of the API */
        struct authorization authorization;
        struct buf body;
        uint64_t length;
        struct channel_call call;
        struct answer answer;
};

/* From libmicrohttpd: the request line, then the headers and each piece of the body, then the end. */
struct request *request_begin(struct connection *connection, struct MHD_Connection *mhd, const char *target);
enum MHD_Result request_continue(struct request *request, const char *method, const char *version, const char *data,
                                 size_t *len);
void request_end(struct request *request);
/* The deadline of a request that waits for the engine. */
void request_expired(struct request *request);
/* Set the answer: a problem of the result and its report. */
void request_refuse(struct request *request, int result);
void request_problem(struct request *request, const struct msg_problem *problem);

/* ---- reply.c ---- */

/* Queue the answer in libmicrohttpd; its content is taken. */
enum MHD_Result reply_queue(struct request *request);
void answer_done(struct answer *answer);

/* ---- pages.c ---- */

void pages_init(struct front *front);
/* Whether the target is answered from memory here; sets the page for the metrics. */
bool pages_have(struct request *request);
/* Only GET and HEAD: PROBLEM_METHOD. */
int pages_begin(struct request *request) must_check;
int pages_answer(struct request *request) must_check;

/* ---- api.c ---- */

struct strict_request;
/* Whether a target is the API's. */
bool api_has(struct bytes target);
/* With the headers: find the route, check what can be checked before the body. */
int api_begin(struct request *request, const struct strict_request *headers) must_check;
/* With the body: ask the engine; the stage becomes STAGE_WAITING. */
int api_ask(struct request *request) must_check;

struct front {
        struct loop loop;
        struct control control;
        struct config config;
        bool configured, stopping;
        struct tls tls;
        struct http https, plain;
        struct connections connections;
        struct engine engine;
        struct documents documents;
        struct metrics metrics;
};
