# SPDX-License-Identifier: Apache-2.0
"""The read-only LDAP service: what mail programs look up, with the clients of OpenLDAP and with ldap3, and what hostile clients get."""
import contextlib
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import ldap3
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import BUILD, DAEMON, Server, free_ports  # noqa: E402

BASE = 'o=Beispiel & Söhne\\, \\"Test\\"'
PASSWORD = "a reader's password"
HOST = socket.gethostname()  # libldap takes "localhost" for this


def resolves(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError:
        return False


PEOPLE = '''name,given_name,surname,mail,unit
"Alice (Ops), Liddell* \\ +",Alice,Liddell,alice@example.org,Europe/Sales
Bob Baker,Bob,Baker,bob@example.org,Europe
Zoë Ünal,Josefine,Ünal,zoe@example.org,
No Certificate,No,Certificate,none@example.org,
Revoked Roy,Roy,Revoked,roy@example.org,
'''


class Service:
    """A server with people, and the LDAP service in front of it."""

    def __init__(self, **options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vouchsafe-ldapd-"))
        self.folder.chmod(0o755)
        self.port, self.tls_port = free_ports(2)
        password = self.folder / "password"
        password.write_text(PASSWORD + "\n")
        password.chmod(0o600)
        self.server = Server(folder=self.folder / "server", options={
            "server": {"host-names": f"localhost {HOST}"},
            "enroll": {"encryption-profile": "p256", "pool-size": 0},
            "limits": {"request-deadline": "2s", "connections-per-address": 20},
            "ldap": {"listen": f"127.0.0.1:{self.port}", "listen-tls": f"127.0.0.1:{self.tls_port}",
                     "bind-name": "cn=reader", "bind-password-file": password, **options}})

    def init(self):
        self.server.init()
        people = self.folder / "people.csv"
        people.write_text(PEOPLE)
        self.server.run("directory", "import", people, home="rita")
        for name in ("alice", "bob", "zoe", "roy"):
            self.server.enroll(f"{name}@example.org")
        self.server.run("user", "revoke", "roy@example.org", "--reason", "keyCompromise", home="rita")
        self.root = self.folder / "root.pem"
        subprocess.run(["openssl", "pkcs12", "-in", self.server.folder / "root.p12", "-nokeys", "-out", self.root, "-passin",
                        f"file:{self.server.folder / 'root-password'}"], check=True, capture_output=True)
        return self

    def search(self, *arguments, status=0, tool="ldapsearch", url=None, **options):
        """What one of OpenLDAP's clients printed; lines are not folded."""
        done = subprocess.run([tool, "-x", *(["-LLL", "-o", "ldif_wrap=no"] if tool == "ldapsearch" else []), "-H",
                               url or f"ldap://127.0.0.1:{self.port}", *arguments], capture_output=True, text=True, timeout=60,
                              env={"LDAPTLS_CACERT": str(self.root), "PATH": "/usr/bin:/bin"}, **options)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    def found(self, query, *arguments, **options) -> list[str]:
        """The main addresses of those who match."""
        lines = self.search("-b", "", query, "mail", *arguments, **options).splitlines()
        return sorted(line.split(": ")[1] for line in lines if line.startswith("mail: "))

    @contextlib.contextmanager
    def connect(self):
        client = ldap3.Connection(ldap3.Server("127.0.0.1", self.port, get_info=ldap3.ALL), auto_bind=True)
        try:
            yield client
        finally:
            client.unbind()  # which its own context would not, since it was bound before

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def metric(self, name) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.metrics}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"vouchsafe_ldap_{name}{{"):
                    return int(line.split()[-1])
        return -1

    def remove(self):
        self.server.remove()
        subprocess.run(["rm", "-r", self.folder], check=True)


@pytest.fixture(scope="module")
def service():
    one = Service()
    try:
        yield one.init()
    finally:
        one.remove()


def wait_for(condition, seconds=30):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.1)


# ---- what mail programs ask ----

