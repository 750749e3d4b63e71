"""The network: websocket, transfers, Wi-Fi. Here is what a connection raises; a time-out, a
refused connection and a name without an address are a plain OSError."""


class Refused(OSError):
    """The server's answer is no WebSocket for us. `status` is HTTP's: 101 when only something
    else was wrong, 0 when it was no HTTP."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


class Closed(OSError):
    """The link is gone. `code` is the peer's or ours (RFC 6455, 7.4): 1005 when the peer gave
    none, 1006 when the connection was lost."""

    def __init__(self, code: int, reason: str):
        super().__init__("closed: %d %s" % (code, reason))
        self.code = code
        self.reason = reason
