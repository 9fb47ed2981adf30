# SPDX-License-Identifier: Apache-2.0
"""A small certification authority made by openssl, and certificates of the kinds that mail meets."""
import pathlib
import subprocess

EXTENSIONS = """
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[user]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature,nonRepudiation,keyEncipherment,keyAgreement
extendedKeyUsage = emailProtection
subjectAltName = email:{address}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[signer]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = emailProtection
subjectAltName = email:{address}
[nobody]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = emailProtection
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""

KINDS = {
    "rsa": ["-newkey", "rsa:2048"],
    "rsa3072": ["-newkey", "rsa:3072"],
    "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ec384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ed25519": ["-newkey", "ed25519"],
}


def run(*args, **kwargs):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, **kwargs)


class Pki:
    """Files NAME.crt and NAME.key in a folder; `ca` is the root."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        (folder / "ca.cnf").write_text("[req]\ndistinguished_name=dn\n[dn]\n" + EXTENSIONS.format(address="x@y.example"))
        run("openssl", "req", "-x509", *KINDS["rsa3072"], "-nodes", "-keyout", self.key("ca"), "-out", self.cert("ca"), "-days", "3650",
            "-subj", "/O=Example/CN=Root", "-config", folder / "ca.cnf", "-extensions", "ca")
        (folder / "index.txt").write_text("")
        (folder / "crlnumber").write_text("01\n")
        (folder / "db.cnf").write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index.txt\ncrlnumber={folder}/crlnumber\n"
                                       f"certificate={self.cert('ca')}\nprivate_key={self.key('ca')}\ndefault_md=sha256\n"
                                       f"default_crl_days=30\nnew_certs_dir={folder}\nrand_serial=yes\npolicy=p\n"
                                       "[p]\norganizationName=optional\ncommonName=supplied\n[x]\nauthorityKeyIdentifier=keyid\n")
        self.crl()

    def cert(self, name):
        return self.folder / f"{name}.crt"

    def key(self, name):
        return self.folder / f"{name}.key"

    def user(self, name, address, kind="rsa", days=365, section="user", expired=False):
        config = self.folder / f"{name}.cnf"
        config.write_text("[req]\ndistinguished_name=dn\n[dn]\n" + EXTENSIONS.format(address=address))
        run("openssl", "req", "-new", *KINDS[kind], "-nodes", "-keyout", self.key(name), "-out", self.folder / f"{name}.csr",
            "-subj", f"/O=Example/CN={name}", "-config", config)
        files = ["-in", self.folder / f"{name}.csr", "-out", self.cert(name), "-extfile", config, "-extensions", section]
        if expired:  # openssl x509 of 3.5 makes none
            run("openssl", "ca", "-batch", "-notext", "-config", self.folder / "db.cnf", "-startdate", "20200101000000Z",
                "-enddate", "20210101000000Z", *files)
        else:
            run("openssl", "x509", "-req", "-CA", self.cert("ca"), "-CAkey", self.key("ca"), "-days", days, *files)
        return self

    def pkcs12(self, name):
        """For gpgsm, password "x": 2.2 needs the old algorithms, which openssl 3.5 may be installed without; 2.4 reads the new ones."""
        out = self.folder / f"{name}.p12"
        base = ["openssl", "pkcs12", "-export", "-inkey", self.key(name), "-in", self.cert(name), "-out", out, "-passout", "pass:x"]
        try:
            run(*base, "-legacy")
        except subprocess.CalledProcessError:
            run(*base)
        return out

    def at(self, name, url):
        """Certify again, with the place of its revocation list."""
        config = self.folder / f"{name}.cnf"
        (self.folder / f"{name}-at.cnf").write_text(config.read_text().replace("[user]\n", f"[user]\ncrlDistributionPoints = URI:{url}\n"))
        run("openssl", "x509", "-req", "-in", self.folder / f"{name}.csr", "-CA", self.cert("ca"), "-CAkey", self.key("ca"), "-days", 30,
            "-out", self.cert(name), "-extfile", self.folder / f"{name}-at.cnf", "-extensions", "user")
        return self

    def crl(self, *revoked, days=30, at=None):
        """`at`: only for certificates that say that their list is there."""
        out = self.folder / ("crl-" + "-".join(revoked) + f"-{days}.pem")
        config = self.folder / "db.cnf"
        if at:
            config = self.folder / "at.cnf"
            config.write_text((self.folder / "db.cnf").read_text() + f"issuingDistributionPoint=critical,@at\n[at]\nfullname=URI:{at}\n")
        for name in revoked:
            run("openssl", "ca", "-config", self.folder / "db.cnf", "-revoke", self.cert(name), "-crl_reason", "keyCompromise")
        run("openssl", "ca", "-config", config, "-gencrl", "-crldays", str(days), "-crlexts", "x", "-out", out)
        return out
