# SPDX-License-Identifier: Apache-2.0
"""Mail through the filters: with certificates of the server, while it is down, after a revocation."""
import email
import email.message
import http.server
import json
import os
import pathlib
import struct
import subprocess
import threading
import time

import pytest

import harness
from peers import wait_for


def letter(sender, to, body="Grüße\r\n.\r\nFrom here\r\n", attachment=os.urandom(70000)):
    message = email.message.EmailMessage()
    message["From"] = f"Somebody <{sender}>"
    message["To"] = to
    message["Subject"] = "Pläne 😀"
    message.set_content(body)
    message.add_attachment(attachment, maintype="application", subtype="octet-stream", filename="Pläne.bin")
    return message.as_bytes()


def read(server, person, message, *options, **more):
    return person.result("mail", "decrypt", "--verify", *options, stdin=message, **more)


@pytest.fixture(scope="module")
def couple(server):
    from conftest import new_person
    return new_person(server, "Ann").enroll(), new_person(server, "Ben").enroll()


def test_signed_and_encrypted_comes_back_byte_for_byte(couple):
    ann, ben = couple
    for line_end in (b"\n", b"\r\n"):
        text = letter(ann.address, ben.address).replace(b"\r\n", b"\n").replace(b"\n", line_end)
        signed = ann.result("mail", "sign", stdin=text, status=0).stdout
        sent = ann.result("mail", "encrypt", "--to", ben.address, stdin=signed, password=False, status=0).stdout
        assert b"application/pkcs7-mime" in sent and b"Pl=C3=A4ne" not in sent.split(b"Subject")[1][200:]
        for person in couple:
            done = read(None, person, sent)
            assert done.returncode == 0, done.stderr
            assert done.stdout == text
            assert ann.address in done.stderr.decode()


def test_several_recipients_and_none(server, couple):
    ann, ben = couple
    done = ann.result("mail", "encrypt", "--to", ben.address, "--to", "nobody@nowhere.example", "--to", "nobody2@nowhere.example",
                      stdin=letter(ann.address, ben.address), password=False)
    assert done.returncode == 43 and not done.stdout
    assert b"nobody@nowhere.example, nobody2@nowhere.example" in done.stderr
    # One that nobody here can have, for a character that is not seen, may be known to a directory elsewhere.
    done = ann.result("mail", "encrypt", "--to", ben.address, "--to", "\u2764\ufe0f@partner.example", stdin=letter(ann.address, ben.address), password=False)
    assert done.returncode == 43 and "\u2764\ufe0f@partner.example" in done.stderr.decode(), done.stderr
    assert ann.result("mail", "encrypt", stdin=b"", password=False).returncode == 2


def test_findings_as_json(couple):
    ann, ben = couple
    signed = ann.result("mail", "sign", stdin=letter(ann.address, ben.address), status=0).stdout
    done = ben.result("mail", "verify", "--check", "--json", stdin=signed, password=False)
    report = json.loads(done.stderr)
    assert done.returncode == 0 and report["worst"] == "" and report["findings"] and not done.stdout
    assert report["written"] is False
    assert json.loads(ben.result("mail", "verify", "--json", stdin=signed, password=False).stderr)["written"] is True
    done = ben.result("mail", "verify", "--check", "--json", stdin=letter(ann.address, ben.address), password=False)
    assert done.returncode == 40 and json.loads(done.stderr)["worst"] == "mail-unsigned"


def test_altered_and_foreign_messages(server, person, couple):
    ann, ben = couple
    signed = ann.result("mail", "sign", "--clear", stdin=letter(ann.address, ben.address, attachment=b"x"), status=0).stdout
    done = ben.result("mail", "verify", stdin=signed.replace(b"here", b"HERE"), password=False)
    assert done.returncode == 50 and not done.stdout
    done = ben.result("mail", "verify", "--check", stdin=signed.replace(ann.address.encode(), b"boss@example.org", 1), password=False)
    assert done.returncode == 48
    sent = ann.result("mail", "encrypt", "--to", ann.address, stdin=signed, password=False, status=0).stdout
    done = ben.result("mail", "decrypt", stdin=sent)
    assert done.returncode == 42 and not done.stdout


