# SPDX-License-Identifier: Apache-2.0
"""The front by itself: what it makes of HTTP, and that nobody can hold it up."""
import base64
import json
import os
import pathlib
import re
import socket
import ssl
import threading
import time
import warnings
from random import Random

import pytest

from front import FRONT, Engine, Front, self_signed
import wire


@pytest.fixture(scope="module")
def front():
    with Front() as one:
        engine = Engine(one)
        engine.tell("engine_state", state="unsealed", metrics="engine_things 1\n")
        one.wait_ready()
        one.engine = engine
        yield one
        assert one.process.poll() is None, one.text()


def problem(answer):
    status, headers, body = answer
    assert headers["Content-Type"] == "application/problem+json"
    content = json.loads(body)
    assert content["status"] == status and content["type"] == "urn:vouchsafe:problem:" + content["code"]
    return status, content["code"], content.get("detail", "")


# ---- requests ----

def test_a_request_reaches_the_engine_and_its_answer_the_client(front):
    status, headers, body = front.ask("GET", "/api/v1/status")
    assert status == 200 and json.loads(body)["state"] == "unsealed"
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Strict-Transport-Security"] and "Server" not in headers
    name, _, api = front.engine.asked[-1]
    assert (name, api["address"], api["authorization"], api["ticket"]) == ("status", "127.0.0.1", [], b"")


def test_path_query_body_and_authorization_are_passed_on(front):
    nonce = base64.urlsafe_b64encode(bytes(range(16))).rstrip(b"=").decode()
    headers = {"Content-Type": "application/json; charset=utf-8",
               "Authorization": 'Vouchsafe operator="Jos%C3%A9", created="1795000000", '
                                f'nonce="{nonce}", signature="MEUCIQ"'}
    answer = front.ask("POST", "/api/v1/users/zo%C3%AB%40example.org/revoke", '{"reason": "keyCompromise"}', headers)
    assert problem(answer) == (403, "forbidden", "Not here.")
    name, message, api = front.engine.asked[-1]
    assert name == "user_revoke" and message == {"user": "zoë@example.org", "reason": "keyCompromise", "note": ""}
    assert api["authorization"] == [{"operator": "José", "created": 1795000000, "nonce": bytes(range(16)),
                                     "signature": base64.b64decode("MEUCIQ==")}]
    front.ask("GET", "/api/v1/users?limit=7&search=a%26b")
    assert front.engine.asked[-1][1] == {"search": "a&b", "state": "", "cursor": "", "limit": 7}
    front.ask("POST", "/api/v1/certificates/search", "{}",
              {"Content-Type": "application/json", "Authorization": "Bearer dGlja2V0"})
    assert front.engine.asked[-1][2]["ticket"] == b"ticket"


def test_one_connection_serves_many_requests(front):
    connection = front.connection()
    for _ in range(50):
        assert front.ask("GET", "/api/v1/status", connection=connection)[0] == 200
    sock = connection.sock
    assert problem(front.ask("POST", "/api/v1/users", "x" * 5000, connection=connection))[:2] == (405, "method")
    assert problem(front.ask("GET", "/nothing", connection=connection))[:2] == (404, "not-found")
    assert connection.sock is sock
    connection.close()


def test_large_bodies_and_answers_pass(front):
    people = [{"guid": str(n), "name": "Zoë " * 50} for n in range(1000)]
    body = json.dumps({"people": people}, ensure_ascii=False).encode()
    front.engine.answer = lambda name, message, api: ("directory_listed", {"people": people})
    try:
        answer = front.ask("POST", "/api/v1/people", body)
        assert problem(answer)[:2] == (500, "fault")  # an answer of another kind is the server's fault
        assert len(front.engine.asked[-1][1]["people"]) == 1000
        status, _, content = front.ask("GET", "/api/v1/people")
        assert status == 200 and json.loads(content)["people"][999]["name"] == "Zoë " * 50
    finally:
        front.engine.answer = Engine.status_only


