# SPDX-License-Identifier: Apache-2.0
"""Thunderbird against our LDAP service: its address book completes names, and it fetches certificates when a message is to be encrypted. It runs without a
display and is driven over Marionette, its remote protocol, with the very code that its windows run."""
import base64
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import Server, free_ports  # noqa: E402

THUNDERBIRD = shutil.which("thunderbird")
pytestmark = pytest.mark.skipif(not THUNDERBIRD, reason="thunderbird is not installed")

PREFERENCES = {
    "app.update.enabled": False, "app.donation.eoy.version.viewed": 999, "datareporting.policy.dataSubmissionEnabled": False,
    "mail.provider.suppress_dialog_on_startup": True, "mail.spotlight.firstRunDone": True, "mail.winsearch.firstRunDone": True,
    "mailnews.start_page.enabled": False, "mail.shell.checkDefaultClient": False, "toolkit.telemetry.enabled": False,
    "ldap_2.servers.vouchsafe.description": "Vouchsafe", "ldap_2.servers.vouchsafe.filename": "ldap-vouchsafe.sqlite",
    "ldap_2.servers.vouchsafe.maxHits": 100, "ldap_2.servers.vouchsafe.dirType": 0,
    "ldap_2.autoComplete.useDirectory": True, "ldap_2.autoComplete.directoryServer": "ldap_2.servers.vouchsafe",
    "network.proxy.type": 0, "remote.log.level": "Warn",
}


class Thunderbird:
    """A Thunderbird of its own, and a script in it now and then."""

    def __init__(self, url: str):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vouchsafe-thunderbird-"))
        self.port, = free_ports(1)
        preferences = {**PREFERENCES, "marionette.port": self.port, "ldap_2.servers.vouchsafe.uri": url}
        (self.folder / "user.js").write_text("".join(f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in preferences.items()))
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([THUNDERBIRD, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", self.folder],
                                        stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                        env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "MOZ_CRASHREPORTER_DISABLE": "1", "LC_ALL": "C.UTF-8"})
        self.number = 0
        self.socket = self._connect()
        self._receive()
        self.call("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {}}})
        self.call("Marionette:SetContext", {"value": "chrome"})
        self.call("WebDriver:SetTimeouts", {"script": 60000})

    def _connect(self):
        until = time.monotonic() + 90
        while True:
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", self.port), timeout=90)
            assert time.monotonic() < until and self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.2)

    def _receive(self):
        size = b""
        while not size.endswith(b":"):
            size += self.socket.recv(1) or pytest.fail("Thunderbird went away")
        message = b""
        while len(message) < int(size[:-1]):
            message += self.socket.recv(65536) or pytest.fail("Thunderbird went away")
        return json.loads(message)

    def call(self, name, parameters):
        self.number += 1
        message = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        _, number, error, value = self._receive()
        assert number == self.number and not error, error
        return value

    def run(self, script, *arguments):
        """The body of a function of `arguments`; its result, waited for."""
        script = f"const done = arguments[arguments.length - 1]; (async function() {{ {script} }}).apply(null, arguments).then(done, e => done('failed: ' + e));"
        return self.call("WebDriver:ExecuteAsyncScript", {"script": script, "args": list(arguments), "sandbox": "system"})["value"]

    def remove(self):
        self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vouchsafe-interop-"))
    folder.chmod(0o755)
    port, = free_ports(1)
    one = Server(folder=folder / "server", options={"enroll": {"pool-size": 0}, "ldap": {"listen": f"127.0.0.1:{port}", "base": "o=Example"}})
    one.ldap_url = f"ldap://127.0.0.1:{port}/o=Example??sub?(objectclass=*)"
    try:
        one.init()
        people = folder / "people.csv"
        people.write_text("name,given_name,surname,mail\nAlice Liddell,Alice,Liddell,alice@example.org\nBob Baker,Bob,Baker,bob@example.org\n")
        one.run("directory", "import", people, home="rita")
        one.enroll("alice@example.org")
        yield one
    finally:
        one.remove()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def thunderbird(server):
    one = Thunderbird(server.ldap_url)
    try:
        yield one
    finally:
        one.remove()


COMPLETE = """
const search = Cc["@mozilla.org/autocomplete/search;1?name=ldap"].createInstance(Ci.nsIAutoCompleteSearch);
const parameters = JSON.stringify({type: "addr_to", idKey: ""});
return await new Promise(resolve => search.startSearch(arguments[0], parameters, null, {
  onSearchResult(from, result) {
    if (result.searchResult == Ci.nsIAutoCompleteResult.RESULT_SUCCESS || result.searchResult == Ci.nsIAutoCompleteResult.RESULT_NOMATCH ||
        result.searchResult == Ci.nsIAutoCompleteResult.RESULT_FAILURE) {
      const found = [];
      for (let i = 0; i < result.matchCount; i++) found.push(result.getValueAt(i));
      resolve(found);
    }
  }}));
"""

FETCH = """
const window = Services.wm.getMostRecentWindow("mail:3pane") || Services.wm.getMostRecentWindow(null);
await new Promise(resolve => {
  const dialog = window.openDialog("chrome://messenger-smime/content/certFetchingStatus.xhtml", "", "chrome,resizable=1,dialog=1",
                                   "ldap_2.servers.vouchsafe", arguments[0]);
  const timer = window.setInterval(() => { if (dialog.closed) { window.clearInterval(timer); resolve(); } }, 100);
});
"""

TRUST = """
const certificates = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
for (const one of arguments[0]) certificates.addCertFromBase64(one, "CT,C,C");
"""

CAN_ENCRYPT = """
const compose = Cc["@mozilla.org/messengercompose/composesecure;1"].createInstance(Ci.nsIMsgComposeSecure);
return await new Promise(resolve => compose.asyncFindCertByEmailAddr(arguments[0], {
  findCertDone(address, certificate) { resolve(certificate ? certificate.emailAddress + " " + certificate.subjectName : null); }}));
"""


def test_names_are_completed(thunderbird):
    assert thunderbird.run(COMPLETE, "ali") == ["Alice Liddell <alice@example.org>"]
    assert thunderbird.run(COMPLETE, "liddell") == ["Alice Liddell <alice@example.org>"]
    assert thunderbird.run(COMPLETE, "bob") == []  # has no certificate


def test_the_certificate_is_fetched_and_can_be_written_to(server, thunderbird):
    pem = subprocess.run(["openssl", "pkcs12", "-in", server.folder / "root.p12", "-nokeys", "-passin", f"file:{server.folder / 'root-password'}"],
                         check=True, capture_output=True).stdout
    root = subprocess.run(["openssl", "x509", "-outform", "DER"], input=pem, check=True, capture_output=True).stdout
    authorities = [root]
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http}/pki/issuer.cer", timeout=10) as answer:
        authorities.append(answer.read())
    thunderbird.run(TRUST, [base64.b64encode(one).decode() for one in authorities])
    assert thunderbird.run(CAN_ENCRYPT, "alice@example.org") is None
    thunderbird.run(FETCH, ["alice@example.org", "bob@example.org"])
    assert "alice@example.org" in (thunderbird.run(CAN_ENCRYPT, "alice@example.org") or "")
    assert thunderbird.run(CAN_ENCRYPT, "bob@example.org") is None
