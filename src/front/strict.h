/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Requests that another HTTP implementation could understand in another way than libmicrohttpd did are refused: whoever
 * sits between client and server (a proxy, a cache, a filter) must see the same requests as we do. Pure.
 *
 * What is refused, and where it shows:
 *
 *   by libmicrohttpd (an HTML answer 400, then the connection closes)
 *      lengths that are no number ("+3"), no Host in HTTP/1.1, headers beyond its memory (431); 1.0 and later also bare
 * LF, folded lines, NUL and blanks before the colon here (a problem 400, then the connection closes) any
 * Transfer-Encoding (411: bodies have a length, RFC 9112 section 6.3), so never with Content-Length; Content-Length or
 *      Host twice, or as a list; a version that is not HTTP/1.0 or HTTP/1.1; names that are no token, so also a blank
 *      before the colon; controls in values; targets with anything but visible ASCII
 *   here, by the layout
 *      bare LF, folded lines and NUL, which 0.9 takes silently. It parses where the bytes lie, so the header section as
 * received can be laid beside what was made of it: method, target and version with one blank between, then each name,
 * colon, blanks, value, blanks, CR LF right after the other, then CR LF, and together as long as libmicrohttpd says the
 * section was. Where a bare LF, a fold or a NUL was, they do not fit.
 */
#include "base/buf.h"
#include "base/fault.h"

enum { STRICT_HEADERS_MOST = 64 };

/* Pointers of libmicrohttpd into the memory that the request was received in. */
struct strict_header {
        const char *name, *value;
        size_t name_len, value_len;
};

struct strict_request {
        const char *method; /* where the header section starts */
        const char *version;
        struct bytes target; /* a copy: the place it was in has been decoded over */
        size_t section_len;  /* of the header section with its empty line */
        struct strict_header headers[STRICT_HEADERS_MOST];
        size_t header_count;
        bool too_many; /* there were more */
};

/* PROBLEM_MALFORMED, PROBLEM_LENGTH_REQUIRED, PROBLEM_TOO_LARGE. */
int strict_check(const struct strict_request *request) must_check;
/* The value of a header that may come once; *ret_value is empty with data NULL when it is not there. PROBLEM_MALFORMED
 * when it comes twice. */
int strict_header(const struct strict_request *request, const char *name, struct bytes *ret_value) must_check;
