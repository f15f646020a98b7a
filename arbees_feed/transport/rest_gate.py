"""Who may ask a server now: rate limits, its own wish for rest, and circuit breakers.

Limits and rests are by host and hold for every caller; breakers are by endpoint family (host and
first part of the path), so that one broken endpoint does not silence the others.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import structlog
from yarl import URL

from arbees_feed.core.breaker import Breaker, BreakerOptions, BreakerState
from arbees_feed.core.ratelimit import Pace, Rates, TokenBucket
from arbees_feed.errors import AuthenticationRejected, RequestFailed

_log = structlog.get_logger("arbees_feed.rest")

TOO_MANY_REQUESTS = 429
# What says that the server, and not the request, is at fault.
_TROUBLE = frozenset({0, 408, 425, TOO_MANY_REQUESTS})
_SERVER_ERRORS = 500
# Parts that all of an interface's paths begin with tell no family.
_FAMILY = re.compile(r"((?:/[a-z-]*api)?(?:/v\d+)?/[^/]*)")
_FAMILIES_KEPT = 256


class GateOptions(msgspec.Struct, frozen=True):
    """How patient the gate is; times in seconds."""

    rates: Rates = Rates()
    breaker: BreakerOptions = BreakerOptions()
    default_rest_s: float = 1.0
    """The rest after a 429 that does not say how long (Kalshi's); doubled for each in a row."""
    longest_rest_s: float = 30.0
    """Of those that were not told by the server."""
    longest_wait_s: float = 10.0
    """Whoever would have to wait longer is sent away instead, and told when to come again."""


class GateStats:
    """What the gate did; plain numbers by name, read by metrics."""

    def __init__(self) -> None:
        self.waited_s = 0.0
        """Time that callers spent waiting for their turn."""
        self.rests: Counter[str] = Counter()
        """How often a host asked for rest, by host."""
        self.share: dict[str, float] = {}
        """How much of its rate a host is asked at, by host."""
        self.breaker_state: dict[str, BreakerState] = {}
        """0 closed, 1 half-open, 2 open; by endpoint family."""
        self.breaker_opened: Counter[str] = Counter()
        self.breaker_refused: Counter[str] = Counter()
        """Requests that were not made because the breaker was open."""


class Gate:
    """Lets requests through one at a time or sends them away."""

    def __init__(
        self,
        options: GateOptions,
        *,
        sleep: Callable[[float], Awaitable[object]],
        monotonic: Callable[[], float],
    ) -> None:
        self.stats = GateStats()
        self._options = options
        self._rates = options.rates
        self._sleep = sleep
        self._monotonic = monotonic
        self._hosts: dict[str, _Host] = {}
        self._families: dict[str, _Family] = {}

    def set_rates(self, rates: Rates) -> None:
        """Use other rates from now on: the venue has told ours."""
        self._rates = rates
        for host in self._hosts.values():
            host.buckets.clear()

    @asynccontextmanager
    async def turn(self, url: URL) -> AsyncIterator[None]:
        """Make the request within the block; how it ends is what the gate learns from.

        Raises:
            RequestFailed: not now; `retry_after_s` says when.
        """
        family, host = self._family(url), self._host(url.authority)
        self._check(family, family.breaker.wait_s(self._monotonic()))
        await self._wait(host, url)
        self._check(family, family.breaker.enter(self._monotonic()))
        started_s = self._monotonic()
        learnt = False
        try:
            yield
            learnt = True
            self._worked(family, host, started_s)
        except AuthenticationRejected:
            learnt = True
            self._worked(family, host, started_s)
            raise
        except RequestFailed as exc:
            learnt = True
            self._judge(exc, family, host, started_s)
            raise
        finally:
            if not learnt:
                family.breaker.gave_up()
            self._show(family)

    # -- waiting -----------------------------------------------------------------------------------

    async def _wait(self, host: "_Host", url: URL) -> None:
        """Wait for the rate limit and for a rest that the host asked for."""
        limit = self._rates.of(url.path)
        now_s = self._monotonic()
        self._send_away_if_resting(host, now_s, self._options.longest_wait_s)
        bucket = host.buckets.get(limit.path)
        if bucket is None:
            bucket = TokenBucket(limit.rate_per_s, limit.burst, now_s)
            bucket.pause(host.resting_until_s)
            host.buckets[limit.path] = bucket
        wait_s = bucket.take(now_s, 1.0 / host.pace.share)
        if wait_s > 0:
            self.stats.waited_s += wait_s
            await self._sleep(wait_s)
            # Somebody may have been refused meanwhile: that holds for all who wait.
            self._send_away_if_resting(host, now_s + wait_s, 0.0)

    def _send_away_if_resting(self, host: "_Host", now_s: float, patience_s: float) -> None:
        left_s = host.resting_until_s - now_s
        if left_s > patience_s:
            message = f"{host.name} asked for rest, {left_s:.1f} s of it are left"
            raise RequestFailed(message, status=TOO_MANY_REQUESTS, retry_after_s=left_s)

    def _check(self, family: "_Family", wait_s: float) -> None:
        if wait_s > 0:
            self.stats.breaker_refused[family.name] += 1
            message = f"{family.name} keeps failing and is left alone for {wait_s:.1f} s"
            raise RequestFailed(message, status=family.last_status, retry_after_s=wait_s)

    # -- learning ----------------------------------------------------------------------------------

    def _worked(self, family: "_Family", host: "_Host", started_s: float) -> None:
        if family.breaker.state is not BreakerState.CLOSED:
            _log.info("endpoint works again", endpoint=family.name)
        family.breaker.succeeded()
        host.pace.answered(self._monotonic() - started_s)
        self.stats.share[host.name] = host.pace.share

    def _judge(
        self, exc: RequestFailed, family: "_Family", host: "_Host", started_s: float
    ) -> None:
        now_s = self._monotonic()
        if exc.status == TOO_MANY_REQUESTS or exc.retry_after_s is not None:
            self._rest(exc, host, now_s)
        if exc.status not in _TROUBLE and exc.status < _SERVER_ERRORS:
            self._worked(family, host, started_s)
            return
        family.last_status = exc.status
        family.breaker.failed(now_s)
        if family.breaker.opened > self.stats.breaker_opened[family.name]:
            self.stats.breaker_opened[family.name] = family.breaker.opened
            wait_s = round(family.breaker.wait_s(now_s), 1)
            _log.warning("endpoint is left alone", endpoint=family.name, for_s=wait_s)

    def _rest(self, exc: RequestFailed, host: "_Host", now_s: float) -> None:
        """Ask this host nothing for a while, whoever wants to; tell the caller how long."""
        before = host.pace.refused()
        if exc.retry_after_s is None:
            rest_s = self._options.default_rest_s * 2.0 ** min(before, 16)
            exc.retry_after_s = min(rest_s, self._options.longest_rest_s)
        host.resting_until_s = max(host.resting_until_s, now_s + exc.retry_after_s)
        for bucket in host.buckets.values():
            bucket.pause(host.resting_until_s)
        self.stats.rests[host.name] += 1
        self.stats.share[host.name] = host.pace.share

    # -- what is known by host and family ----------------------------------------------------------

    def _host(self, name: str) -> "_Host":
        if name not in self._hosts:
            self._hosts[name] = _Host(name)
        return self._hosts[name]

    def _family(self, url: URL) -> "_Family":
        match = _FAMILY.match(url.path)
        name = url.authority + (match[1] if match else "")
        if name not in self._families:
            if len(self._families) >= _FAMILIES_KEPT:
                name = f"{url.authority}/…"
            self._families.setdefault(name, _Family(name, Breaker(self._options.breaker)))
        return self._families[name]

    def _show(self, family: "_Family") -> None:
        self.stats.breaker_state[family.name] = family.breaker.state


class _Host:
    """What is known of one host."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pace = Pace()
        self.buckets: dict[str, TokenBucket] = {}
        self.resting_until_s = float("-inf")


class _Family:
    """What is known of one endpoint family."""

    def __init__(self, name: str, breaker: Breaker) -> None:
        self.name = name
        self.breaker = breaker
        self.last_status = 0
