#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recovery from end to end: a user with many archived keys, a request, two officers who approve on their machines, and the user who
redeems his token. What an officer waits for is the approval, with the pieces his share contributes to every key."""
import argparse
import json
import time

import bench_enroll
import bench_scale
from bench_enroll import emit, harness

USER = "load0@example.org"


def timed(action) -> float:
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def state(server, request: str) -> str:
    return server.json("request", "show", request, home="rita")["request"][0]["state"]


def recover(server, keys: int):
    token = server.folder / "recovery-token"
    made = server.json("request", "recover", USER, "--reason", "bench", "--token-out", token, home="rita")
    request = made["request"][0]["request"]
    first = timed(lambda: server.run("request", "approve", request, "--yes", home="olga", timeout=600))
    before = bench_enroll.cpu_seconds(server)
    # The last approval is answered when everything is opened; all else in it is as in the first.
    last = timed(lambda: server.run("request", "approve", request, "--yes", home="omar", timeout=600))
    cpu = bench_enroll.cpu_seconds(server) - before
    assert state(server, request) == "done"
    redeemed = timed(lambda: server.run("recover", "--server", server.url, "--token-file", token, home="again", timeout=600))
    emit(f"recover {keys} keys: an officer's approval", first, "s")
    emit("recover: keys opened a second, once approved", keys / max(last - first, 0.001), "1/s")
    emit("recover: keys opened for a second of server CPU", keys / cpu, "1/s")
    emit(f"recover {keys} keys: the user redeems his token", redeemed, "s")
    kept = json.loads(server.run("keys", "list", "--json", home="again"))["certificates"]
    assert sum(item["kind"] == "encryption" for item in kept) == keys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keys", type=int, default=500)
    arguments = parser.parse_args()
    with harness.Server(options={"enroll": {"encryption-profile": "p256", "pool-size": 0}}) as server:
        server.run("directory", "import", server.people(1, "Unit"), home="rita")
        wall, cpu = bench_scale.operate(server, "rekey", USER, "--times", arguments.keys)
        emit(f"enroll again and again, up to {arguments.keys} keys: server CPU", cpu, "ms each")
        recover(server, arguments.keys)


if __name__ == "__main__":
    main()
