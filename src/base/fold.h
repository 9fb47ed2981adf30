/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names as keys that are equal for equal names. Pure. There are two questions, and an answer to each.
 *
 * Is it the same one (a DN, the name of a group)? Then no two names may be equal that some directory holds
 * apart: whoever may choose a name would be taken for another. So nothing counts but case, and that only of
 * letters of which one is the upper and the other the lower case of each other: ü and Ü, but not ß and ss, ı
 * and i, ς and σ, nor the Kelvin sign and k. What cannot be seen counts.
 *
 * Is it what somebody looks for? Then as directories compare (RFC 4518): all of case and compatibility
 * folded, invisible characters left out, and blanks that do not count too. Beyond the RFC, the Turkish İ is
 * an i, as OpenLDAP and Active Directory have it.
 *
 * ASCII takes no more than a loop. What is no UTF-8 is compared byte by byte, but for case of ASCII letters.
 *
 * Keys are stored. Unicode promises that neither case nor compatibility of a character changes once it is assigned, so a later
 * version of the library makes the same ones, but of names with characters that the former did not know.
 */
#include "base/buf.h"

enum { FOLD_SEARCH_MOST = 1024 };

/* The same one: never longer than the text. */
void fold_case_add(struct buf *out, struct bytes text);
/* Nor does it count how accents are composed (NFC): for names that no directory holds unique. */
void fold_name_add(struct buf *out, struct bytes text);

/* What is to be told from others by eye. With accents composed (NFC); and is there something in it that is not seen, or is
 * a blank of whatever kind? */
void fold_composed_add(struct buf *out, struct bytes text);
bool fold_has_unseen(struct bytes text);

/* What is looked for. Blanks at its ends are left out where the text begins or ends with a value, and is no
 * part of one. */
void fold_search_add(struct buf *out, struct bytes text, bool at_start, bool at_end);
/*
 * Of at most FOLD_SEARCH_MOST bytes, which is what an index holds: the key of a whole name, and what the keys
 * of all begin with that begin so. The beginning of a key is its own. free() them.
 */
char *fold_search_key(struct bytes name);
char *fold_search_beginning(struct bytes beginning);
