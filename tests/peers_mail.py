# SPDX-License-Identifier: Apache-2.0
"""Real and hostile mail servers for tests: Postfix in a folder of its own, on loopback, and stand-ins that misbehave in one way each."""
import base64
import email
import email.policy
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

from harness import free_ports
from peers import Authority, end, wait_for

POSTFIX = shutil.which("postfix", path="/usr/sbin:/usr/bin")
SASL_PASSWORD = shutil.which("saslpasswd2", path="/usr/sbin:/usr/bin")
TOKEN = r"[2-9A-HJ-NP-Z]{7}(?:-[2-9A-HJ-NP-Z]{7})+"

MASTER = """\
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_tls_security_level=
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
smtp unix - - n - - smtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def unavailable() -> str:
    """Why Postfix cannot run here, "" when it can."""
    if not POSTFIX or not SASL_PASSWORD:
        return "postfix or sasl2-bin is not installed"
    return "" if os.geteuid() == 0 else "postfix needs root"


def texts(message) -> tuple[str, str]:
    return message.get_body(("plain",)).get_content(), message.get_body(("html",)).get_content()


def token_in(message) -> str:
    """The token, or the part of one, that a mail brings; it is in both of its texts."""
    plain, html = texts(message)
    found = re.search(rf"^ +({TOKEN})$", plain, re.M)[1]
    assert found in html
    return found


class Postfix:
    """Takes mail for example.org, demands STARTTLS and then the login of USER. What the local part begins with decides: "no" is refused with 550, "late"
    is taken and then reported to who sent it, everything else arrives."""

    USER, PASSWORD = "vouchsafe", "geheim, wirklich: ü"

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vouchsafe-postfix-"))
        self.folder.chmod(0o755)
        self.authority = Authority(self.folder / "ca")
        self.smtp, self.smtps = free_ports(2)
        self.next = StandIn({"RCPT": "550 5.2.1 The mailbox is closed"})  # where "late" goes
        self.process: subprocess.Popen | None = None
        for name, owner in {"etc": "root", "queue": "root", "data": "postfix", "mail": "nobody"}.items():
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, owner)
        self._write()
        self._write_login()

    def _write(self):
        certificate, key = self.authority.issue("mail", "DNS:localhost")
        main = {
            "compatibility_level": "3.6", "queue_directory": self.folder / "queue", "data_directory": self.folder / "data",
            "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin", "mail_owner": "postfix",
            "setgid_group": "postdrop", "myhostname": "mx.example.org", "mydestination": "", "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4", "mynetworks": "127.0.0.0/8", "disable_dns_lookups": "yes",
            "maillog_file": self.folder / "log", "maillog_file_prefixes": "/", "smtputf8_enable": "yes",
            "smtpd_tls_cert_file": certificate, "smtpd_tls_key_file": key, "smtpd_tls_security_level": "encrypt",
            "smtpd_recipient_restrictions": "reject_unlisted_recipient, permit_sasl_authenticated, reject",
            "smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "yes", "smtpd_sasl_security_options": "noanonymous",
            "smtpd_sasl_local_domain": "example.org", "cyrus_sasl_config_path": self.folder / "etc/sasl",
            "virtual_mailbox_domains": "example.org", "virtual_mailbox_base": self.folder / "mail",
            "virtual_mailbox_maps": f"regexp:{self.folder}/mailboxes", "virtual_uid_maps": "static:65534",
            "virtual_gid_maps": "static:65534", "virtual_minimum_uid": "1000",
            "transport_maps": f"regexp:{self.folder}/transport", "import_environment": "MAIL_CONFIG TZ",
        }
        (self.folder / "etc/main.cf").write_text("".join(f"{key} = {value}\n" for key, value in main.items()))
        (self.folder / "etc/master.cf").write_text(MASTER.format(smtp=self.smtp, smtps=self.smtps))
        (self.folder / "mailboxes").write_text("!/^no/ all/\n")
        (self.folder / "transport").write_text(f"/^late.*@/ smtp:[127.0.0.1]:{self.next.port}\n")

    def _write_login(self):
        """Its users, as Cyrus SASL keeps them. Debian's Postfix looks beside main.cf, whatever main.cf says."""
        folder = self.folder / "etc/sasl"
        folder.mkdir()
        users = folder / "users"
        (folder / "smtpd.conf").write_text(f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: {users}\n")
        subprocess.run([SASL_PASSWORD, "-p", "-c", "-f", users, "-u", "example.org", self.USER], input=self.PASSWORD.encode(), check=True, capture_output=True)
        shutil.chown(users, "postfix")

    def options(self, folder: pathlib.Path, **others) -> dict[str, object]:
        """The section [mail] of a server that mails through it; the password lies in this folder."""
        path = folder / "mail-password"
        path.write_text(self.PASSWORD + "\n")
        path.chmod(0o600)
        return {"servers": f"smtp://localhost:{self.smtp}", "ca-file": self.authority.certificate, "user": self.USER, "password-file": path,
                "from": "Schlüsselverwaltung <keys@example.org>", "return-path": "bounces@example.org", "timeout": "5s", **others}

    def start(self):
        self.process = subprocess.Popen([POSTFIX, "-c", self.folder / "etc", "start-fg"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(self.folder / "stderr", "wb"))
        wait_for(self._answers, what=lambda: "postfix does not start: " + (self.folder / "stderr").read_text())
        return self

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "stderr").read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.smtp), 2) as one:
                return one.recv(4) == b"220 "
        except OSError:
            return False

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def busy(self) -> bool:
        """It has taken mail that has not arrived yet."""
        return any(path.is_file() for name in ("incoming", "active", "deferred") for path in (self.folder / "queue" / name).rglob("*"))

    def arrived(self) -> dict[str, list[email.message.EmailMessage]]:
        """Everything, by address."""
        found: dict[str, list[email.message.EmailMessage]] = {}
        for path in (self.folder / "mail/all/new").glob("*"):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            found.setdefault(message["Delivered-To"], []).append(message)
        return found

    def files(self, address: str) -> list[pathlib.Path]:
        """What arrived for an address, in this order."""
        wanted = f"\nDelivered-To: {address}\n".encode()
        found = [path for path in (self.folder / "mail/all/new").glob("*") if wanted in path.read_bytes()]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns)

    def wait(self, address: str, count=1) -> list[email.message.EmailMessage]:
        """The mails that came for an address, once there are that many."""
        files = wait_for(lambda: (found := self.files(address)) and len(found) >= count and found,
                         what=lambda: f"no mail for {address}:\n{self.log[-3000:]}")
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in files]

    def stop(self):
        if self.process and self.process.poll() is None:
            subprocess.run([POSTFIX, "-c", self.folder / "etc", "stop"], capture_output=True)
        end(self.process)
        self.next.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class StandIn:
    """A mail server that does one thing wrong (or right): `answers` maps the beginning of a command to what it says; "" is what is said
    at first, "." after the message. None in place of words: it says nothing any more. With a certificate it offers STARTTLS."""

    USUAL = {"": "220 stand-in", "EHLO": "250-stand-in\r\n250 8BITMIME", "HELO": "250 stand-in", "MAIL": "250 ok", "RCPT": "250 ok",
             "DATA": "354 go on", ".": "250 taken", "QUIT": "221 bye", "RSET": "250 ok", "NOOP": "250 ok"}

    def __init__(self, answers: dict | None = None, tls: tuple | None = None, echo=False):
        self.answers = {**self.USUAL, **(answers or {})}
        self.echo, self.seen, self.messages, self.logins = echo, [], [], []
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.open: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def url(self) -> str:
        return f"smtp://localhost:{self.port}"

    def credentials(self) -> list[bytes]:
        """What AUTH PLAIN brought."""
        return [base64.b64decode(line) for line in self.logins]

    def _run(self):
        while True:
            try:
                one, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(one)
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _say(self, one, words):
        if words is None:
            threading.Event().wait(600)
        one.sendall((words if isinstance(words, bytes) else words.encode()) + b"\r\n")

    def _serve(self, one):
        try:
            self._say(one, self.answers[""])
            lines = one.makefile("rb")
            while line := lines.readline().decode(errors="replace").strip():
                verb = line.split()[0].upper()
                self.seen.append(line)
                if verb == "STARTTLS" and self.tls:
                    self._say(one, "220 go")
                    one = self.tls.wrap_socket(one, server_side=True)
                    lines = one.makefile("rb")
                    continue
                if verb == "AUTH":  # without an initial response
                    self._say(one, "334 ")
                    self.logins.append(lines.readline().strip())
                    self._say(one, "235 welcome")
                    continue
                offers = {"EHLO": "250-stand-in\r\n250-STARTTLS\r\n250 AUTH PLAIN"} if self.tls else {}
                self._say(one, {**self.answers, **{key: offers[key] for key in offers if self.answers[key] == self.USUAL[key]}}
                          .get(verb, "502 what?"))
                if verb == "DATA" and self.answers["DATA"].startswith("354"):
                    self._message(one, lines)
        except (OSError, ssl.SSLError):
            pass
        finally:
            one.close()

    def _message(self, one, lines):
        message = b""
        while (line := lines.readline()) not in (b".\r\n", b""):
            message += line
        self.messages.append(message)
        words = self.answers["."]
        if self.echo:
            words += " what is " + " ".join(re.findall(r"[2-9A-Z]{7}-[2-9A-Z-]+", message.decode(errors="replace")))
        self._say(one, words)

    def stop(self):
        self.socket.close()
        for one in self.open:
            one.close()
