/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe keys list | export | password | publish */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/home.h"
#include "cli/keystore.h"
#include "cli/session.h"
#include "cli/show.h"
#include "cli/smime.h"
#include "cli/table.h"
#include "crypto/certificate.h"
#include "crypto/pkcs12.h"

struct opened {
        char *folder, *path;
        struct secret password;
        struct msg_key_store store;
};

static void opened_done(struct opened *opened)
{
        free(opened->folder);
        free(opened->path);
        secret_done(&opened->password);
        msg_done(key_store, &opened->store);
}

static int open_store(const struct arguments *arguments, struct opened *opened)
{
        struct password_source source = {"password-file", "password-fd", "Password of your key store", false};

        TRY(user_chosen(arguments, &opened->folder));
        opened->path = text_format("%s/keys", opened->folder);
        if (access(opened->path, F_OK) < 0)
                return refuse(
                    PROBLEM_NOT_FOUND,
                    "There is no key store %s; use \"vouchsafe enroll\", or \"vouchsafe recover\" after a loss.",
                    opened->path);
        TRY(password_get(arguments, &source, &opened->password));
        return PASS(keystore_read(opened->path, &opened->password, &opened->store));
}

/* ---- list ------------------------------------------------------------------------------------------------- */

static void item_of(const struct msg_own_key *key, const struct certificate *certificate,
                    struct msg_certificate_item *ret_item)
{
        CLEANUP(buf_done) struct buf serial = BUF_NONE;

        hex_add(&serial, certificate->serial);
        *ret_item = (struct msg_certificate_item){
            .serial = text_copy(buf_text(&serial)),
            .kind = text_copy(msg_text(key->kind)),
            .state = text_copy(certificate->not_after < clock_now() ? "expired" : "valid"),
            .not_before = certificate->not_before,
            .not_after = certificate->not_after,
            .der = buf_copy_of(buf_view(&key->certificate)),
        };
}

static int list(struct arguments *arguments)
{
        CLEANUP(opened_done) struct opened opened = {0};
        MSG_OWN(user_shown) shown = {0};
        CLEANUP(table_freep)
        struct table *table =
            table_new((const char *const[]){"Kind", "Type", "From", "Until", "Address", "Serial", NULL});

        TRY(open_store(arguments, &opened));
        for (size_t i = 0; i < opened.store.keys.count; i++) {
                CLEANUP(certificate_done) struct certificate certificate = {0};
                enum pkey_type type = PKEY_NONE;
                char from[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];
                struct msg_certificate_item *item;
                TRY(certificate_parse(buf_view(&opened.store.keys.at[i].certificate), &certificate));
                TRY(spki_type(certificate.spki, &type));
                item = MSG_LIST_ADD(shown.certificates);
                item_of(&opened.store.keys.at[i], &certificate, item);
                table_row(table,
                          (const char *const[]){item->kind, pkey_type_name(type), time_short(item->not_before, from),
                                                time_short(item->not_after, until),
                                                certificate.address_count ? certificate_address(&certificate, 0) : "",
                                                item->serial});
        }
        if (argument_json(arguments))
                return PASS(show_json_of(user_shown, &shown));
        table_print(table, "The key store is empty.");
        return 0;
}

/* ---- export ----------------------------------------------------------------------------------------------- */

struct entries {
        struct pkcs12_entry *at;
        size_t count;
};

static void entries_done(struct entries *entries)
{
        for (size_t i = 0; i < entries->count; i++)
                EVP_PKEY_free(entries->at[i].key);
        free(entries->at);
}

static void add_entry(struct entries *entries, EVP_PKEY *key, struct bytes certificate, const char *name)
{
        entries->at = mem_resize(entries->at, entries->count + 1, sizeof(*entries->at));
        entries->at[entries->count++] = (struct pkcs12_entry){key, certificate, name};
}

/* What of the history is wanted. */
struct choice {
        const char *kind; /* NULL: both */
        bool current_only;
};

