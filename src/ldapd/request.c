/* SPDX-License-Identifier: Apache-2.0 */
#include "ldapd/request.h"

#include "base/mem.h"
#include "base/text.h"
#include "ldapd/names.h"
#include "ldapd/reader.h"

enum {
        TAG_SIMPLE = 0x80,
        TAG_SASL = 0xa3,
        TAG_CONTROLS = 0xa0,
        TAG_EXTENDED_NAME = 0x80,
        TAG_EXTENDED_VALUE = 0x81
};

int ldap_frame(struct bytes input, size_t *ret_len)
{
        size_t len, count;

        *ret_len = 0;
        if (input.len < 2)
                return input.len && input.data[0] != BER_SEQUENCE
                           ? refuse(PROBLEM_MALFORMED, "This is no LDAP.")
                           : 0;
        if (input.data[0] != BER_SEQUENCE || input.data[1] == 0x80 || input.data[1] > 0x84)
                return refuse(PROBLEM_MALFORMED, "This is no LDAP.");
        count = input.data[1] & 0x80 ? input.data[1] & 0x7f : 0;
        if (input.len < 2 + count)
                return 0;
        len = count ? 0 : input.data[1];
        for (size_t i = 0; i < count; i++)
                len = len << 8 | input.data[2 + i];
        if (len > MESSAGE_MOST)
                return refuse(PROBLEM_TOO_LARGE, "The message is longer than %d bytes.", MESSAGE_MOST);
        *ret_len = 2 + count + len;
        return 0;
}

/* ---- controls: RFC 4511 section 4.1.11 ---- */

static int paged_parse(struct bytes value, struct ldap_request *request)
{
        CLEANUP(reader_done) struct reader reader = {0}, inside = {0};
        struct bytes sequence;

        reader_init(&reader, value);
        TRY(reader_take(&reader, BER_SEQUENCE, &sequence));
        if (!reader_at_end(&reader) || request->paged.asked)
                return refuse(PROBLEM_MALFORMED, "There is more than one size of pages.");
        reader_init(&inside, sequence);
        TRY(reader_number(&inside, BER_INTEGER, LDAP_NUMBER_MOST, &request->paged.size));
        TRY(reader_take(&inside, BER_OCTETS, &request->paged.cookie));
        if (!reader_at_end(&inside))
                return refuse(PROBLEM_MALFORMED, "There is something after the cookie of a page.");
        request->paged.asked = true;
        return 0;
}

static int control_parse(struct bytes encoded, struct ldap_request *request)
{
        CLEANUP(reader_done) struct reader reader = {0};
        struct bytes name, value = BYTES_NONE;
        bool critical = false;

        reader_init(&reader, encoded);
        TRY(reader_take(&reader, BER_OCTETS, &name));
        if (!reader_at_end(&reader) && reader.left.data[0] == BER_BOOLEAN)
                TRY(reader_flag(&reader, &critical));
        if (!reader_at_end(&reader))
                TRY(reader_take(&reader, BER_OCTETS, &value));
        if (!reader_at_end(&reader))
                return refuse(PROBLEM_MALFORMED, "There is something after the value of a control.");
        if (request->operation == LDAP_SEARCH && bytes_equal(name, bytes_text(OID_PAGED_RESULTS)))
                return PASS(paged_parse(value, request));
        request->critical_unknown = request->critical_unknown || critical;
        return 0;
}

static int controls_parse(struct bytes encoded, struct ldap_request *request)
{
        CLEANUP(reader_done) struct reader reader = {0};

        reader_init(&reader, encoded);
        for (size_t i = 0; !reader_at_end(&reader); i++) {
                struct bytes control;

                if (i == CONTROLS_MOST)
                        return refuse(PROBLEM_MALFORMED, "There are more than %d controls.", CONTROLS_MOST);
                TRY(reader_take(&reader, BER_SEQUENCE, &control));
                TRY(control_parse(control, request));
        }
        return 0;
}

/* ---- operations ---- */

static int bind_parse(struct reader *reader, struct ldap_request *request)
{
        struct element credentials;

        TRY(reader_number(reader, BER_INTEGER, 127, &request->bind.version));
        TRY(reader_take(reader, BER_OCTETS, &request->bind.name));
        TRY(reader_next(reader, &credentials));
        request->bind.simple = credentials.tag == TAG_SIMPLE;
        if (request->bind.simple)
                request->bind.password = credentials.content;
        return 0;
}

