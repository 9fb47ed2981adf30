# SPDX-License-Identifier: Apache-2.0
"""Kill any process, or all of them, while a real directory is read, followed and changed. Afterwards the mirror is what the directory is, nobody has
left who is there, keys are with whom they were, and database and audit chain verify."""
import os
import pathlib
import random
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from peers import Slapd, wait_for  # noqa: E402
from test_kill import kill_something  # noqa: E402

KILLS = int(os.environ.get("VOUCHSAFE_KILLS", "40")) // 4
COUNT = int(os.environ.get("VOUCHSAFE_PEOPLE", "1500"))


def mirrored(server) -> dict[str, list[str]]:
    return {one["name"]: one.get("addresses", []) for one in server.json("directory", "list", home="rita", timeout=300)["people"]}


def change_something(slapd, names: list[str], chance: random.Random):
    """Two change addresses, one is renamed, somebody comes, somebody goes."""
    one, other = chance.sample(names, 2)
    addresses = [slapd.search("(mail=*)", "mail", base=slapd.dn(name)).popitem()[1]["mail"][0].decode() for name in (one, other)]
    slapd.modify(slapd.dn(one), mail=addresses[1])
    slapd.modify(slapd.dn(other), mail=addresses[0])
    if chance.random() < 0.5:
        new = f"Renamed {len(names)} {chance.randrange(1 << 30)}"
        slapd.rename(slapd.dn(one), f"cn={new}")
        names[names.index(one)] = new
    new = f"New {chance.randrange(1 << 30)}"
    slapd.add(slapd.person(new, mail=f"{new.replace(' ', '').lower()}@example.org"))
    gone = chance.choice(names)
    slapd.delete(slapd.dn(gone))
    names[names.index(gone)] = new


def test_kill_while_the_directory_is_read():
    if reason := Slapd.unavailable():
        pytest.skip(reason)
    seed = int(os.environ.get("VOUCHSAFE_SEED", "0")) or random.randrange(1 << 30)
    print(f"VOUCHSAFE_SEED={seed}")
    chance = random.Random(seed)
    names = [f"Person {number}" for number in range(COUNT)]
    with Slapd(people=[{"name": name, "mail": f"{name.replace(' ', '').lower()}@example.org"} for name in names]) as slapd, \
            harness.Server(options={"enroll": {"encryption-profile": "p256", "pool-size": 0},
                                    "directory": slapd.options(**{"page-size": 50, "left-most": 10})}) as server:
        for _ in range(KILLS):
            subprocess.run([str(harness.CLI), "directory", "sync", "--as", "rita", "--password-file", str(server.folder / "password")],
                           env=dict(os.environ, VOUCHSAFE_HOME=str(server.homes / "rita")), capture_output=True, timeout=120)
            change_something(slapd, names, chance)
            time.sleep(chance.uniform(0, 0.4))
            kill_something(server, chance)
        server.wait("unsealed")
        wait_for(lambda: server.result("directory", "sync", "--wait", home="rita", status=None, timeout=300).returncode == 0, 180,
                 what=lambda: server.run("directory", "status", home="rita") + server.tail())
        wanted = {entry["cn"][0].decode(): [entry["mail"][0].decode()] for entry in slapd.search("(objectClass=inetOrgPerson)", "cn", "mail").values()}
        assert mirrored(server) == wanted and len(wanted) == COUNT
        status = server.json("directory", "status", home="rita")
        assert not status.get("findings") and status["state"] == "following", status
        assert server.json("verify", home="rita", timeout=600)["findings"] == []
        server.run("audit", "export", server.folder / "audit.bin", home="rita")
        server.run("audit", "verify", server.folder / "audit.bin", home="rita", password=False)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-s"]))
