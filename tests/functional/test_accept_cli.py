# SPDX-License-Identifier: Apache-2.0
"""What an administrator meets who types commands as the documentation has them, or nearly so."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

import harness


def run(home, *arguments, **options):
    return subprocess.run([str(harness.CLI), *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, start_new_session=True,
                          env={"VOUCHSAFE_HOME": str(home), "PATH": "/usr/bin:/bin",
                               "VOUCHSAFE_LIBEXEC": str(harness.BUILD / "src")}, **options)


@pytest.mark.parametrize("words", [["nonsense"], ["user", "nonsense"], ["status", "--nonsense"], ["user", "enroll"],
                                   ["user", "list", "x", "y"], ["user"]])
def test_every_refusal_is_json_when_asked(tmp_path, words):
    done = run(tmp_path, *words, "--json")
    assert done.returncode == 2
    problem = json.loads(done.stderr.splitlines()[-1])
    assert problem["code"] == "usage" and problem["exit"] == 2 and problem["detail"]


def init(folder, *more):
    (folder / "root-password").write_text("another long password\n")
    return run(folder / "home", "init", "--data", folder / "data", "--organisation", 'A "quoted" one', "--hostname", "localhost",
               "--officer", "olga", "--user", "nobody", "--root-password-file", folder / "root-password", *more)


def test_init_makes_the_folders_it_writes_to(tmp_path):
    done = init(tmp_path, "--startup-secret-file", tmp_path / 'etc/"v"/secret', "--root-out", tmp_path / "safe/root.p12",
                "--codes-dir", tmp_path / "codes", "--json")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch("[0-9a-f]{32}", json.loads(done.stdout)["server_id"])
    assert (tmp_path / 'etc/"v"/secret').stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "safe/root.p12").exists()


def test_init_shows_no_secrets_as_json(tmp_path):
    done = init(tmp_path, "--json")
    assert done.returncode == 2 and "--codes-dir" in json.loads(done.stderr)["detail"]
    assert not (tmp_path / "data").exists()


def test_readme_names_only_options_that_exist(tmp_path):
    text = (pathlib.Path(harness.ROOT) / "README.md").read_text().replace("\\\n", " ")
    seen = 0
    for line in text.splitlines():
        for words in re.findall(r"(?<![\w/-])vouchsafe ([a-z][^|<>&#`]*)", line):
            words = words.split()
            if not line.startswith("vouchsafe"):
                continue
            command = [word for word in words[:2] if re.fullmatch("[a-z]+", word)]
            help_text = run(tmp_path, *command, "--help").stdout
            assert help_text, words
            for option in (word for word in words if word.startswith("--")):
                assert re.search(rf"{option}\b", help_text), f"{words}: {option}"
                seen += 1
    assert seen > 10


@pytest.fixture(scope="module")
def server():
    with harness.Server() as one:
        yield one


@pytest.mark.skipif(not shutil.which("faketime"), reason="faketime is not installed")
@pytest.mark.parametrize("shift", ["-2h", "+400d"])
def test_a_clock_that_is_off_is_said_to_be(server, shift):
    environment = dict(os.environ, VOUCHSAFE_HOME=str(server.homes / "rita"))
    done = subprocess.run(["faketime", "-f", shift, harness.CLI, "user", "list", "--password-file", server.folder / "password"],
                          capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 30 and "clock" in done.stderr, done.stderr


def test_what_is_too_long_is_refused(server):
    done = server.result("request", "show", "x" * 5000, home="rita", status=11)
    assert "too long" in done.stderr


def test_certificate_of_another_ca(server):
    key, certificate = server.folder / "tls-key.pem", server.folder / "tls.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                    "-out", certificate, "-days", "5", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    if os.geteuid() == 0:
        shutil.chown(key, "nobody")
    before = server.config.read_text()
    try:
        server.config.write_text(before + f"\n[tls]\ncertificate = {certificate}\nkey = {key}\n")
        server.process.send_signal(signal.SIGHUP)
        for _ in range(100):
            done = server.result("operator", "list", home="rita", status=None)
            if done.returncode:
                break
            time.sleep(0.1)
        assert done.returncode == 13 and "VOUCHSAFE_CA_FILE" in done.stderr
        os.environ["VOUCHSAFE_CA_FILE"] = str(certificate)
        server.run("operator", "list", home="rita")
    finally:
        os.environ.pop("VOUCHSAFE_CA_FILE", None)
        server.config.write_text(before)
        server.process.send_signal(signal.SIGHUP)


def test_without_server_and_cache_nobody_is_said_to_be_missing(server):
    (server.folder / "one.csv").write_text("guid,name,surname,address,unit\nsole,Solé,S,sole@example.org,S\n")
    server.run("directory", "import", server.folder / "one.csv", home="rita")
    server.enroll("sole@example.org")
    exported = server.result("keys", "export", server.folder / "sole.p12", "--export-password-file", server.folder / "password",
                             "--json", home="sole@example.org")
    assert json.loads(exported.stdout) == {"keys": 2}
    server.stop()
    done = server.result("mail", "encrypt", "--to", "other@example.org", home="sole@example.org", stdin="Subject: x\n\nx\n",
                         password=False, status=43)
    assert "could not be asked" in done.stderr and not done.stdout
    server.start()


def test_selection_that_gives_no_token_is_no_success(server):
    assert "names nobody" in server.result("user", "enroll", "unit:Nowhere", home="rita", status=15).stderr
    done = server.result("user", "enroll", "nobody@example.org", "--json", home="rita", status=17)
    assert json.loads(done.stdout)["rows"][0]["outcome"] == "refused"
    assert json.loads(done.stderr.splitlines()[-1])["code"] == "state"
