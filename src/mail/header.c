/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/header.h"

#include <strings.h>

#include "base/mem.h"

/* ---- cutting off */

void header_cutter_done(struct header_cutter *cutter)
{
        buf_done(&cutter->block);
        buf_done(&cutter->separator);
}

/* Is what stands at the end of the block since `start` an empty line? Moves it to the separator. */
static bool cutter_ends(struct header_cutter *cutter, size_t start)
{
        size_t len = cutter->block.len - start;
        const uint8_t *line = cutter->block.data + start;

        if (len > 2 || (len == 2 && line[0] != '\r'))
                return false;
        buf_add(&cutter->separator, line, len);
        buf_truncate(&cutter->block, start);
        return true;
}

int header_cutter_feed(struct header_cutter *cutter, struct bytes piece, size_t *ret_used)
{
        size_t used = 0;

        while (used < piece.len && !cutter->complete) {
                const uint8_t *at = piece.data + used;
                const uint8_t *newline = memchr(at, '\n', piece.len - used);
                size_t len = newline ? (size_t)(newline - at) + 1 : piece.len - used;

                if (cutter->block.len + len > HEADER_MOST)
                        return refuse(PROBLEM_TOO_LARGE, "The header of the message is larger than %d bytes.", HEADER_MOST);
                buf_add(&cutter->block, at, len);
                used += len;
                if (newline) {
                        cutter->complete = cutter_ends(cutter, cutter->line);
                        cutter->line = cutter->block.len;
                }
        }
        *ret_used = used;
        return 0;
}

/* ---- fields */

static bool name_is_valid(struct bytes name)
{
        for (size_t i = 0; i < name.len; i++)
                if (name.data[i] <= 32 || name.data[i] >= 127)
                        return false;
        return name.len > 0;
}

static struct header_field field_of(struct bytes lines)
{
        struct header_field field = {.lines = lines};
        const uint8_t *colon = memchr(lines.data, ':', lines.len);
        struct bytes name, value;

        if (!colon)
                return field;
        name = bytes_of(lines.data, (size_t)(colon - lines.data));
        value = bytes_of(colon + 1, lines.len - name.len - 1);
        while (name.len > 0 && (name.data[name.len - 1] == ' ' || name.data[name.len - 1] == '\t'))
                name.len--;
        if (!name_is_valid(name))
                return field;
        if (value.len > 0 && value.data[value.len - 1] == '\n')
                value.len--;
        if (value.len > 0 && value.data[value.len - 1] == '\r')
                value.len--;
        field.name = name;
        field.value = value;
        return field;
}

/* The length of the field at the front: its line, and those that begin with white space. */
static size_t field_len(struct bytes rest)
{
        size_t len = 0;

        do {
                const uint8_t *newline = memchr(rest.data + len, '\n', rest.len - len);

                len = newline ? (size_t)(newline - rest.data) + 1 : rest.len;
        } while (len < rest.len && (rest.data[len] == ' ' || rest.data[len] == '\t'));
        return len;
}

int header_parse(struct buf *block, bool crlf_if_empty, struct header *ret_header)
{
        struct header header = {.block = buf_take(block), .crlf = crlf_if_empty};
        struct bytes rest = buf_view(&header.block);
        const uint8_t *newline = rest.len ? memchr(rest.data, '\n', rest.len) : NULL;
        size_t cap = 0;

        if (newline)
                header.crlf = newline > rest.data && newline[-1] == '\r';
        while (rest.len > 0) {
                size_t len = field_len(rest);

                if (header.count == HEADER_FIELDS_MOST) {
                        header_done(&header);
                        return refuse(PROBLEM_TOO_LARGE, "The header has more than %d fields.", HEADER_FIELDS_MOST);
                }
                if (header.count == cap) {
                        cap = cap ? 2 * cap : 32;
                        header.fields = mem_resize(header.fields, cap, sizeof(*header.fields));
                }
                header.fields[header.count] = field_of(bytes_of(rest.data, len));
                header.strange += header.fields[header.count].name.len == 0;
                header.count++;
                rest = bytes_of(rest.data + len, rest.len - len);
        }
        *ret_header = header;
        return 0;
}

void header_done(struct header *header)
{
        buf_done(&header->block);
        free(header->fields);
        *header = (struct header){0};
}

const struct header_field *header_find(const struct header *header, const char *name, size_t *ret_count)
{
        const struct header_field *found = NULL;
        size_t count = 0, len = strlen(name);

        for (size_t i = 0; i < header->count; i++) {
                const struct header_field *field = &header->fields[i];

                if (field->name.len != len || strncasecmp((const char *)field->name.data, name, len) != 0)
                        continue;
                count++;
                if (!found)
                        found = field;
        }
        if (ret_count)
                *ret_count = count;
        return found;
}

bool header_has_false_ends(const struct header *header)
{
        const uint8_t *at = header->block.data, *end = at ? at + header->block.len : NULL;

        if (at && memchr(at, 0, header->block.len))
                return true;
        while (at && (at = memchr(at, '\r', (size_t)(end - at)))) {
                while (at < end && *at == '\r') /* several before a line end come from broken gateways */
                        at++;
                if (at < end && *at != '\n')
                        return true;
        }
        return false;
}

static bool is_mbox_line(struct bytes line)
{
        return (line.len > 5 && memcmp(line.data, "From ", 5) == 0) || (line.len > 6 && memcmp(line.data, ">From ", 6) == 0);
}

bool header_ends_early(const struct header *header)
{
        return header->strange > (header->count > 0 && header->fields[0].name.len == 0 && is_mbox_line(header->fields[0].lines));
}

bool header_field_is_content(const struct header_field *field)
{
        static const char prefix[] = "content-", version[] = "mime-version";

        if (field->name.len >= sizeof(prefix) && strncasecmp((const char *)field->name.data, prefix, sizeof(prefix) - 1) == 0)
                return true;
        return field->name.len == sizeof(version) - 1 &&
               strncasecmp((const char *)field->name.data, version, sizeof(version) - 1) == 0;
}

char *header_value(const struct header_field *field)
{
        char *text = mem_array(field->value.len + 1, 1);
        size_t len = 0;

        for (size_t i = 0; i < field->value.len; i++) {
                uint8_t byte = field->value.data[i];

                if (byte == '\r' || byte == '\n')
                        continue;
                if (byte == '\t' || byte == 0)
                        byte = ' ';
                if (len > 0 || byte != ' ')
                        text[len++] = (char)byte;
        }
        while (len > 0 && text[len - 1] == ' ')
                len--;
        text[len] = 0;
        return text;
}