def test_finds_by_address_and_by_the_beginning_of_names(service):
    assert service.found("(mail=alice@example.org)") == ["alice@example.org"]
    assert service.found("(mail=ALICE@Example.ORG)") == ["alice@example.org"]
    # Thunderbird's completion, Outlook's check of names
    assert service.found("(|(cn=al*)(mail=al*)(sn=al*))") == ["alice@example.org"]
    assert service.found("(&(mail=*)(|(mail=bak*)(|(cn=bak*)(|(sn=bak*)(givenName=bak*)))))") == ["bob@example.org"]
    assert service.found("(givenName=jos*)") == ["zoe@example.org"]
    assert service.found("(sn=Ünal)") == ["zoe@example.org"]
    for query in ("(sn=ÜNAL)", "(cn=zOË ünal)", "(sn=u\u0308n*)", "(cn=*OË*NAL)",
                  "(|(cn=ZOË*)(mail=Ün*)(sn=ün*)(mail=zo*))"):
        assert service.found(query) == ["zoe@example.org"], query
    assert service.found("(|(cn=Zoe*)(sn=unal)(mail=zoë@example.org))") == []
    assert service.found("(|(mail=bob@example.org)(mail=zoe@example.org)(mail=none@example.org))") == ["bob@example.org", "zoe@example.org"]
    assert service.found("(cn=*l*)") == ["alice@example.org", "zoe@example.org"]
    assert service.found("(&(objectClass=inetOrgPerson)(!(cn=bob*)))") == ["alice@example.org", "zoe@example.org"]
    assert service.found("(telephoneNumber=*)") == []


def test_an_international_domain_is_found_in_either_spelling(service):
    service.server.run("directory", "edit", "alice@example.org", "--add-address", "Alice@BÜCHER.example", home="rita")
    for spelling in ("alice@bücher.example", "alice@xn--bcher-kva.example"):
        assert "alice@example.org" in service.found(f"(mail={spelling})")
    service.server.run("directory", "edit", "alice@example.org", "--remove-address", "alice@xn--bcher-kva.example", home="rita")
    assert service.found("(mail=alice@bücher.example)") == []


def test_difficult_names_are_escaped(service):
    assert service.found(r"(cn=Alice \28Ops\29, Liddell\2a \5c +)") == ["alice@example.org"]
    with service.connect() as client:
        client.search(BASE, "(mail=alice@example.org)", attributes=["*"])
        entry = client.entries[0]
        assert entry.entry_dn == f"mail=alice@example.org,{BASE}"
        assert entry["cn"].value == "Alice (Ops), Liddell* \\ +"
        assert entry["ou"].values == ["Europe", "Sales"]
        assert client.server.info.naming_contexts == [BASE]
        # and the name finds the entry again
        assert client.search(entry.entry_dn, "(objectClass=*)", search_scope=ldap3.BASE, attributes=["cn"])
        assert not client.search(f"mail=nobody@example.org,{BASE}", "(objectClass=*)", search_scope=ldap3.BASE)
        assert client.result["description"] == "noSuchObject" and client.result["dn"] == BASE


def test_the_certificate_is_the_one_that_encrypts(service):
    with service.connect() as client:
        client.search(BASE, "(mail=bob@example.org)", attributes=["userCertificate"])
        found = client.entries[0]["userCertificate;binary"].raw_values
    assert len(found) == 1
    shown = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-ext", "keyUsage,subjectAltName"], input=found[0],
                           capture_output=True, check=True).stdout.decode()
    assert "Key Agreement" in shown and "bob@example.org" in shown
    service.server.run("certificate", "find", "bob@example.org", "--out", service.folder / "bob.pem", home="alice@example.org")
    der = subprocess.run(["openssl", "x509", "-in", service.folder / "bob.pem", "-outform", "DER"], capture_output=True, check=True).stdout
    assert der == found[0]


def test_what_the_user_handed_in_comes_with_it(service):
    with service.connect() as client:
        client.search(BASE, "(mail=bob@example.org)", attributes=["userSMIMECertificate"])
        assert len(client.entries[0]["userSMIMECertificate"].raw_values) == 1
        value = client.entries[0]["userSMIMECertificate"].raw_values[0]
    shown = subprocess.run(["openssl", "pkcs7", "-inform", "DER", "-print_certs", "-noout"], input=value, capture_output=True, check=True)
    assert b"bob" in shown.stdout.lower()


def test_only_who_can_be_written_to_is_shown(service):
    assert service.found("(mail=none@example.org)") == []
    assert service.found("(mail=roy@example.org)") == []
    # disabled in the directory from one moment to the next
    people = service.folder / "disabled.csv"
    people.write_text("name,mail,disabled\nDora Disabled,dora@example.org,no\n")
    service.server.run("directory", "import", people, home="rita")
    service.server.enroll("dora@example.org")
    assert service.found("(mail=dora@example.org)") == ["dora@example.org"]
    people.write_text("name,mail,disabled\nDora Disabled,dora@example.org,yes\n")
    service.server.run("directory", "import", people, home="rita")
    assert service.found("(mail=dora@example.org)") == []
    assert service.found("(cn=dora*)") == []


