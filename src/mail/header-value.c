/* SPDX-License-Identifier: Apache-2.0 */
/* The values of header fields, through GMime. */
#include "mail/header.h"

#include <strings.h>

#include "base/fold.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/name.h"

#include <gmime/gmime.h> /* last: GLib undefines MIN and MAX before it defines its own */

/* GMime opens groups inside groups by recursion, so what it is given is bounded; no honest field comes near. */
enum { ADDRESSES_MOST = 4096, VALUE_MOST = 65536 };

static void gmime_ready(void)
{
        static bool ready;

        if (ready)
                return;
        g_mime_init();
        ready = true;
}

static char *lower(char *text)
{
        for (char *at = text; at && *at; at++)
                if (*at >= 'A' && *at <= 'Z')
                        *at = (char)(*at + 32);
        return text;
}

static char *parameter(GMimeParamList *list, const char *name)
{
        GMimeParam *param = list ? g_mime_param_list_get_parameter(list, name) : NULL;
        const char *value = param ? g_mime_param_get_value(param) : NULL;

        return value ? text_copy(value) : NULL;
}

/* A second value of a parameter that decides how the content is read: programs differ in which they take. */
static bool parameters_are_ambiguous(const char *value)
{
        static const char *const names[] = {"boundary", "protocol", "smime-type"};

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                size_t len = strlen(names[i]), count = 0;

                for (const char *at = value; (at = strcasestr(at, names[i])); at += len) {
                        const char *after = at + len;

                        while (*after == ' ')
                                after++;
                        if (at > value && (at[-1] == ';' || at[-1] == ' ') && (*after == '=' || *after == '*'))
                                count += *after == '=' || after[1] == '=' || after[1] == '0';
                }
                if (count > 1)
                        return true;
        }
        return false;
}

/* ---- multiparts that everybody reads alike */

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define TOKEN LETTERS "!#$%&'*+-.^_`{|}~"

/* Skip what is of the characters; is there any? */
static bool skip(const char **at, const char *characters)
{
        size_t len = strspn(*at, characters);

        *at += len;
        return len > 0;
}

static bool skip_quoted(const char **at)
{
        for ((*at)++; **at && **at != '"'; (*at)++)
                *at += **at == '\\' && (*at)[1];
        return *(*at)++ == '"';
}

/* The marks of encoded words (RFC 2047). */
static bool has_encoded_mark(const char *text, size_t len)
{
        for (size_t i = 1; i < len; i++)
                if ((text[i - 1] == '=' && text[i] == '?') || (text[i - 1] == '?' && text[i] == '='))
                        return true;
        return false;
}

/* Without what programs unwrap, trim or cut off, each in its way; but with what old ones leave unquoted. */
static bool boundary_is_plain(const char *value, size_t len)
{
        bool quoted = len >= 2 && value[0] == '"';
        const char *text = value + quoted;
        size_t text_len = len - 2 * quoted;

        if (text_len == 0 || text[0] == ' ' || text[text_len - 1] == ' ' || memchr(text, '\\', text_len) ||
            has_encoded_mark(text, text_len))
                return false;
        return quoted || strspn(text, TOKEN "=/:?@") >= text_len;
}

/* A parameter as nobody misreads it: NAME=VALUE or NAME="VALUE", and nothing beside it. */
static bool parameter_is_plain(const char **at, size_t *boundaries)
{
        const char *name = *at, *value;
        bool is_boundary = strncasecmp(name, "boundary", 8) == 0;

        if (!skip(at, TOKEN) || (is_boundary && *at != name + 8))
                return false;
        (void)skip(at, " ");
        if (*(*at)++ != '=')
                return false;
        (void)skip(at, " ");
        value = *at;
        if (**at != '"')
                *at += strcspn(*at, " ;\"(");
        else if (!skip_quoted(at))
                return false;
        *boundaries += is_boundary;
        return !is_boundary || boundary_is_plain(value, (size_t)(*at - value));
}

