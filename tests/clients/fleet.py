"""Two servers on one Postgres, behind the balancing every gRPC client brings along.

usage: fleet.py path/to/tokenward, with a database in TOKENWARD_STORE
"""

import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import grpc

from program import Client, Server, generate

TOKENS = 20
# Round robin over all addresses, each only as long as its own health check says that it serves.
BALANCED = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": "tokenward.v1.VerificationService"},
}


def walk(binary, scratch):
    (scratch / "stubs").mkdir()
    generate(scratch / "stubs")
    token_pb = importlib.import_module("tokenward.v1.token_service_pb2")
    verification_pb = importlib.import_module("tokenward.v1.verification_service_pb2")
    namespace_pb = importlib.import_module("tokenward.v1.namespace_service_pb2")
    store, pepper = os.environ["TOKENWARD_STORE"], scratch / "pepper"
    subprocess.run([binary, "migrate"], check=True)
    subprocess.run([binary, "pepper", "create", pepper], check=True)
    admin = scratch / "admin"
    subprocess.run([binary, "bootstrap", "--admin-file", admin, "--pepper-file", pepper], check=True)
    again = subprocess.run([binary, "bootstrap", "--admin-file", scratch / "other", "--pepper-file", pepper])
    assert again.returncode == 1, "a store has one first admin"
    servers = []
    try:
        for name in ["one", "two"]:
            (scratch / name).mkdir()
            servers.append(Server(binary, scratch / name, "--pepper-file", str(pepper), store=store))
        addresses = ",".join(server.address for server in servers)
        client = Client(
            f"ipv4:{addresses}",
            admin.read_text().strip(),
            ("grpc.service_config", json.dumps(BALANCED)),
            # Without it gRPC names the whole list as the host it calls, which is no name HTTP/2 allows.
            ("grpc.default_authority", "tokenward"),
        )
        namespace = {"slug": "notes", "format": {"prefix": "kn_", "hex": {"length": 40}}}
        client.namespace.CreateNamespace(namespace_pb.CreateNamespaceRequest(namespace=namespace))

        def verdict(secret, **fields):
            request = verification_pb.VerifyRequest(secret=secret, **fields)
            return client.verification.Verify(request, wait_for_ready=True).verdict

        accepted, revoked = verification_pb.VERDICT_ACCEPTED, verification_pb.VERDICT_REVOKED
        for _ in range(TOKENS):
            issued = client.token.Issue(token_pb.IssueRequest(namespace="notes", subject="user:1"))
            assert [verdict(issued.secret) for _ in range(4)] == [accepted] * 4
            answer = client.token.Revoke(token_pb.RevokeRequest(token_id=issued.token.id))
            assert answer.propagation == token_pb.PROPAGATION_ACKNOWLEDGED, answer
            assert [verdict(issued.secret) for _ in range(4)] == [revoked] * 4
            assert verdict(issued.secret, consistency={"at_least": answer.cursor}) == revoked
            assert verdict(issued.secret, consistency={"strong": {}}) == revoked
        print(f"ok      {TOKENS} tokens, revoked at one server, are refused by both")

        issued = client.token.Issue(token_pb.IssueRequest(namespace="notes", subject="user:1"))
        assert [verdict(issued.secret) for _ in range(4)] == [accepted] * 4
        servers[1].kill()
        answer = revoke_until_answered(client, token_pb.RevokeRequest(token_id=issued.token.id))
        assert answer.propagation != token_pb.PROPAGATION_UNSPECIFIED, answer
        assert [verdict(issued.secret) for _ in range(4)] == [revoked] * 4
        print("ok      a server that was killed is waited out, and its callers find the other")
        client.close()
        assert servers[0].stop(10) == 0
    finally:
        for server in servers:
            server.kill()


def revoke_until_answered(client, request):
    """Repeating a Revoke is safe, and its OK means the same."""
    while True:
        try:
            return client.token.Revoke(request, wait_for_ready=True, timeout=5)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        walk(sys.argv[1], pathlib.Path(folder))
