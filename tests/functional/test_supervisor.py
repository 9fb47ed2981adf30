# SPDX-License-Identifier: Apache-2.0
"""vouchsafed with stand-ins for its children: start, restart, reconnection, reload, stop, and everything that can be wrong at the start."""
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import BUILD, DAEMON, open_way  # noqa: E402

ROLES = ("keeper", "engine", "outbound", "front")


class Supervised:
    """A folder with configuration and stand-ins, and vouchsafed on it."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.run, self.data = folder, folder / "run", folder / "data"
        for place in (self.run, self.data, folder / "libexec"):
            place.mkdir(exist_ok=True)
        for role in ROLES:
            shutil.copy(BUILD / "tests/functional/stand-in", folder / "libexec" / f"vouchsafe-{role}")
        (self.data / "tls-chain.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        (self.data / "tls-key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
        (folder / "secret").write_text("a startup secret\n")
        for secret in (self.data / "tls-key.pem", folder / "secret"):
            secret.chmod(0o600)
        self.config = folder / "vouchsafe.conf"
        self.process = None
        self.configure()

    def configure(self, **options):
        """Options as section__key="value", keys with _ for -."""
        sections = {
            "server": {"data": self.data, "run": self.run, "organisation": "Test", "host-names": "localhost"},
            "listen": {"https": "127.0.0.1:0 127.0.0.1:0", "http": "127.0.0.1:0", "metrics": "127.0.0.1:0"},
            "startup": {"secret": "file", "secret-file": self.folder / "secret"},
            "process": {"keepers": 2, "fronts": 2, "user": "nobody"},
        }
        for name, value in options.items():
            section, key = name.split("__")
            sections.setdefault(section, {})[key.replace("_", "-")] = value
        self.config.write_text("".join(f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items())
                                       for section, values in sections.items()))

    def own(self):
        """Root gives the folder to the user that the server becomes."""
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "nobody:nogroup", str(self.folder)], check=True)
            subprocess.run(["chown", "root", str(self.config)], check=True)
            open_way(self.folder)

    def start(self, wait=True, **environment):
        self.own()
        environment = dict(os.environ, VOUCHSAFE_LIBEXEC=str(self.folder / "libexec"), SECRET_OF_MINE="x", **environment)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([str(DAEMON), "--config", str(self.config)], env=environment,
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if wait:
            self.wait_for(lambda status: status["ready"] and self.whole(status))
        return self

    def fails(self) -> tuple[int, str]:
        self.own()
        done = subprocess.run([str(DAEMON), "--config", str(self.config)], capture_output=True, text=True, timeout=20,
                              env=dict(os.environ, VOUCHSAFE_LIBEXEC=str(self.folder / "libexec")))
        return done.returncode, done.stderr

    def status(self) -> dict:
        return json.loads((self.run / "status.json").read_text())

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait_for(self, condition, seconds=20) -> dict:
        until = time.monotonic() + seconds
        status = {}
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"vouchsafed ended: {self.process.returncode}\n{self.log()}")
            try:
                status = self.status()
                if condition(status):
                    return status
            except FileNotFoundError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"{status}\n{self.log()}")

    @staticmethod
    def whole(status) -> bool:
        """Every child is connected to all it should be, and to each by one living connection."""
        expected = {"keeper": {"e0", "k0", "k1"}, "engine": {"f0", "f1", "k0", "k1", "o0"}, "outbound": {"e0"}, "front": {"e0", "listen4"}}
        for child in status["children"]:
            mine = expected[child["role"]] - ({f"k{child['index']}"} if child["role"] == "keeper" else set())
            if not child["ready"] or sorted(child["state"].split()) != sorted(mine):
                return False
        return len(status["children"]) == 6

    def pids(self) -> dict[str, int]:
        return {f"{c['role']} {c['index']}": c["pid"] for c in self.status()["children"]}

    def stop(self, expect=0):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(40) == expect


@pytest.fixture
def server(tmp_path):
    supervised = Supervised(tmp_path)
    yield supervised
    if supervised.process and supervised.process.poll() is None:
        supervised.process.kill()
        supervised.process.wait()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return True
    except (ProcessLookupError, PermissionError):
        return False


def gone(pids, seconds=5) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def test_children_get_what_is_theirs_and_nothing_else(server):
    server.start()
    seen = {f"{role}": (server.run / f"seen-{role}-0").read_text() for role in ROLES}
    assert "secret=16" in seen["keeper"] and "secret=0" in seen["engine"]
    assert "key=27" in seen["front"] and "key=0" in seen["keeper"]
    for text in seen.values():
        assert "SECRET_OF_MINE" not in text and "PATH=" in text
        assert [line for line in text.splitlines() if line.startswith("fd")] == ["fd0", "fd1", "fd2", "fd3"]
    for pid in server.pids().values():
        assert os.geteuid() or pathlib.Path(f"/proc/{pid}").stat().st_uid
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert "Max core file size        0" in limits
    server.stop()
    assert not (server.run / "status.json").exists() and not (server.run / "keeper.sock").exists()


def test_secrets_of_root_reach_the_outbound_processes_alone(server, tmp_path_factory):
    """With a directory there is a second outbound process; a password that was replaced is taken on reload if it can be."""
    folder = tmp_path_factory.mktemp("secrets")
    for name, content in {"directory": "directory secret", "mail": "mail"}.items():
        (folder / name).write_text(content + "\n")
        (folder / name).chmod(0o600)
    server.configure(directory__kind="ldap", directory__servers="ldaps://ldap.example.org", directory__base="o=x", directory__bind_dn="cn=x",
                     directory__bind_password_file=folder / "directory", mail__servers="smtps://mail.example.org", mail__from="keys@example.org",
                     mail__user="keys", mail__password_file=folder / "mail")
    server.start(wait=False)
    server.wait_for(lambda status: len(status["children"]) == 7 and all(child["ready"] for child in status["children"]))
    for number in (0, 1):
        assert "mail=4 directory=16" in (server.run / f"seen-outbound-{number}").read_text()
    for role in ("keeper", "engine", "front"):
        assert "mail=0 directory=0" in (server.run / f"seen-{role}-0").read_text()
    assert "o1" in next(child["state"] for child in server.status()["children"] if child["role"] == "engine")
    server.stop()
    (folder / "directory").chmod(0o644)
    status, said = server.fails()
    assert status == 29 and "password of the directory's account" in said and "open to other users" in said
    (folder / "directory").unlink()
    assert "does not exist" in server.fails()[1]


def test_each_killed_child_comes_back_with_its_connections(server):
    server.start()
    for name in server.pids():
        before = server.pids()
        os.kill(before[name], signal.SIGKILL)
        server.wait_for(lambda status: server.pids()[name] not in (before[name], 0) and server.whole(status))
        after = server.pids()
        assert {key: pid for key, pid in after.items() if key != name} == {key: pid for key, pid in before.items() if key != name}
    assert "was killed by signal 9" in server.log()
    server.stop()


def test_all_killed_at_once_come_back(server):
    server.start()
    for _ in range(3):
        before = server.pids()
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        server.wait_for(lambda status: server.whole(status) and not set(server.pids().values()) & set(before.values()))
    server.stop()


def test_children_die_with_the_supervisor_and_a_new_one_takes_over(server):
    server.start()
    pids = server.pids().values()
    server.process.kill()
    server.process.wait()
    assert gone(pids)
    server.start()
    server.wait_for(lambda status: status["pid"] == server.process.pid and server.whole(status))
    server.stop()


def test_ports_survive_a_front(server):
    server.start()
    where = server.status()["listen"]
    assert len(where["https"]) == 2 and not any(address.endswith(":0") for addresses in where.values() for address in addresses)
    host, port = where["https"][0].split(":")
    os.kill(server.pids()["front 0"], signal.SIGKILL)
    for _ in range(20):
        socket.create_connection((host, int(port)), timeout=5).close()
    server.wait_for(server.whole)
    assert server.status()["listen"] == where
    server.stop()


def test_a_crash_loop_slows_down_and_is_told(server):
    server.start()
    (server.run / "crash-outbound").touch()
    os.kill(server.pids()["outbound 0"], signal.SIGKILL)
    server.wait_for(lambda status: "does not stay up: it exited with status 9" in server.log())

    def starts(status):
        return next(c["starts"] for c in status["children"] if c["role"] == "outbound")
    assert starts(server.wait_for(lambda status: starts(status) >= 5)) <= 8  # the file follows the log
    (server.run / "crash-outbound").unlink()
    server.wait_for(server.whole)
    server.stop()


def ask_local(path, kind=100, payload=b"") -> bytes:
    """A request on the local socket; the payload of the reply."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(struct.pack("<IHQ", 10 + len(payload), kind, 1) + payload)
        reply = b""
        while len(reply) < 14 or len(reply) < 4 + struct.unpack("<I", reply[:4])[0]:
            piece = connection.recv(4096)
            if not piece:
                return b""
            reply += piece
        return reply[14:]


