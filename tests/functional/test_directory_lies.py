# SPDX-License-Identifier: Apache-2.0
"""Directories that lie: what no real server says, said to the process that has the directory."""
import pathlib
import re
import time
import uuid

import pytest

from ldap_liar import Liar, Next, Raw, entry, reference
from outbound import Process


@pytest.fixture
def told():
    """told(people, groups, …): the process that has read a directory of these entries, each (dn, attributes)."""
    running = []

    def make(people=(), groups=(), more=(), drip=0.0, single=None, **options):
        def answer(base, attributes, filter):
            if base == "":
                return [entry("", {"namingContexts": ["dc=x"]})]
            if single and base in single and b"objectClass" in filter and "member" in " ".join(attributes):
                return [entry(base, single[base](attributes))]
            return [*(entry(dn, values) for dn, values in (groups if b"groupOf" in filter or b"group" in filter else people)), *more]
        liar = Liar(answer, drip)
        running.append(liar)
        process = Process(liar.options(**{key.replace("_", "-"): value for key, value in options.items()}))
        running.append(process)
        process.liar = liar
        process.over = process.follow()
        return process
    yield make
    for one in running:
        one.stop()


def person(name, **others):
    return (f"cn={name},dc=x", {"entryUUID": [str(uuid.uuid5(uuid.NAMESPACE_DNS, name))], "cn": [name], "sn": [name], "mail": [f"{name}@example.org"], **others})


def test_values_that_are_none(told):
    good, odd = person("good"), "\u202e"
    people = [good, person("nul", cn=[b"a\0b"]), person("der", cn=[b"\x30\x82\x01\x00"]), person("mail", mail=[b"x\0@example.org", "a b@example.org", "\x07@x.org"]),
              person("long", cn=["n" * 1025]), person("half", sn=[b"\xff"], givenName=[b"\0"], mail=["half@example.org", b"\x80@x.org"]), person("none", cn=[]),
              person("noid", entryUUID=[]), person("twoids", entryUUID=[str(uuid.uuid4()), str(uuid.uuid4())]), person("binid", entryUUID=[b"\0" * 16]),
              ("", good[1]), (b"cn=\xff,dc=x", person("dn")[1]), ("no name at all", person("x")[1]), (f"cn={'d' * 2100},dc=x", person("y")[1]),
              (f"cn=c\x01,dc=x", person("z")[1]), person(odd)]
    process = told(people)
    assert process.over["complete"] and process.names() == {"good", "half"}
    half = process.by_name()["half"]
    assert half["addresses"] == ["half@example.org"] and not half["surname"] and not half["given_name"]
    assert len(process.findings) >= 15
    for finding in process.findings:
        assert finding["detail"].isprintable() and finding["subject"].isprintable() and odd not in finding["subject"]


def test_one_id_for_two_and_one_address_for_two(told):
    first = person("first")
    process = told([first, ("cn=second,dc=x", {**person("second")[1], "entryUUID": first[1]["entryUUID"]}), first, person("third", mail=first[1]["mail"])])
    # Whose address or id it is the engine decides; all are sent, and what was met before is not.
    assert [one["name"] for page in process.pages for one in page["people"]] == ["first", "second", "third"] and not process.findings


def test_groups_without_end(told):
    one = person("one")
    groups = [("cn=circle,dc=x", {**person("circle")[1], "member": ["cn=circle,dc=x", "cn=other,dc=x", one[0], "nonsense", b"\xff\0"]}),
              ("cn=other,dc=x", {**person("other")[1], "member": ["cn=circle,dc=x"]}),
              *((f"cn=g{number},dc=x", {**person(f"g{number}")[1], "member": [one[0]]}) for number in range(300))]
    process = told([one], groups)
    assert process.over["complete"] and len(process.by_name()["one"]["groups"]) == 256
    assert process.finding("more than 256 groups") and process.finding("names that cannot be read")
    assert process.by_name()["circle"]["groups"] == ["cn=circle,dc=x", "cn=other,dc=x"]


def test_members_in_parts(told):
    """As Active Directory gives more than 1,500."""
    people = [person(f"p{number}") for number in range(25)]
    dn = "cn=large,dc=x"

    def parts(attributes):
        low = int(next(name for name in attributes if "range=" in name).split("=")[1].split("-")[0])
        high = min(low + 10, 25)
        return {f"member;range={low}-{high - 1 if high < 25 else '*'}": [one[0] for one in people[low:high]]}
    large = (dn, {**person("large")[1], "member": [], "member;range=0-9": [one[0] for one in people[:10]]})
    process = told(people, [large], single={dn: parts})
    assert process.over["complete"] and not process.findings, process.findings
    assert all(process.by_name()[f"p{number}"]["groups"] == [dn] for number in range(25))


def test_parts_that_never_end(told):
    dn = "cn=large,dc=x"
    process = told([person("one")], [(dn, {**person("large")[1], "member;range=0-9": ["cn=one,dc=x"]})],
                   single={dn: lambda attributes: {"member;range=0-9": ["cn=one,dc=x"]}})
    assert process.over["complete"] and process.by_name()["one"]["groups"] == [dn]


