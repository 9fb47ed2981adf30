/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Public documents that the engine publishes (MSG_publish), in memory: revocation lists, CA certificates. A document
 * that is replaced or withdrawn (published empty) stays alive for those who are sending it.
 */
#include "base/buf.h"
#include "base/list.h"
#include "wire/message.h"

struct document {
        struct list link;
        unsigned references;
        char *path, *media_type;
        char etag[20];             /* with its quotes */
        int64_t modified, expires; /* 0: none */
        struct buf content;
};

struct documents {
        struct list all;
};

void documents_init(struct documents *documents);
void documents_done(struct documents *documents);
/* Takes the content. PROBLEM_MALFORMED for a path that is none. */
int documents_put(struct documents *documents, struct msg_publish *publish) must_check;
/* The document at a target's path (a query is ignored), or NULL; owned by `documents` until referenced. */
struct document *documents_find(struct documents *documents, struct bytes target);
struct document *document_ref(struct document *document);
void document_unref(struct document *document);

/* Seconds for which a cache may use it without asking: short, since a revocation replaces a list before its time. */
int64_t document_max_age(const struct document *document, int64_t now);
/* RFC 9110 section 13.1: whether what the client has is still current. Either may be empty. */
bool document_is_current(const struct document *document, struct bytes if_none_match, struct bytes if_modified_since);

/* "Mon, 23 Nov 2026 02:51:30 GMT" (RFC 9110 section 5.6.7), and back: only this form, *ret_instant is -1 for others. */
enum { HTTP_DATE_SIZE = 32 };
const char *http_date(int64_t instant, char text[static HTTP_DATE_SIZE]);
int64_t http_date_parse(struct bytes text);
