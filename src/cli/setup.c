/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/home.h"
#include "crypto/certificate.h"

enum { LIST_MOST = 1 << 20, PEM_LINE = 64 };

void setup_done(struct setup *setup)
{
        config_done(&setup->config);
        free(setup->config_path);
        free(setup->config_text);
        msg_done(keeper_init, &setup->request);
        msg_done(keeper_init_done, &setup->done);
        secret_done(&setup->tls_key);
        secret_done(&setup->pending);
}

/* ---- names ------------------------------------------------------------------------------------------------ */

/* The path of an SQLite database; NULL when the database is elsewhere. */
static const char *database_path(const struct setup *setup)
{
        const char *url = setup->config.store.url;

        return strncmp(url, "sqlite:", 7) == 0 ? url + 7 : NULL;
}

static char *list_path(const struct setup *setup)
{
        return config_data_path(&setup->config, "init.pending");
}

static int sync_folder(const char *path)
{
        char *folder CLEANUP(mem_freep) = text_copy(path);
        char *slash = strrchr(folder, '/');
        CLEANUP(fd_closep) int fd = -1;

        if (slash)
                *slash = 0;
        fd = open(!slash ? "." : slash == folder ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
                return fault(errno, "cannot make %s durable", path);
        return 0;
}

/* Give every file of the list its name; those that have it already are past. */
static int give_names(struct bytes list)
{
        while (list.len) {
                char *names[2] = {NULL, NULL};
                for (unsigned i = 0; i < 2; i++) {
                        const uint8_t *end = memchr(list.data, '\n', list.len);
                        size_t len = end ? (size_t)(end - list.data) : list.len;
                        names[i] = text_copy_n((const char *)list.data, len);
                        list = bytes_of(list.data + len + (end != NULL), list.len - len - (end != NULL));
                }
                int r = rename(names[0], names[1]) < 0 && errno != ENOENT
                            ? fault(errno, "cannot rename %s to %s", names[0], names[1])
                            : sync_folder(names[1]);
                free(names[0]);
                free(names[1]);
                TRY(r);
        }
        return 0;
}

/* An engine that is to fill a database with nothing does nothing: it says that there is a server, or that nothing came. */
static int ask_whether_there(const char *location, bool *ret_there)
{
        CLEANUP(program_done) struct program engine = {0};
        CLEANUP(secret_done) struct secret answer = SECRET_NONE;
        const struct msg_engine_init nothing = {0};
        int r;

        TRY(program_start("engine", "vouchsafe-engine", (const char *const[]){"--init", location, NULL}, &engine));
        r = program_call(&engine, MSG_engine_init, msg_record_engine_init(), &nothing, MSG_done, &answer);
        if (r != PROBLEM_EXISTS && r != PROBLEM_MALFORMED)
                return r ? PASS(r) : fault(0, "the engine filled a database with nothing");
        *ret_there = r == PROBLEM_EXISTS;
        return 0;
}

/* Only one that whoever asks has written himself: the folder is the server's, who could have root rename what it names. */
static int list_read(const char *path, struct secret *ret_list)
{
        CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        struct stat info;

        if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_uid != geteuid())
                return refuse(PROBLEM_NOT_FOUND, "There is no set-up of yours to complete.");
        return PASS(secret_read(fd, LIST_MOST, ret_list));
}

int setup_check(const struct setup *setup, bool *ret_completed)
{
        const char *database = database_path(setup);
        char *list CLEANUP(mem_freep) = list_path(setup);
        CLEANUP(secret_done) struct secret content = SECRET_NONE;
        bool there = database && access(database, F_OK) == 0;

        *ret_completed = false;
        if (!database)
                TRY(ask_whether_there(setup->config.store.url, &there));
        if (!there)
                return 0;
        if (list_read(list, &content) != 0)
                return refuse(PROBLEM_EXISTS, "There is a server already, with the database %s; nothing was changed.",
                              database ? database : "that [store] url names");
        TRY(give_names(secret_view(&content)));
        if (unlink(list) < 0)
                return fault(errno, "cannot remove %s", list);
        *ret_completed = true;
        return 0;
}

