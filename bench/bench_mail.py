#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mail of 1 GB: sign, verify, encrypt and decrypt, against openssl and gpgsm doing the same in the same run: speed, and peak memory.

--size MB takes another size. Files are in memory (/dev/shm) if there is room for ten times the size, else in $TMPDIR: what is
measured is the programs, not the disk. All sides read and write base64. Of each operation the sides take turns; the best of two runs counts.
"""
import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/interop"))
from mail_pki import Pki  # noqa: E402

TOOL = pathlib.Path(os.environ.get("VOUCHSAFE_BUILD", ROOT / "build")) / "src/mail/mail-tool"


def emit(name, value, unit, peer=None, ratio=None):
    print(json.dumps({"name": name, "value": round(value, 2), "unit": unit, "peer": peer, "ratio": ratio and round(ratio, 2)}), flush=True)


def peak(pid: int) -> float:
    """Peak memory in MB so far. Not from rusage: that of a child begins with what its parent had."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def measure(command, source: pathlib.Path, target: pathlib.Path, environment=None) -> tuple[float, float] | None:
    """Seconds, and peak memory in MB; None if the command fails."""
    memory = 0
    with open(source, "rb") as stdin, open(target, "wb") as stdout:
        started = time.monotonic()
        child = subprocess.Popen(list(map(str, command)), stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL, env=environment)
        while child.poll() is None:
            memory = max(memory, peak(child.pid))
            time.sleep(0.02)
        seconds = time.monotonic() - started
    return None if child.returncode else (seconds, memory)


