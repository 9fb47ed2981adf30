# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of the test's own, in a folder, reached by its socket."""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile


def _programs() -> pathlib.Path | None:
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    """PostgreSQL does not run as root; then it runs as the user postgres."""

    def __init__(self):
        self.programs = _programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vouchsafe-pg-"))
        self.folder.chmod(0o755)
        self.data, self.sockets = self.folder / "data", self.folder / "sockets"
        self.sockets.mkdir()
        self.sockets.chmod(0o777)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "vouchsafe", "--no-sync")
        self.start()

    @staticmethod
    def unavailable() -> str | None:
        if not _programs():
            return "PostgreSQL is not installed"
        if os.geteuid() == 0:
            try:
                pwd.getpwnam("postgres")
            except KeyError:
                return "there is no user postgres"
        return None

    @property
    def url(self) -> str:
        return f"postgresql:///postgres?host={self.sockets}&user=vouchsafe"

    def _run(self, program, *arguments):
        become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        done = subprocess.run([*become, self.programs / program, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              cwd=self.folder, text=True)
        assert done.returncode == 0, done.stderr

    def start(self):
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.data / "log", "-o",
                  f"-c listen_addresses='' -c unix_socket_directories='{self.sockets}'", "start")

    def stop(self, mode="immediate"):
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()
