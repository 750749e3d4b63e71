"""Stands in for micropython-lib's aiohttp where that isn't installed: HTTP/1.0 by the same names,
with the same habits (it follows redirects, knows no time-outs, reads headers of any size)."""

import asyncio

HttpVersion10 = "HTTP/1.0"


class _Response:
    def __init__(self, status, headers, content):
        self.status = status
        self.headers = headers
        self.content = content


class _Request:
    def __init__(self, session, work):
        self.session = session
        self.work = work

    async def __aenter__(self):
        return await self.work

    async def __aexit__(self, *error):
        await self.session.stream.aclose()


class ClientSession:
    def __init__(self, base_url="", headers={}, version=HttpVersion10):
        self.version = version
        self.headers = {"Connection": "close"}
        self.headers.update(headers)
        self.stream = None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass

    def request(self, method, url, data=None, json=None, ssl=None, params=None, headers={}):
        more = dict(self.headers)
        more.update(headers)
        return _Request(self, self._request(method, url, data, json, ssl, params, more))

    async def _request(self, method, url, data, json, ssl, params, headers):
        hops = 0
        while True:
            stream = await self.request_raw(method, url, data, json, ssl, params, headers)
            status = int((await stream.readline()).split()[1])
            found = {}
            line = await stream.readline()
            while line not in (b"", b"\r\n"):
                name, _, value = line.decode().partition(":")
                found[name] = value.strip()
                if name.lower() == "location":
                    url = value.strip()
                line = await stream.readline()
            if 301 <= status <= 303 and hops < 2:
                hops += 1
                await stream.aclose()
                continue
            self.stream = stream
            return _Response(status, found, stream)

    async def request_raw(self, method, url, data, json, ssl, params, headers):
        scheme, _, host, path = (url + "/").split("/", 3)
        port = 443 if scheme == "https:" else 80
        if ":" in host:
            host, port = host.split(":")
        stream, _ = await asyncio.open_connection(host, int(port), ssl)
        lines = ["%s /%s %s" % (method, path[:-1], self.version)]
        lines += ["%s: %s" % item for item in headers.items()]
        stream.write("\r\n".join(lines + ["", ""]).encode() + (data or b""))
        await stream.drain()
        return stream
