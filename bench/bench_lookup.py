#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Look-ups by LDAP: our service against slapd with the same entries in the same run, asked by the same client for the certificates of addresses, each as
a mail program does. Several connections, several searches under way on each; the client's own work is in the wall clock of both."""
import argparse
import pathlib
import selectors
import socket
import subprocess
import sys
import tempfile
import time

import bench_enroll
from bench_enroll import emit, harness

import peers

BASE = "ou=people,dc=example,dc=org"
CONNECTIONS, WINDOW, RUNS = 8, 4, 3


def element(tag: int, content: bytes) -> bytes:
    length = len(content)
    return bytes([tag]) + (bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")) + content


def search(number: int, address: str) -> bytes:
    """(mail=ADDRESS), for userCertificate;binary."""
    body = (element(4, BASE.encode()) + b"\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00" +
            element(0xa3, element(4, b"mail") + element(4, address.encode())) + element(0x30, element(4, b"userCertificate;binary")))
    return element(0x30, element(2, number.to_bytes(3, "big")) + element(0x63, body))


class Client:
    """One connection: counts entries and ends of searches in what comes."""

    def __init__(self, port: int, messages: list[bytes]):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.messages, self.sent, self.done, self.entries, self.rest = messages, 0, 0, 0, b""
        self.send(WINDOW)

    def send(self, count: int):
        more = b"".join(self.messages[self.sent:self.sent + count])
        self.sent = min(self.sent + count, len(self.messages))
        if more:
            self.socket.sendall(more)

    def receive(self) -> bool:
        """Whether there is more to come."""
        data = self.rest + self.socket.recv(262144)
        at = before = 0
        before = self.done
        while len(data) - at >= 6:
            head = 2
            length = data[at + 1]
            if length & 0x80:
                head += length & 0x7f
                length = int.from_bytes(data[at + 2:at + head], "big")
            if len(data) - at < head + length:
                break
            kind = data[at + head + 2 + data[at + head + 1]]
            self.entries += kind == 0x64
            self.done += kind == 0x65
            at += head + length
        self.rest = data[at:]
        self.send(self.done - before)
        return self.done < len(self.messages)


def run(port: int, addresses: list[str]) -> float:
    """Look-ups a second."""
    messages = [search(number + 1, address) for number, address in enumerate(addresses)]
    selector = selectors.DefaultSelector()
    begin = time.monotonic()
    clients = [Client(port, messages[n::CONNECTIONS]) for n in range(CONNECTIONS)]
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    while selector.get_map():
        for key, _ in selector.select():
            if not key.data.receive():
                selector.unregister(key.fileobj)
    seconds = time.monotonic() - begin
    found = sum(client.entries for client in clients)
    for client in clients:
        client.socket.close()
    if found != len(addresses):
        raise SystemExit(f"{found} of {len(addresses)} were found")
    return len(addresses) / seconds


def cpu_of(process: int) -> float:
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def measure(port: int, addresses: list[str], cpu) -> tuple[float, float]:
    """The best of several runs: look-ups a second, and milliseconds of the server's CPU for each."""
    rates, costs = [], []
    for _ in range(RUNS):
        before = cpu()
        rates.append(run(port, addresses))
        costs.append((cpu() - before) / len(addresses) * 1000)
    return max(rates), min(costs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--count", type=int, default=10000)
    arguments = parser.parse_args()
    port, = harness.free_ports(1)
    options = {"enroll": {"encryption-profile": "p256", "pool-size": 0},
               "ldap": {"listen": f"127.0.0.1:{port}", "base": BASE, "size-limit": 1000000, "scan-limit": 1000000}}
    addresses = [f"load{n * 7919 % arguments.users}@example.org" for n in range(arguments.count)]
    with harness.Server(options=options) as server:
        bench_enroll.Load(server).run(arguments.users)
        ours, our_cost = measure(port, addresses, lambda: bench_enroll.cpu_seconds(server))
        if peers.Slapd.unavailable():
            emit("look up by LDAP", ours, "1/s")
            return
        entries = subprocess.run(["ldapsearch", "-x", "-LLL", "-H", f"ldap://127.0.0.1:{port}", "-b", BASE, "(mail=*)"], capture_output=True, text=True, check=True)
        with tempfile.TemporaryDirectory() as folder:
            slapd = peers.Slapd(pathlib.Path(folder) / "slapd", access="access to * by * read\n")
            slapd.load(entries.stdout)
            with slapd:
                theirs, their_cost = measure(slapd.port, addresses, lambda: cpu_of(slapd.process.pid))
    emit(f"look up by LDAP, {arguments.users:,} people", ours, "1/s", "slapd", ours / theirs)
    emit(f"look up by LDAP, {arguments.users:,} people: server CPU", our_cost, "ms each", "slapd", their_cost / our_cost)


if __name__ == "__main__":
    main()
