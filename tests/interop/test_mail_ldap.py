# SPDX-License-Identifier: Apache-2.0
"""Recipients' certificates straight from an LDAP directory (OpenLDAP's slapd) that our server knows nothing of: those of a partner with a CA of its own."""
import http.server
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

import ldap3
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Server, free_ports  # noqa: E402
from mail_pki import Pki  # noqa: E402
from mail_tool import tool  # noqa: E402
from peers import Authority, Slapd  # noqa: E402

pytestmark = pytest.mark.skipif(Slapd.unavailable() is not None, reason=Slapd.unavailable() or "")
MESSAGE = "From: Alice <alice@example.org>\r\nTo: x\r\nSubject: s\r\n\r\nThe secret.\r\n"
ACCESS = "access to * by * read\n"


class World:
    def __init__(self, folder: pathlib.Path):
        folder.chmod(0o755)
        self.folder = folder
        (folder / "pki").mkdir()
        self.pki = Pki(folder / "pki")
        self.port, = free_ports(1)
        self.server = Server(folder=folder / "server", options={
            "enroll": {"encryption-profile": "p256", "pool-size": 0}, "ldap": {"listen": f"127.0.0.1:{self.port}"}})
        self.directory = Slapd(folder / "slapd", Authority(folder / "tls"), access=ACCESS)
        self.url = f"{self.directory.url}/{Slapd.BASE}"

    def start(self):
        self.server.init()
        people = self.folder / "people.csv"
        people.write_text("name,mail\nAlice,alice@example.org\nBob,bob@example.org\n")
        self.server.run("directory", "import", people, home="rita")
        for name in ("alice", "bob"):
            self.server.enroll(f"{name}@example.org")
        self.directory.start()
        return self

    def stop(self):
        self.directory.remove()
        self.server.remove()

    def certificate(self, name, address, **options) -> bytes:
        self.pki.user(name, address, **options)
        return subprocess.run(["openssl", "x509", "-in", self.pki.cert(name), "-outform", "DER"], check=True, capture_output=True).stdout

    def add(self, name, address, *certificates, **attributes):
        values = {"userCertificate;binary": list(certificates)} if certificates else {}
        self.directory.add(self.directory.person(name, mail=address, **values, **attributes))

    def encrypt(self, *addresses, status=0, url=None, trust=True, home="alice@example.org"):
        arguments = ["mail", "encrypt", "--not-to-self"]
        for address in addresses:
            arguments += ["--to", address]
        arguments += ["--ldap", url or self.url] if url != "" else []
        arguments += ["--trust", self.pki.cert("ca")] if trust else []
        done = self.server.result(*arguments, home=home, status=None, stdin=MESSAGE, password=False)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done

    def opens(self, name, message: str) -> bool:
        done = subprocess.run(["openssl", "cms", "-decrypt", "-inkey", self.pki.key(name), "-recip", self.pki.cert(name)], input=message,
                              capture_output=True, text=True)
        return "The secret." in done.stdout


@pytest.fixture(scope="module")
def world():
    one = World(pathlib.Path(tempfile.mkdtemp(prefix="vouchsafe-mail-ldap-")))
    try:
        yield one.start()
    finally:
        one.stop()
        shutil.rmtree(one.folder)


def test_a_stranger_is_found(world):
    world.add("Carl Partner", "carl@partner.example", world.certificate("carl", "carl@partner.example"))
    assert world.opens("carl", world.encrypt("carl@partner.example").stdout)
    assert world.opens("carl", world.encrypt("Carl@Partner.example", "bob@example.org").stdout)


def test_only_what_leads_to_a_trusted_root_is_taken(world):
    done = world.encrypt("carl@partner.example", trust=False, status=43)
    assert "carl@partner.example cannot be written to" in done.stderr and world.directory.url in done.stderr


def test_nobody_is_left_out_silently(world):
    world.add("Dora Expired", "dora@partner.example", world.certificate("dora", "dora@partner.example", expired=True))
    world.add("Egon Other", "egon@partner.example", world.certificate("egon", "somebody@partner.example"))
    world.add("Fritz Signer", "fritz@partner.example", world.certificate("fritz", "fritz@partner.example", section="signer"))
    world.add("Gerda Nothing", "gerda@partner.example")
    done = world.encrypt("carl@partner.example", "dora@partner.example", "egon@partner.example", "fritz@partner.example", "gerda@partner.example", status=43)
    assert not done.stdout
    lines = {line.split()[0]: line for line in done.stderr.splitlines()}
    assert "not at" in lines["dora@partner.example"] and "somebody else" in lines["egon@partner.example"] and "signatures only" in lines["fritz@partner.example"]
    assert "gerda@partner.example" in lines["vouchsafe:"] and "carl" not in done.stderr


def test_the_newest_is_taken(world):
    values = [world.certificate(f"hugo{n}", "hugo@partner.example", days=days) for n, days in enumerate([10, 700])]
    world.add("Hugo Two", "hugo@partner.example", *values)
    # both begin in the same minute or the second begins later: it is the one that openssl made last
    message = world.encrypt("hugo@partner.example").stdout
    assert world.opens("hugo1", message) or world.opens("hugo0", message)


class Lists(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_):
        pass


