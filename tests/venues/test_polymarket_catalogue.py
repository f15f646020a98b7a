"""Polymarket's catalogue, driven without any I/O: requests out, bodies in."""

import gzip
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
from arbees_feed.venues.polymarket.catalogue import (
    IDS_A_REQUEST,
    MARKETS_A_FINDING,
    PolymarketCatalogue,
)
from arbees_feed.venues.polymarket.catalogue_messages import Event, Market, text_list
from arbees_feed.venues.polymarket.catalogue_meta import (
    category,
    instant,
    is_tradable,
    market_meta,
    tokens,
)

BASE = "https://gamma.test"
Json = dict[str, object]


def yes(number: int) -> str:
    """Return an invented YES token id."""
    return str(10**76 + 2 * number)


def no(number: int) -> str:
    """Return the NO token id that belongs to it."""
    return str(10**76 + 2 * number + 1)


def market(number: int = 1, **changes: object) -> Json:
    """Return a market record in the shape of the REST documents."""
    return {
        "id": str(number),
        "version": "v1",
        "question": f"Will {number} happen?",
        "slug": f"will-{number}-happen",
        "conditionId": f"0x{number:064x}",
        "outcomes": '["Yes", "No"]',
        "outcomePrices": '["0.5", "0.5"]',
        "clobTokenIds": json.dumps([yes(number), no(number)]),
        "positionIds": [],
        "active": True,
        "closed": False,
        "archived": False,
        "acceptingOrders": True,
        "enableOrderBook": True,
        "negRisk": False,
        "orderPriceMinTickSize": 0.0025,
        "orderMinSize": 5,
        "volume": "1234.5",
        "volumeNum": 1234.5,
        "startDate": "2026-10-01T00:00:00Z",
        "endDate": "2026-12-31T00:00:00Z",
        "gameStartTime": "2026-10-04 14:25:00+00",
        "groupItemTitle": "",
        "description": "It resolves.",
        "events": [{"id": "90177", "slug": "x", "title": "X?", "negRisk": False}],
        **changes,
    }


def event(number: int = 90177, **changes: object) -> Json:
    """Return an event record with one market."""
    nested = {key: value for key, value in market().items() if key != "events"}
    return {
        "id": str(number),
        "slug": "x",
        "title": "X?",
        "startDate": "2026-10-01T00:00:00Z",
        "endDate": "2026-12-31T00:00:00Z",
        "negRisk": False,
        "tags": [
            {"label": "All", "slug": "all", "forceHide": True},
            {"label": "US Election", "slug": "us-election"},
            {"label": "Politics", "slug": "politics", "forceHide": True},
        ],
        "markets": [nested],
        **changes,
    }


def record(**changes: object) -> Market:
    """Return a decoded market."""
    return msgspec.json.decode(json.dumps(market(**changes)).encode(), type=Market)


def body(**parts: object) -> bytes:
    """Return a JSON answer."""
    return json.dumps(parts).encode()


class Gamma:
    """Answers like the keyset endpoints, from a few records."""

    def __init__(self, markets: list[Json], events: list[Json]) -> None:
        self.markets = markets
        self.events = events

    def __call__(self, request: Request) -> bytes | None:
        kind = request.url.removeprefix(BASE)
        if kind == "/markets/keyset":
            return body(markets=[m for m in self.markets if _matches(m, request.params)])
        if kind == "/events/keyset":
            return body(events=self.events)
        wanted = kind.removeprefix("/events/")
        return next((body(**e) for e in self.events if e["id"] == wanted), None)


def _matches(market: Json, params: tuple[tuple[str, str], ...]) -> bool:
    tokens = json.loads(str(market["clobTokenIds"]))
    having = {
        "clob_token_ids": tokens,
        "condition_ids": [market["conditionId"]],
        "slug": [market["slug"]],
    }
    for name, values in having.items():
        wanted = [value for key, value in params if key == name]
        if wanted and not set(wanted) & set(values):
            return False
    return dict(params)["closed"] == ("true" if market["closed"] else "false")


@pytest.fixture
def catalogue() -> PolymarketCatalogue:
    """Return a catalogue of an invented base URL."""
    return PolymarketCatalogue({"gamma": BASE + "/", "clob": "https://clob.test"})


