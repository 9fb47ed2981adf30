/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ini.h>
#include <unistd.h>

#include "base/dn.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "config/value.h"

/* inih takes lines from here, so that they can be counted and their length is checked: it would cut them silently. */
struct reading {
        const char *name;
        const char *rest;
        int line;
        bool continues; /* the line is indented: it goes on with the value before */
        struct config *config;
        int *lines;   /* where each option was given */
        int previous; /* the option that an indented line goes on with */
        int result;   /* the first thing that was wrong; its sentence is the report */
};

static char *line_next(char *line, int size, void *context)
{
        struct reading *reading = context;
        size_t len = strcspn(reading->rest, "\n");

        if (!*reading->rest || reading->result)
                return NULL;
        reading->line++;
        reading->continues = reading->rest[0] == ' ' || reading->rest[0] == '\t';
        if (len > CONFIG_LINE_MAX || len + 3 > (size_t)size) {
                reading->result = refuse(PROBLEM_CONFIGURATION,
                                         "%s line %d is longer than %d bytes. A list may go on in indented lines.",
                                         reading->name, reading->line, CONFIG_LINE_MAX);
                return NULL;
        }
        memcpy(line, reading->rest, len);
        line[len] = '\n';
        line[len + 1] = 0;
        reading->rest += len + (reading->rest[len] == '\n');
        return line;
}

static int option_find(struct reading *reading, const char *section, const char *key, int *ret_index)
{
        int index = config_option_find(section, key);

        if (!*section)
                return refuse(PROBLEM_CONFIGURATION, "%s line %d: \"%s\" stands before the first [section].",
                              reading->name, reading->line, key);
        if (!config_section_known(section))
                return refuse(PROBLEM_CONFIGURATION, "%s line %d: there is no section [%s]. See vouchsafe.conf(5).",
                              reading->name, reading->line, section);
        if (index < 0)
                return refuse(PROBLEM_CONFIGURATION, "%s line %d: [%s] has no option \"%s\". See vouchsafe.conf(5).",
                              reading->name, reading->line, section, key);
        *ret_index = index;
        return 0;
}

static bool option_is_list(int index)
{
        enum config_type type = config_option_at((size_t)index)->type;

        return type == CONFIG_TEXTS || type == CONFIG_ADDRESSES;
}

static int option_read(struct reading *reading, const char *section, const char *key, const char *value)
{
        CLEANUP(mem_freep) char *joined = NULL;
        int index = -1, r;

        TRY(option_find(reading, section, key, &index));
        if (reading->continues && index == reading->previous) {
                if (!option_is_list(index))
                        return refuse(PROBLEM_CONFIGURATION,
                                      "%s line %d is indented, as if it went on with %s. Begin it at the margin.",
                                      reading->name, reading->line, key);
                value = joined = text_format("%s %s", reading->config->given[index], value);
        } else if (reading->lines[index]) {
                return refuse(PROBLEM_CONFIGURATION,
                              "%s line %d: [%s] %s was already given in line %d. Leave one of them.", reading->name,
                              reading->line, section, key, reading->lines[index]);
        }
        reading->previous = index;
        reading->lines[index] = reading->line;
        r = config_set(reading->config, (size_t)index, value);
        return r ? report_prefix(PASS(r), "%s line %d: [%s] %s ", reading->name, reading->line, section, key) : 0;
}

static int option_came(void *context, const char *section, const char *key, const char *value)
{
        struct reading *reading = context;

        if (!reading->result)
                reading->result = option_read(reading, section, key, value);
        return 1;
}

static int missing(const char *name, const char *section, const char *key, const char *what)
{
        return refuse(PROBLEM_CONFIGURATION, "%s: [%s] %s is missing: %s", name, section, key, what);
}

