"""REST requests over aiohttp: deadlines, rate limits, and errors that name decisions.

Who may ask now is decided by the gate (rest_gate.py). Nothing is tried twice here: the supervisor
has the only retry loop, and gets the server's own waiting time in the error. Certificates are
always verified, redirects never followed, and a body is given up as soon as it is unpacked beyond
its limit.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
import msgspec
import structlog
from yarl import URL

from arbees_feed import __version__
from arbees_feed.core.breaker import BreakerOptions
from arbees_feed.core.clock import LIMIT_S, ClockOffset, date_of
from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.retryafter import parse_retry_after
from arbees_feed.core.venue import Request
from arbees_feed.errors import AuthenticationRejected, RequestFailed
from arbees_feed.transport.rest_gate import Gate, GateOptions, GateStats

_log = structlog.get_logger("arbees_feed.rest")

# The venues write texts in the language of the caller; titles must not depend on where we run.
_HEADERS = {
    "User-Agent": f"arbees-feed/{__version__}",
    "Accept": "application/json",
    "Accept-Language": "en",
}
_NOT_FOUND = 404
# 451: Polymarket refuses some countries; like a bad key, only a person can change that.
_REFUSED = frozenset({401, 403, 451})
_OK = range(200, 300)
_SHOWN_CHARS = 200
_CHUNK_BYTES = 1 << 16

Sign = Callable[[str, str], Mapping[str, str]]
"""(method, path without query) -> headers of a signed request."""


class HttpOptions(msgspec.Struct, frozen=True):
    """Limits of a fetcher; rates hold for each host."""

    timeout_s: float = 30.0
    rates: Rates = Rates()
    breaker: BreakerOptions = BreakerOptions()
    body_limit_bytes: int = 64 * 1024 * 1024
    default_retry_after_s: float = 1.0
    """The rest after a first 429 without `Retry-After` (Kalshi sends none)."""
    longest_wait_s: float = 10.0
    """Whoever would have to wait longer for a rest to end fails at once instead."""


class HttpStats:
    """What was asked and answered; plain numbers, read by metrics."""

    def __init__(self, gate: GateStats) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        """By host and class of the answer: `2xx` … `5xx`, or `error` when there was none."""
        self.bytes_received = 0
        self.gate = gate
        """Waiting, rests and breakers."""
        self.clock = ClockOffset()
        """The servers' clock against ours, by the dates of their answers."""

    @property
    def waited_s(self) -> float:
        """Time spent waiting for the rate limit."""
        return self.gate.waited_s


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
        self._gate = Gate(
            GateOptions(
                rates=options.rates,
                breaker=options.breaker,
                default_rest_s=options.default_retry_after_s,
                longest_wait_s=options.longest_wait_s,
            ),
            sleep=sleep,
            monotonic=monotonic,
        )
        self.stats = HttpStats(self._gate.stats)
        self._session = session
        self._options = options
        self._sign = sign
        self._now = now
        self._clock_is_off = False

    def set_rates(self, rates: Rates) -> None:
        """Use other rates from now on: the venue has told ours."""
        self._gate.set_rates(rates)

    async def fetch(self, request: Request) -> bytes | None:
        """Return the body of the answer, or None if there is no such thing (404).

        Raises:
            RequestFailed: refused for now (`status`), no whole answer came (`status` 0), or not
                even asked because the server rests or keeps failing (the status it failed with).
            AuthenticationRejected: the server refuses us, or a key is needed and there is none.
        """
        url = URL(request.url).extend_query(request.params)
        if request.signed and self._sign is None:
            raise AuthenticationRejected(f"{_name(request, url)} needs an API key")
        async with self._gate.turn(url):
            return await self._attempt(request, url)

    async def _attempt(self, request: Request, url: URL) -> bytes | None:
        # Signed after the wait: a signature is good for some seconds only.
        headers = self._headers(request, url)
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
        if request.signed and self._sign is not None:
            headers.update(self._sign(request.method, url.raw_path))
        return headers

    async def _exchange(
        self, request: Request, url: URL, headers: Mapping[str, str]
    ) -> bytes | None:
        sent_s = self._now()
        # A redirect would take a signature elsewhere and pass the rate limit by: it is a failure.
        async with self._session.request(
            request.method, url, data=request.body, headers=headers, allow_redirects=False
        ) as response:
            self._read_clock(response, url, sent_s)
            body = await self._read(request, url, response)
            self.stats.calls[url.authority, f"{response.status // 100}xx"] += 1
            if response.status == _NOT_FOUND:
                return None
            if response.status not in _OK:
                raise self._refusal(request, url, response, body)
            return body

    def _read_clock(self, response: aiohttp.ClientResponse, url: URL, sent_s: float) -> None:
        """Learn how far the clocks are apart, and say it once if that is too far."""
        clock, date_s = self.stats.clock, date_of(response.headers)
        if date_s is None:
            return
        clock.add(date_s, sent_s, self._now())
        is_off = clock.excess_s() > LIMIT_S
        if is_off and not self._clock_is_off:
            _log.warning(
                "clocks differ",
                host=url.authority,
                offset_s=round(clock.offset_s or 0.0, 2),
                uncertainty_s=round(clock.uncertainty_s or 0.0, 2),
            )
        self._clock_is_off = is_off

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
        # After a 429 that does not say, the gate says how long.
        wait_s = parse_retry_after(response.headers.get("Retry-After"), self._now())
        return RequestFailed(message, status=response.status, retry_after_s=wait_s)

    def _broken(self, request: Request, url: URL, reason: str) -> RequestFailed:
        self.stats.calls[url.authority, "error"] += 1
        return RequestFailed(f"{_name(request, url)}: {reason}")


def _name(request: Request, url: URL) -> str:
    """Return the request for a message, without its query."""
    return f"{request.method} {url.with_query(None)}"


def _without_query(text: str, url: URL) -> str:
    return text.replace(url.raw_query_string, "…") if url.raw_query_string else text
