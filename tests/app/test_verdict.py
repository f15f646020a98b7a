"""What a person is told first."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arbees_feed.app import verdict as module
from arbees_feed.ops.overview import Delay, RedisNow, VenueNow, Verdict

ROOT = Path(__file__).parents[2]
GOOD = VenueNow(
    venue="kalshi", state="live", reason="", connections=2, connections_wanted=2, books=100,
    books_wanted=100, markets=100, markets_live=100, frames_per_s=9.0, prices_per_s=9.0,
    audit_ratio=1.0, audited=1_000, clock_offset_s=0.1, age_growth_s=0.0, incidents={}, problems={},
)  # fmt: skip
OTHER = msgspec.structs.replace(GOOD, venue="polymarket")
REDIS = RedisNow(
    connected=True, problem="", published_per_s=1.0, bytes_per_s=1.0, waiting=0, unanswered=0,
    conflated=0, errors=0, state="connected",
)  # fmt: skip


def but(**changes: Any) -> VenueNow:
    return msgspec.structs.replace(GOOD, **changes)


def lag(name: str, p99_s: float | None, window_s: float = 60.0) -> Delay:
    return Delay(name, "", 0.001, 0.002, p99_s, 1_000, window_s)


def verdict(
    venues: list[VenueNow],
    redis: RedisNow,
    delays: list[Delay],
    missing: dict[str, str] | None = None,
) -> Verdict:
    return module.verdict(venues, redis, delays, missing or {})


def test_all_is_well_when_nothing_is_wrong() -> None:
    found = verdict([GOOD, OTHER], REDIS, [lag("publish lag", 0.01), lag("redis reply", None)])
    assert (found.tone, found.headline, found.findings) == ("good", "All is well", [])


def test_redis_comes_first_then_venues_that_cannot_be_trusted() -> None:
    away = msgspec.structs.replace(REDIS, connected=False, problem="not connected: refused")
    stale = but(state="stale", reason="refuses the upgrade with HTTP 503")
    found = verdict([msgspec.structs.replace(OTHER, age_growth_s=3.0), stale], away, [])
    assert (found.tone, found.headline) == ("bad", "Readers get no prices: Redis is away")
    assert [(f.tone, f.who) for f in found.findings] == [
        ("bad", "redis"),
        ("bad", "kalshi"),
        ("warn", "polymarket"),
    ]
    assert found.findings[0].what == "not connected: refused"
    assert found.findings[1].what == "stale: refuses the upgrade with HTTP 503"


@pytest.mark.parametrize(
    ("venues", "tone", "headline"),
    [
        ([but(state="stale"), OTHER], "bad", "No price of kalshi can be trusted"),
        (
            [but(state="stopped"), msgspec.structs.replace(OTHER, state="stale")],
            "bad",
            "No price of kalshi and polymarket can be trusted",
        ),
        ([but(audit_ratio=0.97)], "bad", "No price of kalshi can be trusted"),
        ([but(state="connecting")], "warn", "Waiting for the first prices of kalshi"),
        ([but(clock_offset_s=-6.0)], "warn", "Prices are live; 1 thing needs a look"),
        ([but(books=94, age_growth_s=2.5)], "warn", "Prices are live; 2 things need a look"),
    ],
)
def test_the_headline_says_the_worst(venues: list[VenueNow], tone: str, headline: str) -> None:
    found = verdict(venues, REDIS, [])
    assert (found.tone, found.headline) == (tone, headline)


def test_all_is_not_well_while_somebody_is_missing() -> None:
    """What is said of them already is not said again."""
    found = verdict([GOOD], REDIS, [], {"redis": "no heartbeat yet"})
    assert (found.tone, found.headline) == ("warn", "Not ready yet: do not act on prices")
    assert [(f.who, f.what) for f in found.findings] == [("redis", "no heartbeat yet")]
    found = verdict([but(state="stale", reason="x")], REDIS, [], {"kalshi": "stale: x"})
    assert [f.what for f in found.findings] == ["stale: x"]


def test_redis_in_trouble_is_told_with_its_words() -> None:
    trouble = msgspec.structs.replace(REDIS, problem="redis refuses SET: OOM")
    found = verdict([GOOD], trouble, [])
    assert (found.tone, found.findings[0].runbook) == ("bad", "FeedRedisErrors")
    assert found.findings[0].what == "redis refuses SET: OOM"


@pytest.mark.parametrize(
    ("reason", "runbook", "word"),
    [
        ("wss://x refuses the upgrade with HTTP 401", "FeedRefused", "key"),
        ("wss://x refuses the upgrade with HTTP 451", "FeedVenueNotLive", "person"),
        ("degraded: prices are missing", "FeedVenueDegraded", "version"),
        (
            "degraded: another_daemon: session 1 feeds it too",
            "FeedVenueDegraded",
            "stop one",
        ),
        ("connected, no live price yet", "FeedBooksNotLive", "no book comes"),
        ("cannot connect", "FeedVenueNotLive", "by itself"),
        ("", "FeedVenueNotLive", "by itself"),
    ],
)
def test_what_to_do_depends_on_the_reason(reason: str, runbook: str, word: str) -> None:
    (finding,) = verdict([but(state="stale", reason=reason)], REDIS, []).findings
    assert finding.runbook == runbook
    assert word in finding.do


def test_a_live_venue_with_a_reason_is_a_warning() -> None:
    (finding,) = verdict([but(reason="1 of 2 connections down")], REDIS, []).findings
    assert (finding.tone, finding.what) == ("warn", "1 of 2 connections down")


@pytest.mark.parametrize(
    ("within", "beyond", "runbook"),
    [
        ({"markets_live": 80}, {"markets_live": 79}, "FeedPricesStale"),
        ({"books": 95}, {"books": 94}, "FeedBooksNotLive"),
        ({"audit_ratio": 0.98}, {"audit_ratio": 0.979}, "FeedAuditFails"),
        (
            {"audit_ratio": 0.0, "audited": 49},
            {"audit_ratio": 0.0, "audited": 50},
            "FeedAuditFails",
        ),
        ({"age_growth_s": 2.0}, {"age_growth_s": 2.1}, "FeedDataGrowsOld"),
        ({"clock_offset_s": -5.0}, {"clock_offset_s": -5.1}, "FeedClockOff"),
        ({"clock_offset_s": None}, {"clock_offset_s": 5.1}, "FeedClockOff"),
        ({"markets": 0, "markets_live": 0, "books_wanted": 0}, {"books": 0}, "FeedBooksNotLive"),
    ],
)
def test_a_bound_is_crossed_only_beyond_it(
    within: dict[str, Any], beyond: dict[str, Any], runbook: str
) -> None:
    assert verdict([but(**within)], REDIS, []).findings == []
    assert [f.runbook for f in verdict([but(**beyond)], REDIS, []).findings] == [runbook]


@pytest.mark.parametrize(
    ("name", "bound_s", "runbook"),
    [
        ("publish lag", 0.05, "FeedPublishLag"),
        ("redis reply", 0.1, "FeedRedisSlow"),
        ("loop lag", 0.1, "FeedLoopStalls"),
    ],
)
def test_delays_count_once_enough_is_timed(name: str, bound_s: float, runbook: str) -> None:
    def told(delay: Delay) -> list[str]:
        return [finding.runbook for finding in verdict([GOOD], REDIS, [delay]).findings]

    assert told(lag(name, bound_s)) == []
    assert told(lag(name, bound_s * 1.1)) == [runbook]
    assert told(lag(name, bound_s * 1.1, window_s=29.0)) == []


def test_every_section_that_is_named_is_in_the_operators_document() -> None:
    named = {*re.findall(r'"(Feed[A-Za-z]+)"', Path(module.__file__).read_text()), "Health"}
    document = (ROOT / "docs" / "operations.md").read_text()
    headings = set(re.findall(r"^##+ (\w+)$", document, re.MULTILINE))
    assert len(named) >= 13
    assert named - headings == set()