static int attributes_parse(struct reader *reader, struct ldap_request *request)
{
        CLEANUP(reader_done) struct reader inside = {0};
        struct bytes list, name;

        TRY(reader_take(reader, BER_SEQUENCE, &list));
        reader_init(&inside, list);
        while (!reader_at_end(&inside)) {
                if (request->search.attribute_count == ATTRIBUTES_MOST)
                        return refuse(PROBLEM_MALFORMED, "More than %d attributes are asked for.",
                                      ATTRIBUTES_MOST);
                TRY(reader_take(&inside, BER_OCTETS, &name));
                request->search.attributes = mem_resize(
                    request->search.attributes, request->search.attribute_count + 1, sizeof(struct bytes));
                request->search.attributes[request->search.attribute_count++] = name;
        }
        return 0;
}

static int search_parse(struct reader *reader, struct ldap_request *request)
{
        uint32_t scope, dereference;
        struct element filter;

        TRY(reader_take(reader, BER_OCTETS, &request->search.base));
        TRY(reader_number(reader, BER_ENUMERATED, SCOPE_SUBTREE, &scope));
        TRY(reader_number(reader, BER_ENUMERATED, 3, &dereference));
        TRY(reader_number(reader, BER_INTEGER, LDAP_NUMBER_MOST, &request->search.size_limit));
        TRY(reader_number(reader, BER_INTEGER, LDAP_NUMBER_MOST, &request->search.time_limit));
        TRY(reader_flag(reader, &request->search.types_only));
        TRY(reader_next(reader, &filter));
        TRY(filter_parse(filter.whole, &request->search.filter));
        request->search.scope = (enum search_scope)scope;
        return PASS(attributes_parse(reader, request));
}

static int extended_parse(struct reader *reader, struct ldap_request *request)
{
        struct bytes value;

        TRY(reader_take(reader, TAG_EXTENDED_NAME, &request->extended));
        request->extended_value = !reader_at_end(reader);
        if (request->extended_value)
                TRY(reader_take(reader, TAG_EXTENDED_VALUE, &value));
        return 0;
}

static int abandon_parse(struct bytes content, struct ldap_request *request)
{
        uint32_t id = 0;

        if (!content.len || content.len > 4 || content.data[0] & 0x80)
                return refuse(PROBLEM_MALFORMED, "What is to be abandoned is no message.");
        for (size_t i = 0; i < content.len; i++)
                id = id << 8 | content.data[i];
        request->abandon = (int32_t)id;
        return 0;
}

static int operation_parse(struct bytes content, struct ldap_request *request)
{
        CLEANUP(reader_done) struct reader reader = {0};

        reader_init(&reader, content);
        switch (request->operation) {
        case LDAP_BIND:
                TRY(bind_parse(&reader, request));
                break;
        case LDAP_SEARCH:
                TRY(search_parse(&reader, request));
                break;
        case LDAP_EXTENDED:
                TRY(extended_parse(&reader, request));
                break;
        case LDAP_ABANDON:
                return PASS(abandon_parse(content, request));
        case LDAP_UNBIND:
        case LDAP_MODIFY:
        case LDAP_ADD:
        case LDAP_DELETE:
        case LDAP_RENAME:
        case LDAP_COMPARE:
                return 0; /* refused whatever they say */
        default:
                return refuse(PROBLEM_MALFORMED, "There is no operation of kind 0x%02x.", request->operation);
        }
        return reader_at_end(&reader) ? 0
                                      : refuse(PROBLEM_MALFORMED, "There is something after the request.");
}

static int message_parse(struct bytes message, struct ldap_request *request)
{
        CLEANUP(reader_done) struct reader outer = {0}, reader = {0};
        struct bytes sequence, controls;
        struct element operation;
        uint32_t id;

        reader_init(&outer, message);
        TRY(reader_take(&outer, BER_SEQUENCE, &sequence));
        if (!reader_at_end(&outer))
                return refuse(PROBLEM_MALFORMED, "There is something after the message.");
        reader_init(&reader, sequence);
        TRY(reader_number(&reader, BER_INTEGER, LDAP_NUMBER_MOST, &id));
        if (!id) /* RFC 4511 section 4.1.1.1: of unsolicited notifications */
                return refuse(PROBLEM_MALFORMED, "A request has the number 0.");
        TRY(reader_next(&reader, &operation));
        request->id = (int32_t)id;
        request->operation = operation.tag;
        request->body = operation.content;
        TRY(operation_parse(operation.content, request));
        if (reader_at_end(&reader))
                return 0;
        TRY(reader_take(&reader, TAG_CONTROLS, &controls));
        return reader_at_end(&reader) ? PASS(controls_parse(controls, request))
                                      : refuse(PROBLEM_MALFORMED, "There is something after the controls.");
}

int ldap_request_parse(struct bytes message, struct ldap_request *ret_request)
{
        CLEANUP(ldap_request_done) struct ldap_request request = {0};

        TRY(message_parse(message, &request));
        *ret_request = request;
        request = (struct ldap_request){0};
        return 0;
}

void ldap_request_done(struct ldap_request *request)
{
        filter_done(&request->search.filter);
        free(request->search.attributes);
        *request = (struct ldap_request){0};
}
