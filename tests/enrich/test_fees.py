"""Fees that are told apart from the markets: asked for beside the listings, never in their way."""

from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.core.venue import Found
from arbees_feed.core.wire import Names
from arbees_feed.enrich.fees import PATIENCE_S, REFRESH_S, FeeWatch
from arbees_feed.enrich.service import Enricher, EnrichOptions
from arbees_feed.enrich.writer import MetadataWriter
from arbees_feed.errors import AuthenticationRejected, ProtocolViolation, RequestFailed

OPTIONS = EnrichOptions(
    refresh_s=60.0, lookup_every_s=60.0, full_s=1e9, recheck_after_s=60.0, forget_after_s=120.0
)


def market(number: int, **extras: str) -> MarketMeta:
    """Return the metadata of a market."""
    return MarketMeta(MarketId(f"M{number}"), "kalshi", title=f"Market {number}", extras=extras)


async def _at_once() -> None:
    pass


def enricher_of(venue: Any, redis: Redis, clock: Any, shown: list[MarketId]) -> Enricher:
    """Return an enricher that is shown these markets by the stream."""
    return Enricher(
        venue,
        venue,
        MetadataWriter(redis, Names()),
        first_price=_at_once,
        unknown=lambda: shown,
        options=OPTIONS,
        timing=clock.timing,
    )


async def test_fees_are_asked_for_at_once_and_then_each_hour(venue: Any, clock: Any) -> None:
    venue.fees_told = [Found(), Found(outdated=True)]
    told: list[float] = []
    watch = FeeWatch(venue, venue, lambda: told.append(clock.s), timing=clock.timing)
    started_s = clock.s
    await clock.run(watch.run, rounds=2)
    assert venue.requests == ["fees"] * 3
    assert told == [started_s, started_s + REFRESH_S, started_s + 2 * REFRESH_S]


async def test_unchanged_fees_are_nothing_to_act_on(venue: Any, clock: Any) -> None:
    venue.fees_told = [Found()]
    told: list[None] = []
    await clock.run(FeeWatch(venue, venue, lambda: told.append(None), timing=clock.timing).run)
    assert told == []


async def test_it_ends_where_there_is_nothing_to_ask(venue: Any, clock: Any) -> None:
    await FeeWatch(venue, venue, lambda: None, timing=clock.timing).run()
    assert venue.requests == []


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [
        (RequestFailed("away"), PATIENCE_S),
        (RequestFailed("away", retry_after_s=1.0), PATIENCE_S),
        (RequestFailed("away", retry_after_s=90.0), 90.0),
    ],
)
async def test_a_failure_is_raised_and_asked_again_not_too_soon(
    venue: Any, clock: Any, error: RequestFailed, wait_s: float
) -> None:
    venue.fees_told = [Found()]
    venue.failures["fees"] = [error]
    watch = FeeWatch(venue, venue, lambda: None, timing=clock.timing)
    with pytest.raises(RequestFailed) as caught:
        await clock.run(watch.run)
    assert caught.value.retry_after_s == wait_s
    await clock.run(watch.run)
    assert venue.requests == ["fees"] * 2


async def test_an_answer_that_cannot_be_read_is_not_asked_for_again_at_once(
    venue: Any, clock: Any
) -> None:
    venue.fees_told = [Found()]
    venue.violations = [ProtocolViolation("HTML")]
    watch = FeeWatch(venue, venue, lambda: None, timing=clock.timing)
    with pytest.raises(ProtocolViolation) as caught:
        await clock.run(watch.run)
    assert caught.value.retry_after_s == PATIENCE_S


async def test_being_refused_is_raised_as_it_is(venue: Any, clock: Any) -> None:
    venue.fees_told = [Found()]
    venue.failures["fees"] = [AuthenticationRejected("451")]
    with pytest.raises(AuthenticationRejected):
        await clock.run(FeeWatch(venue, venue, lambda: None, timing=clock.timing).run)


