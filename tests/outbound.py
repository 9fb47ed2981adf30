# SPDX-License-Identifier: Apache-2.0
"""The outbound process that has the directory, with whoever uses this in the places of supervisor and engine."""
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time

import wire
from harness import BUILD
from peers import end

OUTBOUND = BUILD / "src/outbound/vouchsafe-outbound"
PATIENCE = 60


class Process:
    """vouchsafe-outbound number 1. What it sends is kept: people by guid, findings, ends."""

    def __init__(self, options: dict, prefix=(), environment=None, secrets=None):
        ours, theirs = socket.socketpair()
        self.control = ours
        self.process = subprocess.Popen([*prefix, "bash", "-c", f'exec "$0" 3<&{theirs.fileno()}', str(OUTBOUND)], pass_fds=[theirs.fileno()],
                                        env=dict(os.environ, **(environment or {})), stderr=subprocess.PIPE, text=True)
        theirs.close()
        self.log: list[str] = []
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()
        self.configure(options, secrets or {})
        self.number = 0
        self.engine: socket.socket | None = None
        self.connect()

    def configure(self, options, secrets):
        given = {"directory": options, "server": {"organisation": "Test", "host-names": "localhost"}}
        content = b"".join(struct.pack(">I", len(text)) + text for section, values in given.items() for key, value in values.items()
                           for text in (section.encode(), key.encode(), str(value).encode()))
        password = options.get("bind-password-file")
        keytab = options.get("keytab")
        wire.send(self.control, "configure", content=content, index=1,
                  directory_password=pathlib.Path(password).read_text().rstrip("\n") if password else "",
                  directory_keytab=pathlib.Path(keytab).read_bytes() if keytab else b"", **secrets)

    def connect(self):
        """The engine, anew."""
        if self.engine:
            self.engine.close()
        self.engine, theirs = socket.socketpair()
        self.engine.settimeout(PATIENCE)
        wire.send(self.control, "peer", role="engine", fd=theirs.fileno())
        theirs.close()
        self.pages, self.ends, self.people, self.gone, self.findings, self.replies = [], [], {}, [], [], {}
        self.conflicts: list[str] = []

    def ask(self, name, **values) -> int:
        self.number += 1
        wire.send(self.engine, name, number=self.number, **values)
        return self.number

    def receive(self):
        """One message; pages are taken and answered."""
        received = wire.receive(self.engine)
        assert received, "the process closed its connection: " + "".join(self.log)
        kind, number, payload = received
        name = wire.NAMES[kind]
        values = wire.decode(name, payload)
        if number & wire.REPLY:
            self.replies[number & ~wire.REPLY] = (name, values)
        elif name == "directory_page":
            self.take(number, values)
        elif name == "directory_end":
            self.ends.append(values)
            wire.send(self.engine, "done", number=number | wire.REPLY)
        return name

    def take(self, number, page):
        self.pages.append(page)
        self.findings += page["findings"]
        for guid in page["gone"]:
            self.gone.append(guid)
            self.people.pop(guid, None)
        conflicts = [person["guid"] for person in page["people"] if person["guid"] in self.conflicts]
        self.conflicts = []
        self.people.update({person["guid"]: person for person in page["people"] if person["guid"] not in conflicts})
        wire.send(self.engine, "directory_taken", number=number | wire.REPLY, run=page["run"], conflicts=conflicts)

    def until(self, condition):
        until = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < until, "".join(self.log)
            self.receive()
        return value

    def follow(self, run=1):
        """Everybody, to the end of the run."""
        before = len(self.ends)
        self.ask("directory_follow", run=run)
        self.until(lambda: len(self.ends) > before)
        return self.ends[-1]

    def question(self, name, **values):
        number = self.ask(name, **values)
        return self.until(lambda: self.replies.get(number))

    def by_name(self) -> dict[str, dict]:
        return {person["name"]: person for person in self.people.values()}

    def names(self) -> set[str]:
        return {person["name"] for person in self.people.values() if person["kind"] != "group"}

    def finding(self, words: str) -> bool:
        return any(words in one["detail"] or words in one["subject"] for one in self.findings)

    def stop(self):
        self.control.close()
        end(self.process)
