/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Header blocks (RFC 5322, 2045, 6532) as they are: the fields are views into the original bytes, which are what gets written again.
 * Lenient about what old programs wrote: lines that are no field are kept, as fields without a name, and counted. Values are parsed by GMime.
 */
#include "base/buf.h"
#include "base/fault.h"

enum { HEADER_MOST = 1024 * 1024, HEADER_FIELDS_MOST = 10000 };

struct header_field {
        struct bytes name;  /* empty: a line that is no field */
        struct bytes lines; /* the whole field with its line ends */
        struct bytes value; /* behind the colon, with folding, without the last line end */
};

struct header {
        struct buf block; /* without the empty line */
        struct header_field *fields;
        size_t count;
        size_t strange;   /* lines that are no field */
        bool crlf;        /* the first line ends in CRLF */
};

/*
 * Cut the header block off the front of a stream. Feed pieces until `complete`; *ret_used tells how much of the piece belongs to it (the
 * empty line included). At the end of the data without an empty line, all is header.
 */
struct header_cutter {
        struct buf block;
        struct buf separator; /* the empty line */
        size_t line;          /* where the line that is open begins */
        bool complete;
};
void header_cutter_done(struct header_cutter *cutter);
/* PROBLEM_TOO_LARGE */
int header_cutter_feed(struct header_cutter *cutter, struct bytes piece, size_t *ret_used) must_check;

/* Takes the block over. PROBLEM_TOO_LARGE for more than HEADER_FIELDS_MOST fields. */
int header_parse(struct buf *block, bool crlf_if_empty, struct header *ret_header) must_check;
void header_done(struct header *header);
/* The first field of this name, or NULL; *ret_count (may be NULL) how many there are. */
const struct header_field *header_find(const struct header *header, const char *name, size_t *ret_count);
/* A CR that is no part of a line end, or a NUL. */
bool header_has_false_ends(const struct header *header);
/* A line that is no field, but for that of an mbox in front: many programs end the header there. */
bool header_ends_early(const struct header *header);
/* Content-* and MIME-Version: what belongs to the content and goes inside with it. */
bool header_field_is_content(const struct header_field *field);
/* The value on one line, trimmed. */
char *header_value(const struct header_field *field);

/* Texts are lower case where case does not matter, and never NULL but for those that may be absent. */
struct content {
        char *type;       /* "multipart/signed"; "text/plain" if absent or unreadable */
        char *encoding;   /* "7bit" if absent */
        char *boundary, *protocol, *micalg, *smime_type, *name; /* may be NULL; `name` also from Content-Disposition */
        bool declared;    /* there is a Content-Type */
        bool ambiguous;   /* Content-Type or Content-Transfer-Encoding is there more than once, or a parameter is */
};
void content_parse(const struct header *header, struct content *ret_content);
void content_done(struct content *content);
bool content_is_multipart(const struct content *content);
/* application/pkcs7-mime and what is meant to be that: x- names, octet-stream with a name in .p7m. */
bool content_is_pkcs7(const struct content *content);
bool content_is_signed(const struct content *content); /* multipart/signed of S/MIME */

/* The mailboxes of an address field; groups are opened. */
struct mailboxes {
        char **keys;  /* as address_parse() gives, or NULL where the address is none */
        char **shown; /* the address as it stands, printable */
        size_t count;
        char *deceiving; /* another address that the field shows beside those that it has, as in a name; or NULL */
};
void mailboxes_parse(const struct header_field *field, struct mailboxes *ret_mailboxes);
void mailboxes_done(struct mailboxes *mailboxes);
/* PROBLEM_MALFORMED */
int header_date(const struct header_field *field, int64_t *ret_instant) must_check;
