"""Kalshi's catalogue, driven without any I/O: requests out, bodies in."""

import json
import os
from pathlib import Path

import msgspec
import pytest
from support.crawls import drive, events_of, markets_of

from arbees_feed.core.model import EventMeta, MarketId
from arbees_feed.core.paging import MAX_EMPTY_PAGES
from arbees_feed.core.venue import Request, Selection
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.kalshi.catalogue import MARKETS_A_FINDING, KalshiCatalogue
from arbees_feed.venues.kalshi.catalogue_messages import Event, Market
from arbees_feed.venues.kalshi.catalogue_meta import EventFacts, event_meta, market_meta

BASE = "https://kalshi.test/trade-api/v2"


def market(ticker: str = "KXAAA-26NOV22-T1", **changes: object) -> dict[str, object]:
    """Return a market record in the shape of the REST documents."""
    return {
        "ticker": ticker,
        "event_ticker": "KXAAA-26NOV22",
        "market_type": "binary",
        "title": "Will A happen?",
        "yes_sub_title": "Above 100.5",
        "no_sub_title": "Not above 100.5",
        "open_time": "2026-11-21T00:00:00Z",
        "close_time": "2026-11-22T00:00:00Z",
        "status": "active",
        "volume_fp": "33896.00",
        "result": "",
        "strike_type": "greater",
        "floor_strike": 100.5,
        "rules_primary": "If A happens, Yes.",
        "price_ranges": [
            {"start": "0.0000", "end": "0.1000", "step": "0.0010"},
            {"start": "0.1000", "end": "1.0000", "step": "0.0100"},
        ],
        "exchange_index": 0,
        **changes,
    }


def event(ticker: str = "KXAAA-26NOV22", **changes: object) -> dict[str, object]:
    """Return an event record with one market."""
    return {
        "event_ticker": ticker,
        "series_ticker": "KXAAA",
        "title": "A on Nov 22",
        "sub_title": "Nov 22",
        "category": "Crypto",
        "strike_date": "2026-11-22T00:00:00Z",
        "mutually_exclusive": True,
        "product_metadata": None,
        "markets": [market(f"{ticker}-T1", event_ticker=ticker)],
        **changes,
    }


def body(**parts: object) -> bytes:
    """Return a JSON answer."""
    return json.dumps(parts).encode()


@pytest.fixture
def catalogue() -> KalshiCatalogue:
    """Return a catalogue of an invented base URL."""
    return KalshiCatalogue({"rest": BASE + "/"})


def test_named_tickers_are_known_at_once(catalogue: KalshiCatalogue) -> None:
    selection = Selection(markets=("A", "B", "A"), events=("E",))
    assert catalogue.immediate(selection) == ("A", "B")


def test_universe_lists_the_open_markets_of_events_and_series(catalogue: KalshiCatalogue) -> None:
    selection = Selection(markets=("A",), events=("E1",), series=("S1",))
    requests, findings = drive(
        catalogue.universe(selection), lambda _: body(markets=[market()], cursor="")
    )
    assert [request.url for request in requests] == [f"{BASE}/markets"] * 2
    assert [request.params[:2] for request in requests] == [
        (("event_ticker", "E1"), ("status", "open")),
        (("series_ticker", "S1"), ("status", "open")),
    ]
    assert [meta.volume for meta in markets_of(findings)] == [33896.0, 33896.0]


def test_universe_of_something_that_is_not_there_is_counted(catalogue: KalshiCatalogue) -> None:
    _, findings = drive(catalogue.universe(Selection(events=("NOPE",))), lambda _: None)
    assert findings == []
    assert catalogue.stats.not_found == 1


def test_nothing_selected_asks_nothing(catalogue: KalshiCatalogue) -> None:
    assert drive(catalogue.universe(Selection(top=5)), lambda _: None) == ([], [])


