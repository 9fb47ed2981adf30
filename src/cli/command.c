/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/help.h"
#include "cli/terminal.h"

enum { OPTIONS_MOST = 48, VALUES_MOST = 1024, OPTION_BASE = 256 };

struct arguments {
        const struct command *command;
        const struct command_option *options[OPTIONS_MOST];
        size_t option_count;
        struct {
                const struct command_option *option;
                const char *value;
        } given[VALUES_MOST];
        size_t given_count;
        char **operands;
        size_t operand_count;
};

/* ---- what was given --------------------------------------------------------------------------------------- */

static const char *value_at(const struct arguments *arguments, const char *name, size_t index, bool last)
{
        const char *found = NULL;

        for (size_t i = 0; i < arguments->given_count; i++) {
                if (strcmp(arguments->given[i].option->name, name) != 0)
                        continue;
                found = arguments->given[i].value;
                if (!last && index-- == 0)
                        return found;
        }
        return last ? found : NULL;
}

size_t argument_count(const struct arguments *arguments, const char *name)
{
        size_t count = 0;

        for (size_t i = 0; i < arguments->given_count; i++)
                count += strcmp(arguments->given[i].option->name, name) == 0;
        return count;
}

bool argument_flag(const struct arguments *arguments, const char *name)
{
        return argument_count(arguments, name) > 0;
}

const char *argument_text(const struct arguments *arguments, const char *name)
{
        return value_at(arguments, name, 0, true);
}

const char *argument_text_at(const struct arguments *arguments, const char *name, size_t index)
{
        return value_at(arguments, name, index, false);
}

int argument_number(const struct arguments *arguments, const char *name, uint64_t most, uint64_t otherwise,
                    uint64_t *ret_number)
{
        const char *text = argument_text(arguments, name);

        if (!text) {
                *ret_number = otherwise;
                return 0;
        }
        if (number_parse(bytes_text(text), most, ret_number) != 0)
                return refuse(PROBLEM_USAGE, "--%s takes a number from 0 to %llu, not \"%s\".", name,
                              (unsigned long long)most, text);
        return 0;
}

int argument_needed(const struct arguments *arguments, const char *name, const char **ret_text)
{
        const char *text = argument_text(arguments, name);
        const char *shape = "VALUE";

        if (text && *text) {
                *ret_text = text;
                return 0;
        }
        for (size_t i = 0; i < arguments->option_count; i++)
                if (strcmp(arguments->options[i]->name, name) == 0 && arguments->options[i]->argument)
                        shape = arguments->options[i]->argument;
        return refuse(PROBLEM_USAGE, "The command needs --%s %s; see \"vouchsafe %s%s%s --help\".", name, shape,
                      arguments->command->noun, arguments->command->verb ? " " : "",
                      arguments->command->verb ? arguments->command->verb : "");
}

size_t operand_count(const struct arguments *arguments)
{
        return arguments->operand_count;
}

const char *operand(const struct arguments *arguments, size_t index)
{
        return index < arguments->operand_count ? arguments->operands[index] : NULL;
}

bool argument_json(const struct arguments *arguments)
{
        return argument_flag(arguments, "json");
}

/* ---- parsing ---------------------------------------------------------------------------------------------- */

static const struct command_option common_options[] = {OPTION_JSON, OPTION_HOME, OPTION_HELP};

static void collect_options(struct arguments *arguments)
{
        const struct command_option *option = arguments->command->options;

        for (; option && option->name && arguments->option_count < OPTIONS_MOST - ARRAY_LEN(common_options); option++)
                arguments->options[arguments->option_count++] = option;
        for (size_t i = 0; i < ARRAY_LEN(common_options); i++)
                arguments->options[arguments->option_count++] = &common_options[i];
}

