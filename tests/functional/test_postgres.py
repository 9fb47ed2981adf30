# SPDX-License-Identifier: Apache-2.0
"""The main job with PostgreSQL below it, and what the processes that are confined less strictly may still do."""
import pathlib
import subprocess
import sys
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402


@pytest.fixture(scope="module")
def database():
    """The address of a database of its own, which lives until its standard input ends."""
    process = subprocess.Popen([str(harness.ROOT / "tests/with-postgres"), "sh", "-c", 'echo "$VOUCHSAFE_TEST_DATABASE"; exec cat >/dev/null'],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    told = process.stdout.readline()
    if "host=" not in told:
        assert process.wait(60) == 77, told
        pytest.skip("PostgreSQL is not installed")
    words = dict(word.split("=", 1) for word in told.split())
    yield f"postgresql://{words['user']}@/{words['dbname']}?host={urllib.parse.quote(words['host'], safe='')}"
    process.stdin.close()
    process.wait(60)


@pytest.fixture(scope="module")
def server(database):
    with harness.Server(options={"store": {"url": database}, "enroll": {"encryption-profile": "p256", "pool-size": 0}}) as running:
        running.run("directory", "import", running.people(3), home="rita")
        yield running


def test_the_main_job(server):
    server.enroll("load0@example.org")
    server.run("user", "revoke", "load0@example.org", "--reason", "superseded", home="rita")
    server.stop()
    server.start()
    server.enroll("load1@example.org")
    assert server.json("user", "show", "load0@example.org", home="rita")["user"][0]["state"] == "revoked"
    assert server.damage() == ""


def psql(url, *commands):
    done = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", url, *[word for command in commands for word in ("-c", command)]],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_set_up_that_was_cut_off(server, database):
    """Between its two transactions: what the keeper sealed is there, and nothing else."""
    psql(database, "CREATE DATABASE half")
    url = database.replace("/postgres?", "/half?")
    dump = subprocess.run(["pg_dump", "-t", "bootstrap", "-t", "schema_version", database], capture_output=True, text=True, check=True)
    structure = subprocess.run(["pg_dump", "-s", "-T", "bootstrap", "-T", "schema_version", database], capture_output=True, text=True, check=True)
    for part in (structure, dump):
        subprocess.run(["psql", "-qX", url], input=part.stdout, text=True, check=True, capture_output=True)
    psql(url, "DELETE FROM bootstrap WHERE number > 1 OR name = 'crl'")
    psql(url, "UPDATE bootstrap SET version = 0, mac = ''")
    with harness.Server(options={"store": {"url": url}, "enroll": {"encryption-profile": "p256", "pool-size": 0}}) as again:
        again.run("directory", "import", again.people(1), home="rita")
        again.enroll("load0@example.org")
        assert again.damage() == ""


def test_engine_and_outbound_are_confined(server):
    for name, pid in server.children().items():
        if name.startswith(("engine", "outbound")):
            status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
            assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == 0, name
