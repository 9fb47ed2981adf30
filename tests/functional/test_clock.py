# SPDX-License-Identifier: Apache-2.0
"""The server's clock is set back, and set ahead and back: real processes whose wall clock a preloaded library shifts. Each time: clear refusals,
nothing that must not run back does, and all is well by itself when the clock is right again."""
import os
import pathlib
import struct
import subprocess
import sys
import time
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402

HOUR, YEAR, CLOCK = 3600, 365 * 86400, 30
PARTS = ["keeper", "engine", "outbound", "front"]


class Clocked(harness.Server):
    """A server whose clock is off by as much as a test says."""

    def prepare(self):
        self.offset = self.folder / "offset"
        self.shift(0)
        libexec = self.folder / "libexec"
        libexec.mkdir()
        for part in PARTS:
            wrapper = libexec / f"vouchsafe-{part}"
            wrapper.write_text(f'#!/bin/sh\nexport LD_PRELOAD={harness.BUILD}/tests/functional/clock-offset.so\n'
                               f'exec {harness.BUILD}/src/{part}/vouchsafe-{part} "$@"\n')
            wrapper.chmod(0o755)
        os.environ.update(VOUCHSAFE_LIBEXEC=str(libexec), VOUCHSAFE_TEST_CLOCK=str(self.offset))

    def shift(self, seconds: int):
        self.offset.write_bytes(struct.pack("=q", seconds))

    def crl(self) -> dict[str, int]:
        """Number and times of the list that is published now."""
        with urllib.request.urlopen(f"http://localhost:{self.http}/pki/issuer.crl", timeout=10) as answer:
            der = answer.read()
        text = subprocess.run(["openssl", "crl", "-inform", "DER", "-noout", "-crlnumber", "-lastupdate", "-nextupdate", "-dateopt", "iso_8601"], input=der,
                              capture_output=True, check=True).stdout.decode()
        found = dict(line.split("=", 1) for line in text.splitlines())
        instant = {name: int(time.mktime(time.strptime(found[name], "%Y-%m-%d %H:%M:%SZ"))) - time.timezone for name in ("lastUpdate", "nextUpdate")}
        return {"number": int(found["crlNumber"], 16), "this": instant["lastUpdate"], "next": instant["nextUpdate"]}

    def metrics_text(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def wait_until(self, condition, seconds=60):
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, self.tail()
            time.sleep(0.2)

    def healthy(self, address: str):
        """A new enrollment works, the published list is of now, and everything verifies."""
        now = int(time.time())
        self.wait_until(lambda: now - HOUR < self.crl()["this"] < now + HOUR)
        self.enroll(address)
        assert self.json("user", "show", address, home="rita")["user"][0]["state"] == "enrolled"
        assert self.json("verify", home="rita")["findings"] == []
        exported = self.folder / f"audit-{address}"
        self.run("audit", "export", exported, home="olga")
        self.run("audit", "verify", exported, home="olga", password=False)


@pytest.fixture(scope="module")
def server():
    before = dict(os.environ)
    one = Clocked(options={"enroll": {"encryption-profile": "p256", "pool-size": 0}, "certificate": {"tls-lifetime": "1y"}})
    try:
        one.prepare()
        one.init()
        one.run("directory", "import", one.people(8), home="rita")
        yield one
    finally:
        one.remove()
        os.environ.clear()
        os.environ.update(before)


def refused_by_the_clock(server, words: str):
    done = server.result("user", "list", home="rita", status=CLOCK)
    assert words in done.stderr and "Set it" in done.stderr, done.stderr


def clock_records(server) -> int:
    return server.run("audit", "list", "--limit", 1000, home="olga").count("server.clock")


def test_a_little_back_is_waited_out(server):
    before = server.crl()
    server.enroll("load0@example.org")
    server.shift(-100)
    server.run("user", "revoke", "load0@example.org", "--reason", "keyCompromise", home="rita")
    server.wait_until(lambda: server.crl()["number"] > before["number"])
    after = server.crl()
    assert after["this"] >= before["this"] and after["next"] >= before["next"]
    records = server.json("audit", "list", "--limit", 1000, home="olga")["records"]
    times = [item["time"] for item in sorted(records, key=lambda item: item["sequence"])]
    assert times == sorted(times) and clock_records(server) == 0
    server.shift(0)
    server.healthy("load1@example.org")


def test_far_back_refuses_who_must_be_believed_and_heals(server):
    tokens = server.tokens("load2@example.org")
    server.run("request", "recover", "load1@example.org", "--reason", "test", "--token-out", server.folder / "recovery", home="rita")
    request = server.json("request", "list", home="olga")["requests"][0]["request"]
    before = server.crl()
    server.shift(-2 * HOUR)
    server.wait_until(lambda: server.crl()["number"] > before["number"])
    refused_by_the_clock(server, "ahead of the server's")
    # What an officer says at a wrong time is no approval.
    assert server.result("request", "approve", request, "--yes", home="olga", status=None).returncode == CLOCK
    # Whoever has a token needs no clock.
    server.run("enroll", "--server", server.url, "--token-file", tokens, home="load2@example.org")
    assert server.state() == "unsealed"
    # Also after a start at the wrong time.
    server.stop()
    server.start()
    refused_by_the_clock(server, "ahead of the server's")
    assert server.crl()["number"] > before["number"]
    server.shift(0)
    server.healthy("load3@example.org")
    assert clock_records(server) == 1
    for officer in ("olga", "omar"):
        server.run("request", "approve", request, "--yes", home=officer)
    server.run("recover", "--server", server.url, "--token-file", server.folder / "recovery", home="load1-again")


def test_far_ahead_and_back_heals(server):
    tokens = server.tokens("load4@example.org")
    numbers = [server.crl()["number"]]
    server.shift(2 * YEAR)
    server.wait_until(lambda: server.crl()["this"] > time.time() + YEAR)
    server.wait_until(lambda: 'vouchsafe_tokens{state="issued"} 0' in server.metrics_text())
    numbers.append(server.crl()["number"])
    # The certificate of the server is of the future too by now, or the operator is refused.
    done = server.result("user", "list", home="rita", status=CLOCK)
    assert "clock" in done.stderr.lower()
    server.shift(0)
    server.wait_until(lambda: server.result("user", "list", home="rita", status=None).returncode == 0)
    # Two years passed for it.
    assert server.result("enroll", "--server", server.url, "--token-file", tokens, home="load4@example.org", status=None).returncode == 18
    server.healthy("load5@example.org")
    numbers.append(server.crl()["number"])
    assert numbers == sorted(set(numbers))
    assert "was set back from" in server.run("audit", "list", "--limit", 1000, "--json", home="olga")
