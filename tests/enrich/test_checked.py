"""What a catalogue may not hand on: names that are none, numbers that are none, bent addresses."""

import re
from collections.abc import Callable, Sequence

import pytest
from support.crawls import drive

from arbees_feed.core.events import BookTold, TopOfBook
from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.venue import CatalogueStats, Crawl, Found, Request
from arbees_feed.enrich.checked import CheckedCatalogue, checked

HOSTILE = ["", "A:last", "A\r\nFLUSHALL", "\x1b[2J", "*", "x" * 129, "../A", "a b", "\u0410"]


def market(name: str, **facts: object) -> MarketMeta:
    return MarketMeta(market_id=MarketId(name), platform="kalshi", **facts)  # type: ignore[arg-type]


def found_by(catalogue: CheckedCatalogue, markets: Sequence[str] = ()) -> list[Found]:
    """Run a lookup to its end, answering each request with nothing."""
    plan = catalogue.lookup([MarketId(name) for name in markets])
    return drive(plan, lambda _: b"asked")[1]


class Telling:
    """A catalogue that tells what it was given, whatever it is asked."""

    def __init__(self, *told: Found | Request) -> None:
        self.stats = CatalogueStats()
        self.rates = Rates()
        self.told = told
        self.bodies: list[bytes | None] = []

    def immediate(self, _selection: object) -> Sequence[MarketId]:
        """Know none."""
        return ()

    def lookup(self, *_: object) -> Crawl:
        """Tell all."""
        for step in self.told:
            body = yield step
            if isinstance(step, Request):
                self.bodies.append(body)

    universe = listing = tops = books = allowance = fees = lookup


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_name_is_left_out_of_every_kind_of_finding(name: str) -> None:
    bad, good = MarketId(name), MarketId("KX-GOOD")
    tops = [TopOfBook(m, 0, 0, 10_000, 0, None, 0) for m in (bad, good)]
    books = [BookTold(m, [], [], 0, False) for m in (bad, good)]
    events = [EventMeta(event_id=e, platform="kalshi") for e in (name, "EV-1")]
    venue = Telling(Found([market(name), market("KX-GOOD")], events, tops, books))
    (found,) = found_by(CheckedCatalogue(venue))
    assert [m.market_id for m in found.markets] == [good]
    assert [e.event_id for e in found.events] == ["EV-1"]
    assert [t.market for t in found.tops] == [b.market for b in found.books] == [good]
    assert venue.stats.skipped == 4
    assert venue.stats.last_problem.isprintable()
    assert len(venue.stats.last_problem) < 200


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_an_event_that_is_no_name_costs_the_market_its_event_only(name: str) -> None:
    venue = Telling(Found([market("KX-GOOD", event_id=name, title="T")]))
    (found,) = found_by(CheckedCatalogue(venue))
    assert found.markets == [market("KX-GOOD", title="T")]
    assert venue.stats.skipped == 1


@pytest.mark.parametrize("volume", [float("nan"), float("inf"), float("-inf"), -1.0])
def test_a_volume_that_redis_would_refuse_is_none(volume: float) -> None:
    (found,) = found_by(CheckedCatalogue(Telling(Found([market("A", volume=volume)]))))
    assert found.markets[0].volume == 0.0


def test_what_is_in_order_passes_unchanged() -> None:
    told = Found([market("A", event_id="EV", volume=2.5)], [EventMeta("EV", "kalshi")], [], [])
    venue = Telling(told, Request("https://venue.test/v2/events/EV"))
    assert found_by(CheckedCatalogue(venue)) == [told]
    assert venue.bodies == [b"asked"]
    assert venue.stats.skipped == 0


@pytest.mark.parametrize(
    "ending",
    ["../../account", "..", ".", "A?limit=1", "A#x", "A\r\nHost: x", "A\\B", "A B", "./A", "A\x00"],
)
def test_an_address_that_a_name_bends_is_not_asked_for(ending: str) -> None:
    venue = Telling(Request(f"https://venue.test/v2/events/{ending}"), Found([market("A")]))
    assert len(found_by(CheckedCatalogue(venue))) == 1
    assert venue.bodies == [None]
    assert venue.stats.skipped == 1


def test_a_form_of_the_venues_own_is_kept_to() -> None:
    venue = Telling(Found([market("123"), market("KX-A")]))
    (found,) = found_by(CheckedCatalogue(venue, re.compile("[0-9]{1,78}")))
    assert [m.market_id for m in found.markets] == ["123"]


def test_a_checked_catalogue_is_not_checked_twice() -> None:
    once = checked(Telling())
    assert checked(once) is once


@pytest.mark.parametrize(
    "crawl",
    [
        lambda c: c.universe(None),
        lambda c: c.listing(None),
        lambda c: c.tops(None),
        lambda c: c.books([]),
        lambda c: c.allowance(),
        lambda c: c.fees(),
    ],
)
def test_every_crawl_is_checked(crawl: Callable[[CheckedCatalogue], Crawl]) -> None:
    step = next(crawl(CheckedCatalogue(Telling(Found([market("A:B")])))))
    assert isinstance(step, Found)
    assert step.markets == []