def test_token_ids_are_known_at_once(catalogue: PolymarketCatalogue) -> None:
    named = (yes(1), "a-slug", f"0x{1:064x}", yes(1), "½")
    assert catalogue.immediate(Selection(markets=named)) == (yes(1),)


def test_market_fields_are_those_of_the_contract(catalogue: PolymarketCatalogue) -> None:
    _, findings = drive(catalogue.listing(None), lambda _: body(events=[event()]))
    (meta,) = markets_of(findings)
    assert msgspec.structs.asdict(meta) == {
        "market_id": yes(1),
        "platform": "polymarket",
        "title": "Will 1 happen?",
        "subtitle": "",
        "event_id": "90177",
        "event_title": "X?",
        "category": "Politics",
        "status": "open",
        "open_time": "2026-10-01T00:00:00Z",
        "close_time": "2026-12-31T00:00:00Z",
        "outcome_yes": "Yes",
        "outcome_no": "No",
        "tick_size": "0.0025",
        "url": "https://polymarket.com/event/x/will-1-happen",
        "extras": {
            "condition_id": f"0x{1:064x}",
            "no_token_id": no(1),
            "slug": "will-1-happen",
            "event_slug": "x",
            "question": "Will 1 happen?",
            "version": "v1",
            "neg_risk": "false",
            "min_order_size": "5",
            "game_start_time": "2026-10-04T14:25:00Z",
            "description": "It resolves.",
        },
        "volume": 1234.5,
    }


def test_event_fields_are_those_of_the_contract(catalogue: PolymarketCatalogue) -> None:
    _, findings = drive(catalogue.listing(None), lambda _: body(events=[event()]))
    assert events_of(findings) == [
        EventMeta(
            event_id="90177",
            platform="polymarket",
            title="X?",
            category="Politics",
            start_time="2026-10-01T00:00:00Z",
            end_time="2026-12-31T00:00:00Z",
            extras={
                "slug": "x",
                "tags": "all,us-election,politics",
                "neg_risk": "false",
                "url": "https://polymarket.com/event/x",
            },
            market_ids=(MarketId(yes(1)),),
        )
    ]


def test_the_version_decides_which_ids_are_the_tokens() -> None:
    """Both lists may be filled; protocol v2 trades `positionIds`."""
    both = {"positionIds": ["7", "8"], "conditionId": "0x01" + "a" * 60}
    assert tokens(record(version="v2", **both)) == ("7", "8")
    assert tokens(record(version="v1", **both)) == (yes(1), no(1))
    assert tokens(record(version=None, **both)) == (yes(1), no(1))


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b'"[\\"1\\", \\"2\\"]"', ["1", "2"]),
        (b'["1","2"]', ["1", "2"]),
        (b"null", []),
        (b'""', []),
        (b'"[]"', []),
        (b"", []),
    ],
)
def test_lists_are_read_however_they_are_wrapped(wire: bytes, expected: list[str]) -> None:
    assert text_list(msgspec.Raw(wire)) == expected


@pytest.mark.parametrize("wire", [b"7", b'"{}"', b"[" * 100_000, b"[1]", b'"[1"', b'"text"', b"{"])
def test_what_is_no_list_of_texts_is_said(wire: bytes) -> None:
    with pytest.raises(ValueError, match="is not a list"):
        text_list(msgspec.Raw(wire))


@pytest.mark.parametrize(
    "changes",
    [
        {"clobTokenIds": None},
        {"clobTokenIds": "[]"},
        {"clobTokenIds": '["1"]'},
        {"clobTokenIds": '["1", "2", "3"]'},
        {"clobTokenIds": '["1", "0x2"]'},
        {"clobTokenIds": '["1", "²"]'},
        {"clobTokenIds": 5},
        {"outcomes": '["A", "B", "C"]'},
        {"conditionId": None},
        {"question": 7},
    ],
)
def test_a_market_that_is_not_binary_is_skipped_and_counted(
    catalogue: PolymarketCatalogue, changes: Json
) -> None:
    nested = [market(1, **changes), market(2)]
    _, findings = drive(catalogue.listing(None), lambda _: body(events=[event(markets=nested)]))
    assert [meta.market_id for meta in markets_of(findings)] == [yes(2)]
    assert catalogue.stats.skipped == 1
    assert "skipped a record" in catalogue.stats.last_problem


