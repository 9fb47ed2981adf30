/* SPDX-License-Identifier: Apache-2.0 */
#include "ldap/schema.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "ldap/filter.h"

struct preset {
        const char *schema, *id, *people_filter, *group_filter;
        const char *name, *given_name, *surname, *mail, *unit, *server, *disabled, *member, *language;
};

static const struct preset presets[] = {
    {
        .schema = "inetorgperson",
        .id = "entryUUID",
        .people_filter = "(objectClass=inetOrgPerson)",
        .group_filter =
            "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers))",
        .name = "cn",
        .given_name = "givenName",
        .surname = "sn",
        .mail = "mail",
        .unit = "",
        .server = "mailHost",
        .disabled = "pwdAccountLockedTime nsAccountLock loginDisabled",
        .member = "member uniqueMember",
        .language = "preferredLanguage",
    },
    {
        .schema = "ad",
        .id = "objectGUID",
        .people_filter = "(&(objectCategory=person)(objectClass=user))",
        .group_filter = "(objectClass=group)",
        .name = "displayName cn",
        .given_name = "givenName",
        .surname = "sn",
        .mail = "mail proxyAddresses",
        .unit = "",
        .server = "msExchHomeServerName",
        .disabled = "userAccountControl accountExpires",
        .member = "member",
        .language = "preferredLanguage",
    },
};

static const struct preset *preset_find(const char *schema)
{
        for (size_t i = 0; i < ARRAY_LEN(presets); i++)
                if (strcmp(presets[i].schema, schema) == 0)
                        return &presets[i];
        return &presets[0];
}

/* ---- lists of names ---------------------------------------------------------------------------------------
 */

static void list_add(char ***list, const char *text, size_t len)
{
        size_t count = 0;

        while ((*list)[count])
                count++;
        *list = mem_resize(*list, count + 2, sizeof(char *));
        (*list)[count] = text_copy_n(text, len);
        (*list)[count + 1] = NULL;
}

static void list_done(char **list)
{
        for (char **at = list; at && *at; at++)
                free(*at);
        free(list);
}

static void names_set(struct schema_names *names, const struct config_texts *given, const char *preset)
{
        names->at = NEW(char *);
        for (size_t i = 0; i < given->count; i++)
                list_add(&names->at, given->at[i], strlen(given->at[i]));
        for (size_t len; !given->count && *(preset += strspn(preset, " ")); preset += len) {
                len = strcspn(preset, " ");
                list_add(&names->at, preset, len);
        }
}

static void ask_for(char ***list, const struct schema_names *names)
{
        for (char **at = names->at; *at; at++)
                list_add(list, *at, strlen(*at));
}

static void attributes_set(struct schema *schema)
{
        const struct schema_names *of_people[] = {&schema->name,     &schema->given_name, &schema->surname,
                                                  &schema->mail,     &schema->unit,       &schema->server,
                                                  &schema->disabled, &schema->language};

        schema->person_attributes = NEW(char *);
        schema->group_attributes = NEW(char *);
        list_add(&schema->person_attributes, schema->id, strlen(schema->id));
        list_add(&schema->group_attributes, schema->id, strlen(schema->id));
        for (size_t i = 0; i < ARRAY_LEN(of_people); i++)
                ask_for(&schema->person_attributes, of_people[i]);
        list_add(&schema->group_attributes, "cn", 2);
        ask_for(&schema->group_attributes, &schema->member);
}

/* ---- filters ----------------------------------------------------------------------------------------------
 */

static int filter_set(char **filter, const char *key, const struct config_texts *given, const char *preset)
{
        CLEANUP(buf_done) struct buf joined = BUF_NONE;

        for (size_t i = 0; i < given->count; i++)
                buf_add_format(&joined, "%s%s", i ? " " : "", given->at[i]);
        *filter = text_copy(given->count ? buf_text(&joined) : preset);
        if (filter_check(bytes_text(*filter)))
                return refuse(PROBLEM_CONFIGURATION, "[directory] %s: %s", key, report_text());
        return 0;
}

