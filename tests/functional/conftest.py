# SPDX-License-Identifier: Apache-2.0
"""A real server for the functional tests, one for all of them, with people in its address book. Tests take people of their own, so that they do
not get in each other's way."""
import itertools
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from peers import SambaAd  # noqa: E402


@pytest.fixture(scope="session")
def server():
    """Set up, started, with officers olga, omar, otto and registrar rita. P-256, because making RSA keys is most of what tests would wait for."""
    one = harness.Server(options={"enroll": {"encryption-profile": "p256", "pool-size": 0}})
    try:
        yield one.init()
    finally:
        one.remove()


@pytest.fixture(scope="session")
def samba():
    """A domain controller, one for all tests of this process. They take units of their own in it."""
    if reason := SambaAd.unavailable():
        pytest.skip(reason)
    with SambaAd() as one:
        yield one


@pytest.fixture
def own_server(tmp_path):
    """A server of one test, which may stop, seal or damage it. Not yet set up."""
    one = harness.Server(folder=tmp_path / "server")
    try:
        yield one
    finally:
        one.stop()


numbers = itertools.count(1)


class Person:
    """Somebody in the address book, with a home of his own."""

    def __init__(self, server, name: str, address: str):
        self.server, self.name, self.address, self.home = server, name, address, address

    def run(self, *arguments, **options):
        return self.server.run(*arguments, home=self.home, **options)

    def result(self, *arguments, **options):
        return self.server.result(*arguments, home=self.home, **{"status": None, **options})

    def token(self) -> pathlib.Path:
        return self.server.tokens(self.address)

    def enroll(self):
        self.run("enroll", "--server", self.server.url, "--token-file", self.token())
        return self

    @property
    def place(self) -> pathlib.Path:
        return self.server.homes / self.home


def new_person(server, name="Person") -> Person:
    number = next(numbers)
    address = f"person{number}@example.org"
    path = server.folder / f"person{number}.csv"
    quoted = name.replace('"', '""')
    path.write_text(f'name,mail,unit\n"{quoted}",{address},Tests/{number}\n')
    server.run("directory", "import", path, home="rita")
    return Person(server, name, address)


@pytest.fixture
def person(server):
    """Makes people: person() or person("Name")."""
    return lambda name="Person": new_person(server, name)
