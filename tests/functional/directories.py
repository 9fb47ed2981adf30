# SPDX-License-Identifier: Apache-2.0
"""What tests of publication to a directory share."""
import base64
import pathlib
import shutil
import subprocess
import tempfile

from harness import Server
from peers import Slapd, wait_for

PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging/directory"


def access_of(path: pathlib.Path) -> str:
    """The rules of an LDIF for cn=config as slapd.conf has them; everybody else: the administrator alone."""
    rules, lines = [], path.read_text().splitlines()
    for line in lines:
        if line.startswith("olcAccess: "):
            rules.append("access " + line.split("}", 1)[1])
        elif line.startswith(" ") and rules:
            rules[-1] += line.replace("  ", " ", 1)
    assert rules
    return "\n".join(rules) + f'\naccess to attrs=userPassword by anonymous auth by * none\naccess to * by dn.exact="{Slapd.ADMIN}" write by * none\n'


def certificates_der(server: Server, address: str, kind="encryption", state="valid") -> list[bytes]:
    """What the server says of somebody's certificates."""
    shown = server.json("user", "show", address, home="rita")
    return [base64.b64decode(one["der"]) for one in shown["certificates"] if one["kind"] == kind and one["state"] == state]


def foreign_certificate(folder: pathlib.Path, name: str) -> bytes:
    """One of another CA, which even has this name."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null", "-outform", "DER",
                    "-out", folder / "foreign.cer", "-days", "30", "-subj", f"/CN={name}", "-utf8"], check=True, capture_output=True)
    return (folder / "foreign.cer").read_bytes()


def authority_and_certificate() -> tuple[bytes, bytes, bytes, bytes]:
    """A CA, two certificates of it, and one of another CA with its name; DER."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vouchsafe-ca-"))

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=folder)

    def authority(name):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", "/CN=Issuing CA")

    def issue(ca, name):
        openssl("req", "-new", *key, "-keyout", "user.key", "-out", "user.csr", "-subj", "/CN=User")
        openssl("x509", "-req", "-in", "user.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-extfile", "ext", "-outform", "DER", "-out", name)
        return (folder / name).read_bytes()

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    (folder / "ext").write_text("authorityKeyIdentifier=keyid\nsubjectAltName=email:user@example.org\nkeyUsage=keyAgreement\n")
    authority("ours")
    authority("theirs")
    openssl("x509", "-in", "ours.pem", "-outform", "DER", "-out", "ours.cer")
    made = (folder / "ours.cer").read_bytes(), issue("ours", "new"), issue("ours", "old"), issue("theirs", "foreign")
    shutil.rmtree(folder)
    return made


__all__ = ["PACKAGING", "access_of", "authority_and_certificate", "certificates_der", "foreign_certificate", "wait_for"]
