/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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
int secret_file_open(const char *path, const char *what, int *ret_fd)
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
                return refuse(PROBLEM_CONFIGURATION,
                              "The file with %s, %s, is open to other users. Correct it with \"chmod 600\".", what,
                              path);
        *ret_fd = fd;
        fd = -1;
        return 0;
}

int secret_fd_read(int fd, size_t most, const char *what, struct secret *ret_secret)
{
        int r;

        if (lseek(fd, 0, SEEK_SET) < 0)
                return fault(errno, "cannot read %s", what);
        r = secret_read(fd, most, ret_secret);
        return r ? report_prefix(PASS(r), "The file with %s: ", what) : 0;
}

static int key_file_read(const char *path, struct secret *ret_key)
{
        CLEANUP(fd_closep) int fd = -1;
        int r;

        TRY(secret_file_open(path, "the TLS key", &fd));
        r = secret_read(fd, 65536, ret_key);
        return r ? report_prefix(PASS(r), "%s: ", path) : 0;
}

bool material_changed(const struct config *config, struct material *material)
{
        const char *const paths[] = {config->tls.certificate, config->tls.key};
        bool changed = false;

        for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
                struct stat info;

                if (stat(paths[i], &info) < 0)
                        continue;
                changed = changed || info.st_ino != material->seen[i].inode ||
                          info.st_mtim.tv_sec != material->seen[i].time.tv_sec ||
                          info.st_mtim.tv_nsec != material->seen[i].time.tv_nsec;
                material->seen[i].inode = info.st_ino;
                material->seen[i].time = info.st_mtim;
        }
        return changed;
}

int material_load(const struct config *config, struct material *ret_material)
{
        CLEANUP(material_done) struct material material = {0};
        int r = file_read(config->tls.certificate, 262144, &material.tls_chain);

        if (r == PROBLEM_NOT_FOUND)
                return refuse(PROBLEM_CONFIGURATION,
                              "The TLS certificate %s does not exist. \"vouchsafe init\" makes one, "
                              "or name your own in [tls] certificate.",
                              config->tls.certificate);
        if (r == PROBLEM_FORBIDDEN)
                return refuse(PROBLEM_CONFIGURATION, "The TLS certificate %s may not be read by the server's user.",
                              config->tls.certificate);
        TRY(r);
        TRY(key_file_read(config->tls.key, &material.tls_key));
        if (!memmem(material.tls_chain.data, material.tls_chain.len, "-----BEGIN CERTIFICATE", 22))
                return refuse(PROBLEM_CONFIGURATION, "%s holds no certificate in PEM.", config->tls.certificate);
        if (!memmem(material.tls_key.data, material.tls_key.len, "PRIVATE KEY-----", 16))
                return refuse(PROBLEM_CONFIGURATION, "%s holds no private key in PEM.", config->tls.key);
        (void)material_changed(config, &material);
        *ret_material = material;
        material = (struct material){0};
        return 0;
}

int startup_secret_open(const struct config *config, int *ret_fd)
{
        const char *folder = getenv("CREDENTIALS_DIRECTORY");
        CLEANUP(mem_freep) char *path = NULL;

        if (strcmp(config->startup.secret, "file") == 0) {
                path = text_copy(config->startup.secret_file);
        } else if (strcmp(config->startup.secret, "credential") == 0) {
                if (!folder)
                        return refuse(PROBLEM_CONFIGURATION,
                                      "[startup] secret = credential, but systemd handed none over. "
                                      "Add LoadCredential=%s:/path/of/file to the service.",
                                      config->startup.credential);
                path = text_format("%s/%s", folder, config->startup.credential);
        } else {
                *ret_fd = -1;
                return 0;
        }
        return PASS(secret_file_open(path, "the startup secret", ret_fd));
}

int startup_secret_load(struct supervisor *supervisor, struct secret *ret_secret)
{
        if (supervisor->startup < 0)
                TRY(startup_secret_open(&supervisor->config, &supervisor->startup));
        if (supervisor->startup < 0) {
                *ret_secret = SECRET_NONE;
                return 0;
        }
        return PASS(secret_fd_read(supervisor->startup, 1024, "the startup secret", ret_secret));
}
