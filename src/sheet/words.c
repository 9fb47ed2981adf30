/* SPDX-License-Identifier: Apache-2.0 */
#include "sheet/sheet.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "letter/letter.h"

/* Formats of one language; what is %s is said at each use. */
struct language {
        const char *tag, *title, *enroll, *recover, *whole, *part, *run, *typed, *until, *secret, *other;
};

static const struct language languages[] = {
        {"en", "Encrypted mail at %s", "With this token you fetch your keys to sign and encrypt mail, once.",
         "With this token you fetch your former keys for encrypted mail, once.", "Token", "Part by hand", "On your own machine, run",
         "and type the token when you are asked for it. Capitals, blanks and dashes do not matter, and a typing error is noticed.",
         "It can be used until %s.",
         "Whoever has the token can get keys in your name: give it to nobody, and destroy this sheet once it is used.",
         "The other part comes by mail to %s; you need both, in any order."},
        {"de", "Verschlüsselte E-Mail bei %s",
         "Mit diesem Token holen Sie Ihre Schlüssel zum Signieren und Verschlüsseln von E-Mail ab, einmalig.",
         "Mit diesem Token holen Sie Ihre früheren Schlüssel für verschlüsselte E-Mail ab, einmalig.", "Token",
         "Teil von Hand", "Rufen Sie auf Ihrem eigenen Rechner",
         "auf und geben Sie das Token ein, wenn Sie danach gefragt werden. Groß- und Kleinschreibung, Leerzeichen und Bindestriche "
         "sind gleichgültig, Tippfehler werden bemerkt.",
         "Es gilt bis %s.",
         "Wer das Token hat, kann Schlüssel auf Ihren Namen bekommen: Geben Sie es niemandem, und vernichten Sie dieses Blatt, "
         "sobald es benutzt ist.",
         "Der andere Teil kommt per E-Mail an %s; Sie brauchen beide, in beliebiger Reihenfolge."},
};

static const struct language *language_of(const char *tag)
{
        CLEANUP(buf_done) struct buf clean = BUF_NONE;

        language_add(&clean, tag);
        for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
                size_t len = strlen(languages[i].tag);
                const char *text = buf_text(&clean);

                if (strncmp(text, languages[i].tag, len) == 0 && (text[len] == 0 || text[len] == '-'))
                        return &languages[i];
        }
        return &languages[0];
}

/* Put a value, cleaned, in the place of the format's only %s. */
static char *filled(const char *format, const char *value)
{
        const char *place = strstr(format, "%s");
        CLEANUP(buf_done) struct buf out = BUF_NONE;

        buf_add(&out, (const uint8_t *)format, place ? (size_t)(place - format) : strlen(format));
        if (place)
                text_add_printable(&out, bytes_text(value), 512);
        if (place)
                buf_add_text(&out, place + 2);
        return text_copy(buf_text(&out));
}

void sheet_words_fill(const struct msg_sheet *sheet, struct sheet_words *ret_words)
{
        const struct language *language = language_of(msg_text(sheet->language));
        CLEANUP(buf_done) struct buf until = BUF_NONE;
        CLEANUP(mem_freep) char *command =
                text_format("vouchsafe %s --server %%s", sheet->recovery ? "recover" : "enroll");

        letter_date_add(&until, sheet->expires, language->tag);
        *ret_words = (struct sheet_words){
                .title = filled(language->title, msg_text(sheet->organisation)),
                .intro = text_copy(sheet->recovery ? language->recover : language->enroll),
                .token_label = text_copy(sheet->part ? language->part : language->whole),
                .run = text_copy(language->run),
                .command = filled(command, msg_text(sheet->server)),
                .typed = text_copy(language->typed),
                .until = sheet->expires ? filled(language->until, buf_text(&until)) : NULL,
                .secret = text_copy(language->secret),
                .other = sheet->part ? filled(language->other, msg_text(sheet->address)) : NULL,
        };
}

void sheet_words_done(struct sheet_words *words)
{
        char *all[] = {words->title, words->intro, words->token_label, words->run, words->command,
                       words->typed, words->until, words->secret,      words->other};

        for (size_t i = 0; i < ARRAY_LEN(all); i++)
                free(all[i]);
        *words = (struct sheet_words){0};
}
