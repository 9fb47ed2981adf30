/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "cli/terminal.h"

enum { CA_MOST = 1 << 20 };
enum { ANSWER_MOST = 64 << 20, TRIES = 4, FIRST_WAIT_US = 250000, CONNECT_SECONDS = 10, TOTAL_SECONDS = 60 };
/* What OpenSSL finds about times, X509_V_ERR_…; numbers that it keeps. */
enum { NOT_YET_VALID = 9, HAS_EXPIRED = 10 };

struct http {
        CURL *curl;
};

struct http *http_new(void)
{
        struct http *http = NEW(struct http);

        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(http->curl = curl_easy_init()))
                abort();
        return http;
}

void http_free(struct http *http)
{
        curl_easy_cleanup(http->curl);
        free(http);
}

void http_answer_done(struct http_answer *answer)
{
        /* It may have brought tokens. */
        memory_wipe(answer->body.data, answer->body.len);
        buf_done(&answer->body);
        free(answer->media_type);
        *answer = (struct http_answer){0};
}

/* ---- one exchange ----------------------------------------------------------------------------------------- */

struct receiving {
        struct buf body;
        size_t limit;
        bool too_large;
};

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
        struct receiving *receiving = context;

        if (receiving->body.len + size * count > receiving->limit) {
                receiving->too_large = true;
                return 0;
        }
        buf_add(&receiving->body, data, size * count);
        return size * count;
}

/* The pinned CA, and those that whoever uses this machine names; for a server whose certificate another CA made. */
static void collect_trust(struct bytes ca, struct buf *out)
{
        const char *path = getenv("VOUCHSAFE_CA_FILE");
        CLEANUP(buf_done) struct buf more = BUF_NONE;

        buf_add_bytes(out, ca);
        if (!ca.len || !path || !*path)
                return;
        if (file_read(path, CA_MOST, &more) != 0) {
                tell("The file %s, which VOUCHSAFE_CA_FILE names, cannot be read.", path);
                return;
        }
        buf_add_text(out, "\n");
        buf_add_bytes(out, buf_view(&more));
}

static void set_trust(CURL *curl, struct bytes pinned, bool public_trust)
{
        CLEANUP(buf_done) struct buf ca = BUF_NONE;
        struct curl_blob blob = {.flags = CURL_BLOB_COPY};

        if (public_trust && !pinned.len)
                return; /* libcurl's own way: it verifies */
        collect_trust(pinned, &ca);
        blob.data = ca.data;
        blob.len = ca.len;
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, ca.len ? 1L : 0L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, ca.len ? 2L : 0L);
        if (ca.len)
                curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
        /* The system's certificates have no say in this. */
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
}

static struct curl_slist *set_request(CURL *curl, const struct http_request *request)
{
        struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
        char *authorization CLEANUP(mem_freep) =
            request->authorization ? text_format("Authorization: %s", request->authorization) : NULL;

        if (request->body.len || strcmp(request->method, "POST") == 0) {
                headers = curl_slist_append(headers, "Content-Type: application/json");
                curl_easy_setopt(curl, CURLOPT_POST, 1L);
                curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
                curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.len ? (const char *)request->body.data : "");
        } else {
                curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
        }
        if (authorization)
                headers = curl_slist_append(headers, authorization);
        if (!headers)
                abort();
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        return headers;
}

static void set_options(CURL *curl, const struct http_request *request, struct receiving *receiving, char *error)
{
        curl_easy_reset(curl);
        curl_easy_setopt(curl, CURLOPT_URL, request->url);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_FILETIME, 1L);
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "vouchsafe/" VOUCHSAFE_VERSION);
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT,
                         (long)(request->connect_s ? request->connect_s : CONNECT_SECONDS));
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)(request->timeout_s ? request->timeout_s : TOTAL_SECONDS));
        if (request->stall_s) {
                curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
                curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)request->stall_s);
        }
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, receiving);
        if (request->unless_since) {
                curl_easy_setopt(curl, CURLOPT_TIMECONDITION, (long)CURL_TIMECOND_IFMODSINCE);
                curl_easy_setopt(curl, CURLOPT_TIMEVALUE_LARGE, (curl_off_t)request->unless_since);
        }
        set_trust(curl, request->ca, request->public_trust);
}

