/* SPDX-License-Identifier: Apache-2.0 */
/* certificate_find: the encryption certificates of mail addresses, for who has a ticket. */
#include "base/mem.h"
#include "base/text.h"
#include "crypto/name.h"
#include "engine/people.h"

enum { FOUND_MOST = 16 };

static int found_add(void *context, struct certificate_row *row)
{
        struct msg_address_certificates *found = context;

        if (found->certificates.count >= FOUND_MOST)
                return 0;
        return PASS(certificate_item_fill(row, true, MSG_LIST_ADD(found->certificates)));
}

static int find_one(struct request *request, const char *text)
{
        struct msg_certificate_found *reply = request->reply;
        MSG_OWN(address_certificates) found = {0};
        CLEANUP(buf_done) struct buf parsed = BUF_NONE, address = BUF_NONE;
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        int r;

        TRY(address_parse(bytes_text(text), &parsed));
        r = address_key(bytes_text(text), &address); /* mail has A-labels, directories have what people write */
        if (r == PROBLEM_MALFORMED) { /* nobody here has it; somebody elsewhere may */
                report_clear();
                return 0;
        }
        TRY(r);
        r = store_entry_find_address(request->engine->store, buf_text(&address), &entry);
        if (r == PROBLEM_NOT_FOUND || (r == 0 && entry.gone))
                return 0; /* who left has the address no more, whoever gets it */
        TRY(r);
        r = store_certificate_list_address(request->engine->store, buf_text(&address), engine_now(request->engine),
                                           &found, found_add);
        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (!found.certificates.count)
                return 0;
        found.address = text_copy(text);
        *MSG_LIST_ADD(reply->found) = found;
        found = (struct msg_address_certificates){0};
        return 0;
}

int certificate_find_handle(struct request *request)
{
        const struct msg_certificate_find *ask = request->message;

        request_subject(request, "%s", ask->addresses.count ? ask->addresses.at[0] : "");
        for (size_t i = 0; i < ask->addresses.count; i++)
                TRY(find_one(request, ask->addresses.at[i]));
        return 0;
}
