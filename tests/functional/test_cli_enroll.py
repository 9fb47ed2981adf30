# SPDX-License-Identifier: Apache-2.0
"""Tokens, enrollment, key stores: against a real server, cut off at every step."""
import contextlib
import json
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import threading
import time

import pytest

NAMES = ['Müller, "Hans"', "O'Neil", "名前 太郎", "شيرين עברית", "😀😀😀", "x" * 300, "<b>&amp;</b>", "=1+1;--", "a" * 60 + "é" * 20]


def certificates(server, person):
    shown = server.json("user", "show", person.address, home="rita")
    return sorted(item["kind"] for item in shown["certificates"] if item["state"] == "valid")


class Cutter:
    """Passes a connection on to the server and cuts it after so many bytes of the answer."""

    def __init__(self, port, after):
        self.port, self.after, self.cut = port, after, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client):
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self.port)) as upstream:
            threading.Thread(target=self.forward, args=(client, upstream), daemon=True).start()
            passed = 0
            while piece := upstream.recv(1024):
                passed += len(piece)
                if passed > self.after:
                    self.cut += 1
                    break
                client.sendall(piece)
            client.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def forward(client, upstream):
        with contextlib.suppress(OSError):
            while piece := client.recv(65536):
                upstream.sendall(piece)


def test_enroll_gives_two_certificates_of_the_directory_name(server, person):
    for name in NAMES:
        one = person(name).enroll()
        assert certificates(server, one) == ["encryption", "signature"]
        keys = json.loads(one.run("keys", "list", "--json"))["certificates"]
        assert sorted(key["kind"] for key in keys) == ["encryption", "signature"]
        store = next(one.place.glob("users/*/keys"))
        assert stat.S_IMODE(store.stat().st_mode) == 0o600


def test_a_token_is_used_once(server, person):
    one = person()
    token = one.token()
    one.run("enroll", "--server", server.url, "--token-file", token)
    assert "already" in one.run("enroll", "--server", server.url, "--token-file", token)
    stranger = server.result("enroll", "--server", server.url, "--token-file", token, home="stranger", status=18)
    assert "token" in stranger.stderr
    assert certificates(server, one) == ["encryption", "signature"]


def test_a_wrong_token_is_refused_as_a_used_one_is(server, person):
    token = person().token().read_text().strip()
    other = person().token().read_text().strip()
    # The selector of one with the secret of another does not even pass the check symbols.
    assert server.result("enroll", "--server", server.url, "--token", token[:8] + other[8:], home="stranger", status=None).returncode in (18, 19)


def test_a_new_token_cancels_the_old(server, person):
    one = person()
    first = one.token().read_text()
    second = one.token()
    (server.folder / "old").write_text(first)
    assert one.result("enroll", "--server", server.url, "--token-file", server.folder / "old").returncode == 18
    shutil.rmtree(one.place)
    one.run("enroll", "--server", server.url, "--token-file", second)


def test_the_wrong_command_is_not_in_the_way_of_the_right_one(server, person):
    one = person()
    token = one.token()
    assert one.result("recover", "--server", server.url, "--token-file", token).returncode == 18
    one.run("enroll", "--server", server.url, "--token-file", token)
    assert certificates(server, one) == ["encryption", "signature"]


@pytest.mark.parametrize("after", [0, 1500, 3000, 6000])
def test_a_cut_connection_is_completed_by_repeating(server, person, after):
    one = person()
    token = one.token()
    cutter = Cutter(server.https, after)
    done = one.result("enroll", "--server", cutter.url, "--token-file", token)
    if done.returncode:
        assert done.returncode == 23, done.stderr
        assert not list(one.place.glob("users/*/keys")) and list(one.place.glob("pending/*"))
    one.run("enroll", "--server", server.url, "--token-file", token)
    assert certificates(server, one) == ["encryption", "signature"]
    assert not [path for path in one.place.glob("pending/*") if path.name != ".lock"]
    cutter.listener.close()


