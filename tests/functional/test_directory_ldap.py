# SPDX-License-Identifier: Apache-2.0
"""A whole server that follows a real directory: people come, change, move, leave; a directory that loses half of them."""
import os
import signal

import pytest

import harness
from peers import Slapd, wait_for

LIMITS = {"enroll": {"encryption-profile": "p256", "pool-size": 0}}
PEOPLE = [{"name": f"Person {letter}", "mail": f"person-{letter}@example.org"} for letter in "abcdefghij"]


def status(server) -> dict:
    return server.json("directory", "status", home="rita")


def people(server) -> dict[str, dict]:
    return {one["name"]: one for one in server.json("directory", "list", home="rita")["people"]}


def shown(server, address) -> dict:
    return server.json("user", "show", address, home="rita")["user"][0]


def sync(server, *options, status=0):
    return server.result("directory", "sync", "--wait", *options, home="rita", status=status)


@pytest.fixture(scope="module")
def slapd():
    if reason := Slapd.unavailable():
        pytest.skip(reason)
    with Slapd(people=PEOPLE) as one:
        one.add(one.group("inner", one.dn("Person a")) + one.group("outer", one.dn("inner", "groups"), one.dn("Person b")))
        yield one


@pytest.fixture(scope="module")
def server(slapd):
    with harness.Server(options={**LIMITS, "directory": slapd.options(**{"left-most": 30, "page-size": 3})}) as one:
        wait_for(lambda: len(people(one)) == 10, what="the directory is not read")
        yield one


def test_people_come_change_and_leave(slapd, server):
    assert "slapd" not in server.log.read_text() and slapd.url in server.run("directory", "status", home="rita")
    rows = server.json("user", "enroll", "group:outer", "--dry-run", home="rita")["rows"]
    assert sorted(row["name"] for row in rows) == ["Person a", "Person b"]
    rows = server.json("user", "enroll", "filter:(sn=c)", "--dry-run", home="rita")["rows"]
    assert [row["name"] for row in rows] == ["Person c"]
    server.enroll("person-c@example.org")
    user = shown(server, "person-c@example.org")["user"]

    slapd.rename(slapd.dn("Person c"), "cn=Person Married", f"ou=services,{slapd.BASE}")
    wait_for(lambda: "Person Married" in people(server))
    moved = shown(server, "person-c@example.org")
    assert moved["user"] == user and moved["state"] == "enrolled" and people(server)["Person Married"]["unit"] == "services"
    # Somebody else gets the address, and none of the keys.
    slapd.modify(f"cn=Person Married,ou=services,{slapd.BASE}", mail="married@example.org")
    slapd.add(slapd.person("New Comer", mail="person-c@example.org"))
    wait_for(lambda: "New Comer" in people(server))
    assert shown(server, "person-c@example.org")["state"] == "undefined"
    assert shown(server, "married@example.org")["user"] == user
    slapd.delete(slapd.dn("New Comer"))
    wait_for(lambda: "New Comer" not in people(server))
    assert "New Comer" in server.run("directory", "left", home="rita")


def test_changes_are_made_in_the_directory(slapd, server):
    done = server.result("directory", "add", "x@example.org", "--name", "X", home="rita", status=None)
    assert done.returncode != 0 and "directory" in done.stderr


def test_half_a_directory_makes_nobody_leave(slapd, server):
    """As when it was restored from an old copy while nobody followed it."""
    server.stop()
    for letter in "defgh":
        slapd.delete(slapd.dn(f"Person {letter}"))
    server.start()
    before = set(people(server))
    done = sync(server, status=None)
    assert done.returncode != 0 and "left-most" in done.stderr, done.stdout + done.stderr
    assert set(people(server)) == before >= {"Person d", "Person h"}
    sync(server, "--accept-departures")
    assert not {"Person d", "Person h"} & set(people(server))


def test_the_directory_is_away_and_comes_back(slapd, server):
    slapd.stop(kill=True)
    done = server.result("user", "enroll", "filter:(sn=a)", "--dry-run", home="rita", status=None)
    assert done.returncode == 23 and slapd.url in done.stderr
    # What was read still serves.
    assert server.json("user", "enroll", "person-a@example.org", "--dry-run", home="rita")["rows"]
    assert sync(server, status=None).returncode != 0
    slapd.start()
    wait_for(lambda: sync(server, status=None).returncode in (0, 17), what=lambda: server.run("directory", "status", home="rita"))


def test_a_new_password_is_taken_on_reload(slapd, server):
    """Also of a file that is root's alone, as long as it is not replaced by another."""
    slapd.modify(slapd.ACCOUNT, userPassword="another secret")
    said = sync(server, status=52).stderr
    assert "refused" in said and "bind-password-file" in said
    assert server.json("directory", "status", home="rita")["last"][0]["problem"] == "directory-login"
    (slapd.folder / "bind-password").write_text("another secret\n")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: sync(server, status=None).returncode == 0, what=lambda: server.run("directory", "status", home="rita") + server.tail())


def test_a_killed_process_starts_a_new_run(slapd, server):
    pid = server.children()["outbound 2"] if "outbound 2" in server.children() else None
    assert pid, server.children()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: server.children().get("outbound 2") not in (None, pid))
    slapd.add(slapd.person("After All", mail="after@example.org"))
    wait_for(lambda: "After All" in people(server), what=lambda: server.run("directory", "status", home="rita") + server.tail())
