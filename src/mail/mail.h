/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * S/MIME 4.0 (RFC 8551, 8550, 5652, 5083) as filters over whole RFC 5322 messages, from one descriptor to another. Both may be
 * pipes; memory does not grow with the message.
 *
 * Lines may end in LF or CRLF; what is written has the line ends of what was read. Signatures are over the canonical form (CRLF,
 * RFC 8551 3.1.1). No byte of the content is changed: what mail_decrypt() gives for what mail_encrypt() wrote is the entity
 * (content header fields and body) of its input, byte for byte, and so it is with mail_sign() and mail_verify(). The other header fields
 * (From, To, Subject…) stay on the outside; they are neither encrypted nor signed.
 *
 * Nothing of what mail_decrypt() or mail_verify() reads reaches the output before all of it was checked: meanwhile it is kept in
 * an unlinked file, encrypted under a key that exists in memory only. Nothing is written at all when a finding says that the
 * message was altered or deceives.
 *
 * Results: a negative fault; 0 when the message was handled and no finding speaks against it; else the worst problem
 * found (of PROBLEM_MAIL_… the one with the greatest exit code; others stopped the reading), with its sentence as the report of fault.h. Each finding is in the report, good news too
 * (PROBLEM_NONE). Without a signature or encryption where it was asked for: PROBLEM_MAIL_UNSIGNED, PROBLEM_MAIL_UNENCRYPTED.
 *
 * Everything in the structures below is borrowed for the time of the call.
 */
#include "crypto/certificate.h"

enum mail_capability { /* what a program reads; from SMIMECapabilities (RFC 8551 2.5.2) */
        MAIL_READS_AES128_CBC = 1 << 0,
        MAIL_READS_AES256_CBC = 1 << 1,
        MAIL_READS_AES128_GCM = 1 << 2,
        MAIL_READS_AES256_GCM = 1 << 3,
        MAIL_READS_OAEP = 1 << 4,
        MAIL_READS_EVERYTHING = (1 << 5) - 1, /* what our own readers read */
};

struct mail_own_key {
        const struct certificate *certificate;
        EVP_PKEY *key;
};

struct mail_keys {
        struct mail_own_key signer;               /* mail_sign() */
        const struct cert_list *signer_chain;     /* issuers to put beside the signer's certificate; may be NULL */
        const struct certificate *encryption;     /* the one that answers should be encrypted for: goes along and is named; may be NULL */
        const struct mail_own_key *decryption;    /* mail_decrypt(): all of them, old ones too */
        size_t decryption_count;
        const struct cert_list *roots;            /* mail_verify(): trusted */
        const struct cert_list *intermediates;    /* hints; may be NULL */
        /*
         * The newest revocation list at hand of the issuer of `certificate`, as DER. Any positive result: there is none (its sentence is used).
         * May be NULL: then every signature gets PROBLEM_MAIL_STALE_CRL.
         */
        int (*crl)(void *context, const struct certificate *certificate, const struct certificate *issuer, struct buf *ret_der);
        void *crl_context;
        unsigned capabilities;                    /* that a signature tells of (enum mail_capability); 0: everything */
};

struct mail_recipient {
        const char *address; /* for findings; may be NULL */
        const struct certificate *certificate;
        bool capabilities_known; /* else: what every program reads */
        unsigned capabilities;
};

enum mail_form {
        MAIL_FORM_AUTO,   /* clear, but opaque when the content is declared 8bit or binary, which would not survive in the clear */
        MAIL_FORM_CLEAR,  /* multipart/signed */
        MAIL_FORM_OPAQUE, /* application/pkcs7-mime; smime-type=signed-data */
};

struct mail_options {
        int64_t now;              /* 0: clock_now() */
        enum mail_form form;      /* mail_sign() */
        bool verify_too;          /* mail_decrypt(): also check and take off signatures inside */
        bool decrypt_too;         /* mail_verify(): also decrypt what lies around or inside */
        bool entity_only;         /* mail_decrypt(): leave the outer header fields out */
        bool with_header;         /* mail_verify(): put the outer header fields, which no signature covers, in front */
        unsigned layers;          /* the most layers to take off; 0: as many as there are (up to 16) */
        const char *spool_folder; /* NULL: $TMPDIR or /var/tmp */
};

struct mail_finding {
        enum problem problem; /* PROBLEM_NONE: good or neutral */
        unsigned layer;       /* 0: the message as it came; 1: inside the first layer, … */
        char *sentence;
};

struct mail_signer {
        unsigned layer;
        bool good; /* nothing speaks against this signature */
        struct certificate certificate; /* empty if it did not come along */
        int64_t signing_time;           /* 0: none */
        unsigned capabilities;          /* enum mail_capability: signed, but use them only if good */
        bool capabilities_known;
};

struct mail_report {
        struct mail_finding *findings;
        size_t finding_count;
        struct mail_signer *signers;
        size_t signer_count;
        struct cert_list certificates; /* that came along: hints, to be verified before use */
        int worst;                     /* enum problem; PROBLEM_NONE */
        unsigned signed_layers, encrypted_layers;
        bool written;                  /* the content was written */
};

void mail_report_done(struct mail_report *report);

/* `report` is initialised by each of these, on every path, and released by the caller. An output of -1 only checks. */
int mail_sign(int input, int output, const struct mail_keys *keys, const struct mail_options *options,
              struct mail_report *report) must_check;
/*
 * A userSMIMECertificate (RFC 2798 2.8) of signer, encryption, chain and capabilities: DER, without content. It goes where all programs of a
 * directory read it: say there only what the mail program of this person surely reads. smime.h reads it.
 */
int mail_smime_value(const struct mail_keys *keys, int64_t now, struct buf *ret_der) must_check;
/* The capabilities in signed attributes (a whole [0], as smime.h finds them). PROBLEM_NOT_FOUND when there are none. */
int mail_smime_capabilities(struct bytes attributes, unsigned *ret_capabilities) must_check;
/* One letter for all. PROBLEM_MAIL_NO_RECIPIENT when a certificate cannot be encrypted for, and nothing is written. */
int mail_encrypt(int input, int output, const struct mail_recipient *recipients, size_t recipient_count,
                 const struct mail_options *options, struct mail_report *report) must_check;
int mail_decrypt(int input, int output, const struct mail_keys *keys, const struct mail_options *options,
                 struct mail_report *report) must_check;
int mail_verify(int input, int output, const struct mail_keys *keys, const struct mail_options *options,
                struct mail_report *report) must_check;
