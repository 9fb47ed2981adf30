# SPDX-License-Identifier: Apache-2.0
"""The hostile cases with real processes: a hostile front, a thief with database and secrets, strangers."""
import base64
import http.client
import http.server
import json
import os
import pathlib
import signal
import sqlite3
import ssl
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402

ALICE, BOB, CAROL = (f"load{n}@example.org" for n in range(3))
EXIT_UNAUTHENTICATED, EXIT_FORBIDDEN, EXIT_TOKEN, EXIT_STALE, EXIT_TAMPERED = 13, 14, 18, 27, 28
UNVERIFIED = ssl._create_unverified_context()


class HostileFront(http.server.BaseHTTPRequestHandler):
    """Between the clients and the real front, with the server's own TLS key: sees everything, and alters what a test says."""

    protocol_version = "HTTP/1.1"
    seen: list = []
    alter_request = staticmethod(lambda method, path, body: (path, body))
    alter_reply = staticmethod(lambda path, body: body)
    real = 0

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length", "connection")}
        self.seen.append((self.command, self.path, headers, body))
        path, body = self.alter_request(self.command, self.path, body)
        status, reply, kind = send(self.real, self.command, path, headers, body)
        reply = self.alter_reply(self.path, reply)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_GET = do_POST = forward

    def log_message(self, *_):
        pass


def send(port, method, path, headers, body, source=None):
    connection = http.client.HTTPSConnection("localhost", port, context=UNVERIFIED, timeout=30, source_address=source)
    try:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("Content-Type", "")
    finally:
        connection.close()


class HostileServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, server):
        super().__init__(("127.0.0.1", 0), HostileFront)
        self.server, self.context = server, None

    def get_request(self):
        connection, address = super().get_request()
        if not self.context:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(self.server.data / "tls-chain.pem", self.server.data / "tls-key.pem")
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    running = harness.Server(options={"enroll": {"encryption-profile": "p256"}})
    hostile = HostileServer(running)
    HostileFront.real = running.https
    threading.Thread(target=hostile.serve_forever, daemon=True).start()
    running.url = f"https://localhost:{hostile.server_address[1]}"
    with running:
        running.run("directory", "import", running.people(3), home="rita")
        running.enroll(ALICE)
        running.enroll(BOB)
        yield running
    hostile.shutdown()


@pytest.fixture(autouse=True)
def honest():
    yield
    HostileFront.alter_request = staticmethod(lambda method, path, body: (path, body))
    HostileFront.alter_reply = staticmethod(lambda path, body: body)


def audited(server, action, outcome) -> bool:
    records = server.json("audit", "list", "--limit", "200", home="olga")["records"]
    return any(record["action"] == action and record["outcome"] == outcome for record in records)


def recovery(server, address) -> tuple[str, pathlib.Path]:
    token = server.folder / f"recovery-{os.urandom(4).hex()}"
    server.run("request", "recover", address, "--reason", "laptop stolen", "--token-out", token, home="rita")
    return server.json("request", "list", "--state", "open", home="rita")["requests"][0]["request"], token


def withdraw(server, request):
    server.run("request", "refuse", request, home="rita")


# ---- a hostile front

def test_front_cannot_ask_in_an_operators_name(server):
    server.run("user", "list", home="rita")
    server.run("user", "enroll", CAROL, home="rita")
    method, path, headers, body = next(one for one in reversed(HostileFront.seen) if one[1] == "/api/v1/enrollments")
    # Again: the same answer, and no second token.
    first, second = (send(server.https, method, path, headers, body) for _ in range(2))
    assert first[0] == second[0] == 200 and first[1] == second[1]
    # Another body, another path, another operator, no longer the same nonce.
    assert send(server.https, method, path, headers, body.replace(CAROL.encode(), BOB.encode()))[0] == 401
    assert send(server.https, "POST", "/api/v1/operators/olga/disable", headers, b"{}")[0] == 401
    for name, other in (('"rita"', '"olga"'), ('nonce="', 'nonce="A'), ('created="', 'created="1')):
        altered = dict(headers, Authorization=headers["Authorization"].replace(name, other, 1))
        assert send(server.https, method, path, altered, body)[0] in (400, 401)
    assert audited(server, "operator.disable", "unauthenticated")