def test_named_markets_are_resolved_by_token_condition_and_slug(
    catalogue: PolymarketCatalogue,
) -> None:
    gamma = Gamma([market(number) for number in range(1, 5)], [])
    selection = Selection(markets=(yes(1), f"0x{2:064x}", "will-3-happen"))
    requests, findings = drive(catalogue.universe(selection), gamma)
    assert [meta.market_id for meta in markets_of(findings)] == [yes(1), yes(2), yes(3)]
    assert [request.params[0][0] for request in requests] == [
        "clob_token_ids",
        "condition_ids",
        "slug",
    ]
    assert catalogue.stats.not_found == 0


def test_a_no_token_leads_to_its_market(catalogue: PolymarketCatalogue) -> None:
    _, findings = drive(catalogue.universe(Selection(markets=(no(1),))), Gamma([market(1)], []))
    (meta,) = markets_of(findings)
    assert (meta.market_id, meta.extras["no_token_id"]) == (yes(1), no(1))


def test_both_lengths_of_condition_ids_are_condition_ids(catalogue: PolymarketCatalogue) -> None:
    named = ("0x" + "a" * 62, "0x" + "b" * 64, "0x" + "c" * 63)
    requests, _ = drive(catalogue.universe(Selection(markets=named)), Gamma([], []))
    assert [request.params[:-2] for request in requests] == [
        (("condition_ids", named[0]), ("condition_ids", named[1])),
        (("slug", named[2]),),
    ]


def test_named_markets_that_are_not_there_are_counted(catalogue: PolymarketCatalogue) -> None:
    selection = Selection(markets=("will-1-happen", "nonsense"))
    drive(catalogue.universe(selection), Gamma([market(1)], []))
    assert catalogue.stats.not_found == 1
    assert "will-1-happen, nonsense" in catalogue.stats.last_problem


