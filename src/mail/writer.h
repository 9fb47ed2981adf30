/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What mail_sign() and mail_encrypt() share: the message is cut into header and body; the outer header is written with fields of the
 * new content in the place of the old ones; header fields of the content and the body go to `entity`.
 */
#include "mail/header.h"
#include "mail/stream.h"

struct writer {
        struct sink sink; /* write the message here */
        struct fd_sink out;
        struct header_cutter cutter;
        struct header header;
        struct content content;
        bool begun;
        const char *eol;
        /* Called when the header is there: writes with writer_header(), and sets `entity`. */
        int (*begin)(struct writer *writer);
        struct sink *entity; /* the original bytes of the entity */
};

void writer_init(struct writer *writer, int output, int (*begin)(struct writer *writer));
void writer_done(struct writer *writer);
/* Write the outer header; `fields` (ending in line ends) stand in place of the content fields. */
int writer_header(struct writer *writer, struct bytes fields) must_check;
