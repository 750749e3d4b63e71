"""Security profiles 0 to 2 (guide page 18; OCPP security white paper A00, A01, A05).

0: no authentication, with or without TLS. 1: Basic authentication, no TLS. 2: Basic over TLS.

A new AuthorizationKey or SecurityProfile may turn out not to work, so the one before is kept in
the store, as "auth-old" and "profile-old", until the central system has answered a
BootNotification on a connection that was made with the new one.
"""

from binascii import unhexlify
from collections import namedtuple

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.net import tls, websocket
from firmware.net.dial import Addresses
from firmware.net.url import basic_authorization
from firmware.net.websocket_handshake import Refused

_OLD_PASSWORD = const("auth-old")
_OLD_PROFILE = const("profile-old")
_TRIES = const(3)  # failed connections after which a new profile is given up
_WITH_PASSWORD = ("1", "2")  # profiles
_NO_CA = const("no CA certificate for TLS: `make provision` installs one, or the word `insecure`")

# A `password` to try: bytes, or None for none. `is_present`: it is the present AuthorizationKey,
# not the one before a change.
Credential = namedtuple("Credential", ("password", "is_present"))


def check_user_name(box_identifier: str, profile: str) -> None:
    """Raises ValueError where nobody could log in with this name, which ends at its first colon
    (RFC 7617)."""
    if profile in _WITH_PASSWORD and ":" in box_identifier:
        raise ValueError("a BoxIdentifier with a colon is no user's name for SecurityProfile 1, 2")


def credentials(config) -> list:
    """The Credentials to try, in this order; the next one follows an HTTP 401. Raises ValueError
    where the profile needs a password and the keys give none."""
    if config.get("SecurityProfile") == "0":
        return [Credential(None, False)]
    check_user_name(config.get("BoxIdentifier"), config.get("SecurityProfile"))
    found = []
    old = config.store.read(_OLD_PASSWORD)
    for text, is_present in (
        (config.get("AuthorizationKey"), True),
        (old.decode() if old else "", False),
    ):
        if 32 <= len(text) <= 40 and len(text) % 2 == 0:
            try:
                found.append(Credential(unhexlify(text), is_present))
            except ValueError:  # not hexadecimal: it is text
                pass
        if text:
            found.append(Credential(text.encode(), is_present))
    if not found:
        raise ValueError("this security profile needs an AuthorizationKey")
    return found


