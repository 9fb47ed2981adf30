/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ldap-find.h"

#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/home.h"
#include "cli/ldap-entry.h"
#include "cli/ldap-url.h"

enum {
        NOTHING_FRESH_S = 300, /* somebody may be getting his certificate just now */
};

static const char *const attributes[] = {"userSMIMECertificate", "userSMIMECertificate;binary",
                                         "userCertificate", "userCertificate;binary", NULL};

/* ---- the cache */

static int kept_path(const char *url, const char *address, char **ret_path)
{
        CLEANUP(buf_done) struct buf name = BUF_NONE, directory = BUF_NONE;

        home_name_add(&name, address);
        home_name_add(&directory, url);
        return PASS(home_path(ret_path, "cache/ldap/%s/%s", buf_text(&directory), buf_text(&name)));
}

static bool is_fresh(const struct msg_kept_certificates *kept, int64_t fetched)
{
        int64_t age = clock_now() - fetched;

        return age >= 0 && age < (kept->certificates.count ? CERTIFICATES_FRESH_S : NOTHING_FRESH_S);
}

/* PROBLEM_NOT_FOUND: nothing is kept, or it is broken, which is the same. */
static int kept_load(const char *path, struct msg_kept_certificates *ret_kept, int64_t *ret_fetched)
{
        struct stat st;

        if (stat(path, &st) < 0 || home_record_read(path, msg_record_kept_certificates(), ret_kept) != 0)
                return refuse(PROBLEM_NOT_FOUND, "Nothing is kept.");
        *ret_fetched = st.st_mtime;
        return 0;
}

/* ---- one directory */

struct directory {
        const char *url;
        struct ldap_place place;
        struct ldap_connection *connection; /* NULL: not asked yet */
        char *away;                         /* why it does not answer */
};

static void directory_done(struct directory *directory)
{
        ldap_connection_close(directory->connection);
        ldap_place_done(&directory->place);
        free(directory->away);
}

static int directory_open(struct directory *directory)
{
        if (directory->away)
                return refuse(PROBLEM_UNREACHABLE, "%s", directory->away);
        if (!directory->connection)
                TRY(ldap_connection_open(&directory->place.options, &directory->connection));
        return PASS(ldap_place_complete(&directory->place, directory->connection));
}

static int entry_found(void *context, struct ldap_entry *entry)
{
        return PASS(ldap_entry_collect(entry, context));
}

static int directory_ask(struct directory *directory, const char *address,
                         struct msg_kept_certificates *ret_kept)
{
        CLEANUP(buf_done) struct buf filter = BUF_NONE, proxy = BUF_NONE;
        struct ldap_search search = {.scope = LDAP_SCOPE_SUBTREE, .attributes = attributes};
        MSG_OWN(kept_certificates) kept = {.address = text_copy(address)};

        TRY(directory_open(directory));
        /* Active Directory has further addresses of a person there. */
        buf_add_format(&proxy, "smtp:%s", address);
        buf_add_text(&filter, "(|");
        filter_equal_add(&filter, "mail", bytes_text(address));
        filter_equal_add(&filter, "proxyAddresses", buf_view(&proxy));
        buf_add_text(&filter, ")");
        search.base = directory->place.base;
        search.filter = buf_text(&filter);
        TRY(ldap_connection_search(directory->connection, &search, entry_found, &kept));
        *ret_kept = kept;
        kept = (struct msg_kept_certificates){0};
        return 0;
}

static void kept_move(struct msg_kept_certificates *from, struct msg_kept_certificates *to)
{
        *to = *from;
        *from = (struct msg_kept_certificates){0};
}

/* From the cache, or from the directory; when that does not answer, from the cache however old. */
static int directory_know(const struct ldap_query *query, struct directory *directory, const char *address,
                          struct msg_kept_certificates *ret_kept, int64_t *ret_fetched)
{
        char *path CLEANUP(mem_freep) = NULL;
        MSG_OWN(kept_certificates) kept = {0}, fresh = {0};
        int known, r;

