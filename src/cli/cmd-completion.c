/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/help.h"

static int completion(struct arguments *arguments)
{
        help_completion(stdout);
        return 0;
}

const struct command command_completion = {
    .noun = "completion",
    .summary = "Print a completion script for bash",
    .operands = "",
    .examples = "  vouchsafe completion >/etc/bash_completion.d/vouchsafe\n",
    .run = completion,
};
