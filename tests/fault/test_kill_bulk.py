# SPDX-License-Identifier: Apache-2.0
"""Kill the command, any process of the server, or all of them while 10,000 people are given tokens, and run the command again until it ends: everyone has
exactly one token, and the files have each person once."""
import csv
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from peers_postgres import Postgres  # noqa: E402
from test_kill import kill_something  # noqa: E402

RUNS_MOST = 200


def start_command(server, out, report, *options) -> subprocess.Popen:
    return subprocess.Popen([harness.CLI, "user", "enroll", "unit:Load", "all", "--out", out, "--report", report, *options,
                             "--password-file", server.folder / "password"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "VOUCHSAFE_HOME": str(server.homes / "rita")})


def run_killing(server, chance: random.Random, kills: int, out, report, *options) -> dict[str, int]:
    """Until the command ends well. So many kills at the most, so that it comes to an end on any machine."""
    killed = {"command": 0, "server": 0}
    for _ in range(RUNS_MOST):
        command = start_command(server, out, report, *options)
        while command.poll() is None and sum(killed.values()) < kills:
            time.sleep(chance.uniform(0.02, 0.6))
            victim = chance.choice(("command", "server"))
            if command.poll() is not None:
                break
            killed[victim] += 1
            if victim == "server":
                kill_something(server, chance)
                continue
            command.send_signal(signal.SIGKILL)
        _, errors = command.communicate(timeout=300)
        if command.returncode == 0:
            return killed
        assert command.returncode in (-signal.SIGKILL, 21, 22, 23, 33), errors
        server.wait("unsealed", seconds=120)
    raise AssertionError("it never ends")


def check_tokens(server, out, count: int, chance: random.Random):
    """One line for each, and what the lines have is what the server takes."""
    lines = [line.split("\t") for line in out.read_text().splitlines()]
    assert len(lines) == count
    assert len({line[0] for line in lines}) == len({line[1] for line in lines}) == count
    tokens = server.folder / "sample"
    tokens.write_text("".join(line[0] + "\n" for line in chance.sample(lines, min(300, count))))
    done = subprocess.run([str(harness.BUILD / "bench/load"), "--server", server.url, "--tokens", str(tokens), "--connections", "4"],
                          stdout=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0 and json.loads(done.stdout)["enrolled"] == min(300, count), done.stdout


def check_users(server, report, count: int):
    with open(report, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({row["id"] for row in rows}) == count
    assert {row["outcome"] for row in rows} == {"token"}
    users = list(csv.DictReader(server.run("user", "list", "--csv", home="rita", timeout=600).splitlines()))
    assert len(users) == count
    assert {(user["state"], user["token"]) for user in users} == {("new", "issued")}


def bulk(server, count: int, kills: int):
    seed = int(os.environ.get("VOUCHSAFE_SEED", "0")) or random.randrange(1 << 30)
    print(f"VOUCHSAFE_SEED={seed}")
    chance = random.Random(seed)
    out, report = server.folder / "tokens", server.folder / "report.csv"
    server.run("directory", "import", server.people(count), home="rita", timeout=600)
    killed = run_killing(server, chance, kills, out, report)
    print(f"killed {killed}")
    check_users(server, report, count)
    check_tokens(server, out, count, chance)
    assert not list(server.folder.glob("*.progress*"))
    assert server.json("verify", home="rita", timeout=600)["findings"] == []


OPTIONS = {"enroll": {"encryption-profile": "p256", "pool-size": 0}}


def test_kill_while_ten_thousand_are_enrolled():
    with harness.Server(options=OPTIONS) as server:
        bulk(server, 10000, 25)


@pytest.mark.skipif(Postgres.unavailable() is not None, reason=str(Postgres.unavailable()))
def test_kill_while_many_are_enrolled_in_postgresql():
    with Postgres() as postgres, harness.Server(options={**OPTIONS, "store": {"url": postgres.url}}) as server:
        bulk(server, 2000, 10)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-s"]))
