# SPDX-License-Identifier: Apache-2.0
"""The process that has the directory, with this test in the engine's place, on real directories: reading everybody, following what changes, questions;
and directories that are down, slow, or lie."""
import signal
import subprocess
import sys

import pytest

import ldap_relay
from outbound import Process
from peers import SambaAd, Slapd, end, ldif


@pytest.fixture
def start():
    """Processes that end with the test."""
    all_of_them = []

    def make(peer, **options):
        samba = isinstance(peer, SambaAd)
        one = Process(peer.options(**{key.replace("_", "-"): value for key, value in options.items()}),
                      peer.namespace.prefix if samba else (), peer.environment if samba else {})
        all_of_them.append(one)
        return one
    yield make
    for one in all_of_them:
        one.stop()


PEOPLE = [{"name": "Ann Archer"}, {"name": "Ben Baker", "preferredLanguage": "de", "givenName": "Ben"}, {"name": 'Müller, "Hans"', "mail": ["Hans@example.org", "hm@example.org"]},
          {"name": "No Mail", "mail": None}, {"name": "Zed Zoo", "objectClass": ["inetOrgPerson", "inetLocalMailRecipient"], "mailHost": "mail1"}]


@pytest.fixture(params=[True, False], ids=["syncprov", "plain"])
def slapd(request):
    if reason := Slapd.unavailable():
        pytest.skip(reason)
    with Slapd(people=PEOPLE, sync=request.param) as one:
        one.synchronizes = request.param
        one.add(one.group("inner", one.dn("Ann Archer"), one.dn('Müller, "Hans"')) + one.group("outer", one.dn("inner", "groups"), one.dn("Ben Baker"), "cn=nobody,o=x"))
        yield one


def test_everybody_is_read_and_what_changes_is_followed(slapd, start):
    process = start(slapd, page_size=2, poll="1s")
    over = process.follow(7)
    assert over["complete"] and over["server"] == slapd.url and "1 more have no mail address" in over["detail"]
    assert ("RFC 4533" in over["detail"]) == slapd.synchronizes
    assert process.names() == {"Ann Archer", "Ben Baker", 'Müller, "Hans"', "Zed Zoo"}
    assert all(page["run"] == 7 and page["whole"] for page in process.pages) and not process.findings
    people = process.by_name()
    hans, ann, ben = people['Müller, "Hans"'], people["Ann Archer"], people["Ben Baker"]
    assert hans["addresses"] == ["hans@example.org", "hm@example.org"] and hans["groups"] == [slapd.dn("inner", "groups")]
    assert ben["language"] == "de" and ben["unit"] == "people" and ben["given_name"] == "Ben" and people["Zed Zoo"]["home_server"] == "mail1"
    assert people["inner"]["kind"] == "group" and people["inner"]["groups"] == [slapd.dn("outer", "groups")]
    assert ann["guid"] == slapd.uuid(slapd.dn("Ann Archer")).replace("-", "")

    slapd.modify(slapd.dn("Ann Archer"), mail="ann.new@example.org")
    process.until(lambda: process.by_name()["Ann Archer"]["addresses"] == ["ann.new@example.org"])
    slapd.add(slapd.person("New Comer"))
    process.until(lambda: "New Comer" in process.names())
    # Renamed and moved, the same person.
    slapd.rename(slapd.dn("Ben Baker"), "cn=Ben Butcher", f"ou=services,{slapd.BASE}")
    process.until(lambda: "Ben Butcher" in process.names())
    assert process.by_name()["Ben Butcher"]["guid"] == ben["guid"] and process.by_name()["Ben Butcher"]["unit"] == "services"
    # A group changes: who is concerned comes again.
    slapd.modify(slapd.dn("inner", "groups"), member=[slapd.dn("New Comer"), slapd.dn("Ann Archer")])
    process.until(lambda: process.by_name()["New Comer"]["groups"] and not process.by_name()['Müller, "Hans"']["groups"])
    slapd.rename(slapd.dn("inner", "groups"), "cn=innermost")
    process.until(lambda: process.by_name()["Ann Archer"]["groups"] == [slapd.dn("innermost", "groups")])
    # Who has no address any more has left, as has who is deleted.
    slapd.modify(slapd.dn("New Comer"), mail=None)
    process.until(lambda: "New Comer" not in process.names())
    slapd.delete(slapd.dn("Ann Archer"))
    if slapd.synchronizes:
        process.until(lambda: ann["guid"] in process.gone)
    assert process.follow(8)["complete"]
    assert process.pages[-1]["run"] == 8 and all(page["run"] == 8 and ann["guid"] not in [one["guid"] for one in page["people"]]
                                                for page in process.pages if page["run"] == 8)


