# SPDX-License-Identifier: Apache-2.0
"""Setting up: never over a server that is there, and again after being cut off at any point."""
import os
import random
import signal
import stat
import subprocess
import time

import pytest

import harness


def arguments(folder, *more):
    (folder / "root-password").write_text("a password for the root\n")
    return ["init", "--data", folder / "data", "--organisation", "Beispiel & Söhne", "--hostname", "localhost", "--user", "nobody",
            "--officer", "olga", "--officer", "omar", "--quorum", "2", "--registrar", "rita", "--auditor", "olga",
            "--root-password-file", folder / "root-password", "--startup-secret-file", folder / "startup-secret",
            "--codes-dir", folder / "codes", *more]


def run(words, **options):
    return subprocess.run([harness.CLI, *map(str, words)], capture_output=True, text=True, start_new_session=True, timeout=120, **options)


def snapshot(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", "root-password")}


def complete(folder):
    data = folder / "data"
    names = {path.name for path in data.iterdir()}
    return {"vouchsafe.db", "tls-key.pem", "tls-chain.pem", "root.p12", "vouchsafe.conf"} <= names and not any(
        path.name.endswith(".new") or path.name == "init.pending" for path in folder.rglob("*")) and (folder / "startup-secret").exists() and {
        path.name for path in (folder / "codes").iterdir()} == {"olga", "omar", "rita"}


def test_a_server_that_is_there_is_never_touched(tmp_path):
    assert run(arguments(tmp_path)).returncode == 0
    assert complete(tmp_path)
    before = snapshot(tmp_path)
    done = run(arguments(tmp_path))
    assert done.returncode == 16 and "already" in done.stderr
    assert snapshot(tmp_path) == before


def test_what_is_secret_is_for_its_owner_only(tmp_path):
    done = run(arguments(tmp_path))
    assert done.returncode == 0
    for path in [tmp_path / "startup-secret", *(tmp_path / "codes").iterdir(), tmp_path / "data/tls-key.pem", tmp_path / "data/root.p12",
                 tmp_path / "data/vouchsafe.db"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    secret = (tmp_path / "startup-secret").read_text().strip()
    assert secret not in done.stdout + done.stderr and len(secret) >= 28
    assert subprocess.run(["openssl", "pkcs12", "-in", tmp_path / "data/root.p12", "-passin", f"file:{tmp_path / 'root-password'}", "-noout"]).returncode == 0


def test_secrets_are_shown_once_where_no_file_is_named(tmp_path):
    words = arguments(tmp_path)
    for option in ("--startup-secret-file", "--codes-dir"):
        at = words.index(option)
        del words[at:at + 2]
    done = run(words)
    assert done.returncode == 0
    assert "Startup secret" in done.stdout and all(name in done.stdout for name in ("olga", "omar", "rita"))


@pytest.mark.parametrize("change, hint", [
    (["--quorum", "3"], "quorum"), (["--officer", "olga"], "twice"), (["--root-password-file", "/nonexistent"], "/nonexistent"),
    (["--officer", "Olga Müller"], "Olga Müller"), (["--officer", "o" * 300], "1 to 64"), (["--hostname", "https://localhost"], "without https://"),
    (["--hostname", "localhost:8443"], "localhost:8443"), (["--organisation", "Smith ; Jones"], "semicolon"), (["--organisation", "a\nb = c"], "line break"),
])
def test_mistakes_change_nothing(tmp_path, change, hint):
    words = arguments(tmp_path)
    if change[0] != "--officer":
        at = words.index(change[0])
        del words[at:at + 2]
    done = run([*words, *change])
    assert done.returncode != 0 and hint in done.stderr
    assert not (tmp_path / "data/vouchsafe.db").exists() and not (tmp_path / "startup-secret").exists()
    assert run(arguments(tmp_path)).returncode == 0


def test_what_a_configuration_says_already_is_not_passed_over(tmp_path):
    (tmp_path / "data").mkdir()
    config = tmp_path / "data/vouchsafe.conf"
    config.write_text(f"[server]\norganisation = Another\nhost-names = localhost\ndata = {tmp_path}/data\nrun = {tmp_path}/run\n[process]\nuser = nobody\n")
    done = run(arguments(tmp_path))
    assert done.returncode == 2 and "--organisation" in done.stderr and str(config) in done.stderr
    assert not (tmp_path / "data/vouchsafe.db").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives what it makes to another user")
def test_a_user_that_is_not_there_is_missed_before_anything_is_made(tmp_path):
    done = run(["nobody-of-that-name" if word == "nobody" else word for word in arguments(tmp_path)])
    assert done.returncode == 29 and "adduser --system" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_file_in_the_way_is_not_written_over(tmp_path):
    (tmp_path / "startup-secret").write_text("of another server\n")
    done = run(arguments(tmp_path))
    assert done.returncode == 16 and str(tmp_path / "startup-secret") in done.stderr
    assert (tmp_path / "startup-secret").read_text() == "of another server\n"
    assert not list(tmp_path.rglob("*.new"))


def test_cut_off_at_any_point_it_can_be_run_again(tmp_path):
    started = time.monotonic()
    (tmp_path / "whole").mkdir()
    assert run(arguments(tmp_path / "whole")).returncode == 0
    lasts = time.monotonic() - started
    chance = random.Random(4)
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = subprocess.Popen([harness.CLI, *map(str, arguments(folder))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        # Most of it is the password's and the keys' time; what is written comes at the end.
        time.sleep(lasts * chance.uniform(0.5, 1.05))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        done = run(arguments(folder))
        assert done.returncode in (0, 16), done.stderr
        assert complete(folder), done.stderr


def test_names_that_were_not_given_are_given_by_the_next_run(tmp_path):
    """Cut off between the database's name, which makes it a server, and those of the other files."""
    assert run(arguments(tmp_path)).returncode == 0
    secret = tmp_path / "startup-secret"
    content = secret.read_text()
    secret.rename(tmp_path / "startup-secret.new")
    (tmp_path / "data/init.pending").write_text(f"{secret}.new\n{secret}\n{tmp_path}/codes/olga.new\n{tmp_path}/codes/olga\n")
    done = run(arguments(tmp_path))
    assert done.returncode == 0 and "complete" in done.stderr
    assert secret.read_text() == content and complete(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes two users")
def test_names_that_another_wants_given_are_not(tmp_path):
    """The data folder is the server's own: taken over, it could have root rename its files to anywhere."""
    assert run(arguments(tmp_path)).returncode == 0
    planted, target, pending = tmp_path / "data/planted", tmp_path / "target", tmp_path / "data/init.pending"
    planted.write_text("not to be believed")
    pending.write_text(f"{planted}\n{target}\n")
    os.chown(pending, 65534, 65534)
    done = run(arguments(tmp_path))
    assert done.returncode == 16 and "There is a server already" in done.stderr
    assert planted.exists() and not target.exists()
    os.chown(tmp_path / "data/vouchsafe.conf", 65534, 65534)
    done = run(arguments(tmp_path))
    assert done.returncode == 29 and "can be written by others than root" in done.stderr
