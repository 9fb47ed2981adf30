/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ldap-url.h"

#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

enum { CONNECT_SECONDS = 5, SEARCH_SECONDS = 15, PAGE = 20 };

void ldap_place_done(struct ldap_place *place)
{
        free(place->server);
        free(place->base);
        free(place->bind_name);
        secret_done(&place->password);
        *place = (struct ldap_place){0};
}

static int password_read(struct ldap_place *place)
{
        const char *path = getenv("VOUCHSAFE_LDAP_PASSWORD_FILE");
        CLEANUP(fd_closep) int fd = path && *path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

        if (!path || !*path)
                return refuse(PROBLEM_USAGE,
                              "Name the file with the password of %s in VOUCHSAFE_LDAP_PASSWORD_FILE.",
                              place->bind_name);
        if (fd < 0)
                return refuse(PROBLEM_USAGE, "The file %s of VOUCHSAFE_LDAP_PASSWORD_FILE cannot be read.",
                              path);
        return PASS(secret_read(fd, 1024, &place->password));
}

static int extension_take(const char *url, const char *extension, struct ldap_place *place)
{
        const char *name = extension + (*extension == '!');

        if (text_equal_ignoring_case(name, "StartTLS")) {
                place->options.starttls = true;
        } else if (text_equal_ignoring_case(name, "gssapi")) {
                place->options.bind = BIND_GSSAPI;
        } else if (strncasecmp(name, "bindname=", 9) == 0) {
                free(place->bind_name);
                place->bind_name = text_copy(name + 9);
                place->options.bind = BIND_SIMPLE;
        } else {
                return refuse(
                    PROBLEM_USAGE,
                    "%s: the extension \"%s\" is not known; there are StartTLS, gssapi and bindname=DN.", url,
                    extension);
        }
        return 0;
}

static int description_take(const char *url, const LDAPURLDesc *description, struct ldap_place *place)
{
        bool local = strcmp(description->lud_scheme, "ldapi") == 0,
             v6 = description->lud_host && strchr(description->lud_host, ':');

        if (!local && (!description->lud_host || !*description->lud_host))
                return refuse(PROBLEM_USAGE, "%s: the URL names no host.", url);
        if (local)
                place->server = text_copy_n(url, strcspn(url + 8, "/?") + 8);
        else
                place->server = text_format("%s://%s%s%s:%d", description->lud_scheme, v6 ? "[" : "",
                                            description->lud_host, v6 ? "]" : "", description->lud_port);
        place->base = description->lud_dn && *description->lud_dn ? text_copy(description->lud_dn) : NULL;
        for (char **extension = description->lud_exts; extension && *extension; extension++)
                TRY(extension_take(url, *extension, place));
        return 0;
}

int ldap_place_parse(const char *url, struct ldap_place *ret_place)
{
        struct ldap_place *place = ret_place;
        LDAPURLDesc *description = NULL;
        int r;

        *place = (struct ldap_place){.options = {.bind = BIND_ANONYMOUS,
                                                 .page_size = PAGE,
                                                 .connect_limit = CONNECT_SECONDS,
                                                 .time_limit = SEARCH_SECONDS}};
        if (ldap_url_parse(url, &description) != LDAP_URL_SUCCESS)
                return refuse(
                    PROBLEM_USAGE,
                    "\"%s\" is no URL of a directory, as ldaps://ldap.example.org/dc=example,dc=org.", url);
        r = description_take(url, description, place);
        ldap_free_urldesc(description);
        if (!r && place->bind_name)
                r = password_read(place);
        if (r) {
                ldap_place_done(place);
                return PASS(r);
        }
        place->server_list[0] = place->server;
        place->options.ca_file = getenv("VOUCHSAFE_CA_FILE");
        place->options.servers = place->server_list;
        place->options.server_count = 1;
        place->options.bind_dn = place->bind_name;
        place->options.password = secret_view(&place->password);
        return 0;
}

/* RFC 4512 section 5.1; Active Directory says which of several is for people. */
int ldap_place_complete(struct ldap_place *place, struct ldap_connection *connection)
{
        static const char *const wanted[] = {"defaultNamingContext", "namingContexts", NULL};
        CLEANUP(ldap_entry_done) struct ldap_entry root = {0};
        const struct ldap_attribute *found;

        if (place->base)
                return 0;
        TRY(ldap_connection_read(connection, "", wanted, &root));
        found = ldap_entry_find(&root, wanted[0]);
        if (!found)
                found = ldap_entry_find(&root, wanted[1]);
        if (!found || !found->count || !text_is_utf8(found->values[0]))
                return refuse(PROBLEM_UNSUPPORTED, "%s does not say what its base is; put it into the URL.",
                              place->server);
        place->base = text_copy_n((const char *)found->values[0].data, found->values[0].len);
        return 0;
}