def test_changes_during_the_reading_are_not_lost(slapd, start):
    if not slapd.synchronizes:
        pytest.skip("needs syncprov")
    process = start(slapd, page_size=1)
    process.ask("directory_follow", run=1)
    process.until(lambda: len(process.pages) >= 2)
    slapd.modify(slapd.dn("Ann Archer"), sn="Changed")
    slapd.delete(slapd.dn("Zed Zoo"))
    process.until(lambda: process.ends)
    process.until(lambda: process.by_name()["Ann Archer"]["surname"] == "Changed" and "Zed Zoo" not in process.names())


def test_conflicts_are_sent_again(slapd, start):
    process = start(slapd)
    guid = slapd.uuid(slapd.dn("Ann Archer")).replace("-", "")
    process.conflicts = [guid]  # the first page that has her does not take her
    process.ask("directory_follow", run=1)
    process.until(lambda: process.ends)
    assert sum(guid == person["guid"] for page in process.pages for person in page["people"]) >= 1 and "Ann Archer" in process.names()


def test_a_run_is_given_up_for_another(slapd, start):
    process = start(slapd, page_size=1)
    process.ask("directory_follow", run=1)
    process.until(lambda: process.pages)
    process.ask("directory_follow", run=2)
    process.until(lambda: process.ends)
    assert process.ends[-1]["run"] == 2 and process.ends[-1]["complete"] and len(process.names()) == 4
    # The engine restarts in the middle.
    process.ask("directory_follow", run=3)
    process.until(lambda: process.pages[-1]["run"] == 3)
    process.connect()
    assert process.follow(4)["complete"] and len(process.names()) == 4


def test_questions(slapd, start):
    process = start(slapd)
    name, found = process.question("directory_search", filter="(sn=Baker)", limit=10)
    assert name == "directory_found" and found["guids"].hex() == slapd.uuid(slapd.dn("Ben Baker")).replace("-", "")
    # It is joined with the filter for people, and cannot leave it.
    name, found = process.question("directory_search", filter="(objectClass=*)", limit=10)
    assert len(found["guids"]) == 16 * 5
    for wrong in ("(cn=a)(cn=b)", "cn=a))(|(cn=*", "(cn=a", "", "(cn=\\zz)"):
        assert process.question("directory_search", filter=wrong, limit=10)[1]["code"] == "malformed"
    assert process.question("directory_search", filter="(objectClass=*)", limit=2)[1]["code"] == "too-large"

    guid = slapd.uuid(slapd.dn("Ann Archer"))
    assert process.question("directory_bind", guid=guid, dn="cn=where,o=x", password="pw Ann Archer")[0] == "done"
    for password in ("wrong", "pw Ben Baker", ""):
        assert process.question("directory_bind", guid=guid, dn=slapd.dn("Ben Baker"), password=password)[1]["code"] == "password"
    slapd.rename(slapd.dn("Ann Archer"), "cn=Ann Baker")
    assert process.question("directory_bind", guid=guid, password="pw Ann Archer")[0] == "done"
    assert process.question("directory_bind", guid="0" * 31 + "1", password="x")[1]["code"] == "password"
    # In the middle of a run, and after the directory was away.
    process.ask("directory_follow", run=1)
    assert process.question("directory_search", filter="(sn=Baker)", limit=10)[0] == "directory_found"
    slapd.stop()
    assert process.question("directory_search", filter="(sn=Baker)", limit=10)[1]["code"] == "unreachable"
    assert process.question("directory_bind", guid=guid, password="x")[1]["code"] == "unreachable"
    slapd.start()
    assert process.question("directory_search", filter="(sn=Baker)", limit=10)[0] == "directory_found"
    assert not any("pw Ann" in line or slapd.PASSWORD in line for line in process.log)


