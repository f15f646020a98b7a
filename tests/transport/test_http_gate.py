"""Rate limits, rests and breakers of HttpFetcher, against a real server and a clock of our own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from arbees_feed.core.breaker import BreakerOptions
from arbees_feed.core.ratelimit import PathRate, Rates
from arbees_feed.core.venue import Request
from arbees_feed.errors import AuthenticationRejected, RequestFailed
from arbees_feed.transport.http import HttpFetcher, HttpOptions

FAST = Rates(1e6, 1e6)


class Peer:
    """A server that answers as told, and a clock that moves only while somebody sleeps."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.base = ""
        self.session = session
        self.now_s = 1_000.0
        self.slept: list[float] = []
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, tuple[int, dict[str, str]]] = {}
        self.took_s = 0.0
        self.arrived = asyncio.Event()
        self.go_on: asyncio.Event | None = None

    @property
    def host(self) -> str:
        """Return the host as it is counted."""
        return self.base.removeprefix("http://")

    async def handle(self, request: web.Request) -> web.Response:
        """Answer, and let time pass."""
        self.asked[request.path] += 1
        self.now_s += self.took_s
        if self.go_on is not None:
            self.arrived.set()
            await self.go_on.wait()
        status, headers = self.answers.get(request.path, (200, {}))
        return web.Response(status=status, headers=headers, body=b"{}")

    async def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.slept.append(seconds)
        self.now_s += seconds

    def fetcher(self, **options: object) -> HttpFetcher:
        """Return a fetcher on this clock."""
        return HttpFetcher(
            self.session,
            HttpOptions(**{"rates": FAST, **options}),  # type: ignore[arg-type]
            sleep=self.sleep,
            monotonic=lambda: self.now_s,
        )

    async def fetch(self, fetcher: HttpFetcher, path: str) -> RequestFailed | None:
        """Fetch and return the error, if any."""
        try:
            await fetcher.fetch(Request(self.base + path))
        except RequestFailed as exc:
            return exc
        return None


@asynccontextmanager
async def serving() -> AsyncIterator[Peer]:
    """Serve at every path."""
    async with aiohttp.ClientSession() as session:
        peer = Peer(session)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", peer.handle)
        async with TestServer(app) as server:
            peer.base = str(server.make_url("")).rstrip("/")
            yield peer


async def test_each_path_has_the_rate_that_is_documented_for_it() -> None:
    async with serving() as peer:
        rates = Rates(1e6, 1e6, (PathRate("/markets", 2.0, 1.0),))
        fetcher = peer.fetcher(rates=rates)
        for path in ("/markets", "/events", "/markets/keyset", "/events", "/markets"):
            await peer.fetch(fetcher, path)
        assert peer.slept == [0.5, 0.5]


async def test_a_429_rests_the_host_for_every_caller_and_path() -> None:
    async with serving() as peer:
        fetcher = peer.fetcher()
        peer.answers["/markets"] = (429, {"Retry-After": "4"})
        failure = await peer.fetch(fetcher, "/markets")
        assert failure is not None
        assert failure.retry_after_s == 4.0
        assert await peer.fetch(fetcher, "/events") is None
        assert sum(peer.slept) == pytest.approx(4.0, abs=0.01)
        assert fetcher.stats.gate.rests == {peer.host: 1}


async def test_a_long_rest_is_not_waited_for_but_told() -> None:
    """Whoever asked has better things to do; the supervisor comes again in time."""
    async with serving() as peer:
        fetcher = peer.fetcher()
        peer.answers["/markets"] = (503, {"Retry-After": "300"})
        await peer.fetch(fetcher, "/markets")
        failure = await peer.fetch(fetcher, "/events")
        assert failure is not None
        assert (failure.status, failure.retry_after_s) == (429, 300.0)
        assert (peer.asked["/events"], peer.slept) == (0, [])


async def test_rests_that_were_not_told_grow_while_refusals_go_on() -> None:
    async with serving() as peer:
        fetcher = peer.fetcher(breaker=BreakerOptions(failures=99))
        peer.answers["/x"] = (429, {})
        told = [await peer.fetch(fetcher, "/x") for _ in range(4)]
        assert [failure.retry_after_s for failure in told if failure] == [1.0, 2.0, 4.0, 8.0]
        peer.answers.clear()
        await peer.fetch(fetcher, "/x")
        peer.answers["/x"] = (429, {})
        failure = await peer.fetch(fetcher, "/x")
        assert failure is not None
        assert failure.retry_after_s == 1.0


async def test_those_who_wait_while_another_is_refused_are_sent_away() -> None:
    async with serving() as peer:
        go = asyncio.Event()

        async def sleep(seconds: float) -> None:
            peer.slept.append(seconds)
            await go.wait()

        fetcher = HttpFetcher(
            peer.session,
            HttpOptions(rates=Rates(1.0, 2.0)),
            sleep=sleep,
            monotonic=lambda: peer.now_s,
        )
        await peer.fetch(fetcher, "/x")
        peer.answers["/x"] = (429, {"Retry-After": "60"})
        async with asyncio.TaskGroup() as group:
            refused = group.create_task(peer.fetch(fetcher, "/x"))
            waiting = group.create_task(peer.fetch(fetcher, "/x"))
            await refused
            go.set()
        failure = waiting.result()
        assert failure is not None
        assert failure.retry_after_s == pytest.approx(59.0)
        assert peer.asked["/x"] == 2


