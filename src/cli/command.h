/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a command is, and how words become one: `vouchsafe NOUN VERB [OPTION…] [OPERAND…]`. A command is a row of a
 * constant table; usage, help, completion and the parsing of options all come from that row.
 *
 * Arguments are borrowed from argv and live as long as the process. A command returns a result (fault.h); main()
 * reports it and turns it into the exit code.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"

struct command_option {
        const char *name;     /* "server", without dashes */
        const char *argument; /* "URL"; NULL for a flag */
        const char *help;
        char letter; /* 0: none */
        bool repeats;
};

struct arguments;

struct command {
        const char *noun, *verb;              /* verb NULL: the noun alone is the command */
        const char *summary;                  /* one line, without a full stop */
        const char *operands;                 /* "SELECTOR…", as usage shows it; "" for none */
        unsigned least, most;                 /* operands */
        const struct command_option *options; /* ends with a name of NULL; the common ones come on top */
        const char *about;                    /* paragraphs, or NULL */
        const char *examples;                 /* lines, or NULL */
        int (*run)(struct arguments *arguments);
};

enum { OPERANDS_ANY = 1 << 20 };

/* Options that many commands have. */
/* clang-format off */
#define OPTION_HELP  {"help", NULL, "show this help", 'h', false}
#define OPTION_JSON  {"json", NULL, "print JSON instead of tables", 0, false}
#define OPTION_HOME  {"home", "DIR", "folder of keys and caches (default $VOUCHSAFE_HOME or ~/.config/vouchsafe)", 0, false}
#define OPTIONS_PASSWORD                                                                                     \
        {"password-file", "FILE", "read the password from the first line of FILE (- is stdin)", 0, false},   \
        {"password-fd", "N", "read the password from file descriptor N", 0, false}
#define OPTIONS_OPERATOR                                                                                     \
        {"as", "NAME", "the operator who asks (default: the only one of the folder)", 0, false},             \
        {"server", "URL", "the server (default: the operator's)", 's', false},                               \
        OPTIONS_PASSWORD
#define OPTIONS_END {NULL, NULL, NULL, 0, false}
/* clang-format on */

bool argument_flag(const struct arguments *arguments, const char *name);
/* The last value given, or NULL. */
const char *argument_text(const struct arguments *arguments, const char *name);
/* Value number `index` of an option that repeats, or NULL beyond the last. */
const char *argument_text_at(const struct arguments *arguments, const char *name, size_t index);
size_t argument_count(const struct arguments *arguments, const char *name);
/* PROBLEM_USAGE when it is no number from 0 to `most`; `otherwise` when it is absent. */
int argument_number(const struct arguments *arguments, const char *name, uint64_t most, uint64_t otherwise,
                    uint64_t *ret_number) must_check;
/* PROBLEM_USAGE when absent: "vouchsafe enroll needs --server URL". */
int argument_needed(const struct arguments *arguments, const char *name, const char **ret_text) must_check;
size_t operand_count(const struct arguments *arguments);
/* NULL beyond the last. */
const char *operand(const struct arguments *arguments, size_t index);
bool argument_json(const struct arguments *arguments);

/* All commands, in the order of the help: commands.c. Ends with a noun of NULL. */
extern const struct command *const commands[];

/* Parse and run; `argv` as of main(). Reports its own result on standard error and returns the exit code. */
int command_main(int argc, char **argv);
