"""The venue of the benchmarks answers REST so that the feed can read it.

What the feed can't read it asks for again and again, beside what is measured.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from support.crawls import books_of, drive, markets_of

from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Crawl, Found, Request
from arbees_feed.venues.kalshi.catalogue import KalshiCatalogue

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ASKED = MarketId("KXBENCH-26NOV22-T000001")
CRAWLS: dict[str, Callable[[KalshiCatalogue], Crawl]] = {
    "listing": lambda catalogue: catalogue.listing(None),
    "changes": lambda catalogue: catalogue.listing(1_795_305_600),
    "lookup": lambda catalogue: catalogue.lookup([ASKED]),
    "books": lambda catalogue: catalogue.books([ASKED]),
    "allowance": lambda catalogue: catalogue.allowance(),
    "fees": lambda catalogue: catalogue.fees(),
}

Asking = Callable[[str], list[Found]]


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    """Run the venue with two markets; yield what makes a crawl of CRAWLS."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    from loopback import processes, venue  # noqa: PLC0415 - beside the tests only now

    played = processes.Remote(venue.serve, "growing", (2,))
    base = f"http://127.0.0.1:{played.told['port']}/trade-api/v2"

    def answer(request: Request) -> bytes:
        query = f"?{urlencode(request.params)}" if request.params else ""
        with closing(HTTPConnection("127.0.0.1", played.told["port"], timeout=20)) as connection:
            connection.request("GET", urlsplit(request.url).path + query)
            return connection.getresponse().read()

    def ask(name: str) -> list[Found]:
        catalogue = KalshiCatalogue({"rest": base})
        findings = drive(CRAWLS[name](catalogue), answer)[1]
        assert not catalogue.stats.skipped
        return findings

    try:
        yield ask
    finally:
        played.stop()


def test_the_feed_can_read_every_answer(asking: Asking) -> None:
    found = {name: asking(name) for name in CRAWLS}

    listed = {market.market_id for market in markets_of(found["listing"])}
    assert listed == {"KXBENCH-26NOV22-T000000", ASKED, "KXMARK-26NOV22-T1"}
    assert [market.market_id for market in markets_of(found["lookup"])] == [ASKED]
    assert [book.market for book in books_of(found["books"])] == [ASKED]
    assert found["allowance"][0].rates is not None
    assert not markets_of(found["fees"])
