/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CMS (RFC 5652, 5083) in pieces: SignedData, EnvelopedData and AuthEnvelopedData, in BER or DER. The content octets go to a sink as they
 * come, and everything else is collected as fields, rewritten with definite lengths (so that the strict DER reader of
 * src/crypto takes them), at most CMS_FIELDS_MOST bytes together. Revocation lists that came along are dropped.
 */
#include "mail/ber.h"
#include "mail/stream.h"

enum cms_kind { CMS_UNKNOWN, CMS_SIGNED, CMS_ENVELOPED, CMS_AUTH_ENVELOPED };

enum cms_field {
        CMS_TYPE,          /* whole OBJECT IDENTIFIER of the ContentInfo */
        CMS_VERSION,       /* whole INTEGER, as all that follow are whole elements; empty if absent */
        CMS_DIGESTS,       /* SET OF AlgorithmIdentifier */
        CMS_CONTENT_TYPE,  /* OBJECT IDENTIFIER of what is inside */
        CMS_CERTIFICATES,  /* [0] */
        CMS_SIGNERS,       /* SET OF SignerInfo */
        CMS_ORIGINATOR,    /* [0] */
        CMS_RECIPIENTS,    /* SET OF RecipientInfo */
        CMS_ALGORITHM,     /* content encryption */
        CMS_AUTH_ATTRS,    /* [1] */
        CMS_MAC,           /* OCTET STRING */
        CMS_FIELD_COUNT,
        CMS_DROPPED = CMS_FIELD_COUNT,
};

enum { CMS_FIELDS_MOST = 1024 * 1024 };

struct cms_level {
        uint8_t role;
        bool flat;    /* inside a constructed OCTET STRING, which is collected as one primitive */
        size_t start; /* in the field, where its tag is; SIZE_MAX if it is not to be closed there */
};

struct cms_reader {
        struct sink sink;      /* write BER here */
        struct sink *content;  /* not finished by this; set it in head() at the latest */
        int (*head)(void *context); /* the fields before the content are there; may be NULL */
        void *context;
        enum cms_kind kind;
        bool has_content;      /* false in a detached signature */
        struct buf fields[CMS_FIELD_COUNT];
        /* the rest is private */
        struct ber ber;
        struct cms_level levels[BER_DEPTH + 2];
        unsigned depth, step, info_child, child;
        enum cms_field field;
        size_t field_bytes;
};

void cms_reader_init(struct cms_reader *reader, int (*head)(void *context), void *context);
void cms_reader_done(struct cms_reader *reader);
static inline bool cms_reader_complete(const struct cms_reader *reader)
{
        return reader->ber.done;
}
/* PROBLEM_MALFORMED when it is cut off. sink_finish() does not ask for that: padding and trailing text decide what it means. */
int cms_reader_check(const struct cms_reader *reader) must_check;
