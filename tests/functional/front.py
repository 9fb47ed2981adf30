# SPDX-License-Identifier: Apache-2.0
"""A front by itself: this process plays its supervisor and its engine."""
import http.client
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import wire  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("VOUCHSAFE_BUILD", ROOT / "build")).resolve()
FRONT = os.environ.get("VOUCHSAFE_FRONT", str(BUILD / "src/front/vouchsafe-front")).split()


def self_signed(folder: pathlib.Path, name="localhost"):
    """A key and a certificate, PEM."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                    "-keyout", folder / "key.pem", "-out", folder / "chain.pem"], check=True, capture_output=True)
    return (folder / "key.pem").read_bytes(), (folder / "chain.pem").read_bytes()


class Engine:
    """Answers what the front asks with `answer(name, message, api)`: (name, fields), or None for no answer."""

    def __init__(self, front, answer=None):
        self.answer = answer or self.status_only
        self.asked: list[tuple[str, dict, dict]] = []
        self.socket, theirs = socket.socketpair()
        wire.send(front.control, "peer", fd=theirs.fileno(), role="engine", index=0)
        theirs.close()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        until = time.monotonic() + 10
        up = b'vouchsafe_front_engine_up{process="%d"} 1\n' % front.process.pid
        while up not in front.ask("GET", "/metrics", purpose="metrics")[2] and time.monotonic() < until:
            time.sleep(0.01)

    @staticmethod
    def status_only(name, message, api):
        if name == "status":
            return "status_reply", {"state": "unsealed", "organisation": "Test"}
        return "problem", {"code": "forbidden", "detail": "Not here."}

    def _serve(self):
        while True:
            try:
                got = wire.receive(self.socket)
            except OSError:
                return
            if got is None:
                return
            kind, number, payload = got
            assert wire.NAMES[kind] == "api"
            api = wire.decode("api", payload)
            name = wire.NAMES[api["kind"]]
            message = wire.decode(name, api["payload"])
            self.asked.append((name, message, api))
            reply = self.answer(name, message, api)
            if reply is None:
                continue
            if reply[0] != "problem":
                reply = "api_reply", {"kind": wire.KINDS[reply[0]], "payload": wire.encode(reply[0], **reply[1])}
            wire.send(self.socket, reply[0], number | wire.REPLY, **reply[1])

    def tell(self, name, /, **fields):
        wire.send(self.socket, name, **fields)

    def kill(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


class Front:
    def __init__(self, descriptors=None, **limits):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vouchsafe-front-"))
        self.key, self.chain = self_signed(self.folder)
        self.control, theirs = socket.socketpair()
        self.log = open(self.folder / "log", "w+b")
        prefix = ["prlimit", f"--nofile={descriptors}"] if descriptors else []
        number = theirs.fileno()  # and 3 in the child
        self.process = subprocess.Popen(["bash", "-c", f'exec "$@" 3<&{number} {number}<&-', "bash", *prefix, *FRONT],
                                        pass_fds=[theirs.fileno()], stderr=self.log, stdin=subprocess.DEVNULL)
        theirs.close()
        self.configure(**limits)
        self.ports = {}
        for purpose in ("https", "http", "metrics"):
            listening = socket.create_server(("127.0.0.1", 0), backlog=512)
            self.ports[purpose] = listening.getsockname()[1]
            wire.send(self.control, "listen", fd=listening.fileno(), purpose=purpose)
            listening.close()
        assert wire.NAMES[wire.receive(self.control)[0]] == "ready", self.text()
        self.context = ssl.create_default_context(cafile=str(self.folder / "chain.pem"))

    def configure(self, **limits):
        content = bytearray()
        options = [("limits", key.replace("_", "-"), str(value)) for key, value in limits.items()]
        for option in [("log", "level", "debug"), *options]:
            for text in option:
                content += struct.pack(">I", len(text)) + text.encode()
        wire.send(self.control, "configure", content=bytes(content), tls_key=self.key, tls_chain=self.chain)

    def text(self):
        self.log.flush()
        return (self.folder / "log").read_text(errors="replace")

    def connect(self, purpose="https", timeout=10) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.ports[purpose]), timeout=timeout)
        return self.context.wrap_socket(sock, server_hostname="localhost") if purpose == "https" else sock

    def connection(self, purpose="https", timeout=10):
        if purpose == "https":
            return http.client.HTTPSConnection("localhost", self.ports[purpose], context=self.context, timeout=timeout)
        return http.client.HTTPConnection("localhost", self.ports[purpose], timeout=timeout)

    def ask(self, method, target, body=None, headers=None, purpose="https", connection=None):
        """(status, headers, body) of one request."""
        own = connection or self.connection(purpose)
        if headers is None:
            headers = {"Content-Type": "application/json"} if body else {}
        own.request(method, target, body=body, headers=headers)
        answer = own.getresponse()
        result = answer.status, answer.headers, answer.read()
        if not connection:
            own.close()
        return result

    def wait_ready(self, status=200, seconds=10):
        until = time.monotonic() + seconds
        while self.ask("GET", "/readyz", purpose="metrics")[0] != status:
            assert time.monotonic() < until, self.text()
            time.sleep(0.02)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