def alter_terms(find: bytes, replace: bytes):
    def alter(path, body):
        if "/requests/" not in path:
            return body
        shown = json.loads(body)
        if "terms" in shown:
            terms = base64.b64decode(shown["terms"])
            assert terms.count(find) == 1
            shown["terms"] = base64.b64encode(terms.replace(find, replace)).decode()
        return json.dumps(shown).encode()
    HostileFront.alter_reply = staticmethod(alter)


def terms_of(server, request) -> bytes:
    return base64.b64decode(server.json("request", "show", request, home="olga")["terms"])


def test_front_cannot_change_what_an_officer_approves(server):
    request, _ = recovery(server, BOB)
    terms = terms_of(server, request)
    point = subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"], capture_output=True, check=True).stdout
    point = subprocess.run(["openssl", "ec", "-pubout", "-conv_form", "compressed", "-outform", "DER"], input=point, capture_output=True,
                           check=True).stdout[-33:]
    # Another transport key, to read his piece: his own machine refuses, before a piece is computed.
    alter_terms(terms[-33:], point)
    done = server.result("request", "approve", request, "--yes", home="olga", status=EXIT_TAMPERED)
    assert "nothing was approved" in done.stderr
    # Another name over the same keys: what he signs is what he saw, and that is not what the server asks.
    alter_terms(b"Person 1", b"Person 2")
    server.run("request", "approve", request, "--yes", home="olga", status=EXIT_STALE)
    # Another request in place of the one that he asked for.
    alter_terms(request.encode(), b"0" * len(request))
    server.run("request", "approve", request, "--yes", home="olga", status=EXIT_TAMPERED)
    # His approval on its way, moved: to the keys of another request.
    HostileFront.alter_reply = staticmethod(lambda path, body: body)
    HostileFront.alter_request = staticmethod(lambda method, path, body: (path.replace(request, "0" * len(request)), body))
    server.run("request", "show", request, home="olga", status=None)
    HostileFront.alter_request = staticmethod(
        lambda method, path, body: (path.replace("/approve", "/refuse") if method == "POST" else path, body))
    assert server.result("request", "approve", request, "--yes", home="olga", status=None).returncode != 0
    HostileFront.alter_request = staticmethod(lambda method, path, body: (path, body))
    shown = server.json("request", "show", request, home="olga")["request"][0]
    assert shown["state"] == "open" and not shown.get("approved_by")
    assert audited(server, "request.approve", "stale")
    withdraw(server, request)


def test_front_cannot_answer_for_the_server(server):
    token = server.tokens(CAROL)
    HostileFront.alter_reply = staticmethod(
        lambda path, body: body.replace(b'"mac":"', b'"mac":"AAAA', 1) if path == "/api/v1/token" else body)
    assert server.result("enroll", "--server", server.url, "--token-file", token, home="carol", status=None).returncode != 0
    HostileFront.alter_reply = staticmethod(lambda path, body: body)
    server.run("enroll", "--server", server.url, "--token-file", token, home="carol")  # repeated: the same answer completes it


def test_bidirectional_and_control_characters_are_not_shown(server):
    server.result("request", "recover", ALICE, "--reason", "ok\x1b[2J\x1b]0;x\x07 \u202eevil\u202c\nApproved", home="rita", status=None)
    requests = server.json("request", "list", "--state", "open", home="rita").get("requests", [])
    for one in requests:
        shown = server.run("request", "show", one["request"], home="olga")
        assert not set(shown) & set("\x1b\x07\u202e\u202c")
        assert "\nApproved" not in shown.replace("\nApproved      ", "")
        withdraw(server, one["request"])


# ---- officers and operators

def test_refused_is_refused_and_nothing_comes_out(server):
    request, token = recovery(server, BOB)
    server.run("request", "approve", request, "--yes", home="olga")
    server.run("request", "approve", request, "--yes", home="olga")  # twice is once
    server.run("recover", "--server", server.url, "--token-file", token, home="thief", status=17)
    server.run("request", "refuse", request, home="otto")
    assert server.result("request", "approve", request, "--yes", home="omar", status=None).returncode != 0
    assert server.result("recover", "--server", server.url, "--token-file", token, home="thief", status=None).returncode != 0
    # No piece stays behind.
    with sqlite3.connect(f"file:{server.data}/vouchsafe.db?mode=ro", uri=True) as database:
        assert database.execute("SELECT max(length(partials)) FROM approvals").fetchone()[0] in (0, None)


