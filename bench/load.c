/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolls many users at once over HTTPS, as their clients would: for each token of a file a signature pair, a
 * request, the answer checked. Used by the benchmark of enrollment, and by the fault tests, which kill servers
 * meanwhile.
 *
 *   load --server URL --tokens FILE [--connections N] [--fresh] [--retry] [--again] [--acks FILE]
 *
 *   --fresh   a new connection for each request
 *   --retry   on no answer or a 5xx, send the same request again, until it is answered
 *   --again   when all are answered, ask all once more: the answers must be the same, byte for byte
 *   --acks    write a line for each acknowledged enrollment as it comes: selector, SHA-256 of the answer
 *
 * Prints one JSON object: {"enrolled": n, "seconds": s, "cpu": s, "requests": n, "failures": n, "differing": n}; cpu
 * is its own. Keys and requests are made before the clocks start: on the users' machines they are made by as many
 * processors as there are users.
 *
 * Each connection has a thread of its own. TLS is that of GnuTLS, whose new connections cost the client half of what
 * they cost with OpenSSL 3.0, which looks for a decoder anew for the key of each certificate that it gets.
 */
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "bench.h"
#include "crypto/csr.h"
#include "crypto/statement.h"
#include "crypto/token.h"
#include "protocol/json.h"
#include "protocol/routes.h"

struct enrollment {
        char selector[TOKEN_SELECTOR_SIZE + 1];
        struct secret auth;
        struct buf request; /* token_request, encoded */
        struct buf message; /* the HTTP request */
        struct digest answer;
        bool answered;
};

struct connection {
        struct enrollment *current;
        gnutls_session_t tls; /* NULL: not connected */
        struct buf reply;
        size_t head; /* length of the reply's header, 0 until it is complete */
        pthread_t thread;
};

static struct {
        const char *server, *tokens, *acks;
        unsigned connections;
        bool fresh, retry, again;
        char *host;
        struct addrinfo *address;
        gnutls_certificate_credentials_t credentials;
        gnutls_priority_t priority;
        struct enrollment *enrollments;
        size_t count;
        bool second_round;
        FILE *ack_file;
        pthread_mutex_t lock; /* for what follows */
        size_t next, requests, failures, differing;
} load = {.connections = 16, .lock = PTHREAD_MUTEX_INITIALIZER};

static void die(const char *what)
{
        fprintf(stderr, "load: %s: %s\n", what, report_text());
        exit(EXIT_FAULT);
}