static int choice_of(const struct arguments *arguments, struct choice *ret_choice)
{
        const char *kind = argument_text(arguments, "kind");

        if (kind && strcmp(kind, "signature") != 0 && strcmp(kind, "encryption") != 0)
                return refuse(PROBLEM_USAGE, "--kind takes signature or encryption, not \"%s\".", kind);
        *ret_choice = (struct choice){kind, argument_flag(arguments, "current")};
        return 0;
}

static int collect(const struct opened *opened, const struct msg_client_config *config, const struct choice *choice,
                   struct entries *entries)
{
        bool seen_signature = false, seen_encryption = false;

        for (size_t i = 0; i < opened->store.keys.count; i++) {
                const struct msg_own_key *own = &opened->store.keys.at[i];
                bool *seen = strcmp(msg_text(own->kind), "signature") == 0 ? &seen_signature : &seen_encryption;
                EVP_PKEY *key = NULL;
                if ((choice->current_only && *seen) || (choice->kind && strcmp(choice->kind, msg_text(own->kind)) != 0))
                        continue;
                *seen = true;
                TRY(pkey_from_pkcs8(secret_view(&own->private_key), &key));
                add_entry(entries, key, buf_view(&own->certificate), config->name);
        }
        if (config->issuer.len)
                add_entry(entries, NULL, buf_view(&config->issuer), NULL);
        if (config->root.len)
                add_entry(entries, NULL, buf_view(&config->root), NULL);
        return 0;
}

static int profile_of(const struct arguments *arguments, enum pkcs12_profile *ret_profile)
{
        const char *profile = argument_text(arguments, "profile");

        if (!profile || strcmp(profile, "modern") == 0)
                *ret_profile = PKCS12_MODERN;
        else if (strcmp(profile, "legacy") == 0)
                *ret_profile = PKCS12_LEGACY;
        else
                return refuse(PROBLEM_USAGE, "--profile takes modern or legacy, not \"%s\".", profile);
        return 0;
}

static int export(struct arguments *arguments)
{
        size_t count;
        struct password_source source = {"export-password-file", "export-password-fd", "Password for the file", true};
        CLEANUP(opened_done) struct opened opened = {0};
        CLEANUP(entries_done) struct entries entries = {0};
        CLEANUP(secret_done) struct secret password = SECRET_NONE;
        CLEANUP(buf_done) struct buf der = BUF_NONE;
        MSG_OWN(client_config) config = {0};
        char *config_path CLEANUP(mem_freep) = NULL;
        const char *out = operand(arguments, 0);
        enum pkcs12_profile profile = PKCS12_MODERN;
        struct choice choice = {0};

        TRY(profile_of(arguments, &profile));
        TRY(choice_of(arguments, &choice));
        if (access(out, F_OK) == 0 && !argument_flag(arguments, "force"))
                return refuse(PROBLEM_EXISTS, "The file %s is there already; --force writes over it.", out);
        TRY(open_store(arguments, &opened));
        config_path = text_format("%s/config", opened.folder);
        TRY(home_record_read(config_path, msg_record_client_config(), &config));
        TRY(password_get(arguments, &source, &password));
        TRY(collect(&opened, &config, &choice, &entries));
        TRY(pkcs12_write(entries.at, entries.count, profile, &password, &der));
        TRY(file_write(out, buf_view(&der), 0600));
        count = entries.count - (config.issuer.len > 0) - (config.root.len > 0);
        if (argument_json(arguments))
                say("{\"keys\":%zu}", count);
        else
                say("%zu %s of %s: written to %s.", count, count == 1 ? "key" : "keys", msg_text(config.name), out);
        return 0;
}

/* ---- password --------------------------------------------------------------------------------------------- */

static int password(struct arguments *arguments)
{
        struct password_source source = {"new-password-file", "new-password-fd", "Password for your key store", true};
        CLEANUP(opened_done) struct opened opened = {0};
        CLEANUP(secret_done) struct secret new = SECRET_NONE;
        CLEANUP(fd_closep) int lock = -1;
        char *folder CLEANUP(mem_freep) = NULL;

        TRY(home_path(&folder, "pending"));
        TRY(home_lock(folder, &lock));
        TRY(open_store(arguments, &opened));
        TRY(password_get(arguments, &source, &new));
        TRY(keystore_write(opened.path, &new, &opened.store));
        if (argument_json(arguments))
                say("{}");
        else
                say("The key store has a new password.");
        return 0;
}

