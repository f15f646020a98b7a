"""Markets that have ended are forgotten after an hour, unless somebody named them."""

import msgspec
from reader.test_outbox import price

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader.retired import Retired


def test_closed_markets_are_due_after_an_hour() -> None:
    book = {market: price(market, 1) for market in "ABC"}
    book |= {market: _closed(market) for market in "BC"}
    retired = Retired({"C"})
    assert retired.due(book, 0.0) == []
    assert retired.due(book, 3_500.0) == []
    assert retired.due(book, 3_559.0) == []  # looked at a moment ago
    assert retired.due(book, 3_600.0) == ["B"]


def test_a_market_that_opens_again_starts_anew() -> None:
    retired = Retired(())
    assert retired.due({"A": _closed("A")}, 0.0) == []
    assert retired.due({"A": price("A", 2)}, 3_000.0) == []
    assert retired.due({"A": _closed("A")}, 3_600.0) == []


def _closed(market: str) -> MarketPrice:
    return msgspec.structs.replace(price(market, 1), status="closed")