@pytest.mark.parametrize("moment", [0.02, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5])
def test_a_killed_client_completes_by_repeating(server, person, moment):
    from harness import CLI
    import os
    one = person()
    token = one.token()
    process = subprocess.Popen([CLI, "enroll", "--server", server.url, "--token-file", token, "--password-file", server.folder / "password"],
                               env={**os.environ, "VOUCHSAFE_HOME": str(one.place)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(moment)
    process.kill()
    process.wait()
    one.run("enroll", "--server", server.url, "--token-file", token)
    assert certificates(server, one) == ["encryption", "signature"]
    assert len(json.loads(one.run("keys", "list", "--json"))["certificates"]) == 2


def test_a_full_disk_after_the_answer_is_completed_by_repeating(server, person):
    """What was answered cannot be stored; the next run stores it."""
    one = person()
    token = one.token()
    one.place.mkdir(parents=True, exist_ok=True)
    (one.place / "users").write_text("in the way")
    assert one.result("enroll", "--server", server.url, "--token-file", token).returncode != 0
    (one.place / "users").unlink()
    one.run("enroll", "--server", server.url, "--token-file", token)
    assert certificates(server, one) == ["encryption", "signature"]


def test_the_password_of_what_was_begun_is_asked_again(server, person):
    one = person()
    token = one.token()
    cutter = Cutter(server.https, 0)
    one.result("enroll", "--server", cutter.url, "--token-file", token)
    (server.folder / "other-password").write_text("another password\n")
    done = one.result("enroll", "--server", server.url, "--token-file", token, "--password-file", server.folder / "other-password", password=False)
    assert done.returncode == 24
    one.run("enroll", "--server", server.url, "--token-file", token)
    cutter.listener.close()


def test_another_server_is_noticed(server, person, tmp_path):
    """Something that answers in the server's place does not know the token."""
    import http.server
    import ssl
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", chain,
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)

    class Impostor(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"answer": "", "mac": "A" * 43 + "="}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    impostor = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Impostor)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    impostor.socket = context.wrap_socket(impostor.socket, server_side=True)
    threading.Thread(target=impostor.serve_forever, daemon=True).start()
    url = f"https://localhost:{impostor.server_address[1]}"
    one = person()
    token = one.token()
    done = one.result("enroll", "--server", url, "--token-file", token)
    assert done.returncode == 13 and "in between" in done.stderr
    assert not list(one.place.glob("users/*/keys"))
    # The operator's CA is pinned: nothing is even sent to a server with another certificate.
    rita = server.homes / "rita-elsewhere"
    shutil.copytree(server.homes / "rita", rita)
    path = next((rita / "operators").glob("rita@*"))
    content = path.read_bytes()
    path.write_bytes(content.replace(server.url.encode(), url.encode().ljust(len(server.url), b"/")[:len(server.url)]))
    done = server.result("user", "list", home="rita-elsewhere", status=None)
    assert done.returncode in (13, 23) and "not the one" in done.stderr
    impostor.shutdown()
    one.run("enroll", "--server", server.url, "--token-file", token)


