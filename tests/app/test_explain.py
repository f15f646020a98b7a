"""Why a price is what it is: a venue's parts as they are, without sockets."""

import asyncio
import json
import time
from typing import Any, cast

import msgspec
import pytest
from support.outlets import FakeClock
from support.probing import session_over

from arbees_feed.app.explain import LEVELS, Explainer, explain, unknown
from arbees_feed.app.explanation import Explanation
from arbees_feed.app.plan import plans
from arbees_feed.app.venue import Venue
from arbees_feed.config import load_settings
from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    BookTold,
    Event,
    Levels,
    LevelSet,
    TopOfBook,
    TradingChanged,
)
from arbees_feed.core.model import ONE_CONTRACT, MarketId, Side
from arbees_feed.core.venue import Credentials
from arbees_feed.core.wire import Names
from arbees_feed.feed.link import Relief
from arbees_feed.publish.outlet import Outlet
from arbees_feed.publish.service import Publisher

S = 1_000_000_000
NOW_NS = 1_795_219_200 * S
M = MarketId("KX-1")
BIDS: Levels = [(4_800 - 100 * n, (3 + n) * ONE_CONTRACT) for n in range(8)]
ASKS: Levels = [(5_200, 7 * ONE_CONTRACT), (5_300, 250_000)]
KALSHI = {"kalshi.api_key_id": "id", "kalshi.private_key_pem": "never read here"}


def no_pipe(_owner: object) -> Any:
    raise AssertionError("nothing is written")


def venues_of(**overrides: str) -> list[Venue]:
    """Return both venues, with nothing behind them."""
    given = {**KALSHI, **{key.replace("__", "."): value for key, value in overrides.items()}}
    settings = load_settings(None, given, environ={})
    publisher = Publisher(
        no_pipe, Names(), session=1, call_soon=asyncio.get_running_loop().call_soon
    )
    nothing: Any = None
    return [
        Venue(plan, settings, publisher, nothing, nothing, lambda *_: None)
        for plan in plans(settings, Credentials("id", lambda _: b""))
    ]


