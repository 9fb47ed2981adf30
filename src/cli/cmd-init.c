/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafe init */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/home.h"
#include "cli/session.h"
#include "cli/setup.h"
#include "cli/terminal.h"
#include "model/rows.h"

/* ---- configuration ---------------------------------------------------------------------------------------- */

static int absolute(const char *path, char **ret_path)
{
        char here[PATH_MAX];

        if (*path == '/') {
                *ret_path = text_copy(path);
                return 0;
        }
        if (!getcwd(here, sizeof(here)))
                return fault(errno, "cannot tell the present folder");
        *ret_path = text_format("%s/%s", here, strncmp(path, "./", 2) == 0 ? path + 2 : path);
        return 0;
}

/* Given, or asked for. */
static int wanted(const struct arguments *arguments, const char *option, const char *question, char **ret_text)
{
        const char *given = argument_text(arguments, option);
        char *instead CLEANUP(mem_freep) = text_format("--%s", option);

        if (given && *given) {
                *ret_text = text_copy(given);
                return 0;
        }
        TRY(ask(question, instead, ret_text));
        return **ret_text ? 0 : refuse(PROBLEM_USAGE, "The question \"%s\" was not answered.", question);
}

/* Refused, when reading the configuration would give another value: it would be in certificates for good. */
static int add_line(struct buf *out, const char *key, const char *value)
{
        char *line CLEANUP(mem_freep) = NULL;

        if (!value || !*value)
                return 0;
        line = text_format("%s = %s", key, value);
        if (strpbrk(line, "\r\n\t") || strstr(line, " ;") || *value == ' ' || line[strlen(line) - 1] == ' ')
                return refuse(PROBLEM_USAGE,
                              "\"%s\" cannot stand in a configuration: it may have no blank at its ends, no semicolon "
                              "after a blank and no line break.",
                              value);
        buf_add_format(out, "%s\n", line);
        return 0;
}

static int add_hosts(const struct arguments *arguments, struct buf *out)
{
        CLEANUP(buf_done) struct buf hosts = BUF_NONE;
        char *asked CLEANUP(mem_freep) = NULL;

        for (size_t i = 0; i < argument_count(arguments, "hostname"); i++)
                buf_add_format(&hosts, "%s%s", i ? " " : "", argument_text_at(arguments, "hostname", i));
        if (!hosts.len) {
                TRY(ask("Host name under which clients reach the server:", "--hostname", &asked));
                buf_add_text(&hosts, asked);
        }
        return PASS(add_line(out, "host-names", buf_text(&hosts)));
}

/* A configuration for a server that has none yet; with --data everything is within that folder. */
static int compose(const struct arguments *arguments, struct buf *out)
{
        char *organisation CLEANUP(mem_freep) = NULL, *data CLEANUP(mem_freep) = NULL,
                           *secret CLEANUP(mem_freep) = NULL;

        TRY(wanted(arguments, "organisation", "Organisation, as certificates will name it:", &organisation));
        buf_add_text(out, "# Made by \"vouchsafe init\"; all options: man 5 vouchsafe.conf\n[server]\n");
        if (argument_text(arguments, "data")) {
                char *run CLEANUP(mem_freep) = NULL;
                TRY(absolute(argument_text(arguments, "data"), &data));
                run = text_format("%s/run", data);
                TRY(add_line(out, "data", data));
                TRY(add_line(out, "run", run));
        }
        TRY(add_line(out, "organisation", organisation));
        TRY(add_hosts(arguments, out));
        TRY(add_line(out, "url", argument_text(arguments, "url")));
        buf_add_text(out, "\n[listen]\n");
        TRY(add_line(out, "https", argument_text(arguments, "https")));
        TRY(add_line(out, "http", argument_text(arguments, "http")));
        TRY(add_line(out, "metrics", argument_text(arguments, "metrics")));
        if (argument_text(arguments, "startup-secret-file")) {
                TRY(absolute(argument_text(arguments, "startup-secret-file"), &secret));
                buf_add_text(out, "\n[startup]\nsecret = file\n");
                TRY(add_line(out, "secret-file", secret));
        }
        buf_add_text(out, "\n[process]\n");
        return PASS(add_line(out, "user", argument_text(arguments, "user")));
}

