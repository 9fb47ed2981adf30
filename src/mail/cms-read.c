/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/cms-read.h"

#include "crypto/der.h"
#include "crypto/oid.h"

/* What an open element is to us. */
enum role { ROLE_INFO, ROLE_WRAP, ROLE_BODY, ROLE_INNER, ROLE_INNER_WRAP, ROLE_CONTENT, ROLE_FIELD };

struct step {
        uint8_t tag;
        uint8_t field;
        bool optional, inner; /* inner: the SEQUENCE that has the content */
};

static const struct step signed_steps[] = {
        {DER_INTEGER, CMS_VERSION, false, false},
        {DER_SET, CMS_DIGESTS, false, false},
        {DER_SEQUENCE, 0, false, true},
        {DER_CONTEXT_CONSTRUCTED(0), CMS_CERTIFICATES, true, false},
        {DER_CONTEXT_CONSTRUCTED(1), CMS_DROPPED, true, false},
        {DER_SET, CMS_SIGNERS, false, false},
        {0},
};
static const struct step enveloped_steps[] = {
        {DER_INTEGER, CMS_VERSION, false, false},
        {DER_CONTEXT_CONSTRUCTED(0), CMS_ORIGINATOR, true, false},
        {DER_SET, CMS_RECIPIENTS, false, false},
        {DER_SEQUENCE, 0, false, true},
        {DER_CONTEXT_CONSTRUCTED(1), CMS_DROPPED, true, false},
        {0},
};
static const struct step auth_enveloped_steps[] = {
        {DER_INTEGER, CMS_VERSION, false, false},
        {DER_CONTEXT_CONSTRUCTED(0), CMS_ORIGINATOR, true, false},
        {DER_SET, CMS_RECIPIENTS, false, false},
        {DER_SEQUENCE, 0, false, true},
        {DER_CONTEXT_CONSTRUCTED(1), CMS_AUTH_ATTRS, true, false},
        {DER_OCTET_STRING, CMS_MAC, false, false},
        {DER_CONTEXT_CONSTRUCTED(2), CMS_DROPPED, true, false},
        {0},
};
static const struct step *const steps_of[] = {
        [CMS_SIGNED] = signed_steps, [CMS_ENVELOPED] = enveloped_steps, [CMS_AUTH_ENVELOPED] = auth_enveloped_steps};

static int cms_wrong(const char *what)
{
        return refuse(PROBLEM_MALFORMED, "The cryptographic part of the message is not CMS as RFC 5652 has it: %s.", what);
}

static int cms_push(struct cms_reader *reader, enum role role)
{
        if (reader->depth == ARRAY_LEN(reader->levels))
                return cms_wrong("too many elements inside each other");
        reader->levels[reader->depth++] = (struct cms_level){.role = (uint8_t)role, .start = SIZE_MAX};
        return 0;
}

/* ---- fields: rewritten with definite lengths */

static int field_add(struct cms_reader *reader, const uint8_t *data, size_t len)
{
        if (reader->field == CMS_DROPPED)
                return 0;
        if (len > CMS_FIELDS_MOST - reader->field_bytes)
                return refuse(PROBLEM_TOO_LARGE, "The cryptographic data beside the content are larger than %d bytes.", CMS_FIELDS_MOST);
        reader->field_bytes += len;
        buf_add(&reader->fields[reader->field], data, len);
        return 0;
}

static int field_begin(struct cms_reader *reader, uint8_t tag, uint64_t len, bool flat)
{
        struct cms_level *level;
        struct buf head = BUF_NONE;
        bool opens = tag == (DER_OCTET_STRING | 0x20);
        int result = 0;

        TRY(cms_push(reader, ROLE_FIELD));
        level = &reader->levels[reader->depth - 1];
        level->flat = flat || opens;
        if (flat && (tag & ~0x20) != DER_OCTET_STRING)
                return cms_wrong("an octet string has parts that are none");
        if (flat || reader->field == CMS_DROPPED)
                return 0;
        if (!(tag & 0x20)) {
                if (len > CMS_FIELDS_MOST)
                        return refuse(PROBLEM_TOO_LARGE, "A cryptographic field is larger than %d bytes.", CMS_FIELDS_MOST);
                der_add_head(&head, tag, (size_t)len);
                result = field_add(reader, head.data, head.len);
                buf_done(&head);
                return PASS(result);
        }
        level->start = reader->fields[reader->field].len;
        tag = opens ? DER_OCTET_STRING : tag;
        return PASS(field_add(reader, &tag, 1));
}

