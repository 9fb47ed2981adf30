# SPDX-License-Identifier: Apache-2.0
"""Requests and approvals; sealing and unsealing; a lost startup secret; the proofs."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest


def request_of(server, person, token):
    made = server.json("request", "recover", person.address, "--reason", "lost", "--token-out", token, home="rita")
    return made["request"][0]["request"]


def approve(server, officer, request, status=0):
    return server.result("request", "approve", request, "--yes", home=officer, status=status)


def test_two_of_three_recover(server, person, tmp_path):
    one = person("Zoë").enroll()
    before = json.loads(one.run("keys", "list", "--json"))["certificates"]
    shutil.rmtree(one.place)
    token = tmp_path / "token"
    request = request_of(server, one, token)
    shown = server.run("request", "show", request, home="olga")
    fingerprint = re.search(r"Recipient key +((?:[0-9a-f]{4} ?){5})", shown)[1]
    for officer in ("olga", "otto"):
        assert one.result("recover", "--server", server.url, "--token-file", token).returncode == 17
        done = approve(server, officer, request)
        assert fingerprint in done.stdout and "lost" in done.stdout and one.address in done.stdout
    one.run("recover", "--server", server.url, "--token-file", token)
    after = json.loads(one.run("keys", "list", "--json"))["certificates"]
    kinds = {kind: {item["serial"] for item in before if item["kind"] == kind} for kind in ("signature", "encryption")}
    assert kinds["encryption"] <= {item["serial"] for item in after}
    assert not kinds["signature"] & {item["serial"] for item in after}
    assert one.result("recover", "--server", server.url, "--token-file", token).returncode == 0
    assert server.json("request", "show", request, home="rita")["request"][0]["state"] == "done"


def test_keys_that_are_there_stay(server, person, tmp_path):
    """Recovery beside an older store: with its password the keys join, with another it is kept aside."""
    for number, password in enumerate(["password", "other-password"]):
        one = person().enroll()
        before = json.loads(one.run("keys", "list", "--json"))["certificates"]
        (server.folder / "other-password").write_text("another long password\n")
        token = tmp_path / f"token{number}"
        request = request_of(server, one, token)
        approve(server, "olga", request)
        approve(server, "omar", request)
        path = server.folder / password
        one.run("recover", "--server", server.url, "--token-file", token, "--password-file", path, password=False)
        after = json.loads(one.run("keys", "list", "--json", "--password-file", path, password=False))["certificates"]
        stores = list(one.place.glob("users/*/keys*"))
        if password == "password":
            assert {item["serial"] for item in before} < {item["serial"] for item in after} and len(stores) == 1
        else:
            assert len(stores) == 2


def test_an_officer_approves_once_and_refusal_ends_it(server, person, tmp_path):
    one = person().enroll()
    request = request_of(server, one, tmp_path / "token")
    approve(server, "olga", request)
    approve(server, "olga", request, status=None)
    assert len(server.json("request", "show", request, home="rita")["request"][0]["approved_by"]) == 1
    assert approve(server, "rita", request, status=None).returncode == 14
    for officer in ("omar", "otto"):
        server.result("request", "refuse", request, "--note", "no", home=officer, status=None)
    assert server.json("request", "show", request, home="rita")["request"][0]["state"] == "refused"
    assert approve(server, "otto", request, status=None).returncode != 0
    assert one.result("recover", "--server", server.url, "--token-file", tmp_path / "token").returncode != 0


def test_without_a_terminal_approval_needs_yes(server, person, tmp_path):
    one = person().enroll()
    request = request_of(server, one, tmp_path / "token")
    import os
    import harness
    done = subprocess.run([harness.CLI, "request", "approve", request, "--password-file", server.folder / "password"], capture_output=True, text=True,
                          start_new_session=True, env={**os.environ, "VOUCHSAFE_HOME": str(server.homes / "olga")})
    assert done.returncode == 2 and "--yes" in done.stderr
    unseen = server.result("request", "approve", request, "--json", home="olga", status=2)
    assert "nothing is shown" in unseen.stderr, "nobody is asked whether he approves what he was not shown"
    assert not server.json("request", "show", request, home="rita")["request"][0]["approved_by"]


def test_audit_exports_and_tampering_shows(server, tmp_path):
    path = tmp_path / "audit"
    server.run("audit", "export", path, home="rita")
    done = server.result("audit", "verify", path, home="rita", password=False)
    assert "whole" in done.stdout
    assert "certificate in the file itself" in server.result("audit", "verify", path, home="nobody", password=False).stderr
    content = path.read_bytes()
    for at in (40, len(content) // 3, len(content) // 2, len(content) - 5):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
        assert server.result("audit", "verify", path, home="rita", password=False, status=None).returncode in (10, 13, 28, 44), at
    path.write_bytes(content[:-30])
    assert server.result("audit", "verify", path, home="rita", password=False, status=None).returncode in (10, 28)
    assert server.json("audit", "list", "--limit", 5, home="rita")["records"]


def test_the_database_verifies(server):
    done = server.json("verify", home="rita", timeout=300)
    assert not [item for item in done["findings"] if item["severity"] == "error"]


def test_operators_come_and_go(server):
    code = server.folder / "code-anna"
    server.run("operator", "invite", "anna", "--role", "auditor", "--code-out", code, home="olga")
    server.run("operator", "accept", "--server", server.url, "--code-file", code, home="anna")
    assert "already" in server.result("operator", "accept", "--server", server.url, "--code-file", code, home="anna").stderr
    assert server.json("audit", "list", home="anna")["records"]
    assert server.result("user", "enroll", "all", home="anna", status=None).returncode == 14
    server.run("operator", "disable", "anna", home="olga")
    assert server.result("audit", "list", home="anna", status=None).returncode in (13, 14)
    assert {item["operator"]: item["state"] for item in server.json("operator", "list", home="olga")["operators"]}["anna"] == "disabled"


def test_seal_unseal_and_a_lost_startup_secret(own_server, tmp_path):
    server = own_server.init()
    config = ["--config", server.config]
    server.run("seal", *config, password=False)
    server.wait("sealed")
    assert server.result("user", "list", home="rita", status=None).returncode == 21
    (tmp_path / "wrong").write_text("22222-wrong\n")
    assert server.result("unseal", *config, "--startup-secret-file", tmp_path / "wrong", password=False, status=None).returncode in (19, 24)
    server.run("unseal", *config, "--startup-secret-file", server.startup_secret, password=False)
    server.wait("unsealed")
    server.run("seal", *config, password=False)
    server.wait("sealed")
    made = server.json("request", "startup", "--reason", "burnt", home="otto")
    request = made["request"][0]["request"]
    approve(server, "omar", request)
    assert server.result("request", "show", request, "--startup-secret-out", tmp_path / "new", home="otto", status=None).returncode == 25
    approve(server, "otto", request)
    # The key for it is on the requester's machine alone.
    assert server.result("request", "show", request, "--startup-secret-out", tmp_path / "new", home="omar", status=None).returncode == 15
    server.run("request", "show", request, "--startup-secret-out", tmp_path / "new", home="otto")
    server.wait("unsealed")
    server.run("seal", *config, password=False)
    server.wait("sealed")
    assert server.result("unseal", *config, "--startup-secret-file", server.startup_secret, password=False, status=None).returncode == 24
    server.run("unseal", *config, "--startup-secret-file", tmp_path / "new", password=False)
    server.wait("unsealed")
    assert server.json("user", "list", home="rita")["users"] == []


def eventually(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_sealing_holds_while_the_engine_is_away(own_server):
    """Every keeper waits for its records then, with the startup secret; who seals meanwhile means all of them."""
    server = own_server.init()
    config = ["--config", server.config]

    def keepers():
        return [child for child in json.loads((server.folder / "run/status.json").read_text())["children"] if child["role"] == "keeper"]

    server.stop()
    (server.data / "vouchsafe.db").rename(server.data / "aside")
    server.start(wait=None)
    eventually(lambda: server.result("seal", *config, password=False, status=None).returncode == 0)
    (server.data / "aside").rename(server.data / "vouchsafe.db")
    eventually(lambda: {child["state"] for child in keepers()} == {"sealed"})
    os.kill(keepers()[0]["pid"], signal.SIGKILL)
    eventually(lambda: [child["starts"] for child in keepers()] == [2, 1] and {child["state"] for child in keepers()} == {"sealed"})
    server.process.send_signal(signal.SIGHUP)
    server.wait("sealed")
    server.run("unseal", *config, "--startup-secret-file", server.startup_secret, password=False)
    server.wait("unsealed")
    eventually(lambda: {child["state"] for child in keepers()} == {"unsealed"})