def test_attributes_are_selected(service):
    one = ["-b", "", "(mail=bob@example.org)"]
    assert "cn: Bob Baker" in service.search(*one)
    assert "subschemaSubentry" not in service.search(*one)
    assert "subschemaSubentry: cn=Subschema" in service.search(*one, "+")
    assert service.search(*one, "1.1").splitlines()[1:] == [""]
    assert service.search(*one, "-A", "cn").splitlines()[1:] == ["cn:", ""]
    assert "userCertificate;binary:: " in service.search(*one, "usercertificate;binary")
    assert service.search(*one, "cn;lang-de").splitlines()[1:] == [""]


# ---- the protocol ----

def test_the_root_says_what_there_is(service):
    root = service.search("-b", "", "-s", "base", "*", "+")
    for line in ["supportedLDAPVersion: 3", "supportedControl: 1.2.840.113556.1.4.319", "supportedExtension: 1.3.6.1.4.1.1466.20037",
                 "vendorName: Vouchsafe", "subschemaSubentry: cn=Subschema"]:
        assert line in root
    schema = service.search("-b", "cn=Subschema", "-s", "base", "+", "*")
    assert "NAME 'inetOrgPerson'" in schema and "NAME ( 'mail' 'rfc822Mailbox' )" in schema


def test_pages(service):
    everybody = service.found("(mail=*)")
    assert service.found("(mail=*)", "-E", "pr=1/noprompt") == everybody and len(everybody) == 3
    with service.connect() as client:
        def page(query, cookie):
            client.search(BASE, query, attributes=["mail"], paged_size=1, paged_cookie=cookie)
            return client.result["description"], client.result["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"]

        _, cookie = page("(mail=*)", None)
        assert page("(cn=*)", cookie)[0] == "unwillingToPerform"  # another search
        _, cookie = page("(mail=*)", None)
        assert page("(mail=*)", b"\x07" * 8)[0] == "unwillingToPerform"
        _, cookie = page("(mail=*)", None)
        with service.connect() as other:
            other.search(BASE, "(mail=*)", attributes=["mail"], paged_size=1, paged_cookie=cookie)
            assert other.result["description"] == "unwillingToPerform"
        assert page("(mail=*)", cookie)[0] == "success"


def test_much_is_found_at_once(service):
    """More than waits to be sent at a time, with a client that begins to read late."""
    server = service.server
    server.run("directory", "import", server.people(150), home="rita")
    subprocess.run([BUILD / "bench/load", "--server", server.url, "--tokens", server.tokens("unit:Load")], check=True, capture_output=True)
    assert len(service.found("(cn=person*)")) == 150
    assert len(service.found("(cn=person*)", "-E", "pr=40/noprompt")) == 150
    with service.raw() as client:
        client.sendall(search_message(b"\x87\x02cn"))
        time.sleep(0.5)
        got = b""
        while b"\x02\x01\x01\x65" not in got[-200:]:
            got += client.recv(65536) or pytest.fail("the answer is cut off")
    assert got.count(b"load1") >= 100 and len(got) > 100000


def test_limits(service):
    assert "Size limit exceeded" in service.search("-b", "", "-z", "2", "(mail=*)", status=4)
    assert service.found("(cn=bob*)", "-z", "1") == ["bob@example.org"]


def test_only_searching_is_possible(service):
    change = "dn: cn=x\nchangetype: delete\n"
    assert "unwilling" in service.search(tool="ldapmodify", status=53, input=change)
    assert "unwilling" in service.search("cn=x", "cn:x", tool="ldapcompare", status=53)
    assert "Critical extension" in service.search("-b", "", "-E", "!sss=cn", "(cn=b*)", status=12)
    assert service.found("(cn=b*)", "-E", "sss=cn") == ["bob@example.org"]
    assert "No such object" in service.search("-b", "o=Elsewhere", "(cn=b*)", status=32)
    assert "Invalid DN" in service.search("-b", "nonsense", "(cn=b*)", status=34)
    with service.connect() as client:
        assert not client.extended("1.3.6.1.4.1.4203.1.11.1")  # change of a password
        assert client.result["description"] == "protocolError"
        assert client.extended("1.3.6.1.4.1.4203.1.11.3")


