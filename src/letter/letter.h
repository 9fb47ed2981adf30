/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Letters that bring a token: a template for the kind and the language, filled in, as an RFC 5322 message with text and HTML.
 *
 * Templates are files KIND.LANGUAGE.txt, whose first line is "Subject: …" before an empty one, and KIND.LANGUAGE.html, which need
 * not be there; built in for English and German, and looked for first in a folder, anew for each letter. Of a language like
 * de-CH its own are taken, else those of de, then of the fallback, then of en.
 *
 * Kinds: enroll (a whole token), enroll-part and recover-part (the part by mail of one in two parts).
 * Placeholders: TOKEN, NAME, GIVEN-NAME, SURNAME, ADDRESS, EXPIRES, SERVER, ORGANISATION, BEGINS (the first symbols of the part by
 * hand).
 */
#include "base/secret.h"

struct letter {
        const char *kind;
        const char *language, *fallback; /* "" : none */
        const char *folder;              /* of templates, or "" */
        /* what is filled in; NULL is "" */
        const char *name, *given_name, *surname, *address, *server, *organisation, *begins;
        struct bytes token;
        int64_t expires;
        /* the message */
        const char *from_name, *from_address, *reply_to_name, *reply_to_address; /* reply to "": none */
        const char *message_id;                                                  /* without angle brackets */
        int64_t date;
};

struct letter_text {
        char *language;  /* of the template that was found */
        char *template;  /* where that is */
        char *subject;
        struct secret text, html; /* html empty: there is none */
};
void letter_text_done(struct letter_text *text);

/* What the user reads. PROBLEM_CONFIGURATION: the template is not right, and how; PROBLEM_NOT_FOUND: there is no such kind. */
int letter_render(const struct letter *letter, struct letter_text *ret_text) must_check;
/* The message with its header, lines ending in CRLF. */
int letter_compose(const struct letter *letter, struct secret *ret_message) must_check;
/* "10 December 2026, 14:00 UTC", as the language has it; what is not known gets 2026-12-10 14:00 UTC. */
void letter_date_add(struct buf *out, int64_t time, const char *language);
/* A language tag in lower case into an empty buffer; nothing for what is no tag. */
void language_add(struct buf *out, const char *tag);
