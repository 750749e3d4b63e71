"""Sockets, streams and TLS under one set of names: the two Pythons do this differently.

An `address` is one of the tuples that `socket.getaddrinfo` returns. `streams` is the pair
(reader, writer) of one connection. A `tls` context comes from `net/tls.py`.
"""

from firmware.base import runtime

if runtime.MICROPYTHON:
    from firmware.base.sockets_micropython import (
        abort,
        connect,
        new_socket,
        open_streams,
        read_into,
        tls_context,
        utf8,
    )
else:
    from firmware.base.sockets_cpython import (  # noqa: F401
        abort,
        connect,
        new_socket,
        open_streams,
        read_into,
        tls_context,
        utf8,
    )
