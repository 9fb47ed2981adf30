# SPDX-License-Identifier: Apache-2.0
"""The embedded address book: imported with groups, edited by hand; who left, and what that does to his keys."""
import urllib.request

import pytest

import harness
import peers

PEOPLE = """version: 1

dn: cn=Dora,ou=Berlin,ou=Research,o=X
objectClass: inetOrgPerson
cn: Dora
mail: dora@book.example
preferredLanguage: de
entryUUID: d0000000-0000-4000-8000-00000000000d

dn: cn=Emil,ou=Research,o=X
objectClass: inetOrgPerson
cn: Emil
mail: emil@book.example
memberOf: cn=Elsewhere,ou=Groups,o=Y

dn: cn=Inner,ou=Groups,o=X
objectClass: groupOfNames
member: CN=Dora, OU=Berlin, OU=Research, O=X

dn: cn=Outer,ou=Groups,o=X
objectClass: groupOfNames
member: cn=Inner,ou=Groups,o=X
member: cn=Emil,ou=Research,o=X
"""


@pytest.fixture(scope="module")
def book():
    """A server with the people above, where who left is revoked at once."""
    with harness.Server(options={"enroll": {"encryption-profile": "p256", "pool-size": 0},
                                 "directory": {"revoke-left-after": "1s"}}) as one:
        path = one.folder / "book.ldif"
        path.write_text(PEOPLE)
        assert "4 added" in one.run("directory", "import", path, home="rita")
        yield one


def selected(book, selector):
    done = book.json("user", "enroll", selector, "--dry-run", home="rita")
    return sorted(row["name"] for row in done["rows"])


def test_groups_within_groups(book):
    assert selected(book, "group:Inner") == ["Dora"]
    assert selected(book, "group:outer") == ["Dora", "Emil"]
    assert selected(book, "group:CN=Outer, OU=Groups, O=X") == ["Dora", "Emil"]
    assert selected(book, "group:Elsewhere") == ["Emil"]
    assert "no group" in book.result("user", "enroll", "group:none", "--dry-run", home="rita", status=15).stderr
    groups = book.run("directory", "list", "--groups", home="rita")
    assert "Inner" in groups and "cn=Outer,ou=Groups,o=X" in groups
    shown = book.run("directory", "show", "dora@book.example", home="rita")
    assert "cn=Inner,ou=Groups,o=X" in shown and "Language" in shown and "cn=Dora,ou=Berlin,ou=Research,o=X" in shown


def test_named_before_it_is_there(book):
    """A group that an import names, and that has an entry later only: its members are found in either order."""
    path = book.folder / "late.csv"
    path.write_text("address,name,groups,kind,dn\ngus@book.example,Gus,Late,,\n,Early,Late,group,\"cn=Early,o=X\"\nhal@book.example,Hal,early,,\n")
    book.run("directory", "import", path, home="rita")
    assert selected(book, "group:late") == ["Gus", "Hal"]
    path.write_text("address,name,kind,dn\n,Late,group,\"cn=Late,o=X\"\n")
    book.run("directory", "import", path, home="rita")
    for name in ("late", "cn=late,o=x"):
        assert selected(book, f"group:{name}") == ["Gus", "Hal"]
    book.run("directory", "edit", "gus@book.example", "--remove-group", "Late", home="rita")
    assert selected(book, "group:cn=Late,o=X") == ["Hal"]
    for name in ("cn=Early,o=X", "cn=Late,o=X"):
        book.run("directory", "remove", name, home="rita")


def test_a_number_of_personnel_is_an_id(book):
    """The main address changes: the same person."""
    path = book.folder / "numbers.csv"
    path.write_text("guid,address,name\n4711,ida@book.example,Ida\n")
    assert "1 added" in book.run("directory", "import", path, home="rita")
    before = book.json("directory", "show", "ida@book.example", home="rita")["people"][0]
    path.write_text("guid,address,name\n4711,ida.new@book.example,Ida\n")
    assert "1 changed" in book.run("directory", "import", path, home="rita")
    assert book.json("directory", "show", "ida.new@book.example", home="rita")["people"][0]["guid"] == before["guid"]
    assert book.result("directory", "show", "ida@book.example", home="rita", status=15)


