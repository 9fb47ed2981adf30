/* SPDX-License-Identifier: Apache-2.0 */
#include "front/documents.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"

enum { FRESH_LIST = 5, FRESH_OTHER = 3600, SHA256_LEN = 32 };

static const char *const day_names[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}; /* from 1970-01-01 */
static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void documents_init(struct documents *documents)
{
        list_init(&documents->all);
}

struct document *document_ref(struct document *document)
{
        document->references++;
        return document;
}

void document_unref(struct document *document)
{
        if (--document->references)
                return;
        free(document->path);
        free(document->media_type);
        buf_done(&document->content);
        free(document);
}

static void document_remove(struct document *document)
{
        list_remove(&document->link);
        document_unref(document);
}

void documents_done(struct documents *documents)
{
        LIST_EACH (document, &documents->all, struct document, link)
                document_remove(document);
}

struct document *documents_find(struct documents *documents, struct bytes target)
{
        const uint8_t *query = target.len ? memchr(target.data, '?', target.len) : NULL;
        struct bytes path = query ? bytes_of(target.data, (size_t)(query - target.data)) : target;

        LIST_EACH (document, &documents->all, struct document, link)
                if (bytes_equal(path, bytes_text(document->path)))
                        return document;
        return NULL;
}

static void etag_make(struct document *document)
{
        uint8_t digest[SHA256_LEN] = {0};
        char *at = document->etag;

        /* Cannot fail with a digest that GnuTLS always has; a constant tag would only cost caches their use. */
        (void)gnutls_hash_fast(GNUTLS_DIG_SHA256, document->content.data, document->content.len, digest);
        *at++ = '"';
        for (size_t i = 0; i < 8; i++)
                at += sprintf(at, "%02x", digest[i]);
        *at++ = '"';
        *at = 0;
}

int documents_put(struct documents *documents, struct msg_publish *publish)
{
        struct document *old = documents_find(documents, bytes_text(msg_text(publish->path)));

        if (*msg_text(publish->path) != '/' || strchr(publish->path, '?'))
                return refuse(PROBLEM_MALFORMED, "The engine published something at \"%s\", which is no path.",
                              msg_text(publish->path));
        if (old)
                document_remove(old);
        if (!publish->content.len)
                return 0;
        struct document *document = NEW(struct document);

        document->references = 1;
        document->path = text_copy(publish->path);
        document->media_type =
                text_copy(*msg_text(publish->media_type) ? publish->media_type : "application/octet-stream");
        document->modified = publish->modified;
        document->expires = publish->expires;
        document->content = buf_take(&publish->content);
        etag_make(document);
        list_append(&documents->all, &document->link);
        return 0;
}

int64_t document_max_age(const struct document *document, int64_t now)
{
        if (!document->expires)
                return FRESH_OTHER;
        return MAX(MIN(document->expires - now, (int64_t)FRESH_LIST), (int64_t)0);
}

/* A list of entity tags; weak ones match too (section 13.1.2). */
static bool tags_have(struct bytes list, const char *etag)
{
        const void *found = memmem(list.data, list.len, etag, strlen(etag));

        return found || (list.len == 1 && list.data[0] == '*');
}

bool document_is_current(const struct document *document, struct bytes if_none_match, struct bytes if_modified_since)
{
        if (if_none_match.len)
                return tags_have(if_none_match, document->etag);
        int64_t since = http_date_parse(if_modified_since);

        /* Exactly: a list may be older than one that was published while the clock was ahead. */
        return document->modified && since == document->modified;
}

const char *http_date(int64_t instant, char text[static HTTP_DATE_SIZE])
{
        struct calendar c = calendar_of(instant);

        snprintf(text, HTTP_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", day_names[instant / 86400 % 7],
                 (unsigned)c.day % 100, month_names[c.month - 1], (unsigned)c.year % 10000, (unsigned)c.hour % 100,
                 (unsigned)c.minute % 100, (unsigned)c.second % 100);
        return text;
}

int64_t http_date_parse(struct bytes text)
{
        char copy[HTTP_DATE_SIZE], month[4], again[HTTP_DATE_SIZE];
        struct calendar c = {0};
        int64_t instant;

        if (text.len != 29)
                return -1;
        memcpy(copy, text.data, text.len);
        copy[text.len] = 0;
        if (sscanf(copy, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &c.day, month, &c.year, &c.hour, &c.minute, &c.second) !=
            6)
                return -1;
        for (size_t i = 0; i < ARRAY_LEN(month_names); i++)
                if (strcmp(month, month_names[i]) == 0)
                        c.month = (int)i + 1;
        if (!c.month || c.year < 1970 || calendar_instant(&c, &instant))
                return -1;
        return strcmp(http_date(instant, again), copy) == 0 ? instant : -1;
}
