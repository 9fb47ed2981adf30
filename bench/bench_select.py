#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Enrolling a whole organisation in one command: people selected a second (dry run, with a report), tokens a second, and the most memory that the command
and the engine take, with 1,000 people and with 100,000. Ratios of memory are few/many: 1 does not grow."""
import argparse
import os
import pathlib
import subprocess
import time

import bench_enroll
from bench_enroll import emit, harness

FEW = 1000


def command(server, *arguments) -> tuple[float, float]:
    """Seconds, and the most megabytes that the command took."""
    begin = time.monotonic()
    process = subprocess.Popen([harness.CLI, *map(str, arguments), "--password-file", server.folder / "password"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env={**os.environ, "VOUCHSAFE_HOME": str(server.homes / "rita")})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"vouchsafe {' '.join(map(str, arguments))}: status {process.returncode}\n{server.tail()}")
    return time.monotonic() - begin, usage.ru_maxrss / 1024


def engine_peak(server) -> float:
    """Megabytes that the engine took at the most since it was started, without what is mapped of the database."""
    pid = server.children()["engine 1"]
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    mapped = int(status["RssFile"].split()[0])
    return (int(status["VmHWM"].split()[0]) - mapped) / 1024


def measure(server, count: int) -> dict[str, tuple[float, str]]:
    """The people are there already. Names of figures, with value and unit."""
    report, listed, out = (server.folder / f"{count}-{name}" for name in ("dry.csv", "list.csv", "tokens"))
    server.stop()
    server.start()
    figures = {}
    seconds, _ = command(server, "user", "enroll", "all", "--dry-run", "--report", report)
    figures["select all, dry run with a report"] = count / seconds, "people/s"
    seconds, _ = command(server, "user", "enroll", "group:Everybody", "--dry-run", "--report", server.folder / f"{count}-group.csv")
    figures["select by group, dry run"] = count / seconds, "people/s"
    seconds, listing = command(server, "user", "enroll", "--from", report, "--dry-run", "--report", listed)
    figures["select by a list, dry run"] = count / seconds, "people/s"
    before = bench_enroll.cpu_seconds(server)
    seconds, giving = command(server, "user", "enroll", "all", "--out", out)
    figures["give tokens, durable"] = count / seconds, "tokens/s"
    figures["give tokens: server CPU for each"] = (bench_enroll.cpu_seconds(server) - before) / count * 1000, "ms"
    seconds, _ = command(server, "user", "list", "--csv")
    figures["list everybody as CSV"] = count / seconds, "people/s"
    figures["memory of the command that gives tokens"] = giving, "MB"
    figures["memory of the command that reads a list"] = listing, "MB"
    figures["memory of the engine"] = engine_peak(server), "MB"
    return figures


def people(server, count: int, first: int):
    """So many more, each in the group Everybody."""
    path = server.folder / f"select-{first}.csv"
    with open(path, "w") as file:
        file.write("guid,name,address,unit,groups\n")
        for n in range(first, first + count):
            file.write(f"select-{n:07d},Person {n},select{n}@example.org,Unit {n % 100},Everybody\n")
    server.run("directory", "import", path, home="rita", timeout=1800)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--people", type=int, default=100000)
    arguments = parser.parse_args()
    with harness.Server(options={"enroll": {"encryption-profile": "p256", "pool-size": 0}}) as server:
        people(server, FEW, 0)
        few = measure(server, FEW)
        begin = time.monotonic()
        people(server, arguments.people - FEW, FEW)
        emit(f"import {arguments.people - FEW:,} people", (arguments.people - FEW) / (time.monotonic() - begin), "people/s")
        many = measure(server, arguments.people)
    for name, (value, unit) in many.items():
        is_memory = name.startswith("memory")
        emit(f"{name}, {arguments.people:,} people", value, unit, f"{FEW:,} people" if is_memory else None,
             few[name][0] / value if is_memory else None)


if __name__ == "__main__":
    main()