static const struct command_option list_options[] = {OPTION_USER, OPTIONS_PASSWORD, OPTIONS_END};
static const struct command_option export_options[] = {
    OPTION_USER,
    {"profile", "modern|legacy",
     "modern (default): AES-256, for all of today; legacy: 3DES, for old Apple and gpgsm 2.2", 0, false},
    {"kind", "signature|encryption", "only keys of this kind, for programs that take one key a file", 0, false},
    {"current", NULL, "only the newest key of each kind, not the history", 0, false},
    {"force", NULL, "write over a file that is there", 'f', false},
    {"export-password-file", "FILE", "read the password for the file from the first line of FILE", 0, false},
    {"export-password-fd", "N", "read it from file descriptor N", 0, false},
    OPTIONS_PASSWORD,
    OPTIONS_END,
};
static const struct command_option password_options[] = {
    OPTION_USER,
    {"new-password-file", "FILE", "read the new password from the first line of FILE", 0, false},
    {"new-password-fd", "N", "read it from file descriptor N", 0, false},
    OPTIONS_PASSWORD,
    OPTIONS_END,
};

const struct command command_keys_list = {
    .noun = "keys",
    .verb = "list",
    .summary = "List the keys of your key store, the newest first",
    .operands = "",
    .options = list_options,
    .examples = "  vouchsafe keys list\n",
    .run = list,
};

const struct command command_keys_export = {
    .noun = "keys",
    .verb = "export",
    .summary = "Write keys and certificates to a PKCS#12 file, for other mail programs",
    .operands = "FILE",
    .least = 1,
    .most = 1,
    .options = export_options,
    .examples = "  vouchsafe keys export me.p12\n  vouchsafe keys export me.p12 --profile legacy --current\n",
    .run = export,
};

const struct command command_keys_password = {
    .noun = "keys",
    .verb = "password",
    .summary = "Change the password of your key store",
    .operands = "",
    .options = password_options,
    .examples = "  vouchsafe keys password\n",
    .run = password,
};

/* ---- publish ---------------------------------------------------------------------------------------------- */

static int publish(struct arguments *arguments)
{
        unsigned capabilities = SMIME_CAPABILITIES;
        CLEANUP(opened_done) struct opened opened = {0};
        CLEANUP(session_done) struct session session = {0};
        int r;

        if (argument_flag(arguments, "gcm"))
                capabilities |= MAIL_READS_AES256_GCM | MAIL_READS_AES128_GCM;
        TRY(open_store(arguments, &opened));
        TRY(session_user(arguments, &session));
        TRY(smime_make(opened.folder, &session.config, &opened.store, capabilities));
        r = smime_hand_in(&session.server, opened.folder);
        if (r == PROBLEM_TOO_MANY || r == PROBLEM_UNREACHABLE || r == PROBLEM_TIMEOUT || r == PROBLEM_SEALED || r == PROBLEM_BUSY)
                tell("It is kept here, and handed in with a later command that asks the server.");
        TRY(r);
        say("The server has what mail programs are to find of your keys in the directory.");
        return 0;
}

static const struct command_option publish_options[] = {
    OPTION_USER,
    {"gcm", NULL, "your mail program reads AES-GCM", 0, false},
    OPTIONS_PASSWORD,
    OPTIONS_END,
};

const struct command command_keys_publish = {
    .noun = "keys",
    .verb = "publish",
    .summary = "Hand in anew what the directory says of your keys",
    .operands = "",
    .options = publish_options,
    .about = "Mail programs read there (userSMIMECertificate) whom to encrypt for, and how. It is signed by you and handed in by\n"
             "itself when you enroll; this is for changing what your mail program is said to read, and for making sure.\n",
    .examples = "  vouchsafe keys publish\n  vouchsafe keys publish --gcm\n",
    .run = publish,
};