def test_a_directory_that_goes_is_told_and_comes_back(slapd, start):
    process = start(slapd, poll="1s")
    assert process.follow(1)["complete"]
    slapd.stop(kill=True)
    process.until(lambda: len(process.ends) == 2)
    assert not process.ends[1]["complete"] and process.ends[1]["run"] == 1 and slapd.url in process.ends[1]["detail"]
    assert not process.follow(2)["complete"]
    slapd.start()
    assert process.follow(3)["complete"]
    slapd.add(slapd.person("New Comer"))
    process.until(lambda: "New Comer" in process.names())


def test_wrong_options_are_told(slapd, start):
    said = start(slapd, bind_dn="cn=nobody,o=x").follow()
    assert not said["complete"] and "refused" in said["detail"] and said["problem"] == "directory-login"
    said = start(slapd, base="ou=none,dc=example,dc=org").follow()
    assert not said["complete"] and "No such object" in said["detail"]


def test_lies_are_findings_and_nothing_wrong_is_taken(start, tmp_path):
    """What OpenLDAP itself lets through."""
    long_unit = ",".join(f"ou={'u' * 60}{number}" for number in range(30))
    units, above = "", Slapd.BASE
    for part in reversed(long_unit.split(",")):
        above = f"{part},{above}"
        units += ldif(above, {"objectClass": "organizationalUnit", "ou": part[3:]})
    with Slapd(tmp_path) as slapd:
        slapd.add(units + ldif(f"cn=Deep,{above}", {"objectClass": "inetOrgPerson", "cn": "Deep", "sn": "x", "mail": "deep@example.org"})
                  + slapd.person("Good One")
                  + slapd.person("Filter *)(uid=*", mail="filter@example.org")
                  + slapd.person("Bidi \u202eenil", mail="bidi@example.org")
                  + slapd.person("Control", sn="a\nb\x1b[2J", mail="control@example.org")
                  + ldif(f"uid=long,ou=people,{slapd.BASE}", {"objectClass": "inetOrgPerson", "uid": "long", "cn": "x" * 300, "sn": "x", "mail": "long@example.org"})
                  + slapd.person("Bad Mail", mail=["bad mail", "also@bad@example.org"])
                  + slapd.person("Twice A", mail="twice@example.org") + slapd.person("Twice B", mail="twice@example.org")
                  + slapd.group("Odd, group", slapd.dn("Good One"), f"cn=Deep,{above}"))
        process = start(slapd)
        assert process.follow()["complete"]
        people = process.by_name()
        assert process.names() == {"Good One", "Filter *)(uid=*", "Control", "x" * 300, "Deep", "Twice A", "Twice B"}
        assert people["Deep"]["groups"] == people["Good One"]["groups"] == [process.by_name()["Odd, group"]["dn"]]
        assert len(people["Deep"]["dn"]) > 1900
        assert people["Control"]["surname"] == "" and process.finding("holds control characters")
        assert process.finding("Bidi") and process.finding("Bad Mail")
        guid = people["Filter *)(uid=*"]["guid"]
        assert process.question("directory_bind", guid=guid, password="pw Filter *)(uid=*")[0] == "done"


