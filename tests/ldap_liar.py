# SPDX-License-Identifier: Apache-2.0
"""An LDAP server that says whatever a test tells it to: for what real directories do not do."""
import socket
import threading
import time

BIND, BOUND, SEARCH, ENTRY, DONE, REFERENCE, EXTENDED, UNBIND = 0x60, 0x61, 0x63, 0x64, 0x65, 0x73, 0x77, 0x42


class Raw(bytes):
    """What is sent as it is, in place of an operation."""


class Next:
    """In place of an operation: the end of the answer has a cookie, as if there were another page (RFC 2696)."""


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x84" + size.to_bytes(4, "big")
    return bytes([tag]) + length + content


def text(value: str | bytes) -> bytes:
    return tlv(4, value if isinstance(value, bytes) else value.encode())


def entry(dn: str | bytes, attributes: dict) -> bytes:
    """A protocol operation; values are lists of texts or bytes."""
    return tlv(ENTRY, text(dn), tlv(0x30, *(tlv(0x30, text(name), tlv(0x31, *map(text, values))) for name, values in attributes.items())))


def reference(*urls: str) -> bytes:
    return tlv(REFERENCE, *map(text, urls))


def result(tag: int, code=0, detail="") -> bytes:
    return tlv(tag, tlv(0x0a, bytes([code])), text(""), text(detail))


def parse(data: bytes) -> list[tuple[int, bytes]]:
    """The elements one after the other."""
    found = []
    while data:
        size, at = data[1], 2
        if size & 0x80:
            at += size & 0x7f
            size = int.from_bytes(data[2:at], "big")
        found.append((data[0], data[at:at + size]))
        data = data[at + size:]
    return found


class Liar:
    """`answer(base, attributes, filter)` gives the operations that answer a search, the end of which is added; `drip` is how long it waits
    after each byte."""

    def __init__(self, answer, drip=0.0):
        self.answer, self.drip, self.searches = answer, drip, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ldap://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def options(self, **others) -> dict[str, object]:
        options = {"kind": "ldap", "servers": self.url, "starttls": "no", "bind": "anonymous", "base": "dc=x", "connect-limit": "3s", "time-limit": "3s"}
        return {**options, **others}

    def _serve(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(one,), daemon=True).start()

    def _talk(self, one):
        with one, one.makefile("rb") as stream:
            try:
                while head := stream.read(2):
                    size = head[1]
                    if size & 0x80:
                        size = int.from_bytes(stream.read(size & 0x7f), "big")
                    number, operation = parse(stream.read(size))[:2]
                    for part in self._answers(operation):
                        self._send(one, part if isinstance(part, Raw) else tlv(0x30, tlv(2, number[1]), *part))
            except OSError:
                pass

    def _send(self, one, data):
        if not self.drip:
            one.sendall(data)
            return
        for byte in data:
            one.sendall(bytes([byte]))
            time.sleep(self.drip)

    def _answers(self, operation):
        """Operations, each with the controls that go with it, or raw bytes."""
        tag, content = operation
        if tag == BIND:
            yield [result(BOUND)]
        elif tag == SEARCH:
            self.searches += 1
            parts = parse(content)
            more = []
            for part in self.answer(parts[0][1].decode(), [name.decode() for _, name in parse(parts[7][1])], parts[6][1]):
                if isinstance(part, Next):
                    more = [tlv(0xa0, tlv(0x30, text("1.2.840.113556.1.4.319"), text(tlv(0x30, tlv(2, b"\0"), text("more")))))]
                else:
                    yield part if isinstance(part, Raw) else [part]
            yield [result(DONE), *more]
        elif tag == EXTENDED:
            yield [result(0x78, 2, "none here")]

    def stop(self):
        self.listener.close()
