"""`event_fee_update`: told as changed fees, and looked up over REST. All frames are ours."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from support.crawls import drive, markets_of
from support.kalshi import Frame, delta, encoded, snapshot, subscribed

from arbees_feed.core.events import BookLost, Event, FeesChanged, LevelChanged, Notice
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Crawl, DecoderOptions, Found, Request
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.kalshi.catalogue import KalshiCatalogue
from arbees_feed.venues.kalshi.decoder import KalshiDecoder
from arbees_feed.venues.polymarket.catalogue import PolymarketCatalogue

BASE = "https://kalshi.test/trade-api/v2"
EVENT = "KXAAA-26NOV22"
MARKET = MarketId(f"{EVENT}-T1")
BOOKS, LIFECYCLE = 1, 4


def update(seq: int | None = 1, sid: int = LIFECYCLE, **body: Any) -> Frame:
    """Return a frame as the documents have it; by default of an override that has ended."""
    told = {"event_ticker": EVENT, "fee_type_override": None, "fee_multiplier_override": None}
    counted = {} if seq is None else {"seq": seq}
    return {"type": "event_fee_update", "sid": sid, **counted, "msg": {**told, **body}}


def receive(decoder: KalshiDecoder, *frames: Frame) -> list[Event]:
    return [event for frame in frames for event in decoder.receive(encoded(frame))]


@pytest.fixture
def decoder() -> KalshiDecoder:
    """Return a decoder with one book, whose lifecycle channel has said nothing yet."""
    decoder = KalshiDecoder(DecoderOptions(lifecycle=True))
    decoder.tick(1_000.0)
    decoder.start([MARKET])
    receive(decoder, subscribed(LIFECYCLE, "market_lifecycle_v2", 1), subscribed(BOOKS, ident=2))
    receive(decoder, snapshot(1, MARKET, {"0.4800": "333.00"}, {"0.4600": "80.00"}))
    decoder.outbox.clear()
    return decoder


# -- the frame -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "override",
    [
        {},
        {"fee_type_override": "flat", "fee_multiplier_override": 0.5},
        {"fee_multiplier_override": "0.5"},
        {"fee_type_override": ["of", "next", "year"], "exchange_index": 0},
    ],
)
def test_it_says_which_event_has_other_fees_whatever_they_are(
    decoder: KalshiDecoder, override: Mapping[str, object]
) -> None:
    assert receive(decoder, update(**override)) == [FeesChanged(EVENT)]
    assert decoder.stats.malformed == 0


def test_without_the_overrides_it_says_the_same(decoder: KalshiDecoder) -> None:
    frame = {"type": "event_fee_update", "sid": LIFECYCLE, "seq": 1, "msg": {"event_ticker": EVENT}}
    assert receive(decoder, frame) == [FeesChanged(EVENT)]


def test_it_need_not_be_in_sequence(decoder: KalshiDecoder) -> None:
    assert receive(decoder, update(None), update(None)) == [FeesChanged(EVENT)] * 2
    assert (decoder.stats.gaps, decoder.stats.duplicates) == (0, 0)


def test_told_twice_it_counts_once(decoder: KalshiDecoder) -> None:
    assert receive(decoder, update(1), update(1)) == [FeesChanged(EVENT)]
    assert decoder.stats.duplicates == 1


def test_a_gap_before_it_is_counted_and_costs_no_book(decoder: KalshiDecoder) -> None:
    assert receive(decoder, update(1), update(5)) == [FeesChanged(EVENT)] * 2
    assert decoder.stats.gaps == 1


def test_a_gap_among_the_books_voids_them_and_it_is_told(decoder: KalshiDecoder) -> None:
    lost, changed = receive(decoder, update(9, sid=BOOKS))
    assert isinstance(lost, BookLost)
    assert changed == FeesChanged(EVENT)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "KXAAA",
        {},
        {"event_ticker": None},
        {"event_ticker": 7},
        {"event_ticker": ""},
        {"event_ticker": "KX AAA"},
        {"event_ticker": "KXAAA\n"},
        {"event_ticker": "../series"},
        {"event_ticker": "K" * 129},
        {"market_ticker": MARKET},
    ],
)
def test_one_that_names_no_event_is_counted_and_costs_nothing_else(
    decoder: KalshiDecoder, body: object
) -> None:
    (said,) = receive(decoder, {**update(2, sid=BOOKS), "msg": body})
    assert isinstance(said, Notice)
    assert said.text.startswith("malformed event_fee_update: ")
    assert (decoder.stats.malformed, decoder.stats.last_problem) == (1, said.text)
    (changed,) = receive(decoder, delta(3, MARKET, "0.4800", "1.00"))
    assert isinstance(changed, LevelChanged)
    assert (decoder.stats.gaps, decoder.outbox) == (0, [])


def test_one_without_a_body_is_malformed_too(decoder: KalshiDecoder) -> None:
    frame = update()
    del frame["msg"]
    assert [type(event) for event in receive(decoder, frame)] == [Notice]
    assert decoder.stats.malformed == 1


def test_a_malformed_one_that_comes_again_is_a_duplicate(decoder: KalshiDecoder) -> None:
    frame = update(event_ticker="")
    assert len(receive(decoder, frame, frame)) == 1
    assert (decoder.stats.malformed, decoder.stats.duplicates) == (1, 1)


# -- the look over REST ----------------------------------------------------------------------------


class Site:
    """Answers with one event, whose override can be changed, and with its series."""

    def __init__(self) -> None:
        self.override: dict[str, object] = {}
        self.series = {"ticker": "KXAAA", "fee_type": "quadratic", "fee_multiplier": 1}
        self.answer: bytes | None = b""
        """What is answered instead; empty: nothing is."""
        self.asked: list[Request] = []

    def run(self, plan: Crawl) -> list[Found]:
        asked, findings = drive(plan, self._answer)
        self.asked += asked
        return findings

    def _answer(self, request: Request) -> bytes | None:
        if self.answer != b"":
            return self.answer
        market = {"ticker": MARKET, "event_ticker": EVENT, "title": "A?", "status": "active"}
        event = {"event_ticker": EVENT, "series_ticker": "KXAAA", "title": "A", **self.override}
        bodies: dict[str, object] = {
            f"{BASE}/series": {"series": [self.series]},
            f"{BASE}/events/{EVENT}": {"event": {**event, "markets": [market]}},
            f"{BASE}/markets": {"markets": [market], "cursor": ""},
        }
        body = bodies.get(request.url)
        return None if body is None else json.dumps(body).encode()


def fees_told(findings: Sequence[Found]) -> dict[str, tuple[str | None, str | None]]:
    """Return the fee fields of each market found."""
    names = ("fee_type", "fee_multiplier")
    metas = markets_of(findings)
    return {m.market_id: (m.extras.get(names[0]), m.extras.get(names[1])) for m in metas}


@pytest.fixture
def site() -> Site:
    """Return a venue without overrides."""
    return Site()


@pytest.fixture
def catalogue(site: Site) -> KalshiCatalogue:
    """Return a catalogue that knows the fees of the series."""
    catalogue = KalshiCatalogue({"rest": BASE})
    site.run(catalogue.fees())
    site.asked.clear()
    return catalogue


def test_one_signed_request_tells_an_event_with_its_markets(
    catalogue: KalshiCatalogue, site: Site
) -> None:
    findings = site.run(catalogue.fees([EVENT, EVENT]))
    nested = (("with_nested_markets", "true"),)
    assert site.asked == [Request(f"{BASE}/events/{EVENT}", nested, signed=True)]
    assert fees_told(findings) == {MARKET: ("quadratic", "1")}


def test_an_override_holds_from_then_on_until_it_ends(
    catalogue: KalshiCatalogue, site: Site
) -> None:
    site.override = {"fee_type_override": "flat", "fee_multiplier_override": 0}
    assert fees_told(site.run(catalogue.fees([EVENT]))) == {MARKET: ("flat", "0")}
    assert fees_told(site.run(catalogue.lookup([MARKET]))) == {MARKET: ("flat", "0")}
    site.override = {"fee_type_override": None, "fee_multiplier_override": None}
    assert fees_told(site.run(catalogue.fees([EVENT]))) == {MARKET: ("quadratic", "1")}
    assert fees_told(site.run(catalogue.lookup([MARKET]))) == {MARKET: ("quadratic", "1")}


def test_an_event_that_is_not_found_changes_nothing(catalogue: KalshiCatalogue, site: Site) -> None:
    site.override = {"fee_multiplier_override": 2}
    site.run(catalogue.fees([EVENT]))
    site.answer = None
    assert site.run(catalogue.fees([EVENT])) == []
    assert catalogue.stats.not_found == 1
    site.answer = b""
    assert fees_told(site.run(catalogue.lookup([MARKET]))) == {MARKET: ("quadratic", "2")}


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"event"', b"[" * 100_000])
def test_an_answer_that_cannot_be_read_is_named(
    catalogue: KalshiCatalogue, site: Site, answer: bytes
) -> None:
    site.answer = answer
    with pytest.raises(ProtocolViolation, match=f"/events/{EVENT}"):
        site.run(catalogue.fees([EVENT]))


def test_polymarket_has_nothing_to_ask() -> None:
    catalogue = PolymarketCatalogue({"gamma": "https://g.test", "clob": "https://c.test"})
    assert drive(catalogue.fees(["7"]), lambda _: b"") == ([], [])