def test_keys_go_to_other_programs_and_passwords_change(server, person):
    one = person().enroll()
    (server.folder / "export-password").write_text("export password\n")
    (server.folder / "new-password").write_text("a new long password\n")
    for profile in ("modern", "legacy"):
        path = server.folder / f"{one.address}-{profile}.p12"
        one.run("keys", "export", path, "--profile", profile, "--export-password-file", server.folder / "export-password")
        options = ["-legacy"] if profile == "legacy" else []
        done = subprocess.run(["openssl", "pkcs12", "-in", path, "-passin", "pass:export password", "-noenc", *options], capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.count("BEGIN PRIVATE KEY") == 2, done.stderr
        assert one.result("keys", "export", path, "--export-password-file", server.folder / "export-password").returncode == 16
    for kind in ("signature", "encryption"):
        path = server.folder / f"{kind}.p12"
        shown = one.run("keys", "export", path, "--kind", kind, "--profile", "legacy", "--export-password-file", server.folder / "export-password")
        assert shown.startswith("1 key of ")
        done = subprocess.run(["openssl", "pkcs12", "-in", path, "-passin", "pass:export password", "-noenc", "-legacy"], capture_output=True, text=True)
        assert done.stdout.count("BEGIN PRIVATE KEY") == 1, done.stderr
    one.run("keys", "password", "--new-password-file", server.folder / "new-password")
    assert one.result("keys", "list").returncode == 24
    one.run("keys", "list", "--password-file", server.folder / "new-password", password=False)


def test_import_reports_and_repeats(server):
    path = server.folder / "some.ldif"
    path.write_text("version: 1\n\ndn: cn=One,ou=Import,o=X\nobjectClass: person\ncn: One\nmail: import1@example.org\n\n"
                    "dn: cn=None,ou=Import,o=X\nobjectClass: person\ncn: None\n\n"
                    "dn:: Y249VHdvLG91PUltcG9ydCxvPVg=\nobjectClass: person\ncn: Two\nmail: import2@EXAMPLE.org\n")
    dry = server.result("directory", "import", path, "--dry-run", home="rita", status=51)
    assert "2 added" in dry.stdout and "line 8" in dry.stderr
    assert "2 added" in server.run("directory", "import", path, home="rita", status=51)
    assert "2 unchanged" in server.run("directory", "import", path, home="rita", status=51)
    people = server.json("directory", "list", "import", home="rita")["people"]
    assert {one["unit"] for one in people} == {"Import"}
    path.write_text("dn: cn=One\nnonsense\n")
    done = server.result("directory", "import", path, home="rita", status=10)
    assert str(path) in done.stderr and "Line 2" in done.stderr
    assert server.result("user", "enroll", "unit:Import", "--dry-run", home="rita").stdout.count("new  ") == 2


def test_nobody_gets_anothers_address_in_other_letters(server, person):
    """Letters of full width and the like are mapped before a domain is looked up, and before it is certified."""
    ann, path = person("Ann"), server.folder / "mapped.csv"
    path.write_text(f"guid,name,mail\nmapped-1,Fake,{ann.address.replace('example', 'ｅxample')}\nmapped-2,Zoe,Zoe@BÜCHER.example\n"
                    "mapped-3,Emma,emma@i❤.ws\nmapped-4,Two,two@ｅxample.net;two@example.net\n")
    done = server.result("directory", "import", path, home="rita", status=51)
    assert f"{ann.address} belongs to Ann" in done.stdout + done.stderr
    listed = server.run("directory", "list", home="rita")
    assert all(f"{address} " in listed for address in (ann.address, "zoe@bücher.example", "emma@i❤.ws", "two@example.net"))
    assert "ｅ" not in listed
    one = type(ann)(server, "Zoe", "zoe@bücher.example").enroll()
    assert certificates(server, one) == ["encryption", "signature"]
    for address in ("zoe@xn--bcher-kva.example", "zoe@BÜCHER.example"):
        one.run("mail", "encrypt", "--to", address, stdin="\nhi\n", password=False)
    assert "Zoe" in server.run("user", "show", "zoe@xn--bcher-kva.example", home="rita")
    path.write_text("guid,name,mail\nmapped-5,Mallory,zoe@xn--bcher-kva.example\nmapped-6,Amelie,amelie@xn--bcher-kva.example\n"
                    "mapped-7,Slash,a@ex／ample.net\nmapped-8,Unseen,zo\u200be@bücher.example\nmapped-9,Joe,Jo\u00eb@example.net\n"
                    "mapped-10,Accent,Joe\u0308@example.net\n")
    done = server.result("directory", "import", path, home="rita", status=51)
    assert "zoe@bücher.example belongs to Zoe" in done.stdout + done.stderr and "is not a mail address" in done.stdout + done.stderr
    assert "cannot be seen" in done.stdout + done.stderr and "joë@example.net belongs to Joe" in done.stdout + done.stderr
    amelie = type(ann)(server, "Amelie", "amelie@xn--bcher-kva.example").enroll()
    one.run("mail", "encrypt", "--to", "amelie@bücher.example", stdin="\nhi\n", password=False)
    signed = amelie.run("mail", "sign", stdin="From: amelie@xn--bcher-kva.example\n\nhi\n")
    assert "Signed by amelie@bücher.example" in one.result("mail", "verify", stdin=signed, password=False, status=0).stderr


def test_wrong_passwords_and_roles(server, person):
    one = person().enroll()
    (server.folder / "wrong").write_text("not the password\n")
    wrong = ["--password-file", server.folder / "wrong"]
    assert server.result("user", "list", *wrong, home="rita", password=False, status=None).returncode == 24
    assert one.result("keys", "list", *wrong, password=False).returncode == 24
    assert server.result("user", "revoke", one.address, "--reason", "keyCompromise", home="olga", status=None).returncode in (0, 14)
    assert server.result("request", "approve", "0" * 32, "--yes", home="rita", status=None).returncode in (14, 15)


def test_selectors(server, person):
    one = person()
    rows = server.json("user", "enroll", one.address, home="rita")["rows"]
    assert re.fullmatch(r"[2-9A-HJ-NP-Z]{7}(-[2-9A-HJ-NP-Z]{7}){3}", rows[0]["token"])
    path = server.folder / f"tokens-{one.address}"
    server.run("user", "enroll", one.address, "--out", path, home="rita")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.read_text().split("\t")[1] == one.address
    assert server.result("user", "enroll", one.address, "--out", path, home="rita", status=None).returncode == 16
    assert server.result("user", "enroll", "nobody@nowhere.example", home="rita", status=None).returncode == 17