static int refuse_option(const struct arguments *arguments, const char *word, bool lacks_value)
{
        const struct command *command = arguments->command;
        const char *names[OPTIONS_MOST];
        char given[64];
        size_t count = 0;
        const char *near;

        if (lacks_value)
                return refuse(PROBLEM_USAGE, "The option %s needs a value; see \"vouchsafe %s%s%s --help\".", word,
                              command->noun, command->verb ? " " : "", command->verb ? command->verb : "");
        for (size_t i = 0; i < arguments->option_count; i++)
                names[count++] = arguments->options[i]->name;
        snprintf(given, sizeof(given), "%.*s", (int)strcspn(word, "="), word);
        near = strncmp(given, "--", 2) == 0 ? help_nearest(given + 2, names, count) : NULL;
        return refuse(PROBLEM_USAGE, "There is no option %s here%s%s%s; see \"vouchsafe %s%s%s --help\".", given,
                      near ? " (did you mean --" : "", near ? near : "", near ? "?)" : "", command->noun,
                      command->verb ? " " : "", command->verb ? command->verb : "");
}

static int take_option(struct arguments *arguments, const struct command_option *option, const char *value)
{
        if (arguments->given_count == VALUES_MOST)
                return refuse(PROBLEM_USAGE, "There are more than %d options.", VALUES_MOST);
        if (!option->repeats && option->argument && argument_flag(arguments, option->name))
                return refuse(PROBLEM_USAGE, "--%s is given twice.", option->name);
        arguments->given[arguments->given_count].option = option;
        arguments->given[arguments->given_count++].value = value;
        return 0;
}

static int parse_options(struct arguments *arguments, int argc, char **argv)
{
        struct option longs[OPTIONS_MOST + 1] = {0};
        char letters[2 * OPTIONS_MOST + 2] = ":";

        for (size_t i = 0; i < arguments->option_count; i++) {
                const struct command_option *option = arguments->options[i];
                longs[i] = (struct option){option->name, option->argument ? required_argument : no_argument, NULL,
                                           OPTION_BASE + (int)i};
                if (option->letter) {
                        size_t len = strlen(letters);
                        letters[len] = option->letter;
                        letters[len + 1] = option->argument ? ':' : 0;
                }
        }
        opterr = 0;
        optind = 1;
        for (int c; (c = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
                const struct command_option *option = NULL;
                if (c == '?' || c == ':')
                        return refuse_option(arguments, argv[optind - 1], c == ':');
                for (size_t i = 0; i < arguments->option_count; i++)
                        if (c == OPTION_BASE + (int)i || (c < OPTION_BASE && c == arguments->options[i]->letter))
                                option = arguments->options[i];
                if (option)
                        TRY(take_option(arguments, option, optarg));
        }
        arguments->operands = argv + optind;
        arguments->operand_count = (size_t)(argc - optind);
        return 0;
}

static int check_operands(const struct arguments *arguments)
{
        const struct command *command = arguments->command;
        const char *space = command->verb ? " " : "", *verb = command->verb ? command->verb : "";

        for (size_t i = 0; i < arguments->operand_count; i++)
                if (!text_is_utf8(bytes_text(arguments->operands[i])))
                        return refuse(PROBLEM_USAGE, "Operand %zu is not UTF-8 text.", i + 1);
        if (arguments->operand_count > command->most)
                return refuse(PROBLEM_USAGE, "\"%s\" is one word too many; usage: vouchsafe %s%s%s %s",
                              arguments->operands[command->most], command->noun, space, verb, command->operands);
        if (arguments->operand_count < command->least)
                return refuse(PROBLEM_USAGE, "Something is missing; usage: vouchsafe %s%s%s %s", command->noun, space,
                              verb, command->operands);
        return 0;
}

/* ---- which command ---------------------------------------------------------------------------------------- */

static const char *noun_of(const char *word)
{
        return strcmp(word, "officer") == 0 ? "operator" : word;
}

static int refuse_word(const char *noun, const char *word)
{
        const char *names[256] = {0};
        size_t count = 0;
        const char *near;

        for (size_t i = 0; commands[i] && count < ARRAY_LEN(names); i++) {
                if (noun && strcmp(commands[i]->noun, noun) == 0 && commands[i]->verb)
                        names[count++] = commands[i]->verb;
                else if (!noun)
                        names[count++] = commands[i]->noun;
        }
        near = help_nearest(word, names, count);
        return refuse(PROBLEM_USAGE, "There is no command \"vouchsafe %s%s%s\"%s%s%s (\"vouchsafe help\" lists all).",
                      noun ? noun : "", noun ? " " : "", word, near ? ". Did you mean \"" : "", near ? near : "",
                      near ? "\"?" : "");
}

static bool noun_known(const char *noun)
{
        for (size_t i = 0; commands[i]; i++)
                if (strcmp(commands[i]->noun, noun) == 0)
                        return true;
        return false;
}

/* The command that the words name, and how many of them it took; 0 words and no command: help was given instead. */
static int find_command(int argc, char **argv, const struct command **ret_command, int *ret_words)
{
        const char *noun = noun_of(argv[1]);
        const char *verb = argc > 2 && argv[2][0] != '-' ? argv[2] : NULL;

        if (!noun_known(noun))
                return refuse_word(NULL, argv[1]);
        for (size_t i = 0; commands[i]; i++) {
                if (strcmp(commands[i]->noun, noun) != 0)
                        continue;
                if (!commands[i]->verb || (verb && strcmp(commands[i]->verb, verb) == 0)) {
                        *ret_command = commands[i];
                        *ret_words = commands[i]->verb ? 2 : 1;
                        return 0;
                }
        }
        if (verb && strcmp(verb, "help") != 0)
                return refuse_word(noun, verb);
        if (!verb && !(argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))) {
                help_noun(stderr, noun);
                return refuse(PROBLEM_USAGE, "\"vouchsafe %s\" needs a verb.", noun);
        }
        help_noun(stdout, noun);
        *ret_command = NULL;
        return 0;
}