@pytest.mark.skipif(not resolves(HOST), reason="this machine does not find itself by its name")
def test_tls(service):
    secure = dict(url=f"ldaps://{HOST}:{service.tls_port}")
    assert service.found("(cn=b*)", **secure) == ["bob@example.org"]
    assert service.found("(cn=b*)", "-ZZ", url=f"ldap://{HOST}:{service.port}") == ["bob@example.org"]
    assert service.search("-D", "cn=reader", "-w", PASSWORD, tool="ldapwhoami", **secure) == "u:cn=reader\n"
    assert service.search(tool="ldapwhoami", **secure) == "anonymous\n"


def test_what_follows_start_tls_in_the_clear_is_not_taken(service):
    """A request behind StartTLS in the same packet would be answered as if it had come under TLS."""
    with service.raw() as client:
        client.sendall(bytes.fromhex("301d02010177188016312e332e362e312e342e312e313436362e3230303337") +
                       bytes.fromhex("300c020102600702010304008000"))
        got = b""
        while piece := client.recv(4096):
            got += piece
        assert b"Nothing may follow" in got and len(got) < 200


def test_passwords(service):
    assert service.found("(cn=b*)", "-D", "cn=reader", "-w", PASSWORD) == ["bob@example.org"]
    assert "Invalid credentials" in service.search("-D", "cn=reader", "-w", "wrong", "-b", "", "(cn=b*)", status=49)
    assert "Invalid credentials" in service.search("-D", "cn=root", "-w", PASSWORD, "-b", "", "(cn=b*)", status=49)
    with service.connect() as client:
        for _ in range(2):
            assert not client.rebind(user="cn=reader", password="wrong")
        with pytest.raises(ldap3.core.exceptions.LDAPExceptionError):
            client.rebind(user="cn=reader", password="wrong")
            client.search(BASE, "(cn=b*)")  # closed after the third
    # a name without a password is no proof, whatever a program makes of the success (RFC 4513 section 5.1.2)
    with service.raw() as raw:
        raw.sendall(bytes.fromhex("30150201016010020103040963") + b"n=reader" + bytes.fromhex("8000"))
        assert raw.recv(4096)[9] == 53
    wait_for(lambda: service.metric("binds_refused") >= 4)


# ---- hostile clients ----

