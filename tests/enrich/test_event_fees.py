"""Fees of single events: looked up soon after the news, and written ahead of any listing."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.venue import Crawl, Found, Request
from arbees_feed.core.wire import Names
from arbees_feed.enrich.event_fees import (
    EVENTS_KEPT,
    FAILURES_IN_A_ROW,
    LISTING_AFTER_S,
    LISTINGS_APART_S,
    LOOKS_S,
    EventFees,
    Looks,
    Relists,
)
from arbees_feed.enrich.service import CORRECTED_AT_ONCE, Enricher, EnrichOptions
from arbees_feed.enrich.writer import MetadataWriter
from arbees_feed.errors import (
    AuthenticationRejected,
    ProtocolViolation,
    RedisUnavailable,
    RequestFailed,
)

SOON_S, LATER_S, LAST_S = LOOKS_S


def market(number: int, event: str = "E", **changes: Any) -> MarketMeta:
    """Return the metadata of a market."""
    facts: dict[str, Any] = {"title": f"Market {number}", "status": "open", **changes}
    return MarketMeta(MarketId(f"M{number}"), "kalshi", event_id=event, **facts)


# -- when to look ----------------------------------------------------------------------------------


def taken(looks: Looks) -> list[tuple[float, str | None]]:
    """Return each look with its time, when all are made on time."""
    found = []
    while looks.next_s() < float("inf"):
        found.append((now_s := looks.next_s(), looks.take(now_s)))
    return found


def test_news_are_looked_into_soon_later_and_once_more() -> None:
    looks = Looks((1.0, 5.0, 30.0))
    looks.plan("E", 100.0)
    assert looks.take(100.9) is None
    assert taken(looks) == [(101.0, "E"), (105.0, "E"), (130.0, "E")]
    assert (len(looks), looks.take(1e9)) == (0, None)


def test_a_burst_of_news_is_one() -> None:
    looks = Looks((1.0, 5.0, 30.0))
    for tenths in range(10):
        looks.plan("E", 100.0 + tenths / 10)
    assert [at_s for at_s, _ in taken(looks)] == pytest.approx([101.0, 105.9, 130.9])


def test_news_between_two_looks_begin_anew() -> None:
    looks = Looks((1.0, 5.0, 30.0))
    looks.plan("E", 100.0)
    assert looks.take(101.0) == "E"
    looks.plan("E", 102.0)
    assert taken(looks) == [(103.0, "E"), (107.0, "E"), (132.0, "E")]


def test_who_is_late_looks_once() -> None:
    looks = Looks((1.0, 5.0, 30.0))
    looks.plan("E", 100.0)
    assert looks.take(110.0) == "E"
    assert taken(looks) == [(130.0, "E")]


def test_who_has_waited_longest_is_first_and_a_failed_look_is_last() -> None:
    looks = Looks((1.0,))
    for number, event in enumerate("ABC"):
        looks.plan(event, float(number))
    assert looks.take(10.0) == "A"
    looks.failed("A", 10.0)
    assert [looks.take(10.0) for _ in range(4)] == ["B", "C", "A", None]


def test_a_failed_look_costs_none_of_the_later_ones() -> None:
    looks = Looks((1.0, 5.0))
    looks.plan("E", 100.0)
    assert looks.take(101.0) == "E"
    looks.failed("E", 102.0)
    assert taken(looks) == [(102.0, "E"), (105.0, "E")]


def looked_in_vain(looks: Looks, until_s: float) -> int:
    """Return how many looks are made by then, when each fails after a second."""
    made = 0
    while (now_s := looks.next_s()) < until_s:
        event = looks.take(now_s)
        assert event is not None
        looks.failed(event, now_s + 1.0)
        made += 1
    return made


def test_who_fails_in_a_row_is_looked_at_no_more_often_than_planned() -> None:
    looks = Looks((1.0, 60.0))
    looks.plan("E", 100.0)
    assert looked_in_vain(looks, 160.0) == FAILURES_IN_A_ROW
    assert taken(looks) == [(160.0, "E")]
    looks.failed("E", 161.0)
    assert len(looks) == 0


def test_news_do_not_make_a_row_of_failures_begin_anew() -> None:
    looks = Looks((1.0, 60.0))
    looks.plan("E", 100.0)
    looked_in_vain(looks, 160.0)
    looks.plan("E", 159.0)
    assert looked_in_vain(looks, 219.0) == 1


@pytest.mark.parametrize("failures", [0, FAILURES_IN_A_ROW])
def test_an_answer_or_the_last_look_ends_the_row(failures: int) -> None:
    looks = Looks((1.0,))
    looks.plan("E", 100.0)
    for _ in range(failures or FAILURES_IN_A_ROW - 1):
        assert looks.take(200.0) == "E"
        looks.failed("E", 200.0)
    if not failures:
        looks.answered("E")
        looks.take(200.0)
    assert len(looks) == 0
    looks.plan("E", 300.0)
    assert looked_in_vain(looks, 400.0) == FAILURES_IN_A_ROW


def test_nor_does_a_row_outlast_the_clearing_of_all() -> None:
    looks = Looks((1.0, 60.0))
    looks.plan("E", 100.0)
    looked_in_vain(looks, 160.0)
    looks.clear()
    looks.plan("E", 200.0)
    assert looked_in_vain(looks, 260.0) == FAILURES_IN_A_ROW


# -- when to list everything -----------------------------------------------------------------------


def listed(relists: Relists, until_s: float) -> list[float]:
    """Return when listings are made by then, when each is made on time."""
    found = []
    while (now_s := relists.next_s()) < until_s:
        assert relists.take(now_s)
        found.append(now_s)
    return found


def test_a_listing_that_is_planned_is_not_put_off_by_news() -> None:
    relists = Relists()
    assert [relists.want(float(s)) for s in range(10)] == [True] + [False] * 9
    assert not relists.take(LISTING_AFTER_S - 0.1)
    assert listed(relists, LISTING_AFTER_S + 1.0) == [LISTING_AFTER_S]


def test_news_that_a_listing_may_have_missed_get_another_one() -> None:
    relists = Relists()
    relists.want(0.0)
    relists.want(1.0)
    again_s = LISTING_AFTER_S + LISTINGS_APART_S
    assert listed(relists, 1e6) == [LISTING_AFTER_S, again_s]


def test_news_that_a_listing_must_have_told_get_no_other() -> None:
    relists = Relists()
    relists.want(0.0)
    assert listed(relists, 1e6) == [LISTING_AFTER_S]


def test_a_flood_lists_once_in_a_while() -> None:
    relists = Relists()
    made: list[float] = []
    for second in range(1000):
        relists.want(float(second))
        made += listed(relists, second + 1.0)
    assert made == [LISTING_AFTER_S + LISTINGS_APART_S * n for n in range(4)]


def test_after_a_quiet_time_news_need_not_wait_longer() -> None:
    relists = Relists()
    relists.want(0.0)
    listed(relists, 1000.0)
    relists.want(1000.0)
    assert listed(relists, 1e6) == [1000.0 + LISTING_AFTER_S]


# -- looking ---------------------------------------------------------------------------------------


class Taker:
    """What the service hands on."""

    def __init__(self, clock: Any) -> None:
        self.corrected: list[list[str]] = []
        self.events: list[str] = []
        self.relisted_s: list[float] = []
        self._clock = clock

    def correct(self, found: Found) -> None:
        self.corrected.append([meta.market_id for meta in found.markets])
        self.events += [meta.event_id for meta in found.events]

    def relist(self) -> None:
        self.relisted_s.append(self._clock.s)


@pytest.fixture
def taker(clock: Any) -> Taker:
    """Return somebody who takes note."""
    return Taker(clock)


@pytest.fixture
def fees(venue: Any, clock: Any, taker: Taker) -> EventFees:
    """Return the service, over a venue with two events."""
    venue.add(market(1), market(2), market(3, "F"))
    return EventFees(venue, venue, correct=taker.correct, relist=taker.relist, timing=clock.timing)


async def test_without_news_nothing_is_asked(fees: EventFees, venue: Any, clock: Any) -> None:
    await clock.run(fees.run, rounds=3)
    assert venue.requests == []


async def test_the_markets_of_the_event_are_handed_on(
    fees: EventFees, venue: Any, clock: Any, taker: Taker
) -> None:
    started_s = clock.s
    for _ in range(20):
        fees.changed("E")
    await clock.run(fees.run, rounds=1)
    assert (venue.requests, clock.s - started_s) == (["event/E"], SOON_S)
    assert taker.corrected == [["M1", "M2"]]
    await clock.run(fees.run, rounds=2)
    assert (venue.requests, clock.s - started_s) == (["event/E"] * 3, LAST_S)
    await clock.run(fees.run, rounds=3)
    assert venue.requests == ["event/E"] * 3


async def test_so_is_the_event(fees: EventFees, venue: Any, clock: Any, taker: Taker) -> None:
    """Who asks for it later may take it for known: nobody else may hand it on."""
    venue.events["E"] = EventMeta("E", "kalshi", market_ids=(MarketId("M1"), MarketId("M2")))
    fees.changed("E")
    await clock.run(fees.run, rounds=1)
    assert taker.events == ["E"]


async def test_each_event_is_looked_at(fees: EventFees, venue: Any, clock: Any) -> None:
    fees.changed("F")
    fees.changed("E")
    await clock.run(fees.run, rounds=1)
    assert venue.requests == ["event/F", "event/E"]


@pytest.mark.parametrize("name", ["", "A:last", "A/B", "x" * 200])
async def test_what_is_no_name_is_not_asked_for(
    fees: EventFees, venue: Any, clock: Any, name: str
) -> None:
    fees.changed(name)
    await clock.run(fees.run, rounds=3)
    assert venue.requests == []


async def test_a_request_that_failed_is_made_again_after_the_others(
    fees: EventFees, venue: Any, clock: Any, taker: Taker
) -> None:
    venue.failures["event/E"] = [RequestFailed("busy", status=429, retry_after_s=7.0)]
    fees.changed("E")
    fees.changed("F")
    with pytest.raises(RequestFailed) as caught:
        await clock.run(fees.run, rounds=1)
    assert caught.value.retry_after_s == 7.0
    clock.s += 0.1
    await clock.run(fees.run)
    assert venue.requests == ["event/E", "event/F", "event/E"]
    assert taker.corrected == [["M3"], ["M1", "M2"]]


@pytest.mark.parametrize(
    "failure", [RequestFailed("broken", status=500), AuthenticationRejected("401")]
)
async def test_one_event_that_always_fails_is_asked_for_a_few_times(
    fees: EventFees, venue: Any, clock: Any, failure: Exception
) -> None:
    venue.failures["event/E"] = [failure] * 100
    fees.changed("E")
    times = FAILURES_IN_A_ROW + len(LOOKS_S) - 1
    for _ in range(times):
        with pytest.raises(type(failure)):
            await clock.run(fees.run, rounds=1)
    await clock.run(fees.run, rounds=3)
    assert venue.requests == ["event/E"] * times


async def test_being_refused_for_long_does_not_lose_the_news(
    fees: EventFees, venue: Any, clock: Any, taker: Taker
) -> None:
    venue.failures["event/E"] = [AuthenticationRejected("401")]
    fees.changed("E")
    with pytest.raises(AuthenticationRejected):
        await clock.run(fees.run, rounds=1)
    clock.s += 10 * LAST_S
    await clock.run(fees.run)
    assert taker.corrected == [["M1", "M2"]]


@pytest.mark.parametrize("failure", [RequestFailed("no", status=400), ProtocolViolation("HTML")])
async def test_what_would_fail_again_waits_for_the_next_look(
    fees: EventFees, venue: Any, clock: Any, failure: Exception
) -> None:
    if isinstance(failure, ProtocolViolation):
        venue.violations = [failure]
    else:
        venue.failures["event/E"] = [failure]
    started_s = clock.s
    fees.changed("E")
    with pytest.raises(type(failure)):
        await clock.run(fees.run, rounds=1)
    await clock.run(fees.run)
    assert venue.requests == ["event/E"]
    await clock.run(fees.run, rounds=1)
    assert (venue.requests, clock.s - started_s) == (["event/E"] * 2, LATER_S)


async def test_of_too_many_a_full_listing_tells_once_no_cache_is_in_its_way(
    fees: EventFees, venue: Any, clock: Any, taker: Taker
) -> None:
    started_s = clock.s
    with capture_logs() as logs:
        for number in range(EVENTS_KEPT + 1):
            fees.changed(f"E{number}")
    assert [line["event"] for line in logs] == [
        "fees of many events have changed: a full listing follows"
    ]
    await clock.run(fees.run, rounds=5)
    assert venue.requests == []
    assert taker.relisted_s == [started_s + LISTING_AFTER_S]


async def test_a_flood_of_news_puts_no_listing_off(
    fees: EventFees, clock: Any, taker: Taker
) -> None:
    started_s = clock.s
    with capture_logs() as logs:
        for _ in range(10):
            for number in range(EVENTS_KEPT + 1):
                fees.changed(f"E{number}")
            clock.s += 1.0
    await clock.run(fees.run, rounds=5)
    assert taker.relisted_s == [
        started_s + LISTING_AFTER_S,
        started_s + LISTING_AFTER_S + LISTINGS_APART_S,
    ]
    assert len(logs) == 1


async def test_as_many_as_may_wait_are_all_looked_at(
    fees: EventFees, venue: Any, clock: Any, taker: Taker
) -> None:
    for number in range(EVENTS_KEPT):
        fees.changed(f"E{number}")
    await clock.run(fees.run, rounds=1)
    assert len(set(venue.requests)) == EVENTS_KEPT
    assert taker.relisted_s == []


# -- writing ---------------------------------------------------------------------------------------


OPTIONS = EnrichOptions(refresh_s=60.0, lookup_every_s=60.0, full_s=1e9, forget_after_s=120.0)


async def _at_once() -> None:
    pass


@pytest.fixture
def shown() -> list[MarketId]:
    """Return the markets that the stream has shown."""
    return []


@pytest.fixture
def enricher(venue: Any, redis: Redis, clock: Any, shown: list[MarketId]) -> Enricher:
    """Return an enricher of a venue that lists two pages."""
    venue.pages = [Found(markets=[market(1)]), Found(markets=[market(2)])]
    return Enricher(
        venue,
        venue,
        MetadataWriter(redis, Names()),
        first_price=_at_once,
        unknown=lambda: shown,
        options=OPTIONS,
        timing=clock.timing,
    )


async def fee_type(redis: Redis, number: int = 1) -> str | None:
    """Return what Redis has of a market's fees."""
    found: str | None = await redis.hget(f"market:M{number}:meta", "fee_type")
    return found