/* A configuration that is there says it all: what an option would say otherwise must not be passed over. */
static int check_given(const struct arguments *arguments, const struct setup *setup)
{
        static const char *const options[] = {"organisation", "hostname", "url", "https", "http", "metrics", "user"};

        for (size_t i = 0; !setup->config_text && i < ARRAY_LEN(options); i++)
                if (argument_count(arguments, options[i]))
                        return refuse(PROBLEM_USAGE,
                                      "The configuration %s is there already, and --%s is for a new one. Leave the option "
                                      "out, or move the configuration away.",
                                      setup->config_path, options[i]);
        return 0;
}

static int find_config(const struct arguments *arguments, struct setup *setup)
{
        const char *file = argument_text(arguments, "config"), *data = argument_text(arguments, "data");
        char *inside CLEANUP(mem_freep) = data ? text_format("%s/vouchsafe.conf", data) : NULL;
        CLEANUP(buf_done) struct buf text = BUF_NONE;

        setup->config_path = text_copy(file ? file : inside ? inside : CONFIG_PATH_DEFAULT);
        if (access(setup->config_path, F_OK) == 0)
                return PASS(config_load_believed(setup->config_path, &setup->config));
        TRY(compose(arguments, &text));
        setup->config_text = text_copy(buf_text(&text));
        return PASS(config_parse(setup->config_path, setup->config_text, &setup->config));
}

/* ---- people ----------------------------------------------------------------------------------------------- */

static struct msg_operator_setup *operator_of(struct msg_keeper_init *request, const char *name)
{
        struct msg_operator_setup *added;

        for (size_t i = 0; i < request->operators.count; i++)
                if (strcmp(request->operators.at[i].operator, name) == 0)
                        return &request->operators.at[i];
        added = MSG_LIST_ADD(request->operators);
        added->operator = text_copy(name);
        return added;
}

static int add_operator(struct msg_keeper_init *request, const char *name, const char *role)
{
        struct msg_operator_setup *operator;

        TRY(operator_name_check(name));
        operator = operator_of(request, name);
        if (msg_texts_have(&operator->roles, role))
                return refuse(PROBLEM_USAGE, "%s is %s twice.", name, role);
        msg_texts_add(&operator->roles, role);
        return 0;
}

/* Names one after the other until an empty line. */
static int ask_names(struct msg_keeper_init *request, const char *role)
{
        for (unsigned i = 1;; i++) {
                char *question CLEANUP(mem_freep) =
                    text_format("Name of %s %u (empty when there are no more):", role, i);
                char *name CLEANUP(mem_freep) = NULL;
                TRY(ask(question, strcmp(role, "officer") == 0 ? "--officer" : "--registrar", &name));
                if (!*name)
                        return 0;
                TRY(add_operator(request, name, role));
        }
}

static int collect_people(const struct arguments *arguments, struct msg_keeper_init *request)
{
        static const char *const roles[] = {"officer", "registrar", "auditor"};
        uint64_t officers;

        for (size_t r = 0; r < ARRAY_LEN(roles); r++) {
                for (size_t i = 0; i < argument_count(arguments, roles[r]); i++)
                        TRY(add_operator(request, argument_text_at(arguments, roles[r], i), roles[r]));
                if (r == 0 && !argument_count(arguments, "officer"))
                        TRY(ask_names(request, "officer"));
                if (r == 0)
                        officers = request->operators.count;
                if (r == 1 && !argument_count(arguments, "registrar") && !argument_count(arguments, "officer"))
                        TRY(ask_names(request, "registrar"));
        }
        TRY(argument_number(arguments, "quorum", 64, officers / 2 + 1, &request->quorum));
        if (!request->quorum || request->quorum > officers)
                return refuse(
                    PROBLEM_USAGE, "A quorum of %llu of %llu officers is not possible; --quorum takes 1 to %llu.",
                    (unsigned long long)request->quorum, (unsigned long long)officers, (unsigned long long)officers);
        return 0;
}

