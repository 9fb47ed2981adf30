/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ldif.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

enum { LINE_MOST = 16 << 20, ATTRIBUTES_MOST = 100000 };

struct ldif_reader ldif_read(struct bytes file)
{
        return (struct ldif_reader){.rest = file, .line = 1};
}

void ldif_entry_done(struct ldif_entry *entry)
{
        for (size_t i = 0; i < entry->count; i++) {
                free(entry->attributes[i].type);
                buf_done(&entry->attributes[i].value);
        }
        free(entry->attributes);
        buf_done(&entry->dn);
        *entry = (struct ldif_entry){0};
}

/* ---- lines ------------------------------------------------------------------------------------------------ */

/* A physical line without its end; false at the end of the file. */
static bool physical_line(struct ldif_reader *reader, struct bytes *ret_line)
{
        const uint8_t *end;
        size_t len;

        if (!reader->rest.len)
                return false;
        end = memchr(reader->rest.data, '\n', reader->rest.len);
        len = end ? (size_t)(end - reader->rest.data) : reader->rest.len;
        *ret_line = bytes_of(reader->rest.data, len);
        if (len && reader->rest.data[len - 1] == '\r')
                ret_line->len--;
        reader->rest = bytes_of(reader->rest.data + len + (end != NULL), reader->rest.len - len - (end != NULL));
        reader->line++;
        return true;
}

/* A logical line, unfolded (RFC 2849, note 2); *ret_line is its first physical line. */
static int logical_line(struct ldif_reader *reader, struct buf *line, unsigned *ret_line, bool *ret_found)
{
        struct bytes piece;

        buf_clear(line);
        *ret_line = reader->line;
        *ret_found = physical_line(reader, &piece);
        if (!*ret_found)
                return 0;
        buf_add_bytes(line, piece);
        while (reader->rest.len && reader->rest.data[0] == ' ' && line->len) {
                (void)physical_line(reader, &piece);
                if (line->len + piece.len > LINE_MOST)
                        return refuse(PROBLEM_TOO_LARGE, "Line %u: the value is longer than %d bytes.", *ret_line,
                                      LINE_MOST);
                buf_add(line, piece.data + 1, piece.len - 1);
        }
        return 0;
}

/* ---- attributes ------------------------------------------------------------------------------------------- */

static bool type_character(uint8_t c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == ';' || c == '_';
}

static int refuse_line(unsigned line, const char *what)
{
        return refuse(PROBLEM_MALFORMED, "Line %u: %s.", line, what);
}

static char *type_of(struct bytes name)
{
        CLEANUP(buf_done) struct buf type = BUF_NONE;
        const uint8_t *options = memchr(name.data, ';', name.len);
        size_t len = options ? (size_t)(options - name.data) : name.len;

        if (options && memmem(options, name.len - len, ";binary", 7))
                return text_copy("");
        for (size_t i = 0; i < len; i++)
                buf_add_byte(&type, (uint8_t)(name.data[i] >= 'A' && name.data[i] <= 'Z' ? name.data[i] | 0x20
                                                                                         : name.data[i]));
        return text_copy(buf_text(&type));
}

static int parse_value(struct bytes rest, struct ldif_attribute *attribute)
{
        bool encoded = rest.len && rest.data[0] == ':';

        attribute->elsewhere = rest.len && rest.data[0] == '<';
        if (encoded || attribute->elsewhere)
                rest = bytes_of(rest.data + 1, rest.len - 1);
        while (rest.len && rest.data[0] == ' ')
                rest = bytes_of(rest.data + 1, rest.len - 1);
        while (encoded && rest.len && rest.data[rest.len - 1] == ' ')
                rest.len--;
        if (encoded) {
                if (base64_parse(rest, &attribute->value) != 0)
                        return refuse_line(attribute->line, "the value after \"::\" is not base64");
                return 0;
        }
        attribute->value = buf_copy_of(rest);
        return 0;
}

static int parse_attribute(const struct buf *line, unsigned number, struct ldif_attribute *ret_attribute)
{
        struct ldif_attribute attribute = {.line = number};
        size_t len = 0;
        int r;

        while (len < line->len && type_character(line->data[len]))
                len++;
        if (!len || len == line->len || line->data[len] != ':')
                return refuse_line(number, "this is not of the form \"attribute: value\"");
        r = parse_value(bytes_of(line->data + len + 1, line->len - len - 1), &attribute);
        if (r)
                return r;
        attribute.type = type_of(bytes_of(line->data, len));
        *ret_attribute = attribute;
        return 0;
}

static void attribute_done(struct ldif_attribute *attribute)
{
        free(attribute->type);
        buf_done(&attribute->value);
        *attribute = (struct ldif_attribute){0};
}

/* ---- entries ---------------------------------------------------------------------------------------------- */