/* Put the length of what was collected since its tag behind the tag. */
static int field_end(struct cms_reader *reader, size_t start)
{
        struct buf *field = &reader->fields[reader->field];
        CLEANUP(buf_done) struct buf head = BUF_NONE;
        size_t len = field->len - start - 1;

        der_add_head(&head, field->data[start], len);
        TRY(field_add(reader, head.data, head.len - 1));
        memmove(field->data + start + head.len, field->data + start + 1, len);
        memcpy(field->data + start, head.data, head.len);
        return 0;
}

/* ---- structure */

static int field_open(struct cms_reader *reader, enum cms_field field, uint8_t tag, uint64_t len)
{
        if (field != CMS_DROPPED && reader->fields[field].len > 0)
                return cms_wrong("a field is there twice");
        reader->field = field;
        return PASS(field_begin(reader, tag, len, false));
}

static int cms_kind_find(struct cms_reader *reader)
{
        struct bytes cursor = buf_view(&reader->fields[CMS_TYPE]), oid;

        TRY(der_read_oid(&cursor, &oid));
        if (bytes_equal(oid, oid_signed_data))
                reader->kind = CMS_SIGNED;
        else if (bytes_equal(oid, oid_enveloped_data))
                reader->kind = CMS_ENVELOPED;
        else if (bytes_equal(oid, oid_auth_enveloped_data))
                reader->kind = CMS_AUTH_ENVELOPED;
        else
                return refuse(PROBLEM_UNSUPPORTED, "The message has a cryptographic part of a kind that S/MIME 4.0 mail does not use.");
        return 0;
}

static int begin_in_info(struct cms_reader *reader, uint8_t tag, uint64_t len)
{
        switch (reader->info_child++) {
        case 0:
                if (tag == DER_OID)
                        return PASS(field_open(reader, CMS_TYPE, tag, len));
                break;
        case 1:
                TRY(cms_kind_find(reader));
                if (tag == DER_CONTEXT_CONSTRUCTED(0))
                        return PASS(cms_push(reader, ROLE_WRAP));
                break;
        }
        return cms_wrong("its outermost structure is no ContentInfo");
}

static int begin_in_body(struct cms_reader *reader, uint8_t tag, uint64_t len)
{
        const struct step *steps = steps_of[reader->kind];
        const struct step *step;

        for (;; reader->step++) {
                step = &steps[reader->step];
                if (step->tag == 0)
                        return cms_wrong("something stands after its last field");
                if (step->tag == tag || (step->tag == DER_OCTET_STRING && tag == (DER_OCTET_STRING | 0x20)))
                        break;
                if (!step->optional)
                        return cms_wrong("a field is missing or not in its place");
        }
        reader->step++;
        if (!step->inner)
                return PASS(field_open(reader, step->field, tag, len));
        reader->child = 0;
        return PASS(cms_push(reader, ROLE_INNER));
}

static int content_begin(struct cms_reader *reader)
{
        reader->has_content = true;
        if (reader->head)
                TRY(reader->head(reader->context));
        return PASS(cms_push(reader, ROLE_CONTENT));
}

/* EncapsulatedContentInfo: OID, [0] EXPLICIT OCTET STRING. EncryptedContentInfo: OID, algorithm, [0] IMPLICIT OCTET STRING. */
static int begin_in_inner(struct cms_reader *reader, uint8_t tag, uint64_t len)
{
        bool is_signed = reader->kind == CMS_SIGNED;
        unsigned child = reader->child++;

        if (child == 0 && tag == DER_OID)
                return PASS(field_open(reader, CMS_CONTENT_TYPE, tag, len));
        if (is_signed && child == 1 && tag == DER_CONTEXT_CONSTRUCTED(0))
                return PASS(cms_push(reader, ROLE_INNER_WRAP));
        if (!is_signed && child == 1 && tag == DER_SEQUENCE)
                return PASS(field_open(reader, CMS_ALGORITHM, tag, len));
        if (!is_signed && child == 2 && (tag & ~0x20) == DER_CONTEXT(0))
                return PASS(content_begin(reader));
        return cms_wrong("the structure around the content is not what it must be");
}