/* ---- what is shown ---------------------------------------------------------------------------------------- */

static int show_secret(const char *label, const struct secret *secret)
{
        printf("%-14s  %s", label, style(stdout, STYLE_BOLD));
        fflush(stdout);
        TRY(secret_write(STDOUT_FILENO, secret));
        printf("%s\n", style(stdout, STYLE_OFF));
        return 0;
}

/* Before the server exists: whoever never saw them can begin again. */
static int show_secrets(const struct setup *setup)
{
        if (!setup->startup_out) {
                tell("The startup secret is shown this once. Without it, or a quorum of officers, the server never "
                     "opens again:");
                TRY(show_secret("Startup secret", &setup->done.startup_secret));
        }
        if (setup->codes_folder)
                return 0;
        tell("The invitation codes are shown this once. Give each to its operator only:");
        for (size_t i = 0; i < setup->done.codes.count; i++)
                TRY(show_secret(msg_text(setup->done.codes.at[i].operator), &setup->done.codes.at[i].code));
        return 0;
}

static void show_next(const struct setup *setup)
{
        say_styled(STYLE_GREEN, "The server of %s is set up.", setup->config.server.organisation);
        say_pair("Configuration", "%s", setup->config_path);
        say_pair("Data", "%s", setup->config.server.data);
        say_pair("Root CA", "%s (move it to a safe place off this machine)", setup->root_out);
        if (setup->startup_out)
                say_pair("Startup secret", "%s", setup->startup_out);
        if (setup->codes_folder)
                say_pair("Codes", "%s, one file an operator", setup->codes_folder);
        tell("Start it with: vouchsafed --config %s", setup->config_path);
        tell("Each operator then accepts on his own machine: vouchsafe operator accept --server %s",
             setup->config.mail.client_url);
}

/* ---- init ------------------------------------------------------------------------------------------------- */

/* What root sets up is given to the user that the server runs as; without one nothing could be started. */
static int check_user(const struct setup *setup)
{
        const char *user = setup->config.process.user;

        if (geteuid() != 0 || getpwnam(user))
                return 0;
        return refuse(PROBLEM_CONFIGURATION,
                      "There is no user \"%s\", as whom the server would run. Make one (adduser --system --group %s), or "
                      "name another with --user.",
                      user, user);
}

static int prepare_folders(const struct setup *setup)
{
        const char *folders[] = {setup->config.server.data, setup->config.server.run};
        const struct passwd *user = geteuid() == 0 ? getpwnam(setup->config.process.user) : NULL;

        for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
                struct stat st;
                bool made = stat(folders[i], &st) < 0;
                TRY(folder_make(folders[i], 0755));
                if (made && user && chown(folders[i], user->pw_uid, user->pw_gid) < 0)
                        return fault(errno, "cannot give %s to the user %s", folders[i], setup->config.process.user);
        }
        return chmod(setup->config.server.data, 0700) < 0
                   ? fault(errno, "cannot protect %s", setup->config.server.data)
                   : 0;
}

static int set_up(const struct arguments *arguments, struct setup *setup)
{
        struct password_source root = {"root-password-file", "root-password-fd", "Password for the root CA's file",
                                       true};
        int r;

        TRY(check_given(arguments, setup));
        TRY(collect_people(arguments, &setup->request));
        setup->request.organisation = text_copy(setup->config.server.organisation);
        TRY(password_get(arguments, &root, &setup->request.root_password));
        tell("Making keys …");
        TRY(setup_make_keys(setup));
        r = setup_write(setup);
        if (!r)
                r = setup_database(setup);
        if (!r)
                r = show_secrets(setup);
        if (r) {
                setup_discard(setup);
                return PASS(r);
        }
        return PASS(setup_commit(setup));
}

/* An object is for programs, which keep what they read: secrets that are shown once are not for them. */
static int check_json(const struct arguments *arguments)
{
        if (!argument_json(arguments) ||
            (argument_text(arguments, "startup-secret-file") && argument_text(arguments, "codes-dir")))
                return 0;
        return refuse(PROBLEM_USAGE, "With --json secrets are not shown; say with --startup-secret-file FILE and "
                                     "--codes-dir DIR where they go.");
}

