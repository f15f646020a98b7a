"""How many requests the venues get in an hour, at their full size."""

import json
from typing import Any

from fakeredis import FakeAsyncRedis

from arbees_feed.core.venue import Catalogue, Request, Selection
from arbees_feed.core.wire import Names
from arbees_feed.enrich.discovery import Universe, UniverseOptions
from arbees_feed.enrich.service import Enricher, EnrichOptions
from arbees_feed.enrich.writer import MetadataWriter
from arbees_feed.venues.kalshi.catalogue import KalshiCatalogue
from arbees_feed.venues.polymarket.catalogue import PolymarketCatalogue

HOUR_S = 3600.0
KALSHI_PAGES = 100_000 // 4 // 200
POLYMARKET_PAGES = 30_000 // 3 // 100


class Pages:
    """Serves listings of many pages with one record each; changes are few."""

    def __init__(self, clock: Any) -> None:
        self.asked_s: list[float] = []
        self._clock = clock

    async def fetch(self, request: Request) -> bytes | None:
        """Answer with a page."""
        self.asked_s.append(self._clock.s)
        params = dict(request.params)
        if "kalshi" in request.url:
            kind = request.url.rpartition("/")[2]
            if "min_updated_ts" in params:
                return json.dumps({kind: [], "cursor": ""}).encode()
            page = int(params.get("cursor", "0")) + 1
            cursor = str(page) if page < KALSHI_PAGES else ""
            return json.dumps({kind: [{"event_ticker": f"E{page}"}], "cursor": cursor}).encode()
        kind = "events" if "/events" in request.url else "markets"
        page = int(params.get("after_cursor", "0")) + 1
        cursor = str(page) if page < POLYMARKET_PAGES else ""
        number = POLYMARKET_PAGES - page if "order" in params else page
        event = {"id": str(number), "markets": [_market(number)]}
        record = event if kind == "events" else _market(number)
        return json.dumps({kind: [record], "next_cursor": cursor}).encode()

    def a_minute(self, since_s: float) -> float:
        """Return the requests a minute in the hour from *since_s* on."""
        return sum(since_s <= s < since_s + HOUR_S for s in self.asked_s) / 60


def _market(number: int) -> dict[str, Any]:
    tokens = json.dumps([str(number), str(number + 10**6)])
    return {
        "conditionId": f"0x{number}", "clobTokenIds": tokens, "outcomes": '["Yes","No"]',
        "active": True, "closed": False, "enableOrderBook": True, "acceptingOrders": True,
    }  # fmt: skip


async def enrichment(catalogue: Catalogue, venue: str, clock: Any) -> float:
    """Return the requests a minute of enrichment in its second hour."""
    pages = Pages(clock)
    enricher = Enricher(
        catalogue,
        pages,
        MetadataWriter(FakeAsyncRedis(), Names(), venue=venue),
        first_price=_at_once,
        unknown=tuple,
        options=EnrichOptions(lookup_every_s=60.0),
        timing=clock.timing,
    )
    second_hour_s = clock.s + HOUR_S - 1.0
    await clock.run(enricher.run, rounds=150)
    return pages.a_minute(second_hour_s)


async def discovery(selection: Selection, clock: Any) -> float:
    """Return the requests a minute of discovery on Polymarket in its second hour."""
    pages = Pages(clock)
    universe = Universe(
        PolymarketCatalogue({"gamma": "https://gamma.test"}),
        pages,
        selection,
        want=lambda _: None,
        gone=lambda _: None,
        options=UniverseOptions(),
        timing=clock.timing,
    )
    second_hour_s = clock.s + HOUR_S - 1.0
    await clock.run(universe.run, rounds=150)
    return pages.a_minute(second_hour_s)


async def _at_once() -> None:
    pass


async def test_an_hour_of_both_venues_takes_some_ten_requests_a_minute(clock: Any) -> None:
    kalshi = await enrichment(KalshiCatalogue({"rest": "https://kalshi.test"}), "kalshi", clock)
    polymarket = await enrichment(
        PolymarketCatalogue({"gamma": "https://gamma.test"}), "polymarket", clock
    )
    everything = await discovery(Selection(everything=True), clock)
    assert (round(kalshi, 1), round(polymarket, 1)) == (2.5, 2.0)
    assert kalshi + polymarket + everything <= 10.0