def test_market_fields_are_those_of_the_contract(catalogue: KalshiCatalogue) -> None:
    _, findings = drive(catalogue.listing(None), lambda _: body(events=[event()], cursor=""))
    (meta,) = markets_of(findings)
    assert msgspec.structs.asdict(meta) == {
        "market_id": "KXAAA-26NOV22-T1",
        "platform": "kalshi",
        "title": "Will A happen?",
        "subtitle": "Above 100.5",
        "event_id": "KXAAA-26NOV22",
        "event_title": "A on Nov 22",
        "category": "Crypto",
        "status": "open",
        "open_time": "2026-11-21T00:00:00Z",
        "close_time": "2026-11-22T00:00:00Z",
        "outcome_yes": "Above 100.5",
        "outcome_no": "Not above 100.5",
        "tick_size": "0.001",
        "url": "https://kalshi.com/markets/kxaaa/a-on-nov-22/kxaaa-26nov22",
        "extras": {
            "series_ticker": "KXAAA",
            "venue_status": "active",
            "market_type": "binary",
            "strike_type": "greater",
            "floor_strike": "100.5",
            "exchange_index": "0",
            "rules_primary": "If A happens, Yes.",
        },
        "volume": 33896.0,
    }


def test_event_fields_are_those_of_the_contract(catalogue: KalshiCatalogue) -> None:
    record = event(product_metadata={"competition": "Pro Football", "other": 1})
    _, findings = drive(catalogue.listing(None), lambda _: body(events=[record], cursor=""))
    (meta,) = events_of(findings)
    assert meta == EventMeta(
        event_id="KXAAA-26NOV22",
        platform="kalshi",
        title="A on Nov 22",
        category="Crypto",
        start_time="2026-11-21T00:00:00Z",
        end_time="2026-11-22T00:00:00Z",
        extras={
            "sub_title": "Nov 22",
            "series_ticker": "KXAAA",
            "mutually_exclusive": "true",
            "url": "https://kalshi.com/markets/kxaaa/a-on-nov-22/kxaaa-26nov22",
            "competition": "Pro Football",
        },
        market_ids=(MarketId("KXAAA-26NOV22-T1"),),
    )


def test_listing_follows_the_cursor_with_the_same_filter(catalogue: KalshiCatalogue) -> None:
    pages = {"": ("E1", "c1"), "c1": ("E2", "c2"), "c2": ("E3", "")}

    def answer(request: Request) -> bytes:
        ticker, cursor = pages[dict(request.params).get("cursor", "")]
        return body(events=[event(ticker)], cursor=cursor)

    requests, findings = drive(catalogue.listing(None), answer)
    assert [meta.event_id for meta in events_of(findings)] == ["E1", "E2", "E3"]
    filters = {("with_nested_markets", "true"), ("limit", "200"), ("status", "open")}
    assert all(filters <= set(request.params) for request in requests)
    assert not any(request.signed for request in requests)


def test_changes_are_asked_for_in_the_combinations_that_are_allowed(
    catalogue: KalshiCatalogue,
) -> None:
    """`min_updated_ts` of markets goes with `mve_filter=exclude` and with no status."""

    def answer(request: Request) -> bytes:
        if request.url.endswith("/events"):
            return body(events=[event()], cursor="")
        return body(markets=[market(title="Changed")], cursor="")

    requests, findings = drive(catalogue.listing(1_795_000_000), answer)
    first, second = requests
    assert ("min_updated_ts", "1795000000") in first.params
    assert "status" not in dict(first.params)
    assert second.url == f"{BASE}/markets"
    assert dict(second.params).keys() == {"min_updated_ts", "mve_filter", "limit"}
    changed = markets_of(findings)[-1]
    assert (changed.title, changed.event_title, changed.category) == (
        "Changed",
        "A on Nov 22",
        "Crypto",
    )


def test_lookup_fetches_the_event_of_a_market_once(catalogue: KalshiCatalogue) -> None:
    asked: list[str] = []

    def answer(request: Request) -> bytes:
        asked.append(request.url.removeprefix(BASE))
        if "/events/" in request.url:
            return body(event=event())
        tickers = dict(request.params)["tickers"].split(",")
        return body(markets=[market(ticker) for ticker in tickers], cursor="")

    ids = [MarketId(f"M{number}") for number in range(130)]
    _, findings = drive(catalogue.lookup(ids), answer)
    assert asked == ["/markets", "/events/KXAAA-26NOV22", "/markets"]
    found = {meta.market_id: meta for meta in markets_of(findings)}
    assert found.keys() >= set(ids)
    assert found[ids[129]].event_title == "A on Nov 22"
    assert all(len(finding.markets) <= MARKETS_A_FINDING for finding in findings)


