/* SPDX-License-Identifier: Apache-2.0 */
/* What is signed for everybody to read: the revocation list and heads of the audit chain. */
#include "keeper/internal.h"

#include "base/mem.h"
#include "crypto/crl.h"
#include "model/audit.h"

enum { ENTRY_SIZE = SERIAL_SIZE + 8 + 1 };

/* RFC 5280, 5.3.1: 7 is not used; 8 (removeFromCRL) is for delta lists alone. */
static bool reason_is_right(uint8_t reason)
{
        return reason <= 10 && reason != 7 && reason != 8;
}

static int entries_read(struct bytes packed, struct crl_entry *entries)
{
        for (size_t i = 0; i < packed.len / ENTRY_SIZE; i++) {
                const uint8_t *place = packed.data + i * ENTRY_SIZE;

                memcpy(entries[i].serial, place, SERIAL_SIZE);
                entries[i].time = (int64_t)u64_of(place + SERIAL_SIZE);
                entries[i].reason = place[SERIAL_SIZE + 8];
                if (entries[i].time < 0 || !reason_is_right(entries[i].reason))
                        return refuse(PROBLEM_MALFORMED,
                                      "Entry %zu of the revocation list has no such time or reason.", i + 1);
                if (i && memcmp(entries[i - 1].serial, entries[i].serial, SERIAL_SIZE) >= 0)
                        return refuse(PROBLEM_MALFORMED,
                                      "Entry %zu of the revocation list is not in the order of serials.", i + 1);
        }
        return 0;
}

int handle_crl(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        MSG_OWN(keeper_crl) request = {0};
        MSG_OWN(keeper_crl_signed) answer = {0};
        CLEANUP(mem_freep) struct crl_entry *entries = NULL;
        struct crl_template template;

        TRY(msg_decode(keeper_crl, payload, &request));
        if (request.entries.len % ENTRY_SIZE || request.next_update <= request.this_update)
                return refuse(PROBLEM_MALFORMED,
                              "The entries of the revocation list, or its times, are not of their form.");
        entries = mem_array(request.entries.len / ENTRY_SIZE, sizeof(*entries));
        TRY(entries_read(buf_view(&request.entries), entries));
        /* For all certificates, also those that name the place where it was before [server] url was changed: so it names none. */
        template = (struct crl_template){
                .issuer = keeper->authority.issuer.subject,
                .issuer_key_id = keeper->authority.issuer_key_id,
                .issuer_type = pkey_type_of(keeper->authority.issuer_key),
                .this_update = request.this_update,
                .next_update = request.next_update,
                .number = request.number,
                .keeps_expired = true,
                .entries = entries,
                .entry_count = request.entries.len / ENTRY_SIZE,
        };
        TRY(crl_make(&template, keeper->authority.issuer_key, &answer.crl));
        return PASS(reply_with(reply, keeper_crl_signed, &answer));
}

int handle_head(struct keeper *keeper, struct bytes payload, struct keeper_reply *reply)
{
        MSG_OWN(keeper_head) request = {0};
        MSG_OWN(keeper_head_signed) answer = {0};
        CLEANUP(buf_done) struct buf message = BUF_NONE;
        struct audit_head head;

        TRY(msg_decode(keeper_head, payload, &request));
        if (request.hash.len != sizeof(head.hash))
                return refuse(PROBLEM_MALFORMED, "The hash of an audit record has %zu bytes instead of %zu.",
                              request.hash.len, sizeof(head.hash));
        head = (struct audit_head){.seq = (int64_t)request.sequence, .time = request.time};
        memcpy(head.hash, request.hash.data, sizeof(head.hash));
        audit_head_message(bytes_text(msg_text(keeper->trust.public.server_id)), &head, &message);
        TRY(pkey_sign(keeper->authority.audit_key, buf_view(&message), &answer.signature));
        return PASS(reply_with(reply, keeper_head_signed, &answer));
}
