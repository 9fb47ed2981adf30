/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A connection to an LDAP directory: the first of several servers that answers, TLS, who we are, and
 * operations with time limits. Everything here waits; who may not wait works on ldap_connection_handle() with
 * libldap's asynchronous calls and ldap_connection_judge(). Servers are not believed: certificates are
 * verified, a password goes only to a server of the options, encrypted or on this machine itself, and
 * referrals are followed to servers of the options alone.
 *
 * Results of all operations:
 *   UNREACHABLE      it does not answer, was cut, TLS failed, or it is shutting down; another connection may
 * help TIMEOUT, BUSY    it took too long; it says that it is overloaded, or failed for reasons of its own
 *   UNAUTHENTICATED  it does not take who we are
 *   FORBIDDEN        whom it takes us for may not do this
 *   NOT_FOUND        there is no such entry
 *   EXISTS           there is such an entry, or such a value, already
 *   STALE            a value or attribute to be deleted is not there (any more)
 *   TOO_LARGE        it gives only a part of what was asked for, or more than the search takes
 *   MALFORMED        it does not understand a name, a filter or a value
 *   UNSUPPORTED      it does not do that, or its schema does not permit it
 *   CONFIGURATION    the options are wrong, or it refers to a server that is not among them
 * with a sentence that names the server and its reason.
 */
#include <ldap.h>

#include "base/fault.h"
#include "ldap/entry.h"

enum bind_method { BIND_SIMPLE, BIND_EXTERNAL, BIND_GSSAPI, BIND_ANONYMOUS };

/* Plain values, borrowed: they must outlive every connection that is opened with them. NULL is "" everywhere.
 */
struct ldap_options {
        const char *const *servers; /* URLs, in the order in which they are tried */
        size_t server_count;
        bool starttls;       /* on ldap:// */
        const char *ca_file; /* "": the system's CAs */
        enum bind_method bind;
        const char *bind_dn;
        struct bytes password;
        const char *principal;   /* with "" and no keytab: the credentials that Kerberos finds by itself */
        struct bytes keytab;     /* content of the file */
        const char *certificate; /* path, PEM */
        struct bytes key;        /* content, PEM */
        const char *base;
        unsigned page_size;
        unsigned connect_limit, time_limit; /* seconds */
        bool domain_scope; /* ask the server (Active Directory) to keep referrals to itself */
};

struct ldap_connection;

int ldap_connection_open(const struct ldap_options *options,
                         struct ldap_connection **ret_connection) must_check;
/* To this server of the options alone. */
int ldap_connection_open_at(const struct ldap_options *options, const char *server,
                            struct ldap_connection **ret_connection) must_check;
/* NULL is nothing. */
void ldap_connection_close(struct ldap_connection *connection);
DEFINE_CLEANUP(struct ldap_connection *, ldap_connection_close)
/* The URL that answered. */
const char *ldap_connection_server(const struct ldap_connection *connection);
/* Sentences about servers that come before it and did not answer; "" if none. */
const char *ldap_connection_notes(const struct ldap_connection *connection);
LDAP *ldap_connection_handle(struct ldap_connection *connection);
int ldap_connection_fd(struct ldap_connection *connection);
/* The rootDSE lists this OID as a control or an extension. */
bool ldap_connection_supports(struct ldap_connection *connection, const char *oid);

/*
 * Is this the password of the entry? On a connection of its own. PROBLEM_PASSWORD when not (an empty one
 * never is), or when the account may not be used.
 */
int ldap_password_check(const struct ldap_options *options, const char *dn, struct bytes password) must_check;

/* ---- reading ----------------------------------------------------------------------------------------------
 */

struct ldap_search {
        const char *base; /* NULL: the options' */
        int scope;        /* LDAP_SCOPE_… */
        const char *filter;
        const char *const *attributes; /* ended by NULL; NULL: all but operational ones */
        uint64_t most;                 /* entries; a server that sends more is not believed. 0: some millions */
};

/* Called for each entry, which goes after the call unless it was moved away. A result other than 0 ends the
 * reading with it. */
typedef int ldap_found(void *context, struct ldap_entry *entry);

/* All pages, one after the other. */
int ldap_connection_search(struct ldap_connection *connection, const struct ldap_search *search,
                           ldap_found *found, void *context) must_check;
/* One entry by its name. PROBLEM_NOT_FOUND. */
int ldap_connection_read(struct ldap_connection *connection, const char *dn, const char *const *attributes,
                         struct ldap_entry *ret_entry) must_check;

/*
 * The same page by page, with other work in between. Servers keep the place in one reading for each
 * connection, so there is at most one at a time, and no other search with pages. Nothing limits what a server sends
 * for a page: who keeps what he is given, and has enough for now, sets `pause`. Nothing more is taken from the
 * connection until he goes on; while that is so, no other operation may wait for its answer there.
 */
struct ldap_reading {
        struct ldap_connection *connection;
        struct ldap_search search;
        struct berval *cookie;
        bool done;
        LDAPControl **controls; /* beside that for pages; borrowed, ended by NULL, or NULL */
        LDAPControl **answered; /* that came with the end of the last page */
        bool unpaged;
        bool pause;     /* set by `found`: leave the rest of the page for the next call */
        bool under_way; /* the page was not read to its end */
        int number;     /* of its message */
        uint64_t taken; /* entries */
        unsigned empty; /* pages one after the other, without entries */
        char **referrals; /* URLs that it was referred to, followed or not */
        size_t referral_count, referral_next;
        struct buf unfollowed;             /* those that are not servers of the options, a sentence for all */
        struct ldap_connection *elsewhere; /* where a referral led */
        LDAPURLDesc *place;
};

void ldap_reading_init(struct ldap_reading *reading, struct ldap_connection *connection,
                       const struct ldap_search *search);
void ldap_reading_done(struct ldap_reading *reading);
/* Read one page, or up to a pause in it; reading->done says that it was the last. */
int ldap_reading_next(struct ldap_reading *reading, ldap_found *found, void *context) must_check;

/* ---- writing ----------------------------------------------------------------------------------------------
 */

/* Values to be added to or deleted from an attribute, each exactly. */
struct ldap_change {
        const char *attribute;
        bool add; /* else delete */
        const struct bytes *values;
        size_t count;
        bool replace; /* in place of both: these are all values that the attribute has afterwards */
};

/* All of them or none, with controls (NULL: none). A whole-operation referral is followed to a server of the
 * options. */
int ldap_connection_modify(struct ldap_connection *connection, const char *dn,
                           const struct ldap_change *changes, size_t count,
                           LDAPControl **controls) must_check;
/* The same, sent only: the answer comes as LDAP_RES_MODIFY with this number from
 * ldap_result() on the handle. */
int ldap_connection_modify_send(struct ldap_connection *connection, const char *dn,
                                const struct ldap_change *changes, size_t count, LDAPControl **controls,
                                int *ret_number) must_check;
/* What an answer says: 0 or a problem. `what` is what was tried, as "The entry cn=x cannot be changed". */
int ldap_connection_answer(struct ldap_connection *connection, LDAPMessage *answer,
                           const char *what) must_check;
/* The same for a code of libldap; 0 for LDAP_SUCCESS. */
int ldap_connection_judge(struct ldap_connection *connection, int code, const char *what) must_check;
