"""Mutual TLS with the gRPC core that most languages have: who gets in, who does not, and a rotation under load.

usage: tls.py path/to/tokenward
"""

import pathlib
import socket
import ssl
import sys
import tempfile
import threading
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from certificates import DAY, NOW, Ca
from program import Client, Server, generate

SPIFFE_ID = "spiffe://example.org/ns/prod/sa/gateway"
CALL_SECONDS = 20
ROTATIONS = 3
CALLS_BETWEEN = 50


class World:
    """A server with TLS, and the CAs that signed its certificate and those of its clients."""

    def __init__(self, binary, scratch):
        self.servers, self.clients = Ca("servers"), Ca("clients")
        self.scratch, self.link = scratch, scratch / "current"
        (scratch / "clients.crt").write_bytes(self.clients.pem)
        self.shown = None
        self.rotate(0)
        (scratch / "data").mkdir()
        options = {
            "--tls-cert": self.link / "tls.crt",
            "--tls-key": self.link / "tls.key",
            "--client-ca": scratch / "clients.crt",
        }
        words = [str(word) for option in options.items() for word in option]
        self.server = Server(binary, scratch / "data", *words, "--client-cert-required")

    def rotate(self, number):
        """Puts another certificate in the place of the present one, at one stroke."""
        self.shown = self.servers.server()
        self.shown.write(self.scratch / str(number))
        following = self.scratch / "following"
        following.symlink_to(self.scratch / str(number))
        following.rename(self.link)

    def connect(self, pair=None):
        credentials = grpc.ssl_channel_credentials(
            self.servers.pem, pair and pair.key, pair and pair.certificate
        )
        # Else channels share a connection.
        return Client(self.server.address, None, ("grpc.use_local_subchannel_pool", 1), tls=credentials)

    def seen(self):
        """The certificate that a new connection is shown."""
        host, port = self.server.address.split(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.servers.pem.decode())
        with socket.create_connection((host, int(port))) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as encrypted:
                return encrypted.getpeercert(binary_form=True)


def call(client):
    stub = health_pb2_grpc.HealthStub(client.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=CALL_SECONDS)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING, answer


def over_new_connection(world, pair):
    client = world.connect(pair)
    try:
        call(client)
    finally:
        client.close()


def accepted(world):
    over_new_connection(world, world.clients.client(SPIFFE_ID))
    print("ok      a client whose certificate has a SPIFFE ID gets in")


def refused(world):
    cases = [
        ("client certificate missing", None),
        ("client certificate refused: expired on ", world.clients.client(SPIFFE_ID, until=NOW - DAY)),
        ("client certificate refused: not signed by a CA of --client-ca", Ca("strangers").client(SPIFFE_ID)),
        ("client certificate refused: it has no SPIFFE or DNS name", world.clients.client()),
        ("client certificate refused: it has 2 URI names", world.clients.client(SPIFFE_ID, SPIFFE_ID + "2")),
    ]
    for line, pair in cases:
        assert line not in world.server.log.read_text(), line
        try:
            over_new_connection(world, pair)
            raise AssertionError(f"it got in: {line}")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        # It is written when the client has been told.
        given_up = time.monotonic() + CALL_SECONDS
        while line not in world.server.log.read_text():
            assert time.monotonic() < given_up, f"the log does not say {line!r}"
        print(f"ok      {line}")


def rotated(world):
    pair, ended = world.clients.client(SPIFFE_ID), threading.Event()
    calls, failed = [threading.Semaphore(0), threading.Semaphore(0)], []

    def load(made, once):
        while not ended.is_set():
            try:
                once()
            except Exception as error:
                failed.append(error)
            made.release()

    kept = world.connect(pair)
    callers = [
        threading.Thread(target=load, args=(calls[0], lambda: call(kept))),
        threading.Thread(target=load, args=(calls[1], lambda: over_new_connection(world, pair))),
    ]
    for caller in callers:
        caller.start()
    try:
        for number in range(1, ROTATIONS + 1):
            for made in calls:
                for _ in range(CALLS_BETWEEN):
                    assert made.acquire(timeout=CALL_SECONDS), "calls came to a standstill"
            world.rotate(number)
            while world.seen() != world.shown.der:
                pass
        for made in calls:
            for _ in range(CALLS_BETWEEN):
                assert made.acquire(timeout=CALL_SECONDS), "calls came to a standstill"
    finally:
        ended.set()
        for caller in callers:
            caller.join()
    kept.close()
    assert not failed, failed
    print(f"ok      {ROTATIONS} rotations under load, and no call failed")


def walk(binary, scratch):
    (scratch / "stubs").mkdir()
    generate(scratch / "stubs")
    world = World(binary, scratch)
    try:
        accepted(world)
        refused(world)
        rotated(world)
        assert world.server.stop(CALL_SECONDS) == 0
    finally:
        world.server.kill()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        walk(sys.argv[1], pathlib.Path(folder))
