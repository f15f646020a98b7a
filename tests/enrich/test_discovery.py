"""Discovery: what is wanted, in which order, and what is over."""

import asyncio
from typing import Any

import pytest

from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.core.venue import Found, Selection
from arbees_feed.enrich.discovery import Universe, UniverseOptions
from arbees_feed.errors import RequestFailed


def market(name: str, volume: float = 0.0, status: str = "open") -> MarketMeta:
    """Return the metadata of a market."""
    return MarketMeta(market_id=MarketId(name), platform="kalshi", volume=volume, status=status)


class Told:
    """What the feed was told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, list[MarketId]]] = []

    def want(self, markets: Any) -> None:
        """Take wanted markets."""
        self.said.append(("want", list(markets)))

    def gone(self, markets: Any) -> None:
        """Take ended markets."""
        self.said.append(("gone", list(markets)))


@pytest.fixture
def told() -> Told:
    """Return somebody to tell."""
    return Told()


def make(venue: Any, clock: Any, told: Told, *named: str, **selected: Any) -> Universe:
    """Return a discovery."""
    return Universe(
        venue,
        venue,
        Selection(markets=named, **selected),
        want=told.want,
        gone=told.gone,
        options=UniverseOptions(refresh_s=60.0),
        timing=clock.timing,
    )


async def test_named_markets_are_wanted_before_any_request(
    venue: Any, clock: Any, told: Told
) -> None:
    venue.failures["universe/0"] = [RequestFailed("away")]
    venue.selected = [Found(markets=[market("B")])]
    with pytest.raises(RequestFailed):
        await clock.run(make(venue, clock, told, "A").run)
    assert told.said == [("want", ["A"])]


async def test_what_is_found_is_wanted_most_traded_first(
    venue: Any, clock: Any, told: Told
) -> None:
    venue.selected = [
        Found(markets=[market("A", 1.0), market("B", 3.0), market("C", 2.0)]),
        Found(markets=[market("D", 9.0), market("E", 9.5, "closed")]),
    ]
    universe = make(venue, clock, told)
    await clock.run(universe.run)
    assert told.said == [("want", ["B", "C", "A"]), ("want", ["D"])]
    assert universe.stats.wanted == 4


async def test_only_new_markets_are_told_again(venue: Any, clock: Any, told: Told) -> None:
    venue.selected = [Found(markets=[market("A")])]
    universe = make(venue, clock, told)
    await clock.run(universe.run, rounds=1)
    venue.selected = [Found(markets=[market("A"), market("B")])]
    await clock.run(universe.run)
    assert told.said == [("want", ["A"]), ("want", ["B"])]
    assert clock.waits[0] == 60.0


@pytest.mark.parametrize("status", ["closed", "settled", None])
async def test_a_market_that_has_ended_is_gone(
    venue: Any, clock: Any, told: Told, status: str | None
) -> None:
    """Ended, or not known to the venue any more."""
    venue.selected = [Found(markets=[market("A"), market("B")])]
    universe = make(venue, clock, told)
    await clock.run(universe.run)
    venue.selected = [Found(markets=[market("B")])]
    if status:
        venue.add(market("A", status=status))
    await clock.run(universe.run, rounds=1)
    assert told.said[1:] == [("gone", ["A"])]
    assert venue.lookups == [["A"]]
    assert (universe.stats.wanted, universe.stats.ended) == (1, 1)


@pytest.mark.parametrize("status", ["open", "paused"])
async def test_a_market_that_left_the_selection_but_lives_stays(
    venue: Any, clock: Any, told: Told, status: str
) -> None:
    venue.selected = [Found(markets=[market("A")])]
    universe = make(venue, clock, told)
    await clock.run(universe.run)
    venue.selected = []
    venue.add(market("A", status=status))
    await clock.run(universe.run)
    assert told.said == [("want", ["A"])]


async def test_a_no_token_is_replaced_by_the_market_it_belongs_to(
    venue: Any, clock: Any, told: Told
) -> None:
    """The venue finds market YES for the id NO that the user named, and knows no market NO."""
    venue.selected = [Found(markets=[market("YES")])]
    await clock.run(make(venue, clock, told, "NO").run)
    assert told.said == [("want", ["NO"]), ("want", ["YES"]), ("gone", ["NO"])]


async def test_a_named_market_that_appears_later_is_wanted_then(
    venue: Any, clock: Any, told: Told
) -> None:
    universe = make(venue, clock, told, "LATER")
    await clock.run(universe.run)
    venue.add(market("LATER"))
    await clock.run(universe.run)
    assert told.said == [("want", ["LATER"]), ("gone", ["LATER"]), ("want", ["LATER"])]


async def test_a_failed_pass_ends_no_market(venue: Any, clock: Any, told: Told) -> None:
    venue.selected = [Found(markets=[market("A")]), Found(markets=[market("B")])]
    universe = make(venue, clock, told)
    await clock.run(universe.run)
    venue.failures["universe/1"] = [RequestFailed("away")]
    with pytest.raises(RequestFailed):
        await clock.run(universe.run)
    await clock.run(universe.run)
    assert told.said == [("want", ["A"]), ("want", ["B"])]


async def test_a_hint_brings_the_next_pass_forward_but_not_at_once(
    venue: Any, clock: Any, told: Told
) -> None:
    """Announcements come in floods: at most one pass in ten seconds answers them."""
    universe = make(venue, clock, told, everything=True)
    await clock.run(universe.run)
    async with asyncio.TaskGroup() as group:
        clock.idle.clear()
        task = group.create_task(universe.run())
        await clock.idle.wait()
        passed = universe.stats.passes
        venue.selected = [Found(markets=[market("NEW")])]
        clock.idle.clear()
        clock.rounds_left = 1
        for _ in range(100):
            universe.refresh()
        await clock.idle.wait()
        task.cancel()
    assert clock.waits[-2:] == [10.0, 60.0]
    assert universe.stats.passes == passed + 1
    assert told.said == [("want", ["NEW"])]


async def test_a_hint_means_nothing_to_the_most_traded(venue: Any, clock: Any, told: Told) -> None:
    """A market that opens has no trades; the next pass is soon enough."""
    universe = make(venue, clock, told, top=5)
    universe.refresh()
    await clock.run(universe.run)
    assert clock.waits == [60.0]


async def test_everything_is_read_once_and_then_what_is_new(
    venue: Any, clock: Any, told: Told
) -> None:
    began_s = int(clock.s)
    universe = make(venue, clock, told, everything=True)
    venue.selected = [Found(markets=[market("A"), market("B")])]
    await clock.run(universe.run, rounds=2)
    assert venue.since == [None, began_s - 120, began_s - 60]
    venue.selected = [Found(markets=[market("B")])]
    await clock.run(universe.run, rounds=1)
    assert venue.lookups == []
    await clock.run(universe.run, rounds=30)
    assert venue.since.count(None) == 2
    assert told.said == [("want", ["A", "B"]), ("gone", ["A"])]


async def test_a_market_that_left_the_most_traded_is_asked_for_now_and_then(
    venue: Any, clock: Any, told: Told
) -> None:
    venue.add(market("A"))
    universe = make(venue, clock, told, top=1)
    venue.selected = [Found(markets=[market("A")])]
    await clock.run(universe.run)
    venue.selected = [Found(markets=[market("B")])]
    await clock.run(universe.run, rounds=15)
    assert venue.lookups == [["A"], ["A"]]
    venue.add(market("A", status="settled"))
    await clock.run(universe.run, rounds=10)
    assert told.said[-1] == ("gone", ["A"])


async def test_markets_whose_book_never_comes_are_looked_up(
    venue: Any, clock: Any, told: Told
) -> None:
    """Settled and unknown ones are gone, whoever wanted them; the others are kept."""
    venue.add(market("ALIVE"), market("SETTLED", status="settled"))
    universe = make(venue, clock, told, top=1)
    await clock.run(universe.run)
    universe.missing([MarketId("SETTLED"), MarketId("ALIVE"), MarketId("UNKNOWN")])
    await clock.run(universe.run)
    assert venue.lookups == [["ALIVE", "SETTLED", "UNKNOWN"]]
    assert told.said == [("gone", ["SETTLED", "UNKNOWN"])]
    assert universe.stats.missing == 3


async def test_missing_markets_are_looked_up_after_a_failure(
    venue: Any, clock: Any, told: Told
) -> None:
    universe = make(venue, clock, told, top=1)
    universe.missing([MarketId("UNKNOWN")])
    venue.failures["lookup"] = [RequestFailed("away")]
    with pytest.raises(RequestFailed):
        await clock.run(universe.run)
    assert told.said == []
    await clock.run(universe.run)
    assert told.said == [("gone", ["UNKNOWN"])]
