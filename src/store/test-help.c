/* SPDX-License-Identifier: Apache-2.0 */
#include "store/test-help.h"

#include <stdio.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"

void must(int result)
{
        if (result == 0)
                return;
        fprintf(stderr, "unexpected result %d: %s [%s]\n", result, report_text(), report_trace());
        abort();
}

bool help_pgsql(void)
{
        return getenv("VOUCHSAFE_TEST_DATABASE") != NULL;
}

void help_raw(struct help *help, const char *sql)
{
        CLEANUP(db_close) struct db db = {0};

        must(db_open(&db, help->location, false, false));
        must(db_run(&db, sql));
}

void help_keys(struct help *help)
{
        memset(help->row.data, 1, help->row.len);
        memset(help->column.data, 2, help->column.len);
}

struct help *help_new_unset(void)
{
        struct help *help = NEW(struct help);
        /* In memory where that can be had: hundreds of small commits, each synced, are not what is tested. */
        const char *parent = getenv("VOUCHSAFE_TEST_FOLDER");

        if (!parent)
                parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        help->row = secret_new(32);
        help->column = secret_new(32);
        help_keys(help);
        if (help_pgsql()) {
                help->location = text_copy(getenv("VOUCHSAFE_TEST_DATABASE"));
                help_raw(help, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
        } else {
                help->folder = text_format("%s/test-store-XXXXXX", parent);
                if (!mkdtemp(help->folder))
                        abort();
                help->location = text_format("%s/db", help->folder);
        }
        must(store_open(help->location, STORE_CREATE, &help->store));
        return help;
}

struct help *help_new(void)
{
        struct help *help = help_new_unset();

        must(store_begin(help->store));
        must(store_bootstrap_put(help->store, "server", 1, bytes_text("test server")));
        must(store_bootstrap_put(help->store, "wrap", 1, bytes_text("wrapped")));
        must(store_bootstrap_put(help->store, "trust", 1, bytes_text("trusted")));
        must(store_commit(help->store));
        must(store_set_keys(help->store, &help->row, &help->column));
        must(store_begin(help->store));
        must(store_bootstrap_adopt(help->store));
        help_audit(help->store, "server.initialize", "server");
        must(store_commit(help->store));
        return help;
}

void help_free(struct help *help)
{
        store_free(help->store);
        if (help->folder) {
                char *command = text_format("rm -rf '%s'", help->folder);
                if (system(command) != 0)
                        perror(command);
                free(command);
        }
        secret_done(&help->row);
        secret_done(&help->column);
        free(help->folder);
        free(help->location);
        free(help);
}

void help_reopen(struct help *help)
{
        store_free(help->store);
        help->store = NULL;
        must(store_open(help->location, 0, &help->store));
        must(store_set_keys(help->store, &help->row, &help->column));
}

void help_audit(struct store *store, const char *action, const char *subject)
{
        struct audit_record record = {
            .time = TEST_TIME,
            .actor = bytes_text("operator:test"),
            .action = bytes_text(action),
            .subject = bytes_text(subject),
            .outcome = bytes_text("done"),
        };

        must(store_audit_append(store, &record, NULL));
}

struct id help_id(unsigned table, unsigned number)
{
        struct id id = {{(uint8_t)table}};

        for (int i = 0; i < 4; i++)
                id.data[12 + i] = (uint8_t)(number >> (24 - 8 * i));
        return id;
}

const char *help_address(unsigned number)
{
        static char texts[8][40];
        static unsigned next;
        char *text = texts[next++ % 8];

        snprintf(text, sizeof(texts[0]), "user%u@example.org", number);
        return text;
}

const char *help_selector(unsigned number)
{
        static char texts[8][SELECTOR_SIZE + 1];
        static unsigned next;
        char *text = texts[next++ % 8];

        for (int i = SELECTOR_SIZE - 1; i >= 0; i--, number /= 32)
                text[i] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"[number % 32];
        return text;
}

struct secret help_secret(unsigned number, size_t len)
{
        struct secret secret = secret_new(len);

        memset(secret.data, (int)(number % 251 + 1), len);
        return secret;
}

struct buf help_bytes(unsigned number, size_t len)
{
        struct buf bytes = BUF_NONE;

