/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/smimea.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/certificate.h"
#include "crypto/kdf.h"
#include "crypto/name.h"

enum { HASH_LEN = 28 }; /* RFC 8162 section 3 */

/* Without the quotes and backslashes that it is written with, if it is: "al\"ice"@example.org. */
static void local_part_add(struct buf *out, struct bytes local)
{
        bool quoted = local.len >= 2 && local.data[0] == '"' && local.data[local.len - 1] == '"';

        if (!quoted) {
                buf_add_bytes(out, local);
                return;
        }
        for (size_t i = 1; i + 1 < local.len; i++) {
                if (local.data[i] == '\\' && i + 2 < local.len)
                        i++;
                buf_add_byte(out, local.data[i]);
        }
}

/* Letters, digits, hyphens, and dots between them: nothing that means something in a zone file. */
static bool is_host(const char *domain)
{
        return *domain && *domain != '.' && !strstr(domain, "..") && domain[strlen(domain) - 1] != '.' &&
               strspn(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") == strlen(domain);
}

int smimea_name_add(struct buf *out, const char *address)
{
        CLEANUP(buf_done) struct buf ascii = BUF_NONE, local = BUF_NONE;
        const char *at;
        struct digest digest;

        address_to_ascii(address, &ascii);
        at = strrchr(buf_text(&ascii), '@');
        if (!at || !is_host(at + 1))
                return refuse(PROBLEM_MALFORMED, "The domain of %s has no name in DNS.", address);
        local_part_add(&local, bytes_of(ascii.data, (size_t)(at - buf_text(&ascii))));
        digest = sha256(buf_view(&local));
        hex_add(out, bytes_of(digest.data, HASH_LEN));
        buf_add_format(out, "._smimecert.%s.", at + 1);
        return 0;
}

int smimea_data_add(struct buf *out, struct bytes der, enum smimea_form form)
{
        CLEANUP(certificate_done) struct certificate certificate = {0};
        struct digest digest;

        TRY(certificate_parse(der, &certificate));
        buf_add_text(out, form == SMIMEA_KEY ? "3 1 1 " : "3 0 0 ");
        digest = sha256(certificate.spki);
        hex_add(out, form == SMIMEA_KEY ? digest_view(&digest) : der);
        return 0;
}