class Security:
    """How the connection is secured.

    `ca`: the CA certificates, DER or PEM, or None. `insecure`: the operator's word that TLS needs
    no CA. `profile`: the SecurityProfile of the connection. `proves_key`: the connection was made
    with the present AuthorizationKey; False where it says nothing about it.
    """

    def __init__(self, station, ca: bytes | None, insecure: bool):
        self.station = station
        self.log = station.log("link")
        self.ca = ca
        self.insecure = insecure
        self.profile = 0
        self.proves_key = False

    def tls_context(self, seen=None):
        """The context of each TLS connection (net/tls.py). It needs a CA, or the operator's word
        that there is none: else raises ValueError."""
        if not self.ca and not self.insecure:
            raise ValueError(_NO_CA)
        return tls.context(self.ca, self.is_unchecked(), seen)

    def is_unchecked(self) -> bool:
        """Whether TLS works without a CA: there is none, and the operator says that it needs
        none."""
        return self.insecure and not self.ca

    async def connect(self, url: str, addresses: Addresses) -> websocket.WebSocket:
        """Opens a WebSocket as the profile asks for. `addresses`: see `websocket.connect`, which
        also tells what this raises."""
        station = self.station
        profile = station.config.int("SecurityProfile")
        if profile == 2 and url[:5].lower() == "ws://":
            url = "wss://" + url[5:]
        context = not_before = None
        if url[:6].lower() == "wss://":
            if self.is_unchecked():
                self.log.warning("TLS without a CA: anybody can pretend to be the central system")
            if not station.clock.is_set:
                not_before = tls.NotBefore()
            context = self.tls_context(not_before)
        box = station.config.get("BoxIdentifier")
        failed = None
        for password, is_present in credentials(station.config):
            headers = ()
            if password is not None:
                headers = (("Authorization", basic_authorization(box, password)),)
            try:
                limit = station.full.longest_message if station.full else websocket.LONGEST
                socket = await websocket.connect(url, headers, context, limit, addresses=addresses)
                self.proves_key = is_present
                self.profile = profile
                return socket
            except tls.TlsFailed as why:
                station.security_event("TLS: " + why.check)
                if why.check == "not yet valid" and not_before:
                    self._take_first_day(not_before.epoch)
                raise
            except Refused as why:
                if why.status != 401:
                    raise
                failed = why
        if password is not None:
            station.security_event("the central system refused the password")
        elif station.config.get("AuthorizationKey"):
            self.log.warning(
                "SecurityProfile 0 sends no password, though an AuthorizationKey is set: 1 or 2 do"
            )
        raise failed

    def _take_first_day(self, epoch):
        """The station has no clock, and a CA that it trusts has signed a certificate that begins
        at `epoch`: so it is at least that late (docs/security.md)."""
        if epoch > runtime.host_epoch():
            self.log.warning(
                "no clock yet: taking the certificate's first day, and dialling again"
            )
            self.station.set_host_clock(epoch)

    def prepare_change(self, name: str, value: str) -> None:
        """To be called before a checked value of one of `keys.SECURITY_KEYS` is stored: keeps the
        value that last worked, so that the station can go back to it. Raises ValueError where the
        new value can't be accepted."""
        if name == "AuthorizationKey":
            self._prepare_key(value)
        else:
            self._prepare_profile(value)

    def check_endpoint(self, name: str, value: str) -> None:
        """To be called before a checked SupervisionUrl or BoxIdentifier is stored. Raises
        ValueError where no connection could be made with it."""
        if name == "BoxIdentifier":
            check_user_name(value, self.station.config.get("SecurityProfile"))
        elif value[:6].lower() == "wss://" and not self.ca and not self.insecure:
            raise ValueError(_NO_CA)

    def _prepare_key(self, value):
        store = self.station.config.store
        before = self.station.config.get("AuthorizationKey")
        if not value:
            raise ValueError("16 to 40 characters")
        if before and before != value:
            if self.proves_key or store.read(_OLD_PASSWORD) is None:
                store.write(_OLD_PASSWORD, before.encode())
            self.proves_key = False

    def _prepare_profile(self, value):
        config = self.station.config
        before = config.get("SecurityProfile")
        if int(value) <= int(before):
            raise ValueError("only a higher profile than %s can be set" % before)
        if not config.get("AuthorizationKey"):
            raise ValueError("it needs a password: set AuthorizationKey first")
        if value == "2" and not self.ca:
            raise ValueError(_NO_CA)
        check_user_name(config.get("BoxIdentifier"), value)
        if config.store.read(_OLD_PROFILE) is None:
            config.store.write(_OLD_PROFILE, before.encode())

    def awaits_proof(self) -> bool:
        """Whether this connection was made with a new password or profile, which the answer to a
        BootNotification will prove to work."""
        store = self.station.config.store
        if store.read(_OLD_PROFILE):
            return True
        return self.proves_key and bool(store.read(_OLD_PASSWORD))

    def proved(self) -> None:
        """The central system has answered a BootNotification: forgets the old password or profile,
        if this connection was made with the new one. Otherwise an attacker could lower the profile
        by cutting the line a few times."""
        store = self.station.config.store
        if self.profile == self.station.config.int("SecurityProfile") and store.read(_OLD_PROFILE):
            store.remove(_OLD_PROFILE)
        if self.proves_key and store.read(_OLD_PASSWORD):
            store.remove(_OLD_PASSWORD)

    def connections_failed(self, attempts: int) -> None:
        """So many attempts in a row have failed: after three, a new profile that never worked is
        given up."""
        config = self.station.config
        before = config.store.read(_OLD_PROFILE)
        if before and attempts >= _TRIES:
            profile = before.decode()
            self.log.error(
                "security profile %s does not connect: back to %s",
                config.get("SecurityProfile"), profile,
            )  # fmt: skip
            config.change("SecurityProfile", profile)
            config.store.remove(_OLD_PROFILE)
            self.station.security_event("SecurityProfile is %s again" % profile)