        for (size_t i = 0; i < len; i++)
                buf_add_byte(&bytes, (uint8_t)(number * 31 + i));
        return bytes;
}

struct user_row help_user(unsigned number)
{
        return (struct user_row){
            .id = help_id(4, number),
            .guid = help_id(3, number),
            .address = text_copy(help_address(number)),
            .cn = text_format("User %u", number),
            .state = USER_NEW,
            .profile = text_copy("default"),
            .created = TEST_TIME,
        };
}

struct entry_row help_entry(unsigned number)
{
        struct entry_row row = {
            .guid = help_id(3, number),
            .kind = ENTRY_PERSON,
            .name = text_format("cn=User %u,ou=Berlin,ou=Sales", number),
            .cn = text_format("User %u", number),
            .given_name = text_copy("User"),
            .surname = text_format("Ünal%u", number),
            .unit = text_copy("Sales/Berlin"),
            .server = text_copy("mail1"),
            .language = text_copy("de"),
            .source = ENTRY_LDAP,
            .updated = TEST_TIME,
            .origin = help_bytes(number, 32),
        };

        must(texts_add(&row.addresses, help_address(number)));
        return row;
}

struct token_row help_token(unsigned number, const struct id *user)
{
        struct token_row row = {
            .kind = TOKEN_ENROLL,
            .user = *user,
            .state = TOKEN_ISSUED,
            .auth = help_secret(number, 32),
            .created = TEST_TIME,
            .expires = TEST_TIME + 1000 + number,
            .attempts_most = 5,
            .issuer = text_copy("test"),
            .profile = text_copy("default"),
        };

        memcpy(row.selector, help_selector(number), SELECTOR_SIZE);
        return row;
}

struct certificate_row help_certificate(unsigned number, const struct id *user, int kind)
{
        struct certificate_row row = {
            .user = *user,
            .kind = kind,
            .state = CERTIFICATE_VALID,
            .issued = TEST_TIME,
            .not_before = TEST_TIME,
            .not_after = TEST_TIME + 1000000,
            .profile = text_copy("default"),
            .der = help_bytes(number, 900),
        };
        struct id serial = help_id((unsigned)kind, number * 2654435761u),
                  hash = help_id((unsigned)kind, number);

        memcpy(row.serial, serial.data + 12, 4);
        row.serial[4] = (uint8_t)kind;
        memcpy(row.spki_hash, hash.data, ID_SIZE);
        must(texts_add(&row.addresses, help_address(number)));
        return row;
}

struct archive_row help_archive(unsigned number, const struct id *user)
{
        struct archive_row row = {
            .id = help_id(9, number),
            .user = *user,
            .state = ARCHIVE_CURRENT,
            .archive_key = 1,
            .created = TEST_TIME,
            .record = help_bytes(number, 250),
        };
        struct id hash = help_id(9, number);

        memcpy(row.spki_hash, hash.data, ID_SIZE);
        return row;
}

struct pool_row help_pool(unsigned number)
{
        return (struct pool_row){
            .id = help_id(10, number),
            .profile = text_copy("default"),
            .created = TEST_TIME,
            .public_key = help_bytes(number, 91),
            .wrapped = help_bytes(number, 200),
        };
}

struct operator_row help_operator(unsigned number)
{
        struct operator_row row = {
            .name = text_format("officer%u", number),
            .cn = text_copy("An Officer"),
            .address = text_copy(help_address(number)),
            .roles = ROLE_OFFICER | ROLE_REGISTRAR,
            .state = OPERATOR_INVITED,
            .share = number,
            .public_key = help_bytes(number, 33),
            .invitation_auth = help_secret(number, 32),
            .invitation_expires = TEST_TIME + 5,
            .invitation_share = help_bytes(number, 100),
            .created = TEST_TIME,
        };

        memcpy(row.invitation, help_selector(1000 + number), SELECTOR_SIZE);
        return row;
}

struct request_row help_request(unsigned number, const struct id *user)
{
        return (struct request_row){
            .id = help_id(11, number),
            .kind = REQUEST_RECOVER,
            .user = *user,
            .state = REQUEST_OPEN,
            .requester = text_copy("officer1"),
            .reason = text_copy("lost laptop"),
            .recipient = help_bytes(number, 33),
            .records = help_bytes(number, 300),
            .created = TEST_TIME,
            .expires = TEST_TIME + 1000,
        };
}