        TRY(kept_path(directory->url, address, &path));
        known = kept_load(path, &kept, ret_fetched);
        if (!known && (query->offline || (!query->refresh && is_fresh(&kept, *ret_fetched)))) {
                kept_move(&kept, ret_kept);
                return 0;
        }
        if (query->offline)
                return PASS(known);
        r = directory_ask(directory, address, &fresh);
        if (r > 0 && !directory->away)
                directory->away = text_copy(report_text());
        if (r < 0 || (r && known))
                return PASS(r);
        if (!r) {
                *ret_fetched = clock_now();
                TRY(home_record_write(path, msg_record_kept_certificates(), &fresh));
        }
        kept_move(r ? &kept : &fresh, ret_kept);
        return 0;
}

/* ---- all of them */

static bool is_served(const struct found_certificates *found)
{
        int64_t now = clock_now();

        for (size_t i = 0; i < found->found.certificates.count; i++)
                if (found->found.certificates.at[i].not_before <= now &&
                    now <= found->found.certificates.at[i].not_after)
                        return true;
        return false;
}

static void why_set(struct found_certificates *found, const char *server, const char *sentence)
{
        free(found->why);
        found->why = text_format("%s: %s", server, sentence);
}

static int find_one(const struct ldap_query *query, struct directory *directory, const char *address,
                    struct found_certificates *found)
{
        MSG_OWN(kept_certificates) kept = {0};
        int64_t fetched = 0;
        int r = directory_know(query, directory, address, &kept, &fetched);

        if (r == 0 && !kept.certificates.count)
                return 0;
        if (r == 0)
                r = ldap_choose(query, &kept, found);
        if (r > 0)
                why_set(found, directory->place.server, report_text());
        else if (!r)
                found->fetched = fetched, found->from_cache = true;
        return r > 0 ? 0 : PASS(r);
}

int ldap_find(const struct ldap_query *query, const struct msg_texts *addresses,
              struct found_certificates *found)
{
        for (size_t i = 0; i < query->urls->count; i++) {
                CLEANUP(directory_done) struct directory directory = {.url = query->urls->at[i]};

                TRY(ldap_place_parse(directory.url, &directory.place));
                for (size_t k = 0; k < addresses->count; k++)
                        if (!is_served(&found[k]))
                                TRY(find_one(query, &directory, addresses->at[k], &found[k]));
        }
        return 0;
}

/* ---- which */

static int urls_add(struct msg_texts *urls, const char *text)
{
        CLEANUP(ldap_place_done) struct ldap_place place = {0};

        TRY(ldap_place_parse(text, &place));
        msg_texts_add(urls, text);
        return 0;
}

/* A URL a line; empty lines and those that begin with # are for people. */
static int urls_of_file(struct msg_texts *urls)
{
        char *path CLEANUP(mem_freep) = NULL;
        CLEANUP(buf_done) struct buf file = BUF_NONE;
        char *rest, *line;
        int r;

        TRY(home_path(&path, "ldap"));
        r = file_read(path, 65536, &file);
        if (r == PROBLEM_NOT_FOUND || (!r && !file.len))
                return 0;
        TRY(r);
        for (line = strtok_r((char *)file.data, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
                line += strspn(line, " \t");
                line[strcspn(line, " \t")] = 0;
                r = *line && *line != '#' ? urls_add(urls, line) : 0;
                if (r)
                        return report_prefix(r, "%s: ", path);
        }
        return 0;
}

int ldap_urls(const struct arguments *arguments, struct msg_texts *ret_urls)
{
        const char *environment = getenv("VOUCHSAFE_LDAP");

        for (size_t i = 0; argument_text_at(arguments, "ldap", i); i++)
                TRY(urls_add(ret_urls, argument_text_at(arguments, "ldap", i)));
        if (ret_urls->count)
                return 0;
        if (environment && *environment)
                return PASS(urls_add(ret_urls, environment));
        return PASS(urls_of_file(ret_urls));
}
