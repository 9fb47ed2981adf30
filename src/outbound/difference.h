/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What has to change on an attribute of an entry so that it has our values as they should be. A value is ours when it
 * is a certificate, or a userSMIMECertificate signed with one, that names one of our issuers by name and key.
 * Everything else is somebody else's: other issuers', what cannot be parsed, what is not strictly encoded; it is never
 * among the changes. Pure.
 */
#include "crypto/certificate.h"
#include "wire/message.h"

enum value_kind { VALUE_CERTIFICATE, VALUE_SMIME };

/* Views into the values that it was made of. */
struct difference {
        struct bytes *remove, *add;
        size_t remove_count, add_count;
        struct bytes
            *result; /* what the attribute has afterwards: somebody else's, ours that stay, those to be added */
        size_t result_count;
};
void difference_done(struct difference *difference);
static inline bool difference_is_none(const struct difference *difference)
{
        return difference->remove_count == 0 && difference->add_count == 0;
}

bool value_is_ours(enum value_kind kind, struct bytes value, const struct cert_list *issuers);
/* From what is there and what should be. What should be and is there stays untouched. */
void difference_make(enum value_kind kind, const struct bytes *current, size_t current_count,
                     const struct bytes *desired, size_t desired_count, const struct cert_list *issuers,
                     struct difference *ret_difference);