/* Whoever reads another boundary than we sees other parts, such as encrypted ones beside others. */
static bool multipart_is_plain(const char *value)
{
        const char *at = value;
        size_t boundaries = 0;

        if (!skip(&at, TOKEN) || *at++ != '/' || !skip(&at, TOKEN))
                return false;
        for (;;) {
                (void)skip(&at, " ");
                if (!*at)
                        return boundaries == 1 || strncasecmp(value, "multipart/", 10) != 0;
                if (*at++ != ';')
                        return false;
                (void)skip(&at, " ");
                if (*at && *at != ';' && !parameter_is_plain(&at, &boundaries))
                        return false;
        }
}

static void content_type_parse(const char *value, struct content *content)
{
        GMimeContentType *type = g_mime_content_type_parse(NULL, value);
        GMimeParamList *list;

        if (!type)
                return;
        if (g_mime_content_type_get_media_type(type) && g_mime_content_type_get_media_subtype(type)) {
                free(content->type);
                content->type = lower(text_format("%s/%s", g_mime_content_type_get_media_type(type),
                                                  g_mime_content_type_get_media_subtype(type)));
        }
        list = g_mime_content_type_get_parameters(type);
        content->boundary = parameter(list, "boundary");
        content->protocol = lower(parameter(list, "protocol"));
        content->micalg = lower(parameter(list, "micalg"));
        content->smime_type = lower(parameter(list, "smime-type"));
        content->name = parameter(list, "name");
        g_object_unref(type);
}

static void content_disposition_parse(const struct header *header, struct content *content)
{
        const struct header_field *field = header_find(header, "Content-Disposition", NULL);
        CLEANUP(mem_freep) char *value = field ? header_value(field) : NULL;
        GMimeContentDisposition *disposition = value && strlen(value) <= VALUE_MOST ? g_mime_content_disposition_parse(NULL, value) : NULL;

        if (!disposition)
                return;
        if (!content->name)
                content->name = parameter(g_mime_content_disposition_get_parameters(disposition), "filename");
        g_object_unref(disposition);
}

/* Not in a parameter of what everybody takes for another type. */
static bool may_be_multipart(const char *value)
{
        const char *found = strcasestr(value, "multipart"), *at = value;

        if (!found || !skip(&at, TOKEN) || *at++ != '/' || !skip(&at, TOKEN))
                return found != NULL;
        (void)skip(&at, " ");
        return found < at || *at != ';';
}

/* Is there anything about the type that programs take differently? */
static bool type_is_ambiguous(const char *value)
{
        for (const char *at = value; *at; at++)
                if ((unsigned char)*at < ' ' || *at == 0x7f)
                        return true;
        return parameters_are_ambiguous(value) || (may_be_multipart(value) && !multipart_is_plain(value));
}

void content_parse(const struct header *header, struct content *ret_content)
{
        struct content content = {0};
        size_t types, encodings;
        const struct header_field *type = header_find(header, "Content-Type", &types);
        const struct header_field *encoding = header_find(header, "Content-Transfer-Encoding", &encodings);
        CLEANUP(mem_freep) char *value = type ? header_value(type) : NULL;

        gmime_ready();
        content.type = text_copy("text/plain");
        content.declared = type != NULL;
        content.ambiguous = types > 1 || encodings > 1 || (value && type_is_ambiguous(value));
        if (value && strlen(value) > VALUE_MOST)
                content.ambiguous = true;
        else if (value)
                content_type_parse(value, &content);
        content_disposition_parse(header, &content);
        content.encoding = encoding ? lower(header_value(encoding)) : text_copy("7bit");
        /* A token, perhaps with a comment or a stray semicolon behind it. */
        content.encoding[strcspn(content.encoding, " ;(")] = 0;
        /* RFC 2045 6.4 permits it for no multipart; whoever decodes it sees other parts. */
        content.ambiguous = content.ambiguous || (strncmp(content.type, "multipart/", 10) == 0 && strcmp(content.encoding, "base64") == 0);
        *ret_content = content;
}

void content_done(struct content *content)
{
        free(content->type);
        free(content->encoding);
        free(content->boundary);
        free(content->protocol);
        free(content->micalg);
        free(content->smime_type);
        free(content->name);
        *content = (struct content){0};
}

bool content_is_multipart(const struct content *content)
{
        return strncmp(content->type, "multipart/", 10) == 0 && content->boundary;
}

