#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mail of 1 GB: sign, verify, encrypt and decrypt, against openssl and gpgsm doing the same in the same run: speed, and peak memory.

--size MB takes another size. Inputs and outputs are files in a temporary folder ($TMPDIR), which needs six times the size. All sides
read and write base64, and all have read their input once before, so that it is in the page cache.
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
            p12 = pki.folder / f"{name}.p12"
            subprocess.run(["openssl", "pkcs12", "-export", "-legacy", "-inkey", pki.key(name), "-in", pki.cert(name), "-out", p12, "-passout", "pass:x"],
                           check=True)
            self.run("--import", p12)

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
        ("sign", [TOOL, "sign", *sign], "plain", "signed"),
        ("verify", [TOOL, "verify", *trust], "signed", "out"),
        ("sign, opaque", [TOOL, "sign", "--opaque", *sign], "plain", "opaque"),
        ("verify, opaque", [TOOL, "verify", *trust], "opaque", "out"),
        ("encrypt", [TOOL, "encrypt", "--to", pki.cert("bob")], "plain", "sealed"),
        ("decrypt", [TOOL, "decrypt", *own], "sealed", "out"),
        ("encrypt, GCM", [TOOL, "encrypt", "--gcm", "--to", pki.cert("bob")], "plain", "gcm"),
        ("decrypt, GCM", [TOOL, "decrypt", *own], "gcm", "out"),
    ]
    cms = ["openssl", "cms"]
    signer = ["-signer", pki.cert("alice"), "-inkey", pki.key("alice")]
    check, open_ = ["-verify", "-CAfile", pki.cert("ca")], ["-decrypt", "-recip", pki.cert("bob"), "-inkey", pki.key("bob")]
    openssl = [
        ("sign", [*cms, "-sign", "-stream", *signer], "plain", "peer"),
        ("verify", [*cms, *check], "peer", "out"),
        ("sign, opaque", [*cms, "-sign", "-nodetach", "-stream", *signer], "plain", "peer"),
        ("verify, opaque", [*cms, *check], "peer", "out"),
        ("encrypt", [*cms, "-encrypt", "-stream", "-aes-256-cbc", pki.cert("bob")], "plain", "peer"),
        ("decrypt", [*cms, *open_], "peer", "out"),
        ("encrypt, GCM", [*cms, "-encrypt", "-stream", "-aes-256-gcm", pki.cert("bob")], "plain", "peer"),
        ("decrypt, GCM", [*cms, *open_], "peer", "out"),
    ]
    return ours, openssl


def gpgsm_operations(gpgsm: Gpgsm):
    base = gpgsm.base
    return [
        ("sign, opaque", [*base, "--base64", "--sign", "-u", "alice@example.org"], "plain", "peer"),
        ("verify, opaque", [*base, "--assume-base64", "--output", "-", "--verify"], "peer", "out"),
        ("encrypt", [*base, "--base64", "--cipher-algo", "AES256", "--encrypt", "-r", "bob@example.org"], "plain", "peer"),
        ("decrypt", [*base, "--assume-base64", "--decrypt"], "peer", "out"),
    ]


def run_side(folder, steps, environment=None) -> dict[str, tuple[float, float]]:
    results = {}
    for name, command, source, target in steps:
        if (folder / source).exists():
            result = measure(command, folder / source, folder / target, environment)
            if result:
                results[name] = result
            else:
                print(f"{' '.join(map(str, command[:3]))} failed at: {name}", file=sys.stderr)
    for name in ("peer", "out"):
        (folder / name).unlink(missing_ok=True)
    return results


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
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-mail-"))
    try:
        pki = Pki(folder)
        pki.user("alice", "alice@example.org", "rsa3072").user("bob", "bob@example.org", "rsa3072")
        make_message(folder / "plain", arguments.size)
        size = (folder / "plain").stat().st_size / 1e6
        ours, openssl = operations(pki, folder / "crl--30.pem")
        results = run_side(folder, ours)
        for name in ("signed", "opaque", "sealed", "gcm"):
            (folder / name).unlink(missing_ok=True)
        peers = [("openssl cms", run_side(folder, openssl))]
        if shutil.which("gpgsm"):
            gpgsm = Gpgsm(pki)
            peers.append(("gpgsm", run_side(folder, gpgsm_operations(gpgsm), gpgsm.environment)))
            gpgsm.close()
        show(size, results, peers)
        return 0 if len(results) == len(ours) else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
