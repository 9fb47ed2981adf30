# SPDX-License-Identifier: Apache-2.0
"""Publication to a real OpenLDAP, by an account with the rights of packaging/directory and no more: what is enrolled appears, what is revoked goes, values
of others stay as they are, and outages, renames and drift are mended."""
import base64
import json
import os
import signal
import subprocess
import time
import urllib.request

import pytest

from directories import PACKAGING, access_of, certificates_der, foreign_certificate, wait_for
from harness import Server
from peers import Slapd

pytestmark = pytest.mark.skipif(Slapd.unavailable() is not None, reason=str(Slapd.unavailable()))
CERTIFICATE, SMIME = "usercertificate;binary", "usersmimecertificate"
PEOPLE = ["Alice Example", "Bob Example", "Carol Example", "Dora Example", "Emil Example", "Fritz Example"]


class Place:
    """A directory and a server that publishes to it."""

    def __init__(self, directory: Slapd, server: Server):
        self.directory, self.server = directory, server
        wait_for(lambda: len(self.server.json("directory", "list", home="rita")["people"]) == len(PEOPLE), what=self.server.tail)

    def values(self, name, unit="people") -> dict[str, list[bytes]]:
        entry = next(iter(self.directory.search("(objectClass=*)", base=self.directory.dn(name, unit)).values()))
        return {kind: entry.get(kind, []) for kind in (CERTIFICATE, SMIME)}

    def has(self, name, *values: bytes, kind=CERTIFICATE) -> bool:
        return sorted(self.values(name)[kind]) == sorted(values)

    def address(self, name):
        return f"{name.split()[0].lower()}@example.org"

    def enroll(self, name) -> bytes:
        self.server.enroll(self.address(name))
        return certificates_der(self.server, self.address(name))[0]

    def revoke(self, name):
        self.server.run("user", "revoke", self.address(name), "--reason", "keyCompromise", home="rita")

    def change(self, name, lines: str):
        """By somebody else: its administrator."""
        done = subprocess.run(["ldapmodify", "-x", "-H", self.directory.url, "-D", Slapd.ADMIN, "-w", Slapd.ADMIN_PASSWORD],
                              input=f"dn: {self.directory.dn(name)}\nchangetype: modify\n{lines}", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def add(self, name, attribute, *values: bytes):
        self.change(name, f"add: {attribute}\n" + "".join(f"{attribute}:: {base64.b64encode(value).decode()}\n" for value in values))

    def check(self, *options, status=0):
        done = self.server.result("publish", "check", "--json", *options, home="rita", status=status)
        if not done.stdout:
            return [("failed", done.stderr)]
        return sorted((item["outcome"], item["dn"].split(",")[0].removeprefix("cn=")) for item in json.loads(done.stdout).get("items", []))


@pytest.fixture(scope="module")
def place():
    with Slapd(access=access_of(PACKAGING / "openldap-access.ldif"), people=[{"name": name} for name in PEOPLE]) as directory:
        limits = {"time-limit": "2s", "connect-limit": "2s"}
        options = {"directory": directory.options(**limits), "publish": {"directory": "yes"}, "enroll": {"encryption-profile": "p256"}}
        with Server(options=options) as server:
            yield Place(directory, server)


def test_values_appear_and_go_and_others_stay(place, tmp_path):
    name = "Alice Example"
    foreign = foreign_certificate(tmp_path, "Some other CA")
    place.add(name, "userCertificate;binary", foreign)
    place.add(name, "userSMIMECertificate", b"of another program", b"\0\xff and binary")
    certificate = place.enroll(name)
    wait_for(lambda: place.has(name, foreign, certificate) and len(place.values(name)[SMIME]) == 3, what=place.server.tail)
    ours = next(value for value in place.values(name)[SMIME] if value[:1] == b"\x30")
    # As any S/MIME program reads it: signed, without content, by a certificate of the CA.
    (tmp_path / "value").write_bytes(ours)
    shown = subprocess.run(["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", tmp_path / "value"], capture_output=True, text=True, check=True).stdout
    for part in ["S/MIME Capabilities", "id-smime-aa-encrypKeyPref", "1.3.6.1.4.1.311.16.4", "eContent: <ABSENT>"]:
        assert part in shown
    verified = subprocess.run(["openssl", "cms", "-verify", "-inform", "DER", "-in", tmp_path / "value", "-content", "/dev/null", "-noverify", "-binary"],
                              capture_output=True)
    assert verified.returncode == 0, verified.stderr
    assert certificate in ours
    place.revoke(name)
    wait_for(lambda: place.has(name, foreign), what=place.server.tail)
    assert sorted(place.values(name)[SMIME]) == [b"\0\xff and binary", b"of another program"]
    # Recovered, she has a new pair, since nothing of hers is valid; her client hands in the rest.
    token, server = tmp_path / "token", place.server
    asked = server.json("request", "recover", place.address(name), "--reason", "stolen", "--token-out", token, home="rita")
    for officer in ("olga", "omar"):
        server.run("request", "approve", asked["request"][0]["request"], "--yes", home=officer)
    server.run("recover", "--server", server.url, "--token-file", token, home=place.address(name))
    new = certificates_der(server, place.address(name))[0]
    assert new != certificate
    wait_for(lambda: place.has(name, foreign, new) and len(place.values(name)[SMIME]) == 3, what=server.tail)
    assert new in next(value for value in place.values(name)[SMIME] if value[:1] == b"\x30")


def test_outage_and_crashes_then_the_newest_state(place):
    place.directory.stop()
    bob, carol = place.enroll("Bob Example"), place.enroll("Carol Example")
    place.revoke("Carol Example")
    for name, pid in place.server.children().items():
        if name.startswith(("engine", "outbound")):
            os.kill(pid, signal.SIGKILL)
    time.sleep(1)
    place.server.wait("unsealed")
    place.directory.start()
    wait_for(lambda: place.has("Bob Example", bob) and len(place.values("Bob Example")[SMIME]) == 1, what=place.server.tail)
    assert place.has("Carol Example") and carol not in place.values("Carol Example")[CERTIFICATE]
    wait_for(lambda: place.server.json("status", "--server", place.server.url, password=False).get("queue", 0) == 0, what=place.server.tail)


def test_silence_ends_with_the_time_limit(place):
    """It takes connections and what is sent, and says nothing: as a machine does that swaps itself to death. After an outage, and twice."""
    expected = [place.server.enroll, lambda address: place.server.run("user", "revoke", address, "--reason", "keyCompromise", home="rita")]
    for change in expected:
        place.directory.freeze()
        change("carol@example.org")
        wait_for(lambda: 'vouchsafe_outbound_reachable{target="directory"} 0' in metrics(place.server), what=place.server.tail)
        place.directory.process.send_signal(signal.SIGCONT)
        valid = certificates_der(place.server, "carol@example.org")
        wait_for(lambda: place.has("Carol Example", *valid), what=place.server.tail, seconds=120)
        wait_for(lambda: 'vouchsafe_outbound_reachable{target="directory"} 1' in metrics(place.server), what=place.server.tail)


def metrics(server: Server) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics}/metrics", timeout=10) as answer:
        return answer.read().decode()


