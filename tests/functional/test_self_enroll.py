# SPDX-License-Identifier: Apache-2.0
"""Enrollment by the directory's password, and selections by filter and nested groups, with a real slapd."""
import base64
import hashlib
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import threading
import urllib.request

import pytest

import harness
from peers import Slapd
from test_cli_enroll import Cutter

pytestmark = pytest.mark.skipif(Slapd.unavailable() is not None, reason=str(Slapd.unavailable()))
SECRET = "opens more than mail: ü"


@pytest.fixture(scope="module")
def slapd():
    people = [{"name": f"{name} Person", "userPassword": SECRET, "title": "Engineer" if name < "E" else "Cook"}
              for name in ("Ada", "Bea", "Cem", "Dan", "Eve", "Fay", "Gus (the) *")]
    with Slapd(people=people) as one:
        inner = [one.dn(f"{name} Person") for name in ("Ada", "Bea", "Cem", "Dan")]
        one.add(one.group("Inner", *inner) + one.group("Mail users", one.dn("Inner", "groups"), one.dn("Eve Person")))
        yield one


@pytest.fixture(scope="module")
def server(slapd):
    options = {"directory": slapd.options(), "enroll": {"encryption-profile": "p256", "pool-size": 0, "self": "yes", "self-group": "Mail users"},
               "limits": {"token-failures-per-address": 1000}}
    with harness.Server(options=options) as one:
        one.run("directory", "sync", "--wait", home="rita")
        yield one


def authority(server) -> dict:
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(f"{server.url}/api/v1/authority", context=context) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def ca(server) -> pathlib.Path:
    """The root of the server, as its administrator hands it out."""
    reply = authority(server)
    path = server.folder / "ca.pem"
    path.write_text("".join(ssl.DER_cert_to_PEM_cert(base64.b64decode(reply[name])) for name in ("root", "issuer")))
    return path


def enroll(server, address, *options, password=SECRET, **others):
    return server.enroll_by_password(address, password, *options, **others)


def test_a_password_enrolls_its_person(server, ca):
    done = enroll(server, "Ada@example.org", "--ca-file", ca)
    assert done.returncode == 0 and "Enrolled Ada Person" in done.stdout, done.stderr
    assert "password" not in done.stderr
    fingerprint = re.search("SHA-256 ([0-9a-f]{64})", done.stdout).group(1)
    by_print = enroll(server, "bea@example.org", "--ca-fingerprint", ":".join(re.findall("..", fingerprint.upper())))
    assert by_print.returncode == 0, by_print.stderr
    # This folder knows the CA by now, and the server knows Ada.
    again = enroll(server, "ada@example.org", home="self-Ada@example.org")
    assert again.returncode == 17 and "enrolled already" in again.stderr
    shown = server.json("user", "show", "ada@example.org", home="rita")
    assert len([one for one in shown["certificates"] if one["state"] == "valid"]) == 2


def test_all_refusals_read_alike(server, ca, slapd):
    wrong = enroll(server, "cem@example.org", "--ca-file", ca, password="not it")
    others = [enroll(server, "nobody@example.org", "--ca-file", ca), enroll(server, "fay@example.org", "--ca-file", ca)]
    assert wrong.returncode == 24 and "not accepted" in wrong.stderr
    assert {(one.returncode, one.stderr) for one in others} == {(24, wrong.stderr)}
    assert "(&" not in wrong.stderr and slapd.BASE not in wrong.stderr
    empty = enroll(server, "cem@example.org", "--ca-file", ca, password="")
    assert empty.returncode == 2 and "empty" in empty.stderr


class InBetween(http.server.BaseHTTPRequestHandler):
    """Says that the CA of its own certificate issues for the server's root, which anybody can have, and notes what else it hears."""

    def answer(self):
        self.server.heard.append((self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0))))
        content = json.dumps(self.server.authority if self.path.endswith("/authority") else {"state": "unsealed"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def in_between(server, tmp_path):
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", chain,
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), InBetween) as one:
        one.socket = context.wrap_socket(one.socket, server_side=True)
        one.handle_error = lambda *_: None
        one.heard = []
        one.authority = dict(authority(server), issuer=base64.b64encode(ssl.PEM_cert_to_DER_cert(chain.read_text())).decode())
        one.url = f"https://localhost:{one.server_address[1]}"
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one
        one.shutdown()


def test_the_password_goes_to_nobody_else(server, ca, in_between):
    for options in (["--ca-file", ca], []):
        done = enroll(server, "cem@example.org", *options, url=in_between.url, home="deceived")
        assert done.returncode == 13, done.stderr
    unknown = enroll(server, "cem@example.org", home="knows-no-ca")
    assert unknown.returncode == 13 and "--ca-file" in unknown.stderr
    other = enroll(server, "cem@example.org", "--ca-fingerprint", "00" * 32)
    assert other.returncode == 13 and "nothing was sent" in other.stderr
    assert not in_between.heard
    root = hashlib.sha256(base64.b64decode(in_between.authority["root"])).hexdigest()
    done = enroll(server, "cem@example.org", "--ca-fingerprint", root, url=in_between.url, home="deceived by an issuer")
    assert [path for path, _ in in_between.heard] == ["/api/v1/authority"], in_between.heard
    assert done.returncode == 13, done.stderr


@pytest.mark.parametrize("after", [2500, 5500])
def test_a_cut_connection_is_completed(server, ca, after):
    """Once the server has enrolled him the directory is not asked again."""
    address = {2500: "cem@example.org", 5500: "dan@example.org"}[after]
    cutter = Cutter(server.https, after)
    first = enroll(server, address, "--ca-file", ca, url=cutter.url)
    cutter.listener.close()
    done = enroll(server, address, "--ca-file", ca)
    assert done.returncode == 0, first.stderr + done.stderr
    shown = server.json("user", "show", address, home="rita")
    assert len([one for one in shown["certificates"] if one["state"] == "valid"]) == 2


def test_no_password_is_kept_anywhere(server):
    for path in [server.log, *server.data.rglob("*"), *(server.homes).rglob("*")]:
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_filters_and_nested_groups_select(server):
    rows = server.json("user", "enroll", "filter:(title=Engineer)", "--dry-run", home="rita")["rows"]
    assert {row["address"] for row in rows} == {f"{name}@example.org" for name in ("ada", "bea", "cem", "dan")}
    rows = server.json("user", "enroll", "group:Mail users", "filter:(cn=Gus \\28the\\29 \\2a Person)", "group:Inner", "--dry-run", home="rita")["rows"]
    assert sorted(row["address"] for row in rows) == [f"{name}@example.org" for name in ("ada", "bea", "cem", "dan", "eve", "gus")]
    done = server.result("user", "enroll", "filter:(title=", home="rita", status=None)
    assert done.returncode in (10, 12) and "filter" in done.stderr, done.stderr
    assert server.result("user", "enroll", "filter:(title=Nobody)", home="rita", status=None).returncode == 15
