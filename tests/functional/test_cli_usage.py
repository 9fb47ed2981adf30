# SPDX-License-Identifier: Apache-2.0
"""What the command line itself does: help, mistakes, passwords, exit codes. No server is needed."""
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import pathlib
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402


def run(*arguments, stdin=None, home="/nonexistent", **environment):
    return subprocess.run([harness.CLI, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60, start_new_session=True,
                          env={**os.environ, "VOUCHSAFE_HOME": str(home), **environment})


def commands() -> list[list[str]]:
    lines = run("help").stdout.splitlines()
    return [words[:2] if len(words := re.split(r"\s+", line.strip())) and re.match(r"  [a-z]+ [a-z]+ ", line) else words[:1]
            for line in lines if re.match(r"  [a-z]+", line) and not line.startswith("  vouchsafe")]


def test_every_command_has_help_with_examples():
    found = commands()
    assert len(found) > 30
    for words in found:
        done = run(*words, "--help")
        assert done.returncode == 0 and not done.stderr, words
        assert done.stdout.startswith("Usage: vouchsafe " + " ".join(words)), words
        assert "Examples:" in done.stdout and "--json" in done.stdout, words
        assert run("help", *words).stdout == done.stdout


def test_every_command_refuses_what_it_does_not_know():
    for words in commands():
        done = run(*words, "--no-such-option", "x", "y", "z")
        assert done.returncode == 2 and "no option --no-such-option" in done.stderr, (words, done.stderr)


@pytest.mark.parametrize("words, hint", [
    (["usr", "list"], '"user"'), (["user", "lst"], '"list"'), (["mail", "encript"], '"encrypt"'), (["stats"], '"status"'),
    (["user", "enroll", "all", "--dryrun"], "--dry-run"), (["officer", "acept"], '"accept"'),
])
def test_mistyped_words_get_a_suggestion(words, hint):
    done = run(*words)
    assert done.returncode == 2 and f"id you mean {hint}?" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_errors_are_one_sentence_or_one_object():
    done = run("keys", "list")
    assert done.returncode == 15 and done.stderr.count("\n") == 1 and "vouchsafe enroll" in done.stderr
    error = json.loads(run("keys", "list", "--json").stderr)
    assert error["code"] == "not-found" and error["exit"] == 15 and error["detail"]


def test_an_unreachable_server_is_named():
    done = run("status", "--server", "https://localhost:1")
    assert done.returncode == 23 and "https://localhost:1" in done.stderr and "running" in done.stderr
    assert run("status", "--server", "ftp://localhost").returncode == 2
    assert run("status", "--server", "https://no-such-host.invalid").returncode == 23


def test_a_descriptor_that_is_not_open_is_a_mistake(tmp_path):
    for number, words in (("99", "not open"), ("x", "not the number")):
        done = run("unseal", "--socket", "/nonexistent", "--password-fd", number, home=tmp_path)
        assert done.returncode == 2 and words in done.stderr


@pytest.mark.parametrize("words, instead", [
    (["enroll", "--server", "https://localhost:1"], "--token or --token-file"),
    (["operator", "accept", "--server", "https://localhost:1"], "--code or --code-file"),
    (["unseal", "--socket", "/nonexistent"], "--startup-secret-file or --password-fd"),
])
def test_who_cannot_be_asked_is_told_the_right_options(words, instead, tmp_path):
    done = run(*words, home=tmp_path)
    assert done.returncode == 2 and f"use {instead}." in done.stderr


def test_a_port_that_speaks_no_tls_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_plainly, args=[listener], daemon=True).start()
        done = run("status", "--server", f"https://127.0.0.1:{listener.getsockname()[1]}", home=tmp_path)
    assert done.returncode == 23 and "port that it has for HTTPS?" in done.stderr


def answer_plainly(listener):
    while True:
        try:
            with listener.accept()[0] as client:
                client.recv(1000)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        except OSError:
            return


def test_mistyped_tokens_are_noticed_before_anything_is_sent(tmp_path):
    done = run("enroll", "--server", "https://localhost:1", "--token", "AAAAAAA-AAAAAAA-AAAAAAA-AAAAAAB", home=tmp_path)
    assert done.returncode == 19
    assert run("enroll", "--server", "https://localhost:1", "--token", "\x1b[31m", home=tmp_path).stderr.count("\x1b") == 0


def test_control_characters_never_reach_the_terminal(tmp_path):
    for words in (["user\x1b[2J"], ["user", "list\x1b]0;x\x07"], ["keys", "list", "--user", "\x1b[31m@x"], ["status", "--server", "\x1b[31m"],
                  ["certificate", "show", "/\x1b[1m"]):
        done = run(*words, home=tmp_path)
        assert done.returncode != 0 and "\x1b" not in done.stderr + done.stdout and "\x07" not in done.stderr


def test_passwords_are_asked_for_without_echo(tmp_path):
    """On a terminal of its own: asked twice, not shown, and two that differ are refused."""
    (tmp_path / "token").write_text("2222222-2222222-2222222-2222222\n")
    child, terminal = pty.fork()
    if child == 0:
        os.environ["VOUCHSAFE_HOME"] = str(tmp_path)
        os.execv(harness.CLI, ["vouchsafe", "enroll", "--server", "https://localhost:1", "--token-file", str(tmp_path / "token")])
    shown = b""
    # What is typed before it is asked for is discarded, so each answer waits for its own question.
    answers = {b"(new): ": b"correct horse\n", b"(again): ": b"battery staple\n"}
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        for question in [one for one in answers if one in shown]:
            # The question is written a moment before the terminal is made quiet.
            time.sleep(0.3)
            os.write(terminal, answers.pop(question))
        if b"differ" in shown:
            break
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(terminal)
    assert b"differ" in shown
    assert b"correct horse" not in shown and b"battery" not in shown


def test_completion_and_version():
    assert "complete -F" in run("completion").stdout
    assert re.match(r"vouchsafe \d", run("--version").stdout)