async def test_what_was_corrected_is_written_without_a_listing(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    await clock.run(enricher.run)
    started_s = clock.s
    enricher.correct(Found(markets=[market(1, extras={"fee_type": "flat"})]))
    await clock.run(enricher.run)
    assert await fee_type(redis) == "flat"
    enricher.correct(Found(markets=[market(1)]))
    await clock.run(enricher.run)
    assert await fee_type(redis) is None
    assert (len(venue.listings), clock.s) == (1, started_s)


async def test_it_does_not_wait_for_the_end_of_a_listing(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    fetch = venue.fetch
    seen: list[str | None] = []

    async def while_listing(request: Any) -> bytes | None:
        if request.url == "page/0":
            enricher.correct(Found(markets=[market(7, extras={"fee_type": "flat"})]))
        if request.url == "page/1":
            seen.append(await fee_type(redis, 7))
        body: bytes | None = await fetch(request)
        return body

    venue.fetch = while_listing
    await clock.run(enricher.run)
    assert seen == ["flat"]


async def test_nor_for_the_end_of_a_round_of_lookups(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any, shown: list[MarketId]
) -> None:
    await clock.run(enricher.run)
    seen: list[str | None] = []
    fetch = venue.fetch

    def of_two_requests(_: Sequence[MarketId]) -> Crawl:
        for number in (8, 9):
            yield Request(f"event/{number}")
            yield Found(markets=[market(number)])

    async def while_looking_up(request: Any) -> bytes | None:
        if request.url == "event/8":
            enricher.correct(Found(markets=[market(7, extras={"fee_type": "flat"})]))
        if request.url == "event/9":
            seen.append(await fee_type(redis, 7))
        body: bytes | None = await fetch(request)
        return body

    venue.lookup, venue.fetch = of_two_requests, while_looking_up
    shown.append(MarketId("M8"))
    await clock.run(enricher.run)
    assert seen == ["flat"]


async def test_what_a_listing_found_before_does_not_undo_it(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    """A page that could not be written at first is older than the correction."""
    await redis.set("market:M1:meta", "in the way")
    with pytest.raises(RedisUnavailable):
        await clock.run(enricher.run)
    enricher.correct(Found(markets=[market(1, extras={"fee_type": "flat"})]))
    await redis.delete("market:M1:meta")
    await clock.run(enricher.run)
    assert await fee_type(redis) == "flat"
    assert len(venue.listings) == 1


async def test_the_rest_of_its_page_does_not_undo_it_either(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    """A page that is handed over in parts is as old at its end, however long Redis was away."""

    def one_page(_: int | None) -> Crawl:
        yield Request("page/0")
        for number in (1, 2, 3):
            yield Found(markets=[market(number)])

    venue.listing = one_page
    await redis.set("market:M1:meta", "in the way")
    with pytest.raises(RedisUnavailable):
        await clock.run(enricher.run)
    enricher.correct(Found(markets=[market(2, extras={"fee_type": "flat"})]))
    await redis.delete("market:M1:meta")
    await clock.run(enricher.run)
    assert await fee_type(redis, 2) == "flat"
    assert await redis.hget("market:M3:meta", "title") == "Market 3"


async def test_a_later_page_is_newer(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    fetch = venue.fetch

    seen: list[str | None] = []

    async def noted(request: Any) -> bytes | None:
        seen.append(await fee_type(redis, 2))
        body: bytes | None = await fetch(request)
        return body

    def corrected_meanwhile(_: int | None) -> Crawl:
        yield Request("page/0")
        yield Found(markets=[market(1)])
        enricher.correct(Found(markets=[market(2, extras={"fee_type": "flat"})]))
        yield Found(markets=[market(3)])
        yield Request("page/1")
        yield Found(markets=[market(2, extras={"fee_type": "newer"})])

    venue.listing, venue.fetch = corrected_meanwhile, noted
    await clock.run(enricher.run)
    assert (seen, await fee_type(redis, 2)) == ([None, "flat"], "newer")


async def test_what_redis_has_lost_is_written_whatever_was_corrected(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    """The first page of one listing is not that of another."""
    venue.pages = [Found(markets=[market(1)])]
    await clock.run(enricher.run)
    enricher.correct(Found(markets=[market(1, extras={"fee_type": "flat"})]))
    await clock.run(enricher.run)
    await redis.flushall()
    enricher.forget_written()
    await clock.run(enricher.run)
    assert await redis.hget("market:M1:meta", "title") == "Market 1"


async def test_events_are_written_too(enricher: Enricher, redis: Redis, clock: Any) -> None:
    await clock.run(enricher.run)
    event = EventMeta("E", "kalshi", title="Combo", market_ids=(MarketId("M7"),))
    enricher.correct(Found(markets=[market(7)]))
    enricher.correct(Found(events=[event]))
    await clock.run(enricher.run)
    assert await redis.hget("event:E:meta", "title") == "Combo"


async def test_others_have_their_turn_while_many_are_written(
    enricher: Enricher, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await clock.run(enricher.run)
    write = MetadataWriter.write
    others_turns = 0
    written: list[tuple[int, int]] = []

    async def counted(writer: MetadataWriter, found: Found) -> None:
        written.append((len(found.markets), others_turns))
        await write(writer, found)

    async def others() -> None:
        nonlocal others_turns
        while True:
            others_turns += 1
            await asyncio.sleep(0)

    many = [market(number) for number in range(3 * CORRECTED_AT_ONCE + 1)]
    enricher.correct(Found(markets=many))
    await clock.run(enricher.run)
    enricher.correct(Found(markets=many))
    monkeypatch.setattr(MetadataWriter, "write", counted)
    other = asyncio.ensure_future(others())
    await clock.run(enricher.run)
    other.cancel()
    corrected = [(markets, turn) for markets, turn in written if markets]
    assert [markets for markets, _ in corrected] == [CORRECTED_AT_ONCE] * 3 + [1]
    assert len({turn for _, turn in corrected}) == len(corrected)


async def test_what_is_given_up_while_many_are_written_is_not_written(
    enricher: Enricher, redis: Redis, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await clock.run(enricher.run)
    write = MetadataWriter.write

    async def given_up_meanwhile(writer: MetadataWriter, found: Found) -> None:
        await write(writer, found)
        enricher.remove([last.market_id])

    *_, last = many = [market(number) for number in range(CORRECTED_AT_ONCE + 1)]
    enricher.correct(Found(markets=many))
    monkeypatch.setattr(MetadataWriter, "write", given_up_meanwhile)
    await clock.run(enricher.run)
    assert not await redis.exists(f"market:{last.market_id}:meta")


async def test_what_was_written_of_many_is_not_written_again_after_an_outage(
    enricher: Enricher, redis: Redis, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await clock.run(enricher.run)
    many = [market(number) for number in range(100, 101 + CORRECTED_AT_ONCE)]
    enricher.correct(Found(markets=many))
    key = f"market:{many[-1].market_id}:meta"
    await redis.set(key, "in the way")
    with pytest.raises(RedisUnavailable):
        await clock.run(enricher.run)
    await redis.delete(key)
    write = MetadataWriter.write
    written: list[str] = []

    async def noted(writer: MetadataWriter, found: Found) -> None:
        written.extend(meta.market_id for meta in found.markets)
        await write(writer, found)

    monkeypatch.setattr(MetadataWriter, "write", noted)
    await clock.run(enricher.run)
    assert written == [many[-1].market_id]


async def test_a_correction_that_could_not_be_written_is_not_lost(
    enricher: Enricher, redis: Redis, clock: Any
) -> None:
    await clock.run(enricher.run)
    await redis.delete("market:M1:meta")
    await redis.set("market:M1:meta", "in the way")
    enricher.correct(Found(markets=[market(1, extras={"fee_type": "flat"})]))
    with pytest.raises(RedisUnavailable):
        await clock.run(enricher.run)
    await redis.delete("market:M1:meta")
    await clock.run(enricher.run)
    assert await fee_type(redis) == "flat"


async def test_a_correction_that_comes_while_another_is_written_is_written_too(
    enricher: Enricher, redis: Redis, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await clock.run(enricher.run)
    write = MetadataWriter.write

    async def news_meanwhile(writer: MetadataWriter, found: Found) -> None:
        await write(writer, found)
        if found.markets:
            monkeypatch.undo()
            enricher.correct(Found(markets=[market(1, extras={"fee_type": "newer"})]))

    monkeypatch.setattr(MetadataWriter, "write", news_meanwhile)
    enricher.correct(Found(markets=[market(1, extras={"fee_type": "flat"})]))
    await clock.run(enricher.run)
    assert await fee_type(redis) == "newer"


async def test_what_is_gone_does_not_come_back_by_it(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    venue.pages = [Found(markets=[market(1, status="settled")])]
    await clock.run(enricher.run, rounds=4)
    assert not await redis.exists("market:M1:meta")
    enricher.correct(Found(markets=[market(1, status="settled", extras={"fee_type": "flat"})]))
    await clock.run(enricher.run)
    assert not await redis.exists("market:M1:meta")


async def test_what_is_given_up_is_not_written(
    enricher: Enricher, redis: Redis, clock: Any
) -> None:
    await clock.run(enricher.run)
    enricher.correct(Found(markets=[market(1, extras={"fee_type": "flat"})]))
    enricher.remove([MarketId("M1")])
    await clock.run(enricher.run)
    assert not await redis.exists("market:M1:meta")


async def test_everything_is_listed_anew_at_once(
    enricher: Enricher, venue: Any, clock: Any
) -> None:
    await clock.run(enricher.run)
    started_s = clock.s
    enricher.relist()
    await clock.run(enricher.run)
    assert (venue.listings, clock.s) == ([None, None], started_s)
    await clock.run(enricher.run, rounds=1)
    assert [since is None for since in venue.listings] == [True, True, False]


async def test_a_listing_that_has_begun_is_no_answer(
    enricher: Enricher, venue: Any, clock: Any
) -> None:
    fetch = venue.fetch

    async def too_late(request: Any) -> bytes | None:
        if request.url == "page/1" and len(venue.listings) == 1:
            enricher.relist()
        body: bytes | None = await fetch(request)
        return body

    venue.fetch = too_late
    started_s = clock.s
    await clock.run(enricher.run)
    assert (venue.listings, clock.s) == ([None, None], started_s)