/* ---- keys ------------------------------------------------------------------------------------------------- */

/* The certificate of its own that the configuration names is made and renewed by somebody else. */
static bool own_tls(const struct setup *setup)
{
        return strncmp(setup->config.tls.key, setup->config.server.data, strlen(setup->config.server.data)) == 0;
}

static int make_tls_key(struct setup *setup)
{
        EVP_PKEY *key CLEANUP(EVP_PKEY_freep) = NULL;

        if (!own_tls(setup))
                return 0;
        TRY(pkey_generate(PKEY_P256, &key));
        TRY(pkey_to_pkcs8(key, &setup->tls_key));
        return PASS(pkey_to_spki(key, &setup->request.tls_spki));
}

static int ask_keeper(struct setup *setup)
{
        CLEANUP(program_done) struct program keeper = {0};
        CLEANUP(secret_done) struct secret answer = SECRET_NONE;

        TRY(program_start("keeper", "vouchsafe-keeper", (const char *const[]){"--setup", NULL}, &keeper));
        TRY(program_call(&keeper, MSG_keeper_init, msg_record_keeper_init(), &setup->request, MSG_keeper_init_done,
                         &answer));
        return PASS(msg_decode(keeper_init_done, secret_view(&answer), &setup->done));
}

int setup_make_keys(struct setup *setup)
{
        setup->request.url = text_copy(setup->config.server.url);
        for (size_t i = 0; i < setup->config.server.host_names.count; i++)
                msg_texts_add(&setup->request.host_names, setup->config.server.host_names.at[i]);
        setup->request.root_lifetime = (uint64_t)setup->config.certificate.root_lifetime;
        setup->request.issuer_lifetime = (uint64_t)setup->config.certificate.issuer_lifetime;
        setup->request.tls_lifetime = (uint64_t)setup->config.certificate.tls_lifetime;
        TRY(make_tls_key(setup));
        return PASS(ask_keeper(setup));
}

/* ---- files ------------------------------------------------------------------------------------------------ */

/* The server's own files belong to the user that it runs as. */
static int give_to_server(const struct setup *setup, const char *path)
{
        const struct passwd *user;

        if (geteuid() != 0 || !*setup->config.process.user)
                return 0;
        user = getpwnam(setup->config.process.user);
        if (user && lchown(path, user->pw_uid, user->pw_gid) < 0)
                return fault(errno, "cannot give %s to the user %s", path, setup->config.process.user);
        return 0;
}

static void list_add(struct setup *setup, const char *from, const char *to)
{
        char *line CLEANUP(mem_freep) = text_format("%s\n%s\n", from, to);
        struct secret longer = secret_new(setup->pending.len + strlen(line));

        if (setup->pending.len)
                memcpy(longer.data, setup->pending.data, setup->pending.len);
        memcpy(longer.data + setup->pending.len, line, strlen(line));
        secret_done(&setup->pending);
        setup->pending = longer;
}

/* The folder of a file that is to be new, such as /etc/vouchsafe: readable, since the server's user passes through. */
static int make_parent(const char *path)
{
        char *folder CLEANUP(mem_freep) = text_copy(path);
        char *slash = strrchr(folder, '/');

        if (!slash || slash == folder)
                return 0;
        *slash = 0;
        return access(folder, F_OK) == 0 ? 0 : PASS(folder_make(folder, 0755));
}