def test_a_lying_server_says_one_id_twice(start, tmp_path):
    with Slapd(tmp_path, people=[{"name": "First", "employeeNumber": "6ba7b814-9dad-11d1-80b4-00c04fd430c8"},
                                 {"name": "Second", "employeeNumber": "6BA7B814-9DAD-11D1-80B4-00C04FD430C8", "mail": "second@example.org"},
                                 {"name": "Third", "employeeNumber": "not an id", "mail": "third@example.org"},
                                 {"name": "Fourth", "mail": "fourth@example.org"}]) as slapd:
        process = start(slapd, id_attribute="employeeNumber", poll="1s")
        assert process.follow()["complete"]
        sent = [one["name"] for page in process.pages for one in page["people"]]
        assert sorted(sent) == ["First", "Second"]  # the engine believes neither
        assert process.finding("no known form") and process.finding("no employeeNumber")
        # Without entryUUID the server cannot tell what changes, but it can be asked.
        assert "modifyTimestamp" in process.ends[-1]["detail"]
        slapd.add(slapd.person("Copy", employeeNumber="6ba7b814-9dad-11d1-80b4-00c04fd430c8", mail="copy@example.org"))
        process.until(lambda: any("Copy" in one["subject"] for one in process.findings))
        assert process.names() == {"First"}


def test_a_slow_directory_does_not_stop_questions_for_ever(slapd, start):
    process = start(slapd, time_limit="2s", connect_limit="2s")
    assert process.follow()["complete"]
    slapd.freeze()
    try:
        assert process.question("directory_search", filter="(sn=Baker)", limit=10)[1]["code"] in ("timeout", "unreachable")
        assert not process.follow(2)["complete"]
    finally:
        slapd.process.send_signal(signal.SIGCONT)
    assert process.follow(3)["complete"]


# ---- Active Directory ----

@pytest.fixture(scope="module")
def sales(samba):
    """The domain with a unit of this module's own: three people, two of them in a group."""
    samba.add(ldif(f"OU=Sales,{samba.BASE}", {"objectClass": "organizationalUnit", "ou": "Sales"}) +
              "".join(ad_person(f"Ad Person{number}", f"ad{number}") for number in range(3)) +
              ldif(f"CN=Sellers,OU=Sales,{samba.BASE}", {"objectClass": "group", "sAMAccountName": "sellers",
                                                         "member": [f"CN=Ad Person{number},OU=Sales,{samba.BASE}" for number in (0, 1)]}))


def ad_person(name, account, unit=f"OU=Sales,{SambaAd.BASE}"):
    return ldif(f"CN={name},{unit}", {
        "objectClass": "user", "sAMAccountName": account, "displayName": name, "sn": name.split()[-1], "mail": f"{account}@example.org",
        "userAccountControl": "544"})


@pytest.mark.usefixtures("sales")
@pytest.mark.parametrize("rights", ["administrator", "user"])
def test_active_directory_is_read_and_followed(samba, start, rights):
    options = {"poll": "1s", "page_size": 2}
    if rights == "administrator":  # it may replicate
        password = samba.folder / "admin-password"
        password.write_text(samba.ADMIN_PASSWORD)
        options |= {"bind_dn": samba.ADMIN, "bind_password_file": password}
    process = start(samba, **options)
    over = process.follow()
    assert over["complete"] and "DirSync" in over["detail"], over
    assert ("without the right" in over["detail"]) == (rights == "user")
    people = process.by_name()
    assert people["Ad Person0"]["groups"] == [f"CN=Sellers,OU=Sales,{samba.BASE}"] and people["Ad Person0"]["unit"] == "Sales"
    assert not people["Ad Person2"]["groups"] and not process.findings
    account, name = f"{rights}1", f"Ad {rights}"
    samba.add(ad_person(name, account))
    process.until(lambda: name in process.names())
    guid = process.by_name()[name]["guid"]
    dn = f"CN={name},OU=Sales,{samba.BASE}"
    samba.change("ldapmodify", f"dn: CN=Sellers,OU=Sales,{samba.BASE}\nchangetype: modify\nadd: member\nmember: {dn}\n")
    process.until(lambda: process.by_name()[name]["groups"])
    samba.change("ldapmodify", f"dn: {dn}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 546\n")
    process.until(lambda: process.by_name()[name]["disabled"])
    samba.change("ldapmodify", f"dn: {dn}\nchangetype: modrdn\nnewrdn: CN=Moved {rights}\ndeleteoldrdn: 1\nnewsuperior: CN=Users,{samba.BASE}\n")
    process.until(lambda: process.people[guid]["dn"] == f"CN=Moved {rights},CN=Users,{samba.BASE}")
    samba.change("ldapdelete", f"CN=Moved {rights},CN=Users,{samba.BASE}\n")
    if rights == "administrator":
        process.until(lambda: guid in process.gone)
    else:
        assert process.follow(2)["complete"]
        assert all(guid != person["guid"] for page in process.pages if page["run"] == 2 for person in page["people"])


