/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/addressees.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/ldap-find.h"
#include "cli/terminal.h"
#include "crypto/crl.h"

void addressees_done(struct addressees *addressees)
{
        for (size_t i = 0; i < addressees->addresses.count; i++)
                free(addressees->addresses.at[i]);
        free(addressees->addresses.at);
        cert_list_done(&addressees->certificates);
        cert_list_done(&addressees->hints);
        free(addressees->capabilities);
        free(addressees->recipients);
        free(addressees->fetched);
        *addressees = (struct addressees){0};
}

static int add_address(struct msg_texts *addresses, const char *text)
{
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        if (address_parse(bytes_text(text), &key) != 0)
                return refuse(PROBLEM_USAGE, "\"%s\" is no mail address.", text);
        if (!msg_texts_have(addresses, buf_text(&key)))
                msg_texts_add(addresses, buf_text(&key));
        return 0;
}

/* The newest that is valid now. */
static const struct msg_certificate_item *best_of(const struct msg_address_certificates *found)
{
        const struct msg_certificate_item *best = NULL;
        int64_t now = clock_now();

        for (size_t i = 0; i < found->certificates.count; i++) {
                const struct msg_certificate_item *item = &found->certificates.at[i];
                if (item->not_before <= now && now <= item->not_after &&
                    (!best || item->not_before > best->not_before))
                        best = item;
        }
        return best;
}

/* Each may have a reason of his own. */
static void missing_add(struct buf *missing, const char *address, const char *why)
{
        buf_add_format(missing, "%s%s", missing->len ? ", " : "", address);
        if (why)
                tell("%s cannot be written to with what is at %s", address, why);
}

static int hints_take(struct addressees *addressees, const struct found_certificates *found)
{
        for (size_t i = 0; i < found->hints.count; i++)
                TRY(cert_list_add(&addressees->hints, buf_view(&found->hints.items[i].der)));
        return 0;
}

static int take_found(struct addressees *addressees, const struct found_certificates *found, struct buf *missing)
{
        addressees->capabilities = mem_array(addressees->addresses.count + 1, sizeof(unsigned));
        for (size_t i = 0; i < addressees->addresses.count; i++) {
                const struct msg_certificate_item *item = best_of(&found[i].found);
                if (!item) {
                        missing_add(missing, addressees->addresses.at[i], found[i].why);
                        continue;
                }
                TRY(cert_list_add(&addressees->certificates, buf_view(&item->der)));
                TRY(hints_take(addressees, &found[i]));
                addressees->capabilities[i] = found[i].capabilities;
                addressees->fetched =
                    mem_resize(addressees->fetched, addressees->certificates.count, sizeof(int64_t));
                addressees->fetched[addressees->certificates.count - 1] = found[i].from_cache ? found[i].fetched : 0;
        }
        return 0;
}

/* Our server first; then, whom it does not know, in the directories that the user named. */
static int ask_all(const struct arguments *arguments, struct session *session, bool refresh,
                   const struct addressees_trust *trust, const struct msg_texts *addresses, struct found_certificates *found)
{
        struct msg_texts urls = {0};
        struct ldap_query query = {&urls, trust->roots, trust->intermediates, 0, refresh, trust->offline};
        int r = ldap_urls(arguments, &urls);

        if (!r)
                r = directory_find(session, addresses, refresh, found);
        if (!r && urls.count)
                r = ldap_find(&query, addresses, found);
        for (size_t i = 0; i < urls.count; i++)
                free(urls.at[i]);
        free(urls.at);
        return PASS(r);
}

static int look_up(const struct arguments *arguments, struct session *session, bool refresh,
                   const struct addressees_trust *trust, struct addressees *addressees)
{
        struct found_certificates *found CLEANUP(mem_freep) =
            mem_array(addressees->addresses.count + 1, sizeof(*found));
        CLEANUP(buf_done) struct buf missing = BUF_NONE;
        int r;

        TRY(ask_all(arguments, session, refresh, trust, &addressees->addresses, found));
        r = take_found(addressees, found, &missing);
        for (size_t i = 0; i < addressees->addresses.count; i++)
                found_certificates_done(&found[i]);
        TRY(r);
        if (missing.len && session->away)
                return refuse(PROBLEM_MAIL_NO_RECIPIENT,
                              "Nothing was encrypted: no certificate for %s is kept here, and the server could not be "
                              "asked. %s",
                              buf_text(&missing), session->away);
        if (missing.len)
                return refuse(PROBLEM_MAIL_NO_RECIPIENT,
                              "Nothing was encrypted: there is no valid certificate for %s.", buf_text(&missing));
        return 0;
}

