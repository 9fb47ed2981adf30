# SPDX-License-Identifier: Apache-2.0
"""The server's own certificate from the built-in CA is renewed by itself; here because the server gets another name."""
import pathlib
import signal
import ssl
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import Server  # noqa: E402


def served(server) -> str:
    """The certificate that the server shows, as openssl describes it."""
    pem = ssl.get_server_certificate(("127.0.0.1", server.https))
    return subprocess.run(["openssl", "x509", "-noout", "-serial", "-ext", "subjectAltName"], input=pem, text=True,
                          capture_output=True, check=True).stdout


def test_a_new_host_name_gets_a_new_certificate():
    with Server() as server:
        before, children = served(server), server.children()
        assert "DNS:localhost" in before and "keys.example.org" not in before
        server.config.write_text(server.config.read_text().replace("host-names = localhost", "host-names = localhost keys.example.org"))
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 20
        while "DNS:keys.example.org" not in served(server):
            assert time.monotonic() < until, server.tail()
            time.sleep(0.2)
        assert served(server).splitlines()[0] != before.splitlines()[0]
        assert server.children() == children, "nobody was restarted for it"
        assert server.state() == "unsealed"
        after = served(server)
        time.sleep(2)
        assert served(server) == after, "it is renewed once"
        server.stop()
        server.start()
        assert served(server) == after
        assert "server.tls" in server.run("audit", "list", home="olga")