@pytest.mark.parametrize("method, target, body, headers, expected", [
    ("GET", "/api/v1/nothing", None, {}, (404, "not-found")),
    ("GET", "/api/v2/status", None, {}, (404, "not-found")),
    ("DELETE", "/api/v1/status", None, {}, (405, "method")),
    ("HEAD", "/api/v1/nothing", None, {}, (404, None)),
    ("POST", "/api/v1/people", b"{", {"Content-Type": "application/json"}, (400, "malformed")),
    ("POST", "/api/v1/people", b"{}", {"Content-Type": "text/plain"}, (415, "content-type")),
    ("POST", "/api/v1/people", b"{}", {"Content-Type": "application/json; charset=latin1"}, (415, "content-type")),
    ("POST", "/api/v1/people", b"{}", {}, (415, "content-type")),
    ("POST", "/api/v1/people", b'{"people": [{"a": 1}]}', {"Content-Type": "application/json"}, (400, "malformed")),
    ("GET", "/api/v1/users?limit=x", None, {}, (400, "malformed")),
    ("GET", "/api/v1/status", b"{}", {"Content-Type": "application/json"}, (400, "malformed")),
    ("GET", "/api/v1/status", None, {"Authorization": "Basic YTpi"}, (401, "unauthenticated")),
    ("GET", "/api/v1/status", None, {"X": "y" * 20000}, (431, None)),
])
def test_what_is_wrong_is_said(front, method, target, body, headers, expected):
    answer = front.ask(method, target, body, headers)
    if expected[1]:
        assert problem(answer)[:2] == expected
    else:
        assert answer[0] == expected[0]
    if expected[0] == 405:
        assert answer[1]["Allow"] == "GET"
    if expected[0] == 401:
        assert "Vouchsafe" in answer[1]["WWW-Authenticate"]
    assert front.ask("GET", "/api/v1/status")[0] == 200


def test_the_sentence_names_the_place(front):
    answer = front.ask("POST", "/api/v1/people", '{"people": [{}, {"addresses": ["a", 1]}]}')
    assert "people[1].addresses[1]" in problem(answer)[2]


