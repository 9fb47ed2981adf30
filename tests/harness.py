# SPDX-License-Identifier: Apache-2.0
"""A real server in a folder of its own, driven by the real CLI: what functional tests, fault tests and benchmarks stand on."""
import atexit
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def within_reach(build: pathlib.Path) -> pathlib.Path:
    """As root the server runs as nobody, who cannot come through to a clone in root's home: then a copy of the programs."""
    daemon = build / "src/supervisor/vouchsafed"
    if os.geteuid() != 0 or not daemon.exists() or as_nobody("test", "-x", daemon) == 0:
        return build
    copy = pathlib.Path(tempfile.mkdtemp(prefix="vouchsafe-programs-"))
    copy.chmod(0o755)
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    for pattern in ("src/*/vouchsafe*", "bench/*", "tests/functional/*"):
        for file in build.glob(pattern):
            if file.is_file() and os.access(file, os.X_OK):
                (copy / file.relative_to(build)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, copy / file.relative_to(build))
    return copy


def as_nobody(*command) -> int:
    """The status of a command that is run without rights."""
    return subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *map(str, command)],
                          capture_output=True).returncode


BUILD = within_reach(pathlib.Path(os.environ.get("VOUCHSAFE_BUILD", ROOT / "build")).resolve())
PASSWORD = "a long enough password, Zoë"

CLI = BUILD / "src/cli/vouchsafe"
DAEMON = BUILD / "src/supervisor/vouchsafed"


class CommandFailed(Exception):
    """A command ended with a status other than the one expected."""

    def __init__(self, arguments, status, out, err):
        super().__init__(f"vouchsafe {' '.join(map(str, arguments))}: status {status}\n{out}\n{err}")
        self.status, self.out, self.err = status, out, err


_reserved: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, and no other test takes while this process lives: each is held at another loopback address. Below those
    that the kernel gives to clients, which would be in a listener's way."""
    ports: list[int] = []
    chance = random.SystemRandom()
    while len(ports) < count:
        port = chance.randrange(10000, 32000)
        held, tried = socket.socket(), socket.socket()
        try:
            held.bind(("127.255.0.1", port))
            tried.bind(("127.0.0.1", port))
        except OSError:
            held.close()
        else:
            _reserved.append(held)
            ports.append(port)
        finally:
            tried.close()
    return ports


def open_way(folder: pathlib.Path):
    """As root the server runs as another user, who must come through to its folder below that of temporary files."""
    top = pathlib.Path(tempfile.gettempdir())
    for place in [folder, *folder.parents]:
        if os.geteuid() == 0 and place.is_relative_to(top) and place != top:
            place.chmod(place.stat().st_mode | 0o055)


