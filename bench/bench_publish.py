#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publications per second against OpenLDAP: entries found by their id, compared and changed, 32 under way at once as the engine gives them
out; then compared again, when nothing is to be done. The peer is ldapmodify adding the same values, one after the other."""
import base64
import pathlib
import struct
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "functional")]
import wire  # noqa: E402
from bench_directory import asked, emit  # noqa: E402
from directories import authority_and_certificate  # noqa: E402
from outbound import Process  # noqa: E402
from peers import Slapd  # noqa: E402

AT_ONCE = 32


class Publisher(Process):
    """vouchsafe-outbound number 0, with this program in the engine's place."""

    def configure(self, options, secrets):
        given = {"directory": options, "server": {"organisation": "Bench", "host-names": "localhost"}, "publish": {"directory": "yes"}}
        content = b"".join(struct.pack(">I", len(text)) + text for section, values in given.items() for key, value in values.items()
                           for text in (section.encode(), key.encode(), str(value).encode()))
        wire.send(self.control, "configure", content=content, index=0, directory_password=Slapd.PASSWORD)

    def publish(self, entries: list[dict], values: dict) -> float:
        """Seconds; everything must succeed."""
        begin, given, done = time.monotonic(), 0, 0
        while done < len(entries):
            while given < len(entries) and given - done < AT_ONCE:
                given += 1
                content = wire.encode("directory_values", **entries[given - 1], **values)
                wire.send(self.engine, "job", number=given, id=given, kind="publish-user", subject="directory", content=content)
            kind, _, payload = wire.receive(self.engine)
            answer = wire.decode(wire.NAMES[kind], payload)
            assert answer["success"], answer["detail"]
            done += 1
        return time.monotonic() - begin


def peer_seconds(slapd: Slapd, dns: list[str], value: bytes) -> float:
    text = "".join(f"dn: {dn}\nchangetype: modify\nadd: userCertificate;binary\nuserCertificate;binary:: {base64.b64encode(value).decode()}\n\n" for dn in dns)
    begin = time.monotonic()
    subprocess.run(["ldapmodify", "-x", "-H", slapd.url, "-D", Slapd.ACCOUNT, "-w", Slapd.PASSWORD], input=text, text=True, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def main():
    half = asked(4000) // 2
    issuer, certificate, *_ = authority_and_certificate()
    with Slapd(people=[{"name": f"Person {number:06d}"} for number in range(2 * half)]) as slapd:
        found = slapd.search("(objectClass=inetOrgPerson)", "entryUUID")
        entries = [{"guid": entry["entryuuid"][0].decode().replace("-", ""), "dn": dn} for dn, entry in found.items()]
        peer = half / peer_seconds(slapd, [entry["dn"] for entry in entries[half:]], certificate)
        process = Publisher(slapd.options())
        try:
            values = {"issuers": [{"value": issuer}], "certificates": [{"value": certificate}]}
            process.publish(entries[:1], values)  # connects
            rate = (half - 1) / process.publish(entries[1:half], values)
            emit("publish: entries found, compared and changed", round(rate), "/s", "ldapmodify", rate / peer)
            emit("publish: entries compared, nothing to do", round(half / process.publish(entries[:half], values)), "/s")
        finally:
            process.stop()


if __name__ == "__main__":
    main()
