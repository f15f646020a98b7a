"""REST requests over aiohttp: deadlines, rate limits, and errors that name decisions.

One fetcher serves all venues; each host has its own token bucket. Nothing is tried twice here:
the supervisor has the only retry loop, and gets the server's own waiting time in the error.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
import msgspec
from yarl import URL

from arbees_feed import __version__
from arbees_feed.core.ratelimit import TokenBucket
from arbees_feed.core.retryafter import parse_retry_after
from arbees_feed.core.venue import Request
from arbees_feed.errors import AuthenticationRejected, RequestFailed

# The venues write texts in the language of the caller; titles must not depend on where we run.
_HEADERS = {
    "User-Agent": f"arbees-feed/{__version__}",
    "Accept": "application/json",
    "Accept-Language": "en",
}
_NOT_FOUND = 404
_TOO_MANY_REQUESTS = 429
# 451: Polymarket refuses some countries; like a bad key, only a person can change that.
_REFUSED = frozenset({401, 403, 451})
_OK = range(200, 300)
_SHOWN_CHARS = 200
_CHUNK_BYTES = 1 << 16

Sign = Callable[[str, str], Mapping[str, str]]
"""(method, path without query) -> headers of a signed request."""


class HttpOptions(msgspec.Struct, frozen=True):
    """Limits of a fetcher; the rate holds for each host."""

    timeout_s: float = 30.0
    rate_per_s: float = 8.0
    burst: float = 8.0
    body_limit_bytes: int = 64 * 1024 * 1024
    default_retry_after_s: float = 1.0
    """How long to wait after a 429 without `Retry-After` (Kalshi sends none)."""


class HttpStats:
    """What was asked and answered; plain numbers, read by metrics."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        """By host and class of the answer: `2xx` … `5xx`, or `error` when there was none."""
        self.bytes_received = 0
        self.waited_s = 0.0
        """Time spent waiting for the rate limit."""


class HttpFetcher:
    """Fetch what a crawl asks for. The session is the caller's to open and close."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        options: HttpOptions = HttpOptions(),  # noqa: B008 (frozen)
        *,
        sign: Sign | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.stats = HttpStats()
        self._session = session
        self._options = options
        self._sign = sign
        self._sleep = sleep
        self._monotonic = monotonic
        self._now = now
        self._buckets: dict[str, TokenBucket] = {}

    async def fetch(self, request: Request) -> bytes | None:
        """Return the body of the answer, or None if there is no such thing (404).

        Raises:
            RequestFailed: refused for now (`status`), or no whole answer came (`status` 0).
            AuthenticationRejected: the server refuses us, or a key is needed and there is none.
        """
        url = URL(request.url).extend_query(request.params)
        headers = self._headers(request, url)
        await self._wait_for_turn(url.authority)
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await self._exchange(request, url, headers)
        except TimeoutError as exc:
            reason = f"no answer in {self._options.timeout_s:g} s"
            raise self._broken(request, url, reason) from exc
        except (aiohttp.ClientError, OSError) as exc:
            reason = f"{type(exc).__name__}: {_without_query(str(exc), url)}"
            raise self._broken(request, url, reason) from exc

    def _headers(self, request: Request, url: URL) -> dict[str, str]:
        headers = dict(_HEADERS)
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.signed:
            if self._sign is None:
                raise AuthenticationRejected(f"{_name(request, url)} needs an API key")
            headers.update(self._sign(request.method, url.raw_path))
        return headers

    async def _wait_for_turn(self, host: str) -> None:
        now_s = self._monotonic()
        bucket = self._buckets.get(host)
        if bucket is None:
            bucket = TokenBucket(self._options.rate_per_s, self._options.burst, now_s)
            self._buckets[host] = bucket
        wait_s = bucket.take(now_s)
        if wait_s > 0:
            self.stats.waited_s += wait_s
            await self._sleep(wait_s)

    async def _exchange(
        self, request: Request, url: URL, headers: Mapping[str, str]
    ) -> bytes | None:
        # A redirect would take a signature elsewhere and pass the rate limit by: it is a failure.
        async with self._session.request(
            request.method, url, data=request.body, headers=headers, allow_redirects=False
        ) as response:
            body = await self._read(request, url, response)
            self.stats.calls[url.authority, f"{response.status // 100}xx"] += 1
            if response.status == _NOT_FOUND:
                return None
            if response.status not in _OK:
                raise self._refusal(request, url, response, body)
            return body

    async def _read(self, request: Request, url: URL, response: aiohttp.ClientResponse) -> bytes:
        limit = self._options.body_limit_bytes
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > limit:
                raise self._broken(request, url, f"the body is over {limit} bytes")
        self.stats.bytes_received += len(body)
        return bytes(body)

    def _refusal(
        self, request: Request, url: URL, response: aiohttp.ClientResponse, body: bytes
    ) -> RequestFailed | AuthenticationRejected:
        said = body[:_SHOWN_CHARS].decode(errors="replace")
        message = f"{_name(request, url)}: HTTP {response.status}: {said!r}"
        if response.status in _REFUSED:
            return AuthenticationRejected(message)
        wait_s = parse_retry_after(response.headers.get("Retry-After"), self._now())
        if wait_s is None and response.status == _TOO_MANY_REQUESTS:
            wait_s = self._options.default_retry_after_s
        return RequestFailed(message, status=response.status, retry_after_s=wait_s)

    def _broken(self, request: Request, url: URL, reason: str) -> RequestFailed:
        self.stats.calls[url.authority, "error"] += 1
        return RequestFailed(f"{_name(request, url)}: {reason}")


def _name(request: Request, url: URL) -> str:
    """Return the request for a message, without its query."""
    return f"{request.method} {url.with_query(None)}"


def _without_query(text: str, url: URL) -> str:
    return text.replace(url.raw_query_string, "…") if url.raw_query_string else text