def test_lookup_reads_the_old_form_of_an_event_answer(catalogue: KalshiCatalogue) -> None:
    def answer(request: Request) -> bytes:
        if "/events/" in request.url:
            return body(event=event(markets=None), markets=[market("OUTSIDE")])
        return body(markets=[market()], cursor=None)

    _, findings = drive(catalogue.lookup([MarketId("A")]), answer)
    assert events_of(findings)[0].market_ids == ("OUTSIDE",)


def test_an_unknown_event_is_asked_for_once(catalogue: KalshiCatalogue) -> None:
    def answer(request: Request) -> bytes | None:
        return None if "/events/" in request.url else body(markets=[market()], cursor="")

    requests, findings = drive(catalogue.lookup([MarketId("A")]), answer)
    assert len(requests) == 2
    requests, findings = drive(catalogue.lookup([MarketId("A")]), answer)
    assert len(requests) == 1
    assert markets_of(findings)[0].event_title == ""
    assert catalogue.stats.not_found == 1


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("initialized", "unopened"),
        ("active", "open"),
        ("inactive", "paused"),
        ("determined", "closed"),
        ("finalized", "settled"),
        ("brand_new", "brand_new"),
        (None, ""),
    ],
)
def test_status_is_one_word_for_both_venues(word: str | None, status: str) -> None:
    assert market_meta(Market(ticker="A", status=word)).status == status


def test_a_market_without_texts_still_has_a_record() -> None:
    meta = market_meta(Market(ticker="A", event_ticker="KXB-1"), EventFacts(title="Event"))
    assert (meta.title, meta.subtitle, meta.tick_size, meta.volume) == ("Event", "", "", 0.0)
    assert meta.extras == {"series_ticker": "KXB"}


def test_facts_that_cannot_be_read_are_absent() -> None:
    record = market(
        open_time="0001-01-01T00:00:00Z",
        volume_fp="many",
        floor_strike=100.0,
        custom_strike={"team": "x"},
        price_ranges=[{"step": "tiny"}, {"step": "0"}],
        result=None,
    )
    meta = market_meta(_market(record))
    assert (meta.open_time, meta.volume, meta.tick_size) == ("", 0.0, "")
    assert meta.extras["floor_strike"] == "100"
    assert meta.extras["custom_strike"] == '{"team":"x"}'
    assert "result" not in meta.extras


def _market(record: dict[str, object]) -> Market:
    return msgspec.json.decode(json.dumps(record).encode(), type=Market)


@pytest.mark.parametrize("metadata", [b"[]", b"{broken", b'{"competition":7}', b"", b"[" * 100_000])
def test_product_metadata_of_any_shape_is_harmless(metadata: bytes) -> None:
    meta = event_meta(Event(event_ticker="E", product_metadata=msgspec.Raw(metadata)), [])
    assert "competition" not in meta.extras
    assert meta.end_time == ""


def test_one_bad_record_does_not_lose_the_page(catalogue: KalshiCatalogue) -> None:
    bad: list[object] = [None, 7, {}, {"event_ticker": ""}, {"event_ticker": 5}, "x"]
    good = event("GOOD", markets=[market("M1"), {"ticker": 1}, {"no": "ticker"}, market("M2")])
    answer = body(events=[*bad, good, event("LAST", markets=None)], cursor="")
    _, findings = drive(catalogue.listing(None), lambda _: answer)
    assert [meta.market_id for meta in markets_of(findings)] == ["M1", "M2"]
    assert [meta.event_id for meta in events_of(findings)] == ["GOOD", "LAST"]
    assert catalogue.stats.skipped == len(bad) + 2
    assert "skipped a record" in catalogue.stats.last_problem


