"""The server under test, as a process of its own, and the generated code to talk to it with."""

import importlib
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading

import grpc
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ["audit", "caller", "namespace", "revocation", "token", "verification", "webhook"]
START_SECONDS = 20


def generate(folder):
    """Generates the stubs of proto/tokenward/v1 and makes them importable.

    google/api is not generated: googleapis-common-protos brings it, and a file may be registered once.
    """
    protos = sorted(str(path) for path in (ROOT / "proto" / "tokenward" / "v1").glob("*.proto"))
    bundled = pathlib.Path(importlib.import_module("grpc_tools").__file__).parent / "_proto"
    code = protoc.main(
        ["protoc", f"-I{ROOT / 'proto'}", f"-I{bundled}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
        + protos
    )
    assert code == 0, f"protoc ended with {code}"
    sys.path.insert(0, str(folder))


class Bearer(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Adds a credential to every call."""

    def __init__(self, credential):
        self.metadata = ("authorization", f"Bearer {credential}")

    def _with(self, details):
        return details._replace(metadata=[*(details.metadata or []), self.metadata])

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(self._with(details), request)

    def intercept_unary_stream(self, continuation, details, request):
        return continuation(self._with(details), request)

    def intercept_stream_stream(self, continuation, details, requests):
        return continuation(self._with(details), requests)


class Client:
    """One channel, by TLS if told how, a stub for each service, and the messages of the package by name."""

    def __init__(self, address, credential, *options, tls=None):
        options = [("grpc.enable_http_proxy", 0), *options]
        channel = grpc.secure_channel(address, tls, options) if tls else grpc.insecure_channel(address, options)
        self.channel = grpc.intercept_channel(channel, Bearer(credential)) if credential else channel
        self._close = channel.close
        for service in SERVICES:
            stubs = importlib.import_module(f"tokenward.v1.{service}_service_pb2_grpc")
            stub = getattr(stubs, f"{service.capitalize()}ServiceStub")
            setattr(self, service, stub(self.channel))

    def close(self):
        self._close()


class Server:
    """`tokenward serve`, by default over one store file; its log, with all there is, goes to a file beside it."""

    def __init__(self, binary, folder, *more, store=None):
        self.log = folder / "server.log"
        self.admin_file = folder / "tokenward.db.admin"
        store = store or f"sqlite:{folder / 'tokenward.db'}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [binary, "serve", "--store", store, "--listen", "127.0.0.1:0", *more],
                env={**os.environ, "TOKENWARD_LOG": "trace"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.address = self._address()

    def _address(self):
        lines = queue.Queue()
        threading.Thread(target=lambda: lines.put(self.process.stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=START_SECONDS)
        except queue.Empty:
            line = ""
        beginning = "tokenward: listening on "
        if not line.startswith(beginning):
            self.kill()
            raise AssertionError(f"the server said {line!r}; its log:\n{self.log.read_text()}")
        return line.removeprefix(beginning).split()[0]

    def admin(self):
        """The credential that the first start left beside the store."""
        return self.admin_file.read_text().strip()

    def stop(self, seconds):
        """Asks it to end, and answers with its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
