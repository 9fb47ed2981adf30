/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/directory.h"

#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/home.h"
#include "crypto/crl.h"

enum { BATCH = 100 };

void found_certificates_done(struct found_certificates *found)
{
        msg_done(address_certificates, &found->found);
        *found = (struct found_certificates){0};
}

/* ---- certificates ----------------------------------------------------------------------------------------- */

static int cache_path(const struct session *session, const char *address, char **ret_path)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE, server = BUF_NONE;

        home_name_add(&name, address);
        home_name_add(&server, msg_text(session->server.server_id));
        return PASS(home_path(ret_path, "cache/certificates/%s/%s", buf_text(&server), buf_text(&name)));
}

static int cache_load(const struct session *session, const char *address, struct found_certificates *found)
{
        char *path CLEANUP(mem_freep) = NULL;
        struct stat st;

        TRY(cache_path(session, address, &path));
        if (stat(path, &st) < 0)
                return refuse(PROBLEM_NOT_FOUND, "Nothing is kept for %s.", address);
        TRY(home_record_read(path, msg_record_address_certificates(), &found->found));
        found->fetched = st.st_mtime;
        found->from_cache = true;
        return 0;
}

static int cache_store(const struct session *session, const struct msg_address_certificates *found)
{
        char *path CLEANUP(mem_freep) = NULL;

        TRY(cache_path(session, msg_text(found->address), &path));
        return PASS(home_record_write(path, msg_record_address_certificates(), found));
}

static bool is_fresh(const struct found_certificates *found)
{
        int64_t age = clock_now() - found->fetched;

        return found->fetched && age >= 0 && age < CERTIFICATES_FRESH_S && found->found.certificates.count;
}

static struct found_certificates *place_of(const struct msg_texts *addresses, const char *address, struct found_certificates *found)
{
        for (size_t i = 0; i < addresses->count; i++)
                if (strcmp(addresses->at[i], address) == 0)
                        return &found[i];
        return NULL;
}

static int ask_batch(struct session *session, const struct msg_texts *addresses, const struct msg_certificate_find *request, struct found_certificates *found)
{
        MSG_OWN(certificate_found) reply = {0};

        TRY(server_call(&session->server, certificate_find, request, certificate_found, &reply));
        for (size_t i = 0; i < reply.found.count; i++) {
                struct found_certificates *place = place_of(addresses, msg_text(reply.found.at[i].address), found);
                if (!place)
                        continue;
                TRY(cache_store(session, &reply.found.at[i]));
                found_certificates_done(place);
                *place = (struct found_certificates){.found = reply.found.at[i], .fetched = clock_now()};
                reply.found.at[i] = (struct msg_address_certificates){0};
        }
        return 0;
}

/* Those that are not fresh, in batches. */
static int ask_server(struct session *session, const struct msg_texts *addresses, bool refresh, struct found_certificates *found)
{
        for (size_t at = 0; at < addresses->count;) {
                MSG_OWN(certificate_find) request = {0};
                for (; at < addresses->count && request.addresses.count < BATCH; at++)
                        if (refresh || !is_fresh(&found[at]))
                                msg_texts_add(&request.addresses, addresses->at[at]);
                if (request.addresses.count)
                        TRY(ask_batch(session, addresses, &request, found));
        }
        return 0;
}

int directory_find(struct session *session, const struct msg_texts *addresses, bool refresh, struct found_certificates *ret_found)
{
        int r;

        for (size_t i = 0; i < addresses->count; i++) {
                ret_found[i] = (struct found_certificates){0};
                if (cache_load(session, addresses->at[i], &ret_found[i]) < 0)
                        report_clear();
        }
        r = ask_server(session, addresses, refresh, ret_found);
        if (r == 0 || r == PROBLEM_UNREACHABLE || r == PROBLEM_TIMEOUT || r == PROBLEM_SEALED || r == PROBLEM_BUSY)
                return 0;
        for (size_t i = 0; i < addresses->count; i++)
                found_certificates_done(&ret_found[i]);
        return PASS(r);
}

/* ---- revocation lists -------------------------------------------------------------------------------------- */

static int crl_path(const char *url, char **ret_path)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE;
        struct digest digest = sha256(bytes_text(url));

        hex_add(&name, bytes_of(digest.data, 16));
        return PASS(home_path(ret_path, "cache/crl/%s", buf_text(&name)));
}

static int crl_fetch(struct http *http, const char *url, const char *path, struct buf *ret_der)
{
        CLEANUP(http_answer_done) struct http_answer answer = {0};
        struct crl crl;

        TRY(http_call(http, &(struct http_request){.url = url, .method = "GET", .repeatable = true, .limit = CRL_MOST}, &answer));
        if (answer.status != 200)
                return refuse(PROBLEM_UNREACHABLE, "The revocation list at %s cannot be had (HTTP status %ld).", url, answer.status);
        TRY(crl_parse(buf_view(&answer.body), &crl));
        TRY(home_make_parent(path));
        TRY(file_write(path, buf_view(&answer.body), 0600));
        *ret_der = buf_take(&answer.body);
        return 0;
}

static bool crl_fresh(const struct buf *der, int64_t fetched)
{
        struct crl crl;
        int64_t now = clock_now();

        return crl_parse(buf_view(der), &crl) == 0 && fetched <= now && now - fetched < CRL_FRESH_S && now < crl.next_update;
}

int directory_crl(struct http *http, const char *url, struct buf *ret_der, int64_t *ret_fetched)
{
        CLEANUP(buf_done) struct buf kept = BUF_NONE;
        char *path CLEANUP(mem_freep) = NULL;
        struct stat st;
        int r;

        TRY(crl_path(url, &path));
        bool have = stat(path, &st) == 0 && file_read(path, CRL_MOST, &kept) == 0;
        if (!have || !crl_fresh(&kept, st.st_mtime)) {
                r = crl_fetch(http, url, path, ret_der);
                if (r == 0)
                        *ret_fetched = clock_now();
                if (r == 0 || !have)
                        return PASS(r);
        }
        *ret_der = buf_take(&kept);
        *ret_fetched = st.st_mtime;
        return 0;
}
