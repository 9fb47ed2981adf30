/* SPDX-License-Identifier: Apache-2.0 */
/* vouchsafed: see supervisor.h. */
#include "supervisor/supervisor.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

static const char help[] =
        "Usage: vouchsafed [--config FILE] [--check]\n"
        "The Vouchsafe server. It starts and supervises the processes that serve; see vouchsafed(8).\n"
        "\n"
        "  -c, --config FILE   read this configuration (default: " CONFIG_PATH_DEFAULT ")\n"
        "      --check         only say whether the configuration is right\n"
        "      --version       print the version\n"
        "      --help          print this\n"
        "\n"
        "SIGHUP reads the configuration again, SIGTERM stops. \"vouchsafe init\" sets up a new server.\n";

struct arguments {
        const char *config;
        bool check, shown;
};

static int arguments_parse(int argc, char **argv, struct arguments *ret_arguments)
{
        static const struct option options[] = {
                {"config", required_argument, NULL, 'c'},
                {"check", no_argument, NULL, 'k'},
                {"version", no_argument, NULL, 'v'},
                {"help", no_argument, NULL, 'h'},
                {0},
        };
        struct arguments arguments = {.config = CONFIG_PATH_DEFAULT};
        int option;

        while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
                if (option == 'c')
                        arguments.config = optarg;
                else if (option == 'k')
                        arguments.check = true;
                else if (option == 'v')
                        arguments.shown = printf("vouchsafed " VOUCHSAFE_VERSION "\n") > 0;
                else if (option == 'h')
                        arguments.shown = printf("%s", help) > 0;
                else
                        return refuse(PROBLEM_USAGE, "Try \"vouchsafed --help\".");
        }
        if (optind < argc)
                return refuse(PROBLEM_USAGE, "vouchsafed takes no argument \"%s\". Try \"vouchsafed --help\".",
                              argv[optind]);
        *ret_arguments = arguments;
        return 0;
}

static unsigned fronts_count(const struct config *config)
{
        long cores = sysconf(_SC_NPROCESSORS_ONLN);

        if (config->process.fronts)
                return (unsigned)config->process.fronts;
        return cores < 1 ? 1 : cores > 64 ? 64 : (unsigned)cores;
}

/* None while there is nothing to listen on. */
static unsigned ldaps_count(const struct config *config)
{
        return config->ldap.listen.count || config->ldap.listen_tls.count ? (unsigned)config->ldap.processes : 0;
}

/* Everything that can be wrong is found before the first child starts. */
static int supervisor_prepare(struct supervisor *supervisor)
{
        const char *libexec = getenv("VOUCHSAFE_LIBEXEC");

        supervisor->libexec = libexec ? text_copy(libexec) : NULL;
        supervisor->fronts = fronts_count(&supervisor->config);
        supervisor->ldaps = ldaps_count(&supervisor->config);
        TRY(process_limits());
        TRY(process_folders(&supervisor->config));
        TRY(process_lock(&supervisor->config, &supervisor->lock));
        TRY(material_load(&supervisor->config, &supervisor->material));
        TRY(secrets_open(supervisor));
        int r = startup_secret_open(&supervisor->config, &supervisor->startup);
        if (r)
                log_report(r, "the server starts sealed");
        TRY(listeners_open(supervisor));
        return PASS(process_privileges_drop(&supervisor->config));
}

/* The key is wiped and everything closed, so that what is left over at the end is a leak. */
static void supervisor_done(struct supervisor *supervisor)
{
        CHILD_EACH(child, supervisor)
        {
                channel_call_cancel(&child->ping_call);
                channel_unref(TAKE(child->channel));
        }
        free(supervisor->children);
        listeners_close(supervisor);
        local_close(supervisor);
        loop_done(&supervisor->loop);
        fd_closep(&supervisor->signals);
        fd_closep(&supervisor->startup);
        secrets_done(supervisor);
        material_done(&supervisor->material);
        config_done(&supervisor->config);
        free(supervisor->libexec);
        fd_closep(&supervisor->lock);
}

static int supervisor_main(const struct arguments *arguments)
{
        CLEANUP(supervisor_done)
        struct supervisor supervisor = {
                .loop.epoll = -1,
                .lock = -1,
                .signals = -1,
                .local = -1,
                .startup = -1,
                .config_path = arguments->config,
        };

        secrets_init(&supervisor);
        TRY(config_load_believed(arguments->config, &supervisor.config));
        if (arguments->check) {
                printf("%s is right.\n", arguments->config);
                return 0;
        }
        config_log_setup(&supervisor.config, "vouchsafed");
        log_notice("starting version=" VOUCHSAFE_VERSION);
        TRY(supervisor_prepare(&supervisor));
        return PASS(supervisor_run(&supervisor));
}

int main(int argc, char **argv)
{
        struct arguments arguments;
        int r;

        log_setup("vouchsafed", LOG_FORMAT_AUTO, LOG_LEVEL_INFO);
        r = arguments_parse(argc, argv, &arguments);
        if (r == 0 && !arguments.shown)
                r = supervisor_main(&arguments);
        if (r)
                log_report(r, "vouchsafed cannot run");
        return result_exit_code(r);
}
