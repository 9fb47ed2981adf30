/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory as the server sees it, for tests: ldap-tool CONFIG read DN | search FILTER | password DN
 * (from standard input) | add DN ATTRIBUTE VALUE | delete DN ATTRIBUTE VALUE | supports OID. Prints the
 * server that answered, then what was found.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ldap/settings.h"

static int print_entry(void *context, struct ldap_entry *entry)
{
        unsigned *count = context;

        (*count)++;
        printf("%s\n", entry->dn);
        for (size_t i = 0; i < entry->count; i++)
                printf("  %s %zu\n", entry->attributes[i].type, entry->attributes[i].count);
        return 0;
}

static int search(struct ldap_connection *connection, const char *filter)
{
        static const char *const attributes[] = {"cn", "mail", NULL};
        CLEANUP(ldap_reading_done) struct ldap_reading reading;
        struct ldap_search wanted = {NULL, LDAP_SCOPE_SUBTREE, filter, attributes};
        unsigned count = 0, pages = 0;

        ldap_reading_init(&reading, connection, &wanted);
        for (; !reading.done; pages++)
                TRY(ldap_reading_next(&reading, print_entry, &count));
        printf("%u entries, %u pages\n%s\n", count, pages, buf_text(&reading.unfollowed));
        return 0;
}

static int read_one(struct ldap_connection *connection, const char *dn)
{
        CLEANUP(ldap_entry_done) struct ldap_entry entry = {0};
        unsigned count = 0;

        TRY(ldap_connection_read(connection, dn, NULL, &entry));
        return PASS(print_entry(&count, &entry));
}

static int change(struct ldap_connection *connection, bool add, char **arguments)
{
        struct bytes value = bytes_text(arguments[2]);
        struct ldap_change one = {arguments[1], add, &value, 1};

        return PASS(ldap_connection_modify(connection, arguments[0], &one, 1, NULL));
}

static int act(struct ldap_connection *connection, const char *verb, char **arguments)
{
        if (strcmp(verb, "search") == 0)
                return PASS(search(connection, arguments[0]));
        if (strcmp(verb, "read") == 0)
                return PASS(read_one(connection, arguments[0]));
        if (strcmp(verb, "supports") == 0)
                return ldap_connection_supports(connection, arguments[0])
                           ? 0
                           : refuse(PROBLEM_UNSUPPORTED, "No.");
        return PASS(change(connection, strcmp(verb, "add") == 0, arguments));
}

static int secret_of(const char *path, struct buf *ret_content)
{
        if (!*path)
                return 0;
        TRY(file_read(path, 65536, ret_content));
        return 0;
}

static int run(char **arguments)
{
        CLEANUP(config_done) struct config config = {0};
        CLEANUP(buf_done) struct buf password = BUF_NONE, keytab = BUF_NONE, key = BUF_NONE;
        CLEANUP(ldap_connection_closep) struct ldap_connection *connection = NULL;
        CLEANUP(secret_done) struct secret asked = SECRET_NONE;

        TRY(config_load(arguments[0], &config));
        TRY(secret_of(config.directory.bind_password_file, &password));
        TRY(secret_of(config.directory.keytab, &keytab));
        TRY(secret_of(config.directory.key, &key));
        if (password.len && password.data[password.len - 1] == '\n')
                password.len--;
        struct ldap_secrets secrets = {buf_view(&password), buf_view(&keytab), buf_view(&key)};
        struct ldap_options options = ldap_options_of(&config, &secrets);

        if (strcmp(arguments[1], "password") == 0) {
                TRY(secret_read(STDIN_FILENO, 1024, &asked));
                return PASS(ldap_password_check(&options, arguments[2], secret_view(&asked)));
        }
        TRY(ldap_connection_open(&options, &connection));
        printf("%s\n", ldap_connection_server(connection));
        return PASS(act(connection, arguments[1], arguments + 2));
}

int main(int argc, char **argv)
{
        int r;

        if (argc < 4)
                return 2;
        r = run(argv + 1);
        if (r)
                fprintf(stderr, "%s\n", report_text());
        return result_exit_code(r);
}
