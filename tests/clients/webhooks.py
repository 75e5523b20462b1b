"""Receives webhooks, and verifies them with the published library of the Standard Webhooks specification.

usage: webhooks.py path/to/tokenward
"""

import http.server
import importlib
import json
import pathlib
import queue
import sys
import tempfile
import threading

from program import Client, Server, generate
from standardwebhooks import Webhook, WebhookVerificationError

ARRIVES_SECONDS = 30
ALLOW = ["--webhook-allow", "127.0.0.0/8", "--webhook-allow-http", "--webhook-retry-min", "10ms"]


def receiver():
    """A receiver that refuses the first of all requests, and what it was sent."""
    received = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        refused = False

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            taken, Handler.refused = Handler.refused, True
            received.put((dict(self.headers), body, taken))
            self.send_response(204 if taken else 503)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, received


def refused(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


def walk(binary, scratch):
    for folder in ["stubs", "data"]:
        (scratch / folder).mkdir()
    generate(scratch / "stubs")
    webhook_pb = importlib.import_module("tokenward.v1.webhook_service_pb2")
    namespace_pb = importlib.import_module("tokenward.v1.namespace_service_pb2")
    messages_pb = importlib.import_module("tokenward.v1.namespace_pb2")
    token_pb = importlib.import_module("tokenward.v1.token_service_pb2")
    http_server, received = receiver()
    server = Server(binary, scratch / "data", *ALLOW)
    try:
        client = Client(server.address, server.admin())
        secret_format = messages_pb.SecretFormat(prefix="kn_", hex=messages_pb.HexBody(length=40))
        namespace = messages_pb.Namespace(slug="notes", format=secret_format)
        client.namespace.CreateNamespace(namespace_pb.CreateNamespaceRequest(namespace=namespace))
        url = f"http://127.0.0.1:{http_server.server_address[1]}/hooks"
        created = client.webhook.CreateEndpoint(webhook_pb.CreateEndpointRequest(namespace="notes", url=url))
        rotated = client.webhook.RotateEndpointSecret(
            webhook_pb.RotateEndpointSecretRequest(namespace="notes", endpoint_id=created.endpoint.endpoint_id)
        )
        issued = client.token.Issue(token_pb.IssueRequest(namespace="notes", subject="ada", scopes=["read"]))
        client.token.Revoke(token_pb.RevokeRequest(token_id=issued.token.id, reason="left"))
        kinds, ids = [], []
        while len(kinds) < 3:
            headers, body, taken = received.get(timeout=ARRIVES_SECONDS)
            headers = {name.lower(): value for name, value in headers.items()}
            # While they overlap, both secrets verify, and a third does not.
            for secret in [created.secret, rotated.secret]:
                assert Webhook(secret).verify(body, headers) == json.loads(body)
            for secret, said in [("whsec_" + "A" * 43 + "=", body), (created.secret, body + " ")]:
                assert refused(secret, said, headers), "a signature holds that should not"
            assert issued.secret not in body
            kinds.append((json.loads(body)["type"], taken))
            ids.append(headers["webhook-id"])
        assert kinds == [("token.issued", False), ("token.issued", True), ("token.revoked", True)], kinds
        assert ids[0] == ids[1] != ids[2], ids
        print("ok      webhooks are verified by the published library")
    finally:
        server.kill()
        http_server.shutdown()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        walk(sys.argv[1], pathlib.Path(folder))