def test_many_names_go_in_several_short_requests(catalogue: PolymarketCatalogue) -> None:
    names = tuple(yes(number) for number in range(100))
    requests, _ = drive(catalogue.universe(Selection(markets=names)), Gamma([], []))
    assert len(requests) == -(-len(names) // IDS_A_REQUEST)
    for request in requests:
        assert sum(len(f"{key}={value}&") for key, value in request.params) < 4_000


@pytest.mark.parametrize("flag", ["active", "enableOrderBook", "acceptingOrders"])
def test_what_takes_no_orders_is_not_tradable(flag: str) -> None:
    assert is_tradable(record())
    assert not is_tradable(record(**{flag: False}))
    assert not is_tradable(record(**{flag: None}))
    assert not is_tradable(record(closed=True))


def test_universe_of_events_and_tags_has_tradable_markets_only(
    catalogue: PolymarketCatalogue,
) -> None:
    nested = [market(1), market(2, closed=True), market(3, acceptingOrders=False), market(4)]
    gamma = Gamma([], [event(markets=[*nested, market(5, clobTokenIds="[]")])])
    selection = Selection(events=("x", "y"), tags=("politics",))
    requests, findings = drive(catalogue.universe(selection), gamma)
    assert [meta.market_id for meta in markets_of(findings)] == [yes(1), yes(4)] * 2
    assert requests[0].params[:3] == (("slug", "x"), ("slug", "y"), ("closed", "false"))
    assert requests[1].params[:2] == (("tag_slug", "politics"), ("closed", "false"))


def test_an_event_without_markets_selects_nothing(catalogue: PolymarketCatalogue) -> None:
    gamma = Gamma([], [event(markets=None)])
    _, findings = drive(catalogue.universe(Selection(events=("x",))), gamma)
    assert markets_of(findings) == []


def test_the_most_traded_are_taken_until_there_are_enough(catalogue: PolymarketCatalogue) -> None:
    def answer(request: Request) -> bytes:
        start = int(dict(request.params).get("after_cursor", "0"))
        markets = [market(n, acceptingOrders=n % 2 == 0) for n in range(start, start + 100)]
        return body(markets=markets, next_cursor=str(start + 100))

    requests, findings = drive(catalogue.universe(Selection(top=80)), answer)
    assert [meta.market_id for meta in markets_of(findings)] == [yes(2 * n) for n in range(80)]
    assert len(requests) == 2
    params = dict(requests[0].params)
    assert params == {
        "order": "volumeNum",
        "ascending": "false",
        "closed": "false",
        "limit": "100",
    }


def test_the_most_traded_are_not_asked_for_when_something_is_named(
    catalogue: PolymarketCatalogue,
) -> None:
    selection = Selection(events=("x",), top=10)
    requests, _ = drive(catalogue.universe(selection), Gamma([], []))
    assert [request.url for request in requests] == [f"{BASE}/events/keyset"]
    assert drive(catalogue.universe(Selection()), Gamma([], [])) == ([], [])


def test_listing_follows_the_cursor_with_the_same_filter(catalogue: PolymarketCatalogue) -> None:
    pages: dict[str, tuple[int, str | None]] = {"": (1, "c1"), "c1": (2, "c2"), "c2": (3, None)}

    def answer(request: Request) -> bytes:
        number, cursor = pages[dict(request.params).get("after_cursor", "")]
        return body(events=[event(number)], next_cursor=cursor)

    requests, findings = drive(catalogue.listing(None), answer)
    assert [meta.event_id for meta in events_of(findings)] == ["1", "2", "3"]
    assert all(("closed", "false") in request.params for request in requests)


def test_lookup_finds_open_and_closed_markets(catalogue: PolymarketCatalogue) -> None:
    """Gamma's default is to leave closed markets out."""
    closed = market(
        2, closed=True, umaResolutionStatus="resolved", outcomePrices='["0", "1"]', events=[]
    )
    gamma = Gamma([market(1), closed], [event()])
    ids = [MarketId(token) for token in (no(1), yes(2), yes(3))]
    requests, findings = drive(catalogue.lookup(ids), gamma)
    first, second = markets_of(findings)[-2:]
    assert (second.market_id, second.status, second.extras["result"]) == (yes(2), "settled", "no")
    assert first.market_id == yes(1)
    assert f"{BASE}/events/90177" in [request.url for request in requests]
    last = [value for key, value in requests[-1].params if key == "clob_token_ids"]
    assert last == [yes(2), yes(3)]
    assert catalogue.stats.not_found == 1


def test_a_looked_up_market_has_its_events_category(catalogue: PolymarketCatalogue) -> None:
    """The short form of the event in a market has no tags."""
    gamma = Gamma([market(1)], [event()])
    drive(catalogue.listing(None), gamma)
    requests, findings = drive(catalogue.lookup([MarketId(yes(1))]), gamma)
    assert len(requests) == 1
    assert markets_of(findings)[0].category == "Politics"


def test_an_event_that_is_gone_leaves_its_short_form(catalogue: PolymarketCatalogue) -> None:
    gamma = Gamma([market(1)], [])
    for _ in range(2):
        requests, findings = drive(catalogue.lookup([MarketId(yes(1))]), gamma)
        assert markets_of(findings)[0].event_title == "X?"
    assert len(requests) == 1


def test_what_ended_since_the_last_listing_is_looked_up(catalogue: PolymarketCatalogue) -> None:
    gamma = Gamma([market(1, closed=True), market(2)], [event(markets=[market(1), market(2)])])
    drive(catalogue.listing(None), gamma)
    gamma.events = [event(markets=[market(2)])]
    _, findings = drive(catalogue.listing(None), gamma)
    assert [(m.market_id, m.status) for m in markets_of(findings)] == [
        (yes(2), "open"),
        (yes(1), "closed"),
    ]
    requests, _ = drive(catalogue.listing(None), gamma)
    assert len(requests) == 1


def test_a_listing_cut_short_says_nothing_of_what_ended(catalogue: PolymarketCatalogue) -> None:
    drive(catalogue.listing(None), Gamma([], [event()]))
    numbers = iter(range(100))
    requests, _ = drive(
        catalogue.listing(None), lambda _: body(events=[], next_cursor=f"c{next(numbers)}")
    )
    assert len(requests) == MAX_EMPTY_PAGES + 1
    assert catalogue.stats.runaways == 1


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "open"),
        ({"active": False}, "unopened"),
        ({"acceptingOrders": False}, "paused"),
        ({"enableOrderBook": False}, "paused"),
        ({"closed": True}, "closed"),
        ({"closed": True, "umaResolutionStatus": "resolved"}, "settled"),
        ({"archived": True}, "closed"),
    ],
)
def test_status_is_one_word_for_both_venues(changes: Json, status: str) -> None:
    assert market_meta(record(**changes)).status == status