async def test_slow_answers_slow_us_down_and_quick_ones_speed_us_up_again() -> None:
    """Polymarket delays what is over its limit before it refuses it."""
    async with serving() as peer:
        fetcher = peer.fetcher(rates=Rates(10.0, 1.0))
        peer.took_s = 3.0
        for _ in range(8):
            await peer.fetch(fetcher, "/x")
        slowest = fetcher.stats.gate.share[peer.host]
        assert slowest < 0.2
        peer.took_s = 0.0
        peer.slept.clear()
        for _ in range(30):
            await peer.fetch(fetcher, "/x")
        assert fetcher.stats.gate.share[peer.host] == 1.0
        assert peer.slept[2] > 2 * peer.slept[-1] == pytest.approx(0.2, abs=0.01)


async def test_what_keeps_failing_is_left_alone_and_tried_again() -> None:
    async with serving() as peer:
        fetcher = peer.fetcher(breaker=BreakerOptions(failures=3, cool_s=10.0))
        family = f"{peer.host}/trade-api/v2/markets"
        peer.answers["/trade-api/v2/markets"] = (500, {})
        for _ in range(3):
            await peer.fetch(fetcher, "/trade-api/v2/markets")
        assert fetcher.stats.gate.breaker_state[family] == 2
        failure = await peer.fetch(fetcher, "/trade-api/v2/markets/KXA")
        assert failure is not None
        assert (failure.status, failure.retry_after_s) == (500, 10.0)
        assert "left alone" in str(failure)
        assert fetcher.stats.gate.breaker_refused == {family: 1}
        assert await peer.fetch(fetcher, "/trade-api/v2/events") is None
        peer.now_s += 10.0
        await peer.fetch(fetcher, "/trade-api/v2/markets")
        assert fetcher.stats.gate.breaker_opened == {family: 2}
        assert peer.asked["/trade-api/v2/markets"] == 4
        peer.now_s += 20.0
        peer.answers.clear()
        assert await peer.fetch(fetcher, "/trade-api/v2/markets") is None
        assert fetcher.stats.gate.breaker_state[family] == 0


async def test_only_one_tries_while_it_is_half_open() -> None:
    async with serving() as peer:
        fetcher = peer.fetcher(breaker=BreakerOptions(failures=1, cool_s=10.0))
        peer.answers["/x"] = (502, {})
        await peer.fetch(fetcher, "/x")
        peer.now_s += 10.0
        peer.answers.clear()
        first, second = await asyncio.gather(peer.fetch(fetcher, "/x"), peer.fetch(fetcher, "/x"))
        assert [first is None, second is None].count(True) == 1
        assert peer.asked["/x"] == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 451])
async def test_our_own_errors_open_no_breaker(status: int) -> None:
    async with serving() as peer:
        fetcher = peer.fetcher(breaker=BreakerOptions(failures=1))
        peer.answers["/x"] = (status, {})
        for _ in range(3):
            try:
                await peer.fetch(fetcher, "/x")
            except AuthenticationRejected:
                continue
        assert peer.asked["/x"] == 3
        assert fetcher.stats.gate.breaker_state == {f"{peer.host}/x": 0}


async def test_a_cancelled_trial_leaves_the_next_one_to_try() -> None:
    async with serving() as peer:
        fetcher = peer.fetcher(breaker=BreakerOptions(failures=1, cool_s=10.0))
        peer.answers["/x"] = (500, {})
        await peer.fetch(fetcher, "/x")
        peer.now_s += 10.0
        peer.go_on = asyncio.Event()
        task = asyncio.ensure_future(peer.fetch(fetcher, "/x"))
        await peer.arrived.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        peer.go_on.set()
        assert fetcher.stats.gate.breaker_state[f"{peer.host}/x"] == 2
        peer.answers.clear()
        assert await peer.fetch(fetcher, "/x") is None


async def test_families_do_not_grow_with_the_ids_in_paths() -> None:
    async with serving() as peer:
        fetcher = peer.fetcher()
        for path in ("/events/1", "/events/2", "/events/keyset", "/v2/trades", "/api/v1/a/b", "/"):
            await peer.fetch(fetcher, path)
        for number in range(400):
            await peer.fetch(fetcher, f"/odd{number}")
        families = {name.removeprefix(peer.host) for name in fetcher.stats.gate.breaker_state}
        assert {"/events", "/v2/trades", "/api/v1/a", "/"} <= families
        assert len(families) <= 257


async def test_other_rates_hold_from_the_moment_they_are_told() -> None:
    async with serving() as peer:
        fetcher = peer.fetcher(rates=Rates(1.0, 1.0))
        await peer.fetch(fetcher, "/x")
        fetcher.set_rates(Rates(10.0, 1.0))
        await peer.fetch(fetcher, "/x")
        await peer.fetch(fetcher, "/x")
        assert peer.slept == [pytest.approx(0.1)]
