# SPDX-License-Identifier: Apache-2.0
"""A whole server on a real Active Directory, to which it comes by Kerberos: people are followed and selected, and enroll with their passwords, as long as the
directory lets them in."""
import concurrent.futures
import ssl

import pytest

import harness
from peers import escape, ldif, wait_for

PASSWORD = "Correct horse 7, ü"
ACCOUNTS = {  # by account
    "ann": {"displayName": "Ann Archer", "sn": "Archer", "department": "Sales"},
    "joerg": {"displayName": "Müller, Jörg", "sn": "Müller", "department": "Sales"},
    "disabled": {"displayName": "Dora Disabled", "department": "Sales", "userAccountControl": "514"},
    "expired": {"displayName": "Emil Expired", "department": "Sales", "accountExpires": "132223104000000000"},  # 2020, in 100 ns since 1601
    "change": {"displayName": "Carl Change", "department": "Law", "pwdLastSet": "0"},
    "locked": {"displayName": "Lisa Locked", "department": "Law"},
    "outside": {"displayName": "Olga Outside", "department": "Law"},
}


def person(unit, account, **attributes):
    given = {"objectClass": "user", "sAMAccountName": account, "mail": f"{account}@example.org", "userAccountControl": "512",
             "unicodePwd": f'"{PASSWORD}"'.encode("utf-16-le")}
    return ldif(dn(unit, account), {**given, **attributes})


def dn(unit, account):
    return f"CN={escape(ACCOUNTS[account]['displayName'])},{unit}"


@pytest.fixture(scope="module")
def unit(samba):
    """Everybody, and a group of those who may enroll by themselves, within a group."""
    unit = f"OU=Staff,{samba.BASE}"
    members = [dn(unit, account) for account in ACCOUNTS if account != "outside"]
    samba.add(ldif(unit, {"objectClass": "organizationalUnit", "ou": "Staff"}) +
              "".join(person(unit, account, **attributes) for account, attributes in ACCOUNTS.items()) +
              ldif(f"CN=Inner,{unit}", {"objectClass": "group", "sAMAccountName": "inner", "member": members}) +
              ldif(f"CN=Mail users,{unit}", {"objectClass": "group", "sAMAccountName": "mailusers", "member": f"CN=Inner,{unit}"}))
    samba.tool("domain", "passwordsettings", "pso", "create", "strict", "1", "--account-lockout-threshold=2")
    samba.tool("domain", "passwordsettings", "pso", "apply", "strict", "locked")
    return unit


@pytest.fixture(scope="module")
def server(samba, unit):
    directory = samba.options(base=unit, bind="gssapi", keytab=samba.keytab(), principal=f"vouchsafe@{samba.REALM}", starttls="no", poll="1s",
                              **{"bind-dn": None, "bind-password-file": None})
    options = {"directory": directory, "limits": {"token-failures-per-address": 1000},
               "enroll": {"encryption-profile": "p256", "pool-size": 0, "self": "yes", "self-group": "Mail users"}}
    with harness.Server(options=options, prefix=samba.namespace.prefix, environment=samba.environment) as one:
        wait_for(lambda: len(people(one)) == len(ACCOUNTS), what=one.tail)
        root = samba.namespace.run("curl", "-sS", "--fail", f"http://127.0.0.1:{one.http}/pki/root.cer", text=False).stdout
        (one.folder / "ca.pem").write_text(ssl.DER_cert_to_PEM_cert(root))
        yield one


def people(server) -> dict[str, dict]:
    return {one["name"]: one for one in server.json("directory", "list", home="rita")["people"]}


def selected(server, *selectors) -> dict[str, str]:
    rows = server.json("user", "enroll", *selectors, "--dry-run", home="rita")["rows"]
    return {row["address"].split("@")[0]: row["outcome"] for row in rows}


def enroll(server, account, password=PASSWORD):
    return server.enroll_by_password(f"{account}@example.org", password, "--ca-file", server.folder / "ca.pem")


def test_filters_are_those_of_active_directory(server, unit):
    assert selected(server, "filter:(department=Sales)") == {"ann": "new", "joerg": "new", "disabled": "refused", "expired": "refused"}
    assert selected(server, "filter:(displayName=Müller, Jörg)") == {"joerg": "new"}
    enabled = "(!(userAccountControl:1.2.840.113556.1.4.803:=2))"
    assert selected(server, f"filter:(&(department=Sales){enabled})") == {"ann": "new", "joerg": "new", "expired": "refused"}
    nested = f"(memberOf:1.2.840.113556.1.4.1941:=CN=Mail users,{unit})"
    assert selected(server, f"filter:(&(department=Law){nested})") == {"change": "new", "locked": "new"}
    assert server.result("user", "enroll", "filter:(department=Nobody)", home="rita", status=None).returncode == 15


def test_a_password_enrolls_its_person(server):
    done = enroll(server, "joerg")
    assert done.returncode == 0 and "Enrolled Müller, Jörg" in done.stdout, done.stderr
    assert selected(server, "filter:(sn=Müller)") == {"joerg": "enrolled"}


def test_who_may_not_log_in_is_refused_as_any_wrong_password(server, samba):
    def locked():
        for _ in range(2):
            enroll(server, "locked", "not it")
        return enroll(server, "locked")

    with concurrent.futures.ThreadPoolExecutor() as pool:
        tries = {account: pool.submit(enroll, server, account) for account in ("disabled", "expired", "change", "outside", "nobody")}
        tries |= {"wrong": pool.submit(enroll, server, "ann", "not it"), "locked": pool.submit(locked)}
    said = {name: (one.result().returncode, one.result().stderr) for name, one in tries.items()}
    assert said["wrong"][0] == 24 and "not accepted" in said["wrong"][1]
    assert {name: one for name, one in said.items() if one != said["wrong"]} == {}
    entry, = samba.search("(sAMAccountName=locked)", "lockoutTime").values()
    assert int(entry["lockouttime"][0])  # so it was not the password
    assert PASSWORD not in server.log.read_text()


def test_who_is_let_in_again_enrolls(server, samba, unit):
    samba.change("ldapmodify", f"dn: {dn(unit, 'disabled')}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n\n"
                               f"dn: {dn(unit, 'locked')}\nchangetype: modify\nreplace: lockoutTime\nlockoutTime: 0\n")
    wait_for(lambda: not people(server)["Dora Disabled"].get("disabled"), what=server.tail)
    for account in ("disabled", "locked"):
        assert enroll(server, account).returncode == 0


def test_people_are_followed(server, samba, unit):
    server.enroll("ann@example.org")
    assert people(server)["Ann Archer"]["unit"] == "Staff"
    samba.change("ldapmodify", f"dn: {dn(unit, 'ann')}\nchangetype: modify\nreplace: displayName\ndisplayName: Ann Baker\n")
    wait_for(lambda: "Ann Baker" in people(server), what=server.tail)
    assert server.json("user", "show", "ann@example.org", home="rita")["user"][0]["state"] == "enrolled"
