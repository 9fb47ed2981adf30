# SPDX-License-Identifier: Apache-2.0
"""Enrolling many at once: selections, lists, reports, and going on after an interruption."""
import contextlib
import csv
import json
import os
import pathlib
import select
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from harness import CLI

COUNT = 1300  # three pages


@pytest.fixture(scope="module")
def crowd(server):
    """People in units, groups and on servers of their own."""
    path = server.folder / "crowd.csv"
    lines = ["guid,name,address,unit,server,groups"]
    lines += [f"{n + 0x70000000:08x}-0000-4000-8000-000000000000,\"Crowd, {n}\",crowd{n}@example.org,Crowd/{n % 3},mx{n % 2},crowd{n % 4}"
              for n in range(COUNT)]
    path.write_text("\n".join(lines) + "\n")
    server.run("directory", "import", path, home="rita")
    return server


def enroll(server, *arguments, status=0, **options):
    return server.result("user", "enroll", *arguments, home="rita", status=status, **options)


def token_lines(path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_dry_run_says_what_would_become_of_each(crowd, person):
    one = person().enroll()
    waiting = person()
    waiting.token()
    done = enroll(crowd, one.address, "unit:Crowd/0", "nobody@example.org", "--dry-run")
    assert f"{(COUNT + 2) // 3} new" in done.stderr and "1 enrolled" in done.stderr and "1 refused" in done.stderr
    rows = json.loads(enroll(crowd, "unit:Tests", "--dry-run", "--json").stdout)["rows"]
    by_address = {row["address"]: row for row in rows}
    assert by_address[one.address]["outcome"] == "enrolled"
    assert by_address[waiting.address]["outcome"] == "waiting" and by_address[waiting.address]["expires"]


def test_many_get_one_token_each_and_a_report(crowd, tmp_path):
    out, report = tmp_path / "tokens", tmp_path / "report.csv"
    done = enroll(crowd, "group:crowd1", "unit:Crowd/1", "crowd4@example.org", "group:crowd1", "--out", out, "--report", report)
    expected = {n for n in range(COUNT) if n % 4 == 1 or n % 3 == 1 or n == 4}
    lines = token_lines(out)
    assert stat.S_IMODE(out.stat().st_mode) == stat.S_IMODE(report.stat().st_mode) == 0o600
    assert {line[1] for line in lines} == {f"crowd{n}@example.org" for n in expected} and len(lines) == len(expected)
    assert len({line[0] for line in lines}) == len(lines)
    assert f"{len(expected)} selected, {len(expected)} with a new token" in done.stderr and not done.stdout
    with open(report, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(expected) and {row["outcome"] for row in rows} == {"token"}
    assert list(rows[0]) == ["id", "name", "address", "unit", "outcome", "detail", "delivery", "expires"]
    assert not any(line[0] in report.read_text() for line in lines)
    assert not list(tmp_path.glob("*.progress*"))
    # Again: nobody gets another one. The report is a list itself.
    again = enroll(crowd, "--from", report, "--out", tmp_path / "again")
    assert f"{len(expected)} with one that waits" in again.stderr and not (tmp_path / "again").read_text()
    time.sleep(1.1)  # what was given in the second in which a command begins counts as given since
    renewed = enroll(crowd, "--from", report, "--renew", "--report", tmp_path / "renewed.json")
    assert len(renewed.stdout.splitlines()) == len(expected)
    rows = [json.loads(line) for line in (tmp_path / "renewed.json").read_text().splitlines()]
    assert {row["outcome"] for row in rows} == {"token"} and "token" not in rows[0]


def test_lists(crowd, tmp_path):
    path = tmp_path / "people.txt"
    path.write_bytes("\ufeff# those of the second floor\r\nmail\r\ncrowd8@example.org\r\n\r\n Crowd8@Example.org \r\n# none\r\n"
                     "70000014-0000-4000-8000-000000000000\r\nwho?\r\n\"crowd23@example.org\",left over\r\nnobody@example.org".encode())
    rows = json.loads(enroll(crowd, "--from", path, "--json").stdout)["rows"]
    assert [(row["address"], row["outcome"]) for row in rows] == [
        ("crowd8@example.org", "token"), ("crowd20@example.org", "token"), ("who?", "refused"),
        ("crowd23@example.org", "token"), ("nobody@example.org", "refused")]
    again = json.loads(enroll(crowd, "--from", "-", "--json", stdin="crowd8@example.org\n").stdout)["rows"]
    assert again[0]["outcome"] == "waiting"
    path.write_text("crowd8@example.org\n\"never closed\n")
    done = enroll(crowd, "--from", path, status=10)
    assert str(path) in done.stderr and "quote" in done.stderr
    assert "no such file" in enroll(crowd, "--from", tmp_path / "absent", status=15).stderr


def test_names_cannot_be_formulas(server, person, tmp_path):
    one = person('=1+1;"--"')
    enroll(server, one.address, "--report", tmp_path / "report.csv")
    with open(tmp_path / "report.csv", newline="") as file:
        assert list(csv.DictReader(file))[0]["name"] == "'=1+1;\"--\""
    with subprocess.Popen([CLI, "user", "list", "--csv", "--password-file", server.folder / "password"], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "VOUCHSAFE_HOME": str(server.homes / "rita")}) as process:
        rows = {row["address"]: row for row in csv.DictReader(process.stdout)}
    assert rows[one.address]["name"].startswith("'=") and rows[one.address]["state"] == "new" and rows[one.address]["token"] == "issued"


def test_files_that_are_there_are_kept(server, person, tmp_path):
    one = person()
    (tmp_path / "out").write_text("mine")
    assert "not written over" in enroll(server, one.address, "--out", tmp_path / "out", status=16).stderr
    assert (tmp_path / "out").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    assert ".csv or .json" in enroll(server, one.address, "--report", tmp_path / "report.pdf", status=2).stderr
    assert "Whom?" in enroll(server, status=2).stderr


@pytest.mark.parametrize("page", [0, 1, 2])
def test_it_goes_on_after_a_kill(crowd, tmp_path, page):
    """Killed in the middle of any page; what the next run leaves is as if there had been one."""
    unit = f"Again{page}"
    crowd.run("directory", "import", crowd.people(COUNT, unit=unit, first=page * COUNT), home="rita")
    out, report = tmp_path / "tokens", tmp_path / "report.csv"
    command = ["user", "enroll", f"unit:{unit}", "all", "--out", str(out), "--report", str(report)]
    process = subprocess.Popen([CLI, *command, "--password-file", crowd.folder / "password"], stderr=subprocess.DEVNULL,
                               env={**os.environ, "VOUCHSAFE_HOME": str(crowd.homes / "rita")})
    while process.poll() is None and (not out.exists() or out.read_text().count("\n") < page * 500):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not pathlib.Path(f"{out}.progress").exists():
        pytest.skip("it was faster than the kill")
    assert "another command" in enroll(crowd, f"unit:{unit}", "--out", out, status=16).stderr
    done = crowd.result(*command, home="rita", timeout=300)
    assert "goes on" in done.stderr
    lines = token_lines(out)
    of_unit = [line for line in lines if line[2].startswith("Person")]
    assert len(lines) == len({line[0] for line in lines}) == len({line[1] for line in lines})
    assert {f"load{n}@example.org" for n in range(page * COUNT, (page + 1) * COUNT)} <= {line[1] for line in of_unit}
    with open(report, newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    assert len(ids) == len(set(ids))
    # What is in the file is what the server takes: the last one given.
    for line in (lines[0], lines[499], lines[-1]):
        token = tmp_path / "one"
        token.write_text(line[0])
        crowd.run("enroll", "--server", crowd.url, "--token-file", token, home=f"{line[1]}-{page}")
    assert not list(tmp_path.glob("*.progress*"))


@pytest.mark.parametrize("words, status", [(["unit:Nowhere"], 15), (["group:Nobody"], 15), (["all", "--deliver", "mail"], 17)])
def test_what_was_refused_leaves_nothing_in_the_way(crowd, tmp_path, words, status):
    """The same files can be named by the command that is right."""
    done = enroll(crowd, *words, "--out", tmp_path / "tokens", "--report", tmp_path / "report.csv", status=None)
    assert done.returncode == status, done.stderr
    assert not list(tmp_path.iterdir()) and "tokens" not in done.stderr.split("vouchsafe:")[0]


def test_what_may_have_been_done_before_a_refusal_can_be_asked_again(crowd, tmp_path):
    """The answer is lost and the server sealed before it can be repeated: the tokens that it has given come by repeating the command."""
    crowd.run("directory", "import", crowd.people(3, unit="Uncertain", first=70000), home="rita")
    listener, calls, losing = socket.create_server(("127.0.0.1", 0)), [], threading.Event()

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            calls.append(losing.is_set())
            with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", crowd.https)) as server:
                pass_on(client, server, calls.count(True) == 1)

    def pass_on(client, server, lose):
        while True:
            for readable in select.select([client, server], [], [])[0]:
                piece = readable.recv(65536)
                if not piece:
                    return
                if lose and readable is server and asked():
                    crowd.run("seal", *config, password=False)
                    return
                (server if readable is client else client).sendall(piece)

    def asked():
        return crowd.json("user", "show", "load70000@example.org", home="rita")["user"][0]["state"] == "new"

    config = ["--config", crowd.config]
    threading.Thread(target=serve, daemon=True).start()
    crowd.run("operator", "invite", "rex", "--role", "registrar", "--code-out", tmp_path / "code", home="olga")
    crowd.run("operator", "accept", "--server", f"https://localhost:{listener.getsockname()[1]}", "--code-file", tmp_path / "code", home="rex")
    command = ["user", "enroll", "unit:Uncertain", "--out", tmp_path / "tokens"]
    losing.set()
    lost = crowd.result(*command, home="rex", status=None)
    assert lost.returncode == 21 and calls.count(True) > 1, lost.stderr
    losing.clear()
    crowd.run("unseal", *config, "--startup-secret-file", crowd.startup_secret, password=False)
    crowd.wait("unsealed")
    crowd.run(*command, home="rex")
    assert len(token_lines(tmp_path / "tokens")) == 3
    listener.close()


def test_a_damaged_file_is_noticed(crowd, tmp_path):
    out = tmp_path / "tokens"
    crowd.run("directory", "import", crowd.people(600, unit="Damage", first=50000), home="rita")
    process = subprocess.Popen([CLI, "user", "enroll", "unit:Damage", "--out", out, "--password-file", crowd.folder / "password"],
                               stderr=subprocess.DEVNULL, env={**os.environ, "VOUCHSAFE_HOME": str(crowd.homes / "rita")})
    while process.poll() is None and (not out.exists() or not out.stat().st_size):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    journal = pathlib.Path(f"{out}.progress")
    if not journal.exists() or not out.stat().st_size:
        pytest.skip("it was faster than the kill")
    time.sleep(0.1)
    out.write_text("")
    done = enroll(crowd, "unit:Damage", "--out", out, status=None)
    assert done.returncode in (0, 17)  # 0: the first page was not done yet
    if done.returncode:
        assert "--renew" in done.stderr