@pytest.mark.parametrize(
    ("prices", "result"),
    [('["1", "0"]', "yes"), ('["0", "1"]', "no"), ('["0.5", "0.5"]', None), ("broken", None)],
)
def test_a_result_is_told_once_it_is_final(prices: str, result: str | None) -> None:
    assert "result" not in market_meta(record(outcomePrices=prices)).extras
    assert market_meta(record(outcomePrices=prices, closed=True)).extras.get("result") == result


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ("2026-04-05 15:10:00+00", "2026-04-05T15:10:00Z"),
        ("2026-03-11T09:29:01.328428Z", "2026-03-11T09:29:01.328428Z"),
        ("2026-03-11T09:29:01-05:00", "2026-03-11T14:29:01Z"),
        ("2026-03-11", "2026-03-11T00:00:00Z"),
        ("", ""),
        (None, ""),
        ("soon", ""),
        ("0001-01-01T00:00:00+09:00", ""),
    ],
)
def test_times_are_told_in_one_form(wire: str | None, expected: str) -> None:
    assert instant(wire) == expected


def test_facts_that_cannot_be_read_are_absent() -> None:
    meta = market_meta(
        record(
            orderPriceMinTickSize="fine",
            volumeNum="nan",
            volume="12.5",
            line=2.0,
            slug=None,
            outcomes=None,
            question=None,
        )
    )
    assert (meta.tick_size, meta.volume, meta.url, meta.outcome_yes) == ("", 12.5, "", "")
    assert meta.extras["line"] == "2"
    assert market_meta(record(volumeNum="1e999", volume=True)).volume == 1.0
    assert market_meta(record()).url == "https://polymarket.com/market/will-1-happen"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Politics"),
        ({"category": "Own"}, "Own"),
        ({"tags": [{"label": "Hidden", "slug": "h", "forceHide": True}, {"label": "B"}]}, "B"),
        ({"tags": None}, ""),
    ],
)
def test_category_is_the_most_telling_tag(changes: Json, expected: str) -> None:
    assert category(msgspec.convert(event(**changes | {"markets": None}), Event)) == expected


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"<html>403</html>", "malformed"),
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"next_cursor":""}', "no `events`"),
        (b'{"events":"no"}', "Expected `array"),
        (b'{"events":[],"next_cursor":7}', "Expected `str"),
        (b'{"events":' + b"[" * 100_000, "recursion"),
        (None, "404"),
    ],
)
def test_an_answer_that_cannot_be_read_is_named(
    catalogue: PolymarketCatalogue, answer: bytes | None, reason: str
) -> None:
    with pytest.raises(ProtocolViolation, match=reason) as caught:
        drive(catalogue.listing(None), lambda _: answer)
    assert f"{BASE}/events/keyset" in str(caught.value)


def test_one_bad_record_does_not_lose_the_page(catalogue: PolymarketCatalogue) -> None:
    bad: list[object] = [None, 7, {}, {"id": None}, "x", {"id": "1", "tags": "many"}]
    _, findings = drive(catalogue.listing(None), lambda _: body(events=[*bad, event()]))
    assert [meta.event_id for meta in events_of(findings)] == ["90177"]
    assert catalogue.stats.skipped == len(bad)


def test_half_a_character_does_not_lose_the_page(catalogue: PolymarketCatalogue) -> None:
    answer = body(events=[event(title="cut \ud83d")])
    _, findings = drive(catalogue.listing(None), lambda _: answer)
    assert markets_of(findings)[0].event_title == "cut ?"


def test_a_cursor_that_repeats_ends_the_listing_and_is_counted(
    catalogue: PolymarketCatalogue,
) -> None:
    numbers = iter(range(100))
    requests, _ = drive(
        catalogue.listing(None),
        lambda _: body(events=[event(next(numbers))], next_cursor="again"),
    )
    assert len(requests) == 2
    assert "came twice" in catalogue.stats.last_problem


