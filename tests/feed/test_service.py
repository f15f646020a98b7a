"""A venue's feed: which market is on which connection, and what a loss of one means."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from support.connection import ScriptedConnection, Ticks, idle
from support.kalshi import encoded as kalshi
from support.kalshi import snapshot, subscribed, ticker
from support.outlets import FakeClock, Outlets, table_over
from support.polymarket import YES, book, market_resolved
from support.polymarket import encoded as polymarket

from arbees_feed.core.events import Refused
from arbees_feed.core.model import MarketId, VenueState
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.errors import ConnectionLost, FeedError
from arbees_feed.feed import service
from arbees_feed.feed.market import MarketsConfig
from arbees_feed.feed.service import Carriage, Runnable, VenueFeed
from arbees_feed.venues import VENUES

M = [MarketId(f"KX-{number}") for number in range(6)]
TOKEN = MarketId(YES)


class Stage:
    """A feed whose connections are scripted, and fail without being dialled again by themselves."""

    def __init__(
        self, venue: str = "kalshi", *, limit: int = 2, options: DecoderOptions | None = None
    ) -> None:
        self.clock = FakeClock()
        self.outlets = Outlets()
        self.table = table_over(self.outlets, self.clock, MarketsConfig(stale_grace_s=0.0))
        self.connections: list[ScriptedConnection] = []
        self.failures: list[FeedError] = []
        self.ticks = Ticks(lambda _: None)
        self.feed = VenueFeed(
            VENUES[venue],
            Carriage(options or DecoderOptions(), limit),
            self.table,
            self._dial,
            self._keep_running,
            sleep=self.ticks.sleep,
        )

    @asynccontextmanager
    async def _dial(self) -> AsyncIterator[ScriptedConnection]:
        connection = ScriptedConnection(asyncio.get_running_loop().time)
        self.connections.append(connection)
        yield connection

    async def _keep_running(self, link: Runnable) -> None:
        while True:
            try:
                await link.run()
            except FeedError as error:
                self.failures.append(error)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.feed.run())
        try:
            await idle()
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def statuses(self, market: MarketId) -> list[str]:
        return [quote.status.value for quote in self.outlets[market].quotes]

    def named(self, connection: int) -> list[str]:
        """Return the markets that the first frame on a connection names."""
        frame = msgspec.json.decode(self.connections[connection].sent[0])
        return (frame.get("params") or {"market_tickers": frame.get("assets_ids")})[
            "market_tickers"
        ]


def placed(feed: VenueFeed) -> list[list[MarketId]]:
    return [list(link.markets) for link in feed.links]


def test_markets_are_spread_over_as_few_connections_as_the_limit_allows() -> None:
    feed = Stage().feed
    feed.want(M[:3])
    assert placed(feed) == [M[:2], M[2:3]]
    feed.want(M[:5])
    assert placed(feed) == [M[:2], M[2:4], M[4:5]]


def test_a_place_that_is_free_again_is_filled_first() -> None:
    feed = Stage().feed
    feed.want(M[:4])
    feed.drop(M[:1])
    feed.want(M[4:])
    assert placed(feed) == [[M[1], M[4]], [M[2], M[3]], [M[5]]]


def test_what_comes_once_for_the_venue_comes_on_the_first_connection_only() -> None:
    stage = Stage(options=DecoderOptions(tickers=True, lifecycle=True, trades=True))
    assert len(stage.feed.links) == 1
    stage.feed.want(M)
    options = [link._options for link in stage.feed.links]
    assert options[0].tickers
    assert options[1:] == [DecoderOptions()] * 2


async def test_every_connection_subscribes_its_own_markets() -> None:
    stage = Stage()
    stage.feed.want(M[:3])
    async with stage.running():
        assert [stage.named(0), stage.named(1)] == [M[:2], M[2:3]]
        stage.feed.want([M[4], M[5]])
        await idle()
        assert len(stage.connections) == 3
        assert stage.named(2) == [M[5]]
        assert stage.feed.stats.connects == 3


async def test_a_loss_makes_its_markets_stale_and_the_next_connection_mends_them() -> None:
    stage = Stage()
    stage.feed.want(M[:3])
    async with stage.running():
        for connection, market in zip(stage.connections, (M[0], M[2]), strict=True):
            connection.feed(kalshi(subscribed()), kalshi(snapshot(1, market, {"0.4800": "1.00"})))
        await idle()
        stage.connections[0].end("gone")
        await idle()
        stage.clock.now_s = 10**9
        await stage.ticks.tick()
        assert (stage.statuses(M[0]), stage.statuses(M[2])) == (["live", "stale"], ["live"])
        again = stage.connections[2]
        assert stage.named(2) == M[:2]
        again.feed(kalshi(subscribed()), kalshi(snapshot(1, M[0], {"0.4800": "1.00"})))
        await idle()
        assert stage.statuses(M[0]) == ["live", "stale", "live"]
    assert isinstance(stage.failures[0], ConnectionLost)
    assert stage.feed.stats.last_loss.startswith("kalshi-")


async def test_an_ended_market_is_not_subscribed_again() -> None:
    stage = Stage("polymarket")
    stage.feed.want([TOKEN, MarketId("5")])
    async with stage.running():
        stage.connections[0].feed(polymarket([book({"0.48": "1"}, {})]))
        stage.connections[0].feed(polymarket(market_resolved(TOKEN)))
        await idle()
        await stage.ticks.tick()
        assert placed(stage.feed) == [[MarketId("5")]]
    assert stage.statuses(TOKEN) == ["live", "closed"]


async def test_the_connection_after_all_was_resolved_does_not_ask_for_it_again() -> None:
    """Even of tokens that never had a book, and even when it follows at once."""
    stage = Stage("polymarket")
    stage.feed.want([TOKEN, MarketId("5")])
    async with stage.running():
        stage.connections[0].feed(polymarket([book({"0.48": "1"}, {})]))
        stage.connections[0].end("all subscribed assets resolved")
        await idle()
        assert len(stage.connections) == 2
        assert stage.named(1) == []
    assert placed(stage.feed) == [[]]


async def test_a_dropped_market_ends_stale() -> None:
    stage = Stage()
    stage.feed.want(M[:1])
    async with stage.running():
        connection = stage.connections[0]
        connection.feed(kalshi(subscribed()), kalshi(snapshot(1, M[0], {"0.4800": "1.00"})))
        await idle()
        stage.feed.drop(M[:1])
        assert stage.statuses(M[0]) == ["live", "stale"]


async def test_the_state_of_a_venue() -> None:
    stage = Stage(options=DecoderOptions(tickers=True))
    stage.feed.want(M[:3])
    assert stage.feed.state() == (VenueState.CONNECTING, "starting")
    async with stage.running():
        assert stage.feed.state()[0] is VenueState.CONNECTING
        stage.connections[0].feed(kalshi(ticker(M[0])))
        await idle()
        assert stage.feed.state() == (VenueState.LIVE, "")
        stage.table.stop(1)
        assert stage.feed.state() == (VenueState.STALE, "no live price")
    assert stage.feed.state()[0] is VenueState.STALE


async def test_what_decoders_counted_outlives_them() -> None:
    stage = Stage()
    stage.feed.want(M[:1])
    async with stage.running():
        stage.connections[0].feed(kalshi(subscribed()), kalshi(snapshot(1, M[0])))
        await idle()
        stage.connections[0].end("gone")
        await idle()
        stage.connections[1].feed(kalshi(subscribed()))
        await idle()
        assert stage.feed.decoded().frames == 3
        assert stage.feed.stats.losses == 1
    assert stage.feed.decoded().frames == 3


@pytest.mark.parametrize("venue", VENUES)
def test_no_connection_is_opened_for_nothing(venue: str) -> None:
    assert Stage(venue).feed.links == []


async def test_a_feed_that_fails_by_itself_leaves_no_price_live_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until it is started again, perhaps in half a minute, nobody would look at doubts."""
    stage = Stage()
    stage.feed.want(M[:1])
    running = asyncio.create_task(stage.feed.run())
    await idle()
    stage.connections[0].feed(kalshi(subscribed()), kalshi(snapshot(1, M[0], {"0.4800": "1.00"})))
    await idle()
    assert stage.statuses(M[0]) == ["live"]

    def fail(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(stage.feed.prober, "step", fail)
    tick = asyncio.create_task(stage.ticks.tick())
    await asyncio.wait([running])
    tick.cancel()  # no further one begins
    assert isinstance(running.exception(), ExceptionGroup)
    assert stage.statuses(M[0]) == ["live", "stale"]


def refuse(stage: Stage, number: int, *markets: MarketId) -> None:
    """Let the venue turn markets away on one connection."""
    session = stage.feed.links[number].session
    assert session is not None
    stage.feed.refused(Refused(markets), session)


async def test_what_one_connection_does_not_take_goes_to_the_next() -> None:
    stage = Stage(options=DecoderOptions(tickers=True))
    stage.feed.want(M[:2])
    async with stage.running():
        refuse(stage, 0, *M[:2])
        await idle()
        assert placed(stage.feed) == [[], M[:2]]


async def test_a_venue_that_takes_no_more_at_all_does_not_cost_one_connection_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account may have a limit too: then what one refuses, all others refuse as well."""
    stage = Stage()
    stage.feed.want(M[:2])
    async with stage.running():
        refuse(stage, 0, *M[:2])
        await idle()
        for _ in range(5):
            await refuse_all(stage)
        assert len(stage.connections) == 2
        stage.feed.want(M[:4])  # discovery finds these again, and two more
        await idle()
        stage.feed.drop(M[1:2])
        assert placed(stage.feed) == [[], []]
        assert await asked_again(stage, monkeypatch) == [[M[0], M[2]], []]
        await refuse_all(stage)
        assert await asked_again(stage, monkeypatch) == [[M[3], M[0]], []], "others have a turn"
        assert await asked_again(stage, monkeypatch) == [[M[3], M[0]], [M[2]]]
        assert len(stage.connections) == 2, "what is open already was asked first"
        stage.feed.want(M[4:])
        assert placed(stage.feed) == [[M[3], M[0]], [M[2], M[4]]]
        assert await asked_again(stage, monkeypatch) == [[M[3], M[0]], [M[2], M[4]], [M[5]]]


async def asked_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[list[MarketId]]:
    """Let the time pass after which the venue is asked again; return what is where then."""
    later_s = service.time.monotonic() + service.TRY_AGAIN_S + 1.0
    monkeypatch.setattr(service.time, "monotonic", lambda: later_s)
    await stage.ticks.tick()
    return placed(stage.feed)


async def refuse_all(stage: Stage) -> None:
    """Let the venue turn away whatever is asked for."""
    for number, markets in enumerate(placed(stage.feed)):
        if markets:
            refuse(stage, number, *markets)
    await idle()
