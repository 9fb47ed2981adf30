#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reading a whole organisation from OpenLDAP: people and groups per second, beside ldapsearch asking for the same in pages, and the memory of
the process that reads; then how long a change takes to come through. The engine's place is taken by this program, which keeps nothing."""
import argparse
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
import wire  # noqa: E402
from outbound import Process  # noqa: E402
from peers import Slapd, ldif  # noqa: E402

ATTRIBUTES = ["entryUUID", "cn", "givenName", "sn", "mail", "mailHost", "pwdAccountLockedTime", "nsAccountLock", "loginDisabled", "preferredLanguage"]


def emit(name, value, unit, peer=None, ratio=None):
    print(json.dumps({"name": name, "value": value, "unit": unit, "peer": peer, "ratio": ratio}), flush=True)


class Reader(Process):
    """Takes pages without looking into them."""

    def receive(self):
        kind, number, payload = wire.receive(self.engine)
        name = wire.NAMES[kind]
        if number & wire.REPLY:
            return name
        if name == "directory_end":
            self.ends.append(wire.decode(name, payload))
            wire.send(self.engine, "done", number=number | wire.REPLY)
        else:
            self.pages.append(len(payload))
            wire.send(self.engine, "directory_taken", number=number | wire.REPLY, run=int.from_bytes(payload[:8], "big"))
        return name

    def status(self, key: str) -> int:
        """kB"""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith(key + ":")))


def organisation(slapd: Slapd, people: int, groups: int, members: int) -> str:
    names = [f"Person {number:06d}" for number in range(people)]
    parts = [ldif(slapd.dn(name), {"objectClass": "inetOrgPerson", "cn": name, "sn": "Person", "givenName": name.split()[1],
                                   "mail": f"person{number}@example.org", "telephoneNumber": "+49 30 1234567", "title": "Member of staff"})
             for number, name in enumerate(names)]
    parts += [slapd.group(f"Group {number:04d}", *(slapd.dn(names[(number * members + at) % people]) for at in range(members))) for number in range(groups)]
    return "".join(parts)


def asked(people: int) -> int:
    """How many people the command is to measure with. It needs slapd."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--people", type=int, default=people)
    arguments = parser.parse_args()
    if reason := Slapd.unavailable():
        raise SystemExit(reason)
    return arguments.people


def main():
    people = asked(100000)
    groups = max(people // 100, 1)
    slapd = Slapd()
    slapd.load(organisation(slapd, people, groups, min(300, people)))
    with slapd:
        reader = Reader(slapd.options())
        try:
            peer = measure_peer(slapd)
            measure(slapd, reader, people, groups, peer)
        finally:
            reader.stop()


def measure_peer(slapd) -> float:
    """Seconds of ldapsearch."""
    begin = time.monotonic()
    subprocess.run(["ldapsearch", "-LLL", "-x", "-H", f"ldap://127.0.0.1:{slapd.port}", "-D", slapd.ACCOUNT, "-w", slapd.PASSWORD, "-E", "pr=500/noprompt",
                    "-b", slapd.BASE, "(objectClass=inetOrgPerson)", *ATTRIBUTES], stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin


def measure(slapd, reader, people, groups, peer):
    before = reader.status("VmRSS")
    begin = time.monotonic()
    over = reader.follow()
    seconds = time.monotonic() - begin
    assert over["complete"], over
    emit(f"directory: read {people:,} people in {groups:,} groups of 300", people / seconds, "people/s", "ldapsearch, people only", peer / seconds)
    emit("directory: memory of the process that reads, at most", reader.status("VmHWM") / 1024, "MB")
    emit("directory: … before", before / 1024, "MB")
    resting = reader.status("VmRSS")
    pages = len(reader.pages)
    begin = time.monotonic()
    for number in range(20):
        slapd.modify(slapd.dn(f"Person {number:06d}"), sn=f"Changed{number}")
        reader.until(lambda: len(reader.pages) > pages + number)
    emit("directory: a change comes through, ldapmodify included", (time.monotonic() - begin) / 20 * 1000, "ms")
    assert reader.follow(2)["complete"]
    emit("directory: growth of memory in a second reading", max(0, reader.status("VmRSS") - resting) / 1024, "MB")


if __name__ == "__main__":
    main()