@pytest.mark.parametrize("broken", [b"\xff", b"\\ud83d", b"\xe2\x82"])
def test_half_a_character_costs_that_character_only(
    catalogue: KalshiCatalogue, broken: bytes
) -> None:
    answer = b'{"markets":[{"ticker":"A","title":"x%s"},{"ticker":"B"}],"cursor":""}' % broken
    plan = catalogue.universe(Selection(series=("S",)))
    _, findings = drive(plan, lambda _: answer)
    assert [meta.market_id for meta in markets_of(findings)][-1] == "B"
    assert len(markets_of(findings)) + catalogue.stats.skipped == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"<html>503</html>", "malformed"),
        (b"", "truncated"),
        (b"\xff\xfe", "malformed"),
        (b"[]", "Expected `object`"),
        (b'{"cursor":""}', "no `events`"),
        (b'{"events":{}}', "Expected `array"),
        (b'{"events":[],"cursor":7}', "Expected `str"),
        (b'{"events":[', "truncated"),
        (b'{"events":' + b"[" * 100_000, "recursion"),
        (None, "404"),
    ],
)
def test_an_answer_that_cannot_be_read_is_named(
    catalogue: KalshiCatalogue, answer: bytes | None, reason: str
) -> None:
    with pytest.raises(ProtocolViolation, match=reason) as caught:
        drive(catalogue.listing(None), lambda _: answer)
    assert f"{BASE}/events" in str(caught.value)


def test_an_event_answer_that_cannot_be_read_is_named(catalogue: KalshiCatalogue) -> None:
    def answer(request: Request) -> bytes:
        return b"{}" if "/events/" in request.url else body(markets=[market()], cursor="")

    with pytest.raises(ProtocolViolation, match="/events/KXAAA-26NOV22"):
        drive(catalogue.lookup([MarketId("A")]), answer)


def test_an_event_record_that_cannot_be_read_is_not_asked_for_again(
    catalogue: KalshiCatalogue,
) -> None:
    def answer(request: Request) -> bytes:
        if "/events/" in request.url:
            return body(event={"event_ticker": 5})
        return body(markets=[market("A"), market("B")], cursor="")

    requests, findings = drive(catalogue.lookup([MarketId("A")]), answer)
    assert len(requests) == 2
    assert len(markets_of(findings)) == 2
    assert catalogue.stats.skipped == 1


def test_a_listing_of_null_is_an_empty_one(catalogue: KalshiCatalogue) -> None:
    _, findings = drive(catalogue.listing(None), lambda _: b'{"events":null,"cursor":null}')
    assert findings == []


def test_a_cursor_that_repeats_ends_the_listing_and_is_counted(catalogue: KalshiCatalogue) -> None:
    numbers = iter(range(100))

    def answer(_: Request) -> bytes:
        return body(events=[event(f"E{next(numbers)}")], cursor="again")

    requests, findings = drive(catalogue.listing(None), answer)
    assert len(requests) == 2
    assert len(events_of(findings)) == 2
    assert catalogue.stats.runaways == 1
    assert "came twice" in catalogue.stats.last_problem


def test_the_same_page_under_a_new_cursor_ends_the_listing(catalogue: KalshiCatalogue) -> None:
    numbers = iter(range(100))
    requests, _ = drive(
        catalogue.listing(None),
        lambda _: body(events=[event()], cursor=f"c{next(numbers)}"),
    )
    assert len(requests) == 2
    assert catalogue.stats.runaways == 1


def test_empty_pages_without_end_are_cut_short(catalogue: KalshiCatalogue) -> None:
    numbers = iter(range(100))
    requests, _ = drive(
        catalogue.listing(None), lambda _: body(events=[], cursor=f"c{next(numbers)}")
    )
    assert len(requests) == MAX_EMPTY_PAGES + 1
    assert catalogue.stats.runaways == 1