class Server:
    """One server: folder, processes, and the homes of those who use it."""

    def __init__(self, folder: pathlib.Path | None = None, options: dict[str, dict[str, object]] | None = None,
                 officers=("olga", "omar", "otto"), quorum=2, startup="file", prefix=(), environment=None):
        """`prefix` goes before every command of ours ("ip netns exec …"), `environment` into its environment."""
        self.prefix, self.environment = list(map(str, prefix)), dict(environment or {})
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="vouchsafe-"))
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        open_way(self.folder)
        self.data = self.folder / "data"
        self.homes = self.folder / "homes"
        self.config = self.folder / "vouchsafe.conf"
        self.startup_secret = self.folder / "startup-secret"
        self.log = self.folder / "log"
        self.officers, self.quorum, self.startup = officers, quorum, startup
        self.https, self.http, self.metrics = free_ports(3)
        self.url = f"https://localhost:{self.https}"
        self.process: subprocess.Popen | None = None
        self._write_config(options or {})
        for name, content in {"password": PASSWORD, "root-password": "another long password"}.items():
            (self.folder / name).write_text(content + "\n")

    def _write_config(self, options):
        sections = {
            "server": {"data": self.data, "run": self.folder / "run", "organisation": "Beispiel & Söhne, \"Test\"",
                       "host-names": "localhost", "url": f"http://localhost:{self.http}"},
            "listen": {"https": f"127.0.0.1:{self.https}", "http": f"127.0.0.1:{self.http}",
                       "metrics": f"127.0.0.1:{self.metrics}"},
            "startup": {"secret": self.startup},
            "process": {"keepers": 2, "fronts": 2},
            "enroll": {"pool-size": 4},
        }
        if os.geteuid() == 0:
            sections["process"]["user"] = "nobody"  # the server gives up root by itself
        if self.startup == "file":
            sections["startup"]["secret-file"] = self.startup_secret
        for section, values in options.items():
            sections.setdefault(section, {}).update(values)
        lines = []
        for section, values in sections.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {value}" for key, value in values.items()]
        self.config.write_text("\n".join(lines) + "\n")

    # ---- commands ----

    def run(self, *arguments, home="admin", status=0, stdin=None, password=True, timeout=120) -> str:
        """Run `vouchsafe …` as somebody with a home of his own; the text it printed."""
        return self.result(*arguments, home=home, status=status, stdin=stdin, password=password, timeout=timeout).stdout

    def result(self, *arguments, home="admin", status=0, stdin=None, password=True, timeout=120):
        place = self.homes / home
        place.mkdir(parents=True, exist_ok=True)
        command = [*self.prefix, str(CLI), *map(str, arguments)]
        if password:
            command += ["--password-file", str(self.folder / "password")]
        environment = dict(os.environ, VOUCHSAFE_HOME=str(place), LC_ALL="C.UTF-8", **self.environment)
        text = not isinstance(stdin, bytes)
        done = subprocess.run(command, input=stdin, capture_output=True, text=text, env=environment, timeout=timeout,
                              stdin=subprocess.DEVNULL if stdin is None else None)
        if status is not None and done.returncode != status:
            raise CommandFailed(arguments, done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *arguments, **options):
        return json.loads(self.run(*arguments, "--json", **options))

    # ---- life ----

    def init(self):
        """Set up, start, and let officers and registrar accept."""
        codes = self.folder / "codes"
        arguments = ["init", "--config", self.config, "--quorum", self.quorum, "--registrar", "rita",
                     "--root-out", self.folder / "root.p12", "--root-password-file", self.folder / "root-password",
                     "--startup-secret-file", self.startup_secret, "--codes-dir", codes]
        for officer in self.officers:
            arguments += ["--officer", officer]
        self.run(*arguments, password=False)
        self.start()
        for name in [*self.officers, "rita"]:
            code = (codes / name).read_text().strip()
            self.run("operator", "accept", "--server", self.url, "--code-file", codes / name, home=name)
            assert re.fullmatch(r"[2-9A-HJ-NP-Z-]{31}", code), code
        return self

    def start(self, wait="unsealed"):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.prefix, str(DAEMON), "--config", str(self.config)], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=dict(os.environ, **self.environment))
        if wait:
            self.wait(wait)
        return self

    def state(self) -> str:
        """What `vouchsafe status` says, "down" when nobody answers."""
        done = self.result("status", "--server", self.url, "--json", status=None, password=False)
        return json.loads(done.stdout)["state"] if done.returncode == 0 else "down"

    def wait(self, state="unsealed", seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"vouchsafed ended with {self.process.returncode}:\n{self.tail()}")
            if self.state() == state:
                return
            time.sleep(0.1)
        raise AssertionError(f"the server is {self.state()}, not {state}:\n{self.tail()}")

    def stop(self, kill=False):
        if self.process and self.process.poll() is None:
            if kill:
                for pid in [*self.children().values(), self.process.pid]:
                    os.kill(pid, signal.SIGKILL)
            else:
                self.process.terminate()
            self.process.wait(60)
            if kill:
                self._wait_for_ports()
        self.process = None

    def _wait_for_ports(self, seconds=20):
        """A child that was being started while the others were killed ends by itself, and until then holds the listening sockets."""
        until = time.monotonic() + seconds
        for port in (self.https, self.http, self.metrics):
            while time.monotonic() < until:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)):
                        break
                time.sleep(0.05)

    def tail(self, lines=40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def children(self) -> dict[str, int]:
        """Name with number ("keeper 1") and process id of each child that lives."""
        found: dict[str, int] = {}
        done = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        for line in done.stdout.splitlines():
            pid, arguments = line.split(maxsplit=1)
            name = pathlib.Path(arguments.split()[0].rstrip(":")).name.removeprefix("vouchsafe-")
            found[f"{name} {sum(key.startswith(name) for key in found) + 1}"] = int(pid)
        return found

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- what tests do often ----

    def people(self, count: int, unit="Load", first=0) -> pathlib.Path:
        """A CSV file of that many people with addresses load0@example.org and so on."""
        path = self.folder / f"people-{unit}-{first}.csv"
        lines = ["guid,name,surname,address,unit"]
        lines += [f"{unit}-{n:07d},Person {n},Person,load{n}@example.org,{unit}" for n in range(first, first + count)]
        path.write_text("\n".join(lines) + "\n")
        return path

    def tokens(self, *selection) -> pathlib.Path:
        """Enroll a selection; a file with a token a line."""
        rows = self.json("user", "enroll", *selection, home="rita", timeout=1800)
        path = self.folder / f"tokens-{time.monotonic_ns()}"
        path.write_text("".join(row["token"] + "\n" for row in rows["rows"] if row["token"]))
        return path

    def damage(self) -> str:
        """What "vouchsafe verify" finds wrong; empty when nothing is."""
        done = self.result("verify", "--json", home=self.officers[-1], status=None)
        found = json.loads(done.stdout).get("findings", []) if done.stdout else []
        return " | ".join(f"{one['subject']}: {one['detail']}" for one in found if one["severity"] == "error")

    def enroll(self, address: str) -> None:
        """Token, then the user's own enrollment in a home named by the address."""
        tokens = self.tokens(address)
        self.run("enroll", "--server", self.url, "--token-file", tokens, home=address)

    def enroll_by_password(self, address: str, password: str, *options, url=None, home=None):
        """Enrollment of oneself with the directory's password, in a home of its own; whatever comes of it."""
        path = self.folder / f"directory-password-{abs(hash(password))}"
        path.write_text(password + "\n")
        return self.result("enroll", "--server", url or self.url, "--user", address, "--directory-password-file", path, *options,
                           home=home or f"self-{address}", status=None)

    def __enter__(self):
        return self.init()

    def __exit__(self, *_):
        self.remove()
