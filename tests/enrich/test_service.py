"""The enricher: when it asks, what it writes, and how it goes on after a failure."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.venue import Found, Request
from arbees_feed.core.wire import Names
from arbees_feed.enrich.allowance import Allowance
from arbees_feed.enrich.service import Enricher, EnrichOptions
from arbees_feed.enrich.timing import wait_for_event
from arbees_feed.enrich.writer import MetadataWriter
from arbees_feed.errors import (
    AuthenticationRejected,
    ProtocolViolation,
    RedisUnavailable,
    RequestFailed,
)

OPTIONS = EnrichOptions(refresh_s=60.0, lookup_every_s=5.0, overlap_s=120)
ROUNDS_A_REFRESH = 12


def market(number: int, **changes: Any) -> MarketMeta:
    """Return the metadata of a market."""
    facts: dict[str, Any] = {"title": f"Market {number}", **changes}
    return MarketMeta(market_id=MarketId(f"M{number}"), platform="kalshi", **facts)


class App:
    """What the application hands to the enricher."""

    def __init__(self) -> None:
        self.first_price = asyncio.Event()
        self.shown: list[MarketId] = []

    def unknown(self) -> list[MarketId]:
        """Return what the stream has shown since the last call."""
        shown, self.shown = self.shown, []
        return shown


@pytest.fixture
def app() -> App:
    """Return an application whose first price is out."""
    app = App()
    app.first_price.set()
    return app


@pytest.fixture
def enricher(venue: Any, redis: Redis, clock: Any, app: App) -> Enricher:
    """Return an enricher of a venue that lists two pages."""
    venue.pages = [Found(markets=[market(1)]), Found(markets=[market(2)])]
    return make(venue, redis, clock, app)


def make(
    venue: Any, redis: Any, clock: Any, app: App, options: EnrichOptions = OPTIONS
) -> Enricher:
    """Return an enricher."""
    return Enricher(
        venue,
        venue,
        MetadataWriter(redis, Names(), now=lambda: clock.s),
        first_price=app.first_price.wait,
        unknown=app.unknown,
        options=options,
        timing=clock.timing,
    )


async def titles(redis: Redis) -> dict[str, str | None]:
    """Return the titles in Redis by key."""
    keys = sorted(await redis.keys("market:*:meta"))
    return {key: await redis.hget(key, "title") for key in keys}


async def test_metadata_is_merged_for_every_market_known_from_the_stream_or_not(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    """A design that skips known tickers enriches nothing: the stream knows them all at once.

    Markets that a price was seen of, markets whose hash exists already and markets that nobody
    has seen are all written.
    """
    app.shown = [MarketId("M1"), MarketId("M2")]
    await redis.set("market:M1:last", "a price")
    await redis.hset("market:M1:meta", mapping={"platform": "kalshi"})
    venue.pages.append(Found(markets=[market(3)]))
    await clock.run(enricher.run)
    assert await titles(redis) == {
        "market:M1:meta": "Market 1",
        "market:M2:meta": "Market 2",
        "market:M3:meta": "Market 3",
    }
    assert venue.lookups == []


async def test_it_waits_for_the_first_price(venue: Any, redis: Redis, clock: Any) -> None:
    app = App()
    enricher = make(venue, redis, clock, app)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(enricher.run())
        await asyncio.sleep(0)
        assert venue.listings == []
        app.first_price.set()
        await clock.idle.wait()
        assert venue.listings == [None]
        task.cancel()


async def test_it_does_not_wait_for_ever(venue: Any, redis: Redis, clock: Any) -> None:
    enricher = make(venue, redis, clock, App(), EnrichOptions(start_delay_s=0.01))
    await clock.run(enricher.run)
    assert venue.listings == [None]


async def test_changes_are_asked_for_since_the_start_of_the_last_listing(
    enricher: Enricher, venue: Any, clock: Any
) -> None:
    began_s = int(clock.s)
    await clock.run(enricher.run, rounds=2 * ROUNDS_A_REFRESH)
    assert venue.listings == [None, began_s - 120, began_s - 60]
    assert enricher.stats.listings_done == 3
    assert set(clock.waits) == {5.0}


async def test_a_failed_request_propagates_and_the_listing_goes_on_where_it_stopped(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    venue.failures["page/1"] = [RequestFailed("busy", status=429, retry_after_s=7.0)]
    with pytest.raises(RequestFailed) as caught:
        await clock.run(enricher.run)
    assert caught.value.retry_after_s == 7.0
    assert await titles(redis) == {"market:M1:meta": "Market 1"}
    await clock.run(enricher.run)
    assert venue.requests == ["page/0", "page/1", "page/1"]
    assert len(await titles(redis)) == 2
    assert venue.listings == [None]


async def test_a_request_that_will_never_be_accepted_starts_the_listing_anew(
    enricher: Enricher, venue: Any, clock: Any
) -> None:
    """A cursor may have expired; without this it would be asked for ever."""
    venue.failures["page/1"] = [RequestFailed("bad cursor", status=400)]
    with pytest.raises(RequestFailed):
        await clock.run(enricher.run)
    await clock.run(enricher.run)
    assert venue.listings == [None, None]


async def test_an_answer_that_cannot_be_read_starts_the_listing_anew(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    venue.violations = [ProtocolViolation("HTML")]
    with pytest.raises(ProtocolViolation):
        await clock.run(enricher.run)
    await clock.run(enricher.run)
    assert venue.listings == [None, None]
    assert len(await titles(redis)) == 2


async def test_a_finding_that_could_not_be_written_is_not_lost(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    await redis.set("market:M1:meta", "in the way")
    with pytest.raises(RedisUnavailable):
        await clock.run(enricher.run)
    await redis.delete("market:M1:meta")
    await clock.run(enricher.run)
    assert len(await titles(redis)) == 2
    assert venue.requests == ["page/0", "page/1"]


async def test_unknown_markets_of_the_stream_are_looked_up(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    venue.add(market(7))
    app.shown = [MarketId("M1"), MarketId("M7"), MarketId("M8")]
    await clock.run(enricher.run, rounds=3)
    assert venue.lookups == [["M7", "M8"]]
    assert "market:M7:meta" in await titles(redis)
    assert "market:M8:meta" not in await titles(redis)


async def test_a_market_that_was_not_found_is_asked_for_again_later(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    options = EnrichOptions(ask_again_s=30.0, lookup_every_s=10.0, refresh_s=1e6)
    enricher = make(venue, redis, clock, app, options)
    app.shown = [MarketId("M9")]
    await clock.run(enricher.run, rounds=6)
    assert venue.lookups == [["M9"]] * 3
    assert len(enricher._asked_s) == 1
    app.shown = [MarketId("M9"), MarketId("M10")]
    await clock.run(enricher.run)
    assert venue.lookups[3:] == [["M10"]]


async def test_lookups_are_bounded_a_round(venue: Any, redis: Redis, clock: Any, app: App) -> None:
    enricher = make(venue, redis, clock, app, EnrichOptions(lookups_a_round=2))
    app.shown = [MarketId(f"M{number}") for number in range(5)]
    await clock.run(enricher.run, rounds=3)
    assert venue.lookups == [["M0", "M1"], ["M2", "M3"], ["M4"]]


async def test_a_lookup_that_cannot_be_read_is_not_repeated_at_once(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    enricher = make(venue, redis, clock, app)
    app.shown = [MarketId("M9")]
    venue.violations = [ProtocolViolation("HTML")]
    with pytest.raises(ProtocolViolation):
        await clock.run(enricher.run)
    await clock.run(enricher.run)
    assert len(venue.lookups) == 1


async def test_a_lookup_that_failed_is_repeated(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    enricher = make(venue, redis, clock, app)
    venue.add(market(9))
    app.shown = [MarketId("M9")]
    venue.failures["lookup"] = [RequestFailed("away")]
    with pytest.raises(RequestFailed):
        await clock.run(enricher.run)
    await clock.run(enricher.run)
    assert await titles(redis) == {"market:M9:meta": "Market 9"}


async def test_everything_is_listed_and_written_again_after_redis_lost_its_data(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(enricher.run())
        await clock.idle.wait()
        clock.idle.clear()
        await redis.flushall()
        enricher.forget_written()
        await clock.idle.wait()
        assert venue.listings == [None, None]
        assert len(await titles(redis)) == 2
        task.cancel()


async def test_data_lost_during_a_listing_is_listed_again(
    enricher: Enricher, venue: Any, redis: Redis, clock: Any
) -> None:
    real_fetch = venue.fetch

    async def flush_before_the_second_page(request: Any) -> bytes | None:
        if request.url == "page/1" and len(venue.listings) == 1:
            await redis.flushall()
            enricher.forget_written()
        return await real_fetch(request)

    venue.fetch = flush_before_the_second_page
    await clock.run(enricher.run)
    assert venue.listings == [None, None]
    assert len(await titles(redis)) == 2


async def test_announced_markets_are_written_at_once(
    enricher: Enricher, redis: Redis, clock: Any
) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(enricher.run())
        await clock.idle.wait()
        clock.idle.clear()
        enricher.announce([market(5), market(1, title="says less")])
        await clock.idle.wait()
        task.cancel()
    found = await titles(redis)
    assert (found["market:M5:meta"], found["market:M1:meta"]) == ("Market 5", "Market 1")
    assert enricher._announced == {}


@pytest.mark.parametrize("name", ["", "A:last", "A\r\nB", "\x1b[2J", "x" * 200])
async def test_an_announcement_of_what_is_no_name_is_left_out(
    venue: Any, redis: Redis, clock: Any, app: App, name: str
) -> None:
    enricher = make(venue, redis, clock, app)
    enricher.announce([MarketMeta(market_id=MarketId(name), platform="kalshi"), market(5)])
    await clock.run(enricher.run)
    assert list(await titles(redis)) == ["market:M5:meta"]
    assert venue.stats.skipped == 1


async def test_announcements_are_bounded(venue: Any, redis: Redis, clock: Any, app: App) -> None:
    enricher = make(venue, redis, clock, app, EnrichOptions(announced_kept=2))
    enricher.announce([market(number) for number in range(5)])
    assert enricher.stats.announced_dropped == 3
    await clock.run(enricher.run)
    assert list(await titles(redis)) == ["market:M3:meta", "market:M4:meta"]


async def test_a_thousand_unchanged_markets_cost_no_command(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    venue.pages = [Found(markets=[market(number) for number in range(1000)])]
    enricher = make(venue, redis, clock, app)
    await clock.run(enricher.run)
    await redis.flushall()
    await clock.run(enricher.run, rounds=ROUNDS_A_REFRESH)
    assert enricher.stats.listings_done == 2
    assert await redis.dbsize() == 0


async def test_waiting_ends_with_the_event_or_the_time() -> None:
    event = asyncio.Event()
    await wait_for_event(event, 0.001)
    assert not event.is_set()
    event.set()
    await wait_for_event(event, 60.0)


async def test_what_was_found_by_asking_is_asked_for_again_after_redis_lost_its_data(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    """No listing has it: combos of Kalshi are only found by name."""
    enricher = make(venue, redis, clock, app)
    venue.add(market(7))
    app.shown = [MarketId("M7")]
    await clock.run(enricher.run)
    await redis.flushall()
    enricher.forget_written()
    await clock.run(enricher.run)
    assert venue.lookups == [["M7"], ["M7"]]
    assert await titles(redis) == {"market:M7:meta": "Market 7"}


async def test_markets_that_wait_for_a_lookup_are_bounded(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    enricher = make(venue, redis, clock, app, EnrichOptions(lookups_a_round=2, unknown_kept=3))
    app.shown = [MarketId(f"M{number}") for number in range(10)]
    await clock.run(enricher.run, rounds=5)
    assert venue.lookups == [["M7", "M8"], ["M9"]]
    assert enricher.stats.lookups_dropped == 7


async def test_a_market_found_beside_another_is_not_asked_for(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    """An event that is fetched for one market tells its others too."""
    venue.lookup = _both
    enricher = make(venue, redis, clock, app, EnrichOptions(lookups_a_round=1))
    app.shown = [MarketId("M1"), MarketId("M2")]
    await clock.run(enricher.run, rounds=3)
    assert venue.requests == ["lookup"]


def _both(markets: Any) -> Any:
    assert markets == [MarketId("M1")]
    yield Request("lookup")
    yield Found(markets=[market(1), market(2)])


def with_venue(venue: Any, redis: Any, clock: Any, app: App, **options: Any) -> Enricher:
    """Return an enricher whose writer knows whose markets it keeps."""
    return Enricher(
        venue,
        venue,
        MetadataWriter(redis, Names(), venue="kalshi", now=lambda: clock.s),
        first_price=app.first_price.wait,
        unknown=app.unknown,
        options=EnrichOptions(**{"refresh_s": 60.0, **options}),
        timing=clock.timing,
    )


async def test_a_market_that_is_gone_leaves_nothing_behind(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    venue.pages = [
        Found(
            markets=[market(1, event_id="E"), market(2, event_id="F")],
            events=[
                EventMeta("E", "kalshi", title="E", market_ids=(MarketId("M1"),)),
                EventMeta("F", "kalshi", title="F", market_ids=(MarketId("M2"),)),
            ],
        )
    ]
    enricher = with_venue(venue, redis, clock, app)
    await clock.run(enricher.run)
    enricher.remove([MarketId("M1")])
    await clock.run(enricher.run)
    left = " ".join(sorted(str(key) for key in await redis.keys("*")))
    assert "M1" not in left
    assert "event:E" not in left
    assert "market:M2:meta" in left
    assert venue.forgotten == ["M1", "E"]


async def test_an_ended_market_goes_after_a_while_and_does_not_come_back(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    """The venue goes on listing it beside its living siblings."""
    venue.pages = [Found(markets=[market(1, status="settled"), market(2, status="open")])]
    enricher = with_venue(venue, redis, clock, app, forget_after_s=200.0)
    await clock.run(enricher.run)
    assert len(await titles(redis)) == 2
    assert enricher.stats.leaving == 1
    await clock.run(enricher.run, rounds=80)
    assert list(await titles(redis)) == ["market:M2:meta"]
    assert enricher.stats.leaving == 0
    assert enricher.stats.listings_done > 4


async def test_what_a_former_run_left_goes_unless_the_venue_knows_it(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    former = MetadataWriter(redis, Names())
    await former.write(Found(markets=[market(1), market(2), market(3)]))
    venue.pages = [Found(markets=[market(1)])]
    venue.add(market(2))
    enricher = with_venue(venue, redis, clock, app)
    await clock.run(enricher.run, rounds=2)
    assert venue.lookups == [["M2", "M3"]]
    assert list(await titles(redis)) == ["market:M1:meta", "market:M2:meta"]


async def test_between_full_listings_only_changes_are_asked_for(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    enricher = with_venue(venue, redis, clock, app, full_s=300.0, lookup_every_s=30.0)
    await clock.run(enricher.run, rounds=20)
    assert [since is None for since in venue.listings] == 2 * [True, False, False, False, False] + [
        True
    ]


async def test_how_a_market_ended_is_asked_for_once_more(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    venue.pages = [Found(markets=[market(1, status="open")])]
    venue.add(market(1, status="settled", extras={"result": "yes"}))
    enricher = with_venue(venue, redis, clock, app, refresh_s=1e6, recheck_after_s=20.0)
    await clock.run(enricher.run)
    enricher.recheck([MarketId("M1")])
    await clock.run(enricher.run, rounds=3)
    assert venue.lookups == []
    await clock.run(enricher.run, rounds=3)
    assert venue.lookups == [["M1"]]
    assert await redis.hget("market:M1:meta", "result") == "yes"


async def test_an_announced_market_that_no_listing_ever_has_does_not_stay(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    """One that was listed meanwhile is not asked for: listings tell of its end."""
    venue.add(market(1, status="settled"))
    enricher = with_venue(
        venue, redis, clock, app, refresh_s=60.0, lookup_every_s=20.0, forget_after_s=5.0
    )
    await clock.run(enricher.run)
    enricher.announce([market(1, title="says less"), market(2), market(3)])
    venue.pages = [Found(markets=[market(3)])]
    await clock.run(enricher.run, rounds=3)
    assert set(await titles(redis)) == {"market:M1:meta", "market:M2:meta", "market:M3:meta"}
    assert venue.lookups == []
    await clock.run(enricher.run, rounds=6)
    assert venue.lookups == [["M1", "M2"]]
    assert set(await titles(redis)) == {"market:M3:meta"}


async def test_what_has_ended_and_is_unknown_to_rest_goes_though_rest_was_away(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    venue.pages = [Found(markets=[market(1)])]
    enricher = with_venue(venue, redis, clock, app, refresh_s=1e6, recheck_after_s=20.0)
    await clock.run(enricher.run)
    enricher.recheck([MarketId("M1")])
    venue.failures["lookup"] = [RequestFailed("busy", status=503)]
    with pytest.raises(RequestFailed):
        await clock.run(enricher.run, rounds=9)
    assert set(await titles(redis)) == {"market:M1:meta"}
    await clock.run(enricher.run, rounds=9)
    assert venue.lookups == [["M1"], ["M1"]]
    assert await titles(redis) == {}


async def test_progress_is_said_every_ten_seconds_and_at_the_end(
    venue: Any, redis: Redis, clock: Any, app: App
) -> None:
    venue.pages = [Found(markets=[market(number)]) for number in range(9)]
    await MetadataWriter(redis, Names()).write(Found(markets=[market(n) for n in range(12)]))
    fetch = venue.fetch

    async def slowly(request: Request) -> bytes | None:
        clock.s += 4.0
        return await fetch(request)

    venue.fetch = slowly
    enricher = with_venue(venue, redis, clock, app)
    with capture_logs() as lines:
        await clock.run(enricher.run)
    said = [line for line in lines if line["event"].startswith("enrichment")]
    assert [(line["markets"], line["pages"], line.get("eta_s")) for line in said] == [
        (3, 3, 36.0),
        (6, 6, 24.0),
        (9, 9, 12.0),
        (9, 9, None),
    ]
    assert said[0]["venue"] == "kalshi"
    assert enricher.stats.last_listing_s == 36.0


async def test_the_venue_is_asked_once_how_fast_it_may_be_asked(venue: Any) -> None:
    venue.allowed = [Found(rates=Rates(5.0, 6.0))]
    told: list[Rates] = []
    await Allowance(venue, venue, told.append).run()
    assert told == [Rates(5.0, 6.0)]


@pytest.mark.parametrize(
    "error",
    [RequestFailed("away"), AuthenticationRejected("no key"), ProtocolViolation("HTML")],
)
async def test_not_being_told_the_rate_is_no_failure(venue: Any, error: Exception) -> None:
    venue.failures["limits"] = [error]
    told: list[Rates] = []
    await Allowance(venue, venue, told.append).run()
    assert told == []