/* Who answers could not be verified; most often it is a clock. */
static int refuse_peer(CURL *curl, const struct http_request *request, const char *why)
{
        const char *url = request->url;

        char time[TIME_TEXT_SIZE];
        long result = 0;

        curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &result);
        time_text(clock_now(), time);
        if (result == NOT_YET_VALID || result == HAS_EXPIRED)
                return refuse(PROBLEM_CLOCK,
                              "The certificate of the server at %s is not valid now (%s). The clock of this machine "
                              "says %s: set it if it is wrong, otherwise tell the server's administrator.",
                              url, why, time);
        if (request->public_trust && !request->ca.len)
                return refuse(PROBLEM_UNAUTHENTICATED,
                              "The certificate of the server at %s is of no CA that this machine knows (%s), and nothing "
                              "was sent. Name its CA with --ca-file or --ca-fingerprint.",
                              url, why);
        return refuse(PROBLEM_UNAUTHENTICATED,
                      "The server at %s is not the one that was met before (%s). If it was set up anew, enroll again; "
                      "if it got a certificate of another CA, name that CA's PEM file in VOUCHSAFE_CA_FILE.",
                      url, why);
}

static int refuse_curl(CURL *curl, CURLcode code, const struct http_request *request, const char *error)
{
        const char *url = request->url;
        const char *why = *error ? error : curl_easy_strerror(code);

        switch (code) {
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
                return PASS(refuse_peer(curl, request, why));
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
                return refuse(PROBLEM_USAGE,
                              "\"%s\" is no URL of a server; it looks like https://keys.example.org:8443.", url);
        case CURLE_OPERATION_TIMEDOUT:
                return refuse(PROBLEM_TIMEOUT, "The server at %s did not answer in time (%s).", url, why);
        case CURLE_COULDNT_RESOLVE_HOST:
                return refuse(PROBLEM_UNREACHABLE,
                              "The name of the server in %s is not known here; check the URL and the network.", url);
        case CURLE_SSL_CONNECT_ERROR:
                return refuse(PROBLEM_UNREACHABLE,
                              "TLS with the server at %s failed (%s); is that the port that it has for HTTPS?", url,
                              why);
        case CURLE_GOT_NOTHING:
                if (strncasecmp(url, "http://", 7) == 0)
                        return refuse(PROBLEM_UNREACHABLE, "The server at %s did not answer; is it https://?", url);
                __attribute__((fallthrough));
        default:
                return refuse(PROBLEM_UNREACHABLE, "The server at %s cannot be reached (%s); is it running?", url,
                              why);
        }
}

static bool connection_failed(CURLcode code)
{
        return code == CURLE_COULDNT_CONNECT || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
               code == CURLE_GOT_NOTHING || code == CURLE_PARTIAL_FILE || code == CURLE_SSL_CONNECT_ERROR;
}

static char *media_type_of(CURL *curl)
{
        const char *text = NULL;

        curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &text);
        return text ? text_copy_n(text, strcspn(text, "; ")) : NULL;
}

static int call_once(struct http *http, const struct http_request *request, struct http_answer *ret_answer,
                     CURLcode *ret_code)
{
        struct receiving receiving = {.limit = request->limit ? request->limit : ANSWER_MOST};
        char error[CURL_ERROR_SIZE] = "";
        struct curl_slist *headers;
        curl_off_t modified = -1;

        set_options(http->curl, request, &receiving, error);
        headers = set_request(http->curl, request);
        *ret_code = curl_easy_perform(http->curl);
        curl_slist_free_all(headers);
        curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, NULL);
        if (*ret_code != CURLE_OK) {
                memory_wipe(receiving.body.data, receiving.body.len);
                buf_done(&receiving.body);
                if (receiving.too_large)
                        return refuse(PROBLEM_TOO_LARGE, "The answer of %s is larger than %zu bytes.", request->url,
                                      receiving.limit);
                return refuse_curl(http->curl, *ret_code, request, error);
        }
        *ret_answer = (struct http_answer){.body = receiving.body, .media_type = media_type_of(http->curl)};
        curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &ret_answer->status);
        curl_easy_getinfo(http->curl, CURLINFO_FILETIME_T, &modified);
        ret_answer->modified = modified > 0 ? modified : 0;
        return 0;
}

int http_call(struct http *http, const struct http_request *request, struct http_answer *ret_answer)
{
        useconds_t wait = FIRST_WAIT_US;
        CURLcode code = CURLE_OK;
        int r = 0;

        if (strncasecmp(request->url, "https://", 8) != 0 && strncasecmp(request->url, "http://", 7) != 0)
                return refuse(PROBLEM_USAGE,
                              "\"%s\" is no URL of a server; it looks like https://keys.example.org:8443.",
                              request->url);
        for (unsigned try = 0; try < TRIES; try++, wait *= 2) {
                if (try)
                        usleep(wait);
                r = call_once(http, request, ret_answer, &code);
                ret_answer->again = try > 0;
                if (r == 0 || !request->repeatable || !connection_failed(code))
                        break;
        }
        return PASS(r);
}
