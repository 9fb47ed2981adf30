# SPDX-License-Identifier: Apache-2.0
"""The messages of src/wire, for tests that stand in for a process: schema (from messages.def), encoding, frames."""
import pathlib
import re
import socket
import struct

DEFINITIONS = pathlib.Path(__file__).resolve().parent.parent / "src/wire/messages.def"
REPLY = 1 << 63
DESCRIPTOR = 1 << 62


def _read_schema():
    """Field lists by name, and names by kind."""
    text = re.sub(r"/\*.*?\*/", "", DEFINITIONS.read_text(), flags=re.S)
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    fields, kinds, current = {}, {}, None
    for word, arguments in re.findall(r"\b([A-Z][A-Z0-9]+)\(([^)]*)\)", text):
        parts = [part.strip() for part in arguments.split(",")]
        if word == "RECORD":
            current = fields.setdefault(parts[0], [])
        elif word == "MESSAGE":
            kinds[parts[1]] = int(parts[0])
            current = fields.setdefault(parts[1], [])
        elif word != "END":
            current.append((parts[0], word, parts[1] if word == "LIST" else None))
    return fields, kinds


FIELDS, KINDS = _read_schema()
NAMES = {kind: name for name, kind in KINDS.items()}


def encode(name: str, /, **values) -> bytes:
    """A message from the fields given; the others are empty."""
    out = bytearray()
    for field, kind, record in FIELDS[name]:
        value = values.pop(field, None)
        if kind in ("U64", "INSTANT"):
            out += struct.pack(">Q", value or 0)
        elif kind == "FLAG":
            out += bytes([bool(value)])
        elif kind in ("TEXTS", "LIST"):
            out += struct.pack(">I", len(value or []))
            for one in value or []:
                content = encode(record, **one) if kind == "LIST" else one.encode()
                out += content if kind == "LIST" else struct.pack(">I", len(content)) + content
        else:
            content = value.encode() if isinstance(value, str) else value or b""
            out += struct.pack(">I", len(content)) + content
    assert not values, f"{name} has no {list(values)}"
    return bytes(out)


def _decode(name: str, data: bytes, at: int):
    values = {}
    for field, kind, record in FIELDS[name]:
        if kind in ("U64", "INSTANT"):
            values[field] = int.from_bytes(data[at:at + 8], "big")
            at += 8
        elif kind == "FLAG":
            values[field] = bool(data[at])
            at += 1
        else:
            count = int.from_bytes(data[at:at + 4], "big")
            at += 4
            if kind in ("TEXTS", "LIST"):
                values[field] = []
                for _ in range(count):
                    if kind == "LIST":
                        one, at = _decode(record, data, at)
                    else:
                        size = int.from_bytes(data[at:at + 4], "big")
                        one, at = data[at + 4:at + 4 + size].decode(), at + 4 + size
                    values[field].append(one)
            else:
                content, at = data[at:at + count], at + count
                values[field] = content.decode() if kind == "TEXT" else content
    return values, at


def decode(name: str, data: bytes) -> dict:
    values, end = _decode(name, data, 0)
    assert end == len(data), f"{name}: {len(data) - end} bytes too many"
    return values


def frame(kind: int, number: int, payload: bytes) -> bytes:
    return struct.pack("<IHQ", len(payload) + 10, kind, number) + payload


def send(sock: socket.socket, name: str, /, number: int = 0, fd: int | None = None, **values):
    """A message, by name of its kind; `number` with REPLY answers a request."""
    if fd is None:
        sock.sendall(frame(KINDS[name], number, encode(name, **values)))
    else:
        data = frame(KINDS[name], number | DESCRIPTOR, encode(name, **values))
        sent = socket.send_fds(sock, [data], [fd])
        sock.sendall(data[sent:])


def receive(sock: socket.socket):
    """(kind, number, payload), or None at the end."""
    def exactly(count):
        data = bytearray()
        while len(data) < count:
            more = sock.recv(count - len(data))
            if not more:
                return None
            data += more
        return bytes(data)
    header = exactly(14)
    if header is None:
        return None
    size, kind, number = struct.unpack("<IHQ", header)
    return kind, number, exactly(size - 10) if size > 10 else b""
