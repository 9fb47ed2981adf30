/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/table.h"
#include "cli/terminal.h"

static struct {
        unsigned runs;
        bool dry;
        char *server;
        size_t to;
        char *first;
        int result;
        struct secret password;
} seen;

static const struct command_option options[] = {
    {"dry-run", NULL, "", 0, false},
    {"server", "URL", "", 's', false},
    {"to", "ADDRESS", "", 0, true},
    OPTIONS_PASSWORD,
    OPTIONS_END,
};

static int run(struct arguments *arguments)
{
        struct password_source source = {"password-file", "password-fd", "Password", true};

        seen.runs++;
        free(seen.server);
        free(seen.first);
        seen.dry = argument_flag(arguments, "dry-run");
        seen.server = argument_text(arguments, "server") ? text_copy(argument_text(arguments, "server")) : NULL;
        seen.to = argument_count(arguments, "to");
        seen.first = operand(arguments, 0) ? text_copy(operand(arguments, 0)) : NULL;
        if (password_given(arguments, &source))
                return PASS(password_get(arguments, &source, &seen.password));
        return seen.result;
}

static const struct command user_enroll = {"user",       "enroll", "Enroll", "SELECTOR…", 1,
                                           OPERANDS_ANY, options,  NULL,     NULL,        run};
static const struct command user_list = {"user", "list", "List", "", 0, 0, NULL, NULL, NULL, run};
static const struct command status = {"status", NULL, "Status", "", 0, 0, NULL, NULL, NULL, run};
const struct command *const commands[] = {&user_enroll, &user_list, &status, NULL};

static int forget(void **state)
{
        free(seen.server);
        free(seen.first);
        secret_done(&seen.password);
        memset(&seen, 0, sizeof(seen));
        return 0;
}

#define RUN(...)                                                                                                     \
        ({                                                                                                           \
                const char *words[] = {"vouchsafe", __VA_ARGS__, NULL};                                              \
                command_main((int)ARRAY_LEN(words) - 1, (char **)(void *)words);                                     \
        })

static void words_become_commands(void **state)
{
        assert_int_equal(RUN("user", "enroll", "--dry-run", "--server=https://x", "all", "--to", "a", "--to=b"), 0);
        assert_int_equal(seen.runs, 1);
        assert_true(seen.dry);
        assert_string_equal(seen.server, "https://x");
        assert_int_equal(seen.to, 2);
        assert_string_equal(seen.first, "all");
        assert_int_equal(RUN("status", "--json"), 0);
        assert_int_equal(seen.runs, 2);
}

static void wrong_words_are_refused_with_a_suggestion(void **state)
{
        assert_int_equal(RUN("usr", "enroll"), 2);
        assert_non_null(strstr(report_text(), "\"user\"?"));
        assert_int_equal(RUN("user", "enrol", "x"), 2);
        assert_non_null(strstr(report_text(), "\"enroll\"?"));
        assert_int_equal(RUN("user", "enroll", "--sever", "x", "y"), 2);
        assert_non_null(strstr(report_text(), "--server?"));
        assert_int_equal(RUN("user", "enroll", "--server"), 2);
        assert_int_equal(RUN("user", "enroll"), 2);
        assert_int_equal(RUN("user", "list", "one"), 2);
        assert_int_equal(RUN("user", "enroll", "--server", "a", "--server", "b", "x"), 2);
        assert_int_equal(RUN("user", "enroll", "\xff\xfe"), 2);
        assert_int_equal(RUN("user"), 2);
        assert_int_equal(seen.runs, 0);
}

static void results_become_exit_codes(void **state)
{
        (void)!refuse(PROBLEM_SEALED, "It is sealed.");
        seen.result = PROBLEM_SEALED;
        assert_int_equal(RUN("status"), 21);
        seen.result = -5;
        assert_int_equal(RUN("status"), 3);
}

static char *file_of(const char *content)
{
        char *path = text_copy("/tmp/vouchsafe-test-XXXXXX");
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, content, strlen(content)), strlen(content));
        close(fd);
        return path;
}

