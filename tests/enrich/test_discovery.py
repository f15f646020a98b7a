"""Discovery: what is wanted, in which order, and what is over."""

import asyncio
from typing import Any

import pytest

from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.core.venue import Found, Selection
from arbees_feed.enrich.discovery import Universe
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


def make(venue: Any, clock: Any, told: Told, *named: str) -> Universe:
    """Return a discovery."""
    return Universe(
        venue,
        venue,
        Selection(markets=named),
        want=told.want,
        gone=told.gone,
        refresh_s=60.0,
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


async def test_a_hint_brings_the_next_pass_forward(venue: Any, clock: Any, told: Told) -> None:
    universe = make(venue, clock, told)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(universe.run())
        await clock.idle.wait()
        clock.idle.clear()
        venue.selected = [Found(markets=[market("NEW")])]
        universe.refresh()
        await clock.idle.wait()
        task.cancel()
    assert told.said == [("want", ["NEW"])]