def test_a_listing_without_end_is_cut_short(
    catalogue: KalshiCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbees_feed.core.paging.MAX_PAGES", 4)
    numbers = iter(range(100))

    def answer(_: Request) -> bytes:
        number = next(numbers)
        return body(events=[event(f"E{number}")], cursor=f"c{number}")

    requests, _ = drive(catalogue.listing(None), answer)
    assert len(requests) == 4
    assert "no end" in catalogue.stats.last_problem


def test_a_big_event_comes_in_parts_and_is_told_once(catalogue: KalshiCatalogue) -> None:
    big = event(markets=[market(f"M{number}") for number in range(180)])
    _, findings = drive(catalogue.listing(None), lambda _: body(events=[big], cursor=""))
    assert max(len(found.markets) for found in findings) <= MARKETS_A_FINDING
    (meta,) = events_of(findings)
    assert len(meta.market_ids) == 180


def test_remembered_events_are_bounded(
    catalogue: KalshiCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbees_feed.venues.kalshi.catalogue.EVENTS_REMEMBERED", 3)
    events = [event(f"E{number}") for number in range(10)]
    drive(catalogue.listing(None), lambda _: body(events=events, cursor=""))
    assert list(catalogue._facts) == ["E7", "E8", "E9"]


def corpus(name: str) -> object:
    """Return a recorded REST body."""
    folder = os.environ.get("ARBEES_CORPUS")
    if not folder:
        pytest.skip("ARBEES_CORPUS does not name a folder of recordings")
    return json.loads((Path(folder) / "kalshi" / "rest" / name).read_text())


def test_recorded_events_are_read_whole(catalogue: KalshiCatalogue) -> None:
    recorded = corpus("cockpit_202608_events_sports_nested.json")
    assert isinstance(recorded, list)
    _, findings = drive(catalogue.listing(None), lambda _: body(events=recorded, cursor=""))
    metas = markets_of(findings)
    assert (len(events_of(findings)), len(metas)) == (32, 245)
    assert catalogue.stats.skipped == 0
    assert all(m.title and m.event_title and m.tick_size and m.close_time for m in metas)
    assert {m.category for m in metas} == {"Sports"}


def test_recorded_settled_markets_are_read_whole(catalogue: KalshiCatalogue) -> None:
    recorded = corpus("cockpit_202608_markets_settled.json")
    assert isinstance(recorded, dict)
    _, findings = drive(
        catalogue.universe(Selection(series=("S",))),
        lambda _: body(markets=recorded["markets"], cursor=""),
    )
    metas = markets_of(findings)
    assert len(metas) == len(recorded["markets"]) > 10
    assert catalogue.stats.skipped == 0
    assert {m.status for m in metas} <= {"closed", "settled"}


def test_recorded_event_answer_is_read_whole(catalogue: KalshiCatalogue) -> None:
    recorded = corpus("gold15m_events/KXGOLD15M-26AUG050000.json")
    assert isinstance(recorded, dict)
    response = recorded["response"]

    def answer(request: Request) -> bytes:
        if "/events/" in request.url:
            return json.dumps(response).encode()
        return body(markets=response["markets"], cursor="")

    _, findings = drive(catalogue.lookup([MarketId("KXGOLD15M-26AUG050000-00")]), answer)
    meta = markets_of(findings)[-1]
    assert meta.event_title == "Gold 15 min \u00b7 $4,128.56 target"
    assert (meta.status, meta.extras["result"]) == ("settled", "no")
    assert meta.extras["floor_strike"] == "4128.56"


@pytest.mark.parametrize(
    "name",
    ["obstacle_golden_events_list_response.json", "obstacle_golden_markets_list_response.json"],
)
def test_older_recordings_are_read(catalogue: KalshiCatalogue, name: str) -> None:
    recorded = corpus(name)
    assert isinstance(recorded, dict)
    response = recorded["response"] | {"cursor": ""}
    plan = catalogue.listing(None)
    if "markets" in response:
        plan = catalogue.universe(Selection(series=("S",)))
    _, findings = drive(plan, lambda _: json.dumps(response).encode())
    assert catalogue.stats.skipped == 0
    assert markets_of(findings) or events_of(findings)


def test_deeply_nested_strikes_are_harmless() -> None:
    raw = msgspec.Raw(b"[" * 100_000)
    assert "custom_strike" not in market_meta(Market(ticker="A", custom_strike=raw)).extras