def test_edited(book):
    added = book.run("directory", "add", "finn@book.example", "--name", "Finn", "--unit", "Sales", "--group", "Inner", home="rita")
    assert "Finn was added" in added
    assert book.result("directory", "add", "finn@book.example", "--name", "Other", home="rita", status=16)
    assert selected(book, "group:Outer") == ["Dora", "Emil", "Finn"]
    book.run("directory", "edit", "finn@book.example", "--add-address", "f@book.example", "--remove-address", "finn@book.example",
             "--surname", "Fink", "--remove-group", "Inner", "--disable", home="rita")
    one = book.json("directory", "show", "f@book.example", home="rita")["people"][0]
    assert one["addresses"] == ["f@book.example"] and one["surname"] == "Fink" and one["disabled"] and not one.get("groups")
    assert "disabled" in book.run("directory", "list", "finn", home="rita")
    assert "refused" in book.run("user", "enroll", "f@book.example", "--dry-run", home="rita", status=None)
    assert "Nothing is to be changed" in book.result("directory", "edit", "f@book.example", home="rita", status=2).stderr
    book.run("directory", "edit", "nobody@book.example", "--name", "X", home="rita", status=15)


def test_names_are_found_whatever_their_case(book):
    book.run("directory", "add", "oe@book.example", "--name", "Özgür Strauß", "--surname", "İpek", "--group", "Größe",
             home="rita")
    for search in ("Özgür", "özgür s", "O\u0308ZGU\u0308R", "ÖZGÜR STRAUSS", "ipek", "İPEK", "oe@"):
        assert "Özgür Strauß" in book.run("directory", "list", search, home="rita"), search
        assert "Özgür Strauß" in book.run("user", "list", search, home="rita"), search
    assert "Özgür" not in book.run("directory", "list", "Ozgur", home="rita")
    assert selected(book, "group:gRÖßE") == selected(book, "group:GRO\u0308ßE") == ["Özgür Strauß"]
    assert "no group" in book.result("user", "enroll", "group:grösse", "--dry-run", home="rita", status=15).stderr
    book.run("directory", "edit", "oe@book.example", "--remove-group", "größe", home="rita")
    assert "no group" in book.result("user", "enroll", "group:Größe", "--dry-run", home="rita", status=15).stderr


def test_who_left_keeps_his_keys_and_is_revoked(book):
    book.enroll("dora@book.example")
    book.run("directory", "remove", "dora@book.example", home="rita")
    assert "dora@book.example" in book.run("directory", "left", home="rita")
    assert "left" in book.run("directory", "show", "dora@book.example", home="rita").lower()
    assert "Dora" not in book.run("directory", "list", home="rita")
    assert "names nobody" in book.result("user", "enroll", "group:Inner", "--dry-run", home="rita", status=15).stderr
    peers.wait_for(lambda: book.json("user", "show", "dora@book.example", home="rita")["user"][0]["state"] == "revoked",
                     what="who left is not revoked")
    assert "server.revoke" in book.run("audit", "list", home="olga")
    # Somebody else gets the address, and none of the keys.
    book.run("directory", "add", "dora@book.example", "--name", "Dora Zwei", home="rita")
    assert book.json("user", "show", "dora@book.example", home="rita")["user"][0]["state"] == "undefined"
    kept = book.json("directory", "list", "d0000000-0000-4000-8000-00000000000d", home="rita")["people"][0]
    assert kept["name"] == "Dora" and kept["gone"] and not kept.get("addresses")
    # She comes back, under another one.
    book.run("directory", "edit", "d0000000-0000-4000-8000-00000000000d", "--restore", "--add-address", "dora.1@book.example", home="rita")
    shown = book.json("user", "show", "dora.1@book.example", home="rita")
    assert len(shown["certificates"]) == 2 and {one["state"] for one in shown["certificates"]} == {"revoked"}


def test_status(book):
    status = book.run("directory", "status", home="rita")
    assert "own address book" in status and "revoked after 1s" in status
    assert "directory import" in book.result("directory", "sync", home="rita", status=12).stderr
    url = f"http://127.0.0.1:{book.metrics}/metrics"
    peers.wait_for(lambda: b'vouchsafe_directory_people{kind="group",state="present"} 2' in urllib.request.urlopen(url, timeout=30).read(), 120)


def test_what_is_left_out_shows(book):
    path = book.folder / "bad.csv"
    path.write_text("address,name,colour\ngood@book.example,Good,red\nnone,None,blue\nemil@book.example,Thief,\n")
    done = book.result("directory", "import", path, home="rita", status=51)
    assert "1 added" in done.stdout
    assert "belongs to Emil" in done.stderr and "line 3" in done.stderr and "colour" in done.stderr
    path.write_text("address,name,colour\ngood@book.example,Good,red\n")
    assert "1 unchanged" in book.run("directory", "import", path, home="rita")