static int directory_check(const char *name, const struct config *config)
{
        const char *bind = config->directory.bind;

        if (strcmp(config->directory.kind, "ldap") != 0)
                return 0;
        if (!config->directory.servers.count)
                return missing(name, "directory", "servers", "name the LDAP servers, as ldaps://ldap.example.org.");
        if (!*config->directory.base)
                return missing(name, "directory", "base", "say below what people are, as dc=example,dc=org.");
        for (size_t i = 0; i < config->directory.servers.count; i++) {
                const char *url = config->directory.servers.at[i];

                if (strncmp(url, "ldap://", 7) != 0 && strncmp(url, "ldaps://", 8) != 0 &&
                    strncmp(url, "ldapi://", 8) != 0)
                        return refuse(PROBLEM_CONFIGURATION,
                                      "%s: [directory] servers takes URLs that begin with ldap://, ldaps:// or "
                                      "ldapi://, not \"%s\".",
                                      name, url);
        }
        if (strcmp(bind, "simple") == 0 && !*config->directory.bind_dn)
                return missing(name, "directory", "bind-dn", "it is needed when bind = simple.");
        if (strcmp(bind, "simple") == 0 && !*config->directory.bind_password_file)
                return missing(name, "directory", "bind-password-file", "it is needed when bind = simple.");
        if (strcmp(bind, "gssapi") == 0 && (!*config->directory.keytab || !*config->directory.principal))
                return missing(name, "directory", *config->directory.keytab ? "principal" : "keytab",
                               "it is needed when bind = gssapi.");
        if (!*config->directory.certificate != !*config->directory.key)
                return missing(name, "directory", *config->directory.key ? "certificate" : "key",
                               "give both, or neither.");
        return 0;
}

static int ldap_check(const char *name, const struct config *config)
{
        CLEANUP(dn_done) struct dn dn = {0};

        if (*config->ldap.base) {
                int r = dn_parse(bytes_text(config->ldap.base), &dn);
                if (r)
                        return report_prefix(refuse(PROBLEM_CONFIGURATION, "%s", report_text()),
                                             "%s: [ldap] base is no distinguished name, as o=Example: ", name);
        }
        if (!*config->ldap.bind_name != !*config->ldap.bind_password_file)
                return missing(name, "ldap", *config->ldap.bind_name ? "bind-password-file" : "bind-name",
                               "give both, or neither if nobody is to bind.");
        if (!config->ldap.anonymous && !*config->ldap.bind_name)
                return missing(name, "ldap", "bind-name", "with anonymous = no, nobody could search without it.");
        return 0;
}

static int self_check(const char *name, const struct config *config)
{
        if (!config->enroll.self || strcmp(config->directory.kind, "ldap") == 0)
                return 0;
        return refuse(PROBLEM_CONFIGURATION,
                      "%s: [enroll] self = yes takes passwords of a directory, and [directory] kind is %s; the server's own "
                      "address book has no passwords.",
                      name, config->directory.kind);
}

static int publish_check(const char *name, const struct config *config)
{
        const struct {
                const char *key, *value;
        } places[] = {
            {"authority-dn", config->publish.authority_dn},
            {"root-dn", config->publish.root_dn},
            {"crl-dn", config->publish.crl_dn},
        };

        if (config->publish.directory && strcmp(config->directory.kind, "ldap") != 0)
                return refuse(PROBLEM_CONFIGURATION,
                              "%s: [publish] directory = yes publishes to an LDAP directory, and [directory] kind is %s.", name,
                              config->directory.kind);
        for (size_t i = 0; i < ARRAY_LEN(places); i++) {
                CLEANUP(dn_done) struct dn dn = {0};

                if (*places[i].value && dn_parse(bytes_text(places[i].value), &dn))
                        return report_prefix(refuse(PROBLEM_CONFIGURATION, "%s", report_text()),
                                             "%s: [publish] %s is no distinguished name: ", name, places[i].key);
                if (*places[i].value && !config->publish.directory)
                        return refuse(PROBLEM_CONFIGURATION, "%s: [publish] %s does nothing without directory = yes.", name,
                                      places[i].key);
        }
        return 0;
}

#define HOST_SYMBOLS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"

/* It goes into certificates and URLs, for as long as they are valid. */
static bool is_host(const char *name)
{
        struct in6_addr address;
        size_t len = strlen(name);

        return inet_pton(AF_INET6, name, &address) == 1 ||
               (len <= 253 && *name != '.' && *name != '-' &&
                strspn(name, HOST_SYMBOLS) == len);
}

static int hosts_check(const char *name, const struct config *config)
{
        const struct config_texts *hosts = &config->server.host_names;

        for (size_t i = 0; i < hosts->count; i++)
                if (!is_host(hosts->at[i]))
                        return refuse(PROBLEM_CONFIGURATION,
                                      "%s: [server] host-names takes names as keys.example.org, without https:// and "
                                      "port, and with other letters in their form xn--; not \"%s\".",
                                      name, hosts->at[i]);
        return 0;
}

