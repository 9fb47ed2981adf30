# SPDX-License-Identifier: Apache-2.0
"""Somebody writes in the database behind the server's back, while it runs and while it is stopped: whatever is altered, removed, swapped or put
back is named by "vouchsafe verify"."""
import pathlib
import sqlite3
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402

ALICE, BOB = "load0@example.org", "load1@example.org"


@pytest.fixture(scope="module")
def server():
    with harness.Server(options={"enroll": {"encryption-profile": "p256"}}) as running:
        running.run("directory", "import", running.people(4), home="rita")
        for address in (ALICE, BOB):
            running.enroll(address)
            running.run("request", "recover", address, "--reason", "x", "--token-out", running.folder / f"{address}.token", home="rita")
        for request in running.json("request", "list", home="olga")["requests"]:
            running.run("request", "approve", request["request"], "--yes", home="olga")
        yield running


def rows(database, table):
    return database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


def put(database, table, content):
    database.execute(f"DELETE FROM {table}")
    if content:
        database.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(content[0]))})", content)


def altered(database, table):
    before = rows(database, table)
    put(database, table, [(*before[0][:1], *flip(before[0][1:]), ), *before[1:]])


def flip(values):
    """The last number or text before version and MAC, changed."""
    values = list(values)
    place = next(i for i in range(len(values) - 3, -1, -1) if isinstance(values[i], (int, str)) and values[i] != "")
    values[place] = values[place] + 1 if isinstance(values[place], int) else values[place] + "x"
    return values


def removed(database, table):
    put(database, table, rows(database, table)[1:])


def emptied(database, table):
    put(database, table, [])


def swapped(database, table):
    key = 2 if table == "approvals" else 1
    first, second, *others = rows(database, table)
    put(database, table, [(*first[:key], *second[key:]), (*second[:key], *first[key:]), *others])


TABLES = ("users", "certificates", "archives", "operators", "approvals", "requests")


def write_as_root(server, change):
    with sqlite3.connect(server.data / "vouchsafe.db", timeout=20) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        return change(database)


def test_tampering_while_running(server):
    assert server.damage() == ""
    for table in TABLES:
        for attack in (altered, removed, emptied, swapped):
            before = write_as_root(server, lambda database: rows(database, table))
            if len(before) < 2 or (table == "operators" and attack is emptied):
                continue  # without operators nobody is left who could ask
            write_as_root(server, lambda database: attack(database, table))
            try:
                found = server.damage()
            finally:
                write_as_root(server, lambda database: put(database, table, before))
            assert table.rstrip("s") in found, f"{attack.__name__} {table}: {found!r}"
    assert server.damage() == ""


def put_back(server, table):
    """The whole table as it was before something that changed a row of it."""
    before = write_as_root(server, lambda database: rows(database, table))
    server.tokens("load2@example.org")
    return lambda database, _: put(database, table, before)


@pytest.mark.parametrize("attack, tables", [
    (altered, ["users", "archives"]),
    (removed, ["certificates", "requests"]),
    (emptied, ["approvals"]),
    (swapped, ["users", "certificates"]),
    (put_back, ["users"]),
])
def test_tampering_while_stopped(server, attack, tables):
    attacks = {table: attack(server, table) if attack is put_back else attack for table in tables}
    server.stop()
    before = write_as_root(server, lambda database: {table: rows(database, table) for table in tables})
    write_as_root(server, lambda database: [one(database, table) for table, one in attacks.items()])
    server.start()
    try:
        found = server.damage()
    finally:
        server.stop()
        write_as_root(server, lambda database: [put(database, table, content) for table, content in before.items()])
        server.start()
    assert all(table.rstrip("s") in found for table in tables), found
    assert server.damage() == ""


def test_replay_of_rows_and_chain(server):
    """The whole user table, later the chain too, as they were before a revocation."""
    before = write_as_root(server, lambda database: {table: rows(database, table) for table in ("users", "certificates", "chain")})
    server.run("user", "revoke", ALICE, "--reason", "keyCompromise", home="rita")
    after = write_as_root(server, lambda database: {table: rows(database, table) for table in before})
    write_as_root(server, lambda database: [put(database, table, before[table]) for table in ("users", "certificates")])
    found = server.damage()
    assert "certificate" in found and "user" in found, found
    server.stop()
    after["chain"] = write_as_root(server, lambda database: rows(database, "chain"))
    write_as_root(server, lambda database: put(database, "chain", before["chain"]))
    server.start(wait="sealed")  # it does not serve from it
    until = time.monotonic() + 20
    while "The audit chain ends with record" not in server.tail() and time.monotonic() < until:
        time.sleep(0.1)
    assert "The audit chain ends with record" in server.tail() and server.state() == "sealed"
    server.stop()
    write_as_root(server, lambda database: [put(database, table, after[table]) for table in after])
    server.start()
    assert server.damage() == ""


def test_audit_records_removed_or_altered(server, tmp_path):
    """They are named, and the export goes on past them: whoever verifies it finds the same."""
    before = write_as_root(server, lambda database: rows(database, "audit"))
    last = len(before)
    for number, change, words in ((last - 3, "DELETE FROM audit WHERE seq = {}", "removed"),
                                  (last - 6, "UPDATE audit SET subject = 'nobody' WHERE seq = {}", "altered")):
        server.stop()
        write_as_root(server, lambda database: database.execute(change.format(number)))
        server.start()
        assert "audit" in server.damage()
        path = tmp_path / words
        done = server.result("audit", "export", path, home="olga", status=28)
        assert f"record {number + (words == 'removed')} " in done.stderr and words in done.stderr, done.stderr
        done = server.result("audit", "verify", path, home="olga", password=False, status=28)
        assert str(number + (words == 'removed')) in done.stderr and path.stat().st_size > 1000
        if words == "altered":
            assert "(altered)" in server.result("audit", "list", "--from", number, "--limit", 2, home="olga", status=28).stdout
        write_as_root(server, lambda database: database.execute(f"DELETE FROM audit WHERE seq = {number}"))
        write_as_root(server, lambda database: database.executemany(
            f"INSERT OR IGNORE INTO audit VALUES ({','.join('?' * len(before[0]))})", before))
    assert server.damage() == ""
