/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords and keys of the outbound and LDAP processes: their files may be root's alone. They are opened before root
 * is given up, kept open, and read again for each child. */
#include "supervisor/supervisor.h"

#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"

static const struct secret_row {
        size_t path;  /* in struct config; "" is none */
        size_t field; /* in struct msg_configure */
        enum role role;
        size_t most;
        const char *what;
} rows[SECRET_FILES] = {
        {offsetof(struct config, directory.bind_password_file), offsetof(struct msg_configure, directory_password),
         ROLE_OUTBOUND, 1024, "the password of the directory's account"},
        {offsetof(struct config, directory.keytab), offsetof(struct msg_configure, directory_keytab), ROLE_OUTBOUND,
         65536, "the keytab"},
        {offsetof(struct config, directory.key), offsetof(struct msg_configure, directory_key), ROLE_OUTBOUND, 65536,
         "the key of the certificate for the directory"},
        {offsetof(struct config, mail.password_file), offsetof(struct msg_configure, mail_password), ROLE_OUTBOUND,
         1024, "the password of the mail server"},
        {offsetof(struct config, ldap.bind_password_file), offsetof(struct msg_configure, ldap_password), ROLE_LDAP,
         1024, "the password of [ldap] bind-name"},
};

static const char *path_of(const struct config *config, const struct secret_row *row)
{
        return *(char *const *)((const char *)config + row->path);
}

void secrets_init(struct supervisor *supervisor)
{
        for (size_t i = 0; i < SECRET_FILES; i++)
                supervisor->secrets[i] = -1;
}

void secrets_done(struct supervisor *supervisor)
{
        for (size_t i = 0; i < SECRET_FILES; i++)
                fd_closep(&supervisor->secrets[i]);
}

int secrets_open(struct supervisor *supervisor)
{
        for (size_t i = 0; i < SECRET_FILES; i++)
                if (*path_of(&supervisor->config, &rows[i]))
                        TRY(secret_file_open(path_of(&supervisor->config, &rows[i]), rows[i].what,
                                             &supervisor->secrets[i]));
        return 0;
}

void secrets_renew(struct supervisor *supervisor)
{
        for (size_t i = 0; i < SECRET_FILES; i++) {
                const char *path = path_of(&supervisor->config, &rows[i]);
                int fd = -1;

                if (!*path || access(path, R_OK) < 0 || secret_file_open(path, rows[i].what, &fd))
                        continue;
                fd_closep(&supervisor->secrets[i]);
                supervisor->secrets[i] = fd;
        }
}

int secrets_load(struct supervisor *supervisor, enum role role, struct msg_configure *configure)
{
        for (size_t i = 0; i < SECRET_FILES; i++) {
                struct secret *field = (struct secret *)(void *)((char *)configure + rows[i].field);

                if (rows[i].role == role && supervisor->secrets[i] >= 0)
                        TRY(secret_fd_read(supervisor->secrets[i], rows[i].most, rows[i].what, field));
        }
        return 0;
}
