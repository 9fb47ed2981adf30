# SPDX-License-Identifier: Apache-2.0
"""Mail against what other programs write and read: openssl, gpgsm, NSS; and real messages there and back."""
import base64
import mailbox
import os
import pathlib
import shutil
import subprocess

import pytest

from mail_deceptive import ENVELOPED, cms_close, cms_open, der_split
from mail_pki import Pki, run
from mail_tool import ROOT, entity, tool

ADDRESSES = {"alice": "rsa3072", "bob": "rsa", "carol": "ec", "dave": "ec384"}
# Real messages are not part of the project: they are taken from a folder shared/data/mail beside it, if there is one.
DATA = pathlib.Path(os.environ.get("VOUCHSAFE_MAIL_DATA") or next(
    (parent / "shared/data/mail" for parent in ROOT.parents if (parent / "shared/data/mail").is_dir()), "none"))


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    pki = Pki(tmp_path_factory.mktemp("pki"))
    for name, kind in ADDRESSES.items():
        pki.user(name, f"{name}@example.org", kind)
    return pki


def message_from(name: str, crlf=False) -> bytes:
    text = (f"From: {name} <{name}@example.org>\nTo: bob@example.org\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nMIME-Version: 1.0\n"
            "Content-Type: multipart/mixed;\n boundary=\"b 1\"\n\nignored\n--b 1\nContent-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe  \n-- \n.\nFrom here\n\n--b 1\nContent-Type: image/png\n"
            "Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(bytes(range(256)) * 40).decode() + "\n--b 1--\n")
    return (text.replace("\n", "\r\n") if crlf else text).encode()


def signing(pki, name):
    return ["--signer", pki.cert(name), "--signer-key", pki.key(name)]


def owning(pki, *names):
    return [option for name in names for option in ("--own", pki.cert(name), "--own-key", pki.key(name))]


def trusting(pki):
    return ["--roots", pki.cert("ca"), "--crl", pki.folder / "crl--30.pem"]


def openssl(*args, message: bytes, status=0) -> bytes:
    done = subprocess.run(["openssl", *map(str, args)], input=message, capture_output=True)
    assert (done.returncode == 0) == (status == 0), done.stderr.decode()
    return done.stdout


def canonical(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


# ---- what we write, openssl reads

@pytest.mark.parametrize("crlf", [False, True])
@pytest.mark.parametrize("form", ["--clear", "--opaque"])
@pytest.mark.parametrize("name", ADDRESSES)
def test_openssl_verifies(pki, name, form, crlf):
    message = message_from(name, crlf)
    signed = tool("sign", form, *signing(pki, name), message=message)
    assert signed.status == 0
    out = openssl("cms", "-verify", "-CAfile", pki.cert("ca"), message=signed.out)
    assert canonical(out) == canonical(entity(message))


@pytest.mark.parametrize("options", [[], ["--gcm"], ["--oaep"], ["--gcm", "--oaep"]])
def test_openssl_decrypts(pki, options):
    message = message_from("alice")
    recipients = [option for name in ADDRESSES for option in ("--to", pki.cert(name))]
    encrypted = tool("encrypt", *options, *recipients, message=message)
    assert encrypted.status == 0
    for name in ADDRESSES:
        out = openssl("cms", "-decrypt", "-recip", pki.cert(name), "-inkey", pki.key(name), message=encrypted.out)
        assert out == canonical(entity(message))


def test_openssl_reads_what_is_nested(pki):
    message = message_from("alice")
    signed = tool("sign", *signing(pki, "alice"), message=message)
    encrypted = tool("encrypt", "--to", pki.cert("bob"), message=signed.out)
    inner = openssl("cms", "-decrypt", "-recip", pki.cert("bob"), "-inkey", pki.key("bob"), message=encrypted.out)
    assert canonical(openssl("cms", "-verify", "-CAfile", pki.cert("ca"), message=inner)) == canonical(entity(message))


def test_signed_attributes(pki):
    signed = tool("sign", "--opaque", *signing(pki, "alice"), "--encryption", pki.cert("bob"), message=message_from("alice"))
    shown = openssl("cms", "-cmsout", "-print", message=signed.out).decode()
    for attribute in ("contentType", "messageDigest", "signingTime", "S/MIME Capabilities", "id-smime-aa-encrypKeyPref",
                      "id-smime-aa-signingCertificateV2"):
        assert attribute in shown


# ---- what openssl writes, we read

def headed(name: str, body: bytes) -> bytes:
    return f"From: {name}@example.org\nTo: bob@example.org\n".encode() + body


PSS = ["-keyopt", "rsa_padding_mode:pss"]


@pytest.mark.parametrize("form", [[], ["-nodetach"], ["-nodetach", "-stream"], ["-nodetach", "-binary", "-indef"]])
@pytest.mark.parametrize("name, options", [
    ("alice", []), ("alice", PSS), ("alice", PSS + ["-keyopt", "rsa_pss_saltlen:20"]), ("alice", ["-md", "sha512"]),
    ("alice", ["-md", "sha384"] + PSS), ("alice", ["-noattr"]), ("alice", ["-nosmimecap", "-cades"]), ("alice", ["-keyid"]),
    ("carol", []), ("carol", ["-md", "sha384"]), ("dave", []), ("dave", ["-md", "sha512", "-noattr"]),
])
def test_we_verify_openssl(pki, name, options, form):
    if {"-stream", "-indef"} & set(form) and "rsa_padding_mode:pss" in options:
        pytest.skip("openssl 3.0 cannot write this")
    content = entity(message_from(name))
    signed = openssl("cms", "-sign", "-signer", pki.cert(name), "-inkey", pki.key(name), *options, *form, message=content)
    result = tool("verify", *trusting(pki), message=headed(name, signed))
    assert result.worst == "ok", result.findings
    assert canonical(result.out) == canonical(content)


def test_we_say_that_sha1_is_weak(pki):
    signed = openssl("cms", "-sign", "-md", "sha1", "-signer", pki.cert("alice"), "-inkey", pki.key("alice"), message=b"\nhi\n")
    assert tool("verify", *trusting(pki), message=headed("alice", signed)).worst == "mail-weak"


@pytest.mark.parametrize("keys", ["bob", "carol", "dave", "all"])
@pytest.mark.parametrize("options", [
    ["-aes128"], ["-aes192"], ["-aes256"], ["-aes-128-gcm"], ["-aes-256-gcm"], ["-aes256", "-stream"], ["-aes-256-gcm", "-stream"],
    ["-aes256", "-keyid"], ["-des3"],
])
def test_we_decrypt_openssl(pki, options, keys):
    content = entity(message_from("alice"))
    names = ["bob", "carol", "dave"] if keys == "all" else [keys]
    encrypted = openssl("cms", "-encrypt", "-binary", *options, *(pki.cert(name) for name in names), message=content)
    for name in names:
        result = tool("decrypt", "--entity", *owning(pki, "alice", name), message=headed("alice", encrypted))
        assert result.worst == ("mail-weak" if "-des3" in options else "ok"), result.findings
        assert result.out == content


@pytest.mark.parametrize("keyopts", [
    ["-keyopt", "rsa_padding_mode:oaep"],
    ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"],
])
def test_we_decrypt_oaep_of_openssl(pki, keyopts):
    encrypted = openssl("cms", "-encrypt", "-binary", "-aes256", "-recip", pki.cert("bob"), *keyopts, message=b"\nhi\n")
    result = tool("decrypt", "--entity", *owning(pki, "bob"), message=headed("alice", encrypted))
    assert (result.worst, result.out) == ("ok", b"\nhi\n")


@pytest.mark.parametrize("keyopts", [["-keyopt", "ecdh_kdf_md:sha1"], ["-keyopt", "ecdh_kdf_md:sha384"], ["-keyopt", "ecdh_kdf_md:sha512"]])
def test_we_decrypt_ecdh_of_openssl(pki, keyopts):
    for name in ("carol", "dave"):
        for cipher in ("-aes128", "-aes256"):
            encrypted = openssl("cms", "-encrypt", "-binary", cipher, "-recip", pki.cert(name), *keyopts, message=b"\nhi\n")
            result = tool("decrypt", "--entity", *owning(pki, name), message=headed("alice", encrypted))
            assert (result.worst, result.out) == ("ok", b"\nhi\n")


def test_what_others_use_that_is_not_supported_hinders_nobody(pki):
    der = openssl("cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", "-recip", pki.cert("dave"), "-keyopt", "ecdh_kdf_md:sha224",
                  "-recip", pki.cert("carol"), message=b"\nhi\n")
    fields = cms_open(der)
    infos = [whole for _, _, whole in der_split(der_split(fields[1])[0][1])]
    for order in (infos, infos[::-1]):
        fields[1] = b"\x31" + fields[1][1:-len(b"".join(infos))] + b"".join(order)
        message = headed("alice", b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\nContent-Transfer-Encoding: base64\n\n" +
                         base64.encodebytes(cms_close(ENVELOPED, fields)))
        result = tool("decrypt", "--entity", *owning(pki, "carol"), message=message)
        assert (result.worst, result.out) == ("ok", b"\nhi\n")
        result = tool("decrypt", "--entity", *owning(pki, "dave", "carol"), message=message)
        assert (result.worst, result.out) == ("ok", b"\nhi\n")
        assert tool("decrypt", *owning(pki, "dave"), message=message).worst == "unsupported"
        assert tool("decrypt", *owning(pki, "alice"), message=message).worst == "mail-no-key"


@pytest.mark.parametrize("header", [
    b"Content-Type: application/x-pkcs7-mime\nContent-Transfer-Encoding: BASE64\n",
    b"Content-Type: application/octet-stream; name=smime.p7m\nContent-Transfer-Encoding: base64\n",
    b"Content-Type: APPLICATION/Octet-Stream\nContent-Disposition: attachment;\n\tfilename=\"smime.p7m\"\nContent-Transfer-Encoding: base64\n",
])
def test_content_types_of_old_programs(pki, header):
    der = openssl("cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", pki.cert("bob"), message=b"\nhi\n")
    result = tool("decrypt", "--entity", *owning(pki, "bob"), message=headed("alice", header + b"\n" + base64.encodebytes(der)))
    assert (result.worst, result.out) == ("ok", b"\nhi\n")
    der = openssl("cms", "-sign", "-nodetach", "-outform", "DER", "-signer", pki.cert("alice"), "-inkey", pki.key("alice"), message=b"\nhi\n")
    result = tool("verify", *trusting(pki), message=headed("alice", header + b"\n" + base64.encodebytes(der)))
    assert result.worst == "ok"


def test_binary_transfer_encoding(pki):
    content = b"\nhi\n"
    der = openssl("cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", pki.cert("bob"), message=content)
    message = headed("alice", b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\nContent-Transfer-Encoding: binary\n\n" + der)
    assert tool("decrypt", "--entity", *owning(pki, "bob"), message=message).out == content


# ---- gpgsm

def import_key(gpgsm, pki, name, tries=4):
    """gpgsm 2.2 takes one file of about 150 for undecryptable, by its salt: the same key with another salt is read."""
    try:
        gpgsm("--import", pki.pkcs12(name))
    except AssertionError:
        if tries == 1:
            raise
        import_key(gpgsm, pki, name, tries - 1)


@pytest.fixture(scope="session")
def gpgsm(pki):
    if not shutil.which("gpgsm"):
        pytest.skip("gpgsm is not installed")
    home = pki.folder / "gnupg"
    home.mkdir(mode=0o700)
    environment = dict(os.environ, GNUPGHOME=str(home))
    fingerprint = run("openssl", "x509", "-in", pki.cert("ca"), "-noout", "-fingerprint", "-sha1").stdout.decode().split("=")[1]
    (home / "trustlist.txt").write_text(f"{fingerprint.strip()} S relax\n")
    (home / "gpgsm.conf").write_text("disable-crl-checks\n")
    (home / "gpg-agent.conf").write_text("allow-loopback-pinentry\n")

    def call(*args, message=b""):
        read, write = os.pipe()
        os.write(write, b"x\n")
        os.close(write)
        done = subprocess.run(["gpgsm", "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", str(read), *map(str, args)],
                              input=message, capture_output=True, env=environment, pass_fds=[read])
        os.close(read)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    call("--import", pki.cert("ca"))
    for name in ("alice", "bob"):
        import_key(call, pki, name)
    yield call
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=False)


def der_of(message: bytes) -> bytes:
    return base64.b64decode(message.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1])


def wrapped(name: str, kind: str, der: bytes) -> bytes:
    return headed(name, f"Content-Type: application/pkcs7-mime; smime-type={kind}\nContent-Transfer-Encoding: base64\n\n".encode() +
                  base64.encodebytes(der))


def test_gpgsm(pki, gpgsm):
    message = message_from("alice")
    encrypted = tool("encrypt", "--to", pki.cert("bob"), message=message)
    assert gpgsm("--decrypt", message=der_of(encrypted.out)) == canonical(entity(message))
    signed = tool("sign", "--opaque", *signing(pki, "alice"), message=message)
    assert gpgsm("--verify", "--output", "-", message=der_of(signed.out)) == canonical(entity(message))
    back = tool("decrypt", "--entity", *owning(pki, "bob"), message=wrapped("alice", "enveloped-data", gpgsm("--encrypt", "-r", "bob@example.org", message=entity(message))))
    assert (back.worst, back.out) == ("ok", entity(message)), back.findings
    back = tool("verify", *trusting(pki), message=wrapped("alice", "signed-data", gpgsm("--sign", "-u", "alice@example.org", message=entity(message))))
    assert (back.worst, back.out) == ("ok", entity(message)), back.findings


# ---- NSS

@pytest.fixture(scope="session")
def nss(pki):
    if not shutil.which("cmsutil") or not shutil.which("pk12util"):
        pytest.skip("NSS's tools are not installed")
    base = f"sql:{pki.folder / 'nss'}"
    (pki.folder / "nss").mkdir()
    run("certutil", "-N", "-d", base, "--empty-password")
    run("certutil", "-A", "-d", base, "-n", "ca", "-t", "CT,C,C", "-i", pki.cert("ca"))
    for name in ("alice", "bob"):
        p12 = pki.folder / f"{name}-nss.p12"
        run("openssl", "pkcs12", "-export", "-inkey", pki.key(name), "-in", pki.cert(name), "-out", p12, "-passout", "pass:x", "-name", name)
        run("pk12util", "-i", p12, "-d", base, "-W", "x", "-K", "")
    return lambda *args, message: run("cmsutil", *args, "-d", base, input=message).stdout


def test_nss(pki, nss):
    message = message_from("alice")
    encrypted = tool("encrypt", "--to", pki.cert("bob"), message=message)
    assert nss("-D", message=der_of(encrypted.out)) == canonical(entity(message))
    signed = tool("sign", "--opaque", *signing(pki, "alice"), message=message)
    assert nss("-D", message=der_of(signed.out)) == canonical(entity(message))
    back = tool("decrypt", "--entity", *owning(pki, "bob"), message=wrapped("alice", "enveloped-data", nss("-E", "-r", "bob@example.org", message=entity(message))))
    assert back.out == entity(message), back.findings
    back = tool("verify", *trusting(pki), message=wrapped("alice", "signed-data", nss("-S", "-N", "alice", "-H", "SHA256", "-G", message=entity(message))))
    assert (back.worst, back.out) == ("ok", entity(message)), back.findings


# ---- real messages

def real_messages():
    if not DATA.is_dir():
        return []
    found = [(path.name, path.read_bytes()) for path in sorted(DATA.glob("*.eml"))]
    for path in sorted(DATA.glob("*.mbox")):
        box = mailbox.mbox(path, create=False)
        found += [(f"{path.name}-{key}", box.get_bytes(key)) for key in box.keys()]
    return found


@pytest.mark.parametrize("crlf", [False, True])
@pytest.mark.parametrize("name, message", real_messages(), ids=lambda value: value if isinstance(value, str) else "")
def test_real_messages_come_back(pki, name, message, crlf):
    if crlf:
        message = canonical(message)
    for form in ("--clear", "--opaque"):
        signed = tool("sign", form, *signing(pki, "alice"), message=message)
        back = tool("verify", "--layers", "1", *trusting(pki), message=signed.out)
        assert back.codes.isdisjoint({"mail-altered", "malformed"}), back.findings
        if "mail-deceptive" not in back.codes:
            assert back.out == entity(message)
    for options in ([], ["--gcm"]):
        encrypted = tool("encrypt", *options, "--to", pki.cert("bob"), message=message)
        back = tool("decrypt", "--entity", "--layers", "1", *owning(pki, "bob"), message=encrypted.out)
        assert back.codes <= {"mail-deceptive"}, back.findings
        if not back.codes:
            assert back.out == entity(message)


ODD = {
    "nothing": b"",
    "one line end": b"\n",
    "a body only": b"\nbody\n",
    "no body": b"Subject: x\nContent-Type: text/plain\n\n",
    "latin 1 unannounced": b"Content-Type: text/plain\n\n" + bytes(range(160, 256)) + b"\n",
    "utf-8 in the header": "Content-Disposition: inline; filename=\"Überweisung приказ.txt\"\n\nx\n".encode(),
    "iso-2022-jp": "Content-Type: text/plain; charset=iso-2022-jp\n\n日本語\n".encode("iso-2022-jp"),
    "old mac line ends": b"Content-Type: text/plain\n\na\rb\rc\r",
    "long lines": b"Content-Type: text/plain\n\n" + b"x" * 300000 + b"\n",
    "zero bytes": b"Content-Type: text/plain\n\n\0\0\0\n",
    "binary": b"Content-Transfer-Encoding: binary\n\n" + bytes(range(256)) * 100,
    "binary inside": b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: binary\n\n" + bytes(range(256)) * 500 + b"\n--b--\n",
    "uuencode": b"\nbegin 644 x\n#0V%T\n`\nend\n",
    "boundaries that are none": b"Content-Type: multipart/mixed; boundary=b\n\n--\n--b x\n--bb\n--b--\n--b\n",
    "mbox line": b"From a@b Mon Jan  1 00:00:00 2001\nContent-Type: text/plain\n\nx\n",
    "dots": b"\n.\n..\nFrom x\n>From y\n",
    "folded": b"Content-Type:\n text/plain;\n\tcharset=x\nX: y\nContent-Description: a\n b\n\nx\n",
}


@pytest.mark.parametrize("crlf", [False, True])
@pytest.mark.parametrize("name", ODD)
def test_odd_messages_come_back(pki, name, crlf):
    message = ODD[name] if not crlf else canonical(ODD[name])
    for form in ("--clear", "--opaque"):
        signed = tool("sign", form, *signing(pki, "alice"), message=message)
        back = tool("verify", *trusting(pki), message=signed.out)
        assert (back.worst, back.out) == ("mail-other-sender", entity(message)), (form, back.findings)
    for options in ([], ["--gcm"]):
        encrypted = tool("encrypt", *options, "--to", pki.cert("bob"), message=message)
        back = tool("decrypt", "--entity", *owning(pki, "bob"), message=encrypted.out)
        assert (back.worst, back.out) == ("ok", entity(message)), (options, back.findings)
