"""The overview of venues without sockets: what it notes while nobody looks."""

from typing import Any, cast

from arbees_feed.app.overview import FeedOverview, Parts
from arbees_feed.app.plan import plans
from arbees_feed.app.venue import Venue
from arbees_feed.config import load_settings
from arbees_feed.core.model import VenueState
from arbees_feed.core.venue import Credentials
from arbees_feed.core.wire import Names
from arbees_feed.ops.http import Readiness
from arbees_feed.ops.matcher import MatcherWatch
from arbees_feed.ops.overview import Change
from arbees_feed.ops.stalls import Stalls
from arbees_feed.publish.service import Publisher

S = 1_000_000_000


class Staged:
    """A venue whose state is given; all else is its own."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.now = (VenueState.CONNECTING, "")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    def state(self) -> tuple[VenueState, str]:
        return self.now


class Ready:
    def readiness(self) -> Readiness:
        return Readiness()


class Over(BaseException):
    """The script has ended."""


def overview_of(
    script: list[tuple[VenueState, str]], matcher: MatcherWatch | None = None
) -> FeedOverview:
    """Return an overview of one venue that goes through these states, one a look."""
    nothing: Any = None
    publisher = Publisher(nothing, Names(), session=1, call_soon=nothing)
    settings = load_settings(None, {"kalshi.enabled": "false"}, environ={})
    (plan,) = plans(settings, Credentials("id", lambda _: b""))
    venue = Staged(Venue(plan, settings, publisher, nothing, nothing, lambda *_: None))
    looks = [0]

    async def sleep(_seconds: float) -> None:
        looks[0] += 1
        if looks[0] == len(script):
            raise Over
        venue.now = script[looks[0]]

    venue.now = script[0]
    matcher = matcher or MatcherWatch(nothing, Names(), nothing)
    parts = Parts(
        [cast("Venue", venue)], publisher, Stalls(nothing), Ready(), matcher, nothing, Names()
    )
    return FeedOverview(parts, now_ns=lambda: looks[0] * S, monotonic=lambda: 0.0, sleep=sleep)


async def test_changes_are_noted_while_nobody_looks_without_what_is_secret() -> None:
    live, stale = (VenueState.LIVE, ""), (VenueState.STALE, "redis://me:hush@host gone\x1b[2J")
    overview = overview_of([live, live, stale, stale, live])
    try:
        await overview.run()
    except Over:
        status = overview.status()
    polymarket = [change for change in status.changes if change.who == "polymarket"]
    assert [(change.state, change.at_ns) for change in polymarket] == [
        ("live", 4 * S),
        ("stale", 2 * S),
        ("live", 0),
    ]
    assert "hush" not in polymarket[1].reason
    assert "\x1b" not in polymarket[1].reason
    assert "gone" in polymarket[1].reason
    assert status.venues[0].since_ns == 4 * S
    # The publisher was never run, so it has no connection.
    assert status.changes[-2] == Change("redis", "away", status.redis.problem, 0)
    assert (status.redis.state, status.redis.since_ns) == ("away", 0)
    assert status.verdict.headline == "Readers get no prices: Redis is away"


def test_a_look_notes_a_change_that_nothing_has_seen_yet() -> None:
    overview = overview_of([(VenueState.STALE, "refused")])
    status = overview.status()
    assert [change.state for change in status.changes] == ["away", "stale"]
    assert [finding.who for finding in status.verdict.findings] == ["redis", "polymarket"]


class SaidBefore:
    """A client that answers once as of a matcher, and then that there is none."""

    def __init__(self) -> None:
        self.looks = 0

    def pipeline(self, transaction: bool) -> "SaidBefore":  # noqa: FBT001 - as redis-py has it
        assert not transaction
        return self

    def pttl(self, _key: str) -> None: ...

    def hstrlen(self, _key: str, _field: str) -> None: ...

    async def execute(self) -> list[int]:
        self.looks += 1
        return [10_000, *[1] * 7] if self.looks == 1 else [-2, *[0] * 7]

    async def hmget(self, _name: str, _keys: object) -> list[bytes | None]:
        return [b"live", b"9", b"5", b"4", b"1", b"3", b"0"]


async def test_a_matcher_is_told_while_it_is_there_and_its_silence_is_a_finding() -> None:
    now_s = [0.0]
    matcher = MatcherWatch(
        SaidBefore(), Names(), cast("Any", None), monotonic=lambda: now_s[0], now_ns=lambda: 0
    )
    overview = overview_of([(VenueState.LIVE, "")], matcher)
    status = overview.status()
    assert (status.pairs, [change.who for change in status.changes]) == (
        None,
        ["redis", "polymarket"],
    )
    await matcher.look()
    status = overview.status()
    assert status.pairs is not None
    assert (status.pairs.cross_pairs, status.pairs) == ("3/4", overview.pairs())
    assert status.changes[0] == Change("pairs", "live", "", 0)
    assert "pairs" not in [finding.who for finding in status.verdict.findings]
    now_s[0] = 11.0
    await matcher.look()
    status = overview.status()
    finding = status.verdict.findings[-1]
    assert (finding.who, finding.tone, finding.runbook) == ("pairs", "warn", "FeedPairsSilent")
    assert finding.what == "no word from the matcher since 1970-01-01 00:00:00 UTC"
    assert status.changes[0] == Change("pairs", "silent", finding.what, 0)


def test_another_run_has_another_start() -> None:
    """By its uptime alone a page could take a new run for the one that it knows."""
    nothing: Any = None
    publisher = Publisher(nothing, Names(), session=1, call_soon=nothing)
    matcher = MatcherWatch(nothing, Names(), nothing)
    parts = Parts([], publisher, Stalls(nothing), Ready(), matcher, nothing, Names())
    clock = iter(range(1, 100))
    runs = [FeedOverview(parts, now_ns=lambda: next(clock)) for _ in range(2)]
    first, second, again = runs[0].status(), runs[1].status(), runs[0].status()
    assert first.started_ns == again.started_ns != second.started_ns
