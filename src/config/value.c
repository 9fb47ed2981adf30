/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <arpa/inet.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"

static void *value_at(struct config *config, const struct config_option *option)
{
        return (char *)config + option->offset;
}

static void texts_done(struct config_texts *texts)
{
        for (size_t i = 0; i < texts->count; i++)
                free(texts->at[i]);
        free(texts->at);
        *texts = (struct config_texts){0};
}

void value_done(struct config *config, const struct config_option *option)
{
        switch (option->type) {
        case CONFIG_TEXT:
        case CONFIG_PATH:
        case CONFIG_CHOICE:
                free(*(char **)value_at(config, option));
                *(char **)value_at(config, option) = NULL;
                break;
        case CONFIG_TEXTS:
        case CONFIG_ADDRESSES:
                texts_done(value_at(config, option));
                break;
        case CONFIG_FLAG:
        case CONFIG_NUMBER:
        case CONFIG_SIZE:
        case CONFIG_DURATION:
                break;
        }
}

static void text_set(struct config *config, const struct config_option *option, const char *text)
{
        value_done(config, option);
        *(char **)value_at(config, option) = text_copy(text);
}

static int choice_set(struct config *config, const struct config_option *option, const char *text)
{
        size_t len = strlen(text);

        for (const char *at = option->least; len && at; at = strchr(at, '|')) {
                at += *at == '|';
                if (strncmp(at, text, len) == 0 && (at[len] == '|' || !at[len])) {
                        text_set(config, option, text);
                        return 0;
                }
        }
        return refuse(PROBLEM_CONFIGURATION, "is one of %s, not \"%s\".", option->least, text);
}

/* "ADDRESS:PORT" or "[ADDRESS]:PORT"; names are not looked up, since that could hang a start. */
static int address_check(const char *text)
{
        const char *colon = strrchr(text, ':');
        CLEANUP(mem_freep) char *host = colon ? text_copy_n(text, (size_t)(colon - text)) : NULL;
        size_t len = host ? strlen(host) : 0;
        uint8_t binary[16];
        uint64_t port;
        bool right;

        if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
                host[len - 1] = 0;
                right = inet_pton(AF_INET6, host + 1, binary) == 1;
        } else {
                right = host && inet_pton(AF_INET, host, binary) == 1;
        }
        if (!right || number_parse(bytes_text(colon + 1), 65535, &port))
                return refuse(PROBLEM_CONFIGURATION,
                              "takes addresses with ports, as 127.0.0.1:8443 or [::]:8443, not \"%s\".", text);
        return 0;
}

static int texts_set(struct config *config, const struct config_option *option, const char *text)
{
        struct config_texts texts = {0};
        int r = 0;

        while (!r && *(text += strspn(text, " \t"))) {
                size_t len = strcspn(text, " \t");

                texts.at = mem_resize(texts.at, texts.count + 1, sizeof(char *));
                texts.at[texts.count++] = text_copy_n(text, len);
                text += len;
                if (option->type == CONFIG_ADDRESSES)
                        r = address_check(texts.at[texts.count - 1]);
        }
        if (r) {
                texts_done(&texts);
                return PASS(r);
        }
        value_done(config, option);
        *(struct config_texts *)value_at(config, option) = texts;
        return 0;
}

static int flag_set(struct config *config, const struct config_option *option, const char *text)
{
        if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
                return refuse(PROBLEM_CONFIGURATION, "is yes or no, not \"%s\".", text);
        *(bool *)value_at(config, option) = text[0] == 'y';
        return 0;
}

static int size_parse(const char *text, uint64_t *ret_size)
{
        size_t len = strlen(text);
        const char *units = "kMG", *unit = len ? strchr(units, text[len - 1]) : NULL;
        int shift = unit ? 10 * (int)(unit - units + 1) : 0;
        uint64_t size;

        TRY(number_parse(bytes_of(text, len - (unit != NULL)), UINT64_MAX >> 31, &size));
        *ret_size = size << shift;
        return 0;
}

/* All numbers, as what bounds them is written in the same way. */
static int number_of(enum config_type type, const char *text, uint64_t *ret_number)
{
        int64_t seconds;

        if (type == CONFIG_SIZE)
                return size_parse(text, ret_number);
        if (type == CONFIG_NUMBER)
                return number_parse(bytes_text(text), INT64_MAX, ret_number);
        TRY(duration_parse(bytes_text(text), &seconds));
        *ret_number = (uint64_t)seconds;
        return 0;
}

static int number_set(struct config *config, const struct config_option *option, const char *text)
{
        uint64_t number, least, most;

        if (number_of(option->type, option->least, &least) || number_of(option->type, option->most, &most))
                return fault(0, "options.def: bounds of %s", option->key);
        if (number_of(option->type, text, &number))
                return refuse(PROBLEM_CONFIGURATION, "is %s, not \"%s\".",
                              option->type == CONFIG_DURATION ? "a duration as 90s, 15m, 24h, 30d, 18mo or 2y"
                              : option->type == CONFIG_SIZE   ? "a size in bytes as 65536, 64k or 4M"
                                                              : "a number",
                              text);
        if (number < least || number > most)
                return refuse(PROBLEM_CONFIGURATION, "is from %s to %s, not \"%s\".", option->least, option->most,
                              text);
        if (option->type == CONFIG_DURATION)
                *(int64_t *)value_at(config, option) = (int64_t)number;
        else
                *(uint64_t *)value_at(config, option) = number;
        return 0;
}

int value_set(struct config *config, const struct config_option *option, const char *text)
{
        if (!text_is_printable(bytes_text(text)))
                return refuse(PROBLEM_CONFIGURATION, "holds what is not printable UTF-8.");
        switch (option->type) {
        case CONFIG_PATH:
                if (text[0] != '/')
                        return refuse(PROBLEM_CONFIGURATION, "is a path that starts with /, not \"%s\".", text);
                text_set(config, option, text);
                return 0;
        case CONFIG_TEXT:
                text_set(config, option, text);
                return 0;
        case CONFIG_CHOICE:
                return PASS(choice_set(config, option, text));
        case CONFIG_TEXTS:
        case CONFIG_ADDRESSES:
                return PASS(texts_set(config, option, text));
        case CONFIG_FLAG:
                return PASS(flag_set(config, option, text));
        case CONFIG_NUMBER:
        case CONFIG_SIZE:
        case CONFIG_DURATION:
                return PASS(number_set(config, option, text));
        }
        return fault(0, "options.def: type of %s", option->key);
}
