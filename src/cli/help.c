/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <string.h>

#include "base/text.h"
#include "cli/terminal.h"

enum { NAME_WIDTH = 26, WORD_MOST = 32 };

/* ---- nearest ---------------------------------------------------------------------------------------------- */

static unsigned least(unsigned a, unsigned b, unsigned c)
{
        return MIN(a, MIN(b, c));
}

/* Optimal string alignment. */
static unsigned distance(const char *a, const char *b)
{
        unsigned rows[WORD_MOST + 1][WORD_MOST + 1] = {0};
        size_t la = strlen(a), lb = strlen(b);

        if (la > WORD_MOST || lb > WORD_MOST)
                return WORD_MOST;
        for (unsigned i = 0; i <= la; i++)
                rows[i][0] = i;
        for (unsigned j = 0; j <= lb; j++)
                rows[0][j] = j;
        for (size_t i = 1; i <= la; i++) {
                for (size_t j = 1; j <= lb; j++) {
                        rows[i][j] = least(rows[i - 1][j] + 1, rows[i][j - 1] + 1,
                                           rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                rows[i][j] = MIN(rows[i][j], rows[i - 2][j - 2] + 1);
                }
        }
        return rows[la][lb];
}

const char *help_nearest(const char *word, const char *const *words, size_t count)
{
        unsigned best = (unsigned)MAX(strlen(word) / 3, (size_t)1) + 1;
        const char *found = NULL;

        for (size_t i = 0; i < count; i++) {
                unsigned d = distance(word, words[i]);
                /* A beginning is as good as a typing mistake. */
                if (d >= best && strlen(word) >= 3 && strncmp(word, words[i], strlen(word)) == 0)
                        d = best - 1;
                if (d < best) {
                        best = d;
                        found = words[i];
                }
        }
        return found;
}

/* ---- usage ------------------------------------------------------------------------------------------------ */

static void show_entry(FILE *out, const char *name, const char *text)
{
        size_t width = text_columns(name);

        if (width > NAME_WIDTH)
                fprintf(out, "  %s\n  %*s  %s\n", name, NAME_WIDTH, "", text);
        else
                fprintf(out, "  %s%*s  %s\n", name, (int)(NAME_WIDTH - width), "", text);
}

static void show_commands(FILE *out, const char *noun)
{
        const char *last = NULL;
        char name[64];

        for (size_t i = 0; commands[i]; i++) {
                const struct command *command = commands[i];
                if (noun && strcmp(command->noun, noun) != 0)
                        continue;
                if (!noun && last && strcmp(last, command->noun) != 0 && (command->verb || !commands[i - 1]->verb))
                        fputs("", out);
                last = command->noun;
                snprintf(name, sizeof(name), "%s%s%s", command->noun, command->verb ? " " : "",
                         command->verb ? command->verb : "");
                show_entry(out, name, command->summary);
        }
}

void help_all(FILE *out)
{
        fprintf(out, "%sUsage:%s vouchsafe NOUN VERB [OPTION…] [OPERAND…]\n\n", style(out, STYLE_BOLD),
                style(out, STYLE_OFF));
        fputs("The key management server for S/MIME mail: its administration, and mail for its users.\n\n", out);
        show_commands(out, NULL);
        fputs(
            "\n\"vouchsafe NOUN VERB --help\" shows options and examples. All commands take --json and --home DIR.\n"
            "Times are UTC. Exit codes and files: man 1 vouchsafe.\n\n"
            "Examples:\n"
            "  vouchsafe init --data /var/lib/vouchsafe          set up a server, asking for what it needs\n"
            "  vouchsafe user enroll all --dry-run               who would get a token\n"
            "  vouchsafe enroll --server https://keys.example.org:8443\n"
            "  vouchsafe mail sign <draft.eml | vouchsafe mail encrypt --to bob@example.org | sendmail -t\n",
            out);
}

void help_noun(FILE *out, const char *noun)
{
        fprintf(out, "%sUsage:%s vouchsafe %s VERB [OPTION…] [OPERAND…]\n\n", style(out, STYLE_BOLD),
                style(out, STYLE_OFF), noun);
        show_commands(out, noun);
        for (size_t i = 0; commands[i]; i++) {
                if (strcmp(commands[i]->noun, noun) != 0 || !commands[i]->examples)
                        continue;
                fprintf(out, "\nExamples (%s):\n%s", commands[i]->verb ? commands[i]->verb : noun,
                        commands[i]->examples);
        }
        fprintf(out, "\n\"vouchsafe %s VERB --help\" shows the options.\n", noun);
}

static void show_option(FILE *out, const struct command_option *option)
{
        char name[96];
        char letter[8] = "";

        if (option->letter)
                snprintf(letter, sizeof(letter), "-%c, ", option->letter);
        snprintf(name, sizeof(name), "%s--%s%s%s%s", letter, option->name, option->argument ? " " : "",
                 option->argument ? option->argument : "", option->repeats ? " …" : "");
        show_entry(out, name, option->help);
}

void help_command(FILE *out, const struct command *command)
{
        static const struct command_option common[] = {OPTION_JSON, OPTION_HOME, OPTION_HELP};
        bool has_options = command->options && command->options->name;

        fprintf(out, "%sUsage:%s vouchsafe %s%s%s%s%s%s\n\n", style(out, STYLE_BOLD), style(out, STYLE_OFF),
                command->noun, command->verb ? " " : "", command->verb ? command->verb : "",
                has_options ? " [OPTION…]" : "", *command->operands ? " " : "", command->operands);
        fprintf(out, "%s.\n", command->summary);
        if (command->about)
                fprintf(out, "\n%s", command->about);
        fputs("\nOptions:\n", out);
        for (const struct command_option *option = command->options; option && option->name; option++)
                show_option(out, option);
        for (size_t i = 0; i < ARRAY_LEN(common); i++)
                show_option(out, &common[i]);
        if (command->examples)
                fprintf(out, "\nExamples:\n%s", command->examples);
}

/* ---- completion ------------------------------------------------------------------------------------------- */

static void completion_words(FILE *out, const struct command *command)
{
        fprintf(out, "        \"%s %s\") words=\"", command->noun, command->verb ? command->verb : "");
        for (const struct command_option *option = command->options; option && option->name; option++)
                fprintf(out, "--%s ", option->name);
        fputs("--json --home --help\" ;;\n", out);
}

void help_completion(FILE *out)
{
        const char *last = "";

        fputs("# bash completion for vouchsafe; made by \"vouchsafe completion\"\n_vouchsafe() {\n"
              "    local cur=${COMP_WORDS[COMP_CWORD]} noun=${COMP_WORDS[1]} verb=${COMP_WORDS[2]} words= verbs=\n"
              "    case $noun in\n",
              out);
        for (size_t i = 0; commands[i]; i++) {
                if (!commands[i]->verb)
                        continue;
                if (strcmp(last, commands[i]->noun) != 0)
                        fprintf(out, "%s        %s) verbs=\"", *last ? "\" ;;\n" : "", commands[i]->noun);
                last = commands[i]->noun;
                fprintf(out, "%s ", commands[i]->verb);
        }
        fputs("\" ;;\n    esac\n    [ -n \"$verbs\" ] || verb=\n    case \"$noun $verb\" in\n", out);
        for (size_t i = 0; commands[i]; i++)
                completion_words(out, commands[i]);
        fputs("    esac\n    if [ \"$COMP_CWORD\" = 1 ]; then\n        COMPREPLY=($(compgen -W \"help", out);
        last = "";
        for (size_t i = 0; commands[i]; i++) {
                if (strcmp(last, commands[i]->noun) != 0)
                        fprintf(out, " %s", commands[i]->noun);
                last = commands[i]->noun;
        }
        fputs(
            "\" -- \"$cur\"))\n    elif [ \"$COMP_CWORD\" = 2 ] && [ -n \"$verbs\" ]; then\n"
            "        COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n"
            "    elif [[ $cur == -* ]]; then\n        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
            "    else\n        COMPREPLY=($(compgen -f -- \"$cur\"))\n    fi\n}\ncomplete -F _vouchsafe vouchsafe\n",
            out);
}