/* Written whole under "PATH.new", without passing through ordinary memory. */
static int write_new(struct setup *setup, const char *path, struct bytes content, mode_t mode)
{
        char *new CLEANUP(mem_freep) = text_format("%s.new", path);
        CLEANUP(fd_closep) int fd = -1;

        TRY(make_parent(path));
        if (access(path, F_OK) == 0)
                return refuse(PROBLEM_EXISTS,
                              "The file %s is there already and is not written over; move it away, or name another.",
                              path);
        if (unlink(new) < 0 && errno != ENOENT)
                return fault(errno, "cannot remove %s", new);
        fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
                return refuse(PROBLEM_STORAGE, "The file %s cannot be written: %s.", new, strerror(errno));
        TRY(fd_write_all(fd, content.data, content.len));
        if (fsync(fd) < 0)
                return refuse(PROBLEM_STORAGE, "The file %s cannot be written: %s.", new, strerror(errno));
        list_add(setup, new, path);
        return 0;
}

static int write_server_file(struct setup *setup, const char *path, struct bytes content, mode_t mode)
{
        char *new CLEANUP(mem_freep) = text_format("%s.new", path);

        TRY(write_new(setup, path, content, mode));
        return PASS(give_to_server(setup, new));
}

static int write_line(struct setup *setup, const char *path, const struct secret *secret)
{
        CLEANUP(secret_done) struct secret line = secret_new(secret->len + 1);

        memcpy(line.data, secret->data, secret->len);
        line.data[secret->len] = '\n';
        return PASS(write_new(setup, path, secret_view(&line), 0600));
}

/* PKCS#8 as PEM (RFC 7468). */
static void pem_of_key(const struct secret *pkcs8, struct secret *ret_pem)
{
        static const char head[] = "-----BEGIN PRIVATE KEY-----\n", tail[] = "-----END PRIVATE KEY-----\n";
        struct buf base64 = BUF_NONE;
        struct secret pem;
        size_t at = sizeof(head) - 1;

        /* Of its full size at once, so that growing leaves no copy behind. */
        buf_reserve(&base64, 4 * (pkcs8->len / 3 + 1) + 1);
        base64_add(&base64, secret_view(pkcs8));
        pem = secret_new(sizeof(head) + sizeof(tail) + base64.len + base64.len / PEM_LINE);
        memcpy(pem.data, head, at);
        for (size_t from = 0; from < base64.len; from += PEM_LINE) {
                size_t len = MIN(base64.len - from, (size_t)PEM_LINE);
                memcpy(pem.data + at, base64.data + from, len);
                at += len;
                pem.data[at++] = '\n';
        }
        memcpy(pem.data + at, tail, sizeof(tail) - 1);
        secret_truncate(&pem, at + sizeof(tail) - 1);
        memory_wipe(base64.data, base64.len);
        buf_done(&base64);
        *ret_pem = pem;
}

static int write_tls(struct setup *setup)
{
        CLEANUP(secret_done) struct secret pem = SECRET_NONE;
        CLEANUP(buf_done) struct buf chain = BUF_NONE;
        MSG_OWN(trust_public) trust = {0};

        if (!setup->tls_key.len)
                return 0;
        TRY(msg_decode(trust_public, buf_view(&setup->done.trust), &trust));
        pem_of_key(&setup->tls_key, &pem);
        certificate_add_pem(&chain, buf_view(&setup->done.tls_certificate));
        certificate_add_pem(&chain, buf_view(&trust.issuer));
        TRY(write_server_file(setup, setup->config.tls.key, secret_view(&pem), 0600));
        return PASS(write_server_file(setup, setup->config.tls.certificate, buf_view(&chain), 0644));
}

static int write_codes(struct setup *setup)
{
        if (!setup->codes_folder)
                return 0;
        TRY(folder_make(setup->codes_folder, 0700));
        for (size_t i = 0; i < setup->done.codes.count; i++) {
                CLEANUP(buf_done) struct buf path = BUF_NONE;
                buf_add_format(&path, "%s/", setup->codes_folder);
                home_name_add(&path, msg_text(setup->done.codes.at[i].operator));
                TRY(write_line(setup, buf_text(&path), &setup->done.codes.at[i].code));
        }
        return 0;
}

