"""Streams, connections and TLS contexts, in one face for every Python.

What each name does is described in `sockets_cpython.py`; `sockets_micropython.py` has the same.
"""

from firmware.base.runtime import MICROPYTHON

if MICROPYTHON:
    from firmware.base.sockets_micropython import (
        abort,
        connected,
        native_free,
        new_socket,
        readinto,
        streams,
        tls_context,
        utf8,
    )
else:
    from firmware.base.sockets_cpython import (  # noqa: F401
        abort,
        connected,
        native_free,
        new_socket,
        readinto,
        streams,
        tls_context,
        utf8,
    )