def test_out_appears_only_when_it_is_complete(couple, tmp_path):
    ann, ben = couple
    out, other = tmp_path / "out.eml", tmp_path / "out.eml.new"
    other.write_text("somebody else's, who may read it")
    other.chmod(0o666)
    ann.run("mail", "sign", "--out", out, stdin=letter(ann.address, ben.address).decode())
    whole = out.read_bytes()
    assert other.read_text() == "somebody else's, who may read it" and out.stat().st_mode & 0o777 == 0o600
    bad = tmp_path / "bad.eml"
    assert ben.result("mail", "verify", "--out", bad, stdin=whole.replace(b"here", b"HERE"), password=False).returncode == 50
    assert set(tmp_path.iterdir()) == {out, other}
    device = tmp_path / "as-dev-null"
    os.mkfifo(device)
    assert ben.result("mail", "verify", "--out", device, stdin=whole, password=False).returncode == 16
    assert device.is_fifo()


def test_a_full_disk_has_its_own_exit_code(couple):
    ann, ben = couple
    full = subprocess.run([harness.CLI, "mail", "sign", "--password-file", ann.server.folder / "password"], input=letter(ann.address, ben.address),
                          env={**os.environ, "VOUCHSAFE_HOME": str(ann.place)}, stdout=open("/dev/full", "wb"), stderr=subprocess.PIPE, timeout=60)
    assert full.returncode == 31 and b"No space left" in full.stderr and b".c:" not in full.stderr


def test_after_a_revocation_what_is_signed_is_reported(server, person, couple):
    _, ben = couple
    one = person("Eve").enroll()
    text = letter(one.address, ben.address)
    before = one.result("mail", "sign", stdin=text, status=0).stdout
    assert ben.result("mail", "encrypt", "--to", one.address, stdin=text, password=False).returncode == 0
    assert ben.result("mail", "verify", "--check", stdin=before, password=False).returncode == 0
    server.run("user", "revoke", one.address, "--reason", "keyCompromise", home="rita")
    revoked = time.monotonic()
    while True:
        signed = one.result("mail", "sign", stdin=text)
        after = signed.stdout
        done = ben.result("mail", "verify", "--check", stdin=after, password=False)
        if done.returncode == 47:
            break
        assert time.monotonic() - revoked < 6, done.stderr
        time.sleep(0.2)
    assert "revoked" in done.stderr.decode()
    # Whoever signs is told too, and the message is there all the same.
    signed = one.result("mail", "sign", stdin=text)
    assert signed.returncode == 47 and b"Your signature certificate is revoked" in signed.stderr and signed.stdout
    assert ben.result("mail", "encrypt", "--to", one.address, stdin=text, password=False).returncode == 43


PREFERENCE = bytes.fromhex("060b2a864886f70d010910020b")  # RFC 8551 2.5.3: SMIMEEncryptionKeyPreference


def signature_of(message: bytes) -> bytes:
    [part] = [part for part in email.message_from_bytes(message).walk() if part.get_content_type() == "application/pkcs7-signature"]
    return part.get_payload(decode=True)


def test_only_a_good_certificate_is_named_for_answers(tmp_path):
    """While it is in time, and not revoked."""
    from conftest import new_person
    clock = tmp_path / "clock"
    clock.write_bytes(struct.pack("=q", 0))
    with harness.Server(folder=tmp_path / "server", options={"certificate": {"encryption-lifetime": "1h"}}) as server:
        ann, ben = new_person(server, "Ann").enroll(), new_person(server, "Ben").enroll()

        def names_one(status=0) -> bool:
            return PREFERENCE in signature_of(ann.result("mail", "sign", "--clear", stdin=letter(ann.address, ben.address), status=status).stdout)

        assert names_one()
        server.environment.update(LD_PRELOAD=f"{harness.BUILD}/tests/functional/clock-offset.so", VOUCHSAFE_TEST_CLOCK=str(clock))
        assert names_one()
        clock.write_bytes(struct.pack("=q", 2 * 3600))
        assert not names_one()
        clock.write_bytes(struct.pack("=q", 0))
        server.run("user", "revoke", ann.address, "--reason", "superseded", home="rita")
        wait_for(lambda: ann.result("mail", "sign", stdin=letter(ann.address, ben.address)).returncode == 47)
        assert not names_one(status=47)


