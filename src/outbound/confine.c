/* SPDX-License-Identifier: Apache-2.0 */
#include "outbound/confine.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sandbox.h"

int outbound_confine(const struct config *config, bool has_directory)
{
        const char *folder = *config->publish.folder && !has_directory ? config->publish.folder : NULL;
        struct sandbox_bounds bounds = {
                .folder = folder,
                .reads = true,
                .hidden = {config->server.data, config->startup.secret_file, config->tls.key, "/run/credentials"},
                .network = true,
        };

        if (folder && folder_make(folder, 0755)) {
                log_report(PROBLEM_STORAGE, "[publish] folder: nothing is published before a restart");
                bounds.folder = NULL;
        }
        return PASS(sandbox_confine(&bounds));
}
