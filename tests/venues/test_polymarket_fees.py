"""Polymarket's fees: fields of each Gamma market."""

import json
from collections.abc import Mapping

import msgspec
import pytest
from support.crawls import drive

from arbees_feed.core.venue import Found
from arbees_feed.venues.polymarket.catalogue import PolymarketCatalogue
from arbees_feed.venues.polymarket.catalogue_fees import fee_fields
from arbees_feed.venues.polymarket.catalogue_messages import Market

SCHEDULE = {"exponent": 1, "rate": 0.05, "takerOnly": True, "rebateRate": 0.15}
TOLD = {"fee_rate": "0.05", "fee_exponent": "1"}


def record(**fees: object) -> Market:
    """Return a market that tells these fees."""
    return msgspec.json.decode(json.dumps({"conditionId": "0x1", **fees}).encode(), type=Market)


@pytest.mark.parametrize(
    ("fees", "expected"),
    [
        ({"feesEnabled": True, "feeSchedule": SCHEDULE}, {"fees_enabled": "true", **TOLD}),
        ({"feesEnabled": False}, {"fees_enabled": "false"}),
        ({"feesEnabled": False, "feeSchedule": None}, {"fees_enabled": "false"}),
        ({"feesEnabled": None, "feeSchedule": SCHEDULE}, TOLD),
        ({"feeSchedule": {"rate": "0.05", "exponent": 1.0}}, TOLD),
        ({"feeSchedule": {"rate": 0}}, {"fee_rate": "0"}),
        ({"feeSchedule": {"exponent": 1}}, {}),
        ({"feeSchedule": {}}, {}),
        ({}, {}),
    ],
)
def test_what_the_venue_tells_is_passed_on(
    fees: Mapping[str, object], expected: Mapping[str, str]
) -> None:
    fields, problem = fee_fields(record(**fees))
    assert {name: value for name, value in fields.items() if value} == expected
    assert problem == ""


@pytest.mark.parametrize(
    "schedule",
    [
        7,
        [SCHEDULE],
        "0.05",
        {**SCHEDULE, "rate": "much"},
        {**SCHEDULE, "rate": [0.05]},
        {**SCHEDULE, "rate": True},
        {**SCHEDULE, "rate": -0.05},
        {**SCHEDULE, "rate": 5},
        {**SCHEDULE, "rate": 10**400},
        {**SCHEDULE, "rate": "NaN"},
        {**SCHEDULE, "exponent": "Infinity"},
        {**SCHEDULE, "exponent": -1},
        {**SCHEDULE, "exponent": {}},
    ],
)
def test_a_schedule_that_cannot_be_read_has_no_fields_and_is_said(schedule: object) -> None:
    fields, problem = fee_fields(record(feesEnabled=True, feeSchedule=schedule))
    assert fields == {"fees_enabled": "true"}
    assert problem.startswith("feeSchedule: ")
    assert len(problem) < 200


def test_a_schedule_nested_too_deeply_is_harmless() -> None:
    raw = msgspec.Raw(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert fee_fields(Market("0x1", fees_enabled=True, fee_schedule=raw))[1]


def test_a_switch_that_is_none_has_no_fields_and_is_said() -> None:
    fields, problem = fee_fields(record(feesEnabled="perhaps", feeSchedule=SCHEDULE))
    assert fields == {}
    assert problem == "feesEnabled 'perhaps'"


def listed(**fees: object) -> tuple[PolymarketCatalogue, list[Found]]:
    """List one event with one market that tells these fees."""
    market = {"conditionId": "0x1", "clobTokenIds": '["1", "2"]', "question": "Q?", **fees}
    page = {"events": [{"id": "7", "title": "E", "markets": [market]}], "next_cursor": None}
    catalogue = PolymarketCatalogue({"gamma": "https://gamma.test"})
    return catalogue, drive(catalogue.listing(None), lambda _: json.dumps(page).encode())[1]


def test_listed_markets_carry_their_fees() -> None:
    catalogue, (found,) = listed(feesEnabled=True, feeSchedule=SCHEDULE)
    extras = found.markets[0].extras
    assert {"fees_enabled": "true", **TOLD}.items() <= extras.items()
    assert catalogue.stats.skipped == 0


def test_bad_fees_are_counted_and_cost_nothing_else() -> None:
    catalogue, (found,) = listed(feesEnabled=True, feeSchedule={"rate": "much"})
    (meta,) = found.markets
    assert (meta.title, meta.extras["fees_enabled"]) == ("Q?", "true")
    assert "fee_rate" not in meta.extras
    assert catalogue.stats.skipped == 1
    assert "0x1: feeSchedule: 'much'" in catalogue.stats.last_problem


def test_fees_need_no_request_of_their_own() -> None:
    assert list(PolymarketCatalogue({"gamma": "https://gamma.test"}).fees()) == []