@pytest.mark.usefixtures("sales")
def test_active_directory_by_kerberos(samba, start):
    process = start(samba, bind="gssapi", keytab=samba.keytab(), principal=f"vouchsafe@{samba.REALM}", starttls="no", bind_dn=None, bind_password_file=None)
    assert process.follow()["complete"]
    assert process.question("directory_search", filter="(mail=ad0@example.org)", limit=1)[0] == "directory_found"
    # Kerberos protects the process's own connections; a password is checked over TLS all the same.
    samba.tool("user", "setpassword", "ad0", "--newpassword=Passw0rd.Ad0")
    guid = process.by_name()["Ad Person0"]["guid"]
    assert process.question("directory_bind", guid=guid, password="Passw0rd.Ad0")[0] == "done"
    assert process.question("directory_bind", guid=guid, password="wrong")[1]["code"] == "password"


@pytest.fixture
def relay(samba):
    """The same domain, seen through tests/ldap_relay.py: the options for it."""
    port, (certificate, key) = 6360, (samba.folder / f"tls/{samba.HOST}.{kind}" for kind in ("pem", "key"))
    one = subprocess.Popen([*samba.namespace.prefix, sys.executable, ldap_relay.__file__, str(port), "636", certificate, key, "15"],
                           stdout=subprocess.PIPE, text=True)
    try:
        assert one.stdout.readline() == "ready\n"
        yield {"servers": f"{samba.TLS_URL}:{port}"}
    finally:
        end(one)


def test_active_directory_without_dirsync_and_with_long_lists(samba, relay, start):
    """Members come in three parts, and what changes is found by uSNChanged."""
    unit = f"OU=Many,{samba.BASE}"
    names = [f"Many {number:02}" for number in range(40)]
    samba.add(ldif(unit, {"objectClass": "organizationalUnit", "ou": "Many"}) +
              "".join(ad_person(name, f"many{name[-2:]}", unit) for name in names) +
              ldif(f"CN=All,{unit}", {"objectClass": "group", "sAMAccountName": "all", "member": [f"CN={name},{unit}" for name in names]}))
    process = start(samba, base=unit, poll="1s", **relay)
    over = process.follow()
    assert over["complete"] and "uSNChanged" in over["detail"], over
    assert process.names() == set(names) and not process.findings
    assert {tuple(one["groups"]) for one in process.people.values() if one["kind"] != "group"} == {(f"CN=All,{unit}",)}
    samba.change("ldapmodify", f"dn: CN=All,{unit}\nchangetype: modify\ndelete: member\nmember: CN={names[-1]},{unit}\n\n"
                               f"dn: CN={names[0]},{unit}\nchangetype: modify\nreplace: displayName\ndisplayName: Renamed\n")
    process.until(lambda: "Renamed" in process.names() and not process.by_name()[names[-1]]["groups"])
    assert len([one for one in process.people.values() if one["groups"]]) == 39
    samba.add(ad_person("New Comer", "many40", unit))
    process.until(lambda: "New Comer" in process.names())
    # Who is deleted is noticed when all is read again.
    samba.change("ldapdelete", f"CN={names[1]},{unit}\n")
    assert process.follow(2)["complete"]
    assert names[1] not in {person["name"] for page in process.pages if page["run"] == 2 for person in page["people"]}
