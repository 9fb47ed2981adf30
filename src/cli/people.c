/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/people.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/kdf.h"
#include "model/id.h"

enum { GUID_BYTES = 16 };

static void keep(void *text)
{
}

void people_done(struct people *people)
{
        tdestroy(people->guids, keep);
        tdestroy(people->addresses, keep);
        for (size_t i = 0; i < people->list.count; i++)
                msg_done(person, &people->list.at[i]);
        for (size_t i = 0; i < people->notes.count; i++)
                free(people->notes.at[i].text);
        free(people->list.at);
        free(people->notes.at);
        *people = (struct people){0};
}

__attribute__((format(printf, 3, 0))) static void note_add(struct people *people, unsigned line, const char *format,
                                                           va_list arguments)
{
        struct people_note *note = MSG_LIST_ADD(people->notes);

        note->line = line;
        if (vasprintf(&note->text, format, arguments) < 0)
                abort();
}

void people_note(struct people *people, unsigned line, const char *format, ...)
{
        va_list arguments;

        people->left_out++;
        va_start(arguments, format);
        note_add(people, line, format, arguments);
        va_end(arguments);
}

void people_remark(struct people *people, unsigned line, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        note_add(people, line, format, arguments);
        va_end(arguments);
}

char *people_text(struct bytes value, size_t most)
{
        while (value.len && value.data[0] == ' ')
                value = bytes_of(value.data + 1, value.len - 1);
        while (value.len && value.data[value.len - 1] == ' ')
                value.len--;
        if (value.len > most) {
                value.len = most;
                while (value.len && (value.data[value.len] & 0xc0) == 0x80)
                        value.len--;
        }
        return value.len ? text_copy_n((const char *)value.data, value.len) : NULL;
}

bool people_address(struct people *people, unsigned line, struct bytes address, struct msg_person *person)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        if (address_parse(address, &key) != 0) {
                people_note(people, line, "\"%.*s\" is no mail address and was left out.",
                            (int)MIN(address.len, (size_t)320), (const char *)address.data);
                return false;
        }
        if (msg_texts_have(&person->addresses, buf_text(&key)))
                return true;
        if (person->addresses.count == 32) {
                people_note(people, line, "More than 32 addresses; %s was left out.", buf_text(&key));
                return false;
        }
        msg_texts_add(&person->addresses, buf_text(&key));
        return true;
}

static int compare_text(const void *a, const void *b)
{
        return strcmp(a, b);
}

/* The trees hold the texts of the people in the list. */
static bool is_known(const struct people *people, const struct msg_person *person)
{
        return tfind(person->guid, &people->guids, compare_text) ||
               (person->addresses.count && tfind(person->addresses.at[0], &people->addresses, compare_text));
}

void people_take(struct people *people, unsigned line, struct msg_person *person)
{
        if (!person->name)
                person->name = text_copy(person->addresses.at[0]);
        if (is_known(people, person)) {
                people_note(people, line, "%s is in the file a second time and was left out.",
                            person->addresses.count ? person->addresses.at[0] : person->name);
                return;
        }
        if (!tsearch(person->guid, &people->guids, compare_text) ||
            (person->addresses.count && !tsearch(person->addresses.at[0], &people->addresses, compare_text)))
                abort();
        *MSG_LIST_ADD(people->list) = *person;
        *person = (struct msg_person){0};
}

/* ---- GUIDs ------------------------------------------------------------------------------------------------ */

static char *guid_text(const uint8_t g[static GUID_BYTES])
{
        return text_format("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", g[0], g[1], g[2],
                           g[3], g[4], g[5], g[6], g[7], g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15]);
}

char *guid_of_name(struct bytes name)
{
        static const uint8_t x500[GUID_BYTES] = {0x6b, 0xa7, 0xb8, 0x14, 0x9d, 0xad, 0x11, 0xd1,
                                                 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};
        CLEANUP(buf_done) struct buf input = BUF_NONE;
        struct digest digest;
        uint8_t *hash = digest.data;

        buf_add(&input, x500, sizeof(x500));
        buf_add_bytes(&input, name);
        digest = sha256(buf_view(&input));
        hash[6] = (uint8_t)((hash[6] & 0x0f) | 0x80);
        hash[8] = (uint8_t)((hash[8] & 0x3f) | 0x80);
        return guid_text(hash);
}

char *guid_of_active_directory(struct bytes bytes)
{
        struct id id;

        return id_from_active_directory(bytes, &id) ? NULL : guid_text(id.data);
}

char *guid_of_text(struct bytes text)
{
        CLEANUP(buf_done) struct buf digits = BUF_NONE, guid = BUF_NONE;

        for (size_t i = 0; i < text.len; i++) {
                uint8_t c = text.data[i];
                if (c == '-' || c == '{' || c == '}' || c == ' ')
                        continue;
                buf_add_byte(&digits, (uint8_t)(c >= 'A' && c <= 'F' ? c | 0x20 : c));
        }
        if (digits.len != 2 * GUID_BYTES || hex_parse(buf_view(&digits), &guid) != 0)
                return NULL;
        return guid_text(guid.data);
}