static int enrollment_prepare(struct enrollment *enrollment, struct bytes line)
{
        CLEANUP(token_done) struct token token = TOKEN_NONE;
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        CLEANUP(secret_done) struct secret scalar = SECRET_NONE;
        MSG_OWN(token_request) request = {.purpose = text_copy("enroll")};
        MSG_OWN(token_use) use = {0};
        CLEANUP(buf_done) struct buf target = BUF_NONE, body = BUF_NONE;
        struct point point;
        struct digest mac;

        TRY(token_parse(line, &token));
        memcpy(enrollment->selector, token.selector, sizeof(enrollment->selector));
        enrollment->auth = token_auth(&token);
        request.selector = text_copy(token.selector);
        TRY(pkey_generate(PKEY_P256, &key));
        TRY(csr_make(key, BYTES_NONE, &request.csr));
        TRY(scalar_random(&scalar));
        TRY(point_of_scalar(&scalar, &point));
        buf_add_bytes(&request.recipient, point_view(&point));
        TRY(msg_encode(token_request, &request, &enrollment->request));
        mac = token_request_mac(&enrollment->auth, buf_view(&enrollment->request));
        buf_add_bytes(&use.request, buf_view(&enrollment->request));
        buf_add_bytes(&use.mac, digest_view(&mac));
        TRY(route_encode(route_of_kind(MSG_token_use), &use, &target, &body));
        buf_add_format(&enrollment->message,
                       "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                       buf_text(&target), load.server + strlen("https://"), body.len);
        buf_add_bytes(&enrollment->message, buf_view(&body));
        return 0;
}

static void prepare_all(void)
{
        CLEANUP(buf_done) struct buf content = BUF_NONE;
        char *rest, *line;

        if (file_read(load.tokens, 256 << 20, &content))
                die("reading tokens");
        rest = (char *)content.data;
        while ((line = strsep(&rest, "\n"))) {
                if (!*line)
                        continue;
                load.enrollments = mem_resize(load.enrollments, load.count + 1, sizeof(*load.enrollments));
                memset(&load.enrollments[load.count], 0, sizeof(*load.enrollments));
                if (enrollment_prepare(&load.enrollments[load.count], bytes_text(line)))
                        die("a token");
                load.count++;
        }
}

/* The answer is good if the server that made it knows the token, and it carries two certificates' worth. */
static int answer_check(struct enrollment *enrollment, struct bytes reply, struct digest *ret_answer)
{
        MSG_OWN(token_used) used = {0};
        MSG_OWN(token_answer) answer = {0};
        struct digest mac;

        TRY(json_parse(token_used, reply, &used));
        mac = token_answer_mac(&enrollment->auth, buf_view(&enrollment->request), buf_view(&used.answer));
        if (!bytes_equal(digest_view(&mac), buf_view(&used.mac)))
                return refuse(PROBLEM_UNAUTHENTICATED, "The answer's MAC is wrong.");
        TRY(msg_decode(token_answer, buf_view(&used.answer), &answer));
        if (!answer.signature_certificate.len || answer.keys.count != 1)
                return refuse(PROBLEM_MALFORMED, "The answer does not hold two certificates.");
        *ret_answer = sha256(buf_view(&used.answer));
        return 0;
}

/* Under the lock. */
static void acknowledged(struct enrollment *enrollment, const struct digest *answer)
{
        CLEANUP(buf_done) struct buf hex = BUF_NONE;

        if (enrollment->answered && !digest_equal(&enrollment->answer, answer))
                load.differing++;
        enrollment->answered = true;
        enrollment->answer = *answer;
        if (!load.ack_file || load.second_round)
                return;
        hex_add(&hex, digest_view(answer));
        fprintf(load.ack_file, "%s %s\n", enrollment->selector, buf_text(&hex));
        fflush(load.ack_file);
}

/* ---- one connection */

static void connection_close(struct connection *connection)
{
        int fd;

        if (!connection->tls)
                return;
        fd = gnutls_transport_get_int(connection->tls);
        gnutls_bye(connection->tls, GNUTLS_SHUT_WR);
        gnutls_deinit(TAKE(connection->tls));
        close(fd);
}

/* -1: nobody listens at any address of the name. */
static int server_connect(void)
{
        struct timeval patience = {.tv_sec = 30};
        int on = 1;

        for (const struct addrinfo *at = load.address; at; at = at->ai_next) {
                int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

                if (fd < 0)
                        continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
                if (connect(fd, at->ai_addr, at->ai_addrlen) == 0)
                        return fd;
                close(fd);
        }
        return -1;
}

/* Trust does not come from TLS here, since the token authenticates request and answer: no certificate is looked at. */
static bool connection_open(struct connection *connection)
{
        int fd = server_connect();

        if (fd < 0)
                return false;
        if (gnutls_init(&connection->tls, GNUTLS_CLIENT | GNUTLS_NO_TICKETS) ||
            gnutls_priority_set(connection->tls, load.priority) ||
            gnutls_credentials_set(connection->tls, GNUTLS_CRD_CERTIFICATE, load.credentials) ||
            gnutls_server_name_set(connection->tls, GNUTLS_NAME_DNS, load.host, strlen(load.host)))
                die("TLS");
        gnutls_transport_set_int(connection->tls, fd);
        if (gnutls_handshake(connection->tls) == 0)
                return true;
        connection_close(connection);
        return false;
}

/* Whether all of it is there. The server sends a Content-Length with every answer. */
static bool reply_complete(struct connection *connection)
{
        const char *text = buf_text(&connection->reply), *length, *end;

        if (!connection->head) {
                end = strstr(text, "\r\n\r\n");
                if (!end)
                        return false;
                connection->head = (size_t)(end - text) + 4;
        }
        length = strcasestr(text, "\r\nContent-Length:");
        return length && length < text + connection->head &&
               connection->reply.len - connection->head >= strtoul(length + 17, NULL, 10);
}

static bool connection_exchange(struct connection *connection)
{
        const struct buf *message = &connection->current->message;

        buf_clear(&connection->reply);
        connection->head = 0;
        if (gnutls_record_send(connection->tls, message->data, message->len) != (ssize_t)message->len)
                return false;
        do {
                char data[16384];
                ssize_t len = gnutls_record_recv(connection->tls, data, sizeof(data));

                if (len <= 0)
                        return false;
                buf_add(&connection->reply, data, (size_t)len);
        } while (!reply_complete(connection));
        return true;
}

/* A status, or 0 without an answer. One that was kept may have been closed by the server meanwhile: then a new one. */
static long connection_ask(struct connection *connection)
{
        bool kept = connection->tls;

        if (!kept && !connection_open(connection))
                return 0;
        if (!connection_exchange(connection)) {
                bool again = kept && !connection->reply.len;

                connection_close(connection);
                if (!again || !connection_open(connection) || !connection_exchange(connection)) {
                        connection_close(connection);
                        return 0;
                }
        }
        if (load.fresh || strcasestr(buf_text(&connection->reply), "\r\nConnection: close"))
                connection_close(connection);
        return strtol(buf_text(&connection->reply) + strlen("HTTP/1.1 "), NULL, 10);
}

/* Whether it is to be sent again. */
static bool connection_try(struct connection *connection)
{
        struct enrollment *enrollment = connection->current;
        long status = connection_ask(connection);
        struct bytes body = buf_view(&connection->reply);
        struct digest answer;
        bool good, again;

        body = status ? bytes_of(body.data + connection->head, body.len - connection->head) : BYTES_NONE;
        good = status == 200 && answer_check(enrollment, body, &answer) == 0;
        again = !good && load.retry && (!status || status >= 500);

        pthread_mutex_lock(&load.lock);
        load.requests++;
        if (good)
                acknowledged(enrollment, &answer);
        else if (!again && load.failures++ < 3)
                fprintf(stderr, "load: %s: status %ld %.300s %s\n", enrollment->selector, status,
                        body.len ? (const char *)body.data : "no answer", report_text());
        pthread_mutex_unlock(&load.lock);
        return again;
}

static struct enrollment *enrollment_next(void)
{
        struct enrollment *next = NULL;

        pthread_mutex_lock(&load.lock);
        if (load.next < load.count)
                next = &load.enrollments[load.next++];
        pthread_mutex_unlock(&load.lock);
        return next;
}

static void *connection_run(void *context)
{
        struct connection *connection = context;

        while ((connection->current = enrollment_next()))
                while (connection_try(connection))
                        usleep(20000);
        connection_close(connection);
        buf_done(&connection->reply);
        return NULL;
}

static void round_run(struct connection *connections)
{
        load.next = 0;
        for (unsigned i = 0; i < load.connections; i++)
                if (pthread_create(&connections[i].thread, NULL, connection_run, &connections[i]))
                        die("a thread");
        for (unsigned i = 0; i < load.connections; i++)
                pthread_join(connections[i].thread, NULL);
}

/* ---- the whole */

static void server_find(void)
{
        /* As browsers and OpenSSL have it; GnuTLS itself would begin with P-256. */
        static const char priorities[] = "NORMAL:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1";
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        char *port;

        if (strncmp(load.server, "https://", 8) != 0)
                die("the server is not an https:// address");
        load.host = text_copy(load.server + 8);
        port = strrchr(load.host, ':');
        if (port)
                *port++ = 0;
        if (getaddrinfo(load.host, port ? port : "443", &hints, &load.address))
                die("the server has no address");
        if (gnutls_certificate_allocate_credentials(&load.credentials) ||
            gnutls_priority_init(&load.priority, priorities, NULL))
                die("TLS");
}

static void arguments_parse(int argc, char **argv)
{
        static const struct option options[] = {
                {"server", required_argument, NULL, 's'}, {"tokens", required_argument, NULL, 't'},
                {"connections", required_argument, NULL, 'c'}, {"fresh", no_argument, NULL, 'f'},
                {"retry", no_argument, NULL, 'r'}, {"again", no_argument, NULL, 'a'},
                {"acks", required_argument, NULL, 'k'}, {0}};
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
                switch (option) {
                case 's': load.server = optarg; break;
                case 't': load.tokens = optarg; break;
                case 'c': load.connections = (unsigned)atoi(optarg); break;
                case 'f': load.fresh = true; break;
                case 'r': load.retry = true; break;
                case 'a': load.again = true; break;
                case 'k': load.acks = optarg; break;
                default: exit(2);
                }
        }
        if (!load.server || !load.tokens || !load.connections) {
                fputs("usage: load --server URL --tokens FILE [--connections N] [--fresh] [--retry] [--again] "
                      "[--acks FILE]\n", stderr);
                exit(2);
        }
}

int main(int argc, char **argv)
{
        struct connection *connections;
        double start, start_cpu, seconds, cpu;

        arguments_parse(argc, argv);
        signal(SIGPIPE, SIG_IGN);
        json_setup();
        server_find();
        prepare_all();
        if (load.acks && !(load.ack_file = fopen(load.acks, "a")))
                die("opening the file of acknowledgements");
        connections = mem_array(load.connections, sizeof(*connections));
        start = seconds_now(CLOCK_MONOTONIC);
        start_cpu = cpu_now();
        round_run(connections);
        seconds = seconds_now(CLOCK_MONOTONIC) - start;
        cpu = cpu_now() - start_cpu;
        if (load.again) {
                load.second_round = true;
                round_run(connections);
        }
        printf("{\"enrolled\": %zu, \"seconds\": %.4f, \"cpu\": %.4f, \"requests\": %zu, \"failures\": %zu, "
               "\"differing\": %zu}\n",
               load.count - load.failures, seconds, cpu, load.requests, load.failures, load.differing);
        return load.failures || load.differing ? 1 : 0;
}
