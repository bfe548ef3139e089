"""Counts the operator's requests: an HTTP proxy that the operator's kubeconfig points to.

Every connection gets one of its own to the API server, and what comes back is passed on as it comes, so watches stream.
The requests are read only as far as is needed to tell where each begins. A process of its own, so that it does not wait
for whatever the stand-in does.
"""

import asyncio
import contextlib
import json
import re
import ssl
import sys
import time
import urllib.parse

PATH = re.compile(r"^(?:/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/[^/]+)?/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?$")
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Counter:
    def __init__(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        self.server, self.tls = (host, port), tls
        self.requests: list[tuple[float, str]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            upstream_reader, upstream_writer = await asyncio.open_connection(*self.server, ssl=self.tls)
            answers = asyncio.create_task(relay(upstream_reader, writer))
            try:
                await self.pass_requests(reader, upstream_writer)
            finally:
                upstream_writer.close()
                answers.cancel()
        writer.close()

    async def pass_requests(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            if "transfer-encoding" in headers:
                sys.exit("the counter cannot pass on requests with a Transfer-Encoding: give it a way to tell where they end")
            method, target, _ = lines[0].split(" ")
            self.requests.append((time.time(), what(method, target)))
            upstream.write(head + await reader.readexactly(int(headers.get("content-length", 0))))
            await upstream.drain()

    async def tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The requests with their times, for the measuring process, which says how many it knows: `GET /NUMBER`."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            known = int(head.split(b" ")[1].strip(b"/"))
            body = json.dumps(self.requests[known:]).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


def what(method: str, target: str) -> str:
    """Such as `update linkageruns/status`."""
    url = urllib.parse.urlsplit(target)
    found = PATH.match(url.path)
    if not found:
        return f"{method.lower()} {url.path}"
    query = urllib.parse.parse_qs(url.query)
    read = "watch" if query.get("watch", ["false"])[0] in ("true", "1") else "get" if found["name"] else "list"
    return f"{VERBS.get(method, read)} {found['resource']}{'/' + found['sub'] if found['sub'] else ''}"


async def main() -> None:
    host, port, authority = sys.argv[1:]
    counter = Counter(host, int(port), ssl.create_default_context(cafile=authority))
    proxy = await asyncio.start_server(counter.serve, "127.0.0.1", 0)
    tell = await asyncio.start_server(counter.tell, "127.0.0.1", 0)
    print(*(server.sockets[0].getsockname()[1] for server in (proxy, tell)), flush=True)
    await asyncio.gather(proxy.serve_forever(), tell.serve_forever())


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
