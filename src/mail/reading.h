/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How mail_decrypt() and mail_verify() take a message apart.
 *
 * An entity (header and body) is a `layer`. Its body goes to one of three: a leaf (the content that is given out), a multipart/signed, or
 * CMS. The last two open the layer inside and push its bytes there; so layers nest as they do in the message. What the leaf
 * writes waits in `output` until the whole message was judged.
 */
#include "mail/cms-open.h"
#include "mail/header.h"
#include "mail/report.h"
#include "mail/stream.h"

enum { LAYERS_MOST = 16 };

/* Who the outermost header says that wrote, and when. */
struct identity {
        struct mailboxes from, sender;
        int64_t date; /* 0: none */
        bool date_unreadable;
};
/* Also finds what is deceptive in the header. */
void identity_read(const struct header *header, struct mail_report *report, struct identity *ret_identity);
void identity_done(struct identity *identity);

/* What the message is on the outside, where no layer came off. */
enum outside { OUTSIDE_PLAIN, OUTSIDE_SIGNED, OUTSIDE_ENCRYPTED, OUTSIDE_OTHER /* certificates alone, or compressed */ };

struct reading {
        const struct mail_keys *keys;
        const struct mail_options *options;
        struct mail_report *report;
        int64_t now;
        bool decrypts, verifies; /* what is taken off */
        bool with_header;        /* the outer header fields go to the output */
        bool lf;                 /* the message came with LF alone */
        unsigned layers_left;
        bool failed;             /* a layer ended the reading, … */
        unsigned failed_layer;   /* … this one */
        unsigned signed_depth, sealed_depth; /* what the deepest such layer holds; 0: there is none */
        unsigned binary_depth;   /* the deepest layer that says that its content is binary; 0: none */
        enum outside outside;
        struct identity identity;
        const struct header *outer;
        struct spool output;
};

/*
 * RFC 8551 3.1 and RFC 9788: the header of what was protected, that of a whole message or fields beside Content-Type, may be what a program
 * shows. So its From must be that of the outer header, against which signers are judged.
 */
void inner_header_judge(struct reading *reading, unsigned layer, const struct header *inner);

enum layer_origin { LAYER_MESSAGE, LAYER_SIGNED, LAYER_SEALED, LAYER_SEALED_CBC };

/* What takes the body of a layer. */
struct body {
        struct sink sink;
        int (*begin)(struct body *body, struct bytes separator); /* the header is in the layer; may be NULL */
        void (*free)(struct body *body);
};

struct layer {
        struct sink sink; /* write the entity here */
        struct reading *reading;
        unsigned depth;
        enum layer_origin origin;
        struct header_cutter cutter;
        struct header header;
        struct content content;
        bool begun;
        struct body *body;
        /* Content that comes out of CMS has CRLF: back to LF if the message came so. */
        bool adapts;
        struct buf first_line;
        struct line_filter lines;
        struct sink entity;
};

/* `from_cms`: the line ends are not those of the message. */
struct layer *layer_new(struct reading *reading, unsigned depth, enum layer_origin origin, bool from_cms);
void layer_free(struct layer *layer);
DEFINE_CLEANUP(struct layer *, layer_free)

struct body *leaf_new(struct layer *layer);
struct body *signed_body_new(struct layer *layer);
struct body *cms_body_new(struct layer *layer);

/* ---- digests of the content, for each algorithm that a signer may use */

enum { DIGESTS_MOST = 4 };
struct digest_set {
        struct {
                const EVP_MD *md;
                EVP_MD_CTX *context;
        } items[DIGESTS_MOST];
        size_t count;
        bool begun;
        uint8_t first; /* byte of the content */
};
int digest_set_add(struct digest_set *set, const EVP_MD *md) must_check; /* once each */
int digest_set_update(struct digest_set *set, const uint8_t *data, size_t len) must_check;
void digest_set_done(struct digest_set *set);

/* ---- judging */

/* The signers of SignedData against the digests of its content; each finding goes to the report. Returns faults only. */
int signers_judge(struct reading *reading, unsigned layer, const struct cms_reader *cms, struct digest_set *digests) must_check;
/* One signer whose signature verified: certificate, revocation, address, time. */
int signer_trust(struct reading *reading, unsigned layer, const struct signer_info *info, const struct certificate *certificate,
                 const struct cert_list *along) must_check;