int setup_write(struct setup *setup)
{
        char *list CLEANUP(mem_freep) = list_path(setup);

        TRY(write_tls(setup));
        TRY(write_codes(setup));
        TRY(write_new(setup, setup->root_out, buf_view(&setup->done.root_pkcs12), 0600));
        /* Of whoever sets the server up: root's is read by vouchsafed before it gives up root, and by no other process. */
        if (setup->startup_out)
                TRY(write_line(setup, setup->startup_out, &setup->done.startup_secret));
        if (setup->config_text) {
                TRY(write_new(setup, setup->config_path, bytes_text(setup->config_text), 0644));
        }
        return PASS(file_write(list, secret_view(&setup->pending), 0600));
}

/* ---- database --------------------------------------------------------------------------------------------- */

static int ask_engine(struct setup *setup, const char *location)
{
        CLEANUP(program_done) struct program engine = {0};
        CLEANUP(secret_done) struct secret answer = SECRET_NONE;
        struct msg_engine_init init = {
            .server_id = setup->done.server_id,
            .organisation = setup->config.server.organisation,
            .trust = setup->done.trust,
            .invitations_expire = clock_now() + setup->config.operator.invitation_lifetime,
        };

        /* Borrowed: what the keeper answered is released with the set-up. */
        init.records.at = setup->done.records.at;
        init.records.count = setup->done.records.count;
        init.keys.at = setup->done.keys.at;
        init.keys.count = setup->done.keys.count;
        init.invitations.at = setup->done.invitations.at;
        init.invitations.count = setup->done.invitations.count;
        TRY(program_start("engine", "vouchsafe-engine", (const char *const[]){"--init", location, NULL}, &engine));
        return PASS(program_call(&engine, MSG_engine_init, msg_record_engine_init(), &init, MSG_done, &answer));
}

static int remove_database(const char *path)
{
        static const char *const endings[] = {"", "-wal", "-shm", "-journal"};

        for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
                char *file CLEANUP(mem_freep) = text_format("%s%s", path, endings[i]);
                if (unlink(file) < 0 && errno != ENOENT)
                        return fault(errno, "cannot remove %s, which a set-up that was cut off left behind", file);
        }
        return 0;
}

int setup_database(struct setup *setup)
{
        const char *database = database_path(setup);
        char *new CLEANUP(mem_freep) = database ? text_format("%s.new", database) : NULL;
        char *location CLEANUP(mem_freep) = new ? text_format("sqlite:%s", new) : NULL;

        if (!new)
                return PASS(ask_engine(setup, setup->config.store.url));
        TRY(home_make_parent(new));
        TRY(remove_database(new));
        TRY(ask_engine(setup, location));
        return PASS(give_to_server(setup, new));
}

void setup_discard(const struct setup *setup)
{
        struct bytes list = secret_view(&setup->pending);
        const char *database = database_path(setup);
        char *new CLEANUP(mem_freep) = database ? text_format("%s.new", database) : NULL;
        char *pending CLEANUP(mem_freep) = list_path(setup);

        for (unsigned i = 0; list.len; i++) {
                const uint8_t *end = memchr(list.data, '\n', list.len);
                size_t len = end ? (size_t)(end - list.data) : list.len;
                char *name CLEANUP(mem_freep) = text_copy_n((const char *)list.data, len);
                if (i % 2 == 0)
                        unlink(name);
                list = bytes_of(list.data + len + (end != NULL), list.len - len - (end != NULL));
        }
        if (new)
                unlink(new);
        unlink(pending);
}

int setup_commit(struct setup *setup)
{
        const char *database = database_path(setup);
        char *new CLEANUP(mem_freep) = database ? text_format("%s.new", database) : NULL;
        char *list CLEANUP(mem_freep) = list_path(setup);

        if (new &&rename(new, database) < 0)
                return fault(errno, "cannot rename %s to %s", new, database);
        if (new)
                TRY(sync_folder(database));
        TRY(give_names(secret_view(&setup->pending)));
        if (unlink(list) < 0)
                return fault(errno, "cannot remove %s", list);
        return 0;
}