bool content_is_signed(const struct content *content)
{
        if (strcmp(content->type, "multipart/signed") != 0)
                return false;
        return !content->protocol || strcmp(content->protocol, "application/pkcs7-signature") == 0 ||
               strcmp(content->protocol, "application/x-pkcs7-signature") == 0;
}

bool content_is_pkcs7(const struct content *content)
{
        size_t len = content->name ? strlen(content->name) : 0;

        while (len > 0 && !strchr(LETTERS, content->name[len - 1])) /* which others may cut off */
                len--;
        if (strcmp(content->type, "application/pkcs7-mime") == 0 || strcmp(content->type, "application/x-pkcs7-mime") == 0)
                return true;
        /* RFC 8551 3.9: a name ending in .p7m says it too. */
        return len > 4 && strncasecmp(content->name + len - 4, ".p7m", 4) == 0 &&
               (strcmp(content->type, "application/octet-stream") == 0 || strcmp(content->type, "application/x-octet-stream") == 0);
}

/* ---- addresses */

#define ADDRESS_ENDS " <>\"'()[],;:\t"

/* GMime shows U-labels for the A-labels that are in the field. */
static bool is_same_address(const char *a, const char *b)
{
        CLEANUP(buf_done) struct buf ascii_a = BUF_NONE, ascii_b = BUF_NONE, unicode_a = BUF_NONE, unicode_b = BUF_NONE;

        address_to_ascii(a, &ascii_a);
        address_to_ascii(b, &ascii_b);
        address_to_unicode(a, &unicode_a);
        address_to_unicode(b, &unicode_b);
        return strcasecmp(buf_text(&ascii_a), buf_text(&ascii_b)) == 0 || strcasecmp(buf_text(&unicode_a), buf_text(&unicode_b)) == 0;
}

/* Of an A-label that is none, what GMime shows would be mapped to another's domain. */
static bool is_mapped(const struct buf *key)
{
        CLEANUP(buf_done) struct buf normal = buf_copy_of(buf_view(key)), ascii = BUF_NONE;

        address_normalize(&normal);
        address_to_ascii(buf_text(key), &ascii);
        return !bytes_equal(buf_view(&normal), buf_view(key)) && !bytes_equal(buf_view(&ascii), buf_view(key));
}

/* U+202A…202E and U+2066…2069: with them a text may be read from its other end. */
static bool is_turned(const char *text)
{
        for (const char *at = text; (at = strchr(at, '\xe2')); at++)
                if ((at[1] == '\x80' && at[2] >= '\xaa' && at[2] <= '\xae') || (at[1] == '\x81' && at[2] >= '\xa6' && at[2] <= '\xa9'))
                        return true;
        return false;
}

/* In a domain, also the full stop of Chinese and Japanese, as UTS 46 has it. Those of "Anna@Work..." end it. */
static bool has_dot(const char *text, size_t len)
{
        static const char full_stop[] = "。";
        const char *end = text + len;

        for (const char *at = text; at < end; at++) {
                bool other = (size_t)(end - at) >= strlen(full_stop) && memcmp(at, full_stop, strlen(full_stop)) == 0;
                const char *next = at + (other ? strlen(full_stop) : 1);

                if ((other || *at == '.') && next < end && (strchr(LETTERS, *next) || (unsigned char)*next >= 0x80))
                        return true;
        }
        return false;
}

/* Is the one that stands there, around the first @, this one? There may be an apostrophe in it, which ends others. */
static bool is_address_at(const char *text, const char *at, const char *end, const char *address)
{
        size_t local = strcspn(address, "@");
        CLEANUP(mem_freep) char *found = NULL;

        if ((size_t)(at - text) < local || ((size_t)(at - text) > local && !strchr(ADDRESS_ENDS, *(at - local - 1))))
                return false;
        found = text_copy_n(at - local, (size_t)(end - at) + local);
        return is_same_address(found, address);
}

