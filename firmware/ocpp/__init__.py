"""OCPP 1.6J. Here is what a call of the central system raises."""


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
    """There is no link, or it went before the answer came."""
