/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Configuration: `struct config` with a member for each option of options.def, as config.crl.interval. Everything wrong
 * is PROBLEM_CONFIGURATION with file, line, key and what to do; unknown sections and keys, and keys given twice, are
 * wrong too.
 *
 * The supervisor and the CLI read the file. Children get an encoding of their sections in the message `configure`
 * (wire/control.h) and decode that: they open no file. Sections that a child is not told have their defaults there; so
 * have keys left out.
 *
 * Units are those of options.def: durations in seconds, sizes in bytes. Text members are never NULL. Empty defaults
 * that depend on others are already filled in: store.url, server.url, mail.client_url, tls.certificate and tls.key (with the built-in
 * CA, tls-chain.pem and tls-key.pem in the data folder).
 */
#include <stdbool.h>

#include "base/buf.h"
#include "base/log.h"

struct config_texts {
        char **at;
        size_t count;
};

enum config_child { CONFIG_ENGINE = 1, CONFIG_FRONT = 2, CONFIG_KEEPER = 4, CONFIG_OUTBOUND = 8, CONFIG_LDAP = 16 };

#define SECTION(section, children, help)                               struct {
#define TEXT(section, member, key, value, when, help)                  char *member;
#define PATH(section, member, key, value, when, help)                  char *member;
#define CHOICE(section, member, key, value, choices, when, help)       char *member;
#define TEXTS(section, member, key, value, when, help)                 struct config_texts member;
#define ADDRESSES(section, member, key, value, when, help)             struct config_texts member;
#define FLAG(section, member, key, value, when, help)                  bool member;
#define NUMBER(section, member, key, value, least, most, when, help)   uint64_t member;
#define SIZE(section, member, key, value, least, most, when, help)     uint64_t member;
#define DURATION(section, member, key, value, least, most, when, help) int64_t member;
#define END_SECTION(section)                                                                                           \
        }                                                                                                              \
        section;
struct config {
#include "config/options.def"
        char **given; /* one for each option: the text that was given, NULL for the default */
};
#include "config/options-undef.h"

#define CONFIG_PATH_DEFAULT "/etc/vouchsafe/vouchsafe.conf"

void config_done(struct config *config);
/* All defaults; what is required is still missing. For tests, and for children before they are told. */
void config_init(struct config *ret_config);
int config_load(const char *path, struct config *ret_config) must_check;
/* The same for who reads and writes what it names: root takes none that somebody else can write. PROBLEM_CONFIGURATION. */
int config_load_believed(const char *path, struct config *ret_config) must_check;
/* The same from text; `name` is what errors call it. */
int config_parse(const char *name, const char *text, struct config *ret_config) must_check;

/* The sections for a child, and back. Decoding is strict: PROBLEM_MALFORMED, or PROBLEM_CONFIGURATION for a value. */
void config_encode(const struct config *config, enum config_child child, struct buf *out);
int config_decode(struct bytes encoded, struct config *ret_config) must_check;

/* Append the keys that differ and are not taken live, separated by blanks. */
void config_restart_needed(const struct config *old, const struct config *new, struct buf *ret_keys);
/* Set what is not taken live as it is in `old`. */
void config_keep_fixed(struct config *config, const struct config *old);
/* log_setup() after [log]; `process` is kept, not copied. */
void config_log_setup(const struct config *config, const char *process);
/* "Name <address>" or "address", for [mail]. PROBLEM_CONFIGURATION, with a sentence that starts after the key. */
int config_mailbox(const char *text, char **ret_name, char **ret_address) must_check;
/* The server's TLS certificate is the built-in CA's. */
bool config_tls_builtin(const struct config *config);
/* The path of a file in the data or in the run folder; free() it. */
char *config_data_path(const struct config *config, const char *name) must_check;
char *config_run_path(const struct config *config, const char *name) must_check;

/* The table, for those who document it. */
enum config_type {
        CONFIG_TEXT,
        CONFIG_PATH,
        CONFIG_CHOICE,
        CONFIG_TEXTS,
        CONFIG_ADDRESSES,
        CONFIG_FLAG,
        CONFIG_NUMBER,
        CONFIG_SIZE,
        CONFIG_DURATION,
};
struct config_option {
        const char *section, *key;
        enum config_type type;
        size_t offset;            /* in struct config */
        const char *value;        /* the default */
        const char *least, *most; /* NULL where there is none; for a choice, `least` lists them */
        bool live;
        const char *help;
};
struct config_section {
        const char *name;
        unsigned children;
        const char *help;
};
const struct config_option *config_option_at(size_t index);   /* NULL at the end */
const struct config_section *config_section_at(size_t index); /* NULL at the end */
