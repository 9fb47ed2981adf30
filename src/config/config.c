/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "config/value.h"

#define SECTION(section, children, help) {#section, children, help},
#define TEXT(...)
#define PATH(...)
#define CHOICE(...)
#define TEXTS(...)
#define ADDRESSES(...)
#define FLAG(...)
#define NUMBER(...)
#define SIZE(...)
#define DURATION(...)
#define END_SECTION(section)
static const struct config_section sections[] = {
#include "config/options.def"
};
#include "config/options-undef.h"

enum { RESTART, LIVE };
#define ROW(section, member, key, type, value, least, most, when, help)                                                \
        {#section, key, type, offsetof(struct config, section.member), value, least, most, when, help},
#define SECTION(section, children, help)
#define TEXT(section, member, key, value, when, help)                                                                  \
        ROW(section, member, key, CONFIG_TEXT, value, NULL, NULL, when, help)
#define PATH(section, member, key, value, when, help)                                                                  \
        ROW(section, member, key, CONFIG_PATH, value, NULL, NULL, when, help)
#define TEXTS(section, member, key, value, when, help)                                                                 \
        ROW(section, member, key, CONFIG_TEXTS, value, NULL, NULL, when, help)
#define ADDRESSES(section, member, key, value, when, help)                                                             \
        ROW(section, member, key, CONFIG_ADDRESSES, value, NULL, NULL, when, help)
#define FLAG(section, member, key, value, when, help)                                                                  \
        ROW(section, member, key, CONFIG_FLAG, value, NULL, NULL, when, help)
#define CHOICE(section, member, key, value, choices, when, help)                                                       \
        ROW(section, member, key, CONFIG_CHOICE, value, choices, NULL, when, help)
#define NUMBER(section, member, key, value, least, most, when, help)                                                   \
        ROW(section, member, key, CONFIG_NUMBER, value, #least, #most, when, help)
#define SIZE(section, member, key, value, least, most, when, help)                                                     \
        ROW(section, member, key, CONFIG_SIZE, value, least, most, when, help)
#define DURATION(section, member, key, value, least, most, when, help)                                                 \
        ROW(section, member, key, CONFIG_DURATION, value, least, most, when, help)
#define END_SECTION(section)
static const struct config_option options[] = {
#include "config/options.def"
};
#include "config/options-undef.h"

const struct config_option *config_option_at(size_t index)
{
        return index < ARRAY_LEN(options) ? &options[index] : NULL;
}

const struct config_section *config_section_at(size_t index)
{
        return index < ARRAY_LEN(sections) ? &sections[index] : NULL;
}

size_t config_option_count(void)
{
        return ARRAY_LEN(options);
}

int config_option_find(const char *section, const char *key)
{
        for (size_t i = 0; i < ARRAY_LEN(options); i++)
                if (strcmp(options[i].section, section) == 0 && strcmp(options[i].key, key) == 0)
                        return (int)i;
        return -1;
}

static const struct config_section *section_find(const char *name)
{
        for (size_t i = 0; i < ARRAY_LEN(sections); i++)
                if (strcmp(sections[i].name, name) == 0)
                        return &sections[i];
        return NULL;
}

bool config_section_known(const char *section)
{
        return section_find(section);
}

void config_done(struct config *config)
{
        for (size_t i = 0; config->given && i < ARRAY_LEN(options); i++) {
                value_done(config, &options[i]);
                free(config->given[i]);
        }
        free(config->given);
        *config = (struct config){0};
}

void config_init(struct config *ret_config)
{
        *ret_config = (struct config){.given = mem_array(ARRAY_LEN(options), sizeof(char *))};
        for (size_t i = 0; i < ARRAY_LEN(options); i++)
                if (value_set(ret_config, &options[i], options[i].value))
                        abort(); /* a mistake in options.def, which a test finds */
}

int config_set(struct config *config, size_t index, const char *text)
{
        TRY(value_set(config, &options[index], text));
        free(config->given[index]);
        config->given[index] = text_copy(text);
        return 0;
}

static void fill(char **member, char *text)
{
        if (!**member) {
                free(*member);
                *member = TAKE(text);
        }
        free(text);
}

/* Where clients reach the first address that is listened on; the port that the scheme means is left out. */
static char *url_of(const struct config *config, const char *scheme, const struct config_texts *listen,
                    const char *usual)
{
        const char *port = listen->count ? strrchr(listen->at[0], ':') : NULL, *host = config->server.host_names.at[0];
        bool six = strchr(host, ':') != NULL; /* RFC 3986 section 3.2.2 */

        return text_format("%s://%s%s%s%s", scheme, six ? "[" : "", host, six ? "]" : "",
                           port && strcmp(port, usual) != 0 ? port : "");
}

void config_complete(struct config *config)
{
        if (config->server.host_names.count) {
                fill(&config->server.url, url_of(config, "http", &config->listen.http, ":80"));
                fill(&config->mail.client_url, url_of(config, "https", &config->listen.https, ":443"));
        }
        fill(&config->store.url, text_format("sqlite:%s/vouchsafe.db", config->server.data));
        fill(&config->tls.certificate, config_data_path(config, "tls-chain.pem"));
        fill(&config->tls.key, config_data_path(config, "tls-key.pem"));
}

static void length_add(struct buf *out, size_t len)
{
        for (int shift = 24; shift >= 0; shift -= 8)
                buf_add_byte(out, (uint8_t)(len >> shift));
}

static void text_add(struct buf *out, const char *text)
{
        length_add(out, strlen(text));
        buf_add_text(out, text);
}

/* What was given, as texts "section", "key", "value", each after its length in 4 bytes. */
void config_encode(const struct config *config, enum config_child child, struct buf *out)
{
        for (size_t i = 0; i < ARRAY_LEN(options); i++) {
                if (!config->given[i] || !(section_find(options[i].section)->children & child))
                        continue;
                text_add(out, options[i].section);
                text_add(out, options[i].key);
                text_add(out, config->given[i]);
        }
}

/* Takes the first text off `encoded`. */
static int text_next(struct bytes *encoded, char **ret_text)
{
        size_t len = 0;

        if (encoded->len < 4)
                return refuse(PROBLEM_MALFORMED, "The encoded configuration is cut off.");
        for (int i = 0; i < 4; i++)
                len = len << 8 | encoded->data[i];
        if (encoded->len - 4 < len || memchr(encoded->data + 4, 0, len))
                return refuse(PROBLEM_MALFORMED, "The encoded configuration is broken.");
        *ret_text = text_copy_n((const char *)encoded->data + 4, len);
        *encoded = bytes_of(encoded->data + 4 + len, encoded->len - 4 - len);
        return 0;
}

static int option_next(struct config *config, struct bytes *encoded)
{
        CLEANUP(mem_freep) char *section = NULL;
        CLEANUP(mem_freep) char *key = NULL;
        CLEANUP(mem_freep) char *value = NULL;
        int index, r;

        TRY(text_next(encoded, &section));
        TRY(text_next(encoded, &key));
        TRY(text_next(encoded, &value));
        index = config_option_find(section, key);
        if (index < 0 || config->given[index])
                return refuse(PROBLEM_MALFORMED, "The encoded configuration has [%s] %s, unknown or twice.", section,
                              key);
        r = config_set(config, (size_t)index, value);
        return r ? report_prefix(PASS(r), "[%s] %s ", section, key) : 0;
}

int config_decode(struct bytes encoded, struct config *ret_config)
{
        CLEANUP(config_done) struct config config;

        config_init(&config);
        while (encoded.len)
                TRY(option_next(&config, &encoded));
        config_complete(&config);
        *ret_config = config;
        config = (struct config){0};
        return 0;
}

void config_restart_needed(const struct config *old, const struct config *new, struct buf *ret_keys)
{
        for (size_t i = 0; i < ARRAY_LEN(options); i++) {
                const char *before = old->given[i] ? old->given[i] : options[i].value;
                const char *after = new->given[i] ? new->given[i] : options[i].value;

                if (!options[i].live && strcmp(before, after) != 0)
                        buf_add_format(ret_keys, "%s[%s] %s", ret_keys->len ? ", " : "", options[i].section,
                                       options[i].key);
        }
}

void config_keep_fixed(struct config *config, const struct config *old)
{
        for (size_t i = 0; i < ARRAY_LEN(options); i++) {
                const struct config *from = options[i].live ? config : old;

                /* Also what is live and not given, since a default may depend on what stays. */
                if (value_set(config, &options[i], from->given[i] ? from->given[i] : options[i].value))
                        abort(); /* it was set once */
                if (options[i].live)
                        continue;
                free(config->given[i]);
                config->given[i] = old->given[i] ? text_copy(old->given[i]) : NULL;
        }
        config_complete(config);
}

void config_log_setup(const struct config *config, const char *process)
{
        static const struct {
                const char *name;
                enum log_format format;
        } formats[] = {{"auto", LOG_FORMAT_AUTO},
                       {"journal", LOG_FORMAT_JOURNAL},
                       {"json", LOG_FORMAT_JSON},
                       {"text", LOG_FORMAT_TEXT}};
        static const struct {
                const char *name;
                enum log_level level;
        } levels[] = {{"error", LOG_LEVEL_ERROR},
                      {"warning", LOG_LEVEL_WARNING},
                      {"notice", LOG_LEVEL_NOTICE},
                      {"info", LOG_LEVEL_INFO},
                      {"debug", LOG_LEVEL_DEBUG}};
        enum log_format format = LOG_FORMAT_AUTO;
        enum log_level level = LOG_LEVEL_INFO;

        for (size_t i = 0; i < ARRAY_LEN(formats); i++)
                if (strcmp(formats[i].name, config->log.format) == 0)
                        format = formats[i].format;
        for (size_t i = 0; i < ARRAY_LEN(levels); i++)
                if (strcmp(levels[i].name, config->log.level) == 0)
                        level = levels[i].level;
        log_setup(process, format, level);
}

bool config_tls_builtin(const struct config *config)
{
        const char *given = config->given[config_option_find("tls", "certificate")];

        return !given || !*given;
}

char *config_data_path(const struct config *config, const char *name)
{
        return text_format("%s/%s", config->server.data, name);
}

char *config_run_path(const struct config *config, const char *name)
{
        return text_format("%s/%s", config->server.run, name);
}