static void show_result(const struct setup *setup)
{
        fputs("{\"config\":", stdout);
        json_text_out(stdout, setup->config_path);
        fputs(",\"root\":", stdout);
        json_text_out(stdout, setup->root_out);
        fputs(",\"server_id\":", stdout);
        json_text_out(stdout, msg_text(setup->done.server_id)); /* empty when a set-up was only completed */
        fputs("}\n", stdout);
}

static int init(struct arguments *arguments)
{
        CLEANUP(setup_done) struct setup setup = {0};
        CLEANUP(fd_closep) int lock = -1;
        char *root_out CLEANUP(mem_freep) = NULL;
        bool completed = false;

        TRY(check_json(arguments));
        TRY(find_config(arguments, &setup));
        root_out = argument_text(arguments, "root-out") ? text_copy(argument_text(arguments, "root-out"))
                                                        : config_data_path(&setup.config, "root.p12");
        setup.root_out = root_out;
        setup.startup_out = argument_text(arguments, "startup-secret-file");
        setup.codes_folder = argument_text(arguments, "codes-dir");
        TRY(check_user(&setup));
        TRY(prepare_folders(&setup));
        TRY(home_lock(setup.config.server.data, &lock));
        TRY(setup_check(&setup, &completed));
        if (completed)
                tell("A set-up that was cut off is complete now.");
        else
                TRY(set_up(arguments, &setup));
        if (argument_json(arguments)) {
                show_result(&setup);
                return 0;
        }
        show_next(&setup);
        return 0;
}

static const struct command_option options[] = {
    {"config", "FILE", "the configuration; made when it is not there (default /etc/vouchsafe/vouchsafe.conf)", 'c',
     false},
    {"data", "DIR", "keep everything in DIR, the configuration too", 'd', false},
    {"organisation", "NAME", "as certificates name it", 0, false},
    {"officer", "NAME", "an officer, who holds a share of the archive key; repeat for each", 0, true},
    {"quorum", "M", "how many officers it takes (default: the majority)", 0, false},
    {"registrar", "NAME", "a registrar, who enrolls and revokes; may be repeated", 0, true},
    {"auditor", "NAME", "an auditor, who reads all; may be repeated", 0, true},
    {"hostname", "NAME", "under which clients reach the server; may be repeated", 0, true},
    {"url", "URL", "base of the revocation list's address in certificates (default http://HOSTNAME:PORT of --http)", 0,
     false},
    {"https", "ADDRESS", "where to listen for the API (default [::]:8443)", 0, false},
    {"http", "ADDRESS", "where to serve revocation lists (default [::]:8080)", 0, false},
    {"metrics", "ADDRESS", "where to serve health and metrics (default 127.0.0.1:9464)", 0, false},
    {"user", "NAME", "the user that the server runs as when it is started as root (default vouchsafe)", 0, false},
    {"startup-secret-file", "FILE", "write the startup secret there and start from it, instead of showing it once", 0,
     false},
    {"codes-dir", "DIR", "write each invitation code to a file there, instead of showing them once", 0, false},
    {"root-out", "FILE", "the root CA's key and certificate as PKCS#12 (default root.p12 in the data folder)", 0,
     false},
    {"root-password-file", "FILE", "read the password of that file from the first line of FILE", 0, false},
    {"root-password-fd", "N", "read it from file descriptor N", 0, false},
    OPTIONS_END,
};

const struct command command_init = {
    .noun = "init",
    .summary = "Set up a new server on this machine",
    .operands = "",
    .options = options,
    .about = "Makes the CA, the startup secret, the archive key (split among the officers, and never in one place "
             "again), the\n"
             "server's TLS key and the database. Asks for what is not given. Cut off at any point it can be run "
             "again; a server\n"
             "that is there is never touched.\n",
    .examples = "  vouchsafe init\n"
                "  vouchsafe init --data ./server --organisation 'Example & Söhne' --officer olga --officer omar "
                "--officer otto \\\n"
                "      --quorum 2 --registrar rita --hostname localhost --startup-secret-file ./startup-secret\n",
    .run = init,
};
