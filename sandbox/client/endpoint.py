"""One daemon as the client sees it: its address, how busy it is, what it says."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.client.errors import DaemonError

_SILENCE_SECONDS = 30.0  # a daemon that has nothing to say sends an empty line every ten seconds
_CONNECT_SECONDS = 5.0
_PAUSE_SECONDS = (0.1, 5.0)  # after the first failure of a daemon in a row, and the most


@dataclass(eq=False)
class Daemon:
    url: str
    http: httpx.AsyncClient
    requests: int = 0
    items: int = 0
    failures: int = 0  # in a row
    rest_until: float = 0.0
    max_body_bytes: int = 1 << 62  # of a request; what it says itself, once asked

    def refusal(self, status: int, message: str) -> str:
        """Names the daemon in a message and, if it is about the token, the remedy."""
        if status != 401:
            return f"{self.url}: {status}: {message}"
        given = "authorization" in self.http.headers
        problem = "refuses the token" if given else "asks for a token, and none was given"
        return (
            f"{self.url} {problem}: put one that its token file names into CODERL_TOKEN (in Python: "
            "`sandbox.connect(url, token)`)"
        )

    def rest(self, seconds: float | None = None) -> None:
        """Pause: for as long as it asks, or longer each time that it fails."""
        if seconds is None:
            self.failures += 1
            first, most = _PAUSE_SECONDS
            seconds = min(first * 2 ** (self.failures - 1), most)
        self.rest_until = time.monotonic() + seconds * random.uniform(0.8, 1.2)


def open_daemon(url: str, token: str | None, requests: int) -> Daemon:
    """`http://HOST:PORT`, `https://...` or `unix:///PATH`. Raises `DaemonError` for anything else."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers["Content-Type"] = "application/json"
    limits = httpx.Limits(max_connections=requests + 2, max_keepalive_connections=requests + 2)
    path = url.removeprefix("unix://")
    if path != url:
        transport, base = httpx.AsyncHTTPTransport(uds=path, limits=limits), "http://daemon"
    elif _is_http(url):
        transport, base = httpx.AsyncHTTPTransport(limits=limits), url
    else:
        raise DaemonError(
            f"{url!r} is not the address of a daemon: use http://HOST:PORT, https://HOST:PORT or unix:///PATH"
        )
    http = httpx.AsyncClient(
        base_url=base,
        headers=headers,
        transport=transport,
        timeout=httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
    )
    return Daemon(url, http)


def _is_http(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host) and (parsed.port or 0) < 1 << 16


async def message_of(response: httpx.Response) -> str:
    """Of an answer that is not a success."""
    body = await response.aread()
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")


async def lines_of(response: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON objects of an answer; an empty one for an empty line, which says that the daemon is alive."""
    rest = b""
    async for piece in response.aiter_raw():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            try:
                yield json.loads(line or b"{}")
            except ValueError as error:
                raise httpx.RemoteProtocolError(f"a line that is not JSON: {error}") from None