def test_roles(server):
    request, _ = recovery(server, BOB)
    server.run("request", "approve", request, "--yes", home="rita", status=EXIT_FORBIDDEN)
    code = server.folder / "auditor-code"
    server.run("operator", "invite", "axel", "--role", "auditor", "--code-out", code, home="olga")
    server.run("operator", "accept", "--server", server.url, "--code-file", code, home="axel")
    for command in (("directory", "import", server.people(1)), ("user", "enroll", ALICE), ("user", "revoke", ALICE, "--reason", "superseded"),
                    ("request", "recover", ALICE, "--reason", "x"), ("operator", "disable", "rita"),
                    ("request", "refuse", request), ("operator", "invite", "eve", "--role", "registrar")):
        assert server.result(*command, home="axel", status=None).returncode == EXIT_FORBIDDEN, command
    server.run("operator", "disable", "axel", home="olga")
    server.run("user", "list", home="axel", status=EXIT_UNAUTHENTICATED)
    assert server.result("operator", "accept", "--server", server.url, "--code-file", code, home="eve", status=None).returncode != 0
    assert audited(server, "user.enroll", "forbidden")
    withdraw(server, request)


# ---- tokens

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def token_with(selector: str, secret: str) -> str:
    """A token with right check symbols: the Reed-Solomon code of src/crypto/token.c."""
    def times(a, b):
        product = 0
        for i in range(5):
            product ^= (a << i) if b >> i & 1 else 0
        for i in range(8, 4, -1):
            product ^= 0x25 << (i - 5) if product >> i & 1 else 0
        return product

    word = [ALPHABET.index(c) for c in selector + secret] + [0, 0]
    first = second = 0
    for symbol in word:
        first, second = times(first, 2) ^ symbol, times(second, 4) ^ symbol
    word[-2] = times(first ^ second, 14)
    word[-1] = first ^ times(word[-2], 2)
    text = "".join(ALPHABET[symbol] for symbol in word)
    return "-".join(text[i:i + 7] for i in range(0, 28, 7))


def test_refused_tokens_are_alike(server):
    enrolled = server.folder / "people-extra.csv"
    enrolled.write_text("guid,name,surname,address,unit\nx-1,Xaver,X,xaver@example.org,X\n")
    server.run("directory", "import", enrolled, home="rita")
    old = server.tokens("xaver@example.org").read_text().strip()
    new = server.tokens("xaver@example.org").read_text().strip()
    plain = new.replace("-", "")
    tries = {"unknown": token_with("222222", "3" * 20), "wrong": token_with(plain[:6], "3" * 20), "replaced": old}
    answers = set()
    for name, text in tries.items():
        path = server.folder / f"try-{name}"
        path.write_text(text + "\n")
        done = server.result("enroll", "--server", server.url, "--token-file", path, home=f"try-{name}", status=None)
        answers.add((done.returncode, done.stdout, done.stderr))
    path = server.folder / "try-purpose"
    path.write_text(new + "\n")
    done = server.result("recover", "--server", server.url, "--token-file", path, home="try-purpose", status=None)
    answers.add((done.returncode, done.stdout, done.stderr))
    assert len(answers) == 1 and answers.pop()[0] == EXIT_TOKEN
    server.run("enroll", "--server", server.url, "--token-file", path, home="xaver")
    assert audited(server, "token.use", "token-refused")


def test_one_address_locks_nobody_out(server):
    connection = http.client.HTTPSConnection("localhost", server.https, context=UNVERIFIED, source_address=("127.0.0.9", 0))
    for _ in range(1500):
        connection.request("GET", "/api/v1/users")
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (401, 429)
    connection.close()
    server.run("user", "enroll", BOB, "--dry-run", home="rita")
    extra = server.folder / "people-more.csv"
    extra.write_text("guid,name,surname,address,unit\nx-2,Yves,Y,yves@example.org,X\n")
    server.run("directory", "import", extra, home="rita")
    server.enroll("yves@example.org")


