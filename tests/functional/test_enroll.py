# SPDX-License-Identifier: Apache-2.0
"""The main job with real processes: directory, tokens, enrollment, recovery by two of three officers, revocation, audit, verify."""
import json
import pathlib
import sqlite3
import sys
import time
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402

ALICE, BOB = "load0@example.org", "load1@example.org"


@pytest.fixture(scope="module")
def server():
    with harness.Server(options={"enroll": {"encryption-profile": "p256"}}) as running:
        running.run("directory", "import", running.people(4), home="rita")
        yield running


def valid(server, address):
    shown = server.json("user", "show", address, home="rita")
    return sorted(item["kind"] for item in shown["certificates"] if item["state"] == "valid")


def test_enroll_and_again(server):
    tokens = server.tokens(ALICE)
    server.run("enroll", "--server", server.url, "--token-file", tokens, home=ALICE)
    server.run("enroll", "--server", server.url, "--token-file", tokens, home=ALICE)
    assert valid(server, ALICE) == ["encryption", "signature"]
    # The token is used: on another machine it is worth nothing.
    done = server.result("enroll", "--server", server.url, "--token-file", tokens, home="thief", status=18)
    assert "not accepted" in done.stderr


def test_enrolled_users_are_left_alone(server):
    rows = server.json("user", "enroll", "unit:Load", "--dry-run", home="rita")["rows"]
    assert {row["address"]: row["outcome"] for row in rows}[ALICE] == "enrolled"
    assert not any(row.get("token") for row in rows)


def test_import_is_repeatable(server):
    again = server.json("directory", "import", server.people(4), home="rita")
    assert again["unchanged"] == 4 and not again.get("added") and not again.get("findings")


def test_recovery_takes_two_officers(server):
    server.enroll(BOB)
    message = server.folder / "message.eml"
    message.write_text(f"From: {ALICE}\nTo: {BOB}\nSubject: secret\n\nThe old mail.\n")
    encrypted = server.folder / "encrypted.eml"
    encrypted.write_text(server.run("mail", "encrypt", "--to", BOB, message, home=ALICE, password=False))
    token = server.folder / "recovery-token"
    server.run("request", "recover", BOB, "--reason", "laptop stolen", "--token-out", token, home="rita")
    request = server.json("request", "list", home="rita")["requests"][0]["request"]
    first = server.run("request", "approve", request, "--yes", home="olga")
    assert "1 of 2 approvals" in first and "cannot open anything" in first
    server.run("recover", "--server", server.url, "--token-file", token, home="bob-again", status=17)
    server.run("request", "approve", request, "--yes", home="otto")
    server.run("recover", "--server", server.url, "--token-file", token, home="bob-again")
    assert "The old mail." in server.run("mail", "decrypt", encrypted, home="bob-again")
    assert valid(server, BOB) == ["encryption", "signature"]


def crl(server) -> bytes:
    with urllib.request.urlopen(f"http://localhost:{server.http}/pki/issuer.crl", timeout=10) as answer:
        return answer.read()


def test_revocation_shows_within_five_seconds(server):
    message = server.folder / "signed.eml"
    plain = server.folder / "plain.eml"
    plain.write_text(f"From: {ALICE}\nTo: {BOB}\nSubject: hello\n\nHello.\n")
    message.write_text(server.run("mail", "sign", plain, home=ALICE))
    serials = {item["serial"] for item in server.json("user", "show", ALICE, home="rita")["certificates"]}
    began = time.monotonic()
    server.run("user", "revoke", ALICE, "--reason", "keyCompromise", home="rita")
    while not all(bytes.fromhex(serial) in crl(server) for serial in serials):
        assert time.monotonic() - began < 5
        time.sleep(0.05)
    server.result("mail", "verify", message, home="bob-again", status=47, password=False)


def test_wrong_tokens_tell_nothing(server):
    tokens = server.tokens("load2@example.org").read_text().split()
    right = tokens[0]
    refused = []
    for address, token in (("a", right[:8] + "X" * 7 + right[15:]), ("b", right)):
        path = server.folder / f"token-{address}"
        path.write_text(token + "\n")
        refused.append(server.result("enroll", "--server", server.url, "--token-file", path, home=address, status=None))
    assert refused[0].returncode == 19  # a typing error is found before anything is sent
    assert refused[1].returncode == 0


def test_audit_and_database_verify(server):
    exported = server.folder / "audit.vaf"
    server.run("audit", "export", exported, home="olga")
    server.run("audit", "verify", exported, home="olga", password=False)
    found = json.loads(server.run("verify", "--json", home="olga"))
    assert not found.get("findings")
    handed_in = server.json("audit", "list", "--what", "smime.", home="olga")["records"]
    who, whose = handed_in[0]["actor"], handed_in[0]["subject"]
    assert {record["action"] for record in handed_in} == {"smime.put"} and who == f"user:{whose}" and "@" in whose
    assert not server.json("audit", "list", "--who", who, "--refused", home="olga").get("records")


def test_restart_keeps_everything(server):
    before = server.json("user", "list", home="rita")
    server.stop()
    server.start()
    assert server.json("user", "list", home="rita") == before
    assert crl(server)


def test_verify_names_what_was_altered(server):
    """While the server is stopped, somebody edits its database: verify names the rows."""
    server.stop()
    database = sqlite3.connect(server.data / "vouchsafe.db")
    database.execute("CREATE TABLE kept AS SELECT * FROM users WHERE address = ?", (BOB,))
    database.execute("UPDATE users SET cn = 'Mallory' WHERE address = ?", (BOB,))
    database.commit()
    server.start()
    done = server.result("verify", home="olga", status=28)
    assert "users" in done.stdout + done.stderr
    server.stop()
    database.execute("UPDATE users SET cn = (SELECT cn FROM kept) WHERE address = ?", (BOB,))
    database.execute("DROP TABLE kept")
    database.commit()
    database.close()
    server.start()
    assert not json.loads(server.run("verify", "--json", home="olga")).get("findings")


def test_officers_replace_a_lost_startup_secret(server):
    server.stop()
    server.startup_secret.write_text("this is not the secret\n")
    server.start(wait="sealed")
    server.run("user", "list", home="rita", status=21)
    key_password = server.folder / "password"
    server.run("request", "startup", "--reason", "the paper is lost", "--key-password-file", key_password, home="olga")
    request = server.json("request", "list", home="olga")["requests"][0]["request"]
    server.run("request", "approve", request, "--yes", home="omar")
    server.run("request", "approve", request, "--yes", home="otto")
    server.wait("unsealed")
    new = server.folder / "new-startup-secret"
    server.run("request", "show", request, "--startup-secret-out", new, "--key-password-file", key_password, home="olga")
    server.startup_secret.write_text(new.read_text())
    server.stop()
    server.start()
    assert not json.loads(server.run("verify", "--json", home="olga")).get("findings")
