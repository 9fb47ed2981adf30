/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The CA's certificates and revocation list in the directory, on entries that the configuration names and that are
 * there already. As with the folder (publications.h) only the newest counts: what cannot be written is tried again
 * until it can, or a newer one comes. Lists that follow each other quickly become one. Values of other CAs stay; a
 * revocation list is never replaced by an older one.
 */
#include "base/loop.h"
#include "config/config.h"
#include "crypto/certificate.h"
#include "ldap/settings.h"

enum { AUTHORITY_REST_MS = 5000, AUTHORITY_RETRY_MS = 10000, AUTHORITY_RETRY_MOST_MS = 300000 };

struct authority {
        const struct config *config;
        const struct ldap_secrets *secrets;
        struct buf crl, issuer, root; /* the newest; empty: not known yet */
        struct loop_timer timer;
        uint64_t written_ms;
        unsigned failures;
};

void authority_init(struct authority *authority, struct loop *loop, const struct config *config,
                    const struct ldap_secrets *secrets);
void authority_done(struct authority *authority);
/* What the engine publishes at this path. Nothing when no entry is configured, or it is none of the three. */
void authority_take(struct authority *authority, const char *path, struct bytes content);

/*
 * What the attribute is to have in place of its values: pure. *ret_add is false when nothing is to be done. `remove`
 * gets those to be removed: of a revocation list, those of the same issuer, and the byte that Active Directory's tools
 * put where there is none. PROBLEM_MALFORMED.
 */
int authority_compare(bool is_crl, const struct bytes *current, size_t count, struct bytes value,
                      const struct certificate *issuer, struct bytes *remove, size_t *ret_remove_count,
                      bool *ret_add) must_check;