/* Does the text contain an address other than those that it stands for? Returns a copy of the first, or NULL. */
static char *other_address(const char *text, char *const *addresses, size_t count, bool turned)
{
        const char *at = text;

        while ((at = strchr(at, '@'))) {
                const char *begin = at, *end = at;
                bool known = false, twice;

                while (begin > text && !strchr(ADDRESS_ENDS, begin[-1]))
                        begin--;
                while (*end && !strchr(ADDRESS_ENDS, *end))
                        end++;
                for (size_t i = 0; i < count; i++)
                        known = known || is_address_at(text, at, end, addresses[i]);
                twice = memchr(at + 1, '@', (size_t)(end - at - 1)) != NULL;
                if (!known && (begin < at || twice) && has_dot(turned ? begin : at, (size_t)(end - (turned ? begin : at))))
                        return text_copy_n(begin, (size_t)(end - begin));
                at = end;
        }
        return NULL;
}

/* As it looks: letters of full width and the like are those that they look like, and what cannot be seen is left out. */
static char *as_it_looks(const char *text)
{
        CLEANUP(buf_done) struct buf folded = BUF_NONE;

        fold_search_add(&folded, bytes_text(text), false, false);
        return text_copy(buf_text(&folded));
}

/* The same, where the text and the addresses are read in another form; that of a U-label may be another domain (ß is ss). */
static char *other_address_in(const struct mailboxes *mailboxes, const char *text, char *(*form)(const char *), bool turned)
{
        CLEANUP(mem_freep) char *read = form(text);
        CLEANUP(mem_freep) char **own = mem_array(2 * mailboxes->count + 1, sizeof(char *));
        char *found;

        for (size_t i = 0; i < mailboxes->count; i++) {
                CLEANUP(buf_done) struct buf ascii = BUF_NONE;

                address_to_ascii(mailboxes->shown[i], &ascii);
                own[2 * i] = form(mailboxes->shown[i]);
                own[2 * i + 1] = form(buf_text(&ascii));
        }
        found = other_address(read, own, 2 * mailboxes->count, turned);
        for (size_t i = 0; i < 2 * mailboxes->count; i++)
                free(own[i]);
        return found;
}

/* Of a text that is shown to people: as it stands there, and as it looks. */
static char *other_address_shown(const struct mailboxes *mailboxes, const char *text)
{
        char *found = other_address(text, mailboxes->shown, mailboxes->count, false);

        return found ? found : other_address_in(mailboxes, text, as_it_looks, is_turned(text));
}

static void mailbox_add(struct mailboxes *mailboxes, InternetAddress *item, bool has_a_labels)
{
        const char *address = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(item));
        CLEANUP(buf_done) struct buf shown = BUF_NONE;
        struct buf key = BUF_NONE;

        address = address ? address : "";
        text_add_printable(&shown, bytes_text(address), 320);
        mailboxes->keys = mem_resize(mailboxes->keys, mailboxes->count + 1, sizeof(char *));
        mailboxes->shown = mem_resize(mailboxes->shown, mailboxes->count + 1, sizeof(char *));
        mailboxes->keys[mailboxes->count] = NULL;
        if (address_parse(bytes_text(address), &key) == 0 && !(has_a_labels && is_mapped(&key)))
                mailboxes->keys[mailboxes->count] = text_copy(buf_text(&key));
        mailboxes->shown[mailboxes->count] = text_copy(buf_text(&shown));
        mailboxes->count++;
        buf_done(&key);
}

/* Blanks beside these count for nothing (obs-addr-spec, RFC 5322 4.4). */
static bool is_joint(char c)
{
        return c == '@' || c == '.';
}

/* The field as programs read it that find addresses everywhere: without comments, quotes, and blanks in an address. */
static char *as_lenient_read(const char *value)
{
        char *read = mem_array(strlen(value) + 1, 1);
        size_t len = 0, comments = 0;
        bool quoted = false;

        for (const char *at = value; *at; at++) {
                bool escaped = *at == '\\' && at[1];
                char c = escaped ? *++at : *at;

                if (c == '"' && !escaped && comments == 0)
                        quoted = !quoted;
                else if (c == '(' && !escaped && !quoted)
                        comments++;
                else if (c == ')' && !escaped && comments > 0)
                        comments--;
                else if (quoted)
                        read[len++] = strchr(ADDRESS_ENDS "@", c) ? '_' : c;
                else if (comments == 0 && !(c == ' ' && len > 0 && is_joint(read[len - 1]))) {
                        while (is_joint(c) && len > 0 && read[len - 1] == ' ')
                                len--;
                        read[len++] = c;
                }
        }
        return read;
}

