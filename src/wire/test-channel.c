/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "wire/channel.h"

#define TEXT(s) bytes_of(s, sizeof(s) - 1)

enum { KIND_ECHO = 7, KIND_NOTE, KIND_FILE, KIND_LATER, KIND_REFUSE };

/* One end: what it has seen. */
struct end {
        struct channel *channel;
        int received, closed, drained, result;
        uint64_t later;
        char text[64];
        bool unref_when_received;
};

struct pair {
        struct loop loop;
        struct end a, b;
};

static int end_received(void *context, struct channel *channel, struct channel_message *message)
{
        struct end *end = context;

        end->received++;
        if (message->payload.len < sizeof(end->text))
                snprintf(end->text, sizeof(end->text), "%.*s", (int)message->payload.len,
                         (const char *)message->payload.data);
        if (end->unref_when_received) {
                channel_unref(TAKE(end->channel));
                return 0;
        }
        if (message->kind == KIND_REFUSE)
                return refuse(PROBLEM_FORBIDDEN, "not from you");
        if (message->kind == KIND_LATER)
                end->later = message->id;
        if (message->kind == KIND_FILE) {
                end->text[read(message->fd, end->text, sizeof(end->text) - 1)] = 0;
        }
        if (message->kind == KIND_ECHO && message->id)
                return PASS(channel_reply(channel, message->id, KIND_ECHO, message->payload));
        return 0;
}

static int end_closed(void *context, struct channel *channel, int result)
{
        struct end *end = context;

        end->closed++;
        end->result = result;
        return 0;
}

static void end_drained(void *context, struct channel *channel)
{
        ((struct end *)context)->drained++;
}

static const struct channel_handler handler = {end_received, end_closed, end_drained, .descriptors = true};
static const struct channel_handler small = {end_received, end_closed, .frame_limit = 100};

