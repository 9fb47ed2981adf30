#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What 100,000 enrolled users change: enrollment, look-up, revocation and start with few users and with many, as whole requests over
HTTPS and as CPU of the server. Ratios are few/many: 1 is the same speed, below 0.77 more than 1.3 times as slow."""
import argparse
import json
import subprocess
import sys
import time

import bench_enroll
from bench_enroll import emit, harness

FEW = 1000
WORK = 1000  # requests of each kind a measurement


def operate(server, verb: str, *arguments) -> tuple[float, float]:
    """Milliseconds of wall clock and of server CPU for each request of an operator, over one connection."""
    before = bench_enroll.cpu_seconds(server)
    done = subprocess.run([str(harness.BUILD / "bench/operate"), verb, *map(str, arguments), "--home", str(server.homes / "rita"),
                           "--password-file", str(server.folder / "password")], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"operate {verb} failed: {done.stdout}{done.stderr}{server.tail()}")
    result = json.loads(done.stdout)
    return (result["seconds"] / result["count"] * 1000,
            (bench_enroll.cpu_seconds(server) - before) / result["count"] * 1000)


def addresses(first: int, users: int, count: int) -> list[str]:
    """So many of the users from the first one on, far from each other."""
    return [f"load{first + i * 7919 % (users - first)}@example.org" for i in range(count)]


def start(server) -> float:
    """Milliseconds from starting to answering, the least of five."""
    times = []
    for _ in range(5):
        server.stop()
        begin = time.monotonic()
        server.start(wait=None)
        while server.state() != "unsealed":
            time.sleep(0.005)
        times.append((time.monotonic() - begin) * 1000)
    return min(times)


def measure(server, load) -> dict[str, float]:
    users = load.first
    figures = {}
    enrolled = load.best(3 * WORK)
    figures["enroll: wall clock, 16 at once"], figures["enroll: server CPU"] = 1000 / enrolled.rate, enrolled.server
    # The least of three: nothing is written, so whatever makes one slower comes from elsewhere.
    runs = [operate(server, "look-up", *addresses(first, users, WORK)) for first in range(3)]
    figures["look up: wall clock"], figures["look up: server CPU"] = (min(run[i] for run in runs) for i in range(2))
    # Each once: those that the first measurement has revoked are not among those of the second.
    first = users // FEW * FEW // 2 if users > FEW else 0
    figures["revoke: wall clock"], figures["revoke: server CPU"] = operate(server, "revoke",
                                                                          *addresses(first, users, WORK // 2))
    figures["start until unsealed"] = start(server)
    return figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--users", type=int, default=100000)
    arguments = parser.parse_args()
    limits = {"enroll": {"encryption-profile": "p256", "pool-size": 0}}
    with harness.Server(options=limits) as server:
        load = bench_enroll.Load(server)
        load.run(FEW)
        few = measure(server, load)
        while load.first < arguments.users:
            begin = time.monotonic()
            load.run(min(10000, arguments.users - load.first))
            print(f"  {load.first} users ({time.monotonic() - begin:.0f} s)", file=sys.stderr, flush=True)
        many = measure(server, load)
    for name in few:
        emit(f"{name}, {FEW:,} users", few[name], "ms")
        emit(f"{name}, {arguments.users:,} users", many[name], "ms", f"{FEW:,} users", few[name] / many[name])


if __name__ == "__main__":
    main()
