# SPDX-License-Identifier: Apache-2.0
"""Enrollment by the directory's password, and selections by filter and nested groups, with a real slapd."""
import base64
import json
import pathlib
import re
import socket
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


@pytest.fixture(scope="module")
def ca(server) -> pathlib.Path:
    """The root of the server, as its administrator hands it out."""
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(f"{server.url}/api/v1/authority", context=context) as answer:
        reply = json.load(answer)
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


def test_the_password_goes_to_nobody_else(server, ca, tmp_path):
    heard = []

    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", chain,
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as one:
                    heard.append(one.recv(65536))
            except OSError:
                if listener.fileno() < 0:
                    return

    threading.Thread(target=serve, daemon=True).start()
    url = f"https://localhost:{listener.getsockname()[1]}"
    for options in (["--ca-file", ca], []):
        done = enroll(server, "cem@example.org", *options, url=url, home="deceived")
        assert done.returncode == 13, done.stderr
    unknown = enroll(server, "cem@example.org", home="knows-no-ca")
    assert unknown.returncode == 13 and "--ca-file" in unknown.stderr
    other = enroll(server, "cem@example.org", "--ca-fingerprint", "00" * 32)
    assert other.returncode == 13 and "nothing was sent" in other.stderr
    assert not any(heard)
    listener.close()


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
