#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Between a client and a real directory, with TLS on either side. It makes of Samba what Active Directory is to others: DirSync is not on offer, as for
nobody on a global catalog, and of a list of members no more than so many come at once, as of more than 1,500.

    ldap_relay.py PORT DIRECTORY-PORT CERTIFICATE KEY MEMBERS-AT-ONCE
"""
import asyncio
import re
import ssl
import sys

from ldap_liar import SEARCH, parse, text, tlv

DIRSYNC, UNKNOWN = b"1.2.840.113556.1.4.841", b"1.2.840.113556.1.4.999"


def part(name: bytes, most: int) -> bytes:
    """Only so many of the members that are asked for."""
    asked = re.fullmatch(rb"member(?:;range=(\d+)-\*)?", name)
    first = int(asked[1] or 0) if asked else 0
    return b"member;range=%d-%d" % (first, first + most - 1) if asked else name


def request(message: bytes, most: int) -> bytes:
    number, (kind, operation), *controls = parse(parse(message)[0][1])
    if kind != SEARCH:
        return message
    fields = parse(operation)
    names = [text(part(name, most)) for _, name in parse(fields[7][1])]
    search = tlv(SEARCH, *(tlv(*field) for field in fields[:7]), tlv(0x30, *names))
    return tlv(0x30, tlv(*number), search, *(tlv(*control) for control in controls))


def answer(message: bytes, most: int) -> bytes:
    return message.replace(DIRSYNC, UNKNOWN)


async def read(stream: asyncio.StreamReader) -> bytes:
    head = await stream.readexactly(2)
    if head[1] & 0x80:
        head += await stream.readexactly(head[1] & 0x7f)
    size = int.from_bytes(head[2:], "big") if len(head) > 2 else head[1]
    return head + await stream.readexactly(size)


async def pass_on(source, target, change, most):
    try:
        while True:
            target.write(change(await read(source), most))
            await target.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        target.close()


async def main(port, directory, certificate, key, most):
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl._create_unverified_context()
    ours.load_cert_chain(certificate, key)

    async def serve(source, sink):
        upstream, up = await asyncio.open_connection("127.0.0.1", int(directory), ssl=theirs)
        await asyncio.gather(pass_on(source, up, request, int(most)), pass_on(upstream, sink, answer, int(most)))

    async with await asyncio.start_server(serve, "127.0.0.1", int(port), ssl=ours) as server:
        print("ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