def test_renamed_and_the_name_taken_by_another(place):
    certificate = place.enroll("Dora Example")
    wait_for(lambda: place.has("Dora Example", certificate), what=place.server.tail)
    place.directory.rename(place.directory.dn("Dora Example"), "cn=Dora Married")
    place.directory.add(place.directory.person("Dora Example", mail="dora2@example.org"))
    place.server.run("user", "revoke", "dora@example.org", "--reason", "keyCompromise", home="rita")
    wait_for(lambda: place.has("Dora Married"), what=place.server.tail)
    assert place.has("Dora Example")


def test_drift_is_found_and_mended(place, tmp_path):
    emil, fritz = place.enroll("Emil Example"), place.enroll("Fritz Example")
    wait_for(lambda: place.has("Emil Example", emil) and place.has("Fritz Example", fritz) and len(place.values("Fritz Example")[SMIME]) == 1)
    wait_for(lambda: place.check(status=None) == [], what=lambda: str(place.check(status=None)))
    # One loses hers, one has another's too, and an entry that nobody of the server belongs to has one.
    place.change("Emil Example", "delete: userCertificate;binary\n")
    place.add("Fritz Example", "userCertificate;binary", emil)
    place.directory.add(place.directory.person("Nobody", mail=None))
    place.add("Nobody", "userCertificate;binary", fritz)
    findings = place.check(status=37)
    assert findings == [("drift", "Emil Example"), ("drift", "Fritz Example"), ("leftover", "Nobody")]
    assert place.check("--mend") == findings
    wait_for(lambda: place.has("Emil Example", emil) and place.has("Fritz Example", fritz) and place.has("Nobody"), what=place.server.tail)
    assert place.check() == []
    place.directory.stop()
    assert "23" in str(place.server.result("publish", "check", home="rita", status=23).returncode)
    place.directory.start()


def test_authority_and_revocation_lists():
    """A server of its own, since where the CA goes is fixed at its start; and rights at that one entry."""
    dn = f"cn=Issuing CA,ou=services,{Slapd.BASE}"
    with Slapd(access=access_of(PACKAGING / "openldap-access.ldif"), people=[{"name": "Alice Example"}]) as directory:
        directory.add((PACKAGING / "openldap-authority.ldif").read_text())
        options = {"directory": directory.options(), "publish": {"directory": "yes", "authority-dn": dn}, "enroll": {"encryption-profile": "p256"}}
        with Server(options=options) as server:
            def same() -> bool:
                entry = directory.search("(objectClass=*)", base=dn)[dn]
                return all(entry.get(f"{attribute};binary") == [place_of(server, path)] for attribute, path in
                           (("cacertificate", "issuer.cer"), ("certificaterevocationlist", "issuer.crl")))
            wait_for(same, what=server.tail)
            wait_for(lambda: server.json("directory", "list", home="rita")["people"], what=server.tail)
            before = place_of(server, "issuer.crl")
            server.enroll("alice@example.org")
            server.run("user", "revoke", "alice@example.org", "--reason", "keyCompromise", home="rita")
            wait_for(lambda: place_of(server, "issuer.crl") != before)
            wait_for(same, what=server.tail)


def place_of(server: Server, name: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http}/pki/{name}", timeout=10) as answer:
        return answer.read()
