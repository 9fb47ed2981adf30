# SPDX-License-Identifier: Apache-2.0
"""What an administrator meets who types commands as the documentation has them, or nearly so."""
import json
import pathlib
import re
import subprocess

import pytest

import harness


def run(home, *arguments, **options):
    return subprocess.run([str(harness.CLI), *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, start_new_session=True,
                          env={"VOUCHSAFE_HOME": str(home), "PATH": "/usr/bin:/bin",
                               "VOUCHSAFE_LIBEXEC": str(harness.BUILD / "src")}, **options)


@pytest.mark.parametrize("words", [["nonsense"], ["user", "nonsense"], ["status", "--nonsense"], ["user", "enroll"],
                                   ["user", "list", "--limit=x", "y"], ["user"]])
def test_every_refusal_is_json_when_asked(tmp_path, words):
    done = run(tmp_path, *words, "--json")
    assert done.returncode == 2
    problem = json.loads(done.stderr.splitlines()[-1])
    assert problem["code"] == "usage" and problem["exit"] == 2 and problem["detail"]


def init(folder, *more):
    (folder / "root-password").write_text("another long password\n")
    return run(folder / "home", "init", "--data", folder / "data", "--organisation", 'A "quoted" one', "--hostname", "localhost",
               "--officer", "olga", "--root-password-file", folder / "root-password", *more)


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
