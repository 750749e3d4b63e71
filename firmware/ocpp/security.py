"""Security profiles 0 to 2 (guide page 18; OCPP security white paper A00, A01, A05).

0: no authentication, with or without TLS. 1: Basic authentication, no TLS. 2: Basic over TLS.
Loaded for a connection or a change and dropped again. The store keeps "auth-old" (the password
before a change, until the new one has worked) and "profile-old" (likewise the profile).
"""

from binascii import unhexlify

from firmware.base import runtime
from firmware.net import Refused, TlsFailed, websocket

_TRIES = 3  # failed connections after which a new profile is given up


def passwords(config) -> list:
    """What to try, in this order, the next one only after an HTTP 401: (password, whether it is
    from before a change); [(None, True)] in profile 0."""
    if config.get("SecurityProfile") == "0":
        return [(None, True)]
    if ":" in config.get("BoxIdentifier"):  # RFC 7617
        raise ValueError("a BoxIdentifier with a colon can be nobody's user name")
    found = []
    old = config.store.read("auth-old")
    for text, is_old in ((config.get("AuthorizationKey"), False), (old and old.decode(), True)):
        if text and 32 <= len(text) <= 40 and len(text) % 2 == 0:
            try:
                found.append((unhexlify(text), is_old))
            except ValueError:  # not hexadecimal: it is text
                pass
        if text:
            found.append((text.encode(), is_old))
    if not found:
        raise ValueError("this security profile needs an AuthorizationKey")
    return found


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
        tls = runtime.load("firmware.net.tls")
        if not link.station.clock.known:
            seen = tls.NotBefore()
        secure = tls.context(link.ca, insecure, seen)
        del tls
        runtime.drop("firmware.net.tls")
    box = config.get("BoxIdentifier")
    failed = None
    for password, is_old in passwords(config):
        headers = ()
        if password is not None:
            basic = runtime.once("firmware.net.address", "basic", box, password)
            headers = (("Authorization", basic),)
        try:
            socket = await websocket.connect(url, headers, secure, known=link.known)
            link.by_old = is_old
            link.profile = profile
            return socket
        except TlsFailed as why:
            link.station.security_event("TLS: " + why.check)
            if why.check == "not yet valid" and seen and seen.epoch > runtime.host_epoch():
                _later(link, seen.epoch)
            raise
        except Refused as why:
            if why.status != 401:
                raise
            failed = why
    if password is not None:
        link.station.security_event("the central system refused the password")
    raise failed


def _later(link, epoch):
    """Without a clock: a CA that we trust has signed a certificate that begins at `epoch`, so
    it is at least that late (docs/security.md)."""
    link.log.warning("no clock yet: taking the certificate's first day, and dialling again")
    link.station.set_host_clock(epoch)


def refusal(link, name: str, value: str) -> str:
    """Why a checked value of AuthorizationKey or SecurityProfile can't be taken, "" if it can;
    then what is needed to come back from it is kept: what has worked, not what was set since."""
    config = link.station.config
    before = config.get(name)
    if name == "AuthorizationKey":
        if not value:
            return "16 to 40 characters"
        if before and before != value:
            if not link.by_old or config.store.read("auth-old") is None:
                config.store.write("auth-old", before.encode())
            link.by_old = True
        return ""
    if int(value) <= int(before):
        return "only a higher profile can be set"
    if not config.get("AuthorizationKey"):
        return "no AuthorizationKey is set"
    if value == "2" and not link.ca:
        return "no CA certificate is provisioned"
    if config.store.read("profile-old") is None:
        config.store.write("profile-old", before.encode())
    return ""


def worked(link) -> None:
    """The central system has answered BootNotification: what was before is void, if the connection
    was made with what is now. A profile that could still be lowered would be an invitation to cut
    the line a few times."""
    store = link.station.config.store
    if link.profile == link.station.config.int("SecurityProfile"):
        store.remove("profile-old")
    if not link.by_old:
        store.remove("auth-old")


def failed(link, attempts: int) -> None:
    """So many connections failed in a row: a new profile that never worked is given up."""
    config = link.station.config
    before = config.store.read("profile-old")
    if before and attempts >= _TRIES:
        link.log.error("security profile %s does not connect: back to %s",
                       config.get("SecurityProfile"), before.decode())  # fmt: skip
        config.put("SecurityProfile", before.decode())
        config.store.remove("profile-old")
        link.station.security_event("SecurityProfile is %s again" % before.decode())
