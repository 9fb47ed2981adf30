# SPDX-License-Identifier: Apache-2.0
"""Every message of the corpus is found out, and nothing of it comes out that must not."""
import subprocess
import time

import pytest

import mail_deceptive
from mail_pki import Pki, run
from mail_tool import tool


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    pki = Pki(tmp_path_factory.mktemp("pki"))
    stranger = Pki(tmp_path_factory.mktemp("stranger")).user("stranger", "alice@example.org")
    for name, address in [("alice", "alice@example.org"), ("bob", "bob@example.org"), ("mallory", "mallory@evil.example"), ("rita", "rita@example.org")]:
        pki.user(name, address)
    pki.user("zoe", "zoe@xn--bcher-kva.example", "ec").user("mapped", "alice@xn--example-3z6c.org", "ec")
    pki.user("nobody", "", section="nobody")
    for kind in ("cert", "key"):
        getattr(pki, kind)("stranger").write_bytes(getattr(stranger, kind)("stranger").read_bytes())
    pki.user("expired", "expired@example.org")
    expire(pki)
    # The same key in another certificate, with another address.
    pki.user("twin", "ceo@bank.example")
    run("openssl", "x509", "-req", "-in", pki.folder / "alice.csr", "-CA", pki.cert("ca"), "-CAkey", pki.key("ca"), "-out", pki.cert("alice-twin"),
        "-extfile", pki.folder / "twin.cnf", "-extensions", "user")
    pki.revoked = pki.crl("rita")
    return pki


def expire(pki):
    """Certify again with dates in the past."""
    (pki.folder / "old").mkdir()
    (pki.folder / "old.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={pki.folder}/old/index\nserial={pki.folder}/old/serial\nnew_certs_dir={pki.folder}/old\n"
        f"certificate={pki.cert('ca')}\nprivate_key={pki.key('ca')}\ndefault_md=sha256\npolicy=p\nx509_extensions=user\n[p]\ncommonName=supplied\n"
        "[user]\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\nsubjectAltName=email:expired@example.org\n")
    (pki.folder / "old/index").write_text("")
    (pki.folder / "old/serial").write_text("77\n")
    run("openssl", "ca", "-batch", "-config", pki.folder / "old.cnf", "-in", pki.folder / "expired.csr", "-out", pki.cert("expired"), "-notext",
        "-startdate", "20200101000000Z", "-enddate", "20210101000000Z")


def test_corpus(pki):
    options = {
        "verify": ["--roots", pki.cert("ca"), "--crl", pki.revoked],
        "decrypt": ["--entity", "--own", pki.cert("bob"), "--own-key", pki.key("bob")],
    }
    options["open"] = ["--decrypt", *options["verify"], *options["decrypt"][1:]]
    wrong, count = [], 0
    for case in mail_deceptive.cases(pki):
        result = tool("verify" if case.verb == "open" else case.verb, *options[case.verb], message=case.message)
        count += 1
        if result.worst not in case.worst.split() or result.out != (case.output or b""):
            wrong.append(f"{case.name}: {result.worst} instead of {case.worst}, {len(result.out)} bytes: {result.findings}")
    assert not wrong, "\n".join(wrong)
    assert count > 60


def test_what_is_missing_is_said_as_it_is(pki):
    """And what was protected, but is not shown."""
    make = mail_deceptive.Maker(pki)
    own = ["--own", pki.cert("bob"), "--own-key", pki.key("bob")]
    trust = ["--roots", pki.cert("ca"), "--crl", pki.revoked]
    certificates = make.opaque(mail_deceptive.openssl("crl2pkcs7", "-nocrl", "-certfile", pki.cert("alice"), "-outform", "DER"), "certs-only")
    for message, found in [
            (make.head + make.content, ["not signed", "not encrypted", "not encrypted"]),
            (make.signed(), ["", "signed, but it is not encrypted", ""]),
            (make.signed(form="--opaque"), ["", "signed, but it is not encrypted", ""]),
            (make.sealed(), ["encrypted, not signed on the outside; decrypt it first", "", "The message is not signed"]),
            (make.sealed().replace(b"; smime-type=enveloped-data", b""), ["decrypt it first", "", "The message is not signed"]),
            (certificates, ["neither signed nor encrypted"] * 3)]:
        for options, sentence in zip((["verify", *trust], ["decrypt", *own], ["decrypt", "--verify", *own, *trust]), found):
            said = str(tool(*options, message=message).findings)
            assert sentence in said and said.count("not signed") <= 1, (options[0], message, said)
    protected = b'Subject: secret\nContent-Type: text/plain; hp="cipher"\n\nPay Bob\n'
    message = make.opaque(make.cms_sealed(content=protected), "enveloped-data")
    result = tool("decrypt", *own, message=message)
    assert result.worst == "ok" and "of its own (Subject); shown are those of the outside" in str(result.findings) and b"secret" not in result.out
    result = tool("decrypt", "--entity", *own, message=message)
    assert result.out == protected and "of its own" not in str(result.findings)