def make_message(path: pathlib.Path, megabytes: int) -> None:
    block = base64.encodebytes(os.urandom(57 * 4096))
    with open(path, "wb") as out:
        out.write(b"From: alice@example.org\nTo: bob@example.org\nSubject: large\nMIME-Version: 1.0\n"
                  b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n")
        while out.tell() < megabytes * 1000000:
            out.write(block)


class Gpgsm:
    def __init__(self, pki: Pki):
        self.home = pki.folder / "gnupg"
        self.home.mkdir(mode=0o700)
        self.environment = dict(os.environ, GNUPGHOME=str(self.home))
        fingerprint = subprocess.run(["openssl", "x509", "-in", pki.cert("ca"), "-noout", "-fingerprint", "-sha1"], check=True,
                                     capture_output=True, text=True).stdout.split("=")[1]
        (self.home / "trustlist.txt").write_text(f"{fingerprint.strip()} S relax\n")
        (self.home / "gpgsm.conf").write_text("disable-crl-checks\n")
        (self.home / "gpg-agent.conf").write_text("allow-loopback-pinentry\n")
        (self.home / "passphrase").write_text("x\n")
        self.base = ["sh", "-c", f'exec gpgsm --batch --pinentry-mode loopback --passphrase-fd 3 "$@" 3<{self.home}/passphrase', "gpgsm"]
        self.run("--import", pki.cert("ca"))
        for name in ("alice", "bob"):
            self.run("--import", pki.pkcs12(name))

    def run(self, *args):
        subprocess.run([*self.base, *map(str, args)], env=self.environment, check=True, capture_output=True)

    def close(self):
        subprocess.run(["gpgconf", "--kill", "all"], env=self.environment, check=False)


def operations(pki: Pki, crl: pathlib.Path):
    """Name, command, input, output; for each side."""
    sign = ["--signer", pki.cert("alice"), "--signer-key", pki.key("alice")]
    trust = ["--roots", pki.cert("ca"), "--crl", crl]
    own = ["--own", pki.cert("bob"), "--own-key", pki.key("bob")]
    ours = [
        ("sign", [TOOL, "sign", *sign], "plain", "wrapped"),
        ("verify", [TOOL, "verify", *trust], "wrapped", "out"),
        ("sign, opaque", [TOOL, "sign", "--opaque", *sign], "plain", "wrapped"),
        ("verify, opaque", [TOOL, "verify", *trust], "wrapped", "out"),
        ("encrypt", [TOOL, "encrypt", "--to", pki.cert("bob")], "plain", "wrapped"),
        ("decrypt", [TOOL, "decrypt", *own], "wrapped", "out"),
        ("encrypt, GCM", [TOOL, "encrypt", "--gcm", "--to", pki.cert("bob")], "plain", "wrapped"),
        ("decrypt, GCM", [TOOL, "decrypt", *own], "wrapped", "out"),
    ]
    cms = ["openssl", "cms"]
    signer = ["-signer", pki.cert("alice"), "-inkey", pki.key("alice")]
    check, open_ = ["-verify", "-CAfile", pki.cert("ca")], ["-decrypt", "-recip", pki.cert("bob"), "-inkey", pki.key("bob")]
    openssl = [
        ("sign", [*cms, "-sign", "-stream", *signer], "plain", "wrapped"),
        ("verify", [*cms, *check], "wrapped", "out"),
        ("sign, opaque", [*cms, "-sign", "-nodetach", "-stream", *signer], "plain", "wrapped"),
        ("verify, opaque", [*cms, *check], "wrapped", "out"),
        ("encrypt", [*cms, "-encrypt", "-stream", "-aes-256-cbc", pki.cert("bob")], "plain", "wrapped"),
        ("decrypt", [*cms, *open_], "wrapped", "out"),
        ("encrypt, GCM", [*cms, "-encrypt", "-stream", "-aes-256-gcm", pki.cert("bob")], "plain", "wrapped"),
        ("decrypt, GCM", [*cms, *open_], "wrapped", "out"),
    ]
    return ours, openssl


def gpgsm_operations(gpgsm: Gpgsm):
    base = gpgsm.base
    return [
        ("sign, opaque", [*base, "--base64", "--sign", "-u", "alice@example.org"], "plain", "wrapped"),
        ("verify, opaque", [*base, "--assume-base64", "--output", "-", "--verify"], "wrapped", "out"),
        ("encrypt", [*base, "--base64", "--cipher-algo", "AES256", "--encrypt", "-r", "bob@example.org"], "plain", "wrapped"),
        ("decrypt", [*base, "--assume-base64", "--decrypt"], "wrapped", "out"),
    ]


def best(command, source, target, environment=None, runs=2):
    results = [measure(command, source, target, environment) for _ in range(runs)]
    return None if None in results else (min(seconds for seconds, _ in results), max(memory for _, memory in results))


def run_all(folder, sides) -> dict[str, dict[str, tuple[float, float]]]:
    """By side and operation. `sides`: name to (steps, environment); a step is done by each side before the next one is."""
    results = {side: {} for side in sides}
    for name in [step[0] for step in sides["ours"][0]]:
        for side, (steps, environment) in sides.items():
            for step, command, source, target in steps:
                if step == name and (folder / f"{side}-{source}").exists():
                    result = best(command, folder / f"{side}-{source}", folder / f"{side}-{target}", environment)
                    if result:
                        results[side][name] = result
                    else:
                        print(f"{side} failed at: {name}", file=sys.stderr)
        for side in sides:
            (folder / f"{side}-out").unlink(missing_ok=True)
    return results


def room() -> int:
    """In memory, if there is enough of it."""
    try:
        free = shutil.disk_usage("/dev/shm").free
        available = next(int(line.split()[1]) * 1024 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
        return min(free, available)
    except (OSError, StopIteration):
        return 0


def show(size: float, ours, peers) -> None:
    for name, (seconds, memory) in ours.items():
        with_peers = [(label, results[name]) for label, results in peers if name in results] or [(None, None)]
        for label, other in with_peers:
            emit(f"mail {name}", size / seconds, "MB/s", label, other and other[0] / seconds)
        for label, other in with_peers:
            emit(f"mail {name}, peak memory", memory, "MB", label, other and other[1] / memory)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="lines of JSON, which is what is printed anyway")
    parser.add_argument("--size", type=int, default=1000, help="of the message, in MB")
    arguments = parser.parse_args()
    in_memory = room() > 10 * arguments.size * 1000000
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-mail-", dir="/dev/shm" if in_memory else None))
    gpgsm = None
    try:
        pki = Pki(folder)
        pki.user("alice", "alice@example.org", "rsa3072").user("bob", "bob@example.org", "rsa3072")
        make_message(folder / "ours-plain", arguments.size)
        size = (folder / "ours-plain").stat().st_size / 1e6
        ours, openssl = operations(pki, folder / "crl--30.pem")
        sides = {"ours": (ours, dict(os.environ, TMPDIR=str(folder))), "openssl cms": (openssl, None)}
        if shutil.which("gpgsm"):
            gpgsm = Gpgsm(pki)
            sides["gpgsm"] = (gpgsm_operations(gpgsm), gpgsm.environment)
        for side in list(sides)[1:]:
            os.link(folder / "ours-plain", folder / f"{side}-plain")
        results = run_all(folder, sides)
        show(size, results.pop("ours"), list(results.items()))
        return 0
    finally:
        if gpgsm:
            gpgsm.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
