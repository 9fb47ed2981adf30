# SPDX-License-Identifier: Apache-2.0
"""Publication to a real Active Directory (Samba), by an account with the rights of packaging/directory/samba-delegate.sh and no more: people's values, and the
CA's objects under Public Key Services."""
import os
import subprocess

import pytest

from directories import PACKAGING, certificates_der, foreign_certificate, wait_for
from harness import Server
from peers import SambaAd, ldif

pytestmark = pytest.mark.skipif(SambaAd.unavailable() is not None, reason=str(SambaAd.unavailable()))
PEOPLE = f"OU=People,{SambaAd.BASE}"
SERVICES = f"CN=Public Key Services,CN=Services,CN=Configuration,{SambaAd.BASE}"


class Domain:
    def __init__(self, directory: SambaAd, server: Server):
        self.directory, self.server, self.folder = directory, server, server.folder
        self.delegate()
        wait_for(lambda: len(self.server.json("directory", "list", home="rita")["people"]) == 2, what=self.server.tail)

    def delegate(self):
        for name in ("issuer", "root"):
            done = self.directory.namespace.run("curl", "-sS", "--fail", f"http://127.0.0.1:{self.server.http}/pki/{name}.cer", text=False)
            (self.folder / f"{name}.cer").write_bytes(done.stdout)
        self.directory.namespace.run(PACKAGING / "samba-delegate.sh", "vouchsafe", PEOPLE, self.folder / "issuer.cer", self.folder / "root.cer", "localhost",
                                     env=dict(os.environ, SAMBA_CONFIG=str(self.directory.config)))

    def values(self, name, attribute) -> list[bytes]:
        return next(iter(self.directory.search(f"(cn={name})", attribute, base=PEOPLE).values())).get(attribute.lower(), [])

    def services(self, filter, attribute) -> list[list[bytes]]:
        return [entry.get(attribute.lower(), []) for entry in self.directory.search(filter, attribute, base=SERVICES).values()]


@pytest.fixture(scope="module")
def domain(samba):
    samba.add(ldif(PEOPLE, {"objectClass": "organizationalUnit"}))
    for name in ("alice", "bob"):
        samba.tool("user", "create", name, "Passw0rd.x1", "--userou=OU=People", f"--mail-address={name}@example.org")
    options = {"directory": samba.options(base=PEOPLE), "enroll": {"encryption-profile": "p256"},
               "publish": {"directory": "yes", "authority-dn": SERVICES}}
    with Server(options=options, prefix=samba.namespace.prefix, environment=samba.environment) as server:
        yield Domain(samba, server)


def test_values_of_people(domain, tmp_path):
    foreign = foreign_certificate(tmp_path, "Some other CA")
    value = subprocess.run(["base64", "-w", "0"], input=foreign, capture_output=True, check=True).stdout.decode()
    domain.directory.change("ldapmodify", f"dn: CN=alice,{PEOPLE}\nchangetype: modify\nadd: userCertificate\nuserCertificate:: {value}\n")
    domain.server.enroll("alice@example.org")
    certificate = certificates_der(domain.server, "alice@example.org")[0]
    wait_for(lambda: sorted(domain.values("alice", "userCertificate")) == sorted([foreign, certificate]), what=domain.server.tail)
    wait_for(lambda: len(domain.values("alice", "userSMIMECertificate")) == 1, what=domain.server.tail)
    assert certificate in domain.values("alice", "userSMIMECertificate")[0]
    domain.server.run("user", "revoke", "alice@example.org", "--reason", "keyCompromise", home="rita")
    wait_for(lambda: domain.values("alice", "userCertificate") == [foreign], what=domain.server.tail)
    assert domain.values("alice", "userSMIMECertificate") == []
    assert domain.server.json("publish", "check", home="rita").get("items", []) == []


def test_objects_of_the_authority(domain):
    issuer, root = ((domain.folder / f"{name}.cer").read_bytes() for name in ("issuer", "root"))
    assert domain.services("(cn=NTAuthCertificates)", "cACertificate") == [[issuer]]
    assert [issuer] in domain.services("(objectClass=certificationAuthority)", "cACertificate")
    assert [root] in domain.services("(objectClass=certificationAuthority)", "cACertificate")

    def listed():
        done = domain.directory.namespace.run("curl", "-sS", f"http://127.0.0.1:{domain.server.http}/pki/issuer.crl", text=False)
        return domain.services("(objectClass=cRLDistributionPoint)", "certificateRevocationList") == [[done.stdout]]

    wait_for(listed, what=domain.server.tail)
    domain.server.enroll("bob@example.org")
    domain.server.run("user", "revoke", "bob@example.org", "--reason", "superseded", home="rita")
    wait_for(listed, what=domain.server.tail)