def test_referrals_in_circles_and_elsewhere(told):
    process = told([person("one")], more=[reference("ldap://192.0.2.1/dc=x"), reference("ldap://192.0.2.1/dc=x"), reference("nonsense")])
    assert process.over["complete"] and process.names() == {"one"} and process.finding("ldap://192.0.2.1")

    def to_itself(base, attributes, filter):
        return [reference(f"{liar.url}/{base}"), reference(f"{liar.url}/cn=deeper,{base}")] if base else [entry("", {})]
    liar = Liar(to_itself)
    process = Process(liar.options())
    over = process.follow()
    assert liar.searches < 400 and (over["complete"] or over["detail"])
    process.stop()
    liar.stop()


def test_a_message_of_two_gigabytes(told):
    """Nobody waits for it, or has room for it."""
    process = told([person("one")], more=[Raw(b"\x30\x84\x7f\xff\xff\xf0")])
    assert not process.over["complete"] and "did not answer" not in process.over["detail"], process.over


def most_memory(process) -> int:
    """That the process ever had, in bytes."""
    child = pathlib.Path(f"/proc/{process.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", child)[1]) * 1024


@pytest.fixture
def liar_process():
    """A process and the server that lies to it, by what it answers to searches that are not of the root."""
    running = []

    def make(answer, **options):
        liar = Liar(lambda base, attributes, filter: answer(attributes, filter) if base else [entry("", {"namingContexts": ["dc=x"]})])
        running.append(liar)
        process = Process(liar.options(**options))
        running.append(process)
        return process
    yield make
    for one in running:
        one.stop()


def large_person(number):
    name = f"{number:06}" + "n" * 900
    return entry(f"cn={name},dc=x", {**person(f"p{number}")[1], "cn": [name], "mail": [f"m{number}.{i}@{'d' * 60}.{'e' * 60}.{'f' * 60}.org" for i in range(32)]})


def test_a_page_that_has_no_end_is_not_kept(liar_process):
    """The server ignores how much it was asked for; the engine takes its time."""
    count, sent = 12000, [0, 0]

    def people(attributes, filter):
        if b"groupOf" in filter:
            return
        for number in range(count):
            sent[0] = number + 1
            yield large_person(number)
    process = liar_process(people, **{"page-size": "10", "time-limit": "60s"})
    process.question("directory_bind", guid="0" * 31 + "1", password="x")  # it is ready
    before = most_memory(process)
    process.ask("directory_follow", run=1)
    while sent[0] < count and (not sent[0] or sent[0] != sent[1]):  # nobody takes a page
        sent[1] = sent[0]
        time.sleep(1)
    assert sent[0] < count and most_memory(process) < before + (48 << 20)
    process.until(lambda: process.ends)
    assert process.ends[0]["complete"] and len(process.people) == count and all(len(page["people"]) <= 500 for page in process.pages)
    assert most_memory(process) < before + (64 << 20)


def test_more_than_was_asked_for(liar_process):
    """One that changed is asked for by its id, and thousands come."""
    one = person("one", modifyTimestamp=["20200101000000Z"])

    def people(attributes, filter):
        if b"groupOf" in filter and b"modifyTimestamp" not in filter:
            return
        yield entry(*one)
        if b"entryUUID" in filter:
            for number in range(5000):
                yield entry(*person(f"p{number}"))
    process = liar_process(people)
    assert process.follow()["complete"]
    process.until(lambda: len(process.ends) == 2)
    assert not process.ends[1]["complete"] and "more than 160 entries" in process.ends[1]["detail"] and process.names() == {"one"}


def test_pages_without_entries(liar_process):
    process = liar_process(lambda attributes, filter: [], **{"page-size": "1"})
    assert process.follow()["complete"] and process.names() == set()
    asked = []

    def again(attributes, filter):
        asked.append(1)
        return [Next()]
    assert "page after page" in liar_process(again).follow()["detail"] and len(asked) < 2000


def test_an_answer_that_drips(told):
    """A byte now and then keeps no time limit from running out."""
    process = told([person("slow", jpegPhoto=["x" * 5000])], drip=0.05)
    assert not process.over["complete"] and "did not answer" in process.over["detail"]


def test_nobody_is_sent_twice_in_a_run(liar_process):
    """A group is sent again after a conflict, has other members by then, and comes twice: the engine, which takes one that it meets twice for two
    with one id, hears of its members later."""
    one, two, clubs = person("one"), person("two"), person("club")
    asked = []

    def answer(attributes, filter):
        if b"groupOf" not in filter:
            return [entry(*one), entry(*two)] if b"entryUUID" not in filter or len(asked) > 1 else []
        asked.append(filter)
        group = entry(clubs[0], {**clubs[1], "member": [two[0] if len(asked) > 1 else one[0]]})
        return [group, group]
    process = liar_process(answer)
    process.conflicts = [uuid.UUID(clubs[1]["entryUUID"][0]).hex]
    assert process.follow()["complete"]
    process.until(lambda: process.by_name()["two"]["groups"] and not process.by_name()["one"]["groups"])
    whole = [one["name"] for page in process.pages if page["whole"] for one in page["people"]]
    assert sorted(whole) == ["club", "club", "one", "two"] and not process.findings
