# SPDX-License-Identifier: Apache-2.0
"""What the machine runs out of: disk, writable disk, file descriptors. Each time: a clear refusal, nothing lost, and recovery by itself when
the cause is gone. Mounting needs root; without it those tests are skipped."""
import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
STORAGE = 31
QUICK = {"enroll": {"encryption-profile": "p256", "pool-size": 0}}


@pytest.fixture
def small_disk():
    """A server whose data folder is a disk of a few megabytes."""
    server = harness.Server(options=QUICK)
    server.data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700,uid=nobody", "tmpfs", server.data], check=True)
    try:
        yield server.init()
    finally:
        server.stop()
        subprocess.run(["umount", "-l", server.data], check=True)
        server.remove()


def fill(folder: pathlib.Path) -> pathlib.Path:
    """A file that takes all the room there is."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as out:
        try:
            while True:
                out.write(b"x" * 4096)
        except OSError:
            pass
    return filler


def healthy(server, address: str):
    """A new enrollment works, and all rows are as they should be."""
    server.enroll(address)
    assert server.json("user", "show", address, home="rita")["user"][0]["state"] == "enrolled"
    assert server.json("verify", home="rita")["findings"] == []


@needs_root
def test_full_disk_is_refused_and_forgotten(small_disk):
    server = small_disk
    server.run("directory", "import", server.people(20), home="rita")
    server.enroll("load0@example.org")
    tokens = server.tokens("load1@example.org")
    filler = fill(server.data)
    refused = server.result("enroll", "--server", server.url, "--token-file", tokens, home="load1@example.org", status=None)
    assert refused.returncode == STORAGE, refused
    assert "disk" in refused.stderr.lower(), refused.stderr
    # Reading still works.
    assert server.json("user", "show", "load0@example.org", home="rita")["user"][0]["state"] == "enrolled"
    filler.unlink()
    # The very same command completes what it began.
    server.run("enroll", "--server", server.url, "--token-file", tokens, home="load1@example.org")
    healthy(server, "load2@example.org")


@needs_root
def test_read_only_disk_is_waited_for(small_disk):
    server = small_disk
    server.run("directory", "import", server.people(5), home="rita")
    server.enroll("load0@example.org")
    server.stop()
    subprocess.run(["mount", "-o", "remount,ro", server.data], check=True)
    server.start(wait=None)
    time.sleep(2)
    assert server.process.poll() is None, server.tail()
    assert "read-only" in server.tail().lower(), server.tail()
    subprocess.run(["mount", "-o", "remount,rw", server.data], check=True)
    server.wait("unsealed")
    healthy(server, "load1@example.org")


def limit_descriptors(pid: int, number: int):
    """The soft limit of a running process, changed by its own user: root need not have the right to."""
    subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "prlimit", f"--pid={pid}", f"--nofile={number}:"], check=True)


@needs_root
def test_engine_without_descriptors():
    with harness.Server(options=QUICK) as server:
        server.run("directory", "import", server.people(5), home="rita")
        children = server.children()
        engine = children["engine 1"]
        limit_descriptors(engine, len(os.listdir(f"/proc/{engine}/fd")))
        # Its peers come back with new connections, which it cannot take.
        for name, pid in children.items():
            if name.startswith(("keeper", "front")):
                os.kill(pid, 9)
        time.sleep(2)
        if server.children().get("engine 1") == engine:
            limit_descriptors(engine, 1024)
        server.wait("unsealed")
        healthy(server, "load0@example.org")


def test_many_connections_leave_room_for_others():
    with harness.Server(options={"limits": {"connections": 40}, "process": {"fronts": 1}}) as server:
        idle = []
        for _ in range(200):
            try:
                idle.append(socket.create_connection(("127.0.0.1", server.https), timeout=2))
            except OSError:
                break
        for one in idle:
            one.close()
        server.wait("unsealed")
