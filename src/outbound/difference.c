/* SPDX-License-Identifier: Apache-2.0 */
#include "outbound/difference.h"

#include <stdlib.h>

#include "base/mem.h"
#include "crypto/smime.h"

void difference_done(struct difference *difference)
{
        free(difference->remove);
        free(difference->add);
        free(difference->result);
        *difference = (struct difference){0};
}

static bool issued_by(const struct certificate *certificate, const struct cert_list *issuers)
{
        for (size_t i = 0; i < issuers->count; i++)
                if (bytes_equal(certificate->issuer, issuers->items[i].subject) && certificate->authority_key_id.len &&
                    bytes_equal(certificate->authority_key_id, issuers->items[i].subject_key_id))
                        return true;
        return false;
}

static int certificate_of(enum value_kind kind, struct bytes value, struct certificate *ret_certificate)
{
        struct smime smime;

        if (kind == VALUE_CERTIFICATE)
                return PASS(certificate_parse(value, ret_certificate));
        TRY(smime_parse(value, &smime));
        return PASS(smime_signer(&smime, ret_certificate));
}

bool value_is_ours(enum value_kind kind, struct bytes value, const struct cert_list *issuers)
{
        CLEANUP(certificate_done) struct certificate certificate = {0};

        if (certificate_of(kind, value, &certificate) == 0)
                return issued_by(&certificate, issuers);
        report_clear();
        return false;
}

static bool among(struct bytes value, const struct bytes *values, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (bytes_equal(value, values[i]))
                        return true;
        return false;
}

void difference_make(enum value_kind kind, const struct bytes *current, size_t current_count,
                     const struct bytes *desired, size_t desired_count, const struct cert_list *issuers,
                     struct difference *ret_difference)
{
        struct difference difference = {
            .remove = mem_array(current_count + 1, sizeof(struct bytes)),
            .add = mem_array(desired_count + 1, sizeof(struct bytes)),
            .result = mem_array(current_count + desired_count + 1, sizeof(struct bytes)),
        };

        for (size_t i = 0; i < current_count; i++)
                if (!among(current[i], desired, desired_count) && value_is_ours(kind, current[i], issuers))
                        difference.remove[difference.remove_count++] = current[i];
                else
                        difference.result[difference.result_count++] = current[i];
        for (size_t i = 0; i < desired_count; i++)
                if (!among(desired[i], difference.result, difference.result_count)) {
                        difference.add[difference.add_count++] = desired[i];
                        difference.result[difference.result_count++] = desired[i];
                }
        *ret_difference = difference;
}
