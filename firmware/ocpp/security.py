"""Security profiles 0 to 2 (guide page 18; OCPP security white paper A00, A01, A05).

0: no authentication, with or without TLS. 1: Basic authentication, no TLS. 2: Basic over TLS.
Loaded for a connection or a change and dropped again. The store keeps "auth-old" (the password
before a change, until the new one has worked) and "profile-old" (likewise the profile).
"""

from binascii import unhexlify

from firmware.net import Refused, TlsFailed, address, tls, websocket

_TRIES = 3  # failed connections after which a new profile is given up


def passwords(config) -> list:
    """What to try, in this order, the next one only after an HTTP 401; [None] in profile 0."""
    if config.get("SecurityProfile") == "0":
        return [None]
    found = []
    old = config.store.read("auth-old")
    for text in (config.get("AuthorizationKey"), old.decode() if old else ""):
        if 32 <= len(text) <= 40 and len(text) % 2 == 0:
            try:
                found.append(unhexlify(text))
            except ValueError:  # not hexadecimal: it is text
                pass
        if text:
            found.append(text.encode())
    return found or [None]


async def connect(link, url: str) -> websocket.WebSocket:
    """Opens the connection as the profile asks for. Raises what `websocket.connect` raises."""
    config = link.station.config
    profile = config.int("SecurityProfile")
    if profile == 2 and url[:5].lower() == "ws://":
        url = "wss://" + url[5:]
    secure = seen = None
    if url[:6].lower() == "wss://":
        insecure = not link.ca and (profile < 2 or link.insecure)
        if insecure:
            link.log.warning("TLS without a CA: anybody can pretend to be the central system")
        if not link.station.clock.known:
            seen = tls.NotBefore()
        secure = tls.context(link.ca, insecure, seen)
    box = config.get("BoxIdentifier")
    failed = None
    tried = passwords(config)
    for number in range(len(tried)):
        password = tried[number]
        headers = ()
        if password is not None:
            headers = (("Authorization", address.basic(box, password)),)
        try:
            return await websocket.connect(
                url, headers, secure, known=link.known, limit=link.buffer
            )
        except TlsFailed as why:
            link.station.security_event("TLS: " + why.check)
            if why.check == "not yet valid" and seen:
                _later(link, seen.epoch)
            raise
        except Refused as why:
            if why.status != 401:
                raise
            failed = why
    if tried[0] is not None:
        link.station.security_event("the central system refused the password")
    raise failed


def _later(link, epoch):
    """Without a clock: a CA that we trust has signed a certificate that begins at `epoch`, so
    it is at least that late (docs/security.md)."""
    link.log.warning("no clock yet: taking the certificate's first day, and dialling again")
    link.station.set_host_clock(epoch)


def refusal(config, ca, name: str, value: str) -> str:
    """Why a checked value of AuthorizationKey or SecurityProfile can't be taken, "" if it can;
    then what is needed to come back from it is kept."""
    if name == "AuthorizationKey":
        before = config.get(name)
        if before and before != value:
            config.store.write("auth-old", before.encode())
        return ""
    before = config.get(name)
    if int(value) <= int(before):
        return "only a higher profile can be set"
    if not config.get("AuthorizationKey"):
        return "no AuthorizationKey is set"
    if value == "2" and not ca:
        return "no CA certificate is provisioned"
    config.store.write("profile-old", before.encode())
    return ""


def worked(config) -> None:
    """The central system accepted the station: the old ways are void."""
    for name in ("auth-old", "profile-old"):
        if config.store.read(name) is not None:
            config.store.remove(name)


def failed(link, attempts: int) -> None:
    """So many connections failed in a row: a new profile that never worked is given up."""
    config = link.station.config
    before = config.store.read("profile-old")
    if before and attempts >= _TRIES:
        link.log.error("security profile %s does not connect: back to %s",
                       config.get("SecurityProfile"), before.decode())  # fmt: skip
        config.put("SecurityProfile", before.decode())
        config.store.remove("profile-old")
