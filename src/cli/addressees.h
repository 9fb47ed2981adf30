/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For whom a message is encrypted: addresses (certificates from the server or the cache), certificate files, and
 * oneself. Whoever has no certificate that can be used is named, all at once, and nobody is left out silently.
 */
#include "cli/directory.h"
#include "mail/mail.h"

struct addressees {
        struct msg_texts addresses;
        struct cert_list certificates; /* recipients[i].certificate points here */
        struct mail_recipient *recipients;
        size_t count;
        struct cert_list hints; /* intermediates that LDAP directories gave; not trusted */
        unsigned *capabilities; /* of each certificate that was looked up; 0: not known */
        int64_t *fetched; /* when the cache got it; 0: just now, or from a file */
};
void addressees_done(struct addressees *addressees);

/* Of --to, --certificate and the user himself; `refresh` asks the server even for what the cache has. PROBLEM_USAGE when there is nobody,
 * PROBLEM_MAIL_NO_RECIPIENT names those without a certificate. */
struct addressees_trust;
int addressees_collect(const struct arguments *arguments, struct session *session, bool refresh,
                       const struct addressees_trust *trust, struct addressees *ret_addressees) must_check;
/* Do all lead to a trusted root, now, and is none revoked as far as can be told? PROBLEM_MAIL_NO_RECIPIENT names the first that is not right and why.
 * Files given by hand are taken as they are. */
struct addressees_trust {
        const struct cert_list *roots, *intermediates;
        struct http *http;
        bool offline;
};
int addressees_check(const struct addressees *addressees, const struct addressees_trust *trust) must_check;
/* PROBLEM_MAIL_REVOKED: the newest list of the issuer's own that can be had (or is kept) names it. */
int addressees_check_revocation(const struct addressees_trust *trust, const struct certificate *certificate,
                                const struct certificate *issuer) must_check;