class Stage:
    """Kalshi with one open connection; what it says, and the time, are the test's."""

    def __init__(self, **overrides: str) -> None:
        self.venues = venues_of(**overrides)
        self.venue = self.venues[0]
        self.clock = FakeClock(time.monotonic())
        self.now_ns = NOW_NS
        self.answers = False
        """Whether the venue answers probes, with the book that it sent."""
        self.link = self.venue.feed.links[0]
        self.session, self.decoder = session_over(self.venue.table, self.clock)
        self.link.session, self.link.opened_s = self.session, self.clock.now_s - 90.0

    def apply(self, *events: Event) -> None:
        self.venue.table.apply(events, self.session, self.now_ns)

    def follows(self, market: MarketId = M, *, by: str = "universe") -> None:
        self.venue.feed.want([market], by=by)
        self.apply(BookSnapshot(market, BIDS, ASKS, self.now_ns - S // 2))

    def passes(self, seconds: float) -> None:
        """Let time pass as the feed does it: tenths of a second, each with a look at the books."""
        for _ in range(round(seconds * 10)):
            self.clock.now_s += 0.1
            self.now_ns += S // 10
            self.venue.table.check(self.clock.now_s, self.now_ns)
            self.venue.feed.prober.step(self.clock.now_s, self.now_ns)
            if self.answers:
                asked, self.decoder.probes = self.decoder.probes, []
                self.apply(*(BookTold(m, BIDS, ASKS, 0, True) for some in asked for m in some))

    def page(self, market: MarketId = M) -> Explanation:
        page = explain(self.venue, market, self.clock.now_s, self.now_ns)
        assert page is not None
        return page

    def said(self) -> str:
        return " ".join(self.page().because)


@pytest.fixture
async def stage() -> Stage:
    return Stage()


def ticker(bid: int = 4_700, ask: int = 4_900, ts_ns: int = NOW_NS) -> TopOfBook:
    return TopOfBook(M, bid, 3 * ONE_CONTRACT, ask, 4 * ONE_CONTRACT, None, ts_ns)


async def test_a_price_from_a_book_that_is_in_step(stage: Stage) -> None:
    stage.follows()
    stage.passes(3.0)
    page = stage.page()
    assert (page.market, page.venue, page.state, page.phase) == (M, "kalshi", "live", "open")
    assert page.wanted_by == ["universe"]
    assert page.shown is not None
    assert (page.shown.status, page.shown.source) == ("live", "book")
    assert (page.shown.bid, page.shown.bid_size) == (0.48, 3.0)
    assert (page.shown.ask, page.shown.ask_size) == (0.52, 7.0)
    assert page.shown.ago_s == pytest.approx(3.0)
    assert page.event_age_s == pytest.approx(3.5)
    assert page.book is not None
    assert (page.book.bid_levels, page.book.ask_levels) == (8, 2)
    assert len(page.book.bids) == LEVELS
    assert page.book.bids[:2] == [(0.48, 3.0), (0.47, 4.0)]
    assert page.book.asks == [(0.52, 7.0), (0.53, 0.25)]
    assert page.connection is not None
    assert page.connection.name == "kalshi-0"
    assert page.connection.url.startswith("wss://")
    assert page.connection.open_s == pytest.approx(93.0, abs=0.1)
    assert page.because[0] == "Readers have a live price: the top of our own full book."


async def test_what_was_published_is_told_apart_from_what_waits_for_redis(stage: Stage) -> None:
    stage.follows()
    assert stage.page().shown is not None
    assert "waits for Redis" in stage.said()
    market = stage.venue.table.get(M)
    assert market is not None
    assert isinstance(market.outlet, Outlet)
    market.outlet.sent, market.outlet.seq = market.quote, 27
    shown = stage.page().shown
    assert shown is not None
    assert (shown.seq, shown.waiting) == (27, False)
    assert "waits for Redis" not in stage.said()


async def test_a_price_from_a_ticker(stage: Stage) -> None:
    stage.apply(ticker())
    page = stage.page()
    assert page.ticker is not None
    assert (page.ticker.bid, page.ticker.connection) == (0.47, "kalshi-0")
    assert (page.book, page.liveliness, page.wanted_by) == (None, None, [])
    assert page.connection is not None
    assert page.because[0].endswith("that the venue's ticker tells.")
    assert page.because[1] == "Its full book is not followed."


async def test_a_price_that_rest_told(stage: Stage) -> None:
    stage.venue.table.refresh([ticker()], stage.session, NOW_NS)
    page = stage.page()
    assert page.shown is not None
    assert page.shown.source == "rest"
    assert "REST" in page.because[0]


async def test_a_doubt_keeps_newer_prices_back_until_readers_are_told(stage: Stage) -> None:
    stage.follows()
    stage.apply(LevelSet(M, Side.BID, 5_200, ONE_CONTRACT, NOW_NS))
    page = stage.page()
    assert (page.state, page.doubt) == ("suspect", "crossed")
    assert page.shown is not None
    assert page.shown.status == "live"
    assert "because of a doubt: crossed." in stage.said()
    assert "What readers have was good" in stage.said()
    stage.passes(1.5)
    page = stage.page()
    assert page.state == "resyncing"
    assert page.because[0] == "Readers were told `stale`, without a quote: do not act on it."
    assert "What readers have was good" not in stage.said()


async def test_a_book_that_is_lost_says_why(stage: Stage) -> None:
    stage.follows()
    stage.apply(BookLost(M, "gap: 7 after 5"))
    page = stage.page()
    assert page.state == "resyncing"
    assert page.book is not None
    assert (page.book.state, page.book.reason) == ("lost", "gap: 7 after 5")
    assert "gap: 7 after 5" in stage.said()


async def test_markets_that_have_ended_or_are_paused(stage: Stage) -> None:
    stage.follows()
    stage.apply(TradingChanged(M, "paused", NOW_NS))
    assert "paused trading" in stage.page().because[0]
    stage.apply(TradingChanged(M, "closed", NOW_NS))
    page = stage.page()
    assert page.state == "closed"
    assert page.because[0] == "The market has ended: there is no price any more."


async def test_a_quiet_market_that_the_venue_vouches_for(stage: Stage) -> None:
    stage.follows()
    stage.answers = True
    stage.passes(70.0)
    page = stage.page()
    assert page.state == "quiet"
    assert page.liveliness is not None
    assert page.liveliness.silent_s == pytest.approx(70.0, abs=2.1)
    assert page.liveliness.asked_s is not None
    assert page.liveliness.proved_s is not None
    assert page.liveliness.proved_s <= page.liveliness.asked_s < 70.0
    assert "last agreed with our book" in stage.said()
    assert "It has not moved for" in stage.said()


async def test_a_checksum_that_does_not_come_out(stage: Stage) -> None:
    stage.follows()
    stage.decoder.right[M] = False
    stage.decoder.stats.hashes_wrong = 1
    stage.passes(3.0)
    page = stage.page()
    assert page.liveliness is not None
    assert (page.state, page.liveliness.checksum) == ("suspect", "wrong")
    assert page.liveliness.checksum_wrong_s is not None
    assert page.liveliness.suspicion == "its checksum does not come out"
    assert "It is suspected: its checksum does not come out." in stage.said()
    stage.decoder.right[M], stage.decoder.stats.hashes_right = True, 1
    stage.apply(LevelSet(M, Side.BID, 1_000, ONE_CONTRACT, NOW_NS))
    stage.passes(2.1)
    page = stage.page()
    assert page.liveliness is not None
    assert (page.liveliness.checksum, page.liveliness.suspicion) == ("holds", "")


async def test_only_its_own_mismatch_is_told(stage: Stage) -> None:
    stage.follows()
    stage.passes(2.1)
    stats = stage.venue.feed.prober.stats
    for difference, told in ((f"{M}: bid 0.48: 1 here", True), (f"{M}0: bid 0.48", False)):
        stats.last_difference = difference
        live = stage.page().liveliness
        assert live is not None
        assert live.last_mismatch == (difference if told else "")


async def test_a_connection_that_is_suspected_and_one_that_takes_over(stage: Stage) -> None:
    stage.follows()
    stage.session.pulse.suspicion = "no answer to 1 questions about KX-1"
    stage.session.age.grown_ms = 3_000.0
    connection = stage.page().connection
    assert connection is not None
    assert (connection.liveness, connection.age_growth_s) == ("suspect", 3.0)
    assert "Its connection kalshi-0 is suspected" in stage.said()
    assert "Frames queue up" in stage.said()
    other, _ = session_over(stage.venue.table, stage.clock)
    handover = stage.venue.table.handovers.begin(stage.session, other)
    stage.link._relief = Relief(other, handover)
    stage.venue.table.apply([BookSnapshot(M, BIDS, ASKS, NOW_NS)], other, NOW_NS)
    assert stage.venue.table.handovers.advance(handover, stage.clock.now_s, NOW_NS)
    connection = stage.page().connection
    assert connection is not None
    assert (connection.name, connection.open_s, connection.liveness) == ("kalshi-0", None, "live")


async def test_without_a_connection_nothing_carries_it(stage: Stage) -> None:
    stage.follows()
    stage.link.session = None
    stage.venue.table.lose(stage.session, "closed: 1006")
    page = stage.page()
    assert page.connection is None
    assert "No open connection carries it." in page.because
    assert "The venue as a whole is stale" in stage.said()


async def test_clocks_that_differ_are_told(stage: Stage) -> None:
    stage.follows()
    assert stage.page().clock is None
    for _ in range(3):
        stage.venue.http.stats.clock.add(1_000.0, 980.0, 980.2)
    page = stage.page()
    assert page.clock is not None
    assert page.clock.offset_s == pytest.approx(20.4, abs=0.01)
    assert page.clock.uncertainty_s == pytest.approx(0.6, abs=0.01)
    assert "clock is +20.4 s off ours" in page.because[-1]


async def test_texts_of_others_cannot_act_and_all_of_it_is_json(stage: Stage) -> None:
    stage.follows()
    stage.apply(BookLost(M, "\x1b[2J\nfake line\u202e" + "x" * 5_000))
    stage.venue.feed.reason = "\x1b]0;title\x07"
    said = json.dumps(msgspec.to_builtins(stage.page()), ensure_ascii=False)
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "\\n" not in said
    assert "fake line" in said
    assert len(said) < 5_000
    assert msgspec.convert(json.loads(said), Explanation, strict=False).market == M


async def test_explaining_changes_nothing(stage: Stage) -> None:
    stage.follows()
    stage.passes(3.0)
    market = stage.venue.table.get(M)
    assert market is not None
    assert market.watch is not None
    checked: list[MarketId] = []
    stage.decoder.verify = lambda market, _book: checked.append(market)  # type: ignore[method-assign,assignment,func-returns-value]
    names = list(type(market.watch).__slots__)
    before = [getattr(market.watch, name) for name in names]
    assert stage.page() == stage.page()
    assert [getattr(market.watch, name) for name in names] == before
    assert checked == []


async def test_what_was_decided_is_told_newest_last(stage: Stage) -> None:
    stage.follows()
    decisions = stage.venue.flights.decisions
    for second in range(40, 2, -1):
        decisions.note(NOW_NS - second * S, M, "older")
    decisions.note(NOW_NS - 2 * S, M, "gap", "7 after 5\x1b[2J")
    decisions.note(NOW_NS - S, MarketId("KX-3"), "of another market")
    decisions.note(NOW_NS, M, "resync")
    explainer = Explainer(
        stage.venues,
        Names(),
        monotonic=stage.clock,
        now_ns=lambda: stage.now_ns,
    )
    told = explainer.explain(M)
    assert told.found
    history = cast(list[dict[str, object]], told.page["history"])
    assert len(history) == 20
    assert history[-2:] == [
        {"ago_s": 2.0, "what": "gap", "detail": "7 after 5[2J"},
        {"ago_s": 0.0, "what": "resync", "detail": ""},
    ]
    assert not explainer.explain("KX-2").found


# -- markets that are not known --------------------------------------------------------------------


def reason_for(stage: Stage, market: str, prefix: str = "") -> str:
    return unknown(stage.venues, MarketId(market), Names(prefix))


async def test_an_unknown_market_can_be_leased(stage: Stage) -> None:
    reason = reason_for(stage, "KX-2", "test:")
    assert reason.startswith("KX-2 is not followed at kalshi or has ended: ")
    assert "kalshi.markets" in reason
    assert reason.endswith("redis-cli ZADD test:feed:watch:kalshi $(($(date +%s)+3600)) KX-2")


async def test_what_has_the_form_of_several_venues_is_told_for_each(stage: Stage) -> None:
    reason = reason_for(stage, "123")
    assert "not followed at kalshi" in reason
    assert "not followed at polymarket" in reason


async def test_an_id_of_no_venue(stage: Stage) -> None:
    reason = reason_for(stage, "0xabc")
    assert reason.startswith("0xabc is no market id of kalshi or polymarket")


async def test_the_filter_that_keeps_a_market_out_is_named() -> None:
    stage = Stage(kalshi__exclude_prefixes="KXMVE", kalshi__include_series="KXNFLGAME")
    assert "kalshi.exclude_prefixes has KXMVE" in reason_for(stage, "KXMVE-1")
    assert "kalshi.include_series" in reason_for(stage, "KXBTC-1")
    assert "or has ended" in reason_for(stage, "KXNFLGAME-1")
    stage = Stage(kalshi__min_volume="10")
    assert "kalshi.min_volume" in reason_for(stage, "KX-2")


async def test_a_market_that_is_wanted_and_has_not_come(stage: Stage) -> None:
    stage.venue.feed.want([MarketId("KX-2")], by="demand")
    reason = reason_for(stage, "KX-2")
    assert reason.startswith("KX-2 is wanted (by demand), but no book of it has come yet")
    assert "kalshi is connecting" in reason


async def test_without_leases_none_is_advised() -> None:
    reason = reason_for(Stage(demand__enabled="false"), "KX-2")
    assert "ZADD" not in reason
    assert "demand.enabled is false" in reason


async def test_who_wants_a_market_is_told(stage: Stage) -> None:
    stage.follows(by="demand")
    stage.follows(by="universe")
    assert stage.page().wanted_by == ["demand", "universe"]
    stage.venue.feed.drop([M], by="demand")
    assert stage.page().wanted_by == ["universe"]
