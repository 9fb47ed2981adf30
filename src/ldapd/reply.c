/* SPDX-License-Identifier: Apache-2.0 */
#include "ldapd/reply.h"

#include <lber.h>
#include <stdio.h>
#include <stdlib.h>

enum {
        TAG_ENTRY = 0x64,
        TAG_CONTROLS = 0xa0,
        TAG_EXTENDED_RESPONSE = 0x78,
        TAG_RESPONSE_NAME = 0x8a,
        TAG_RESPONSE_VALUE = 0x8b,
};

static BerElement *message_new(void)
{
        BerElement *ber = ber_alloc_t(LBER_USE_DER);

        if (!ber)
                abort();
        return ber;
}

/* Encoding into memory fails for want of memory only. */
static void sure(int result)
{
        if (result == -1)
                abort();
}

static void message_add(struct buf *out, BerElement *ber)
{
        struct berval encoded;

        sure(ber_flatten2(ber, &encoded, 0));
        buf_add(out, encoded.bv_val, encoded.bv_len);
        ber_free(ber, 1);
}

static unsigned response_tag(unsigned operation)
{
        switch (operation) {
        case LDAP_BIND:
                return 0x61;
        case LDAP_SEARCH:
                return 0x65;
        case LDAP_DELETE:
                return 0x6b;
        default: /* the others are followed by their responses, extended ones among them */
                return operation + 1;
        }
}

static const char *text_of(const char *text)
{
        return text ? text : "";
}

static void outcome_add(BerElement *ber, const struct outcome *outcome)
{
        sure(ber_printf(ber, "ess", (ber_int_t)outcome->code, text_of(outcome->matched),
                        text_of(outcome->text)));
}

void reply_outcome(struct buf *out, const struct ldap_request *request, const struct outcome *outcome)
{
        BerElement *ber = message_new();

        sure(ber_printf(ber, "{it{", request->id, (ber_tag_t)response_tag(request->operation)));
        outcome_add(ber, outcome);
        sure(ber_printf(ber, "}}"));
        message_add(out, ber);
}

void reply_page(struct buf *out, const struct ldap_request *request, const struct outcome *outcome,
                struct bytes cookie)
{
        BerElement *ber = message_new(), *value = message_new();
        struct berval encoded;

        sure(
            ber_printf(value, "{io}", 0, cookie.len ? (const char *)cookie.data : "", (ber_len_t)cookie.len));
        sure(ber_flatten2(value, &encoded, 0));
        sure(ber_printf(ber, "{it{", request->id, (ber_tag_t)response_tag(request->operation)));
        outcome_add(ber, outcome);
        sure(ber_printf(ber, "}t{{sO}}}", (ber_tag_t)TAG_CONTROLS, OID_PAGED_RESULTS, &encoded));
        ber_free(value, 1);
        message_add(out, ber);
}

/* ---- entries ---- */

struct selection {
        bool user, operational; /* "*" and "+" */
        const struct ldap_request *request;
};

static struct selection selection_of(const struct ldap_request *request)
{
        struct selection selection = {.user = request->search.attribute_count == 0, .request = request};

        for (size_t i = 0; i < request->search.attribute_count; i++) {
                selection.user =
                    selection.user || bytes_equal(request->search.attributes[i], bytes_text("*"));
                selection.operational =
                    selection.operational || bytes_equal(request->search.attributes[i], bytes_text("+"));
        }
        return selection;
}

static bool has_option(struct bytes description)
{
        return description.len && memchr(description.data, ';', description.len);
}

/* Whether the attribute is asked for, and whether as ";binary". */
static bool is_selected(const struct selection *selection, const struct attribute *attribute,
                        bool *ret_binary)
{
        *ret_binary = attribute->binary;
        for (size_t i = 0; i < selection->request->search.attribute_count; i++) {
                struct bytes description = selection->request->search.attributes[i];

                if (attribute_find(description) != attribute)
                        continue;
                *ret_binary = attribute->binary || has_option(description);
                return true;
        }
        return attribute->operational ? selection->operational : selection->user;
}

static void values_add(BerElement *ber, const struct entry *entry, size_t first, size_t end)
{
        for (size_t i = first; i < end; i++)
                sure(ber_printf(ber, "o", (const char *)entry->values[i].value.data,
                                (ber_len_t)entry->values[i].value.len));
}

static void attributes_add(BerElement *ber, const struct selection *selection, const struct entry *entry)
{
        size_t end;

        for (size_t first = 0; first < entry->count; first = end) {
                const struct attribute *attribute = entry->values[first].attribute;
                char name[64];
                bool binary;

                for (end = first; end < entry->count && entry->values[end].attribute == attribute;)
                        end++;
                if (!is_selected(selection, attribute, &binary))
                        continue;
                snprintf(name, sizeof(name), "%s%s", attribute->name, binary ? ";binary" : "");
                sure(ber_printf(ber, "{s[", name));
                values_add(ber, entry, first, selection->request->search.types_only ? first : end);
                sure(ber_printf(ber, "]}"));
        }
}

void reply_entry(struct buf *out, const struct ldap_request *request, const struct entry *entry)
{
        struct selection selection = selection_of(request);
        BerElement *ber = message_new();

        sure(ber_printf(ber, "{it{o{", request->id, (ber_tag_t)TAG_ENTRY, buf_text(&entry->dn),
                        (ber_len_t)entry->dn.len));
        attributes_add(ber, &selection, entry);
        sure(ber_printf(ber, "}}}"));
        message_add(out, ber);
}

void reply_extended(struct buf *out, const struct ldap_request *request, const char *name, const char *value)
{
        static const struct outcome success = {.code = RESULT_SUCCESS};
        BerElement *ber = message_new();

        sure(ber_printf(ber, "{it{", request->id, (ber_tag_t)TAG_EXTENDED_RESPONSE));
        outcome_add(ber, &success);
        if (name)
                sure(ber_printf(ber, "ts", (ber_tag_t)TAG_RESPONSE_NAME, name));
        if (value)
                sure(ber_printf(ber, "ts", (ber_tag_t)TAG_RESPONSE_VALUE, value));
        sure(ber_printf(ber, "}}"));
        message_add(out, ber);
}

void reply_disconnection(struct buf *out, const struct outcome *outcome)
{
        BerElement *ber = message_new();

        sure(ber_printf(ber, "{it{", 0, (ber_tag_t)TAG_EXTENDED_RESPONSE));
        outcome_add(ber, outcome);
        sure(ber_printf(ber, "ts}}", (ber_tag_t)TAG_RESPONSE_NAME, OID_DISCONNECTION));
        message_add(out, ber);
}