def test_a_list_for_other_certificates_does_not_take_the_place_of_theirs(world):
    """Somebody on the way sends another list of the same issuer."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lists) as lists:
        threading.Thread(target=lists.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{lists.server_address[1]}/1"
        world.pki.user("ida", "ida@partner.example", "ec").at("ida", place)
        message = tool("sign", "--signer", world.pki.cert("ida"), "--signer-key", world.pki.key("ida"), message=b"From: ida@partner.example\n\nhi\n").out

        def verify(crl):
            lists.content = subprocess.run(["openssl", "crl", "-in", crl, "-outform", "DER"], check=True, capture_output=True).stdout
            return world.server.result("mail", "verify", "--check", "--trust", world.pki.cert("ca"), stdin=message, status=None, home="alice@example.org",
                                       password=False).returncode

        issued = world.pki.folder / "index.txt"
        before = issued.read_bytes()
        assert verify(world.pki.crl(at=place + "1")) == 45
        assert verify(world.pki.crl("ida", at=place)) == 47
        issued.write_bytes(before)
        other = world.pki.crl(at=place + "1")
        for _ in range(2):
            assert verify(other) == 47
        lists.shutdown()


def test_filters_are_escaped(world):
    world.add("Ida Stars", "ida@partner.example", world.certificate("ida", "ida@partner.example"))
    for address in ["i*@partner.example", "*@partner.example", "ida)(mail=*@partner.example", "ida\\2a@partner.example"]:
        done = world.server.result("mail", "encrypt", "--to", address, "--ldap", world.url, "--trust", world.pki.cert("ca"), home="alice@example.org",
                                   status=None, stdin=MESSAGE, password=False)
        assert done.returncode in (2, 43) and not done.stdout, (address, done.stderr)


def test_answers_are_kept(world):
    assert world.opens("carl", world.encrypt("carl@partner.example").stdout)
    world.encrypt("late@partner.example", status=43)
    world.add("Late Comer", "late@partner.example", world.certificate("late", "late@partner.example"))
    world.encrypt("late@partner.example", status=43)  # for some minutes it is not asked again
    home = world.server.homes / "alice@example.org"
    world.directory.stop()
    try:
        assert world.opens("carl", world.encrypt("carl@partner.example").stdout)
        done = world.encrypt("new@partner.example", status=43)
        assert "new@partner.example cannot be written to" in done.stderr
    finally:
        world.directory.start()
    for path in (home / "cache/ldap").rglob("*late*"):
        path.unlink()
    assert world.opens("late", world.encrypt("late@partner.example").stdout)


def test_user_smime_certificate_comes_first(world):
    """Bob's own, as his client made it and our server has it; the older way to keep certificates beside it. With our server away."""
    client = ldap3.Connection(ldap3.Server("127.0.0.1", world.port), auto_bind=True)
    client.search("", "(mail=bob@example.org)", attributes=["userSMIMECertificate"])
    value = client.entries[0]["userSMIMECertificate"].raw_values[0]
    client.unbind()
    pem = world.folder / "bob.pem"
    world.server.run("certificate", "find", "bob@example.org", "--out", pem, home="alice@example.org")
    der = subprocess.run(["openssl", "x509", "-in", pem, "-outform", "DER"], check=True, capture_output=True).stdout
    world.add("Bob Baker", "bob@example.org", der, userSMIMECertificate=value)
    for path in (world.server.homes / "alice@example.org/cache/certificates").rglob("*bob*"):
        path.unlink()
    world.server.stop()
    try:
        message = world.encrypt("bob@example.org").stdout
    finally:
        world.server.start()
    opened = world.server.run("mail", "decrypt", home="bob@example.org", stdin=message)
    assert "The secret." in opened


def test_where_to_look_is_kept(world):
    """In the environment, or in a file of the home; over StartTLS, with a name and password, and without a base."""
    home = world.server.homes / "alice@example.org"
    for url in [world.url, world.directory.url]:
        (home / "ldap").write_text(f"# partners\n\n{url}\n")
        assert world.opens("carl", world.encrypt("carl@partner.example", url="").stdout)
    (home / "ldap").write_text("nonsense\n")
    assert "nonsense" in world.encrypt("carl@partner.example", url="", status=2).stderr
    (home / "ldap").unlink()
    assert "no URL of a directory" in world.encrypt("carl@partner.example", url="http://x/", status=2).stderr
    assert "not known" in world.encrypt("carl@partner.example", url=world.url + "????x-magic", status=2).stderr
    assert "VOUCHSAFE_LDAP_PASSWORD_FILE" in world.encrypt("carl@partner.example", url=world.url + "????bindname=cn=x", status=2).stderr


def test_tls_and_a_name(world, monkeypatch):
    password = world.folder / "reader"
    password.write_text(Slapd.PASSWORD)
    monkeypatch.setenv("VOUCHSAFE_LDAP_PASSWORD_FILE", str(password))
    name = Slapd.ACCOUNT.replace(",", "%2c").replace("=", "%3d")
    message = ["ida@partner.example"]
    for number, url in enumerate([f"ldap://localhost:{world.directory.port}/{Slapd.BASE}????StartTLS,bindname={name}",
                                  f"ldaps://localhost:{world.directory.tls_port}/{Slapd.BASE}????bindname={name}"]):
        monkeypatch.delenv("VOUCHSAFE_CA_FILE", raising=False)
        assert "cannot be written to" in world.encrypt(*message, url=url, status=43).stderr  # nobody knows that CA
        monkeypatch.setenv("VOUCHSAFE_CA_FILE", str(world.directory.authority.certificate))
        assert world.opens("ida", world.encrypt(*message, url=url).stdout)
    password.write_text("wrong")
    assert "cannot be written to" in world.encrypt("new@partner.example", url=url, status=43).stderr


def test_certificate_find_looks_there_too(world):
    out = world.folder / "ida.pem"
    world.server.run("certificate", "find", "ida@partner.example", "--ldap", world.url, "--trust", world.pki.cert("ca"), "--out", out,
                     home="alice@example.org", password=False)
    assert out.read_text().count("BEGIN CERTIFICATE") == 1
