/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolls many users at once over HTTPS, as their clients would: for each token of a file a signature pair, a request, the answer
 * checked. Used by the benchmark of enrollment, and by the fault tests, which kill servers meanwhile.
 *
 *   load --server URL --tokens FILE [--connections N] [--fresh] [--retry] [--again] [--acks FILE]
 *
 *   --fresh   a new connection for each request
 *   --retry   on no answer or a 5xx, send the same request again, until it is answered
 *   --again   when all are answered, ask all once more: the answers must be the same, byte for byte
 *   --acks    write a line for each acknowledged enrollment as it comes: selector, SHA-256 of the answer
 *
 * Prints one JSON object: {"enrolled": n, "seconds": s, "requests": n, "failures": n, "differing": n}. Keys and requests are made before the clock starts:
 * on the users' machines they are made by as many processors as there are users.
 */
#include <getopt.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/csr.h"
#include "crypto/statement.h"
#include "crypto/token.h"
#include "protocol/json.h"
#include "protocol/routes.h"

struct enrollment {
        char selector[TOKEN_SELECTOR_SIZE + 1];
        struct secret auth;
        struct buf request; /* token_request, encoded */
        struct buf body;    /* JSON */
        struct digest answer;
        bool answered;
};

struct connection {
        CURL *curl;
        struct enrollment *current;
        struct buf reply;
        uint64_t not_before_ms; /* of the next try */
        char error[CURL_ERROR_SIZE];
};

static struct {
        const char *server, *tokens, *acks;
        unsigned connections;
        bool fresh, retry, again;
        struct enrollment *enrollments;
        size_t count, next, done;
        size_t requests, failures, differing;
        bool second_round;
        struct buf target;
        FILE *ack_file;
} load = {.connections = 16};

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
        buf_clear(&load.target);
        return PASS(route_encode(route_of_kind(MSG_token_use), &use, &load.target, &enrollment->body));
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

static size_t reply_add(char *data, size_t size, size_t count, void *context)
{
        buf_add(context, data, size * count);
        return size * count;
}

static void connection_init(struct connection *connection, struct curl_slist *headers)
{
        CLEANUP(mem_freep) char *url = text_format("%s%s", load.server, buf_text(&load.target));

        connection->curl = curl_easy_init();
        curl_easy_setopt(connection->curl, CURLOPT_URL, url);
        curl_easy_setopt(connection->curl, CURLOPT_HTTPHEADER, headers);
        /* Trust does not come from TLS here: request and answer are authenticated by the token. */
        curl_easy_setopt(connection->curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(connection->curl, CURLOPT_SSL_VERIFYHOST, 0L);
        /* Else every new connection reads all the CAs of the system, for nothing. */
        curl_easy_setopt(connection->curl, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(connection->curl, CURLOPT_CAPATH, NULL);
        curl_easy_setopt(connection->curl, CURLOPT_WRITEFUNCTION, reply_add);
        curl_easy_setopt(connection->curl, CURLOPT_WRITEDATA, &connection->reply);
        curl_easy_setopt(connection->curl, CURLOPT_ERRORBUFFER, connection->error);
        curl_easy_setopt(connection->curl, CURLOPT_PRIVATE, connection);
        curl_easy_setopt(connection->curl, CURLOPT_TIMEOUT, 30L);
        curl_easy_setopt(connection->curl, CURLOPT_NOSIGNAL, 1L);
        if (load.fresh) {
                curl_easy_setopt(connection->curl, CURLOPT_FRESH_CONNECT, 1L);
                curl_easy_setopt(connection->curl, CURLOPT_FORBID_REUSE, 1L);
                curl_easy_setopt(connection->curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
        }
}

static void connection_start(struct connection *connection, CURLM *multi)
{
        if (!connection->current && load.next < load.count)
                connection->current = &load.enrollments[load.next++];
        if (!connection->current)
                return;
        buf_clear(&connection->reply);
        curl_easy_setopt(connection->curl, CURLOPT_POSTFIELDS, buf_text(&connection->current->body));
        curl_easy_setopt(connection->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)connection->current->body.len);
        curl_multi_add_handle(multi, connection->curl);
        load.requests++;
}

/* One request has ended; whether it is to be sent again. */
static bool connection_ended(struct connection *connection, CURLcode result)
{
        struct digest answer;
        long status = 0;

        curl_easy_getinfo(connection->curl, CURLINFO_RESPONSE_CODE, &status);
        if (result == CURLE_OK && status == 200 &&
            answer_check(connection->current, buf_view(&connection->reply), &answer) == 0) {
                acknowledged(connection->current, &answer);
                load.done++;
                return false;
        }
        if (load.retry && (result != CURLE_OK || status >= 500))
                return true;
        load.failures++;
        load.done++;
        if (load.failures <= 3)
                fprintf(stderr, "load: %s: status %ld %s %.300s %s\n", connection->current->selector, status,
                        result ? connection->error : "", buf_text(&connection->reply), report_text());
        return false;
}

static void round_run(struct connection *connections, CURLM *multi)
{
        load.next = load.done = 0;
        for (unsigned i = 0; i < load.connections; i++)
                connection_start(&connections[i], multi);
        while (load.done < load.count) {
                int running, left;
                CURLMsg *message;

                curl_multi_perform(multi, &running);
                while ((message = curl_multi_info_read(multi, &left))) {
                        struct connection *connection;
                        CURLcode result = message->data.result;

                        if (message->msg != CURLMSG_DONE)
                                continue;
                        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&connection);
                        curl_multi_remove_handle(multi, connection->curl);
                        if (!connection_ended(connection, result)) {
                                connection->current = NULL;
                        } else {
                                usleep(20000);
                        }
                        connection_start(connection, multi);
                }
                if (load.done < load.count)
                        curl_multi_poll(multi, NULL, 0, 1000, NULL);
        }
}

static double seconds_now(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
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
                fputs("usage: load --server URL --tokens FILE [--connections N] [--fresh] [--retry] [--again] [--acks FILE]\n", stderr);
                exit(2);
        }
}

int main(int argc, char **argv)
{
        struct connection *connections;
        struct curl_slist *headers;
        CURLM *multi;
        double start, seconds;

        arguments_parse(argc, argv);
        json_setup();
        curl_global_init(CURL_GLOBAL_DEFAULT);
        prepare_all();
        if (load.acks && !(load.ack_file = fopen(load.acks, "a")))
                die("opening the file of acknowledgements");
        headers = curl_slist_append(NULL, "Content-Type: application/json");
        headers = curl_slist_append(headers, "Expect:");
        connections = mem_array(load.connections, sizeof(*connections));
        multi = curl_multi_init();
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)load.connections);
        for (unsigned i = 0; i < load.connections; i++)
                connection_init(&connections[i], headers);
        start = seconds_now();
        round_run(connections, multi);
        seconds = seconds_now() - start;
        if (load.again) {
                load.second_round = true;
                round_run(connections, multi);
        }
        printf("{\"enrolled\": %zu, \"seconds\": %.4f, \"requests\": %zu, \"failures\": %zu, \"differing\": %zu}\n",
               load.count - load.failures, seconds, load.requests, load.failures, load.differing);
        for (unsigned i = 0; i < load.connections; i++)
                curl_easy_cleanup(connections[i].curl);
        curl_multi_cleanup(multi);
        return load.failures || load.differing ? 1 : 0;
}