def test_the_same_page_under_a_new_cursor_ends_the_listing(catalogue: PolymarketCatalogue) -> None:
    numbers = iter(range(100))
    requests, _ = drive(
        catalogue.listing(None),
        lambda _: body(events=[event()], next_cursor=f"c{next(numbers)}"),
    )
    assert len(requests) == 2
    assert catalogue.stats.runaways == 1


def test_a_listing_without_end_is_cut_short(
    catalogue: PolymarketCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbees_feed.core.paging.MAX_PAGES", 4)
    numbers = iter(range(100))

    def answer(_: Request) -> bytes:
        number = next(numbers)
        return body(events=[event(number)], next_cursor=f"c{number}")

    requests, _ = drive(catalogue.listing(None), answer)
    assert len(requests) == 4


def test_a_big_event_comes_in_parts_and_is_told_once(catalogue: PolymarketCatalogue) -> None:
    big = event(markets=[market(number) for number in range(180)])
    _, findings = drive(catalogue.listing(None), lambda _: body(events=[big]))
    assert max(len(found.markets) for found in findings) <= MARKETS_A_FINDING
    assert [len(meta.market_ids) for meta in events_of(findings)] == [180]


def test_remembered_events_are_bounded(
    catalogue: PolymarketCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbees_feed.venues.polymarket.catalogue.EVENTS_REMEMBERED", 3)
    events = [event(number) for number in range(10)]
    drive(catalogue.listing(None), lambda _: body(events=events))
    assert list(catalogue._facts) == ["7", "8", "9"]


def corpus(name: str) -> bytes:
    """Return a recorded REST body."""
    folder = os.environ.get("ARBEES_CORPUS")
    if not folder:
        pytest.skip("ARBEES_CORPUS does not name a folder of recordings")
    return (Path(folder) / "polymarket" / "rest" / name).read_bytes()


def test_recorded_event_is_read_whole(catalogue: PolymarketCatalogue) -> None:
    recorded = json.loads(corpus("nautilus_rs_gamma_event.json"))
    _, findings = drive(catalogue.listing(None), lambda _: body(events=recorded))
    metas = markets_of(findings)
    assert [len(meta.market_ids) for meta in events_of(findings)] == [len(metas)] == [2]
    assert metas[0].subtitle == "Stephen A. Smith"
    assert metas[0].category == "Politics"
    assert catalogue.stats.skipped == 0


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("nautilus_rs_gamma_market.json", "open"),
        ("nautilus_rs_gamma_market_sports_market_money_line.json", "settled"),
        ("nautilus_rs_gamma_market_sports_market_map_handicap.json", "settled"),
        ("nautilus_rs_gamma_market_closed_binary_accepting_false.json", "settled"),
        ("nautilus_rs_gamma_market_closed_binary_accepting_true.json", "closed"),
    ],
)
def test_recorded_markets_are_read_whole(
    catalogue: PolymarketCatalogue, name: str, status: str
) -> None:
    recorded = json.loads(corpus(name))

    def answer(request: Request) -> bytes | None:
        return body(markets=[recorded]) if request.url.endswith("keyset") else None

    _, findings = drive(catalogue.lookup([MarketId("1")]), answer)
    meta = markets_of(findings)[0]
    assert catalogue.stats.skipped == 0
    assert (meta.status, meta.market_id) == (status, json.loads(recorded["clobTokenIds"])[0])
    assert meta.title == recorded["question"]


def test_recorded_day_of_markets_is_read_whole(catalogue: PolymarketCatalogue) -> None:
    lines = gzip.decompress(corpus("ligengxin96_BTC-5m-markets-2026-07-24.jsonl.gz")).splitlines()
    rows = [json.loads(line) for line in lines]
    _, findings = drive(
        catalogue.lookup([MarketId("1")]), lambda _: body(markets=[row["raw"] for row in rows])
    )
    metas = findings[0].markets
    assert [meta.market_id for meta in metas] == [row["token_ids"][0] for row in rows]
    assert [meta.extras["condition_id"] for meta in metas] == [row["condition_id"] for row in rows]
    results = {("1", "0"): "yes", ("0", "1"): "no"}
    for meta, row in zip(metas, rows, strict=True):
        assert meta.extras.get("result") == results.get(tuple(row["outcome_prices"]))
