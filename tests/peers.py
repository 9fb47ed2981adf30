# SPDX-License-Identifier: Apache-2.0
"""Real directories for tests: OpenLDAP's slapd on loopback, and a Samba Active Directory domain controller in a network of its own. Each lives in a
folder, ends with stop(), and says with unavailable() why it cannot run here."""
import base64
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

from harness import BUILD, free_ports, open_way

SLAPD = shutil.which("slapd", path="/usr/sbin:/usr/bin:/usr/local/sbin")
SAMBA = shutil.which("samba", path="/usr/sbin:/usr/bin:/usr/local/sbin")


def wait_for(condition, seconds=60, what="it does not happen"):
    """Poll until the condition holds; its value."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, what() if callable(what) else what
        time.sleep(0.05)
    return value


def end(process: subprocess.Popen | None, kill=False):
    """Let one process of ours end."""
    if process and process.poll() is None:
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ldif(dn: str, attributes: dict) -> str:
    """One entry; values are texts, bytes, or lists of them. Everything that LDIF cannot hold as it is goes as base64."""
    lines = [_ldif_line("dn", dn)]
    for name, values in attributes.items():
        lines += [_ldif_line(name, value) for value in (values if isinstance(values, (list, tuple)) else [values])]
    return "\n".join(lines) + "\n\n"


def _ldif_line(name, value):
    raw = value if isinstance(value, bytes) else str(value).encode()
    plain = raw and raw.isascii() and raw[:1] not in b" :<" and raw[-1:] != b" " and not any(c in raw for c in b"\0\r\n")
    return f"{name}: {raw.decode()}" if plain else f"{name}:: {base64.b64encode(raw).decode()}"


def escape(value: str) -> str:
    """A value inside a DN, RFC 4514."""
    for special in '\\,+"<>;=':
        value = value.replace(special, "\\" + special)
    return f"\\{value}" if value[:1] in ("#", " ") else value


class Authority:
    """A CA of the test, and certificates of it."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        open_way(folder)
        self.certificate, self.key = folder / "ca.pem", folder / "ca.key"
        self._openssl("req", "-x509", *self._new_key(self.key), "-out", self.certificate, "-days", "30", "-subj", "/CN=Test CA")

    @staticmethod
    def _new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path]

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def issue(self, name: str, *alternatives: str) -> tuple[pathlib.Path, pathlib.Path]:
        """Certificate and key of a host or a client: issue("localhost", "DNS:localhost", "IP:127.0.0.1")."""
        certificate, key, extensions = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "ext"))
        request = self.folder / f"{name}.csr"
        self._openssl("req", "-new", *self._new_key(key), "-out", request, "-subj", f"/CN={name}")
        extensions.write_text(f"subjectAltName={','.join(alternatives or ['DNS:' + name])}\n")
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days", "30",
                      "-extfile", extensions, "-out", certificate)
        return certificate, key


