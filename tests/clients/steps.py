"""The steps of a token's life, in order. Each stands on those before it."""

import base64
import hashlib
import json
import re
import threading
import uuid

import grpc
from google.protobuf import duration_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from tokenward.v1 import audit_service_pb2 as audit_pb
from tokenward.v1 import namespace_pb2 as namespace_pb
from tokenward.v1 import namespace_service_pb2 as namespace_service_pb
from tokenward.v1 import revocation_service_pb2 as revocation_pb
from tokenward.v1 import token_pb2 as token_messages_pb
from tokenward.v1 import token_service_pb2 as token_pb
from tokenward.v1 import verification_service_pb2 as verification_pb

from answers import Watch, refused
from program import SERVICES, Client, Server

STOP_SECONDS = 10
WRITERS = 8
WRITTEN_BEFORE_KILL = 200
STEPS = []


def step(name):
    def register(function):
        STEPS.append((name, function))
        return function

    return register


class World:
    """What earlier steps left behind."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.secrets, self.shown = [], []
        self.start()

    def start(self):
        self.server = Server(self.binary, self.folder)
        self.client = Client(self.server.address, self.server.admin())

    def issue(self, **fields):
        answer = self.client.token.Issue(token_pb.IssueRequest(**{"namespace": "notes", "subject": "user:1", **fields}))
        self.secrets.append(answer.secret)
        return answer.token, answer.secret

    def verify(self, secret, **fields):
        answer = self.client.verification.Verify(verification_pb.VerifyRequest(secret=secret, **fields))
        return verification_pb.Verdict.Name(answer.verdict).removeprefix("VERDICT_"), answer

    def verdict(self, secret, **fields):
        return self.verify(secret, **fields)[0]

    def watch(self, **fields):
        request = revocation_pb.WatchRevocationsRequest(
            heartbeat_interval=duration_pb2.Duration(nanos=100_000_000), **fields
        )
        return Watch(self.client.revocation.WatchRevocations(request))

    def entries(self):
        """The whole journal, in pages too small to hold it."""
        found, page = [], ""
        while True:
            answer = self.client.audit.ListEntries(audit_pb.ListEntriesRequest(page_size=3, page_token=page))
            found.extend(answer.entries)
            page = answer.next_page_token
            if not page:
                return found


@step("health says SERVING")
def health(world):
    answer = health_pb2_grpc.HealthStub(world.client.channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING, answer


@step("reflection lists every service")
def reflection(world):
    # grpcio-reflection knows the older package only; the messages of the present one are the same.
    call = world.client.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    answer = next(call(iter([reflection_pb2.ServerReflectionRequest(list_services="")])))
    listed = {service.name for service in answer.list_services_response.service}
    wanted = {f"tokenward.v1.{service.capitalize()}Service" for service in SERVICES}
    assert wanted <= listed, wanted - listed


@step("namespaces are created, and prefixes do not overlap")
def namespaces(world):
    def create(slug, **form):
        namespace = namespace_pb.Namespace(slug=slug, format=namespace_pb.SecretFormat(**form))
        return world.client.namespace.CreateNamespace(
            namespace_service_pb.CreateNamespaceRequest(namespace=namespace)
        )

    answer = create("notes", prefix="kn_", hex=namespace_pb.HexBody(length=40))
    assert (answer.namespace.slug, answer.namespace.format.hex.length) == ("notes", 40), answer
    create("native", prefix="tw_", native=namespace_pb.NativeBody())
    refusal = refused(
        grpc.StatusCode.ALREADY_EXISTS,
        "PREFIX_OVERLAPS",
        lambda: create("other", prefix="kn_x_", native=namespace_pb.NativeBody()),
    )
    assert refusal.metadata == {"namespace": "notes"}, refusal.metadata
    listed = world.client.namespace.ListNamespaces(namespace_service_pb.ListNamespacesRequest())
    assert [namespace.slug for namespace in listed.namespaces] == ["native", "notes", "system"], listed


@step("an issued token has the shape of its namespace")
def issue(world):
    world.token, world.secret = world.issue(name="laptop", scopes=["read", "write", "read"], labels={"team": "a"})
    assert re.fullmatch(r"kn_[0-9a-f]{40}", world.secret), "not kn_ and 40 hexadecimal characters"
    assert uuid.UUID(world.token.id).version == 7, world.token.id
    assert list(world.token.scopes) == ["read", "write"], world.token.scopes
    assert world.token.secrets[0].hint == world.secret[:7] + "…", world.token.secrets[0].hint
    world.native, world.native_secret = world.issue(namespace="native")
    assert re.fullmatch(r"tw_[0-9A-Za-z]{42}", world.native_secret), "not tw_ and 42 base62 characters"


@step("a retried Issue makes no second token, and shows the secret of the first")
def retried_issue(world):
    request_id = uuid.uuid4()
    token, secret = world.issue(request_id=str(request_id))
    again = world.issue(request_id=str(request_id))
    assert again[0] == token and again[1] == secret, "another answer"
    refused(
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
        lambda: world.issue(request_id=str(request_id), subject="user:2"),
    )
    # The journal has a digest of the id, as the contract says it is made.
    digest = bytearray(hashlib.sha256(b"tokenward request id v1" + request_id.bytes).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    newest = world.entries()[-1]
    assert newest.token_id == token.id, newest
    assert newest.request_id == str(uuid.UUID(bytes=bytes(digest))), newest.request_id


@step("a good token is accepted, with its facts")
def accepted(world):
    verdict, answer = world.verify(world.secret, namespace="notes", required_scopes=["read"])
    assert verdict == "ACCEPTED", verdict
    facts = answer.token
    assert (facts.id, facts.namespace, facts.subject) == (world.token.id, "notes", "user:1"), facts
    assert (facts.name, dict(facts.labels), facts.secret_version) == ("laptop", {"team": "a"}, 1), facts
    assert answer.revision > 0 and answer.cache_ttl.seconds <= 5, answer
    assert world.verdict(world.native_secret) == "ACCEPTED"


@step("a missing scope is named")
def missing_scope(world):
    verdict, answer = world.verify(world.secret, required_scopes=["admin", "read"])
    assert (verdict, list(answer.missing_scopes)) == ("INSUFFICIENT_SCOPE", ["admin"]), answer


@step("another namespace, garbage and forgeries are refused")
def refusals(world):
    assert world.verdict(world.secret, namespace="native") == "WRONG_NAMESPACE"
    for garbage in ["", "kn_", "x" * 300, world.secret + " ", world.secret.upper(), world.native_secret[:-1] + "!"]:
        verdict, answer = world.verify(garbage)
        assert verdict == "MALFORMED" and not answer.HasField("token"), (garbage, verdict)
    assert world.verdict("kn_" + "0" * 40) == "UNKNOWN"
    flipped = "0" if world.native_secret[-1] != "0" else "1"
    assert world.verdict(world.native_secret[:-1] + flipped) == "MALFORMED"


@step("a watcher hears of a revocation, once")
def watched(world):
    watch = world.watch()
    started = watch.next()
    assert started.WhichOneof("event") == "started" and started.cursor, started
    doomed, secret = world.issue(name="doomed")
    assert world.verdict(secret) == "ACCEPTED"
    world.client.token.Revoke(token_pb.RevokeRequest(token_id=doomed.id, reason="leaked"))
    assert world.verdict(secret) == "REVOKED"
    event = watch.next_event()
    assert event.WhichOneof("event") == "revoked", event
    assert (event.revoked.token_id, event.revoked.namespace) == (doomed.id, "notes"), event
    assert event.revoked.reason == "leaked" and event.revision > started.revision, event
    heartbeat = watch.next()
    assert heartbeat.WhichOneof("event") == "heartbeat" and heartbeat.revision >= event.revision, heartbeat
    watch.close()

    again = world.watch(cursor=started.cursor)
    assert again.next().WhichOneof("event") == "started"
    repeated = again.next_event()
    assert (repeated.revoked.token_id, repeated.cursor) == (doomed.id, event.cursor), repeated
    again.close()

    resumed = world.watch(cursor=event.cursor)
    assert resumed.next().WhichOneof("event") == "started"
    assert resumed.next().WhichOneof("event") == "heartbeat"
    later, _ = world.issue(name="later")
    world.client.token.Revoke(token_pb.RevokeRequest(token_id=later.id))
    assert resumed.next_event().revoked.token_id == later.id
    resumed.close()
    world.shown += [event, repeated]


@step("a watcher of one namespace hears of that one only")
def watched_namespace(world):
    watch = world.watch(namespaces=["native"])
    watch.next()
    for namespace in ["notes", "native"]:
        token, _ = world.issue(namespace=namespace)
        world.client.token.Revoke(token_pb.RevokeRequest(token_id=token.id))
    assert watch.next_event().revoked.token_id == token.id
    watch.close()
    misspelt = world.watch(namespaces=["natvie"])
    refused(grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND", misspelt.next)


@step("a rotation with overlap leaves both secrets good")
def rotated(world):
    watch = world.watch()
    watch.next()
    answer = world.client.token.Rotate(
        token_pb.RotateRequest(token_id=world.token.id, overlap=duration_pb2.Duration(seconds=600))
    )
    world.second = answer.secret
    world.secrets.append(answer.secret)
    assert answer.token.id == world.token.id and list(answer.token.scopes) == ["read", "write"], answer.token
    assert (world.verdict(world.secret), world.verdict(world.second)) == ("ACCEPTED", "ACCEPTED")
    assert world.verify(world.second)[1].token.secret_version == 2
    event = watch.next_event()
    assert (event.secret_retired.token_id, event.secret_retired.version) == (world.token.id, 1), event
    watch.close()


@step("a rotation without overlap retires the old secret at once")
def rotated_at_once(world):
    answer = world.client.token.Rotate(token_pb.RotateRequest(token_id=world.token.id))
    world.secrets.append(answer.secret)
    assert world.verdict(world.second) == "SECRET_RETIRED"
    assert world.verdict(world.secret) == "SECRET_RETIRED"
    assert world.verdict(answer.secret) == "ACCEPTED"
    world.current = answer.secret


@step("a token is changed in place, suspended and resumed")
def updated(world):
    token = {"id": world.token.id, "networks": ["192.0.2.0/24"], "etag": world.token.etag}
    update = token_pb.UpdateRequest(token=token)
    assert list(world.client.token.Update(update).token.networks) == ["192.0.2.0/24"]
    assert world.verdict(world.current) == "ADDRESS_NOT_ALLOWED"
    refused(grpc.StatusCode.ABORTED, "ETAG_MISMATCH", lambda: world.client.token.Update(update))
    emptied = {"token": {"id": world.token.id}, "update_mask": {"paths": ["networks"]}}
    world.client.token.Update(token_pb.UpdateRequest(**emptied))
    world.client.token.Suspend(token_pb.SuspendRequest(token_id=world.token.id))
    assert world.verdict(world.current) == "SUSPENDED"
    world.client.token.Resume(token_pb.ResumeRequest(token_id=world.token.id))
    assert world.verdict(world.current) == "ACCEPTED"


@step("a revoked token is refused, shown as revoked, and revoked once")
def revoked(world):
    def revoke(reason):
        return world.client.token.Revoke(token_pb.RevokeRequest(token_id=world.token.id, reason=reason))

    first = revoke("no longer used")
    again = revoke("another reason")
    assert again.cursor == first.cursor and again.token == first.token, again
    assert world.verdict(world.current) == "REVOKED"
    got = world.client.token.Get(token_pb.GetRequest(token_id=world.token.id)).token
    assert got.state == token_messages_pb.TOKEN_STATE_REVOKED and got.revoke_reason == "no longer used", got
    listed = world.client.token.List(token_pb.ListRequest(namespace="notes", page_size=1000)).tokens
    assert got in listed, "the list does not show what Get shows"
    world.shown += [got, *listed]
    refused(
        grpc.StatusCode.FAILED_PRECONDITION,
        "TOKEN_REVOKED",
        lambda: world.client.token.Rotate(token_pb.RotateRequest(token_id=world.token.id)),
    )


@step("bad requests name the field")
def bad_requests(world):
    def fields(call):
        return refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", call).fields

    one = verification_pb.VerifyRequest(secret="kn_")
    many = verification_pb.BatchVerifyRequest(requests=[one] * 101)
    assert fields(lambda: world.client.verification.BatchVerify(many)) == ["requests"]
    one_bad = verification_pb.BatchVerifyRequest(
        requests=[one, verification_pb.VerifyRequest(secret="kn_", namespace="NOT A SLUG")]
    )
    assert fields(lambda: world.client.verification.BatchVerify(one_bad)) == ["requests[1].namespace"]
    assert fields(lambda: world.issue(subject="")) == ["subject"]
    full = verification_pb.BatchVerifyRequest(requests=[one] * 100)
    assert len(world.client.verification.BatchVerify(full).responses) == 100


@step("what does not exist is not found, by reason")
def not_found(world):
    stranger = "0197a3c0-0000-7000-8000-000000000000"
    refusal = refused(
        grpc.StatusCode.NOT_FOUND,
        "TOKEN_NOT_FOUND",
        lambda: world.client.token.Get(token_pb.GetRequest(token_id=stranger)),
    )
    assert refusal.metadata == {"token_id": stranger}, refusal.metadata
    refused(grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND", lambda: world.issue(namespace="nowhere"))


@step("a cursor of another journal is told so")
def foreign_cursor(world):
    cursor = base64.urlsafe_b64encode(bytes(16) + (1).to_bytes(8, "big")).rstrip(b"=").decode()
    refused(grpc.StatusCode.OUT_OF_RANGE, "CURSOR_EXPIRED", world.watch(cursor=cursor).next)
    refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", world.watch(cursor="not a cursor").next)


@step("the audit chain, computed anew, ends where the server says")
def audit(world):
    entries, link = world.entries(), bytes(32)
    for revision, entry in enumerate(entries, start=1):
        link = hashlib.sha256(link + entry.body).digest()
        assert (entry.revision, entry.link) == (revision, link), f"broken at {revision}"
        body = json.loads(entry.body)
        assert (body["revision"], body["actor"], body["request_id"]) == (revision, entry.actor, entry.request_id), body
    world.head = world.client.audit.GetHead(audit_pb.GetHeadRequest())
    assert (world.head.revision, world.head.link) == (len(entries), link), world.head
    world.shown += entries


@step("a stopped server ends its streams and itself")
def stopped(world):
    watch = world.watch()
    watch.next()
    code = world.server.stop(STOP_SECONDS)
    refused(grpc.StatusCode.UNAVAILABLE, "DRAINING", watch.next_event)
    assert code == 0, f"exit code {code}; its log:\n{world.server.log.read_text()}"
    world.client.close()


@step("a server started again remembers")
def started_again(world):
    world.start()
    assert world.verdict(world.current) == "REVOKED"
    assert world.verdict(world.native_secret) == "ACCEPTED"
    head = world.client.audit.GetHead(audit_pb.GetHeadRequest())
    assert head == world.head, head
    resumed = world.watch(cursor=world.head.cursor)
    assert resumed.next().WhichOneof("event") == "started"
    resumed.close()
    world.client.close()
    assert world.server.stop(STOP_SECONDS) == 0


@step("a server killed while it writes keeps what it acknowledged")
def killed(world):
    world.start()
    acknowledged, counted = [], threading.Semaphore(0)

    def write_until_gone():
        try:
            while True:
                acknowledged.append(world.issue())
                counted.release()
        except grpc.RpcError:
            pass

    writers = [threading.Thread(target=write_until_gone) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(WRITTEN_BEFORE_KILL):
        assert counted.acquire(timeout=STOP_SECONDS), "the server stopped answering before it was killed"
    world.server.kill()
    for writer in writers:
        writer.join()
    world.client.close()

    world.start()
    audit(world)
    ids = {entry.token_id for entry in world.entries()}
    for token, secret in acknowledged:
        assert token.id in ids and world.verdict(secret) == "ACCEPTED", f"{token.id} was acknowledged and is gone"
    world.client.close()
    assert world.server.stop(STOP_SECONDS) == 0


@step("no secret is in an answer, in the store or in the log")
def no_secret(world):
    answers = b"".join(message.SerializeToString() for message in world.shown)
    kept = {path.name: path.read_bytes() for path in world.folder.iterdir() if path.is_file()}
    for secret in world.secrets:
        for name, content in {"an answer": answers, **kept}.items():
            assert secret.encode() not in content, f"a secret is in {name}"
