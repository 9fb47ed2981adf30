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
        int64_t *fetched; /* when the cache got it; 0: just now, or from a file */
};
void addressees_done(struct addressees *addressees);

/* Of --to, --certificate and the user himself. PROBLEM_USAGE when there is nobody, PROBLEM_MAIL_NO_RECIPIENT names
 * those without a certificate. */
int addressees_collect(const struct arguments *arguments, struct session *session,
                       struct addressees *ret_addressees) must_check;
/* Do all lead to a trusted root, now? PROBLEM_MAIL_NO_RECIPIENT names the first that does not and why. Files given by
 * hand are taken as they are. */
int addressees_check(const struct addressees *addressees, const struct cert_list *roots,
                     const struct cert_list *intermediates) must_check;
