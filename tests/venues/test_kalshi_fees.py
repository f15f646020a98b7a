"""Kalshi's fees: told by series, overridden by events, carried by the metadata of markets."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.crawls import drive, markets_of

from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Crawl, Found, Request
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.kalshi import catalogue_fees
from arbees_feed.venues.kalshi.catalogue import SERIES_AT_ONCE, KalshiCatalogue
from arbees_feed.venues.kalshi.catalogue_fees import Fees, SeriesFees, fees_told

BASE = "https://kalshi.test/trade-api/v2"


def series(ticker: str = "KXAAA", **changes: object) -> dict[str, object]:
    """Return a series record in the shape of the REST documents."""
    return {"ticker": ticker, "title": "A", "fee_type": "quadratic", "fee_multiplier": 1, **changes}


def event(ticker: str = "KXAAA-1", **changes: object) -> dict[str, object]:
    """Return an event record with one market."""
    market = {"ticker": f"{ticker}-T1", "event_ticker": ticker, "status": "active"}
    overrides = {"fee_type_override": None, "fee_multiplier_override": None}
    named = {"event_ticker": ticker, "series_ticker": ticker.partition("-")[0], "title": "A on 1"}
    return {**named, **overrides, "markets": [market], **changes}


class Site:
    """Answers by the last part of the path; what is not there is not found."""

    def __init__(self, **bodies: object) -> None:
        self.bodies = bodies
        self.asked: list[Request] = []

    def run(self, plan: Crawl) -> list[Found]:
        """Run a crawl to its end; return what it found."""
        asked, findings = drive(plan, self._answer)
        self.asked += asked
        return findings

    def _answer(self, request: Request) -> bytes | None:
        body = self.bodies.get(request.url.rpartition("/")[2])
        return body if body is None or isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture
def catalogue() -> KalshiCatalogue:
    """Return a catalogue of an invented base URL."""
    return KalshiCatalogue({"rest": BASE})


def learn(catalogue: KalshiCatalogue, *records: object) -> bool:
    """Tell *catalogue* these series; return whether it says that markets were told otherwise."""
    return any(found.outdated for found in Site(series={"series": records}).run(catalogue.fees()))


def listed(catalogue: KalshiCatalogue, *events: object) -> Mapping[str, Any]:
    """List *events*; return the fee fields of each market by its id."""
    findings = Site(events={"events": events, "cursor": ""}).run(catalogue.listing(None))
    metas = markets_of(findings)
    names = ("fee_type", "fee_multiplier")
    return {m.market_id: tuple(m.extras.get(name) for name in names) for m in metas}


def test_all_series_are_asked_for_at_once_unsigned(catalogue: KalshiCatalogue) -> None:
    site = Site(series={"series": [series()]})
    site.run(catalogue.fees())
    assert site.asked == [Request(f"{BASE}/series")]


def test_markets_have_the_fees_of_their_series(catalogue: KalshiCatalogue) -> None:
    learn(
        catalogue,
        series("KXAAA"),
        series("KXBBB", fee_type="quadratic_with_maker_fees", fee_multiplier=0.5),
    )
    assert listed(catalogue, event("KXAAA-1"), event("KXBBB-1"), event("KXCCC-1")) == {
        "KXAAA-1-T1": ("quadratic", "1"),
        "KXBBB-1-T1": ("quadratic_with_maker_fees", "0.5"),
        "KXCCC-1-T1": (None, None),
    }


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ({"fee_multiplier_override": 0}, ("quadratic", "0")),
        ({"fee_multiplier_override": 2.5}, ("quadratic", "2.5")),
        ({"fee_type_override": "flat"}, ("flat", "1")),
        ({"fee_type_override": "flat", "fee_multiplier_override": 3.0}, ("flat", "3")),
    ],
)
def test_what_an_event_overrides_wins(
    catalogue: KalshiCatalogue, override: Mapping[str, object], expected: tuple[str, str]
) -> None:
    learn(catalogue, series())
    assert listed(catalogue, event(**override), event("KXAAA-2")) == {
        "KXAAA-1-T1": expected,
        "KXAAA-2-T1": ("quadratic", "1"),
    }


def test_an_override_is_told_though_its_series_is_not(catalogue: KalshiCatalogue) -> None:
    told = listed(catalogue, event(fee_type_override="flat", fee_multiplier_override=1))
    assert told == {"KXAAA-1-T1": ("flat", "1")}


def test_a_market_that_is_looked_up_has_the_fees_too(catalogue: KalshiCatalogue) -> None:
    learn(catalogue, series("KXAAA"), series("KXB", fee_multiplier=2))
    told = event("KXAAA-1", fee_type_override="flat")
    stray = {"ticker": "KXB-1-T1", "event_ticker": "KXB-1"}
    site = Site(
        **{"markets": {"markets": [*told["markets"], stray]}, "KXAAA-1": {"event": told}}  # type: ignore[misc]
    )
    findings = site.run(catalogue.lookup([MarketId("KXAAA-1-T1"), MarketId("KXB-1-T1")]))
    metas = {meta.market_id: meta.extras for found in findings for meta in found.markets}
    assert metas[MarketId("KXAAA-1-T1")]["fee_type"] == "flat"
    assert metas[MarketId("KXB-1-T1")]["fee_multiplier"] == "2"


@pytest.mark.parametrize(
    "bad",
    [
        {"fee_multiplier_override": "much"},
        {"fee_multiplier_override": True},
        {"fee_multiplier_override": -1},
        {"fee_type_override": 7},
    ],
)
def test_an_override_that_cannot_be_read_costs_nothing_else(
    catalogue: KalshiCatalogue, bad: Mapping[str, object]
) -> None:
    learn(catalogue, series())
    assert listed(catalogue, event(**bad)) == {"KXAAA-1-T1": ("quadratic", "1")}
    assert catalogue.stats.skipped == 1
    assert "KXAAA-1: fee" in catalogue.stats.last_problem


@pytest.mark.parametrize(
    "bad",
    [
        "KXBAD",
        None,
        {},
        {"ticker": ""},
        {"ticker": 7},
        series("KXBAD", fee_type=["quadratic"]),
        series("KXBAD", fee_type=True),
        series("KXBAD", fee_type="q" * 81),
        series("KXBAD", fee_multiplier="much"),
        series("KXBAD", fee_multiplier=True),
        series("KXBAD", fee_multiplier=-0.1),
        series("KXBAD", fee_multiplier=10**400),
        series("KXBAD", fee_multiplier="NaN"),
    ],
)
def test_a_series_that_cannot_be_read_is_skipped_and_counted(
    catalogue: KalshiCatalogue, bad: object
) -> None:
    learn(catalogue, bad, series("KXAAA"))
    assert (catalogue.stats.records, catalogue.stats.skipped) == (2, 1)
    assert len(catalogue.stats.last_problem) < 300
    assert listed(catalogue, event("KXBAD-1"), event("KXAAA-1")) == {
        "KXBAD-1-T1": (None, None),
        "KXAAA-1-T1": ("quadratic", "1"),
    }


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", b"{}", b'{"series": {}}', b'{"series"', b"[" * 100_000]
)
def test_an_answer_that_cannot_be_read_is_named_and_nothing_is_forgotten(
    catalogue: KalshiCatalogue, answer: bytes
) -> None:
    learn(catalogue, series())
    with pytest.raises(ProtocolViolation, match="/series"):
        Site(series=answer).run(catalogue.fees())
    assert listed(catalogue, event()) == {"KXAAA-1-T1": ("quadratic", "1")}


def test_series_that_are_not_told_any_more_are_remembered(catalogue: KalshiCatalogue) -> None:
    learn(catalogue, series())
    for answer in ({"series": []}, {"series": None}):
        assert Site(series=answer).run(catalogue.fees()) == []
    Site().run(catalogue.fees())
    assert catalogue.stats.not_found == 1
    assert listed(catalogue, event()) == {"KXAAA-1-T1": ("quadratic", "1")}


def test_only_other_fees_of_listed_markets_make_what_was_told_outdated(
    catalogue: KalshiCatalogue,
) -> None:
    assert not learn(catalogue, series("KXAAA"))  # nothing was told before
    listed(catalogue, event("KXAAA-1"), event("KXB-1", series_ticker=None))
    assert not learn(catalogue, series("KXAAA"))
    assert not learn(catalogue, series("KXAAA"), series("KXCCC"))
    assert learn(catalogue, series("KXAAA", fee_multiplier=2))
    assert learn(catalogue, series("KXB"))
    assert not learn(catalogue, series("KXAAA", fee_multiplier=2), series("KXB"))


def test_a_crawl_that_is_left_half_way_says_later_what_it_changed(
    catalogue: KalshiCatalogue,
) -> None:
    listed(catalogue, event())
    plan = catalogue.fees()
    next(plan)
    plan.send(json.dumps({"series": [series()]}).encode())
    plan.close()
    assert learn(catalogue, series())


def test_many_series_are_read_in_portions(catalogue: KalshiCatalogue) -> None:
    records = [series(f"KX{number}") for number in range(2 * SERIES_AT_ONCE + 1)]
    assert len(Site(series={"series": records}).run(catalogue.fees())) == 3


def test_remembered_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_fees, "SERIES_REMEMBERED", 2)
    known = SeriesFees()
    for name in ("A", "B", "A", "C"):
        known.learn(name, Fees("quadratic", "1"))
    assert [known.of(name).kind for name in "ABC"] == ["quadratic", "", "quadratic"]
    assert not known.have_changed(["B"])


def test_recorded_series_are_read_whole(catalogue: KalshiCatalogue) -> None:
    folder = os.environ.get("ARBEES_CORPUS")
    if not folder:
        pytest.skip("ARBEES_CORPUS does not name a folder of recordings")
    path = Path(folder, "kalshi", "rest", "obstacle_golden_series_list_response.json")
    response = json.loads(path.read_text())["response"]
    Site(series=response).run(catalogue.fees())
    assert (catalogue.stats.records, catalogue.stats.skipped) == (len(response["series"]), 0)
    assert listed(catalogue, event("KXLOWAUS-1")) == {"KXLOWAUS-1-T1": ("quadratic", "1")}


def test_absent_fees_are_not_told() -> None:
    assert fees_told(None, None) == Fees()
    assert fees_told("", "") == Fees()
