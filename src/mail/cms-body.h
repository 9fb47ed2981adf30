/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A body that is CMS: transfer decoding, the reader of CMS, and what is done with each kind of it. */
#include "mail/base64.h"
#include "mail/reading.h"

enum { SEALED_BLOCK = 64 * 1024 };

struct cms_body {
        struct body base;
        struct layer *layer;
        struct base64_decoder base64;
        bool is_base64;
        struct cms_reader cms;
        struct layer *inner;
        bool decided;         /* it is known that this layer is taken off … */
        struct buf raw;       /* … until then, what came so far */
        struct body *leaf;    /* or that it is left as it is */
        /* signed */
        struct sink hashing;
        struct digest_set digests;
        /* sealed */
        struct sink opening;
        struct cms_cipher cipher;
        struct secret key;
        EVP_CIPHER_CTX *context;
        struct spool spool;   /* ciphertext under an AEAD, until its tag was verified */
        bool spooled;
        uint8_t *block;
        size_t block_at;      /* position in the plaintext, modulo the block size of the cipher */
        uint8_t watch[16];    /* the plaintext block that is being looked at */
        bool garbled;
};

/* sealed.c */
int sealed_begin(struct cms_body *body) must_check;  /* when the fields before the content are there */
int sealed_finish(struct cms_body *body) must_check; /* when all are */
void sealed_done(struct cms_body *body);