int cert_list_add_file(struct cert_list *list, const char *path)
{
        CLEANUP(buf_done) struct buf file = BUF_NONE;
        int r = file_read(path, 16 << 20, &file);

        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_NOT_FOUND, "There is no file %s.", path);
        TRY(r);
        r = memmem(file.data, file.len, "-----BEGIN", 10) ? cert_list_add_pem(list, buf_view(&file))
                                                          : cert_list_add(list, buf_view(&file));
        return r > 0 ? report_prefix(r, "%s: ", path) : PASS(r);
}

static void make_recipients(struct addressees *addressees)
{
        addressees->count = addressees->certificates.count;
        addressees->recipients = mem_array(addressees->count + 1, sizeof(*addressees->recipients));
        for (size_t i = 0; i < addressees->count; i++)
                addressees->recipients[i] = (struct mail_recipient){
                    .address = i < addressees->addresses.count ? addressees->addresses.at[i] : NULL,
                    .certificate = &addressees->certificates.items[i],
                    .capabilities_known = i < addressees->addresses.count && addressees->capabilities[i],
                    .capabilities = i < addressees->addresses.count ? addressees->capabilities[i] : 0,
                };
}

int addressees_collect(const struct arguments *arguments, struct session *session, bool refresh,
                       const struct addressees_trust *trust, struct addressees *ret_addressees)
{
        CLEANUP(addressees_done) struct addressees addressees = {0};

        for (size_t i = 0; argument_text_at(arguments, "to", i); i++)
                TRY(add_address(&addressees.addresses, argument_text_at(arguments, "to", i)));
        if (!addressees.addresses.count && !argument_count(arguments, "certificate"))
                return refuse(PROBLEM_USAGE, "For whom? The command needs --to ADDRESS or --certificate FILE.");
        if (!argument_flag(arguments, "not-to-self") && session->config.addresses.count)
                TRY(add_address(&addressees.addresses, session->config.addresses.at[0]));
        TRY(look_up(arguments, session, refresh, trust, &addressees));
        for (size_t i = 0; argument_text_at(arguments, "certificate", i); i++)
                TRY(cert_list_add_file(&addressees.certificates, argument_text_at(arguments, "certificate", i)));
        make_recipients(&addressees);
        *ret_addressees = addressees;
        addressees = (struct addressees){0};
        return 0;
}

static int refuse_certificate(const char *address)
{
        char why[512];

        snprintf(why, sizeof(why), "%s", report_text());
        return refuse(PROBLEM_MAIL_NO_RECIPIENT, "Nothing was encrypted: the certificate of %s cannot be used: %s", address, why);
}

/* Without a list that can be had and is the issuer's own nothing is said against a certificate: mail works while the server is down. */
int addressees_check_revocation(const struct addressees_trust *trust, const struct certificate *certificate,
                                const struct certificate *issuer)
{
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        struct crl_entry entry;
        struct crl crl;
        int64_t checked;
        int r;

        if (!certificate->crl_url || !issuer)
                return 0;
        r = directory_crl(&(struct crl_query){trust->http, certificate, trust->offline, issuer}, &der, &checked);
        if (r)
                return r < 0 ? PASS(r) : 0;
        if (crl_parse(buf_view(&der), &crl) != 0 || crl_verify(&crl, issuer) != 0)
                return 0;
        if (crl_find(&crl, certificate->serial, &entry) != 0)
                return 0;
        return refuse(PROBLEM_MAIL_REVOKED, "it is revoked.");
}

/* What came from LDAP directories has our own intermediates among its hints. */
static int check_one(const struct addressees *addressees, size_t index, const struct addressees_trust *trust)
{
        const struct certificate *certificate = &addressees->certificates.items[index], *issuer = NULL;
        const char *address = addressees->addresses.at[index];
        struct chain_query query = {.leaf = certificate,
                                    .intermediates = addressees->hints.count ? &addressees->hints : trust->intermediates,
                                    .roots = trust->roots,
                                    .at = clock_now(),
                                    .purpose = CHAIN_MAIL_RECIPIENT};
        int r = chain_verify(&query, &issuer);

        if (!r)
                r = addressees_check_revocation(trust, certificate, issuer);
        if (r)
                return r < 0 ? PASS(r) : refuse_certificate(address);
        if (!certificate_has_address(certificate, address))
                return refuse(PROBLEM_MAIL_NO_RECIPIENT,
                              "Nothing was encrypted: the certificate that the server gives for %s is for somebody else.",
                              address);
        return 0;
}

int addressees_check(const struct addressees *addressees, const struct addressees_trust *trust)
{
        for (size_t i = 0; i < addressees->addresses.count; i++)
                TRY(check_one(addressees, i, trust));
        return 0;
}