/* RFC 3986; a path is added to it. In certificates URIs are ASCII (RFC 5280 section 7.4), and readers pass over others. */
static int url_check(const char *name, const char *url)
{
        if (*url && strncmp(url, "http://", 7) != 0)
                return refuse(PROBLEM_CONFIGURATION,
                              "%s: [server] url starts with http:// (revocation lists are signed, "
                              "and fetching them over TLS could not end).",
                              name);
        if (strspn(url, HOST_SYMBOLS "~:/[]%!$&'()*+,;=@") != strlen(url))
                return refuse(PROBLEM_CONFIGURATION,
                              "%s: [server] url is http:// and a host, perhaps with port and path, all in ASCII, with other "
                              "letters of the host in their form xn--; not \"%s\".",
                              name, url);
        return 0;
}

/* What no option can check alone. */
static int config_check(const char *name, const struct config *config)
{
        if (!*config->server.organisation)
                return missing(name, "server", "organisation",
                               "say whom certificates are to name, as organisation = Example Ltd.");
        if (!config->server.host_names.count)
                return missing(name, "server", "host-names",
                               "say how clients reach the server, as host-names = keys.example.org.");
        TRY(hosts_check(name, config));
        if (!*config->tls.certificate != !*config->tls.key)
                return missing(name, "tls", *config->tls.key ? "certificate" : "key",
                               "give both, or neither to use the built-in CA's.");
        if (strcmp(config->startup.secret, "file") == 0 && !*config->startup.secret_file)
                return missing(name, "startup", "secret-file", "it is needed when secret = file.");
        if (config->crl.lifetime < 2 * config->crl.interval)
                return refuse(PROBLEM_CONFIGURATION,
                              "%s: [crl] lifetime must be at least twice [crl] interval, "
                              "or clients would be left without a valid list.",
                              name);
        if (*config->store.url && strncmp(config->store.url, "sqlite:/", 8) != 0 &&
            strncmp(config->store.url, "postgresql://", 13) != 0)
                return refuse(PROBLEM_CONFIGURATION,
                              "%s: [store] url is sqlite:/path/of/file or postgresql://…, not \"%s\".", name,
                              config->store.url);
        TRY(url_check(name, config->server.url));
        TRY(directory_check(name, config));
        TRY(ldap_check(name, config));
        TRY(self_check(name, config));
        TRY(publish_check(name, config));
        return PASS(config_check_mail(name, config));
}

int config_parse(const char *name, const char *text, struct config *ret_config)
{
        CLEANUP(config_done) struct config config;
        CLEANUP(mem_freep) int *lines = mem_array(config_option_count(), sizeof(int));
        struct reading reading = {.name = name, .rest = text, .config = &config, .lines = lines, .previous = -1};
        int line;

        config_init(&config);
        line = ini_parse_stream(line_next, &reading, option_came, &reading);
        if (reading.result)
                return PASS(reading.result);
        if (line)
                return refuse(PROBLEM_CONFIGURATION, "%s line %d is neither [section] nor key = value.", name, line);
        TRY(config_check(name, &config));
        config_complete(&config);
        *ret_config = config;
        config = (struct config){0};
        return 0;
}

/* What it names is read as root, and goes to processes of the server's user. In a folder of his own he can remove root's
 * file, but not write another that is root's. */
static int owner_check(const char *path, const struct stat *st)
{
        if (st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH)))
                return 0;
        return refuse(PROBLEM_CONFIGURATION,
                      "%s can be written by others than root, for whom root would read every file that it names. See "
                      "whether it is as it should be, and correct it with \"chown root\" and \"chmod go-w\"; or do this "
                      "as the server's user.",
                      path);
}

static int load(const char *path, int (*check)(const char *path, const struct stat *st), struct config *ret_config)
{
        CLEANUP(buf_done) struct buf text = BUF_NONE;
        int r = file_read_checked(path, 1 << 20, check, &text);

        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_CONFIGURATION, "There is no configuration %s. \"vouchsafe init\" writes one.",
                              path);
        if (r == PROBLEM_FORBIDDEN)
                return refuse(PROBLEM_CONFIGURATION, "The configuration %s may not be read by this user.", path);
        TRY(r);
        if (memchr(text.data, 0, text.len))
                return refuse(PROBLEM_CONFIGURATION, "%s is no text file.", path);
        return PASS(config_parse(path, buf_text(&text), ret_config));
}

int config_load(const char *path, struct config *ret_config)
{
        return PASS(load(path, NULL, ret_config));
}

int config_load_believed(const char *path, struct config *ret_config)
{
        return PASS(load(path, geteuid() == 0 ? owner_check : NULL, ret_config));
}