static void passwords_come_from_files(void **state)
{
        char *good = file_of("correct horse\nsecond line\n"), *brief = file_of("short\n"), *empty = file_of("");

        assert_int_equal(RUN("user", "enroll", "x", "--password-file", good), 0);
        assert_int_equal(seen.password.len, 13);
        assert_memory_equal(seen.password.data, "correct horse", 13);
        assert_int_equal(RUN("user", "enroll", "x", "--password-file", brief), 2);
        assert_int_equal(RUN("user", "enroll", "x", "--password-file", empty), 2);
        assert_int_equal(RUN("user", "enroll", "x", "--password-file", "/nonexistent"), 15);
        assert_int_equal(RUN("user", "enroll", "x", "--password-fd", "none"), 2);
        assert_int_equal(RUN("user", "enroll", "x", "--password-fd", "0", "--password-file", good), 2);
        unlink(good);
        unlink(brief);
        unlink(empty);
        free(good);
        free(brief);
        free(empty);
}

/* What `print` writes to standard output. */
static char *output_of(void (*print)(void))
{
        char path[] = "/tmp/vouchsafe-test-XXXXXX", *text = mem_new(65536);
        int fd = mkstemp(path), before;

        unlink(path);
        fflush(stdout);
        before = dup(STDOUT_FILENO);
        dup2(fd, STDOUT_FILENO);
        print();
        fflush(stdout);
        dup2(before, STDOUT_FILENO);
        close(before);
        assert_true(pread(fd, text, 65535, 0) >= 0);
        close(fd);
        return text;
}

static void print_hostile(void)
{
        CLEANUP(table_freep) struct table *table = table_new((const char *const[]){"Name", ">Count", NULL});

        table_row(table, (const char *const[]){"\033[31mred\r\nline\xe2\x80\xae", "1"});
        table_row(table, (const char *const[]){"Zoë 你好", NULL});
        table_print(table, NULL);
        say("%s", "a\033]0;title\007b\nc");
        say_pair("label", "%s", "\033[2J");
}

static void nothing_raw_reaches_the_terminal(void **state)
{
        char *text = output_of(print_hostile);

        assert_null(strchr(text, '\033'));
        assert_null(strchr(text, '\r'));
        assert_null(strstr(text, "\xe2\x80\xae"));
        assert_non_null(strstr(text, "Zoë 你好"));
        assert_non_null(strstr(text, "Count"));
        free(text);
}

static void columns_are_cut_to_what_can_be_read(void **state)
{
        static const bool free_text[] = {true, false, true};
        size_t wide[] = {10, 20, 30}, narrow[] = {48, 20, 30}, hopeless[] = {48, 90, 12};

        widths_fit(wide, free_text, 3, 64);
        assert_int_equal(wide[0] + wide[1] + wide[2], 60); /* fits as it is */
        widths_fit(narrow, free_text, 3, 80);
        assert_int_equal(narrow[0], 28);
        assert_int_equal(narrow[1], 20);
        assert_int_equal(narrow[2], 28);
        widths_fit(hopeless, free_text, 3, 80);
        assert_int_equal(hopeless[0], CELL_COLUMNS_LEAST);
        assert_int_equal(hopeless[1], 90);
        assert_int_equal(hopeless[2], 12);
}

static void print_help(void)
{
        help_all(stdout);
        help_noun(stdout, "user");
        help_command(stdout, commands[0]);
        help_completion(stdout);
}

static void help_lists_everything(void **state)
{
        char *text = output_of(print_help);

        assert_non_null(strstr(text, "user enroll"));
        assert_non_null(strstr(text, "-s, --server URL"));
        assert_non_null(strstr(text, "--json"));
        assert_non_null(strstr(text, "complete -F"));
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_teardown(words_become_commands, forget),
            cmocka_unit_test_teardown(wrong_words_are_refused_with_a_suggestion, forget),
            cmocka_unit_test_teardown(results_become_exit_codes, forget),
            cmocka_unit_test_teardown(passwords_come_from_files, forget),
            cmocka_unit_test(nothing_raw_reaches_the_terminal),
                cmocka_unit_test(columns_are_cut_to_what_can_be_read),
            cmocka_unit_test(help_lists_everything),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
