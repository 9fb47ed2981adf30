/* SPDX-License-Identifier: Apache-2.0 */
/* At build time: the sample configuration ("sample") and the page vouchsafe.conf(5) ("man"), out of the table of
 * options. */
#include <stdio.h>

#include "config/value.h"

static bool required(const struct config_option *option)
{
        return strcmp(option->section, "server") == 0 &&
               (strcmp(option->key, "organisation") == 0 || strcmp(option->key, "host-names") == 0);
}

/* Words filled into lines after a prefix. */
static void filled(const char *prefix, const char *text)
{
        size_t column = 0;

        while (*text) {
                size_t len = strcspn(text, " ");

                if (column && column + 1 + len > 100) {
                        putchar('\n');
                        column = 0;
                }
                column += (size_t)(column ? printf(" ") : printf("%s", prefix));
                column += (size_t)printf("%.*s", (int)len, text);
                text += len;
                text += strspn(text, " ");
        }
        putchar('\n');
}

static void sample(void)
{
        printf("# Configuration of a Vouchsafe server; see vouchsafe.conf(5). What is commented out is the default.\n"
               "# Check a change with \"vouchsafed --check\", then \"systemctl reload vouchsafe\".\n");
        for (size_t i = 0; config_section_at(i); i++) {
                const struct config_section *section = config_section_at(i);

                printf("\n");
                filled("# ", section->help);
                printf("[%s]\n", section->name);
                for (size_t k = 0; config_option_at(k); k++) {
                        const struct config_option *option = config_option_at(k);

                        if (strcmp(option->section, section->name) != 0)
                                continue;
                        filled("# ", option->help);
                        if (required(option))
                                printf("%s =%s\n", option->key,
                                       option->key[0] == 'o' ? " Example Ltd." : " keys.example.org");
                        else
                                printf("#%s =%s%s\n", option->key, *option->value ? " " : "", option->value);
                }
        }
}

/* roff: a backslash and a dash that is typed as such are escaped. */
static void roff(const char *text)
{
        for (; *text; text++) {
                if (*text == '-')
                        putchar('\\');
                if (*text == '\\')
                        printf("\\e");
                else
                        putchar(*text);
        }
}

static const char *type_words(enum config_type type)
{
        static const char *const words[] = {
                [CONFIG_TEXT] = "text",     [CONFIG_PATH] = "path",           [CONFIG_CHOICE] = "one of",
                [CONFIG_TEXTS] = "list",    [CONFIG_ADDRESSES] = "addresses", [CONFIG_FLAG] = "yes or no",
                [CONFIG_NUMBER] = "number", [CONFIG_SIZE] = "size",           [CONFIG_DURATION] = "duration",
        };

        return words[type];
}

static void man_option(const struct config_option *option)
{
        printf(".TP\n.BR ");
        roff(option->key);
        printf(" \" = \\fI");
        if (required(option))
                printf("required");
        else
                roff(*option->value ? option->value : "(empty)");
        printf("\\fR\"\n");
        roff(option->help);
        printf("\n(%s", type_words(option->type));
        if (option->least) {
                printf(" ");
                roff(option->least);
        }
        if (option->most) {
                printf(" to ");
                roff(option->most);
        }
        printf(option->live ? "; taken on reload)\n" : "; needs a restart)\n");
}

static void man(void)
{
        printf(".\\\" SPDX-License-Identifier: Apache-2.0\n.\\\" Generated from src/config/options.def\n"
               ".TH VOUCHSAFE.CONF 5 \"\" \"vouchsafe " VOUCHSAFE_VERSION "\"\n.SH NAME\nvouchsafe.conf \\- "
                                                                          "configuration of the Vouchsafe server\n"
               ".SH SYNOPSIS\n" CONFIG_PATH_DEFAULT "\n.SH DESCRIPTION\nSections in brackets, then \\fIkey = value\\fR "
                                                    "lines; lines that begin "
               "with # or ; are comments, and so is the rest of a line after a blank and a semicolon. A list may go on "
               "in "
               "indented lines. Unknown sections and keys are errors, which name the line. Sizes take k, M, G; "
               "durations take s, m, h, d, w, mo "
               "(30 days), y (365 days).\n.PP\n\\fBvouchsafed \\-\\-check\\fR says whether a configuration is "
               "right.\n");
        for (size_t i = 0; config_section_at(i); i++) {
                printf(".SH [%s]\n%s\n", config_section_at(i)->name, config_section_at(i)->help);
                for (size_t k = 0; config_option_at(k); k++)
                        if (strcmp(config_option_at(k)->section, config_section_at(i)->name) == 0)
                                man_option(config_option_at(k));
        }
        printf(".SH SEE ALSO\n.BR vouchsafed (8),\n.BR vouchsafe (1)\n");
}

int main(int argc, char **argv)
{
        if (argc != 2)
                return 2;
        if (strcmp(argv[1], "sample") == 0)
                sample();
        else
                man();
        return ferror(stdout) ? 1 : 0;
}
