/* SPDX-License-Identifier: Apache-2.0 */
#include "front/strict.h"

#include <strings.h>

static int malformed(const char *what)
{
        return refuse(PROBLEM_MALFORMED, "The HTTP request has %s.", what);
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

/* RFC 9110 section 5.6.2 */
static bool is_token(const char *text, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                char c = text[i];

                if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                      (c && strchr("!#$%&'*+-.^_`|~", c))))
                        return false;
        }
        return len > 0;
}

static bool is_value(const char *text, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (((uint8_t)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
                        return false;
        return true;
}

static bool is_target(struct bytes target)
{
        for (size_t i = 0; i < target.len; i++)
                if (target.data[i] <= 0x20 || target.data[i] >= 0x7f)
                        return false;
        return target.len && target.data[0] == '/';
}

/* ---- layout ---- */

/* CR and LF, which libmicrohttpd may have overwritten by 0: the CR always, the LF only where a CR was before it. */
static bool is_line_end(const char *at)
{
        return (at[0] == '\r' || at[0] == 0) && (at[1] == '\n' || at[1] == 0);
}

static bool header_fits(const struct strict_header *header, const char **at, const char *end)
{
        const char *place = *at;

        if (header->name != place || (size_t)(end - place) < header->name_len + 1)
                return false;
        place += header->name_len;
        if (*place != ':' && *place != 0)
                return false;
        place++;
        while (place < end && place < header->value && is_blank(*place))
                place++;
        if (place != header->value && header->value_len)
                return false;
        if ((size_t)(end - place) < header->value_len)
                return false;
        place += header->value_len;
        if (end - place > 2 && *place == 0 && !is_line_end(place))
                place++; /* the first of trailing blanks, where 1.0 ends the value */
        while (place < end && is_blank(*place))
                place++;
        if (end - place < 2 || !is_line_end(place))
                return false;
        *at = place + 2;
        return true;
}

static bool layout_fits(const struct strict_request *request)
{
        const char *end = request->method + request->section_len;
        const char *at = request->method + strlen(request->method) + 1 + request->target.len + 1;

        if (request->version != at)
                return false;
        at += strlen(request->version);
        if (at > end - 2 || !is_line_end(at))
                return false;
        at += 2;
        for (size_t i = 0; i < request->header_count; i++)
                if (!header_fits(&request->headers[i], &at, end))
                        return false;
        return end - at == 2 && is_line_end(at);
}

/* ---- headers ---- */

static bool is_named(const struct strict_header *header, const char *name)
{
        return header->name_len == strlen(name) && strncasecmp(header->name, name, header->name_len) == 0;
}

static size_t header_count(const struct strict_request *request, const char *name)
{
        size_t count = 0;

        for (size_t i = 0; i < request->header_count; i++)
                count += is_named(&request->headers[i], name);
        return count;
}

int strict_header(const struct strict_request *request, const char *name, struct bytes *ret_value)
{
        struct bytes value = BYTES_NONE;

        for (size_t i = 0; i < request->header_count; i++) {
                if (!is_named(&request->headers[i], name))
                        continue;
                if (value.data)
                        return refuse(PROBLEM_MALFORMED, "The HTTP request has the header %s more than once.", name);
                value = bytes_of(request->headers[i].value, request->headers[i].value_len);
        }
        *ret_value = value;
        return 0;
}

static int headers_check(const struct strict_request *request)
{
        for (size_t i = 0; i < request->header_count; i++) {
                const struct strict_header *header = &request->headers[i];

                if (!is_token(header->name, header->name_len))
                        return malformed("a header name that is no token");
                if (!is_value(header->value, header->value_len))
                        return malformed("a control character in a header");
        }
        return 0;
}

/* RFC 9112 section 6.3 */
static int length_check(const struct strict_request *request)
{
        struct bytes length = BYTES_NONE;

        if (header_count(request, "Transfer-Encoding"))
                return refuse(PROBLEM_LENGTH_REQUIRED,
                              "Send the body with Content-Length; Transfer-Encoding is not taken.");
        TRY(strict_header(request, "Content-Length", &length));
        for (size_t i = 0; i < length.len; i++)
                if (length.data[i] < '0' || length.data[i] > '9')
                        return malformed("a Content-Length that is no number");
        if (length.data && !length.len)
                return malformed("a Content-Length that is no number");
        return 0;
}

/* RFC 9112 section 3.2 */
static int host_check(const struct strict_request *request)
{
        struct bytes host = BYTES_NONE;

        TRY(strict_header(request, "Host", &host));
        if (!host.data && strcmp(request->version, "HTTP/1.1") == 0)
                return malformed("no Host");
        if (memchr(host.data ? (const char *)host.data : "", ',', host.len))
                return malformed("more than one Host");
        return 0;
}

int strict_check(const struct strict_request *request)
{
        if (request->too_many)
                return refuse(PROBLEM_TOO_LARGE, "The HTTP request has more than %d headers.", STRICT_HEADERS_MOST);
        if (strcmp(request->version, "HTTP/1.1") != 0 && strcmp(request->version, "HTTP/1.0") != 0)
                return malformed("a version other than HTTP/1.0 and HTTP/1.1");
        if (!is_token(request->method, strlen(request->method)))
                return malformed("a method that is no token");
        if (!is_target(request->target))
                return malformed("a target that is no path of visible ASCII characters");
        TRY(headers_check(request));
        TRY(length_check(request));
        TRY(host_check(request));
        if (!layout_fits(request))
                return malformed("line ends other than CR LF, folded lines, or a NUL");
        return 0;
}