# ---- processes and files

def status_of(pid: int) -> dict[str, str]:
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def test_processes_are_confined(server):
    secret = server.startup_secret.read_text().strip().encode()
    for name, pid in [*server.children().items(), ("supervisor", server.process.pid)]:
        status = status_of(pid)
        assert status["NoNewPrivs"] == "1", name
        assert int(status["SigIgn"], 16) & 1 << (signal.SIGPIPE - 1), f"{name} ends when nobody reads its log"
        assert int(status["CapEff"], 16) == 0 and status["Uid"].split()[0] != "0", name
        if name.startswith(("keeper", "front")):
            assert status["Seccomp"] == "2", name
        # What may not be dumped is root's in /proc: others of the same user read neither memory nor descriptors.
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0, name
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert next(line for line in limits.splitlines() if "core" in line).split()[4:6] == ["0", "0"], name
        assert secret not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes(), name
        if os.geteuid() != 0:
            with pytest.raises(PermissionError):
                pathlib.Path(f"/proc/{pid}/environ").read_bytes()
            continue
        assert secret not in pathlib.Path(f"/proc/{pid}/environ").read_bytes(), name
        if name.startswith("keeper"):
            links = [os.readlink(link) for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
            assert all(link.startswith(("socket:", "anon_inode:", "/dev/null", str(server.log))) for link in links), links


def test_secrets_that_are_not_locked_are_told(own_server):
    told = "not locked in memory"
    own_server.init()
    assert told not in own_server.log.read_text()
    own_server.stop()
    own_server.prefix = ["prlimit", "--memlock=0:0"]
    own_server.start()
    assert own_server.log.read_text().count(told) == 2, "each keeper says so, once"


def test_files_are_private(server):
    for path in server.data.iterdir():
        if path.name != "tls-chain.pem":
            assert path.lstat().st_mode & 0o077 == 0, path
    for path in (server.data, server.startup_secret, server.folder / "root.p12", server.folder / "run" / "keeper.sock"):
        assert path.lstat().st_mode & 0o077 == 0, path
    # The server's user, and whoever takes one of its processes over, does not read the startup secret.
    assert server.startup_secret.stat().st_uid == os.geteuid()
    if os.geteuid() == 0:
        assert harness.as_nobody("cat", server.startup_secret)
        server.stop()
        server.start()  # which read it before it became another user
        assert server.startup_secret.stat().st_uid == 0
    for home in server.homes.iterdir():
        for path in home.rglob("*"):
            assert not path.is_file() or path.stat().st_mode & 0o077 == 0, path
    log = server.log.read_bytes()
    assert server.startup_secret.read_text().strip().encode() not in log


def test_tls(server):
    def handshake(*options):
        return subprocess.run(["openssl", "s_client", "-connect", f"localhost:{server.https}", *options], input=b"",
                              capture_output=True).returncode == 0
    assert handshake("-tls1_3") and handshake("-tls1_2")
    assert not handshake("-tls1_1", "-cipher", "ALL:@SECLEVEL=0") and not handshake("-tls1", "-cipher", "ALL:@SECLEVEL=0")
    assert not handshake("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:AES128-SHA:@SECLEVEL=0")
    connection = http.client.HTTPSConnection("localhost", server.https, context=UNVERIFIED)
    connection.request("GET", "/api/v1/status")
    assert connection.getresponse().headers["Strict-Transport-Security"]


# ---- what was stolen

def test_database_startup_secret_and_one_officer(server):
    """Who has database, startup secret, a registrar and M−1 officers can run the server himself: still nothing is opened."""
    request, token = recovery(server, BOB)
    server.stop()
    server.start()
    server.run("request", "approve", request, "--yes", home="otto")
    server.run("request", "approve", request, "--yes", home="otto")
    assert server.json("request", "show", request, home="otto")["request"][0]["state"] == "open"
    server.run("recover", "--server", server.url, "--token-file", token, home="thief", status=17)
    # A startup request, for the database key, is no way around: it wants a quorum too, and is for sealed servers.
    assert server.result("request", "startup", "--reason", "x", "--key-password-file", server.folder / "password", home="otto",
                         status=None).returncode != 0
    withdraw(server, request)
    assert server.damage() == ""