static bool wants_help(int argc, char **argv)
{
        return argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
               strcmp(argv[1], "-h") == 0;
}

static int help_asked(int argc, char **argv)
{
        const struct command *command = NULL;
        int words = 0;

        if (argc < 3) {
                help_all(argc < 2 ? stderr : stdout);
                return argc < 2 ? PROBLEM_USAGE : 0;
        }
        TRY(find_command(argc - 1, argv + 1, &command, &words));
        if (command)
                help_command(stdout, command);
        return 0;
}

/* Known before the words are understood: errors in them are to be JSON too. */
static bool wants_json(int argc, char **argv)
{
        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
                if (strcmp(argv[i], "--json") == 0)
                        return true;
        return false;
}

static int run_words(int argc, char **argv, bool *ret_json)
{
        struct arguments *arguments CLEANUP(mem_freep) = NEW(struct arguments);
        int words = 0;

        *ret_json = wants_json(argc, argv);
        TRY(find_command(argc, argv, &arguments->command, &words));
        if (!arguments->command)
                return 0;
        collect_options(arguments);
        TRY(parse_options(arguments, argc - words, argv + words));
        if (argument_flag(arguments, "help")) {
                help_command(stdout, arguments->command);
                return 0;
        }
        *ret_json = argument_json(arguments); /* also when abbreviated */
        TRY(check_operands(arguments));
        if (argument_text(arguments, "home"))
                setenv("VOUCHSAFE_HOME", argument_text(arguments, "home"), 1);
        return PASS(arguments->command->run(arguments));
}

/* Wherever the disk turned out to be full, it is no failure of the program. */
static int without_room(int result)
{
        return result == -ENOSPC || result == -EDQUOT || result == -EROFS ? PROBLEM_STORAGE : result;
}

int command_main(int argc, char **argv)
{
        bool json = false;
        int r;

        /* What is said about results stands where it was said, also in a file. */
        setvbuf(stdout, NULL, _IOLBF, 0);
        /* Widths of characters only; nothing else depends on it. */
        if (!setlocale(LC_CTYPE, "C.UTF-8"))
                setlocale(LC_CTYPE, "");
        if (wants_help(argc, argv)) {
                r = help_asked(argc, argv);
        } else if (strcmp(argv[1], "--version") == 0) {
                printf("vouchsafe %s\n", VOUCHSAFE_VERSION);
                r = 0;
        } else {
                r = run_words(argc, argv, &json);
        }
        if (!r && (fflush(stdout) != 0 || ferror(stdout)))
                r = refuse(PROBLEM_STORAGE, "Standard output could not be written to the end.");
        r = without_room(r);
        if (r)
                terminal_report(r, json);
        return result_exit_code(r);
}