/* In a name of the list; groups have members with names of their own. */
static char *other_address_named(const struct mailboxes *mailboxes, InternetAddressList *list)
{
        char *found = NULL;

        for (int i = 0; list && i < internet_address_list_length(list) && !found; i++) {
                InternetAddress *item = internet_address_list_get_address(list, i);
                const char *name = internet_address_get_name(item);

                found = name ? other_address_shown(mailboxes, name) : NULL;
                if (!found && INTERNET_ADDRESS_IS_GROUP(item))
                        found = other_address_named(mailboxes, internet_address_group_get_members(INTERNET_ADDRESS_GROUP(item)));
        }
        return found;
}

/* A name that is shown, and looks like another address; also one that GMime and others read differently. */
static void deceiving_find(struct mailboxes *mailboxes, InternetAddressList *list, const char *value)
{
        /* Encoded words count wherever they stand: programs decode them in comments and quoted strings too. */
        CLEANUP(mem_freep) char *decoded = g_mime_utils_header_decode_text(NULL, value);
        CLEANUP(mem_freep) char *found = other_address_shown(mailboxes, value);
        CLEANUP(buf_done) struct buf shown = BUF_NONE;

        if (!found)
                found = other_address_shown(mailboxes, decoded);
        if (!found)
                found = other_address_in(mailboxes, value, as_lenient_read, false);
        if (!found)
                found = other_address_named(mailboxes, list);
        if (!found)
                return;
        text_add_printable(&shown, bytes_text(found), 200);
        mailboxes->deceiving = text_copy(buf_text(&shown));
}

static void mailboxes_add(struct mailboxes *mailboxes, InternetAddressList *list, bool has_a_labels)
{
        for (int i = 0; list && i < internet_address_list_length(list) && mailboxes->count < 1000; i++) {
                InternetAddress *item = internet_address_list_get_address(list, i);

                if (INTERNET_ADDRESS_IS_MAILBOX(item))
                        mailbox_add(mailboxes, item, has_a_labels);
        }
}

void mailboxes_parse(const struct header_field *field, struct mailboxes *ret_mailboxes)
{
        struct mailboxes mailboxes = {0};
        CLEANUP(mem_freep) char *value = header_value(field);
        InternetAddressList *list;
        bool has_a_labels;

        gmime_ready();
        if (strlen(value) > ADDRESSES_MOST)
                value[0] = 0; /* and so nobody: nothing that is signed is from him */
        list = internet_address_list_parse(NULL, value);
        has_a_labels = strcasestr(value, "xn--") != NULL;
        mailboxes_add(&mailboxes, list, has_a_labels);
        /* Groups hold mailboxes only. */
        for (int i = 0; list && i < internet_address_list_length(list); i++) {
                InternetAddress *item = internet_address_list_get_address(list, i);

                if (INTERNET_ADDRESS_IS_GROUP(item))
                        mailboxes_add(&mailboxes, internet_address_group_get_members(INTERNET_ADDRESS_GROUP(item)), has_a_labels);
        }
        deceiving_find(&mailboxes, list, value);
        if (list)
                g_object_unref(list);
        *ret_mailboxes = mailboxes;
}

void mailboxes_done(struct mailboxes *mailboxes)
{
        for (size_t i = 0; i < mailboxes->count; i++) {
                free(mailboxes->keys[i]);
                free(mailboxes->shown[i]);
        }
        free(mailboxes->keys);
        free(mailboxes->shown);
        free(mailboxes->deceiving);
        *mailboxes = (struct mailboxes){0};
}

int header_date(const struct header_field *field, int64_t *ret_instant)
{
        CLEANUP(mem_freep) char *value = header_value(field);
        GDateTime *date;

        gmime_ready();
        date = g_mime_utils_header_decode_date(value);
        if (!date)
                return refuse(PROBLEM_MALFORMED, "The Date field is not readable.");
        *ret_instant = g_date_time_to_unix(date);
        g_date_time_unref(date);
        return 0;
}
