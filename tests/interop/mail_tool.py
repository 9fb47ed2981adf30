# SPDX-License-Identifier: Apache-2.0
"""The mail library from the outside, through build/src/mail/mail-tool."""
import dataclasses
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOOL = pathlib.Path(os.environ.get("VOUCHSAFE_BUILD", ROOT / "build")) / "src/mail/mail-tool"

CODES = {"mail-weak": 38, "mail-other-date": 39, "mail-unsigned": 40, "mail-unencrypted": 41, "mail-no-key": 42, "mail-no-recipient": 43,
         "mail-unverified": 44, "mail-stale-crl": 45, "mail-expired": 46, "mail-revoked": 47, "mail-other-sender": 48, "mail-deceptive": 49,
         "mail-altered": 50, "malformed": 10, "too-large": 11, "unsupported": 12, "ok": 0}


@dataclasses.dataclass
class Result:
    status: int
    out: bytes
    findings: list[tuple[str, int, str]]

    @property
    def worst(self) -> str:
        return next(code for code, number in CODES.items() if number == self.status)

    @property
    def codes(self) -> set[str]:
        return {code for code, _, _ in self.findings} - {"ok"}


def tool(verb, *options, message: bytes) -> Result:
    done = subprocess.run([str(TOOL), verb, *map(str, options)], input=message, capture_output=True, timeout=60)
    assert done.returncode >= 0 and done.returncode != 3, done.stderr
    findings = [(code, int(layer), sentence) for code, layer, sentence in
                (line.split("\t", 2) for line in done.stderr.decode().splitlines())]
    return Result(done.returncode, done.stdout, findings)


def entity(message: bytes) -> bytes:
    """What is protected of a message: its content header fields and body."""
    head, separator, body = re.match(rb"(?s)(|.*?\n)(\r?\n|$)(.*)", message).groups()
    fields = re.findall(rb"[^\n]*\n?(?:[ \t][^\n]*\n?)*", head)
    eol = b"\r\n" if re.match(rb"[^\n]*\r\n", message) else b"\n"
    content = b"".join(field for field in fields if re.match(rb"(?i)(content-[!-9;-~]+|mime-version)[ \t]*:", field))
    return content + (separator or eol) + body
