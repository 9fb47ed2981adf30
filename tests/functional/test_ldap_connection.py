# SPDX-License-Identifier: Apache-2.0
"""Connections to real directories: TLS, every way to say who we are, servers that are down or slow, referrals, pages, exact changes."""
import os
import pathlib
import socket
import subprocess
import threading
import time

import pytest

from harness import BUILD, free_ports
from peers import Authority, SambaAd, Slapd, ldif

TOOL = BUILD / "tests/functional/ldap-tool"
PEOPLE = [{"name": f"Person {number}"} for number in range(25)]
UNREACHABLE, UNAUTHENTICATED, NOT_FOUND, STALE, EXISTS, MALFORMED, CONFIGURATION, PASSWORD, TIMEOUT = 23, 13, 15, 27, 16, 10, 29, 24, 33


class Client:
    """ldap-tool with a section [directory]."""

    def __init__(self, folder: pathlib.Path, options: dict, prefix=(), environment=None):
        self.prefix, self.environment = list(prefix), environment or {}
        self.config = folder / "vouchsafe.conf"
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["[server]", "organisation = Test", "host-names = localhost", "[directory]", *(f"{key} = {value}" for key, value in options.items())]
        self.config.write_text("\n".join(lines) + "\n")

    def run(self, *arguments, status=0, stdin=""):
        done = subprocess.run([*self.prefix, TOOL, self.config, *arguments], input=stdin, capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, **self.environment))
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr


@pytest.fixture(scope="module")
def slapd():
    if reason := Slapd.unavailable():
        pytest.skip(reason)
    with Slapd(people=PEOPLE) as one:
        yield one


@pytest.fixture
def client(slapd, tmp_path):
    """client(servers=…, …): the options that differ from slapd.options()."""
    def make(**others):
        return Client(tmp_path, slapd.options(tmp_path, **{key.replace("_", "-"): value for key, value in others.items()}))
    return make


def test_pages_and_single_entries(slapd, client):
    shown = client(page_size=10).run("search", "(objectClass=inetOrgPerson)")
    assert shown.startswith(slapd.url) and "25 entries, 3 pages" in shown
    assert "mail 1" in client().run("read", slapd.dn("Person 3"))
    assert slapd.url in client().run("read", slapd.dn("Nobody"), status=NOT_FOUND)
    assert slapd.url in client().run("search", "(((", status=MALFORMED)


@pytest.mark.parametrize("url", ["url", "tls_url", "local_url"])
def test_ways_to_the_server(slapd, client, url):
    assert "25 entries" in client(servers=getattr(slapd, url)).run("search", "(objectClass=inetOrgPerson)")


def test_external_by_certificate_and_by_socket(slapd, client, tmp_path):
    certificate, key = slapd.authority.issue("vouchsafe-client")
    simple = {"bind_dn": None, "bind_password_file": None}
    for url in (slapd.url, slapd.tls_url):
        one = client(servers=url, bind="external", certificate=certificate, key=key, **simple)
        one.run("add", slapd.dn("Person 1"), "description", url)
    assert len(next(iter(slapd.search("(cn=Person 1)", "description").values()))["description"]) == 2
    assert "25 entries" in client(servers=slapd.local_url, bind="external", **simple).run("search", "(objectClass=inetOrgPerson)")
    # Without a certificate there is nobody to be seen.
    assert "refused" in client(servers=slapd.tls_url, bind="external", **simple).run("search", "(cn=*)", status=UNAUTHENTICATED)


def test_certificates_are_verified(slapd, client, tmp_path):
    other = Authority(tmp_path / "other-ca")
    for url in (slapd.url, slapd.tls_url):
        assert url in client(servers=url, ca_file=other.certificate).run("search", "(cn=*)", status=UNREACHABLE)
        # Nor does the environment weaken that.
        weakened = client(servers=url, ca_file=other.certificate)
        weakened.environment = {"LDAPTLS_REQCERT": "never", "LDAPTLS_CACERT": str(slapd.authority.certificate)}
        weakened.run("search", "(cn=*)", status=UNREACHABLE)
    assert "do the files exist" in client(ca_file=tmp_path / "missing").run("search", "(cn=*)", status=CONFIGURATION)


def test_a_wrong_name_in_the_certificate(slapd, client):
    # The same server under an address that its certificate does not have.
    url = slapd.tls_url.replace("127.0.0.1", "127.0.0.2")
    listener = socket.create_server(("127.0.0.2", slapd.tls_port))
    relay(listener, slapd.tls_port)
    assert url in client(servers=url).run("search", "(cn=*)", status=UNREACHABLE)
    listener.close()


