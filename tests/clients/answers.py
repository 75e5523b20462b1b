"""What came back: refusals decoded, streams read with a bound."""

import queue
import threading

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

WAIT_SECONDS = 10


class Refusal:
    """A gRPC error as a client should read it: by code and reason, never by message."""

    def __init__(self, error):
        self.code = error.code()
        self.reason, self.domain, self.metadata, self.fields = None, None, {}, []
        status = rpc_status.from_call(error)
        assert status is not None, f"no google.rpc.Status in the trailers of {error}"
        for detail in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                self.reason, self.domain, self.metadata = info.reason, info.domain, dict(info.metadata)
            elif detail.Unpack(bad):
                self.fields = [violation.field for violation in bad.field_violations]


def refused(code, reason, call):
    """Insists that `call` fails with this code and reason."""
    try:
        call()
    except grpc.RpcError as error:
        refusal = Refusal(error)
        assert (refusal.code, refusal.reason) == (code, reason), f"{refusal.code} {refusal.reason}: {error}"
        assert refusal.domain == "tokenward.v1", refusal.domain
        return refusal
    raise AssertionError(f"succeeded, where {reason} was due")


class Watch:
    """A stream of revocations, read by a thread, taken one message at a time."""

    def __init__(self, call):
        self.call = call
        self.messages = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for message in self.call:
                self.messages.put(message)
            self.messages.put(None)
        except grpc.RpcError as error:
            self.messages.put(error)

    def next(self):
        """The next message; raises what ended the stream."""
        message = self.messages.get(timeout=WAIT_SECONDS)
        assert message is not None, "the stream ended without an error"
        if isinstance(message, grpc.RpcError):
            raise message
        return message

    def next_event(self):
        """The next message that is not a heartbeat."""
        while (message := self.next()).WhichOneof("event") == "heartbeat":
            pass
        return message

    def close(self):
        self.call.cancel()
