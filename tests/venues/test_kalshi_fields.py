"""Which fields Kalshi's frames are known to have."""

import json
from collections.abc import Iterator

import msgspec
import pytest
from support.recordings import corpus, frames

from arbees_feed.core.drift import DriftSentinel
from arbees_feed.venues import VENUES
from arbees_feed.venues.kalshi import messages
from arbees_feed.venues.kalshi.fields import KNOWN_FIELDS

# Of the era of decimal text, since 2026-03-12.
RECORDED = [
    "cockpit_ws_orderbook_stream_20260807.jsonl",
    "shreyas_btc_hourly_20260418.jsonl",
    "kxbtc15m/rv600_preflight_pairing_20260515T023653Z.jsonl.gz",
    "kxbtc15m/rv600_next_evidence_shadow_20260515T213152Z.jsonl.gz",
    "gold15m/KXGOLD15M-26AUG101900-00_2026-08-10.ndjson.gz",
    "ssmd_production_samples.jsonl",
]


def read_of(kind: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """Yield the paths of the fields that a message declares."""
    for field in msgspec.structs.fields(kind):
        yield f"{prefix}{field.encode_name}"
        inner = field.type
        options = getattr(inner, "__args__", (inner,))
        for option in options:
            if isinstance(option, type) and issubclass(option, msgspec.Struct):
                yield from read_of(option, f"{prefix}{field.encode_name}.")


def plain(paths: frozenset[str]) -> set[str]:
    return {path.removesuffix("?").removesuffix(".*") for path in paths}


@pytest.mark.parametrize("message", messages.Message.__args__, ids=lambda kind: kind.__name__)
def test_every_field_that_is_read_is_known(message: type[msgspec.Struct]) -> None:
    kind = str(message.__struct_config__.tag)
    assert set(read_of(message)) <= plain(KNOWN_FIELDS[kind])


def test_every_kind_that_is_read_is_known_and_no_other() -> None:
    kinds = {str(kind.__struct_config__.tag) for kind in messages.Message.__args__}
    assert kinds == set(KNOWN_FIELDS)
    assert VENUES["kalshi"].known_fields == KNOWN_FIELDS


def recorded_frames(name: str) -> Iterator[bytes]:
    """Yield the frames of a recording that are of the era of decimal text."""
    for line in frames(corpus() / "kalshi" / name):
        frame = json.loads(line)
        frame = frame.get("event", frame)
        if "yes_bid" not in frame.get("msg", {}):  # two of the samples are in integer cents
            yield json.dumps(frame).encode()


@pytest.mark.parametrize("name", RECORDED)
def test_no_field_of_recorded_frames_is_unknown(name: str) -> None:
    sentinel = DriftSentinel(KNOWN_FIELDS, "type")
    for frame in recorded_frames(name):
        sentinel.look(frame)
    assert sentinel.looked_at > 0
    assert sentinel.unknown == {}
    assert sentinel.missing() == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("orderbook_delta", {"delta": 5}),
        ("ticker", {"yes_bid": 48}),
        ("market_lifecycle_v2", {"additional_metadata": {"new": 1}}),
        ("error", {"reason": "x"}),
    ],
)
def test_a_field_of_another_era_is_unknown(kind: str, body: dict[str, object]) -> None:
    sentinel = DriftSentinel(KNOWN_FIELDS, "type")
    sentinel.look(json.dumps({"type": kind, "sid": 1, "msg": body}).encode())
    assert len(sentinel.unknown) == 1


def test_what_the_venue_names_freely_is_known() -> None:
    sentinel = DriftSentinel(KNOWN_FIELDS, "type")
    facts = {"custom_strike": {"tennis_competitor": "x"}}
    body = {"custom_strike": {"club": "y"}, "additional_metadata": facts}
    sentinel.look(json.dumps({"type": "market_lifecycle_v2", "sid": 1, "msg": body}).encode())
    assert sentinel.unknown == {}
