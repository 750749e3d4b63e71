"""Orders of a fleet to the demo's central system in another process (tools/fleet/central.py)."""

from __future__ import annotations

import asyncio
import urllib.parse
import urllib.request

_TIMEOUT_S = 10


class RemoteOrders:
    """The `central` of a Fleet. `url`: of the control port."""

    def __init__(self, url: str):
        self.url = url

    async def restart(self, down_s: float) -> None:
        await self._post("restart", down_s=down_s)

    async def trouble(self, share: float) -> None:
        await self._post("trouble", share=share)

    async def _post(self, order, **words):
        url = "%s/%s?%s" % (self.url, order, urllib.parse.urlencode(words))
        request = urllib.request.Request(url, method="POST")
        await asyncio.to_thread(urllib.request.urlopen, request, timeout=_TIMEOUT_S)