class Between(http.server.BaseHTTPRequestHandler):
    """Somebody on the way to whoever serves the list, as a proxy, who answers in his place."""

    def do_GET(self):
        self.server.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def between(server, monkeypatch):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between) as one:
        one.asked = 0
        monkeypatch.setitem(server.environment, "http_proxy", f"http://127.0.0.1:{one.server_address[1]}")
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one
        one.shutdown()


def kept_lists(person) -> dict[pathlib.Path, bytes]:
    return {path: path.read_bytes() for path in (person.place / "cache/crl").iterdir()}


def test_neither_old_nor_forged_lists_hide_a_revocation(server, person, couple, between, monkeypatch):
    _, ben = couple
    one, proxy = person("Eve").enroll(), server.environment["http_proxy"]
    text = letter(one.address, ben.address)
    signed = one.result("mail", "sign", "--offline", stdin=text, status=0).stdout

    def verify(*options):
        return ben.result("mail", "verify", "--check", *options, stdin=signed, password=False).returncode

    del server.environment["http_proxy"]
    assert verify() == 0
    [before] = kept_lists(ben).values()
    server.run("user", "revoke", one.address, "--reason", "keyCompromise", home="rita")
    wait_for(lambda: verify() == 47)
    newest = kept_lists(ben)
    monkeypatch.setitem(server.environment, "http_proxy", proxy)
    for sent in (before, before[:-1] + bytes([before[-1] ^ 1]), b"no list"):
        between.content, between.asked = sent, 0
        assert verify() == 47 and between.asked
        assert ben.result("mail", "encrypt", "--to", one.address, "--refresh", stdin=text, password=False).returncode == 43
        assert kept_lists(ben) == newest and verify("--offline") == 47


def test_a_list_is_asked_for_once_however_many_recipients_there_are(couple, between):
    ann, ben = couple
    between.content = b"not now"
    for options in ((), ("--refresh",)):
        between.asked = 0
        ann.result("mail", "encrypt", "--to", ben.address, "--to", ann.address, *options, stdin=b"\nhi\n", password=False, status=0)
        assert between.asked == 1


def test_a_full_disk_hides_no_revocation(server, person, couple, monkeypatch):
    """What cannot be kept counts all the same."""
    ann, ben = couple
    one = person("Eve").enroll()
    text = letter(one.address, ben.address)
    signed = one.result("mail", "sign", "--clear", stdin=text, status=0).stdout
    assert ben.result("mail", "verify", "--check", stdin=signed, password=False).returncode == 0
    server.run("user", "revoke", one.address, "--reason", "keyCompromise", home="rita")
    wait_for(lambda: one.result("mail", "sign", stdin=text).returncode == 47)
    monkeypatch.setattr(server, "prefix", ["sh", "-c", 'trap "" XFSZ; ulimit -f 0; exec "$@"', "sh"])
    for _ in range(2):
        done = ben.result("mail", "verify", "--check", stdin=signed, password=False)
        assert done.returncode == 47 and b"is not kept for later" in done.stderr, done.stderr
        done = ben.result("mail", "encrypt", "--to", ann.address, "--refresh", stdin=text, password=False)
        assert done.returncode == 0 and b"is not kept for later" in done.stderr, done.stderr


def test_mail_works_while_the_server_is_down(own_server):
    from conftest import new_person
    server = own_server.init()
    ann, ben = new_person(server, "Ann").enroll(), new_person(server, "Ben").enroll()
    text = letter(ann.address, ben.address)
    server.stop()
    # One's own certificate came with the enrollment: to oneself the first message goes without the server.
    sent = ann.result("mail", "encrypt", "--to", ann.address, stdin=text, password=False, status=0).stdout
    assert ann.result("mail", "decrypt", stdin=sent).returncode == 0
    server.start()

    def exchange():
        signed = ann.result("mail", "sign", stdin=text, status=0).stdout
        sent = ann.result("mail", "encrypt", "--to", ben.address, stdin=signed, password=False, status=0).stdout
        return read(server, ben, sent)

    done = exchange()
    assert done.returncode == 0 and done.stdout == text, done.stderr
    server.stop()
    done = exchange()
    assert done.returncode == 0 and done.stdout == text, done.stderr
    assert ann.result("certificate", "find", ben.address, password=False).returncode == 0
    assert ann.result("mail", "encrypt", "--to", "new@example.org", stdin=text, password=False).returncode == 43
    assert ann.result("certificate", "find", "new@example.org", password=False).returncode == 15
