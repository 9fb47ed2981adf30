/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smime_put: the userSMIMECertificate that a user's client has made. Signature keys are on users' machines alone, so
 * nobody else could make it. It is public and speaks for itself: whoever brings it, it is taken only if it is signed by
 * the signature key whose certificate is the user's now, and holds his certificates and the CA's, and nothing else.
 */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/smime.h"
#include "engine/people.h"
#include "engine/publication.h"

enum { CHANGE_LEAST = 60 /* seconds between two that differ in nothing but themselves */ };

/* A certificate of the value as it was issued; PROBLEM_FORBIDDEN unless it is valid now. */
static int issued_find(struct engine *engine, struct bytes der, struct certificate_row *ret_row)
{
        CLEANUP(certificate_done) struct certificate certificate = {0};
        uint8_t serial[SERIAL_SIZE] = {0};
        int64_t now = engine_now(engine);
        int r = PROBLEM_NOT_FOUND;

        TRY(certificate_parse(der, &certificate));
        if (certificate.serial.len <= SERIAL_SIZE) {
                memcpy(serial + SERIAL_SIZE - certificate.serial.len, certificate.serial.data, certificate.serial.len);
                r = store_certificate_find(engine->store, serial, ret_row);
        }
        if (r == PROBLEM_NOT_FOUND || (r == 0 && !bytes_equal(buf_view(&ret_row->der), der)))
                return refuse(PROBLEM_FORBIDDEN,
                              "The userSMIMECertificate holds a certificate that this server did not issue.");
        TRY(r);
        if (ret_row->state != CERTIFICATE_VALID || ret_row->not_before > now || ret_row->not_after < now)
                return refuse(PROBLEM_STATE,
                              "The userSMIMECertificate holds a certificate that is revoked, superseded or expired.");
        return 0;
}

static bool of_authority(const struct engine *engine, struct bytes der)
{
        return bytes_equal(der, buf_view(&engine->trust.root)) || bytes_equal(der, buf_view(&engine->trust.issuer));
}

/* The signer's, one to encrypt for of the same user, and the CA's: nothing else goes into the directory in his name. */
static int certificates_check(struct engine *engine, const struct smime *smime, struct smime_row *row)
{
        bool signature = false, encryption = false;

        for (size_t i = 0; i < smime->certificate_count; i++) {
                CLEANUP(certificate_row_done) struct certificate_row issued = {0};

                if (of_authority(engine, smime->certificates[i]))
                        continue;
                TRY(issued_find(engine, smime->certificates[i], &issued));
                if (issued.kind == CERTIFICATE_SIGNATURE && !signature) {
                        signature = true;
                        memcpy(row->signature_serial, issued.serial, SERIAL_SIZE);
                } else if (issued.kind == CERTIFICATE_ENCRYPTION && !encryption) {
                        encryption = true;
                        memcpy(row->encryption_serial, issued.serial, SERIAL_SIZE);
                } else {
                        return refuse(PROBLEM_FORBIDDEN,
                                      "The userSMIMECertificate holds more than one certificate of a kind.");
                }
                if (!id_is_none(&row->user) && !id_equal(&row->user, &issued.user))
                        return refuse(PROBLEM_FORBIDDEN,
                                      "The userSMIMECertificate holds certificates of different people.");
                row->user = issued.user;
        }
        if (!signature || !encryption)
                return refuse(PROBLEM_MALFORMED, "The userSMIMECertificate lacks one of the user's two certificates.");
        return 0;
}

static int signer_check(struct engine *engine, const struct smime *smime, const struct smime_row *row)
{
        CLEANUP(certificate_done) struct certificate signer = {0};
        CLEANUP(certificate_row_done) struct certificate_row issued = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        TRY(smime_signer(smime, &signer));
        TRY(store_certificate_find(engine->store, row->signature_serial, &issued));
        if (!bytes_equal(buf_view(&issued.der), buf_view(&signer.der)))
                return refuse(PROBLEM_FORBIDDEN, "The userSMIMECertificate is not signed by the user's signature key.");
        TRY(pkey_from_spki(signer.spki, &key));
        return PASS(smime_verify(smime, key));
}

static int value_check(struct request *request, struct bytes value, struct smime_row *row)
{
        CLEANUP(user_row_done) struct user_row user = {0};
        struct smime smime;

        TRY(smime_parse(value, &smime));
        TRY(certificates_check(request->engine, &smime, row));
        TRY(signer_check(request->engine, &smime, row));
        TRY(store_user_find(request->engine->store, &row->user, &user));
        request_subject(request, "%s", user.address);
        if (!request->is_operator && !id_equal(&row->user, &request->ticket_user))
                return refuse(PROBLEM_FORBIDDEN, "The userSMIMECertificate is another user's than the ticket.");
        if (!request->is_operator)
                request_actor(request, "user:%s", user.address);
        return 0;
}

/* Each is a change of the directory: who makes one after the other is held up. */
static int value_store(struct request *request, struct smime_row *row, bool *ret_changed)
{
        struct engine *engine = request->engine;
        CLEANUP(smime_row_done) struct smime_row kept = {0};
        int r = store_smime_find(engine->store, &row->user, &kept);

        if (r && r != PROBLEM_NOT_FOUND)
                return PASS(r);
        if (r == 0 && bytes_equal(buf_view(&kept.value), buf_view(&row->value)))
                return 0;
        if (r == 0 && kept.created + CHANGE_LEAST > engine_now(engine) &&
            memcmp(kept.signature_serial, row->signature_serial, SERIAL_SIZE) == 0 &&
            memcmp(kept.encryption_serial, row->encryption_serial, SERIAL_SIZE) == 0)
                return refuse(PROBLEM_TOO_MANY,
                              "The userSMIMECertificate was changed less than a minute ago; try again "
                              "later.");
        row->row = kept.row;
        TRY(store_smime_put(engine->store, row));
        *ret_changed = true;
        return PASS(publication_queue(engine, &row->user));
}

int smime_put_handle(struct request *request)
{
        const struct msg_smime_put *ask = request->message;
        struct msg_smime_taken *reply = request->reply;
        CLEANUP(smime_row_done) struct smime_row row = {.created = engine_now(request->engine)};

        TRY(value_check(request, buf_view(&ask->value), &row));
        buf_add_bytes(&row.value, buf_view(&ask->value));
        TRY(value_store(request, &row, &reply->changed));
        request_details(request, "%s", reply->changed ? "changed" : "as it was");
        return 0;
}
