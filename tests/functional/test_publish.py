# SPDX-License-Identifier: Apache-2.0
"""Publication to a folder: the revocation list, the CA's certificates and users' certificates appear as files, and come back."""
import pathlib
import shutil
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import Server  # noqa: E402


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.1)


def test_public_data_appears_as_files():
    www = pathlib.Path(tempfile.mkdtemp(prefix="vouchsafe-www-"))
    www.chmod(0o777)
    with Server(options={"publish": {"folder": www / "site", "users": "yes"}, "enroll": {"encryption-profile": "p256"}}) as server:
        names = ["pki/issuer.crl", "pki/issuer.cer", "pki/root.cer"]

        def same() -> bool:
            for name in names:
                with urllib.request.urlopen(f"http://127.0.0.1:{server.http}/{name}", timeout=5) as answer:
                    if not (www / "site" / name).is_file() or (www / "site" / name).read_bytes() != answer.read():
                        return False
            return True

        wait_for(same)
        assert (www / "site/pki/root.cer").stat().st_mode & 0o777 == 0o644
        server.run("directory", "import", server.people(1), home="rita")
        server.enroll("load0@example.org")
        wait_for((www / "site/users/load0@example.org.cer").is_file)
        before = (www / "site/pki/issuer.crl").read_bytes()
        server.run("user", "revoke", "load0@example.org", "--reason", "keyCompromise", home="rita")
        wait_for(lambda: (www / "site/pki/issuer.crl").read_bytes() != before)
        wait_for(same)
        wait_for(lambda: not (www / "site/users/load0@example.org.cer").exists())
        shutil.rmtree(www / "site/pki")
        server.stop()
        (www / "site/pki").write_text("in the way")
        server.start()

        def fails() -> bool:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics}/metrics", timeout=5) as answer:
                metric = 'vouchsafe_publication_fails{target="folder"} 1' in answer.read().decode()
            warned = "cannot be written to the folder" in server.run("status", "--server", server.url, password=False)
            return metric and warned

        wait_for(fails)
        (www / "site/pki").unlink()
        wait_for(same, seconds=60)
        wait_for(lambda: not server.json("status", "--server", server.url, password=False).get("warnings"))
    shutil.rmtree(www)