void schema_filter_add(const struct schema *schema, bool groups, struct bytes extra, struct buf *out)
{
        const char *filter = groups ? schema->group_filter : schema->people_filter;

        buf_add_format(out, "%s%s", extra.len ? "(&" : "", filter);
        buf_add_bytes(out, extra);
        buf_add_text(out, extra.len ? ")" : "");
}

static void digits_add(struct buf *out, const uint8_t *data, size_t len)
{
        hex_add(out, bytes_of(data, len));
}

void schema_id_filter_add(const struct schema *schema, const struct id *id, struct buf *out)
{
        static const size_t uuid[] = {4, 2, 2, 2, 6}, quarters[] = {4, 4, 4, 4};
        const size_t *groups = schema->id_form == SCHEMA_ID_389 ? quarters : uuid;
        size_t count = schema->id_form == SCHEMA_ID_389 ? ARRAY_LEN(quarters) : ARRAY_LEN(uuid), at = 0;
        uint8_t binary[ID_SIZE];

        if (schema->id_form == SCHEMA_ID_ACTIVE_DIRECTORY) {
                id_to_active_directory(id, binary);
                filter_equal_add(out, schema->id, bytes_of(binary, sizeof(binary)));
                return;
        }
        buf_add_format(out, "(%s=", schema->id);
        for (size_t i = 0; i < count; at += groups[i++]) {
                buf_add_text(out, i ? "-" : "");
                digits_add(out, id->data + at, groups[i]);
        }
        buf_add_byte(out, ')');
}

/* ---- life -------------------------------------------------------------------------------------------------
 */

static enum schema_id form_of(const char *attribute)
{
        if (text_equal_ignoring_case(attribute, "objectGUID"))
                return SCHEMA_ID_ACTIVE_DIRECTORY;
        return text_equal_ignoring_case(attribute, "nsUniqueId") ? SCHEMA_ID_389 : SCHEMA_ID_UUID;
}

int schema_init(const struct config *config, struct schema *ret_schema)
{
        CLEANUP(schema_done) struct schema schema = {0};
        const struct preset *preset = preset_find(config->directory.schema);

        schema.id = text_copy(*config->directory.id_attribute ? config->directory.id_attribute : preset->id);
        schema.id_form = form_of(schema.id);
        names_set(&schema.name, &config->directory.name_attributes, preset->name);
        names_set(&schema.given_name, &config->directory.given_name_attributes, preset->given_name);
        names_set(&schema.surname, &config->directory.surname_attributes, preset->surname);
        names_set(&schema.mail, &config->directory.mail_attributes, preset->mail);
        names_set(&schema.unit, &config->directory.unit_attributes, preset->unit);
        names_set(&schema.server, &config->directory.server_attributes, preset->server);
        names_set(&schema.disabled, &config->directory.disabled_attributes, preset->disabled);
        names_set(&schema.member, &config->directory.member_attributes, preset->member);
        names_set(&schema.language, &config->directory.language_attributes, preset->language);
        attributes_set(&schema);
        TRY(filter_set(&schema.people_filter, "people-filter", &config->directory.people_filter,
                       preset->people_filter));
        TRY(filter_set(&schema.group_filter, "group-filter", &config->directory.group_filter,
                       preset->group_filter));
        *ret_schema = schema;
        schema = (struct schema){0};
        return 0;
}

void schema_done(struct schema *schema)
{
        struct schema_names *names[] = {&schema->name,     &schema->given_name, &schema->surname,
                                        &schema->mail,     &schema->unit,       &schema->server,
                                        &schema->disabled, &schema->member,     &schema->language};

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                list_done(names[i]->at);
        list_done(schema->person_attributes);
        list_done(schema->group_attributes);
        free(schema->people_filter);
        free(schema->group_filter);
        free(schema->id);
        *schema = (struct schema){0};
}
