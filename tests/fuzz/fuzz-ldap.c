/* SPDX-License-Identifier: Apache-2.0 */
/* What LDAP clients send: parts lie in the input, and whoever matches a filter is found by what the index is
 * asked for it. */
#include <stdlib.h>

#include "ldapd/match.h"
#include "ldapd/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct bytes part, struct bytes whole)
{
        if (part.len && (part.data < whole.data || part.data + part.len > whole.data + whole.len))
                abort();
}

static void check_search(const struct ldap_request *request, struct bytes whole)
{
        const struct filter *filter = &request->search.filter;

        check_inside(request->search.base, whole);
        for (size_t i = 0; i < request->search.attribute_count; i++)
                check_inside(request->search.attributes[i], whole);
        for (size_t i = 0; i < filter->count; i++) {
                check_inside(filter->nodes[i].value, whole);
                if (filter->nodes[i].end <= i || filter->nodes[i].end > filter->count)
                        abort();
        }
}

static void check_match(const struct ldap_request *request)
{
        char *addresses[] = {(char[]){"alice@example.org"}};
        struct msg_lookup_person person = {
            .name = (char[]){"Alice Liddell-Große"},
            .given_name = (char[]){"Alice"},
            .surname = (char[]){"  İlk\u200b Ünal"},
            .addresses = {addresses, 1},
            .unit = (char[]){"Sales"},
        };
        struct entry entry = {0};
        struct plan plan = {0};
        struct buf out = BUF_NONE;

        entry_person(&person, "Example", "o=Example", &entry);
        plan_make(&request->search.filter, &plan);
        if (filter_match(&request->search.filter, &entry) == TRUTH_TRUE &&
            !plan_finds(&plan, plan.count, &person))
                abort();
        reply_entry(&out, request, &entry);
        reply_page(&out, request, &(struct outcome){0}, request->paged.cookie);
        buf_done(&out);
        entry_done(&entry);
        plan_done(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct ldap_request request;
        size_t len;

        if (ldap_frame(bytes_of(data, size), &len) == 0 && len > MESSAGE_MOST + 6)
                abort();
        /* In memory of its own, with a byte behind it, as the service has it. */
        struct buf message = buf_copy_of(bytes_of(data, size));

        if (ldap_request_parse(buf_view(&message), &request) == 0) {
                if (request.operation == LDAP_SEARCH) {
                        check_search(&request, buf_view(&message));
                        check_match(&request);
                }
                ldap_request_done(&request);
        }
        buf_done(&message);
        return 0;
}
