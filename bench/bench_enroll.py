#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Enrollment over HTTPS, durable, client and server on this machine: connections kept alive, a new one each, RSA-3072 from the pool, and
as many with 100,000 users enrolled already. Of several runs the best counts: what makes one slower comes from elsewhere."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
import harness  # noqa: E402

RUNS = 3


def emit(name, value, unit, peer=None, ratio=None):
    print(json.dumps({"name": name, "value": value, "unit": unit, "peer": peer, "ratio": ratio}), flush=True)


def cpu_seconds(server) -> float:
    """User and system time of all processes of the server so far."""
    ticks = 0
    for pid in [server.process.pid, *server.children().values()]:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Figures(typing.NamedTuple):
    rate: float    # enrollments a second
    server: float  # milliseconds of CPU for each: of all processes of the server,
    client: float  # and of the client

    @classmethod
    def best(cls, runs):
        return cls(max(run.rate for run in runs), min(run.server for run in runs), min(run.client for run in runs))


class Load:
    """Enrolls people who were not there before, a batch at a time."""

    def __init__(self, server):
        self.server, self.first = server, 0

    def run(self, count: int, *options) -> Figures:
        server = self.server
        unit = f"Batch{self.first}"
        server.run("directory", "import", server.people(count, unit, self.first), home="rita", timeout=1800)
        self.first += count
        tokens = server.tokens(f"unit:{unit}")
        before = cpu_seconds(server)
        done = subprocess.run([str(harness.BUILD / "bench/load"), "--server", server.url, "--tokens", str(tokens), *options],
                              capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"load failed: {done.stdout}{done.stderr}{server.tail()}")
        result = json.loads(done.stdout)
        return Figures(count / result["seconds"], (cpu_seconds(server) - before) / count * 1000, result["cpu"] / count * 1000)

    def best(self, count: int, *options) -> Figures:
        """Of RUNS runs that enroll so many together."""
        return Figures.best([self.run(count // RUNS, *options) for _ in range(RUNS)])


def pool_fill(server, wanted: int, seconds: float):
    until = time.monotonic() + seconds
    while time.monotonic() < until and int(server.json("status", "--server", server.url, password=False).get("pool", 0)) < wanted:
        time.sleep(1)


def cfssl_rate(count: int) -> float | None:
    """Certificates a second of `cfssl serve` on kept connections: one for each request, over plain HTTP, nothing stored."""
    if not shutil.which("cfssl"):
        return None
    with tempfile.TemporaryDirectory() as name:
        folder, port = pathlib.Path(name), harness.free_ports(1)[0]
        subject = json.dumps({"CN": "Peer", "key": {"algo": "ecdsa", "size": 256}})
        made = json.loads(subprocess.run(["cfssl", "gencert", "-initca", "-"], input=subject, capture_output=True, text=True,
                                         check=True).stdout)
        (folder / "ca.pem").write_text(made["cert"])
        (folder / "ca.key").write_text(made["key"])
        (folder / "body").write_text(json.dumps({"certificate_request": made["csr"], "hosts": ["localhost"]}))
        one = (f'url = "http://127.0.0.1:{port}/api/v1/cfssl/sign"\ndata-binary = "@{folder}/body"\n'
               'output = "/dev/null"\nfail\nsilent\n')
        (folder / "requests").write_text("next\n".join([one] * count))
        server = subprocess.Popen(["cfssl", "serve", "-address", "127.0.0.1", "-port", str(port), "-ca", "ca.pem", "-ca-key", "ca.key",
                                   "-loglevel", "5"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            (folder / "first").write_text(one)
            for _ in range(100):
                if subprocess.run(["curl", "-K", folder / "first"]).returncode == 0:
                    break
                time.sleep(0.1)
            begin = time.monotonic()
            subprocess.run(["curl", "-Z", "--parallel-max", "16", "-K", folder / "requests"], check=True, stderr=subprocess.DEVNULL)
            return count / (time.monotonic() - begin)
        finally:
            server.terminate()
            server.wait()


def measure_p256(count: int, users: int):
    with harness.Server(options={"enroll": {"encryption-profile": "p256", "pool-size": 0}}) as server:
        load = Load(server)
        load.run(count // 4)
        kept = load.best(count)
        peer = cfssl_rate(count)
        emit("enroll, P-256, durable, connections kept", kept.rate, "1/s", peer and "certificates of cfssl, not stored, no TLS",
             peer and kept.rate / peer)
        emit("enroll, P-256: server CPU", kept.server, "ms each")
        emit("enroll, P-256: client CPU", kept.client, "ms each")
        fresh = load.best(count // 2, "--fresh")
        emit("enroll, P-256, a new connection each", fresh.rate, "1/s", "connections kept", fresh.rate / kept.rate)
        emit("enroll, P-256, a new connection each: server CPU", fresh.server, "ms each")
        emit("enroll, P-256, a new connection each: client CPU", fresh.client, "ms each")
        while load.first < users:
            load.run(min(10000, users - load.first))
        if users:
            again = load.best(count)
            emit(f"enroll, P-256, with {load.first:,} users", again.rate, "1/s", "few users", again.rate / kept.rate)
        return kept.rate


def measure_rsa(count: int, p256: float):
    with harness.Server(options={"enroll": {"encryption-profile": "rsa3072", "pool-size": count}}) as server:
        pool_fill(server, count, 600)
        rate = Load(server).run(count).rate
        emit("enroll, RSA-3072 from the pool", rate, "1/s", "P-256", rate / p256)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--rsa", type=int, default=400)
    parser.add_argument("--users", type=int, default=0, help="also measure with this many users enrolled")
    arguments = parser.parse_args()
    rate = measure_p256(arguments.count, arguments.users)
    measure_rsa(arguments.rsa, rate)


if __name__ == "__main__":
    main()