BAD = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": bytes.fromhex("16030100a5010000a10303"),
    "huge": bytes.fromhex("30847fffffff0201"),
    "indefinite": bytes.fromhex("3080020101"),
    "length of eight": bytes.fromhex("3088ffffffffffffffff"),
    "inner length": bytes.fromhex("300c020101600702010304ff8000"),
    "number 0": bytes.fromhex("300c020100600702010304008000"),
    "negative number": bytes.fromhex("300c0201ff600702010304008000"),
    "no operation": bytes.fromhex("3003020101"),
    "unknown operation": bytes.fromhex("30050201017f00"),
    "response": bytes.fromhex("300c02010161070a010004000400"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_request_ends_the_connection(service, name):
    with service.raw() as client:
        client.sendall(BAD[name])
        got = b""
        while piece := client.recv(4096):
            got += piece
    assert b"1.3.6.1.4.1.1466.20036" in got  # notice of disconnection
    assert service.found("(cn=b*)") == ["bob@example.org"]


def nested(depth):
    inner = b"\x87\x02cn"
    for _ in range(depth):
        length = len(inner)
        inner = b"\xa2" + (bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")) + inner
    return inner


def search_message(encoded_filter, number=1):
    body = b"\x04\x00\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00" + encoded_filter + b"\x30\x00"
    operation = b"\x63\x82" + len(body).to_bytes(2, "big") + body
    message = b"\x02\x01" + bytes([number]) + operation
    return b"\x30\x82" + len(message).to_bytes(2, "big") + message


def test_a_deep_filter_is_refused(service):
    with service.raw() as client:
        client.sendall(search_message(nested(5000)))
        assert b"1.3.6.1.4.1.1466.20036" in client.recv(4096)


def test_slow_clients_hold_up_nobody(service):
    """A byte now and then, half a TLS handshake, answers that nobody reads: each is cut after the deadline, and others are served."""
    cut = service.metric("connections_cut")
    slow = [service.raw() for _ in range(5)]
    tls = [socket.create_connection(("127.0.0.1", service.tls_port)) for _ in range(2)]
    message = search_message(nested(3))
    for client in slow:
        client.sendall(message[:4])
    for client in tls:
        client.sendall(bytes.fromhex("16030100a5010000a1"))
    until = time.monotonic() + 20
    at = 4
    while service.metric("connections_cut") < cut + 7:
        assert time.monotonic() < until
        assert service.found("(cn=b*)") == ["bob@example.org"]
        for client in slow:
            try:
                client.send(message[at:at + 1])
            except OSError:
                pass
        at = min(at + 1, len(message) - 2)
        time.sleep(0.3)
    for client in slow + tls:
        client.close()


def test_connections_of_one_address_are_limited(service):
    wait_for(lambda: service.metric("connections") == 0)
    refused = service.metric("connections_refused")
    many = [service.raw() for _ in range(25)]
    wait_for(lambda: service.metric("connections_refused") >= refused + 5)
    for client in many:
        client.close()
    wait_for(lambda: service.metric("connections") == 0)
    assert service.found("(cn=b*)") == ["bob@example.org"]


def test_searches_are_abandoned(service):
    """As many searches as are let in at once, abandoned or left alone; then the connection goes on."""
    abandon = b"".join(b"\x30\x06\x02\x01" + bytes([60 + i]) + b"\x50\x01" + bytes([1 + i]) for i in range(30))
    with service.raw() as client:
        client.sendall(b"".join(search_message(b"\x87\x04mail", 1 + i) for i in range(30)) + abandon + search_message(b"\x87\x02cn", 99))
        got = b""
        while b"\x02\x01\x63\x65" not in got:
            piece = client.recv(65536)
            assert piece
            got += piece
    assert service.found("(cn=b*)") == ["bob@example.org"]


# ---- the server around it ----

def test_the_engine_and_the_service_come_back(service):
    server = service.server
    for name in ("engine 1", "ldap 1"):
        with service.connect() as client:
            pid = server.children()[name]
            subprocess.run(["kill", "-9", str(pid)], check=True)
            wait_for(lambda: server.children().get(name) not in (None, pid))
            server.wait()
        wait_for(lambda: bob_is_there(service))


def bob_is_there(service) -> bool:
    try:
        with service.connect() as client:
            return client.search(BASE, "(mail=bob@example.org)")
    except ldap3.core.exceptions.LDAPExceptionError:
        return False


def test_a_sealed_server_says_so(service):
    service.server.run("seal", "--config", service.server.config, password=False)
    service.server.wait("sealed")
    assert "unsealed" in service.search("-b", "", "(cn=b*)", status=52)
    service.server.stop()
    service.server.start()
    assert service.found("(cn=b*)") == ["bob@example.org"]


def test_options_are_taken_live(service):
    """On SIGHUP: who may search, where the base is, and the limits."""
    before = service.server.config.read_text()
    options = {"anonymous": "no", "base": "dc=example,dc=org", "size-limit": 1, "scan-limit": 4, "idle-timeout": "1s"}
    bound = ["-D", "cn=reader", "-w", PASSWORD]
    service.server.config.write_text(before.replace("[ldap]\n", "[ldap]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())))
    try:
        service.server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "dc=example" in service.search("-b", "", "-s", "base", *bound))
        assert "Inappropriate" in service.search("-b", "", "(cn=b*)", status=48)
        client = ldap3.Connection(ldap3.Server("127.0.0.1", service.port))
        client.open()  # and no bind
        assert client.search("", "(objectClass=*)", search_scope=ldap3.BASE)
        assert not client.search("dc=example,dc=org", "(cn=b*)") and client.result["description"] == "strongerAuthRequired"
        client.unbind()
        assert "dn: mail=bob@example.org,dc=example,dc=org" in service.search(*bound, "-b", "DC=example, dc=org", "(cn=b*)")
        assert "Size limit" in service.search(*bound, "-b", "", "(|(cn=b*)(cn=a*))", status=4)
        assert "Administrative limit" in service.search(*bound, "-b", "", "(ou=nowhere)", status=11)
        with service.raw() as client:
            assert client.recv(1) == b""  # idle
    finally:
        service.server.config.write_text(before)
        service.server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "dc=example" not in service.search("-b", "", "-s", "base", *bound))


def test_wrong_configurations_are_named():
    service = Service()
    try:
        for line, sentence in [("base = nonsense", "[ldap] base is no distinguished name"), ("anonymous = no\n", "[ldap] bind-name is missing"),
                               ("bind-name = x", "[ldap] bind-password-file is missing")]:
            text = service.server.config.read_text()
            start = text.index("[ldap]")
            path = service.folder / "wrong.conf"
            path.write_text(text[:start] + "[ldap]\n" + line + "\n")
            done = subprocess.run([DAEMON, "--config", path, "--check"], capture_output=True, text=True)
            assert done.returncode != 0 and sentence in done.stderr, done.stderr
    finally:
        service.remove()