static int begin_file(struct ldif_reader *reader)
{
        if (reader->begun)
                return 0;
        reader->begun = true;
        if (reader->rest.len >= 2 && ((reader->rest.data[0] == 0xff && reader->rest.data[1] == 0xfe) ||
                                      (reader->rest.data[0] == 0xfe && reader->rest.data[1] == 0xff)))
                return refuse(PROBLEM_UNSUPPORTED, "The file is UTF-16; convert it: iconv -f UTF-16 -t UTF-8.");
        if (reader->rest.len >= 3 && memcmp(reader->rest.data, "\xef\xbb\xbf", 3) == 0)
                reader->rest = bytes_of(reader->rest.data + 3, reader->rest.len - 3);
        return 0;
}

static int take_dn(struct ldif_entry *entry, struct ldif_attribute *attribute)
{
        if (attribute->elsewhere || !text_is_utf8(buf_view(&attribute->value)))
                return refuse_line(attribute->line, "the dn is not UTF-8 text; convert the file to UTF-8");
        entry->line = attribute->line;
        entry->dn = buf_take(&attribute->value);
        return 0;
}

static int take_attribute(struct ldif_entry *entry, struct ldif_attribute *attribute)
{
        struct bytes value = buf_view(&attribute->value);

        if (entry->line == 0) {
                if (strcmp(attribute->type, "version") == 0) {
                        if (!bytes_equal(value, bytes_text("1")))
                                return refuse(PROBLEM_UNSUPPORTED, "Line %u: only version 1 of LDIF is known.",
                                              attribute->line);
                        return 0;
                }
                if (strcmp(attribute->type, "dn") == 0)
                        return take_dn(entry, attribute);
                return refuse_line(attribute->line, "an entry must begin with \"dn:\"");
        }
        if (strcmp(attribute->type, "dn") == 0)
                return refuse_line(attribute->line, "a second \"dn:\"; an empty line is missing between two entries");
        if (strcmp(attribute->type, "changetype") == 0 && !bytes_equal(value, bytes_text("add")))
                return refuse(PROBLEM_UNSUPPORTED, "Line %u: the file lists changes; export the entries themselves.",
                              attribute->line);
        if (entry->count == ATTRIBUTES_MOST)
                return refuse(PROBLEM_TOO_LARGE, "Line %u: the entry has more than %d values.", attribute->line,
                              ATTRIBUTES_MOST);
        if (entry->count % 16 == 0)
                entry->attributes = mem_resize(entry->attributes, entry->count + 16, sizeof(*entry->attributes));
        entry->attributes[entry->count++] = *attribute;
        *attribute = (struct ldif_attribute){0};
        return 0;
}

static int read_entry(struct ldif_reader *reader, struct ldif_entry *entry)
{
        CLEANUP(buf_done) struct buf line = BUF_NONE;

        for (;;) {
                CLEANUP(attribute_done) struct ldif_attribute attribute = {0};
                unsigned number;
                bool found;

                TRY(logical_line(reader, &line, &number, &found));
                if (!found || (!line.len && entry->line))
                        return 0;
                if (!line.len || line.data[0] == '#')
                        continue;
                if (strcmp(buf_text(&line), "-") == 0 && entry->line)
                        continue;
                TRY(parse_attribute(&line, number, &attribute));
                TRY(take_attribute(entry, &attribute));
        }
}

int ldif_next(struct ldif_reader *reader, struct ldif_entry *ret_entry)
{
        struct ldif_entry entry = {0};
        int r;

        TRY(begin_file(reader));
        r = read_entry(reader, &entry);
        if (!r && !entry.line)
                r = refuse(PROBLEM_NOT_FOUND, "The file has no more entries.");
        if (r) {
                ldif_entry_done(&entry);
                return PASS(r);
        }
        *ret_entry = entry;
        return 0;
}

bool ldif_text(const struct ldif_entry *entry, const char *type, size_t index, struct bytes *ret_value)
{
        for (size_t i = 0; i < entry->count; i++) {
                const struct ldif_attribute *attribute = &entry->attributes[i];
                if (attribute->elsewhere || strcmp(attribute->type, type) != 0 ||
                    !text_is_utf8(buf_view(&attribute->value)))
                        continue;
                if (index-- == 0) {
                        *ret_value = buf_view(&attribute->value);
                        return true;
                }
        }
        return false;
}

bool ldif_value(const struct ldif_entry *entry, const char *type, struct bytes *ret_value)
{
        for (size_t i = 0; i < entry->count; i++) {
                if (!entry->attributes[i].elsewhere && strcmp(entry->attributes[i].type, type) == 0) {
                        *ret_value = buf_view(&entry->attributes[i].value);
                        return true;
                }
        }
        return false;
}
