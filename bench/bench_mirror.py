#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The mirror of a whole organisation: a server that reads it from OpenLDAP into its database, reads it again when nothing changed, and when half of it
changed; processor time and memory of the engine."""
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
import harness  # noqa: E402
from bench_directory import asked, emit, organisation  # noqa: E402
from peers import Slapd, wait_for  # noqa: E402


def engine(server) -> int:
    return server.children()["engine 1"] if "engine 1" in server.children() else next(pid for name, pid in server.children().items() if "engine" in name)


def cpu(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def anonymous(pid: int) -> float:
    """MB; the mapped database is not counted."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("RssAnon:"))) / 1024


def measure(server, people: int, what: str):
    pid = engine(server)
    before, begin = cpu(pid), time.monotonic()
    server.run("directory", "sync", "--wait", home="rita", timeout=3600)
    emit(f"mirror: {people:,} people, {what}", people / (time.monotonic() - begin), "people/s")
    emit("mirror: … engine, processor time", (cpu(pid) - before) / people * 1e6, "µs/person")
    emit("mirror: … engine, memory", anonymous(pid), "MB")


def main():
    people = asked(100000)
    slapd = Slapd()
    with slapd, harness.Server(options={"enroll": {"pool-size": 0}, "directory": slapd.options(**{"left-most": 1})}) as server:
        wait_for(lambda: server.json("directory", "status", home="rita").get("state") == "following", what="the directory is not followed")
        slapd.stop()
        slapd.load(organisation(slapd, people, max(people // 100, 1), min(300, people)))
        slapd.start()
        measure(server, people, "all new")
        measure(server, people, "nothing changed")


if __name__ == "__main__":
    main()
