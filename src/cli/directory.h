/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Other people's certificates and revocation lists, as mail needs them: asked of the server, kept in cache/, and good
 * from there while the server is away. What is kept is public; its age is told.
 */
#include "cli/session.h"
#include "crypto/certificate.h"

enum { CERTIFICATES_FRESH_S = 24 * 3600 };

struct found_certificates {
        struct msg_address_certificates found; /* of one address */
        int64_t fetched;                       /* when it was asked of the server */
        bool from_cache;
        unsigned capabilities;  /* that its owner signed (enum mail_capability); 0: not known */
        struct cert_list hints; /* CA certificates that came along; not trusted */
        char *why;              /* why what an LDAP directory has cannot be used; NULL */
};
void found_certificates_done(struct found_certificates *found);

/*
 * The encryption certificates of addresses (keys of address_parse()), in their order; without any for an address none
 * was known. What is in the cache and fresh is not asked again unless `refresh`. When the server cannot be reached,
 * what the cache has serves, however old.
 */
int directory_find(struct session *session, const struct msg_texts *addresses, bool refresh,
                   struct found_certificates *ret_found) must_check;

/* Put what a server says of an address into the cache. */
int directory_keep(const char *server_id, const struct msg_address_certificates *found) must_check;

/* Certificates of a file, PEM or DER. PROBLEM_NOT_FOUND; problems name the file. */
int cert_list_add_file(struct cert_list *list, const char *path) must_check;

/*
 * The revocation list at a URL, as DER, and when it was last known to be the newest. Whoever serves it is asked each
 * time whether there is a newer one (not `offline`), since a revocation shows there within seconds; when he does not
 * answer, or with a list that the issuer did not sign or that is older than the one at hand, that one serves.
 * PROBLEM_UNREACHABLE when there is none at all. The second time in a process nobody is asked any more.
 */
struct crl_query {
        struct http *http;
        const struct certificate *certificate; /* with a crl_url */
        bool offline;
        const struct certificate *issuer;
};
int directory_crl(const struct crl_query *query, struct buf *ret_der, int64_t *ret_checked) must_check;
