# SPDX-License-Identifier: Apache-2.0
"""DNS records with certificates (RFC 8162), as a DNS library reads them."""
import hashlib
import json
import subprocess

import dns.rdatatype
import dns.zone


def zone_of(text):
    return dns.zone.from_text(text, origin="example.org.", relativize=False, check_origin=False)


def records(text, address):
    """What the zone says of an address."""
    local, domain = address.split("@")
    name = dns.name.from_text(f"{hashlib.sha256(local.encode()).hexdigest()[:56]}._smimecert.{domain}.")
    found = zone_of("$TTL 3600\n" + text).get_rdataset(name, dns.rdatatype.SMIMEA)
    return list(found or [])


def test_the_zone_has_the_certificate(server, person):
    alice, bob = person().enroll(), person().enroll()
    text = alice.run("certificate", "smimea", bob.address)
    record, = records(text, bob.address)
    assert (record.usage, record.selector, record.mtype) == (3, 0, 0)
    alice.run("certificate", "find", bob.address, "--out", server.folder / "smimea.pem")
    der = subprocess.run(["openssl", "x509", "-in", server.folder / "smimea.pem", "-outform", "DER"], capture_output=True, check=True).stdout
    assert record.cert == der
    # and its key
    record, = records(alice.run("certificate", "smimea", "--form", "key", bob.address), bob.address)
    key = subprocess.run(["openssl", "x509", "-in", server.folder / "smimea.pem", "-noout", "-pubkey"], capture_output=True, check=True).stdout
    spki = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, capture_output=True, check=True).stdout
    assert (record.usage, record.selector, record.mtype, record.cert) == (3, 1, 1, hashlib.sha256(spki).digest())


def test_everybody(server, person):
    people = [person().enroll() for _ in range(2)]
    text = server.run("certificate", "smimea", "--all", home="rita")
    for one in people:
        assert len(records(text, one.address)) == 1
    rows = json.loads(server.run("certificate", "smimea", "--all", "--json", home="rita"))
    assert {one.address for one in people} <= {row["address"] for row in rows}


def test_what_cannot_be_printed_is_named(person):
    alice = person().enroll()
    done = alice.result("certificate", "smimea", "nobody@example.org")
    assert done.returncode == 15 and "nobody@example.org has no valid certificate" in done.stderr and not done.stdout
    assert alice.result("certificate", "smimea").returncode == 2
    assert alice.result("certificate", "smimea", "--all", alice.address).returncode == 2
    assert "certificate or key" in alice.result("certificate", "smimea", "--form", "x", alice.address).stderr
