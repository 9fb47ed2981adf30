/* SPDX-License-Identifier: Apache-2.0 */
/* The real process, in its sandbox: set-up, two keepers as the supervisor connects them, and what an engine asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/config.h"
#include "crypto/curve.h"
#include "crypto/pkey.h"
#include "wire/channel.h"
#include "wire/control.h"
#include "wire/message.h"

enum { PATIENCE_MS = 20000 };

static void pair_make(int *ret_ours, int *ret_theirs)
{
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        *ret_ours = fds[0];
        *ret_theirs = fds[1];
}

/* Start a keeper with this descriptor as its 3. */
static pid_t keeper_spawn(int fd, const char *option)
{
        pid_t pid = fork();

        if (pid == 0) {
                int copy = dup(fd);

                if (copy == CONTROL_FD || dup2(copy, CONTROL_FD) == CONTROL_FD)
                        execl(KEEPER, "vouchsafe-keeper", option, NULL);
                _exit(127);
        }
        assert_true(pid > 0);
        close(fd);
        return pid;
}

static void keeper_wait(pid_t pid, int expected)
{
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), expected);
}

/* ---- asking ----------------------------------------------------------------------------------------------- */

/* Ask, and have the answer decoded, which must be of kind `answer`. */
static void ask(int fd, enum msg_kind kind, const void *request, enum msg_kind answer, void *ret_message)
{
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE;
        struct channel_answer got = {0};

        assert_int_equal(message_encode_secret(msg_record_of_kind(kind), request, &encoded), 0);
        assert_int_equal(channel_call_blocking(fd, (uint16_t)kind, secret_view(&encoded), PATIENCE_MS, &got), 0);
        assert_int_equal(got.kind, answer);
        assert_int_equal(message_decode(msg_record_of_kind(answer), secret_view(&got.payload), ret_message), 0);
        secret_done(&got.payload);
}

static void set_up(struct msg_keeper_init_done *ret_done)
{
        MSG_OWN(keeper_init) request = {.organisation = text_copy("Example"), .quorum = 1, .root_lifetime = 1000000,
                                        .issuer_lifetime = 1000000, .tls_lifetime = 1000000};
        struct msg_operator_setup *operator = MSG_LIST_ADD(request.operators);
        int ours, theirs;
        pid_t pid;

        operator->operator = text_copy("ada");
        msg_texts_add(&operator->roles, "officer");
        request.root_password = secret_copy(bytes_text("password"));
        pair_make(&ours, &theirs);
        pid = keeper_spawn(theirs, "--setup");
        ask(ours, MSG_keeper_init, &request, MSG_keeper_init_done, ret_done);
        close(ours);
        keeper_wait(pid, 0);
}

/* ---- as the supervisor does it ----------------------------------------------------------------------------- */

struct child {
        struct loop *loop;
        struct channel *control;
        pid_t pid;
        int engine, local;
};

static int control_received(void *context, struct channel *channel, struct channel_message *message)
{
        return 0;
}

static int control_closed(void *context, struct channel *channel, int result)
{
        return 0;
}

static void peer_send(struct child *child, const char *role, int fd)
{
        MSG_OWN(peer) peer = {.role = text_copy(role)};
        CLEANUP(buf_done) struct buf encoded = BUF_NONE;

        assert_int_equal(msg_encode(peer, &peer, &encoded), 0);
        assert_int_equal(channel_send_descriptor(child->control, MSG_peer, buf_view(&encoded), fd), 0);
}

static void child_start(struct child *child, struct loop *loop, const struct secret *startup)
{
        static const struct channel_handler handler = {control_received, control_closed, NULL, 0, false};
        MSG_OWN(configure) configure = {0};
        CLEANUP(secret_done) struct secret encoded = SECRET_NONE;
        struct config config;
        int ours, theirs;

        pair_make(&ours, &theirs);
        child->pid = keeper_spawn(theirs, NULL);
        child->loop = loop;
        assert_int_equal(channel_new(loop, ours, &handler, child, &child->control), 0);
        config_init(&config);
        config_encode(&config, CONFIG_KEEPER, &configure.content);
        config_done(&config);
        if (startup)
                configure.startup_secret = secret_copy(secret_view(startup));
        assert_int_equal(message_encode_secret(msg_record_configure(), &configure, &encoded), 0);
        assert_int_equal(channel_send(child->control, MSG_configure, secret_view(&encoded)), 0);
        pair_make(&child->engine, &theirs);
        peer_send(child, "engine", theirs);
        pair_make(&child->local, &theirs);
        peer_send(child, "local", theirs);
        for (int i = 0; i < 3; i++)
                assert_int_equal(loop_step(loop, 0), 0);
}

static void child_stop(struct child *child)
{
        assert_int_equal(channel_send(child->control, MSG_stop, BYTES_NONE), 0);
        assert_int_equal(loop_step(child->loop, 0), 0);
        assert_int_equal(loop_step(child->loop, 0), 0);
        keeper_wait(child->pid, 0);
        channel_close(child->control);
        channel_unref(child->control);
        close(child->engine);
        close(child->local);
}

static void load(struct child *child, struct msg_keeper_init_done *done, const char *state)
{
        struct msg_keeper_load request = {{done->records.at, 1}, 0};
        MSG_OWN(keeper_state) told = {0};

        ask(child->engine, MSG_keeper_load, &request, MSG_keeper_state, &told);
        assert_string_equal(told.state, state);
}