def test_lists_that_say_nothing_of_who_has_expired(pki):
    """Such a signature is as good as the signer's word for its time, unless the list still names who was revoked before he expired."""
    now, day = int(time.time()), 86400
    at = {days: time.strftime("%Y%m%d%H%M%SZ", time.gmtime(now + days * day)) for days in (-1, 5, 10, 30)}
    pki.user("brief", "brief@example.org", days=2)
    sign = ["sign", "--signer", pki.cert("brief"), "--signer-key", pki.key("brief"), "--now", now + day]
    message = tool(*sign, message=b"From: brief@example.org\n\nhi\n").out
    for since, worst in (("", "mail-expired"), (at[5], "mail-expired"), (at[-1], "ok")):
        extension = f"2.5.29.60=ASN1:GENERALIZEDTIME:{since}\n" if since else ""
        (pki.folder / "y.cnf").write_text((pki.folder / "db.cnf").read_text() + "[y]\nauthorityKeyIdentifier=keyid\n" + extension)
        run("openssl", "ca", "-config", pki.folder / "y.cnf", "-gencrl", "-crl_lastupdate", at[10], "-crl_nextupdate", at[30], "-crlexts", "y",
            "-out", pki.folder / "y.crl")
        result = tool("verify", "--roots", pki.cert("ca"), "--crl", pki.folder / "y.crl", "--now", now + 11 * day, message=message)
        assert result.worst == worst and (worst == "ok" or "need not name it" in str(result.findings)), result.findings


def test_lists_for_other_certificates(pki):
    """Of an issuer with several, each at its place."""
    place = "http://crl.example/1"
    pki.user("carol", "carol@example.org", "ec").at("carol", place)
    message = tool("sign", "--signer", pki.cert("carol"), "--signer-key", pki.key("carol"), message=b"From: carol@example.org\n\nhi\n").out
    for at, worst in ((None, "ok"), (place, "ok"), ("http://crl.example/2", "mail-stale-crl")):
        result = tool("verify", "--roots", pki.cert("ca"), "--crl", pki.crl(days=29, at=at), message=message)
        assert result.worst == worst, result.findings
        theirs = subprocess.run(["openssl", "verify", "-crl_check", "-CAfile", pki.cert("ca"), "-CRLfile", pki.folder / "crl--29.pem", pki.cert("carol")],
                                capture_output=True)
        assert (theirs.returncode == 0) == (worst == "ok"), theirs.stderr
    pki.at("carol", f"http://mirror.example/1, URI:{place}")
    message = tool("sign", "--signer", pki.cert("carol"), "--signer-key", pki.key("carol"), message=b"From: carol@example.org\n\nhi\n").out
    assert tool("verify", "--roots", pki.cert("ca"), "--crl", pki.crl(days=29, at=place), message=message).worst == "ok"


def test_an_issuer_that_was_revoked(pki):
    """A CA below the root says where the root's list is; so it counts, and one that is not to be had is told."""
    place = ["-CA", pki.cert("ca"), "-CAkey", pki.key("ca")]
    for name, subject, extensions in [
            ("sub", "/CN=Sub", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
             "crlDistributionPoints=URI:http://localhost/root.crl\n"),
            ("below", "/CN=Below", "keyUsage=critical,digitalSignature\nsubjectAltName=email:below@example.org\n")]:
        (pki.folder / f"{name}.cnf").write_text("[e]\n" + extensions)
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", pki.key(name),
            "-out", pki.folder / f"{name}.csr", "-subj", subject)
        run("openssl", "x509", "-req", "-in", pki.folder / f"{name}.csr", *place, "-out", pki.cert(name), "-days", "30",
            "-extfile", pki.folder / f"{name}.cnf", "-extensions", "e")
        place = ["-CA", pki.cert("sub"), "-CAkey", pki.key("sub")]
    message = tool("sign", "--signer", pki.cert("below"), "--signer-key", pki.key("below"), "--chain", pki.cert("sub"),
                   message=b"From: below@example.org\n\nhi\n").out

    def findings(crl):
        result = tool("verify", "--roots", pki.cert("ca"), "--crl", crl, message=message)
        return result.worst, " ".join(sentence for _, _, sentence in result.findings)

    worst, said = findings(pki.revoked)
    assert worst == "mail-stale-crl" and "certificate of the signer's issuer is not on" in said
    worst, said = findings(pki.crl("sub"))
    assert worst == "mail-revoked" and "certificate of the signer's issuer was revoked" in said
    worst, said = findings(pki.folder / "none")
    assert worst == "mail-stale-crl" and "Whether the certificate of the signer's issuer was revoked could not be checked" in said