def relay(listener, port, freely=None):
    """Connections to the listener end at a port of 127.0.0.1. After so many bytes answers drip."""
    def pump(source, target, freely):
        passed = 0
        try:
            while piece := source.recv(65536 if freely is None else 100 if passed < freely else 1):
                target.sendall(piece)
                passed += len(piece)
                if freely is not None and passed > freely:
                    time.sleep(0.05)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve():
        while True:
            try:
                one, _ = listener.accept()
            except OSError:
                return
            other = socket.create_connection(("127.0.0.1", port))
            for arguments in ((one, other, None), (other, one, freely)):
                threading.Thread(target=pump, args=arguments, daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()


def test_no_password_without_tls(client):
    # 192.0.2.0/24 leads nowhere (RFC 5737); nothing is even tried.
    for url in ("ldap://192.0.2.1", "ldap://ldap.example.org"):
        assert "no password is sent without TLS" in client(servers=url, starttls="no").run("search", "(cn=*)", status=CONFIGURATION)


def test_wrong_passwords(slapd, client, tmp_path):
    one = client()
    (tmp_path / "bind-password").write_text("wrong\n")
    assert "refused" in one.run("search", "(cn=*)", status=UNAUTHENTICATED)
    client().run("password", slapd.dn("Person 1"), stdin="pw Person 1")
    client().run("password", slapd.dn("Person 1"), stdin="pw Person 2", status=PASSWORD)
    client().run("password", slapd.dn("Person 1"), stdin="", status=PASSWORD)
    client().run("password", slapd.dn("Nobody"), stdin="x", status=PASSWORD)
    client(servers="ldap://127.0.0.1:1").run("password", slapd.dn("Person 1"), stdin="x", status=UNREACHABLE)


def test_the_next_server_is_taken(slapd, client):
    down = f"ldap://127.0.0.1:{free_ports(1)[0]}"
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        slow = f"ldap://127.0.0.1:{silent.getsockname()[1]}"
        shown = client(servers=f"{down} {slow} {slapd.url}", connect_limit="1s").run("search", "(objectClass=inetOrgPerson)")
        assert shown.startswith(slapd.url) and "25 entries" in shown
        said = client(servers=f"{down} {slow}", connect_limit="1s").run("search", "(cn=*)", status=TIMEOUT)
        assert down in said and slow in said


def test_tls_that_drips(slapd, client):
    """A record of TLS that comes a byte at a time would take minutes; the time limit holds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay(listener, slapd.tls_port, freely=4000)
        url = f"ldaps://127.0.0.1:{listener.getsockname()[1]}"
        slapd.modify(slapd.dn("Person 4"), description="x" * 12000)
        client(servers=url, connect_limit="5s", time_limit="5s").run("read", slapd.dn("Person 4"), status=TIMEOUT)


def test_garbage_is_no_answer(client):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            one, _ = listener.accept()
            with one:
                one.recv(1000)
                one.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
                one.recv(1000)
        threading.Thread(target=serve, daemon=True).start()
        client(servers=f"ldap://127.0.0.1:{listener.getsockname()[1]}", connect_limit="2s").run("search", "(cn=*)", status=UNREACHABLE)


def test_changes_are_exact(slapd, client):
    dn, one = slapd.dn("Person 2"), client()
    one.run("add", dn, "description", "first")
    one.run("add", dn, "description", "second")
    assert "exists" in one.run("add", dn, "description", "second", status=EXISTS)
    one.run("delete", dn, "description", "first")
    one.run("delete", dn, "description", "first", status=STALE)
    assert next(iter(slapd.search("(cn=Person 2)", "description").values()))["description"] == [b"second"]


def test_referrals(slapd, client, tmp_path):
    """A subordinate server among ours is followed, with our password; another is named and sees nothing of us."""
    with Slapd(authority=slapd.authority, people=[{"name": "Far Away"}]) as other, socket.create_server(("127.0.0.1", 0)) as stranger:
        strange = f"ldap://127.0.0.1:{stranger.getsockname()[1]}"
        for number, url in enumerate([other.url, strange]):
            slapd._tool("ldapadd", "-M", text=ldif(f"cn=referral{number},{slapd.BASE}", {
                "objectClass": ["referral", "extensibleObject"], "cn": f"referral{number}", "ref": f"{url}/ou=people,{slapd.BASE}"}))
        try:
            both = client(servers=f"{slapd.url} {other.url}").run("search", "(objectClass=inetOrgPerson)")
            assert "cn=Far Away" in both and "26 entries" in both
            assert strange in both and "not among [directory] servers" in both
            alone = client().run("search", "(objectClass=inetOrgPerson)")
            assert "25 entries" in alone and other.url in alone
            stranger.settimeout(0.2)
            with pytest.raises(TimeoutError):
                stranger.accept()
        finally:
            for number in range(2):
                slapd._tool("ldapdelete", "-M", f"cn=referral{number},{slapd.BASE}")


# ---- Active Directory ----

@pytest.fixture
def ad_client(samba, tmp_path):
    def make(**others):
        options = samba.options(**{key.replace("_", "-"): value for key, value in others.items()})
        return Client(tmp_path, options, samba.namespace.prefix, samba.environment)
    return make


@pytest.mark.parametrize("url", [SambaAd.URL, SambaAd.TLS_URL])
def test_active_directory_by_password(ad_client, url):
    shown = ad_client(servers=url).run("search", "(objectClass=user)")
    assert shown.startswith(url) and "cn=vouchsafe,cn=users" in shown.lower() and "not among" not in shown


@pytest.mark.parametrize("url,starttls", [(SambaAd.URL, "no"), (SambaAd.URL, "yes"), (SambaAd.TLS_URL, "yes")])
def test_active_directory_by_kerberos(samba, ad_client, url, starttls):
    keytab = samba.keytab()
    options = {"bind": "gssapi", "keytab": keytab, "bind_dn": None, "bind_password_file": None, "servers": url, "starttls": starttls}
    assert "cn=vouchsafe,cn=users" in ad_client(principal=f"vouchsafe@{samba.REALM}", **options).run("search", "(objectClass=user)").lower()
    assert "no ticket" in ad_client(principal=f"nobody@{samba.REALM}", **options).run("search", "(objectClass=user)", status=UNAUTHENTICATED)


def test_active_directory_passwords(samba, ad_client):
    dn = f"CN=vouchsafe,CN=Users,{samba.BASE}"
    ad_client().run("password", dn, stdin=samba.PASSWORD)
    ad_client().run("password", dn, stdin="wrong", status=PASSWORD)
    ad_client().run("supports", "1.2.840.113556.1.4.841")