static void enroll(struct child *child, const char *profile)
{
        MSG_OWN(keeper_enroll) request = {0};
        MSG_OWN(keeper_enrolled) answer = {0};
        CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        struct msg_subject *subject = MSG_LIST_ADD(request.subject);
        struct point recipient;

        subject->user = text_copy("user");
        msg_texts_add(&subject->addresses, "user@example.org");
        assert_int_equal(pkey_generate(PKEY_P256, &key), 0);
        assert_int_equal(pkey_to_spki(key, &request.spki), 0);
        assert_int_equal(pkey_to_point(key, &recipient), 0);
        buf_add_bytes(&request.recipient, point_view(&recipient));
        request.encryption_profile = text_copy(profile);
        request.not_before = clock_now();
        request.signature_not_after = request.encryption_not_after = clock_now() + 1000;
        ask(child->engine, MSG_keeper_enroll, &request, MSG_keeper_enrolled, &answer);
        assert_true(answer.encryption_certificate.len > 0 && answer.envelope.len > 0);
}

/* ---- tests ------------------------------------------------------------------------------------------------ */

static void a_keeper_serves_within_its_sandbox(void **state)
{
        MSG_OWN(keeper_init_done) done = {0};
        MSG_OWN(unseal) unseal = {0};
        MSG_OWN(keeper_pool) pool = {.profile = text_copy("rsa2048")};
        MSG_OWN(keeper_pooled) pooled = {0};
        MSG_OWN(keeper_crl) crl = {.this_update = 1, .next_update = 2};
        MSG_OWN(keeper_crl_signed) crl_signed = {0};
        MSG_OWN(keeper_head) head = {.sequence = 1};
        MSG_OWN(keeper_head_signed) head_signed = {0};
        struct msg_done nothing;
        struct child child;
        struct loop loop;

        set_up(&done);
        assert_int_equal(loop_init(&loop), 0);
        child_start(&child, &loop, NULL);
        load(&child, &done, "sealed");
        unseal.startup_secret = secret_copy(secret_view(&done.startup_secret));
        ask(child.local, MSG_unseal, &unseal, MSG_done, &nothing);
        enroll(&child, "p256");
        enroll(&child, "rsa2048");
        ask(child.engine, MSG_keeper_pool, &pool, MSG_keeper_pooled, &pooled);
        ask(child.engine, MSG_keeper_crl, &crl, MSG_keeper_crl_signed, &crl_signed);
        buf_add(&head.hash, "0123456789abcdef0123456789abcdef", 32);
        ask(child.engine, MSG_keeper_head, &head, MSG_keeper_head_signed, &head_signed);
        ask(child.local, MSG_seal, &nothing, MSG_done, &nothing);
        load(&child, &done, "sealed");
        child_stop(&child);
        loop_done(&loop);
}

/* The first is told the startup secret, the second only that it has a sibling. */
static void a_new_keeper_adopts_from_its_sibling(void **state)
{
        MSG_OWN(keeper_init_done) done = {0};
        struct child first, second;
        struct msg_done nothing = {0};
        struct loop loop;
        int ours, theirs;

        set_up(&done);
        assert_int_equal(loop_init(&loop), 0);
        child_start(&first, &loop, &done.startup_secret);
        load(&first, &done, "unsealed");
        child_start(&second, &loop, NULL);
        pair_make(&ours, &theirs);
        peer_send(&first, "keeper", ours);
        peer_send(&second, "keeper", theirs);
        for (int i = 0; i < 3; i++)
                assert_int_equal(loop_step(&loop, 0), 0);
        for (int i = 0; i < 100; i++) {
                struct msg_keeper_load request = {{done.records.at, 1}, 0};
                MSG_OWN(keeper_state) told = {0};

                ask(second.engine, MSG_keeper_load, &request, MSG_keeper_state, &told);
                if (strcmp(told.state, "unsealed") == 0)
                        break;
                usleep(20000);
        }
        enroll(&second, "p256");
        ask(second.local, MSG_seal, &nothing, MSG_done, &nothing);
        child_stop(&second);
        /* sealing went to the first before the second ended */
        for (int i = 0; i < 100; i++) {
                struct msg_keeper_load request = {{done.records.at, 1}, 0};
                MSG_OWN(keeper_state) told = {0};

                ask(first.engine, MSG_keeper_load, &request, MSG_keeper_state, &told);
                if (strcmp(told.state, "sealed") == 0)
                        break;
                assert_true(i < 99);
                usleep(20000);
        }
        child_stop(&first);
        loop_done(&loop);
}

/* A kind that is not the engine's to ask: the connection ends, the keeper does not. */
static void a_peer_that_plays_foul_is_cut(void **state)
{
        MSG_OWN(keeper_init_done) done = {0};
        struct channel_answer answer = {0};
        struct child child;
        struct loop loop;

        set_up(&done);
        assert_int_equal(loop_init(&loop), 0);
        child_start(&child, &loop, &done.startup_secret);
        assert_int_equal(channel_call_blocking(child.engine, MSG_seal, BYTES_NONE, PATIENCE_MS, &answer),
                         PROBLEM_UNREACHABLE);
        close(child.engine);
        child.engine = dup(child.local);
        assert_int_equal(channel_call_blocking(child.local, MSG_seal, BYTES_NONE, PATIENCE_MS, &answer), 0);
        secret_done(&answer.payload);
        child_stop(&child);
        loop_done(&loop);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_keeper_serves_within_its_sandbox),
                cmocka_unit_test(a_new_keeper_adopts_from_its_sibling),
                cmocka_unit_test(a_peer_that_plays_foul_is_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
