/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Looks through the MIME structure of content as it goes by, for signed and encrypted parts that stand beside other parts: what
 * is around them is not covered, and mail programs show it as if it were (Poddebniak et al., "Efail", 2018; Müller et al., "Johnny, you are
 * fired!", 2019). No recursion, at most STRUCTURE_DEPTH multiparts inside each other.
 */
#include "mail/header.h"
#include "mail/stream.h"

enum { STRUCTURE_DEPTH = 32 };

struct structure {
        struct sink sink; /* write the body of the entity here */
        char *boundaries[STRUCTURE_DEPTH];
        bool in_message[STRUCTURE_DEPTH]; /* the multipart belongs to an attached message */
        unsigned depth;
        struct header_cutter cutter;
        struct buf line;    /* the beginning of a line that may be a boundary */
        bool in_header, line_start, message_next;
        bool attached;      /* inside an attached message */
        unsigned parts, cuts;
        /* what was found */
        bool wrapped_signed, wrapped_encrypted, attached_secured, too_deep, binary;
        bool ambiguous;      /* a part says more than once what it is */
        bool encoded_inner;  /* the entity is a message in base64 or the like, which was not looked into */
        struct header inner; /* the header of the message inside, if the entity is a message/rfc822 */
        bool has_inner;
};
void structure_init(struct structure *structure, const struct content *content);
void structure_done(struct structure *structure);
/* Is there anything to look through? */
static inline bool structure_is_wanted(const struct structure *structure)
{
        return structure->depth > 0 || structure->in_header;
}
