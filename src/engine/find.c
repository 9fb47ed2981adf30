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

/* Mail has A-labels, directories have what people write: either is found by the other. *address becomes what the entry has. */
static int entry_find(const struct engine *engine, struct buf *address, struct entry_row *ret_entry)
{
        CLEANUP(buf_done) struct buf ascii = BUF_NONE, unicode = BUF_NONE;
        int r = store_entry_find_address(engine->store, buf_text(address), ret_entry);
        bool is_unicode;

        if (r != PROBLEM_NOT_FOUND)
                return PASS(r);
        address_to_ascii(buf_text(address), &ascii);
        address_to_unicode(buf_text(&ascii), &unicode);
        is_unicode = bytes_equal(buf_view(&unicode), buf_view(address));
        buf_done(address);
        *address = buf_take(is_unicode ? &ascii : &unicode);
        return PASS(store_entry_find_address(engine->store, buf_text(address), ret_entry));
}

static int find_one(struct request *request, const char *text)
{
        struct msg_certificate_found *reply = request->reply;
        MSG_OWN(address_certificates) found = {0};
        CLEANUP(buf_done) struct buf address = BUF_NONE;
        CLEANUP(entry_row_done) struct entry_row entry = {0};
        int r;

        TRY(address_parse(bytes_text(text), &address));
        r = entry_find(request->engine, &address, &entry);
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