def test_a_body_beyond_the_limit_is_refused_before_it_comes(front):
    sock = front.connect()
    sock.sendall(b"POST /api/v1/people HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                 b"Content-Length: 5000000\r\n\r\n")
    answer = sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ") and b"Connection: close" in answer
    sock.close()


def test_the_api_is_not_served_without_tls(front):
    assert problem(front.ask("GET", "/api/v1/status", purpose="http"))[:2] == (403, "forbidden")
    assert problem(front.ask("GET", "/api/v1/status", purpose="metrics"))[:2] == (403, "forbidden")


def test_the_description_is_served(front):
    status, headers, body = front.ask("GET", "/api/v1/openapi.json")
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert json.loads(body)["paths"]["/api/v1/status"]["get"]["operationId"] == "status"


def test_old_versions_of_tls_are_refused(front):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", front.ports["https"])) as sock, pytest.raises(OSError):
        context.wrap_socket(sock)


def test_it_has_given_up_what_it_does_not_need(front):
    status = dict(line.split(":", 1) for line in open(f"/proc/{front.process.pid}/status"))
    if b"__asan_init" in open(FRONT[-1], "rb").read():
        pytest.skip("sanitizers need files")
    assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"


# ---- documents, health, metrics ----

def test_documents_are_served_with_what_caches_need(front):
    now = int(time.time())
    front.engine.tell("publish", path="/pki/issuer.crl", media_type="application/pkix-crl", modified=now - 50,
                      expires=now + 3600, content=b"list" * 100000)
    until = time.monotonic() + 5
    while front.ask("GET", "/pki/issuer.crl", purpose="http")[0] == 404 and time.monotonic() < until:
        time.sleep(0.02)
    status, headers, body = front.ask("GET", "/pki/issuer.crl", purpose="http")
    assert status == 200 and body == b"list" * 100000 and headers["Content-Type"] == "application/pkix-crl"
    assert headers["Last-Modified"] and headers["Expires"] and headers["Cache-Control"] == "public, max-age=5"
    assert "Strict-Transport-Security" not in headers
    for conditions, expected in [({"If-None-Match": headers["ETag"]}, 304), ({"If-None-Match": '"other"'}, 200),
                                 ({"If-Modified-Since": headers["Last-Modified"]}, 304),
                                 ({"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 200)]:
        answer = front.ask("GET", "/pki/issuer.crl", headers=conditions, purpose="http")
        assert answer[0] == expected and (answer[2] == b"") == (expected == 304)
        assert answer[1]["ETag"] == headers["ETag"]
    answer = front.ask("HEAD", "/pki/issuer.crl", purpose="http")
    assert answer[0] == 200 and answer[1]["Content-Length"] == "400000" and answer[2] == b""
    answer = front.ask("POST", "/pki/issuer.crl", b"x", purpose="http")
    assert problem(answer)[:2] == (405, "method") and answer[1]["Allow"] == "GET, HEAD"
    front.engine.tell("publish", path="/pki/issuer.crl")
    time.sleep(0.1)
    assert problem(front.ask("GET", "/pki/issuer.crl", purpose="http"))[:2] == (404, "not-found")


def test_health_and_metrics(front):
    front.engine.tell("engine_state", state="unsealed", metrics="engine_things 1\n")
    front.wait_ready()
    for purpose in ("https", "http", "metrics"):
        assert front.ask("GET", "/healthz", purpose=purpose)[0] == 200
        assert front.ask("GET", "/readyz", purpose=purpose)[0] == 200
    assert front.ask("GET", "/metrics", purpose="http")[0] == 404
    status, headers, body = front.ask("GET", "/metrics", purpose="metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for line in (b"engine_things 1\n", b'request="status",status="2xx"', b"vouchsafe_front_engine_up{"):
        assert line in body


# ---- the engine comes and goes ----

def test_the_engine_comes_and_goes():
    with Front(request_deadline="5s") as front:
        assert problem(front.ask("GET", "/readyz", purpose="http"))[:2] == (503, "busy")
        answer = front.ask("GET", "/api/v1/status")
        assert problem(answer)[:2] == (503, "busy") and answer[1]["Retry-After"] == "1"
        silent = Engine(front, lambda *_: None)
        silent.tell("engine_state", state="sealed")
        front.wait_ready(503)
        waiting = []

        def ask():
            waiting.append(problem(front.ask("GET", "/api/v1/status")))
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 5
        while len(silent.asked) < 3 and time.monotonic() < until:
            time.sleep(0.02)
        assert problem(front.ask("GET", "/readyz", purpose="http"))[:2] == (503, "sealed")
        silent.kill()
        for thread in threads:
            thread.join()
        assert [one[:2] for one in waiting] == [(503, "busy")] * 3
        assert problem(front.ask("GET", "/api/v1/status"))[:2] == (503, "busy")
        Engine(front)
        until = time.monotonic() + 5
        while front.ask("GET", "/api/v1/status")[0] != 200 and time.monotonic() < until:
            time.sleep(0.02)
        assert front.ask("GET", "/api/v1/status")[0] == 200


def test_an_engine_that_does_not_answer_is_not_waited_for():
    with Front(request_deadline="1s") as front:
        Engine(front, lambda *_: None)
        start = time.monotonic()
        assert problem(front.ask("GET", "/api/v1/status"))[:2] == (503, "busy")
        assert time.monotonic() - start < 10


def test_an_engine_that_talks_nonsense_is_cut():
    with Front() as front:
        engine = Engine(front)
        engine.socket.sendall(b"\xff" * 100)
        engine.thread.join(10)
        assert not engine.thread.is_alive()
        Engine(front)
        until = time.monotonic() + 5
        while front.ask("GET", "/api/v1/status")[0] != 200 and time.monotonic() < until:
            time.sleep(0.02)
        assert front.process.poll() is None


def test_the_certificate_is_replaced_while_connections_are_open():
    with Front() as front:
        Engine(front)
        old = front.connection()
        assert front.ask("GET", "/healthz", connection=old)[0] == 200
        front.key, chain = front.key, front.chain
        front.chain = b"nonsense"
        front.configure()
        front.key, front.chain = self_signed(front.folder)
        front.configure()
        assert front.ask("GET", "/healthz", connection=old)[0] == 200
        fresh = ssl.create_default_context(cadata=front.chain.decode())
        until = time.monotonic() + 5
        while True:
            try:
                with socket.create_connection(("127.0.0.1", front.ports["https"])) as sock:
                    fresh.wrap_socket(sock, server_hostname="localhost").close()
                break
            except ssl.SSLError:
                assert time.monotonic() < until
        assert chain != front.chain
        old.close()


def test_stopping_finishes_what_is_begun():
    with Front() as front:
        release = threading.Event()

        def answer(name, message, api):
            release.wait(10)
            return Engine.status_only(name, message, api)
        engine = Engine(front, answer)
        idle = front.connect()
        result = []
        thread = threading.Thread(target=lambda: result.append(front.ask("GET", "/api/v1/status")))
        thread.start()
        until = time.monotonic() + 5
        while not engine.asked and time.monotonic() < until:
            time.sleep(0.02)
        wire.send(front.control, "stop")
        assert idle.recv(1) == b""
        release.set()
        thread.join()
        assert result[0][0] == 200 and result[0][1]["Connection"].lower() == "close"
        assert front.process.wait(10) == 0, front.text()


# ---- what must not have two meanings ----

AMBIGUOUS = {
    "CL+TE": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
    "TE+CL": b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX",
    "two lengths": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    "same length twice": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "list of lengths": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc",
    "blank before colon": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc",
    "+3": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
    "0x3": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc",
    "-1": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nabc",
    "bare LF": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "bare LF in the middle": b"GET /healthz HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
    "bare LF at the end": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\n",
    "two bare LF at the end": b"GET /healthz HTTP/1.1\r\nHost: x\n\n",
    "bare CR": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rY: b\r\n\r\n",
    "folded": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "folded by tab": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n\r\n",
    "folded length": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Lengt: 3\r\n h\r\n\r\nabc",
    "blank first header": b"GET /healthz HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "unknown TE": b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked": b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "NUL in a value": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "NUL in a name": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX\0: a\r\n\r\n",
    "NUL in the target": b"GET /healthz\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "control in a value": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\x01b\r\n\r\n",
    "no colon": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX\r\n\r\n",
    "no name": b"GET /healthz HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n",
    "HTTP/1.9": b"GET /healthz HTTP/1.9\r\nHost: x\r\n\r\n",
    "HTTP/2.0": b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "two blanks": b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "tab": b"GET\t/healthz\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "blank in the target": b"GET /healthz a HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute target": b"GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the target": b"GET /healthz\xc3\xab HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("purpose", ["https", "http"])
@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_requests_are_refused(front, name, purpose):
    sock = front.connect(purpose, timeout=2)
    sock.sendall(AMBIGUOUS[name])
    answer = bytearray()
    try:
        while more := sock.recv(65536):
            answer += more
    except (TimeoutError, ConnectionResetError, ssl.SSLError):
        pass
    sock.close()
    assert b" 200 " not in answer and not answer.startswith(b"HTTP/1.1 2"), answer
    if answer:
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 505")), answer
        assert b"onnection: close" in answer, answer


TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
HEADERS = rb"((?:" + TOKEN + rb":[\t -~\x80-\xff]*\r\n)*)"
REQUEST = re.compile(rb"(?:\r?\n)*" + TOKEN + rb" /[!-~]* HTTP/1\.([01])\r\n" + HEADERS + rb"\r\n")


def understood(text: bytes) -> int:
    """How many requests are in the text for who takes RFC 9112 at its strictest and stops at the first doubt."""
    count = 0
    while match := REQUEST.match(text):
        headers = [line.split(b":", 1) for line in match[2].split(b"\r\n")[:-1]]
        values = [value.strip(b" \t") for name, value in headers if name.lower() == b"content-length"]
        names = [name.lower() for name, _ in headers]
        if (names.count(b"host") > 1 or (match[1] == b"1" and b"host" not in names) or b"transfer-encoding" in names or
                len(values) > 1 or not all(value.isdigit() for value in values)):
            break
        end = match.end() + int(values[0] if values else 0)
        if end > len(text):
            break
        count, text = count + 1, text[end:]
    return count


def altered(random, text: bytearray):
    special = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b"\r\n ", b"\n\n", b"\r\n\r\n",
               b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: y\r\n", b"\x0b", b"\x7f",
               b"\xa0", b"0", b"/"]
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(text) + 1)
        kind = random.randrange(4)
        if kind < 2:
            text[at:at] = random.choice(special)
        elif kind == 2:
            del text[at:at + random.randint(1, 3)]
        else:
            other = random.randrange(len(text) + 1)
            text[at:at] = text[other:other + random.randint(1, 20)]
    return bytes(text)


def test_nothing_is_understood_that_could_be_understood_otherwise(front):
    random = Random(1)
    good = [b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b c\r\nAccept: */*\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX: y\r\n\r\nGET /",
            b"GET /healthz HTTP/1.1\r\nX:  y \r\nHost:x\r\n\r\n", b"GET /healthz HTTP/1.0\r\nHost: x\r\n\r\n"]
    answered = 0
    for _ in range(800):
        text = altered(random, bytearray(random.choice(good) + random.choice(good)))
        with front.connect("http", timeout=0.3) as sock:
            sock.sendall(text)
            sock.shutdown(socket.SHUT_WR)
            answer = bytearray()
            try:
                while more := sock.recv(65536):
                    answer += more
            except (TimeoutError, ConnectionResetError):
                pass
        count = answer.count(b"HTTP/1.1 200 ")
        answered += count
        assert count <= understood(text), (text, bytes(answer))
    assert answered > 200


def test_plain_forms_are_taken(front):
    for text in (b"GET /healthz HTTP/1.1\r\nHost:x\r\nX:   y\r\nEmpty:\r\n\r\n", b"GET /healthz HTTP/1.0\r\n\r\n",
                 b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: trailing \t \r\nY: z \r\n\r\n",
                 b"GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: a=b; c=d\r\n\r\n"):
        with front.connect("http") as sock:
            sock.sendall(text)
            assert sock.recv(1000).split(b" ")[1] == b"200", text
    with front.connect("http") as sock:  # slowly, and two at once
        for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n":
            sock.sendall(bytes([byte]))
        assert b" 200 " in sock.recv(1000)
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        answers = b""
        while answers.count(b"alive") < 2:
            answers += sock.recv(1000)


# ---- slowness and floods ----

def trickle(sock, start, piece, seconds):
    """Send slowly; the seconds until the other side closed."""
    begun = time.monotonic()
    sock.settimeout(0.05)
    try:
        sock.sendall(start)
        while time.monotonic() - begun < seconds:
            sock.sendall(piece)
            try:
                if not sock.recv(1000):
                    break
            except TimeoutError:
                pass
            time.sleep(0.05)
    except OSError:
        pass
    return time.monotonic() - begun


def test_slow_clients_are_cut_and_others_are_served():
    with Front(request_deadline="1s") as front:
        Engine(front)
        slow = [
            ("http", b"GET /heal", b"t"),
            ("http", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n"),
            ("http", b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", b"x"),
            ("https", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n"),
            ("https", b"POST /api/v1/people HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                      b"Content-Length: 100000\r\n\r\n", b" "),
        ]
        took = {}

        def run(number, purpose, start, piece):
            sock = front.connect(purpose)
            took[number] = trickle(sock, start, piece, 20)
            sock.close()

        def handshake():
            sock = socket.create_connection(("127.0.0.1", front.ports["https"]))
            took["handshake"] = trickle(sock, b"\x16\x03\x01\x02\x00", b"\x01", 20)
            sock.close()

        def silent(purpose):
            sock = front.connect(purpose)
            begun = time.monotonic()
            sock.settimeout(20)
            try:
                sock.recv(1)
            except OSError:
                pass
            took["silent " + purpose] = time.monotonic() - begun
        threads = [threading.Thread(target=run, args=(n, *one)) for n, one in enumerate(slow)]
        threads += [threading.Thread(target=handshake), threading.Thread(target=silent, args=("http",)),
                    threading.Thread(target=silent, args=("https",))]
        for thread in threads:
            thread.start()
        assert front.ask("GET", "/api/v1/status")[0] == 200
        for thread in threads:
            thread.join()
        assert len(took) == len(threads) and max(took.values()) < 15, took


def test_half_a_greeting_costs_nothing(front):
    def cpu() -> float:
        fields = pathlib.Path(f"/proc/{front.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with socket.create_connection(("127.0.0.1", front.ports["https"])) as sock:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        time.sleep(0.2)
        before = cpu()
        time.sleep(1)
        assert cpu() - before < 0.05


def test_a_client_that_does_not_read_is_cut():
    with Front(request_deadline="1s") as front:
        Engine(front).tell("publish", path="/pki/large", media_type="a/b", content=b"x" * 64000)
        time.sleep(0.2)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", front.ports["http"]))
        sock.sendall(b"GET /pki/large HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        until = time.monotonic() + 20
        cut = b'connections_cut_total{process="%d"} 1\n' % front.process.pid
        while cut not in front.ask("GET", "/metrics", purpose="metrics")[2]:
            assert time.monotonic() < until
            time.sleep(0.1)
        sock.close()


def test_old_connections_end_after_an_answer():
    with Front(connection_lifetime="1s") as front:
        connection = front.connection("http")
        assert "Connection" not in front.ask("GET", "/healthz", connection=connection)[1]
        time.sleep(1.1)
        assert front.ask("GET", "/healthz", connection=connection)[1]["Connection"].lower() == "close"


def test_connections_of_one_address_are_limited():
    with Front(connections_per_address=5) as front:
        held = [front.connect("http") for _ in range(5)]
        for sock in held:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in sock.recv(1000)
        more = front.connect("http")
        try:
            assert more.recv(1) == b""
        except ConnectionResetError:
            pass
        assert b'reason="address"} 1\n' in front.ask("GET", "/metrics", purpose="metrics")[2]
        held.pop().close()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            try:
                assert front.ask("GET", "/healthz", purpose="http")[0] == 200
                break
            except OSError:
                time.sleep(0.05)


def test_those_who_ask_nothing_make_room_when_it_is_full():
    with Front(connections=10, connections_per_address=1000, request_deadline="60s") as front:
        held = [front.connect("http") for _ in range(30)]
        assert front.ask("GET", "/healthz", purpose="metrics")[0] == 200
        connection = front.connection("http", timeout=40)
        assert front.ask("GET", "/healthz", connection=connection)[0] == 200
        for sock in held:
            sock.close()


def test_running_out_of_descriptors_is_survived():
    with Front(descriptors=80, connections_per_address=1000) as front:
        held = [socket.create_connection(("127.0.0.1", front.ports["http"])) for _ in range(120)]
        time.sleep(0.3)
        assert front.process.poll() is None
        before = sum(map(float, open(f"/proc/{front.process.pid}/stat").read().split()[13:15]))
        time.sleep(1)
        after = sum(map(float, open(f"/proc/{front.process.pid}/stat").read().split()[13:15]))
        assert after - before < 50, "it spins"  # of 100 ticks
        for sock in held:
            sock.close()
        assert front.ask("GET", "/healthz", purpose="http")[0] == 200
