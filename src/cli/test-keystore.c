/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/home.h"
#include "cli/keystore.h"

static struct {
        char folder[64];
        struct secret password, wrong;
} fixture;

static int begin(void **state)
{
        strcpy(fixture.folder, "/tmp/vouchsafe-test-XXXXXX");
        client_password_cost = PASSWORD_COST_TESTS;
        setenv("VOUCHSAFE_HOME", mkdtemp(fixture.folder), 1);
        fixture.password = secret_copy(bytes_text("correct horse"));
        fixture.wrong = secret_copy(bytes_text("battery staple"));
        return 0;
}

static int end(void **state)
{
        char *command CLEANUP(mem_freep) = text_format("rm -rf %s", fixture.folder);

        secret_done(&fixture.password);
        secret_done(&fixture.wrong);
        return system(command);
}

static void add(struct msg_key_store *store, const char *certificate)
{
        CLEANUP(secret_done) struct secret key = secret_copy(bytes_text("private"));

        keystore_add(store, "encryption", bytes_text(certificate), &key);
}

static void keys_are_kept_and_never_doubled(void **state)
{
        MSG_OWN(key_store) store = {0}, other = {0}, back = {0};
        char *path CLEANUP(mem_freep) = NULL;
        struct stat st;

        assert_int_equal(home_path(&path, "users/%s/keys", "a@x.org"), 0);
        add(&store, "one");
        add(&store, "two");
        add(&store, "one");
        add(&other, "three");
        add(&other, "two");
        keystore_merge(&store, &other);
        assert_int_equal(store.keys.count, 3);
        assert_memory_equal(store.keys.at[0].certificate.data, "three", 5);
        assert_int_equal(keystore_write(path, &fixture.password, &store), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(keystore_read(path, &fixture.password, &back), 0);
        assert_int_equal(back.keys.count, 3);
        assert_memory_equal(back.keys.at[2].private_key.data, "private", 7);
}

static void a_wrong_password_and_damage_are_told_apart_from_absence(void **state)
{
        MSG_OWN(key_store) store = {0};
        MSG_OWN(pending_exchange) pending = {0};
        CLEANUP(buf_done) struct buf content = BUF_NONE;
        char *path CLEANUP(mem_freep) = NULL;

        assert_int_equal(home_path(&path, "users/%s/keys", "b@x.org"), 0);
        assert_int_equal(keystore_read(path, &fixture.password, &store), PROBLEM_NOT_FOUND);
        add(&store, "one");
        assert_int_equal(keystore_write(path, &fixture.password, &store), 0);
        msg_done(key_store, &store);
        assert_int_equal(keystore_read(path, &fixture.wrong, &store), PROBLEM_PASSWORD);
        /* A key store is not taken for something else. */
        assert_int_equal(sealed_read(path, &fixture.password, msg_record_pending_exchange(), &pending),
                         PROBLEM_PASSWORD);
        assert_int_equal(file_read(path, 1 << 20, &content), 0);
        for (size_t i = 0; i < content.len; i += 7) {
                content.data[i] ^= 0x20;
                assert_int_equal(file_write(path, buf_view(&content), 0600), 0);
                assert_true(keystore_read(path, &fixture.password, &store) > 0);
                content.data[i] ^= 0x20;
        }
        assert_int_equal(file_write(path, bytes_of(content.data, content.len / 2), 0600), 0);
        assert_true(keystore_read(path, &fixture.password, &store) > 0);
}

/* A writer that is killed at any moment leaves a store that opens, with at least the keys it had. */
static void killed_writers_leave_a_whole_store(void **state)
{
        MSG_OWN(key_store) store = {0};
        char *path CLEANUP(mem_freep) = NULL;
        size_t least = 1;

        assert_int_equal(home_path(&path, "users/%s/keys", "c@x.org"), 0);
        add(&store, "0");
        assert_int_equal(keystore_write(path, &fixture.password, &store), 0);
        for (unsigned i = 0; i < 20; i++) {
                MSG_OWN(key_store) back = {0};
                pid_t child = fork();
                if (child == 0) {
                        /* Secrets do not pass to children. */
                        msg_done(key_store, &store);
                        fixture.password = secret_copy(bytes_text("correct horse"));
                        if (keystore_read(path, &fixture.password, &store) != 0)
                                _exit(1);
                        for (unsigned n = 0;; n++) {
                                char name[32];
                                snprintf(name, sizeof(name), "%u-%u", i, n);
                                add(&store, name);
                                if (keystore_write(path, &fixture.password, &store) != 0)
                                        _exit(1);
                        }
                }
                usleep(1000 * (1 + i % 7));
                kill(child, SIGKILL);
                waitpid(child, NULL, 0);
                assert_int_equal(keystore_read(path, &fixture.password, &back), 0);
                assert_true(back.keys.count >= least);
                least = back.keys.count;
        }
}

static void names_become_file_names(void **state)
{
        static const char *const names[] = {"a@x.org",   "../../etc/passwd", ".hidden",
                                            "a/b@x.org", "a%2Fb@x.org",      "Zoë@x.org"};
        CLEANUP(buf_done) struct buf longest = BUF_NONE, out = BUF_NONE;

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                buf_clear(&out);
                home_name_add(&out, names[i]);
                assert_null(strchr(buf_text(&out), '/'));
                assert_int_not_equal(out.data[0], '.');
        }
        buf_clear(&out);
        home_name_add(&out, "a@x.org");
        assert_string_equal(buf_text(&out), "a@x.org");
        for (unsigned i = 0; i < 160; i++)
                buf_add_text(&longest, "é");
        buf_clear(&out);
        home_name_add(&out, buf_text(&longest));
        assert_true(out.len < 200);
}

static void one_at_a_time(void **state)
{
        int first = -1;
        char *folder CLEANUP(mem_freep) = text_format("%s/locked", fixture.folder);

        assert_int_equal(home_lock(folder, &first), 0);
        pid_t child = fork();
        if (child == 0) {
                int second = -1;
                close(first);
                _exit(home_lock(folder, &second) == 0 ? 0 : 1);
        }
        usleep(50000);
        assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
        close(first);
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(keys_are_kept_and_never_doubled),
            cmocka_unit_test(a_wrong_password_and_damage_are_told_apart_from_absence),
            cmocka_unit_test(killed_writers_leave_a_whole_store),
            cmocka_unit_test(names_become_file_names),
            cmocka_unit_test(one_at_a_time),
        };
        return cmocka_run_group_tests(tests, begin, end);
}
