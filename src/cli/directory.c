/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/home.h"
#include "cli/smime.h"
#include "cli/terminal.h"
#include "crypto/crl.h"

enum { BATCH = 100, CONNECT_SECONDS = 4, STALL_SECONDS = 8, SETTLED_SECONDS = 3 };

void found_certificates_done(struct found_certificates *found)
{
        msg_done(address_certificates, &found->found);
        cert_list_done(&found->hints);
        free(found->why);
        *found = (struct found_certificates){0};
}

/* ---- certificates ----------------------------------------------------------------------------------------- */

static int cache_path(const char *server_id, const char *address, char **ret_path)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE, server = BUF_NONE;

        home_name_add(&name, address);
        home_name_add(&server, server_id);
        return PASS(home_path(ret_path, "cache/certificates/%s/%s", buf_text(&server), buf_text(&name)));
}

static int cache_load(const struct session *session, const char *address, struct found_certificates *found)
{
        char *path CLEANUP(mem_freep) = NULL;
        struct stat st;

        TRY(cache_path(msg_text(session->server.server_id), address, &path));
        if (stat(path, &st) < 0)
                return refuse(PROBLEM_NOT_FOUND, "Nothing is kept for %s.", address);
        TRY(home_record_read(path, msg_record_address_certificates(), &found->found));
        found->fetched = st.st_mtime;
        found->from_cache = true;
        return 0;
}

int directory_keep(const char *server_id, const struct msg_address_certificates *found)
{
        char *path CLEANUP(mem_freep) = NULL;

        TRY(cache_path(server_id, msg_text(found->address), &path));
        return PASS(home_record_write(path, msg_record_address_certificates(), found));
}

/* On a full or read-only disk what is asked for serves, and is asked for again. */
static bool was_kept(int result)
{
        if (result == 0)
                return true;
        tell("What was looked up serves, but is not kept for later: %s.", report_text());
        report_clear();
        return false;
}

static bool is_fresh(const struct found_certificates *found)
{
        int64_t age = clock_now() - found->fetched;

        return found->fetched && age >= 0 && age < CERTIFICATES_FRESH_S && found->found.certificates.count;
}

static struct found_certificates *place_of(const struct msg_texts *addresses, const char *address,
                                           struct found_certificates *found)
{
        for (size_t i = 0; i < addresses->count; i++)
                if (strcmp(addresses->at[i], address) == 0)
                        return &found[i];
        return NULL;
}

static int ask_batch(struct session *session, const struct msg_texts *addresses,
                     const struct msg_certificate_find *request, struct found_certificates *found)
{
        MSG_OWN(certificate_found) reply = {0};

        TRY(server_call(&session->server, certificate_find, request, certificate_found, &reply));
        for (size_t i = 0; i < reply.found.count; i++) {
                struct found_certificates *place = place_of(addresses, msg_text(reply.found.at[i].address), found);
                if (!place)
                        continue;
                (void)was_kept(directory_keep(msg_text(session->server.server_id), &reply.found.at[i]));
                found_certificates_done(place);
                *place = (struct found_certificates){.found = reply.found.at[i], .fetched = clock_now()};
                reply.found.at[i] = (struct msg_address_certificates){0};
        }
        return 0;
}

/* Those that are not fresh, in batches. */
static int ask_server(struct session *session, const struct msg_texts *addresses, bool refresh,
                      struct found_certificates *found)
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

int directory_find(struct session *session, const struct msg_texts *addresses, bool refresh,
                   struct found_certificates *ret_found)
{
        int r;

        for (size_t i = 0; i < addresses->count; i++) {
                ret_found[i] = (struct found_certificates){0};
                if (cache_load(session, addresses->at[i], &ret_found[i]) < 0)
                        report_clear();
        }
        r = ask_server(session, addresses, refresh, ret_found);
        if (r == PROBLEM_UNREACHABLE || r == PROBLEM_TIMEOUT || r == PROBLEM_SEALED || r == PROBLEM_BUSY) {
                free(session->away);
                session->away = text_copy(report_text());
                r = 0;
        }
        else if (r == 0)
                smime_remember(session);
        if (r == 0)
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

/* A command asks for each list once: with many recipients it would wait for each of them while nobody answers. */
struct asked {
        const char *url;
        struct buf unkept; /* the list that came, where it could not be written to its file; until the command ends */
};

static struct asked *asked_find(const char *url, bool add)
{
        static struct asked *all;
        static size_t count;

