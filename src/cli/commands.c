/* SPDX-License-Identifier: Apache-2.0 */
/* Every command, in the order of the help. */
#include "cli/command.h"

#define COMMAND(name) extern const struct command name;
#include "cli/commands.def"
#undef COMMAND

const struct command *const commands[] = {
#define COMMAND(name) &name,
#include "cli/commands.def"
#undef COMMAND
    NULL,
};
