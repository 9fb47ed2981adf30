# SPDX-License-Identifier: Apache-2.0
"""The outbound process that publishes, against a directory that lies, changes its mind, or goes away in the middle."""
import pathlib
import struct
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import wire  # noqa: E402
from directories import authority_and_certificate  # noqa: E402
from ldap_liar import Liar, entry, parse, result  # noqa: E402
from outbound import Process  # noqa: E402

MODIFY, MODIFIED, EXISTS, NO_SUCH_VALUE, FORBIDDEN = 0x66, 0x67, 20, 16, 50
GUID, OTHER = "0123456789abcdef0123456789abcdef", "f" * 32
DN = "cn=Alice,ou=people,dc=x"


def uuid(guid: str) -> str:
    return "-".join((guid[:8], guid[8:12], guid[12:16], guid[16:20], guid[20:]))


class Directory(Liar):
    """Entries by DN, as they are told; `codes` answer modifications one after the other (None: hang up), the last one for ever."""

    def __init__(self, entries: dict[str, dict], *codes):
        self.entries, self.codes, self.changes = entries, list(codes) or [0], []
        super().__init__(self._found)

    def _found(self, base, attributes, filter):
        return [entry(dn, values) for dn, values in self.entries.items() if base in (dn, "dc=x")]

    def _answers(self, operation):
        if operation[0] != MODIFY:
            yield from super()._answers(operation)
            return
        name, changes = parse(operation[1])
        for _, change in parse(changes[1]):
            (_, kind), (_, attribute) = parse(change)
            (_, described), (_, values) = parse(attribute)
            self.changes.append((name[1].decode(), kind[0], described.decode(), sorted(value for _, value in parse(values))))
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        if code is None:
            raise OSError("hung up")
        yield [result(MODIFIED, code)]


class Publisher(Process):
    """Number 0, with this test in the engine's place."""

    def configure(self, options, secrets):
        given = {"directory": options, "server": {"organisation": "Test", "host-names": "localhost"}, "publish": {"directory": "yes", "smime-attribute": ""}}
        content = b"".join(struct.pack(">I", len(text)) + text for section, values in given.items() for key, value in values.items()
                           for text in (section.encode(), key.encode(), str(value).encode()))
        wire.send(self.control, "configure", content=content, index=0)

    def publish(self, *certificates: bytes, dn=DN) -> dict:
        values = {"guid": GUID, "dn": dn, "certificates": [{"value": one} for one in certificates], "issuers": [{"value": ISSUER}]}
        return self.question("job", id=1, kind="publish-user", subject="directory", content=wire.encode("directory_values", **values))[1]


ISSUER, CERTIFICATE, OLD, FOREIGN = authority_and_certificate()
JUNK = [b"", b"\0", b"\x30\x82", CERTIFICATE + b"\0", CERTIFICATE[:-1], b"\xff" * 70000]
ATTRIBUTE = "userCertificate;binary"


@pytest.fixture
def publisher():
    made = []

    def make(directory: Directory) -> Publisher:
        made.extend((directory, Publisher(directory.options())))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_only_ours_are_changed_among_junk(publisher):
    directory = Directory({DN: {"entryUUID": [uuid(GUID)], ATTRIBUTE: [*JUNK, OLD, FOREIGN]}})
    assert publisher(directory).publish(CERTIFICATE)["success"]
    assert directory.changes == [(DN, 1, ATTRIBUTE, [OLD]), (DN, 0, ATTRIBUTE, [CERTIFICATE])]


def test_who_has_the_name_now_is_left_alone(publisher):
    directory = Directory({DN: {"entryUUID": [uuid(OTHER)], ATTRIBUTE: [OLD]}})
    done = publisher(directory).publish(CERTIFICATE)
    assert done["success"] and directory.changes == []
    directory.entries["cn=Alice Married,dc=x"] = {"entryUUID": [uuid(GUID)]}
    del directory.entries[DN]
    assert publisher(directory).publish(CERTIFICATE)["success"]
    assert directory.changes == [("cn=Alice Married,dc=x", 0, ATTRIBUTE, [CERTIFICATE])]


def test_two_entries_with_one_id_are_left_alone(publisher):
    directory = Directory({"cn=One,dc=x": {"entryUUID": [uuid(GUID)]}, "cn=Two,dc=x": {"entryUUID": [uuid(GUID)]}})
    done = publisher(directory).publish(CERTIFICATE)
    assert not done["success"] and not done["unreachable"] and "have one id" in done["detail"] and directory.changes == []


def test_races_are_read_again_and_end(publisher):
    directory = Directory({DN: {"entryUUID": [uuid(GUID)]}}, EXISTS, NO_SUCH_VALUE, 0)
    assert publisher(directory).publish(CERTIFICATE)["success"]
    assert len(directory.changes) == 3
    endless = Directory({DN: {"entryUUID": [uuid(GUID)]}}, EXISTS)
    done = publisher(endless).publish(CERTIFICATE)
    assert not done["success"] and not done["unreachable"] and len(endless.changes) == 5


def test_what_is_refused_says_why(publisher):
    directory = Directory({DN: {"entryUUID": [uuid(GUID)]}}, FORBIDDEN)
    done = publisher(directory).publish(CERTIFICATE)
    assert not done["success"] and not done["permanent"] and "nsufficient access" in done["detail"]


def test_hanging_up_is_no_fault_of_the_job(publisher):
    directory = Directory({DN: {"entryUUID": [uuid(GUID)]}}, None, 0)
    process = publisher(directory)
    done = process.publish(CERTIFICATE)
    assert not done["success"] and done["unreachable"]
    assert process.publish(CERTIFICATE)["success"]


def test_names_that_cannot_be(publisher):
    directory = Directory({"cn=Alice Married,dc=x": {"entryUUID": [uuid(GUID)]}})
    process = publisher(directory)
    for dn in ("", "nonsense", "cn=" + "x" * 2000, "cn=a\\zz", "cn=\u202e\u0007,dc=x"):
        assert process.publish(CERTIFICATE, dn=dn)["success"], dn