def test_local_connections_reach_living_keepers(server):
    server.start()
    path = server.run / "keeper.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    assert {ask_local(path) for _ in range(6)} == {b"keeper0", b"keeper1"}
    (server.run / "crash-keeper").touch()
    os.kill(server.pids()["keeper 0"], signal.SIGKILL)
    server.wait_for(lambda status: not server.whole(status))
    assert {ask_local(path) for _ in range(6)} == {b"keeper1"}
    os.kill(server.pids()["keeper 1"], signal.SIGKILL)
    server.wait_for(lambda status: not any(c["ready"] for c in status["children"] if c["role"] == "keeper"))
    threading.Timer(0.5, (server.run / "crash-keeper").unlink).start()
    assert ask_local(path).startswith(b"keeper")
    server.wait_for(server.whole)
    server.stop()


def test_reload_takes_what_is_live_and_names_the_rest(server):
    server.start()
    before = server.pids()
    server.configure(log__level="debug", process__keepers=3)
    server.own()
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(lambda status: all("level=debug" in (server.run / f"seen-{role}-0").read_text() for role in ROLES))
    assert "need a restart and stay as they were: [process] keepers" in server.log()
    server.config.write_text("[server]\nnonsense = 1\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(lambda status: "line 2: [server] has no option" in server.log())
    (server.data / "tls-chain.pem").write_text("-----BEGIN CERTIFICATE-----\nanother\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(lambda status: "chain=36" in (server.run / "seen-front-0").read_text())
    assert server.pids() == before
    server.stop()


def test_stop_is_orderly_and_has_a_deadline(server):
    server.start()
    (server.run / "ignore-stop-front").touch()
    began = time.monotonic()
    pids = server.pids().values()
    server.stop()
    assert 9 < time.monotonic() - began < 20
    assert "front 0 did not stop in time and is killed" in server.log()
    log = server.log()
    assert log.index("front 1 stopped") < log.index("engine 0 stopped") < log.index("keeper 0 stopped") < log.index("notice: stopped")
    assert not any(alive(pid) for pid in pids)


def test_a_terminal_stops_the_supervisor_alone(server):
    """^C goes to the whole process group in the foreground."""
    server.start()
    pids = [server.process.pid, *server.pids().values()]
    assert len(pids) > 5 and [os.getpgid(pid) for pid in pids[1:]] == pids[1:]
    server.stop()


def test_systemd_is_notified(server):
    path = server.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(path))
        heard.settimeout(15)
        path.chmod(0o777)
        server.start(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="400000")
        words = heard.recv(200).decode()
        while "READY=1" not in words:
            words = heard.recv(200).decode()
        assert heard.recv(200) == b"WATCHDOG=1"
        server.process.send_signal(signal.SIGHUP)
        while not words.startswith("RELOADING=1\nMONOTONIC_USEC="):
            words = heard.recv(200).decode()
        server.stop()
        while "STOPPING=1" not in words:
            words = heard.recv(200).decode()


def test_what_is_wrong_at_the_start_is_told(server):
    def refused(words, status=29):
        code, text = server.fails()
        assert words in text and code == status, (code, text)

    server.configure(process__fronts=1000)
    refused("[process] fronts is from 0 to 64")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server.configure(listen__http=f"127.0.0.1:{taken.getsockname()[1]}")
        refused("another program already listens on")
    server.configure(listen__http="192.0.2.1:0")
    refused("this machine has no such address")
    server.configure(tls__certificate=server.folder / "none", tls__key=server.folder / "none")
    refused("does not exist")
    server.configure()
    (server.data / "tls-key.pem").chmod(0o644)
    refused("is open to other users")
    (server.data / "tls-key.pem").chmod(0o600)
    done = subprocess.run([str(DAEMON), "--config", str(server.folder / "nothing")], capture_output=True, text=True)
    assert done.returncode == 29 and "There is no configuration" in done.stderr
    assert subprocess.run([str(DAEMON), "--nonsense"], capture_output=True).returncode == 2
    checked = subprocess.run([str(DAEMON), "--check", "--config", str(server.config)], capture_output=True, text=True)
    assert checked.returncode == 0 and "is right" in checked.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root comes through every folder, and gives that up")
def test_a_closed_parent_is_named(server):
    server.own()
    server.folder.chmod(0o700)
    subprocess.run(["chown", "root", str(server.folder)], check=True)
    done = subprocess.run([str(DAEMON), "--config", str(server.config)], capture_output=True, text=True, timeout=20,
                          env=dict(os.environ, VOUCHSAFE_LIBEXEC=str(server.folder / "libexec")))
    assert done.returncode == 29 and f"does not come through {server.folder} to {server.data}" in done.stderr, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads for others")
def test_root_believes_no_configuration_but_its_own(server):
    """It could name a file of root's, the startup secret, as the password of a mail server."""
    for owner, mode, status in (("nobody", 0o644, 29), ("root", 0o666, 29), ("root", 0o664, 29), ("root", 0o644, 0)):
        subprocess.run(["chown", owner, str(server.config)], check=True)
        server.config.chmod(mode)
        done = subprocess.run([str(DAEMON), "--check", "--config", str(server.config)], capture_output=True, text=True, timeout=20)
        assert done.returncode == status and ("can be written by others than root" in done.stderr) == (status != 0), (owner, mode, done)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start programs that the server's user cannot reach")
def test_programs_out_of_reach_are_named(server):
    server.own()
    closed = server.folder / "closed"
    closed.mkdir(mode=0o700)
    shutil.copy(DAEMON, closed)
    done = subprocess.run(["timeout", "3", str(closed / "vouchsafed"), "--config", str(server.config)], capture_output=True, text=True)
    assert f"cannot reach the program vouchsafe-keeper from {closed}" in done.stderr, done.stderr


def test_two_servers_do_not_share_data_or_ports(server, tmp_path):
    server.start()
    code, text = server.fails()
    assert code == 17 and f"A server already runs on {server.data}. Stop it first." in text
    other = Supervised.__new__(Supervised)
    folder = tmp_path / "other"
    folder.mkdir()
    other.__init__(folder)
    port = server.status()["listen"]["https"][0].rsplit(":", 1)[1]
    other.configure(listen__https=f"127.0.0.1:{port}")
    code, text = other.fails()
    assert code == 29 and "already listens" in text
    other.configure(server__run=server.run)
    code, text = other.fails()
    assert code == 29 and "Another server listens on" in text
    server.stop()


def test_a_missing_startup_secret_starts_sealed_and_says_so(server):
    (server.folder / "secret").unlink()
    server.start()
    assert "the server starts sealed: The file with the startup secret" in server.log()
    assert "secret=0" in (server.run / "seen-keeper-0").read_text()
    server.stop()


def test_a_crash_does_not_undo_sealing(server):
    """An administrator sealed: a keeper that is started again is not given the startup secret."""
    seen = server.run / "seen-keeper-0"
    server.start()
    assert "secret=0" not in seen.read_text()
    (server.run / "seal-keeper").touch()
    seen.unlink()
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(lambda status: seen.exists())
    (server.run / "seal-keeper").unlink()
    before = server.pids()
    os.kill(before["keeper 0"], signal.SIGKILL)
    server.wait_for(lambda status: server.whole(status) and server.pids()["keeper 0"] != before["keeper 0"])
    assert "secret=0" in seen.read_text()
    server.stop()


def test_without_descriptors_it_waits_for_better_times(server):
    server.start()
    same_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []

    def descriptors(most):
        subprocess.run([*same_user, "prlimit", f"--pid={server.process.pid}", f"--nofile={most}:"], check=True)

    descriptors(20)
    for pid in server.pids().values():
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while "could not be prepared" not in server.log() and "cannot be started" not in server.log():
        assert time.monotonic() < deadline and server.process.poll() is None
        time.sleep(0.1)
    descriptors(1024)
    server.wait_for(server.whole)
    server.stop()


def test_missing_programs_are_named(server):
    (server.folder / "libexec" / "vouchsafe-outbound").unlink()
    server.start(wait=False)
    server.wait_for(lambda status: "has no program vouchsafe-outbound" in server.log())
    shutil.copy(BUILD / "tests/functional/stand-in", server.folder / "libexec" / "vouchsafe-outbound")
    (server.folder / "libexec" / "vouchsafe-outbound").chmod(0o755)
    server.wait_for(server.whole)
    server.stop()
