# SPDX-License-Identifier: Apache-2.0
"""Certificates, requests, lists, PKCS#12 files and envelopes, read by the OpenSSL, GnuPG and NSS of this machine."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("VOUCHSAFE_BUILD", ROOT / "build")).resolve()
NOW = "1800000000"  # as in src/crypto/test-pki.h
P12 = ["all-modern.p12", "all-legacy.p12", "rsa-modern.p12", "rsa-legacy.p12", "root.p12"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    subprocess.run([BUILD / "tests/interop/pki-sample", folder], check=True)
    return folder


def run(folder, *command, **options):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=60, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.parametrize("leaf, purpose", [("signature", "smimesign"), ("international", "smimesign"), ("rsa", "smimeencrypt")])
def test_openssl_verifies_strictly(sample, leaf, purpose):
    run(sample, "openssl", "verify", "-x509_strict", "-check_ss_sig", "-policy_check", "-attime", NOW, "-purpose", purpose, "-CAfile", "root.pem",
        "-untrusted", "issuing.pem", f"{leaf}.pem")


def test_openssl_checks_revocation(sample):
    command = ["openssl", "verify", "-crl_check", "-attime", NOW, "-CAfile", "root.pem", "-untrusted", "issuing.pem"]
    run(sample, "openssl", "crl", "-inform", "DER", "-in", "list.crl", "-out", "list.pem")
    run(sample, *command, "-CRLfile", "list.pem", "signature.pem")
    revoked = subprocess.run([*command, "-CRLfile", "list.pem", "ec.pem"], cwd=sample, capture_output=True, text=True)
    assert revoked.returncode != 0 and "revoked" in revoked.stdout + revoked.stderr


def test_openssl_shows_extensions(sample):
    text = run(sample, "openssl", "x509", "-in", "signature.pem", "-noout", "-text", "-nameopt", "utf8")
    assert "Zoë Ångström" in text
    assert re.search(r"X509v3 Key Usage: critical\s+Digital Signature, Non Repudiation", text)
    assert "E-mail Protection" in text and "email:zoe@example.org" in text and "http://kms.example.org/crl/1.crl" in text
    assert "CA Issuers - URI:http://kms.example.org/ca/1.cer" in text
    serial = run(sample, "openssl", "x509", "-in", "signature.pem", "-noout", "-serial").strip().partition("=")[2]
    assert len(serial) == 32


def test_openssl_verifies_the_request(sample):
    assert "verify OK" in run(sample, "openssl", "req", "-inform", "DER", "-in", "request.csr", "-verify", "-noout")


@pytest.mark.parametrize("name", ["gcm.cms", "cbc.cms"])
def test_openssl_opens_envelopes(sample, name):
    assert run(sample, "openssl", "cms", "-decrypt", "-inform", "DER", "-in", name, "-keyform", "DER", "-inkey", "recipient.key") == "a private key\n"


@pytest.mark.parametrize("name", P12)
def test_openssl_reads_pkcs12(sample, name):
    text = run(sample, "openssl", "pkcs12", "-in", name, "-passin", "pass:secret", "-nodes", "-info")
    count = 3 if name.startswith("all") else 1
    assert text.count("BEGIN PRIVATE KEY") == count
    assert text.count("BEGIN CERTIFICATE") == {"all": 5, "rsa": 3, "roo": 1}[name[:3]]
    assert ("PBKDF2" in text) == ("legacy" not in name)
    wrong = subprocess.run(["openssl", "pkcs12", "-in", name, "-passin", "pass:other", "-nodes"], cwd=sample, capture_output=True)
    assert wrong.returncode != 0


@pytest.mark.skipif(not shutil.which("pk12util"), reason="NSS tools are not installed")
@pytest.mark.parametrize("name", P12)
def test_nss_reads_pkcs12(sample, tmp_path, name):
    run(tmp_path, "certutil", "-N", "-d", f"sql:{tmp_path}", "--empty-password")
    run(sample, "pk12util", "-i", name, "-d", f"sql:{tmp_path}", "-W", "secret", "-K", "")
    keys = run(tmp_path, "certutil", "-K", "-d", f"sql:{tmp_path}")
    assert len(re.findall(r"^< *\d+>", keys, re.M)) == (3 if name.startswith("all") else 1)


@pytest.mark.skipif(not shutil.which("gpgsm"), reason="gpgsm is not installed")
@pytest.mark.parametrize("name", ["rsa-legacy.p12", "rsa-modern.p12"])
def test_gpgsm_reads_pkcs12(sample, tmp_path, name):
    version = tuple(map(int, re.search(r"(\d+)\.(\d+)", run(sample, "gpgsm", "--version")).groups()))
    if "modern" in name and version < (2, 4):
        pytest.skip("gpgsm before 2.4 reads the legacy profile only")
    tmp_path.chmod(0o700)
    environment = dict(os.environ, GNUPGHOME=str(tmp_path))
    try:
        for attempt in range(4):
            # Its status tells only that the chain is not trusted.
            imported = subprocess.run(["gpgsm", "--batch", "--disable-dirmngr", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import",
                                       name], cwd=sample, input="secret\n", capture_output=True, text=True, env=environment)
            # gpgsm 2.2 takes one file of about 150 for undecryptable, by its salt, whoever wrote it: make another.
            if "decryption failed" not in imported.stderr:
                break
            sample = tmp_path / f"again-{attempt}"
            sample.mkdir()
            subprocess.run([BUILD / "tests/interop/pki-sample", sample], check=True)
        assert "secret keys imported: 1" in imported.stderr
        listing = run(sample, "gpgsm", "--batch", "--with-colons", "--list-secret-keys", env=environment)
        assert "zoe@example.org" in listing and re.search(r"^(sec|crs):", listing, re.M)
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, capture_output=True)