static int cms_begin(void *context, uint8_t tag, uint64_t len)
{
        struct cms_reader *reader = context;
        struct cms_level *level = reader->depth > 0 ? &reader->levels[reader->depth - 1] : NULL;

        if (!level)
                return tag == DER_SEQUENCE ? PASS(cms_push(reader, ROLE_INFO)) : cms_wrong("it does not begin with a SEQUENCE");
        switch ((enum role)level->role) {
        case ROLE_INFO:
                return PASS(begin_in_info(reader, tag, len));
        case ROLE_WRAP:
                if (tag != DER_SEQUENCE || reader->step > 0)
                        return cms_wrong("the content of the ContentInfo is no single SEQUENCE");
                return PASS(cms_push(reader, ROLE_BODY));
        case ROLE_BODY:
                return PASS(begin_in_body(reader, tag, len));
        case ROLE_INNER:
                return PASS(begin_in_inner(reader, tag, len));
        case ROLE_INNER_WRAP:
                if ((tag & ~0x20) != DER_OCTET_STRING || reader->has_content)
                        return cms_wrong("the signed content is no single OCTET STRING");
                return PASS(content_begin(reader));
        case ROLE_CONTENT:
                if ((tag & ~0x20) != DER_OCTET_STRING)
                        return cms_wrong("the content has parts that are no octet strings");
                return PASS(cms_push(reader, ROLE_CONTENT));
        case ROLE_FIELD:
                return PASS(field_begin(reader, tag, len, level->flat));
        }
        return fault(0, "an open element of CMS has no role");
}

static int cms_data(void *context, const uint8_t *data, size_t len)
{
        struct cms_reader *reader = context;

        if (reader->levels[reader->depth - 1].role == ROLE_CONTENT)
                return reader->content ? PASS(sink_write(reader->content, data, len)) : 0;
        return PASS(field_add(reader, data, len));
}

static int cms_end(void *context)
{
        struct cms_reader *reader = context;
        struct cms_level level = reader->levels[--reader->depth];

        switch ((enum role)level.role) {
        case ROLE_FIELD:
                return level.start != SIZE_MAX ? PASS(field_end(reader, level.start)) : 0;
        case ROLE_INNER:
                if (reader->child < (reader->kind == CMS_SIGNED ? 1 : 2))
                        return cms_wrong("the structure around the content is cut short");
                if (!reader->has_content && reader->head)
                        return PASS(reader->head(reader->context));
                return 0;
        case ROLE_BODY:
                for (const struct step *steps = steps_of[reader->kind]; steps[reader->step].tag != 0; reader->step++)
                        if (!steps[reader->step].optional)
                                return cms_wrong("its last fields are missing");
                return 0;
        case ROLE_WRAP:
                return reader->step > 0 ? 0 : cms_wrong("its ContentInfo is empty");
        case ROLE_INFO:
                return reader->info_child == 2 ? 0 : cms_wrong("its ContentInfo is cut short");
        case ROLE_INNER_WRAP:
                return reader->has_content ? 0 : cms_wrong("the place for the content is empty");
        case ROLE_CONTENT:
                break;
        }
        return 0;
}

static int cms_write(struct sink *sink, const uint8_t *data, size_t len)
{
        return PASS(ber_feed(&CONTAINER_OF(sink, struct cms_reader, sink)->ber, data, len));
}

void cms_reader_init(struct cms_reader *reader, int (*head)(void *context), void *context)
{
        static const struct ber_events events = {cms_begin, cms_data, cms_end};

        *reader = (struct cms_reader){.sink = {cms_write, NULL}, .head = head, .context = context};
        ber_begin(&reader->ber, &events, reader);
}

void cms_reader_done(struct cms_reader *reader)
{
        for (size_t i = 0; i < CMS_FIELD_COUNT; i++)
                buf_done(&reader->fields[i]);
}

int cms_reader_check(const struct cms_reader *reader)
{
        if (!cms_reader_complete(reader))
                return refuse(PROBLEM_MALFORMED, "The cryptographic part of the message is cut off.");
        return 0;
}
