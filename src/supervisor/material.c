/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"

void material_done(struct material *material)
{
        secret_done(&material->tls_key);
        buf_done(&material->tls_chain);
}

bool material_equal(const struct material *a, const struct material *b)
{
        return bytes_equal(buf_view(&a->tls_chain), buf_view(&b->tls_chain)) &&
               bytes_equal_constant_time(secret_view(&a->tls_key), secret_view(&b->tls_key));
}

/* A file that holds a secret. One that others can read is refused: whoever could read it has it. */
static int secret_file_read(const char *path, const char *what, size_t limit, struct secret *ret_secret)
{
        CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat info;

        if (fd < 0 && (errno == ENOENT || errno == EACCES || errno == ENOTDIR))
                return refuse(PROBLEM_CONFIGURATION, "The file with %s, %s, %s.", what, path,
                              errno == EACCES ? "may not be read by the server's user" : "does not exist");
        if (fd < 0 || fstat(fd, &info) < 0)
                return fault(errno, "cannot open %s", path);
        if (!S_ISREG(info.st_mode))
                return refuse(PROBLEM_CONFIGURATION, "%s, which is to hold %s, is no file.", path, what);
        if (info.st_mode & (S_IRWXO | S_IWGRP))
                return refuse(PROBLEM_CONFIGURATION, "The file with %s, %s, is open to other users. Correct it with \"chmod 600\".", what, path);
        int r = secret_read(fd, limit, ret_secret);
        return r ? report_prefix(PASS(r), "%s: ", path) : 0;
}

int material_load(const struct config *config, struct material *ret_material)
{
        CLEANUP(material_done) struct material material = {0};
        int r = file_read(config->tls.certificate, 262144, &material.tls_chain);

        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_CONFIGURATION, "The TLS certificate %s does not exist. \"vouchsafe init\" makes one, "
                              "or name your own in [tls] certificate.", config->tls.certificate);
        TRY(r);
        TRY(secret_file_read(config->tls.key, "the TLS key", 65536, &material.tls_key));
        if (!memmem(material.tls_chain.data, material.tls_chain.len, "-----BEGIN CERTIFICATE", 22))
                return refuse(PROBLEM_CONFIGURATION, "%s holds no certificate in PEM.", config->tls.certificate);
        if (!memmem(material.tls_key.data, material.tls_key.len, "PRIVATE KEY-----", 16))
                return refuse(PROBLEM_CONFIGURATION, "%s holds no private key in PEM.", config->tls.key);
        *ret_material = material;
        material = (struct material){0};
        return 0;
}

int startup_secret_load(const struct config *config, struct secret *ret_secret)
{
        const char *folder = getenv("CREDENTIALS_DIRECTORY");
        CLEANUP(mem_freep) char *path = NULL;

        if (strcmp(config->startup.secret, "file") == 0) {
                path = text_copy(config->startup.secret_file);
        } else if (strcmp(config->startup.secret, "credential") == 0) {
                if (!folder)
                        return refuse(PROBLEM_CONFIGURATION, "[startup] secret = credential, but systemd handed none over. "
                                      "Add LoadCredential=%s:/path/of/file to the service.", config->startup.credential);
                path = text_format("%s/%s", folder, config->startup.credential);
        } else {
                *ret_secret = SECRET_NONE;
                return 0;
        }
        return PASS(secret_file_read(path, "the startup secret", 1024, ret_secret));
}
