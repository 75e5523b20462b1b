"""A checkpoint, checked with nothing of the server's: the tree of RFC 6962, and the signed note of C2SP."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tokenward.v1 import audit_service_pb2 as audit_pb

from steps import STOP_SECONDS, step

ED25519 = 1


def root(bodies):
    """The Merkle tree hash, as section 2.1 of RFC 6962 defines it."""
    if not bodies:
        return hashlib.sha256().digest()
    if len(bodies) == 1:
        return hashlib.sha256(b"\x00" + bodies[0]).digest()
    left = 1 << (len(bodies) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root(bodies[:left]) + root(bodies[left:])).digest()


def opened(note, key):
    """The lines of a note that this key has signed."""
    name, key_hash, public = key.split("+", 2)
    public = base64.b64decode(public)
    assert public[0] == ED25519 and len(public) == 33, public
    computed = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
    assert computed.hex() == key_hash, key
    text, signatures = note.rsplit("\n\n", 1)
    dash, signer, signature = signatures.rstrip("\n").split(" ")
    assert (dash, signer) == ("\N{EM DASH}", name), signatures
    signature = base64.b64decode(signature)
    assert signature[:4] == computed, signatures
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(signature[4:], (text + "\n").encode())
    return text.split("\n")


@step("a checkpoint is of the whole journal, and signed as others sign")
def checkpoint(world):
    world.start()
    answer = world.client.audit.GetCheckpoint(audit_pb.GetCheckpointRequest())
    origin, size, tree = opened(answer.checkpoint.note, answer.verification_key)
    bodies = [entry.body for entry in world.entries()]
    assert origin == answer.verification_key.split("+")[0], origin
    assert (int(size), base64.b64decode(tree)) == (len(bodies), root(bodies)), answer
    world.client.close()
    assert world.server.stop(STOP_SECONDS) == 0