class Slapd:
    """OpenLDAP with inetOrgPerson and groupOfNames under dc=example,dc=org: ldap:// (StartTLS), ldaps:// and ldapi://, the syncprov overlay, and an
    account for the server. Its users are those of ou=people; add(), modify(), delete() change it over the local socket as its administrator."""

    BASE = "dc=example,dc=org"
    ADMIN, ADMIN_PASSWORD = "cn=admin,dc=example,dc=org", "admin secret"
    ACCOUNT, PASSWORD = "cn=vouchsafe,ou=services,dc=example,dc=org", "bind, secret: ü"
    ACCESS = """access to attrs=userPassword by dn.exact="{account}" none by anonymous auth by * none
access to * by dn.exact="{account}" write by dn.exact="{admin}" write by users read by * none
"""

    @staticmethod
    def unavailable() -> str | None:
        return None if SLAPD else "slapd is not installed"

    def __init__(self, folder: pathlib.Path | None = None, authority: Authority | None = None, *, sync=True, access=None, extra="", people=()):
        """`access` replaces the rules of access, `extra` goes into the database's part of slapd.conf; `people` are given to person()."""
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="vouchsafe-slapd-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.authority = authority or Authority(self.folder / "tls")
        # libldap takes the machine's own name for localhost.
        self.certificate, self.key = self.authority.issue("localhost", "DNS:localhost", f"DNS:{socket.gethostname()}", "IP:127.0.0.1")
        self.port, self.tls_port = free_ports(2)
        self.socket = self.folder / "ldapi"
        self.url, self.tls_url = f"ldap://127.0.0.1:{self.port}", f"ldaps://127.0.0.1:{self.tls_port}"
        self.local_url = "ldapi://" + urllib.parse.quote(str(self.socket), safe="")
        self.process: subprocess.Popen | None = None
        self._configure(sync, access or self.ACCESS.format(account=self.ACCOUNT, admin=self.ADMIN), extra)
        self.load(self.tree() + "".join(self.person(**one) for one in people))

    def _configure(self, sync, access, extra):
        (self.folder / "db").mkdir(exist_ok=True)
        (self.folder / "slapd.conf").write_text(f"""
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload syncprov
TLSCACertificateFile {self.authority.certificate}
TLSCertificateFile {self.certificate}
TLSCertificateKeyFile {self.key}
TLSVerifyClient try
authz-regexp "gidNumber=0\\\\+uidNumber=0,cn=peercred,cn=external,cn=auth" "{self.ADMIN}"
authz-regexp "gidNumber=[0-9]+\\\\+uidNumber=65534,cn=peercred,cn=external,cn=auth" "{self.ACCOUNT}"
authz-regexp "cn=vouchsafe-client" "{self.ACCOUNT}"
sizelimit size.soft=500 size.hard=500 size.prtotal=unlimited
database mdb
suffix {self.BASE}
rootdn {self.ADMIN}
rootpw "{self.ADMIN_PASSWORD}"
directory {self.folder / "db"}
maxsize 2147483648
index objectClass,entryUUID,entryCSN,member eq
index cn,mail eq,sub
{"overlay syncprov" if sync else ""}
{access}
{extra}
""")

    def tree(self) -> str:
        units = ["people", "groups", "services"]
        return (ldif(self.BASE, {"objectClass": ["domain", "top"], "dc": "example"}) +
                "".join(ldif(f"ou={unit},{self.BASE}", {"objectClass": "organizationalUnit", "ou": unit}) for unit in units) +
                ldif(self.ACCOUNT, {"objectClass": ["organizationalRole", "simpleSecurityObject"], "cn": "vouchsafe", "userPassword": self.PASSWORD}))

    def dn(self, name: str, unit="people") -> str:
        return f"cn={escape(name)},ou={unit},{self.BASE}"

    def person(self, name: str, unit="people", **attributes) -> str:
        """LDIF of a person; attributes replace what is made of the name."""
        entry = {"objectClass": "inetOrgPerson", "cn": name, "sn": name.split()[-1], "mail": f"{name.split()[0].lower()}@example.org", "userPassword": "pw " + name}
        return ldif(self.dn(name, unit), {key: value for key, value in {**entry, **attributes}.items() if value is not None})

    def group(self, name: str, *members: str) -> str:
        """LDIF of a group of names; members are DNs."""
        return ldif(self.dn(name, "groups"), {"objectClass": "groupOfNames", "cn": name, "member": list(members)})

    # ---- life ----

    def load(self, text: str):
        """slapadd, while it does not run: for the many."""
        done = subprocess.run([pathlib.Path(SLAPD).with_name("slapadd"), "-q", "-f", self.folder / "slapd.conf", "-b", self.BASE], input=text,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([SLAPD, "-d", "0", "-f", self.folder / "slapd.conf", "-h",
                                             f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port} {self.local_url}"], stdout=log, stderr=log)
        wait_for(self._answers, what=lambda: "slapd does not start: " + (self.folder / "log").read_text(errors="replace"))
        self.socket.chmod(0o777)
        return self

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def freeze(self):
        """It stays there, and says nothing more: once this returns, with none of its threads."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        while any(one.read_text().rpartition(")")[2].split()[0] != "T" for one in tasks.glob("*/stat")):
            time.sleep(0.01)

    def stop(self, kill=False):
        end(self.process, kill)
        self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()

    # ---- changes, as its administrator ----

    def _tool(self, name, *arguments, text=None, check=True):
        done = subprocess.run([name, "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-D", self.ADMIN, "-w", self.ADMIN_PASSWORD, *arguments], input=text,
                              capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stderr + done.stdout
        return done

    def add(self, text: str):
        self._tool("ldapadd", text=text)

    def modify(self, dn: str, **attributes):
        """Replace attributes; None takes one away."""
        lines = [_ldif_line("dn", dn), "changetype: modify"]
        for name, values in attributes.items():
            lines.append(f"replace: {name}")
            values = [] if values is None else values if isinstance(values, (list, tuple)) else [values]
            lines += [_ldif_line(name, value) for value in values] + ["-"]
        self._tool("ldapmodify", text="\n".join(lines) + "\n")

    def delete(self, dn: str):
        self._tool("ldapdelete", dn)

    def rename(self, dn: str, new_rdn: str, parent: str | None = None):
        self._tool("ldapmodrdn", "-r", *(["-s", parent] if parent else []), dn, new_rdn)

    def search(self, filter="(objectClass=*)", *attributes, base=None) -> dict[str, dict[str, list[bytes]]]:
        """Entries by DN."""
        done = self._tool("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-E", "pr=1000/noprompt", "-b", base or self.BASE, filter, *attributes)
        return parse_ldif(done.stdout)

    def uuid(self, dn: str) -> str:
        """The entry's stable id."""
        return next(iter(self.search("(objectClass=*)", "entryUUID", base=dn).values()))["entryuuid"][0].decode()

    def options(self, folder: pathlib.Path | None = None, **others) -> dict[str, object]:
        """The section [directory] of a server that uses it, simple bind over StartTLS."""
        path = pathlib.Path(folder or self.folder) / "bind-password"
        path.write_text(self.PASSWORD + "\n")
        path.chmod(0o600)
        options = {"kind": "ldap", "servers": self.url, "ca-file": self.authority.certificate, "bind": "simple", "bind-dn": self.ACCOUNT,
                   "bind-password-file": path, "base": self.BASE, "schema": "inetorgperson"}
        return {key: value for key, value in {**options, **others}.items() if value is not None}


def parse_ldif(text: str) -> dict[str, dict[str, list[bytes]]]:
    """Entries by DN; names of attributes in lower case."""
    entries: dict[str, dict[str, list[bytes]]] = {}
    entry: dict[str, list[bytes]] | None = None
    for line in text.replace("\n ", "").splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        value = base64.b64decode(rest[1:].strip()) if rest.startswith(":") else rest.lstrip().encode()
        if name.lower() == "dn":
            entry = entries.setdefault(value.decode(), {})
        elif entry is not None:
            entry.setdefault(name.lower(), []).append(value)
    return entries


class Namespace:
    """A network of its own with nothing but loopback, where names are those of a hosts file of its own. `prefix` goes before a command that is to
    run in it."""

    @staticmethod
    def unavailable() -> str | None:
        if os.geteuid() != 0:
            return "making a network namespace needs root"
        done = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True)
        return None if done.returncode == 0 else "network namespaces cannot be made here"

    def __init__(self, folder: pathlib.Path, hosts: str):
        (folder / "hosts").write_text("127.0.0.1 localhost\n" + hosts)
        script = f"ip link set lo up && mount --bind '{folder / 'hosts'}' /etc/hosts && echo ready && exec sleep infinity"
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", script], stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline().strip() == "ready", "the network namespace could not be made"
        self.prefix = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", f"--mount=/proc/{self.holder.pid}/ns/mnt", f"--wd={folder}", "--"]

    def run(self, *command, check=True, text=True, **options):
        done = subprocess.run([*self.prefix, *map(str, command)], capture_output=True, text=text, **options)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def stop(self):
        end(self.holder, kill=True)


class SambaAd:
    """A domain controller of AD.EXAMPLE.TEST, dc.ad.example.test, in a namespace: ldap:// with GSSAPI or StartTLS, ldaps://, Kerberos. Whoever talks to
    it runs with `namespace.prefix` and `environment` (harness.Server takes both). ACCOUNT is an ordinary user, who may read all."""

    REALM, BASE = "AD.EXAMPLE.TEST", "DC=ad,DC=example,DC=test"
    HOST, URL, TLS_URL = "dc.ad.example.test", "ldap://dc.ad.example.test", "ldaps://dc.ad.example.test"
    ADMIN, ADMIN_PASSWORD = "Administrator@ad.example.test", "Passw0rd.Adm1n"
    ACCOUNT, PASSWORD = "vouchsafe@ad.example.test", "B1nd, secret: x"

    @staticmethod
    def unavailable() -> str | None:
        if not SAMBA or not pathlib.Path("/usr/share/samba/setup/ad-schema").is_dir():
            return "samba-ad-dc or samba-ad-provision is not installed"
        return Namespace.unavailable()

    def __init__(self, folder: pathlib.Path | None = None):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="vouchsafe-samba-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.authority = Authority(self.folder / "tls")
        self.namespace = Namespace(self.folder, f"127.0.0.1 {self.HOST} dc\n")
        self.dc = self.folder / "dc"
        self.config = self.dc / "etc/smb.conf"
        self.krb5 = self.folder / "krb5.conf"
        self.krb5.write_text(f"""[libdefaults]
 default_realm = {self.REALM}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 {self.REALM} = {{
  kdc = 127.0.0.1
 }}
[domain_realm]
 .ad.example.test = {self.REALM}
""")
        self.environment = {"KRB5_CONFIG": str(self.krb5)}
        self.process: subprocess.Popen | None = None
        self._provision()

    def _provision(self):
        """Made once for a build and copied, since it takes long: the domain, the names under which Kerberos knows LDAP, and the server's account."""
        template = BUILD / "samba-ad-template"
        with open(BUILD / "samba-ad-template.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (template / "done").exists():
                shutil.rmtree(template, ignore_errors=True)
                self.namespace.run("samba-tool", "domain", "provision", f"--realm={self.REALM}", "--domain=AD", "--server-role=dc", "--dns-backend=NONE",
                                   f"--adminpass={self.ADMIN_PASSWORD}", f"--targetdir={template}", "--host-name=dc", "--host-ip=127.0.0.1")
                made = ["-s", template / "etc/smb.conf"]
                self.namespace.run("samba-tool", "spn", "add", f"ldap/{self.HOST}", "DC$", *made)
                self.namespace.run("samba-tool", "user", "create", "vouchsafe", self.PASSWORD, *made)
                (template / "done").write_text("")
            subprocess.run(["cp", "-a", template, self.dc], check=True)
        text = self.config.read_text().replace(str(template), str(self.dc))
        certificate, key = self.authority.issue(self.HOST)
        key.chmod(0o600)
        self.config.write_text(text.replace("[global]", f"""[global]
	server services = ldap kdc cldap
	log file = {self.dc}/log.%m
	pid directory = {self.dc}
	ncalrpc dir = {self.dc}/ncalrpc
	winbindd socket directory = {self.dc}/winbindd
	interfaces = lo
	bind interfaces only = yes
	tls certfile = {certificate}
	tls keyfile = {key}
	tls cafile = {self.authority.certificate}
	tls priority = NORMAL
	ldap server require strong auth = allow_sasl_over_tls
""").replace("\tserver services = s3fs", "\t# server services = s3fs"))

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([*self.namespace.prefix, SAMBA, "-F", "--no-process-group", "-M", "single", "-s", str(self.config), "--debug-stdout"],
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(self._answers, what=lambda: "samba does not start: " + (self.folder / "log").read_text(errors="replace")[-2000:])
        return self

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")[-2000:]
        return self.namespace.run("ldapsearch", "-x", "-H", self.URL, "-s", "base", "-b", "", "dnsHostName", check=False).returncode == 0

    def tool(self, *arguments, **options):
        """samba-tool on its own database."""
        return self.namespace.run("samba-tool", *arguments, "-s", self.config, **options).stdout

    def keytab(self, principal="vouchsafe", path: pathlib.Path | None = None) -> pathlib.Path:
        path = path or self.folder / f"{principal}.keytab"
        self.tool("domain", "exportkeytab", path, f"--principal={principal}")
        path.chmod(0o600)
        return path

    def add(self, text: str):
        """LDIF, as its administrator."""
        self.change("ldapadd", text)

    def change(self, tool: str, text: str):
        self.namespace.run(tool, *self._bind(), input=text, env=self._environment())

    def search(self, filter="(objectClass=*)", *attributes, base=None) -> dict[str, dict[str, list[bytes]]]:
        done = self.namespace.run("ldapsearch", *self._bind(), "-LLL", "-o", "ldif-wrap=no", "-E", "pr=500/noprompt", "-b", base or self.BASE, filter, *attributes,
                                  env=self._environment())
        return parse_ldif(done.stdout)

    def _bind(self):
        return ["-x", "-ZZ", "-H", self.URL, "-D", self.ADMIN, "-w", self.ADMIN_PASSWORD]

    def _environment(self):
        return dict(os.environ, LDAPTLS_CACERT=str(self.authority.certificate), **self.environment)

    def options(self, **others) -> dict[str, object]:
        """The section [directory] of a server that uses it, simple bind over StartTLS."""
        path = self.folder / "bind-password"
        path.write_text(self.PASSWORD + "\n")
        path.chmod(0o600)
        options = {"kind": "ldap", "servers": self.URL, "ca-file": self.authority.certificate, "bind": "simple", "bind-dn": self.ACCOUNT,
                   "bind-password-file": path, "base": self.BASE, "schema": "ad"}
        return {key: value for key, value in {**options, **others}.items() if value is not None}

    def stop(self, kill=False):
        end(self.process, kill)
        self.process = None

    def remove(self):
        self.stop()
        self.namespace.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()
