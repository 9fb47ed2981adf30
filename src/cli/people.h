/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * People for the address book, from the files that directories and offices export; pure.
 *
 * LDIF: persons are entries with an object class of persons (or, without any class, with a mail address). The
 * directory id is entryUUID or objectGUID, or else a UUID made from the DN; units come from the DN. Groups of the file
 * are in the list too (kind "group"), and who is in one directly has its DN among his groups; a group that memberOf
 * names and that is not in the file is known by its common name. proxyAddresses is not looked at: aliases are not
 * mailboxes that somebody vouched for.
 *
 * CSV (RFC 4180; "," ";" or tab): a first line names the columns: address (or mail, email; several separated by
 * blanks), name (cn), given_name, surname, unit, groups (separated by "|"), server, guid, disabled, dn, language, kind.
 * The guid is a UUID or any other text of up to 64 bytes that stays the same (a number of personnel); without one it is a
 * UUID made from the main address. Rows of kind "group" are groups.
 *
 * What cannot be taken is left out with a note that names line and reason; only a file that is no LDIF or CSV is
 * refused as a whole.
 */
#include "wire/message.h"

struct people_note {
        unsigned line;
        char *text;
};

struct people {
        struct {
                struct msg_person *at;
                size_t count;
        } list;
        struct {
                struct people_note *at;
                size_t count;
        } notes;
        size_t left_out;         /* that many of the notes say what was left out */
        void *guids, *addresses; /* for the readers: what is there already */
};

/* PROBLEM_MALFORMED, PROBLEM_UNSUPPORTED, PROBLEM_TOO_LARGE: name the line. */
int people_from_ldif(struct bytes file, struct people *ret_people) must_check;
int people_from_csv(struct bytes file, struct people *ret_people) must_check;
void people_done(struct people *people);

/* For the two readers: something was left out; or was taken in another way than it stands there. */
void people_note(struct people *people, unsigned line, const char *format, ...) __attribute__((format(printf, 3, 4)));
void people_remark(struct people *people, unsigned line, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A copy of at most `most` bytes, cut at a character; NULL when empty. */
char *people_text(struct bytes value, size_t most);
/* Add an address in its key form; false (with a note) when it is none. */
bool people_address(struct people *people, unsigned line, struct bytes address, struct msg_person *person);
/* Take the person (leaving it empty), unless its id or main address is there already. */
void people_take(struct people *people, unsigned line, struct msg_person *person);
/* From SHA-256 of the name in the name space of X.500 (version 8, RFC 9562 appendix B.2: version 5 would be SHA-1).
 */
char *guid_of_name(struct bytes name);
/* 16 bytes as Active Directory keeps them (first three fields little endian), and the text form in one spelling; NULL
 * when it is none. */
char *guid_of_active_directory(struct bytes bytes);
char *guid_of_text(struct bytes text);
