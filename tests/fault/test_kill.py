# SPDX-License-Identifier: Apache-2.0
"""Kill any process, or all of them, at random points under enrolling load. No acknowledged enrollment is lost, none is made twice, and
database and audit chain verify afterwards. VOUCHSAFE_KILLS says how often (the default keeps the test short)."""
import json
import os
import random
import signal
import subprocess
import sys
import time
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402

KILLS = int(os.environ.get("VOUCHSAFE_KILLS", "40"))


def kill_something(server, chance: random.Random) -> str:
    """SIGKILL one child, all of them, or everything (which is then started again)."""
    children = server.children()
    if chance.random() < 0.1:
        server.stop(kill=True)
        server.start(wait=None)
        return "everything"
    victims = list(children.items())
    if chance.random() > 0.2 and victims:
        victims = [chance.choice(victims)]
    for _, pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return ", ".join(name for name, _ in victims)


def check_everyone_once(server, count: int):
    """Every person has exactly one valid certificate of each kind."""
    users = []
    cursor = ""
    while True:
        page = server.json("user", "list", "--limit", 1000, *(["--cursor", cursor] if cursor else []), home="rita")
        users += page["users"]
        cursor = page.get("cursor", "")
        if not cursor:
            break
    assert len(users) == count
    assert {user["state"] for user in users} == {"enrolled"}
    for user in random.Random(1).sample(users, min(50, count)):
        shown = server.json("user", "show", user["addresses"][0], home="rita")
        valid = [item["kind"] for item in shown["certificates"] if item["state"] == "valid"]
        assert sorted(valid) == ["encryption", "signature"], user
        assert len(shown["certificates"]) == 2, user


def test_kill_at_random_points_under_load():
    seed = int(os.environ.get("VOUCHSAFE_SEED", "0")) or random.randrange(1 << 30)
    print(f"VOUCHSAFE_SEED={seed}")
    chance = random.Random(seed)
    count = KILLS * 25
    with harness.Server(options={"enroll": {"encryption-profile": "p256", "pool-size": 0}}) as server:
        server.run("directory", "import", server.people(count), home="rita")
        tokens = server.tokens("unit:Load")
        acks = server.folder / "acks"
        load = subprocess.Popen([str(harness.BUILD / "bench/load"), "--server", server.url, "--tokens", str(tokens), "--retry", "--again",
                                 "--connections", "4", "--acks", str(acks)], stdout=subprocess.PIPE, text=True)
        kills = 0
        while kills < KILLS:
            time.sleep(chance.uniform(0, 0.25))
            if load.poll() is not None:
                break
            kill_something(server, chance)
            kills += 1
        server.wait("unsealed")
        out, _ = load.communicate(timeout=600)
        result = json.loads(out)
        assert load.returncode == 0, result
        assert result["enrolled"] == count and result["differing"] == 0
        server.wait("unsealed")
        check_everyone_once(server, count)
        assert server.json("verify", home="rita", timeout=600)["findings"] == []
        server.run("audit", "export", server.folder / "audit.bin", home="rita")
        server.run("audit", "verify", server.folder / "audit.bin", home="rita", password=False)
        print(f"{kills} kills")


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-s"]))
