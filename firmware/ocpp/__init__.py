"""OCPP 1.6J. This file has the types that a handler returns or raises, and that `Rpc.call`
raises."""

# Message types (OCPP-J 4.1.3).
CALL = 2
CALLRESULT = 3
CALLERROR = 4


class CallError(Exception):
    """An error code of OCPP-J 4.2.3 and a description of at most 255 characters. Raised by a
    handler to refuse a call, and by `Rpc.call` for a CALLERROR or an answer that is unusable."""

    def __init__(self, code: str, description: str = ""):
        super().__init__(code, description)
        self.code = code
        self.description = description

    def __str__(self):
        return "%s: %s" % (self.code, self.description)


class LinkDown(OSError):
    """There is no link, or it was lost before the answer came."""


class Unanswered(Exception):
    """Raised by a handler: the call gets no answer at all (OCPP 4.2, while Rejected)."""


class Answer:
    """The result of a handler that has something to do after its answer. `payload` is the answer;
    `then()`, a plain function, runs when the answer has been written or its link is lost."""

    def __init__(self, payload: dict, then):
        self.payload = payload
        self.then = then
