# SPDX-License-Identifier: Apache-2.0
"""Kill the command, any process of the server, or all of them while many are given tokens in two parts, one of which goes by mail through a real Postfix; run
the command again until it ends, then let the mail out, and go on killing until it is. Everyone has exactly one token, and every mail that came brings the part that
belongs to it. A mail may come twice: who handed it over and died before he could write that down hands it over again."""
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from peers import wait_for  # noqa: E402
from peers_mail import Postfix, token_in, unavailable  # noqa: E402
from peers_postgres import Postgres  # noqa: E402
from test_kill import kill_something  # noqa: E402
from test_kill_bulk import check_users, run_killing  # noqa: E402

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())
KILLS = max(int(os.environ.get("VOUCHSAFE_KILLS", "40")) // 5, 2)


def waiting(server) -> int:
    """Jobs in the queue; −1 when nobody can say."""
    done = server.result("status", "--server", server.url, "--json", status=None, password=False)
    status = json.loads(done.stdout) if done.returncode == 0 else {"state": "down"}
    return status.get("queue", 0) if status["state"] == "unsealed" else -1


def kill_while_mail_leaves(server, chance: random.Random) -> int:
    """All processes and some of them by turns; how often."""
    kills = 0
    while kills < KILLS and waiting(server) != 0:
        time.sleep(chance.uniform(0.02, 0.4))
        if kills % 2:
            kill_something(server, chance)
        else:
            server.stop(kill=True)
            server.start(wait=None)
        kills += 1
    return kills


def parts_by_mail(postfix, count: int, kills: int) -> dict[str, str]:
    """The one part that came for each, however often it came."""
    wait_for(lambda: not postfix.busy(), 120, what=lambda: postfix.log[-3000:])
    arrived = postfix.arrived()
    assert len(arrived) == count
    parts = {address: {token_in(message) for message in messages} for address, messages in arrived.items()}
    assert [found for found in parts.items() if len(found[1]) != 1] == []
    again = sum(len(messages) - 1 for messages in arrived.values())
    print(f"{again} of {count} mails came twice")
    assert again <= kills * 4  # as many as are under way at once
    return {address: found.pop() for address, found in parts.items()}


def check_tokens(server, out, parts: dict[str, str]):
    """What was written down and what was mailed make one token, which the server takes."""
    lines = [line.split("\t") for line in out.read_text().splitlines()]
    by_hand = {address: token for token, address, *_ in lines}
    assert len(lines) == len(by_hand) and by_hand.keys() == parts.keys()
    tokens = server.folder / "whole"
    tokens.write_text("".join(f"{by_hand[address]} {part}\n" for address, part in parts.items()))
    done = subprocess.run([str(harness.BUILD / "bench/load"), "--server", server.url, "--tokens", str(tokens), "--connections", "4"],
                          stdout=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0 and json.loads(done.stdout)["enrolled"] == len(parts), done.stdout
    said = server.log.read_text()
    assert not any(part in said for part in [*parts.values(), *by_hand.values()])


def mailed(count: int, store: dict):
    seed = int(os.environ.get("VOUCHSAFE_SEED", "0")) or random.randrange(1 << 30)
    print(f"VOUCHSAFE_SEED={seed}")
    chance = random.Random(seed)
    postfix = Postfix()
    folder = postfix.folder / "server"
    folder.mkdir()
    try:
        options = {"enroll": {"encryption-profile": "p256", "pool-size": 0}, "mail": postfix.options(folder), **store}
        with harness.Server(folder, options=options) as server:
            out, report = server.folder / "tokens", server.folder / "report.csv"
            server.run("directory", "import", server.people(count), home="rita")
            killed = run_killing(server, chance, KILLS // 2, out, report, "--deliver", "split")
            # Only now can mail leave, so that all of it is still there to be killed at; it does while the command hastens it.
            server.wait("unsealed", seconds=120)
            postfix.start()
            hasten = threading.Thread(target=server.result, args=("queue", "retry", "--state", "waiting"),
                                      kwargs={"home": "rita", "status": None})
            hasten.start()
            more = kill_while_mail_leaves(server, chance)
            hasten.join()
            print(f"killed {killed}, and {more} times while mail was under way")
            assert more, "the mail was out before anything could be killed"
            server.wait("unsealed", seconds=120)
            wait_for(lambda: waiting(server) == 0, 180, what=lambda: server.run("queue", "list", home="rita") + server.tail())
            check_users(server, report, count)
            check_tokens(server, out, parts_by_mail(postfix, count, killed["server"] + more))
            assert server.json("verify", home="rita", timeout=600)["findings"] == []
    finally:
        postfix.stop()


def test_kill_while_tokens_are_mailed():
    mailed(800, {})


@pytest.mark.skipif(Postgres.unavailable() is not None, reason=str(Postgres.unavailable()))
def test_kill_while_tokens_are_mailed_in_postgresql():
    with Postgres() as postgres:
        mailed(400, {"store": {"url": postgres.url}})


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-s"]))