/* a is an ordinary end, b one of `b_handler`. */
static void pair_init(struct pair *pair, const struct channel_handler *b_handler)
{
        int fds[2];

        *pair = (struct pair){0};
        assert_int_equal(loop_init(&pair->loop), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(channel_new(&pair->loop, fds[0], &handler, &pair->a, &pair->a.channel), 0);
        assert_int_equal(channel_new(&pair->loop, fds[1], b_handler, &pair->b, &pair->b.channel), 0);
}

static void pair_run(struct pair *pair)
{
        for (int i = 0; i < 20; i++)
                assert_int_equal(loop_step(&pair->loop, 0), 0);
}

static void pair_done(struct pair *pair)
{
        channel_unref(pair->a.channel);
        channel_unref(pair->b.channel);
        loop_done(&pair->loop);
}

struct asked {
        struct channel_call call;
        int replied, result;
        char text[16];
};

static void asked_replied(void *context, int result, struct channel_message *reply)
{
        struct asked *asked = context;

        asked->replied++;
        asked->result = result;
        if (reply)
                snprintf(asked->text, sizeof(asked->text), "%.*s", (int)reply->payload.len,
                         (const char *)reply->payload.data);
}

#define ASKED(name) struct asked name = {.call = {.replied = asked_replied, .context = &name}}

static void replies_find_their_calls(void **state)
{
        struct pair pair;
        ASKED(first);
        ASKED(second);
        ASKED(cancelled);

        pair_init(&pair, &handler);
        assert_int_equal(channel_call(pair.a.channel, &first.call, KIND_LATER, TEXT("1")), 0);
        assert_int_equal(channel_call(pair.a.channel, &second.call, KIND_ECHO, TEXT("2")), 0);
        assert_int_equal(channel_call(pair.a.channel, &cancelled.call, KIND_ECHO, TEXT("3")), 0);
        channel_call_cancel(&cancelled.call);
        channel_call_cancel(&cancelled.call);
        assert_int_equal(channel_calls(pair.a.channel), 2);
        pair_run(&pair);
        assert_string_equal(second.text, "2");
        assert_int_equal(first.replied + cancelled.replied, 0);
        assert_int_equal(channel_reply(pair.b.channel, pair.b.later, KIND_NOTE, TEXT("at last")), 0);
        pair_run(&pair);
        assert_string_equal(first.text, "at last");
        assert_int_equal(channel_calls(pair.a.channel), 0);
        pair_done(&pair);
}

static void calls_fail_when_the_peer_goes(void **state)
{
        struct pair pair;
        ASKED(asked);

        pair_init(&pair, &handler);
        assert_int_equal(channel_call(pair.a.channel, &asked.call, KIND_LATER, TEXT("x")), 0);
        pair_run(&pair);
        channel_close(pair.b.channel);
        assert_int_equal(channel_reply(pair.b.channel, pair.b.later, KIND_NOTE, BYTES_NONE), PROBLEM_UNREACHABLE);
        pair_run(&pair);
        assert_int_equal(asked.replied, 1);
        assert_int_equal(asked.result, PROBLEM_UNREACHABLE);
        assert_int_equal(pair.a.closed, 1);
        assert_int_equal(pair.a.result, 0);
        assert_int_equal(pair.b.closed, 0);
        assert_int_equal(channel_call(pair.a.channel, &asked.call, KIND_ECHO, TEXT("x")), PROBLEM_UNREACHABLE);
        pair_done(&pair);
}

static void descriptors_go_with_their_message(void **state)
{
        struct pair pair;

        pair_init(&pair, &handler);
        for (int i = 0; i < 3; i++) {
                int fds[2];
                char text[] = {(char)('x' + i), 0};

                assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
                assert_int_equal(fd_write_all(fds[1], text, 1), 0);
                close(fds[1]);
                assert_int_equal(channel_send(pair.a.channel, KIND_NOTE, TEXT("between")), 0);
                assert_int_equal(channel_send_descriptor(pair.a.channel, KIND_FILE, TEXT("here"), fds[0]), 0);
        }
        pair_run(&pair);
        assert_int_equal(pair.b.received, 6);
        assert_string_equal(pair.b.text, "z");
        assert_int_equal(pair.b.closed, 0);
        pair_done(&pair);
}

static void unexpected_descriptors_cut_the_peer(void **state)
{
        struct pair pair;

        pair_init(&pair, &small);
        assert_int_equal(channel_send_descriptor(pair.a.channel, KIND_FILE, BYTES_NONE, dup(0)), 0);
        pair_run(&pair);
        assert_int_equal(pair.b.received, 0);
        assert_int_equal(pair.b.result, PROBLEM_MALFORMED);
        pair_done(&pair);
}

static void large_messages_pass_and_congest(void **state)
{
        struct pair pair;
        struct buf large = BUF_NONE;

        pair_init(&pair, &handler);
        buf_reserve(&large, 8 << 20);
        memset(large.data, 0, 8 << 20);
        buf_extend(&large, 8 << 20);
        assert_false(channel_congested(pair.a.channel));
        assert_int_equal(channel_send(pair.a.channel, KIND_NOTE, buf_view(&large)), 0);
        assert_true(channel_congested(pair.a.channel));
        for (int i = 0; i < 1000 && !pair.b.received; i++)
                assert_int_equal(loop_step(&pair.loop, 0), 0);
        assert_int_equal(pair.b.received, 1);
        assert_int_equal(pair.a.drained, 1);

        assert_int_equal(channel_send(pair.a.channel, KIND_NOTE, bytes_of(large.data, CHANNEL_FRAME_LIMIT)),
                         PROBLEM_TOO_LARGE);
        buf_done(&large);
        pair_done(&pair);
}

/* b asks and asks without reading: a's answers pile up only until a stops to read. */
static void who_does_not_read_is_not_read(void **state)
{
        struct loop loop;
        struct end end = {0};
        CLEANUP(buf_done) struct buf ask = BUF_NONE;
        int fds[2], blocked = 0;

        assert_int_equal(loop_init(&loop), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        assert_int_equal(channel_new(&loop, fds[0], &handler, &end, &end.channel), 0);
        frame_header_add(&ask, KIND_ECHO, 1, 50000);
        buf_reserve(&ask, 50000);
        memset(ask.data + ask.len, 'x', 50000);
        buf_extend(&ask, 50000);
        for (int i = 0; i < 100000 && blocked < 10; i++) {
                if (send(fds[1], ask.data, ask.len, 0) != (ssize_t)ask.len)
                        blocked++;
                assert_int_equal(loop_step(&loop, 0), 0);
        }
        assert_int_equal(blocked, 10);
        assert_true(channel_queued(end.channel) < 2 * CHANNEL_HIGH_WATER);
        close(fds[1]);
        for (int i = 0; i < 100; i++)
                assert_int_equal(loop_step(&loop, 0), 0);
        assert_int_equal(end.closed, 1);
        channel_unref(end.channel);
        loop_done(&loop);
}

static void insane_peers_are_cut(void **state)
{
        const struct {
                struct bytes input;
                int result;
        } cases[] = {
                {TEXT("\x03\0\0\0"
                      "aaaaaaaaaa"),
                 PROBLEM_MALFORMED},
                {TEXT("\xff\xff\xff\xff"
                      "aaaaaaaaaa"),
                 PROBLEM_TOO_LARGE},
                {TEXT("\x61\0\0\0"
                      "aaaaaaaaaa"),
                 PROBLEM_TOO_LARGE},
                {TEXT("\x0a\0\0\0"
                      "aa\0\0\0\0\0\0\0\x80"),
                 PROBLEM_MALFORMED},
                {TEXT("\x0a\0\0\0"
                      "aa\x01\0\0\0\0\0\0\x80"),
                 PROBLEM_MALFORMED},
                {TEXT("\x0a\0\0\0"
                      "aa\x01\0\0\0\0\0\0\x40"),
                 PROBLEM_MALFORMED},
                {TEXT("\x0a\0\0\0"
                      "\x0b\0\x01\0\0\0\0\0\0\0"),
                 PROBLEM_FORBIDDEN},
                {TEXT("\x0a\0\0"), PROBLEM_MALFORMED},
                {BYTES_NONE, 0},
        };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct loop loop;
                struct end end = {0};
                int fds[2];

                assert_int_equal(loop_init(&loop), 0);
                assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
                assert_int_equal(channel_new(&loop, fds[0], &small, &end, &end.channel), 0);
                assert_int_equal(fd_write_all(fds[1], cases[i].input.data, cases[i].input.len), 0);
                if (cases[i].input.len < CHANNEL_HEADER_SIZE)
                        close(fds[1]);
                for (int k = 0; k < 5; k++)
                        assert_int_equal(loop_step(&loop, 0), 0);
                assert_int_equal(end.closed, 1);
                assert_int_equal(end.result, cases[i].result);
                assert_false(channel_is_open(end.channel));
                channel_unref(end.channel);
                if (cases[i].input.len >= CHANNEL_HEADER_SIZE)
                        close(fds[1]);
                loop_done(&loop);
        }
}

static void channels_may_go_within_callbacks(void **state)
{
        struct pair pair;
        ASKED(asked);

        pair_init(&pair, &handler);
        pair.b.unref_when_received = true;
        assert_int_equal(channel_call(pair.b.channel, &asked.call, KIND_LATER, TEXT("x")), 0);
        for (int i = 0; i < 5; i++)
                assert_int_equal(channel_send(pair.a.channel, KIND_NOTE, TEXT("y")), 0);
        pair_run(&pair);
        assert_int_equal(pair.b.received, 1);
        assert_int_equal(asked.replied, 1);
        assert_int_equal(pair.b.closed, 0);
        assert_int_equal(pair.a.closed, 1);
        pair_done(&pair);
}

static void blocking_calls_work_without_a_loop(void **state)
{
        int fds[2], status;
        struct channel_answer answer;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        pid_t child = fork();
        if (child == 0) {
                struct loop loop;
                struct end end = {0};

                close(fds[0]);
                if (loop_init(&loop) || channel_new(&loop, fds[1], &handler, &end, &end.channel) ||
                    channel_send(end.channel, KIND_NOTE, TEXT("skip me")))
                        _exit(1);
                while (!end.closed)
                        if (loop_step(&loop, -1))
                                _exit(1);
                _exit(end.received == 2 ? 0 : 1);
        }
        close(fds[1]);
        assert_int_equal(channel_call_blocking(fds[0], KIND_ECHO, TEXT("a password"), 5000, &answer), 0);
        assert_int_equal(answer.kind, KIND_ECHO);
        assert_true(bytes_equal(secret_view(&answer.payload), TEXT("a password")));
        secret_done(&answer.payload);
        assert_int_equal(channel_call_blocking(fds[0], KIND_LATER, BYTES_NONE, 20, &answer), PROBLEM_TIMEOUT);
        close(fds[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(replies_find_their_calls),
                cmocka_unit_test(calls_fail_when_the_peer_goes),
                cmocka_unit_test(descriptors_go_with_their_message),
                cmocka_unit_test(unexpected_descriptors_cut_the_peer),
                cmocka_unit_test(large_messages_pass_and_congest),
                cmocka_unit_test(who_does_not_read_is_not_read),
                cmocka_unit_test(insane_peers_are_cut),
                cmocka_unit_test(channels_may_go_within_callbacks),
                cmocka_unit_test(blocking_calls_work_without_a_loop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
