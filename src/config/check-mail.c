/* SPDX-License-Identifier: Apache-2.0 */
/* What the options of [mail] must be together. */
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "config/value.h"

int config_mailbox(const char *text, char **ret_name, char **ret_address)
{
        const char *angle = strrchr(text, '<');
        size_t len = strlen(text), name_len = angle ? (size_t)(angle - text) : 0;
        struct bytes address = angle && text[len - 1] == '>' ? bytes_of(angle + 1, len - name_len - 2) : bytes_text(text);
        CLEANUP(buf_done) struct buf key = BUF_NONE;

        if (address_parse(address, &key) != 0)
                return refuse(PROBLEM_CONFIGURATION,
                              "is an address, as keys@example.org or Key Management <keys@example.org>, not \"%s\".", text);
        while (name_len && (text[name_len - 1] == ' ' || text[name_len - 1] == '"'))
                name_len--;
        while (name_len && *text == '"')
                text++, name_len--;
        *ret_name = text_copy_n(text, name_len);
        *ret_address = text_copy_n((const char *)address.data, address.len);
        return 0;
}

/* Host and port of a URL without its scheme. */
static bool host_is_this_machine(const char *host)
{
        static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                size_t len = strlen(names[i]);

                if (strncmp(host, names[i], len) == 0 && (host[len] == 0 || host[len] == ':'))
                        return true;
        }
        return false;
}

static int check_server(const char *name, const struct config *config, const char *url)
{
        bool tls = strncmp(url, "smtps://", 8) == 0;
        const char *host = url + (tls ? 8 : 7);

        if ((!tls && strncmp(url, "smtp://", 7) != 0) || !*host || strpbrk(host, "/@?# "))
                return refuse(PROBLEM_CONFIGURATION,
                              "%s: [mail] servers are URLs as smtp://mail.example.org:587 or smtps://mail.example.org, not "
                              "\"%s\".",
                              name, url);
        if (!tls && !config->mail.starttls && !host_is_this_machine(host))
                return refuse(PROBLEM_CONFIGURATION,
                              "%s: [mail] starttls = no would send tokens to %s for everybody on the way to read. Use "
                              "STARTTLS or smtps://; without either only servers on this machine are taken.",
                              name, url);
        return 0;
}

static int check_mailbox(const char *name, const char *key, const char *text)
{
        CLEANUP(mem_freep) char *display = NULL;
        CLEANUP(mem_freep) char *address = NULL;
        int r = *text ? config_mailbox(text, &display, &address) : 0;

        return r ? report_prefix(PASS(r), "%s: [mail] %s ", name, key) : 0;
}

int config_check_mail(const char *name, const struct config *config)
{
        for (size_t i = 0; i < config->mail.servers.count; i++)
                TRY(check_server(name, config, config->mail.servers.at[i]));
        if (config->mail.servers.count && !*config->mail.from)
                return refuse(PROBLEM_CONFIGURATION,
                              "%s: [mail] from is missing: say whom mails come from, as from = keys@example.org.", name);
        TRY(check_mailbox(name, "from", config->mail.from));
        TRY(check_mailbox(name, "reply-to", config->mail.reply_to));
        TRY(check_mailbox(name, "return-path", config->mail.return_path));
        if (!*config->mail.user != !*config->mail.password_file)
                return refuse(PROBLEM_CONFIGURATION, "%s: [mail] user and password-file are given together or not at all.",
                              name);
        if (!config->mail.servers.count && strcmp(config->token.delivery, "hand") != 0)
                return refuse(PROBLEM_CONFIGURATION, "%s: [token] delivery = %s needs [mail] servers.", name,
                              config->token.delivery);
        if (!config->mail.servers.count && strcmp(config->token.recovery_delivery, "split") == 0)
                return refuse(PROBLEM_CONFIGURATION, "%s: [token] recovery-delivery = split needs [mail] servers.", name);
        return 0;
}
