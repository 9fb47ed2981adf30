/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a client sends: an LDAPMessage (RFC 4511) as a structure. Pure functions over bytes, strict: what a
 * server need not take is not taken. Everything points into the message, which must outlive it; only the
 * lists of a search are owned. PROBLEM_MALFORMED says what is wrong; then the connection is of no use any
 * more (RFC 4511 section 4.1.1).
 */
#include "base/buf.h"
#include "base/fault.h"

enum {
        MESSAGE_MOST = 128 << 10,
        FILTER_NODES_MOST = 2048, /* a mail program asks for all recipients of a message in one filter */
        FILTER_DEPTH_MOST = 24,
        ATTRIBUTES_MOST = 256,
        CONTROLS_MOST = 32,
        LDAP_NUMBER_MOST = 2147483647, /* maxInt */
};

/* The tags of requests. */
enum ldap_operation {
        LDAP_BIND = 0x60,
        LDAP_UNBIND = 0x42,
        LDAP_SEARCH = 0x63,
        LDAP_MODIFY = 0x66,
        LDAP_ADD = 0x68,
        LDAP_DELETE = 0x4a,
        LDAP_RENAME = 0x6c,
        LDAP_COMPARE = 0x6e,
        LDAP_ABANDON = 0x50,
        LDAP_EXTENDED = 0x77,
};

/* The tags of filters (RFC 4511 section 4.5.1). */
enum filter_kind {
        FILTER_AND = 0xa0,
        FILTER_OR = 0xa1,
        FILTER_NOT = 0xa2,
        FILTER_EQUAL = 0xa3,
        FILTER_SUBSTRINGS = 0xa4,
        FILTER_GREATER = 0xa5,
        FILTER_LESS = 0xa6,
        FILTER_PRESENT = 0x87,
        FILTER_APPROXIMATE = 0xa8,
        FILTER_EXTENSIBLE = 0xa9,
};

enum piece_kind { PIECE_INITIAL = 0x80, PIECE_ANY = 0x81, PIECE_FINAL = 0x82 };

/* A text as it is compared (match.c), in the keys of its filter. */
struct filter_key {
        size_t at, len;
};

struct filter_piece {
        enum piece_kind kind;
        struct bytes text;
        struct filter_key key;
};

/* Nodes lie in the order in which they are written; `end` is the index after the last one below. */
struct filter_node {
        enum filter_kind kind;
        struct bytes attribute, value;
        struct filter_key key;
        bool no_text; /* so that it matches none */
        size_t end;
        size_t piece, piece_count;
};

struct filter {
        struct filter_node *nodes;
        size_t count;
        struct filter_piece *pieces;
        size_t piece_count;
        struct buf keys; /* made once, however many entries are looked at */
};

enum search_scope { SCOPE_BASE, SCOPE_ONE, SCOPE_SUBTREE };

struct ldap_request {
        int32_t id;
        unsigned operation;
        struct bytes body; /* of the operation: equal for the pages of one search */
        bool critical_unknown;
        struct {
                bool asked;
                uint32_t size;
                struct bytes cookie;
        } paged; /* RFC 2696 */
        struct {
                uint32_t version;
                struct bytes name, password;
                bool simple;
        } bind;
        struct {
                struct bytes base;
                enum search_scope scope;
                uint32_t size_limit, time_limit; /* 0: none */
                bool types_only;
                struct filter filter;
                struct bytes *attributes;
                size_t attribute_count;
        } search;
        int32_t abandon;
        struct bytes extended; /* its name */
        bool extended_value;
};

/* How many bytes the first message of `input` has; 0: more must come to tell. PROBLEM_MALFORMED,
 * PROBLEM_TOO_LARGE. */
int ldap_frame(struct bytes input, size_t *ret_len) must_check;
/* Exactly one whole message. data[len] is readable, as that of a buf is. */
int ldap_request_parse(struct bytes message, struct ldap_request *ret_request) must_check;
void ldap_request_done(struct ldap_request *request);

/* request-filter.c: the Filter inside a search, from its first byte. */
int filter_parse(struct bytes encoded, struct filter *ret_filter) must_check;
void filter_done(struct filter *filter);