async def test_after_a_restart_the_hour_goes_on(venue: Any, clock: Any) -> None:
    venue.fees_told = [Found()]
    watch = FeeWatch(venue, venue, lambda: None, timing=clock.timing)
    await clock.run(watch.run)
    clock.s += 600.0
    await clock.run(watch.run)
    assert venue.requests == ["fees"]
    assert clock.waits == [REFRESH_S, REFRESH_S - 600.0]


# -- what the listings make of it ------------------------------------------------------------------


async def test_the_next_listing_is_a_full_one_and_writes_what_is_different(
    venue: Any, redis: Redis, clock: Any
) -> None:
    venue.pages = [Found(markets=[market(1), market(2)])]
    enricher = enricher_of(venue, redis, clock, [])
    await clock.run(enricher.run, rounds=1)
    venue.pages = [Found(markets=[market(1, fee_type="quadratic"), market(2)])]
    written = enricher._writer.stats.markets_written
    enricher.outdated()
    await clock.run(enricher.run, rounds=2)
    assert [since is None for since in venue.listings] == [True, False, True, False]
    assert await redis.hget("market:M1:meta", "fee_type") == "quadratic"
    assert enricher._writer.stats.markets_written - written == 1


async def test_fees_that_come_during_a_listing_have_another_one_follow(
    venue: Any, redis: Redis, clock: Any
) -> None:
    venue.pages = [Found(markets=[market(1)]), Found(markets=[market(2)])]
    enricher = enricher_of(venue, redis, clock, [])
    fetch = venue.fetch

    async def fees_come_before_the_second_page(request: Any) -> bytes | None:
        if request.url == "page/1" and len(venue.listings) == 1:
            enricher.outdated()
        body: bytes | None = await fetch(request)
        return body

    venue.fetch = fees_come_before_the_second_page
    started_s = clock.s
    await clock.run(enricher.run, rounds=1)
    assert [since is None for since in venue.listings] == [True, True]
    assert clock.s - started_s == OPTIONS.refresh_s


async def test_a_full_listing_that_failed_is_still_owed(
    venue: Any, redis: Redis, clock: Any
) -> None:
    venue.pages = [Found(markets=[market(1)])]
    enricher = enricher_of(venue, redis, clock, [])
    await clock.run(enricher.run)
    enricher.outdated()
    venue.failures["page/0"] = [RequestFailed("no", status=400)]
    with pytest.raises(RequestFailed):
        await clock.run(enricher.run, rounds=1)
    await clock.run(enricher.run)
    assert [since is None for since in venue.listings] == [True, True, True]


async def test_what_no_listing_has_is_looked_up_again(venue: Any, redis: Redis, clock: Any) -> None:
    venue.add(market(7))
    enricher = enricher_of(venue, redis, clock, [MarketId("M7")])
    await clock.run(enricher.run)
    venue.add(market(7, fee_type="flat"))
    enricher.outdated()
    await clock.run(enricher.run, rounds=1)
    assert venue.lookups == [["M7"], ["M7"]]
    assert await redis.hget("market:M7:meta", "fee_type") == "flat"


async def test_what_is_gone_is_not_looked_up_again(venue: Any, redis: Redis, clock: Any) -> None:
    venue.add(msgspec.structs.replace(market(7), status="settled"))
    shown = [MarketId("M7")]
    enricher = enricher_of(venue, redis, clock, shown)
    await clock.run(enricher.run)
    shown.clear()
    await clock.run(enricher.run, rounds=3)
    assert not await redis.exists("market:M7:meta")
    enricher.outdated()
    await clock.run(enricher.run, rounds=2)
    assert venue.lookups == [["M7"]]


async def test_nor_once_redis_has_lost_its_data(venue: Any, redis: Redis, clock: Any) -> None:
    venue.add(msgspec.structs.replace(market(7), status="settled"), market(8))
    shown = [MarketId("M7"), MarketId("M8")]
    enricher = enricher_of(venue, redis, clock, shown)
    await clock.run(enricher.run)
    shown.clear()
    await clock.run(enricher.run, rounds=3)
    assert not await redis.exists("market:M7:meta")
    enricher.forget_written()
    await clock.run(enricher.run)
    assert venue.lookups == [["M7", "M8"], ["M8"]]