        for (size_t i = 0; i < count; i++)
                if (strcmp(all[i].url, url) == 0)
                        return &all[i];
        if (!add)
                return NULL;
        all = mem_resize(all, count + 1, sizeof(*all));
        all[count] = (struct asked){.url = text_copy(url)};
        return &all[count++];
}

/* The list at hand. */
struct kept {
        struct buf der;
        struct crl crl; /* points into it */
        int64_t checked;
        bool have;
};

static void kept_done(struct kept *kept)
{
        buf_done(&kept->der);
}

/* The file's time is when it was last known to be the newest. */
static int note_checked(const char *path)
{
        if (utimensat(AT_FDCWD, path, NULL, 0) < 0)
                return fault(errno, "cannot note the age of %s", path);
        return 0;
}

/* Lists come over plain HTTP: what is not the issuer's own, is his for other certificates, or was replaced by one that is at hand, does not take its place. */
static int crl_check(const struct crl_query *query, const struct buf *der, struct crl *ret_crl)
{
        TRY(crl_parse(buf_view(der), ret_crl));
        TRY(crl_verify(ret_crl, query->issuer));
        if (!crl_is_for(ret_crl, query->certificate))
                return refuse(PROBLEM_UNAUTHENTICATED, "The revocation list at %s is for other certificates.", query->certificate->crl_url);
        return 0;
}

/* Numbers run back when a server is restored from a backup, times when its clock had been ahead; both, when somebody sends an old list. */
static bool is_older(const struct crl *crl, const struct crl *kept)
{
        return crl->this_update < kept->this_update && crl->number <= kept->number;
}

static int kept_load(const struct crl_query *query, const char *path, struct kept *kept)
{
        const struct asked *asked = asked_find(query->certificate->crl_url, false);
        struct stat st;

        if (asked && asked->unkept.len) {
                kept->der = buf_copy_of(buf_view(&asked->unkept));
                kept->checked = clock_now();
                return 0;
        }
        TRY(file_read(path, CRL_MOST, &kept->der));
        if (stat(path, &st) < 0)
                return fault(errno, "cannot tell the age of %s", path);
        kept->checked = st.st_mtime;
        return 0;
}

/* PROBLEM_NOT_FOUND, also for what is of another issuer or damaged. */
static int kept_read(const struct crl_query *query, const char *path, struct kept *kept)
{
        int r = kept_load(query, path, kept);

        if (!r)
                r = crl_check(query, &kept->der, &kept->crl);
        if (r > 0)
                return refuse(PROBLEM_NOT_FOUND, "No revocation list of %s is kept here.", query->certificate->crl_url);
        kept->have = r == 0;
        return PASS(r);
}

/* Servers count modification in seconds, so "not modified since" is asked only of a list that was seen to stand for
 * longer than that. */
static int64_t unless_since(const struct kept *kept)
{
        return kept->have && kept->checked >= kept->crl.this_update + SETTLED_SECONDS ? kept->crl.this_update : 0;
}

static int crl_keep(const char *path, const struct buf *der)
{
        TRY(home_make_parent(path));
        return PASS(file_write(path, buf_view(der), 0600));
}

/* *ret_der stays empty when what is kept is the newest. */
static int crl_fetch(const struct crl_query *query, const char *path, const struct kept *kept, struct buf *ret_der)
{
        CLEANUP(http_answer_done) struct http_answer answer = {0};
        int64_t since = unless_since(kept);
        struct crl crl;

        TRY(http_call(query->http,
                      &(struct http_request){.url = query->certificate->crl_url,
                                             .method = "GET",
                                             .repeatable = !kept->have,
                                             .limit = CRL_MOST,
                                             .connect_s = kept->have ? CONNECT_SECONDS : 0,
                                             .stall_s = kept->have ? STALL_SECONDS : 0,
                                             .unless_since = since},
                      &answer));
        if (answer.status == 304 && since)
                return PASS(note_checked(path));
        if (answer.status != 200)
                return refuse(PROBLEM_UNREACHABLE, "The revocation list at %s cannot be had (HTTP status %ld).",
                              query->certificate->crl_url, answer.status);
        TRY(crl_check(query, &answer.body, &crl));
        if (kept->have && is_older(&crl, &kept->crl))
                return refuse(PROBLEM_UNAUTHENTICATED, "The revocation list at %s is older than the one that is kept here.", query->certificate->crl_url);
        if (!was_kept(crl_keep(path, &answer.body)))
                asked_find(query->certificate->crl_url, true)->unkept = buf_copy_of(buf_view(&answer.body));
        *ret_der = buf_take(&answer.body);
        return 0;
}

int directory_crl(const struct crl_query *query, struct buf *ret_der, int64_t *ret_checked)
{
        CLEANUP(kept_done) struct kept kept = {0};
        CLEANUP(buf_done) struct buf new = BUF_NONE;
        char *path CLEANUP(mem_freep) = NULL;
        bool ask = !query->offline && !asked_find(query->certificate->crl_url, false);
        int r;

        TRY(crl_path(query->certificate->crl_url, &path));
        if (ask)
                (void)asked_find(query->certificate->crl_url, true);
        r = kept_read(query, path, &kept);
        if (r && !ask)
                return r == PROBLEM_NOT_FOUND ? refuse(PROBLEM_UNREACHABLE, "%s", report_text()) : PASS(r);
        r = ask ? crl_fetch(query, path, &kept, &new) : PROBLEM_UNREACHABLE;
        if (r && !kept.have)
                return PASS(r);
        *ret_checked = r ? kept.checked : clock_now();
        *ret_der = new.len ? buf_take(&new) : buf_take(&kept.der);
        return 0;
}
