/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/landlock.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "outbound/confine.h"
#include "outbound/job.h"
#include "outbound/publications.h"

struct place {
        char folder[64];
        struct config config;
};

static int place_make(void **state)
{
        struct place *place = NEW(struct place);

        strcpy(place->folder, "/tmp/vouchsafe-outbound-XXXXXX");
        assert_non_null(mkdtemp(place->folder));
        config_init(&place->config);
        free(place->config.publish.folder);
        place->config.publish.folder = text_copy(place->folder);
        *state = place;
        return 0;
}

static int place_remove(void **state)
{
        struct place *place = *state;
        CLEANUP(mem_freep) char *command = text_format("rm -rf %s", place->folder);

        config_done(&place->config);
        assert_int_equal(system(command), 0);
        free(place);
        return 0;
}

static void run(const struct config *config, const char *kind, const char *subject, const char *content,
                struct msg_job_done *ret_done)
{
        MSG_OWN(job) job = {.id = 7, .kind = text_copy(kind), .subject = text_copy(subject)};

        buf_add_text(&job.content, content);
        job_run(config, &job, ret_done);
        assert_int_equal(ret_done->id, 7);
}

static void files_are_published_replaced_and_removed(void **state)
{
        struct place *place = *state;
        CLEANUP(mem_freep) char *path = text_format("%s/users/zoë@example.org.cer", place->folder);

        for (int round = 0; round < 2; round++) {
                MSG_OWN(job_done) done = {0};
                CLEANUP(buf_done) struct buf content = BUF_NONE;
                struct stat info;

                run(&place->config, "publish-file", "users/zoë@example.org.cer", round ? "second" : "first", &done);
                assert_true(done.success);
                assert_int_equal(file_read(path, 100, &content), 0);
                assert_string_equal(buf_text(&content), round ? "second" : "first");
                assert_int_equal(stat(path, &info), 0);
                assert_int_equal(info.st_mode & 0777, 0644);
        }
        for (int round = 0; round < 2; round++) {
                MSG_OWN(job_done) done = {0};

                run(&place->config, "remove-file", "users/zoë@example.org.cer", "", &done);
                assert_true(done.success);
                assert_int_equal(access(path, F_OK), -1);
        }
}

static void paths_stay_in_the_folder(void **state)
{
        struct place *place = *state;
        static const char *const wrong[] = {"",   "/etc/passwd", "../x", "a/../../x", "a//b",
                                            "a/", ".htaccess",   "a/.b", "a\nb",      "\xff"};

        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
                MSG_OWN(job_done) done = {0};

                run(&place->config, "publish-file", wrong[i], "x", &done);
                assert_false(done.success);
                assert_true(done.permanent);
                assert_true(strlen(done.detail) > 10);
        }
}

static void what_may_get_better_is_not_permanent(void **state)
{
        struct place *place = *state;
        CLEANUP(mem_freep) char *blocked = text_format("%s/file", place->folder);
        MSG_OWN(job_done) outside = {0};
        MSG_OWN(job_done) unknown = {0};
        MSG_OWN(job_done) nowhere = {0};

        assert_int_equal(file_write(blocked, bytes_text("x"), 0644), 0);
        run(&place->config, "publish-file", "file/below", "x", &outside);
        assert_false(outside.success || outside.permanent);
        run(&place->config, "fly", "x", "x", &unknown);
        assert_true(!unknown.success && unknown.permanent);
        place->config.publish.folder[0] = 0;
        run(&place->config, "publish-file", "x", "x", &nowhere);
        assert_true(!nowhere.success && nowhere.permanent);
}

static void publish(struct publications *publications, const char *content)
{
        MSG_OWN(publish) publication = {.path = text_copy("/pki/issuer.crl")};

        buf_add_text(&publication.content, content);
        publications_take(publications, &publication);
}

static void only_the_newest_is_kept_until_it_can_be_written(void **state)
{
        struct place *place = *state;
        CLEANUP(mem_freep) char *blocked = text_format("%s/pki", place->folder);
        CLEANUP(mem_freep) char *path = text_format("%s/pki/issuer.crl", place->folder);
        CLEANUP(buf_done) struct buf content = BUF_NONE;
        struct publications publications;
        struct loop loop;

        assert_int_equal(loop_init(&loop), 0);
        publications_init(&publications, &loop, &place->config);
        assert_int_equal(file_write(blocked, bytes_text("in the way"), 0644), 0);
        publish(&publications, "first");
        publish(&publications, "second");
        assert_int_equal(unlink(blocked), 0);
        loop_timer_arm(&publications.retry, 0);
        assert_int_equal(loop_step(&loop, 0), 0);
        assert_int_equal(file_read(path, 100, &content), 0);
        assert_string_equal(buf_text(&content), "second");
        assert_true(list_empty(&publications.waiting));
        publications_done(&publications);
        loop_done(&loop);
}

/* In a child, which stays confined: 0 when the file can be written. */
static int written_by(const struct config *config, bool has_directory, const char *path)
{
        int status = 0;
        pid_t pid = fork();

        if (pid == 0)
                _exit(outbound_confine(config, has_directory) ? 2 : file_write(path, bytes_text("x"), 0644) ? 1 : 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void who_has_the_directory_writes_nowhere(void **state)
{
        struct place *place = *state;
        CLEANUP(mem_freep) char *path = text_format("%s/file", place->folder);

        if (SANITIZED || syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1)
                return;
        assert_int_equal(written_by(&place->config, true, path), 1);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(written_by(&place->config, false, path), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(files_are_published_replaced_and_removed, place_make, place_remove),
                cmocka_unit_test_setup_teardown(paths_stay_in_the_folder, place_make, place_remove),
                cmocka_unit_test_setup_teardown(only_the_newest_is_kept_until_it_can_be_written, place_make,
                                                place_remove),
                cmocka_unit_test_setup_teardown(what_may_get_better_is_not_permanent, place_make, place_remove),
                cmocka_unit_test_setup_teardown(who_has_the_directory_writes_nowhere, place_make, place_remove),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
