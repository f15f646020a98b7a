"""Whether all is well; if not, what is wrong and what to do about it, for a person. Pure.

The bounds are those of the alerts (config/observability/rules.yml), without their patience: who
looks at the page wants to know now. Each finding names a section of docs/operations.md.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from arbees_feed.ops.overview import Delay, Finding, PairsNow, RedisNow, VenueNow, Verdict

MARKETS_SHARE: Final = 0.8
BOOKS_SHARE: Final = 0.95
AUDIT_RATIO: Final = 0.98
AUDITED_AT_LEAST: Final = 50
"""One difference in fewer says little about all books."""
AGE_GROWTH_S: Final = 2.0
CLOCK_S: Final = 5.0
TIMED_S: Final = 30.0
"""Percentiles of less time than this are made of a few hiccups."""

_BY_REASON: Final = (
    (
        "HTTP 401",
        "Check the key id, the key file and this machine's clock: arbees-feed check tries them.",
        "FeedRefused",
    ),
    ("HTTP 403", "The venue does not serve this place: a person must decide.", "FeedVenueNotLive"),
    ("HTTP 451", "The venue does not serve this place: a person must decide.", "FeedVenueNotLive"),
    (
        "another_daemon:",
        "Two processes feed one Redis: stop one, or give it a redis.key_prefix of its own.",
        "FeedVenueDegraded",
    ),
    (
        "degraded:",
        "The venue has changed its messages: install a version of the feed that knows them.",
        "FeedVenueDegraded",
    ),
    (
        "no live price",
        "If it lasts: nothing is followed, or its books do not come. Look for no book comes in "
        "the log.",
        "FeedBooksNotLive",
    ),
)
_ELSE: Final = (
    "It is tried again by itself. If it lasts, look at the venue's own status page, then at the "
    "network."
)
_NOT_READY: Final = "Health"
# (name of the delay, longest 99th percentile in s, what it is, what to do, section)
_SLOW: Final = (
    (
        "publish lag", 0.05, "one price in a hundred leaves late",
        "Is Redis slow? Else the processor is short: follow fewer markets.", "FeedPublishLag",
    ),
    (
        "redis reply", 0.1, "Redis answers slowly",
        "redis-cli SLOWLOG GET 10; give others that use it a server of their own.",
        "FeedRedisSlow",
    ),
    (
        "loop lag", 0.1, "the event loop is held up",
        "top: is the processor shared, does the machine swap? Else follow fewer markets.",
        "FeedLoopStalls",
    ),
)  # fmt: skip


def verdict(
    venues: Sequence[VenueNow],
    redis: RedisNow,
    delays: Sequence[Delay],
    missing: Mapping[str, str],
    pairs: PairsNow | None = None,
) -> Verdict:
    """Return what to tell a person first, the worst ahead.

    *missing* is what /readyz says: all is never well while somebody is missing.
    """
    found = [
        *_of_redis(redis),
        *(finding for venue in venues for finding in _of_venue(venue)),
        *_of_delays(delays),
        *_of_pairs(pairs),
    ]
    told = {finding.who for finding in found}
    found += [_not_ready(who, why) for who, why in missing.items() if who not in told]
    found.sort(key=lambda finding: finding.tone != "bad")
    tone = found[0].tone if found else "good"
    return Verdict(tone, _headline(venues, redis, found), found)


def _headline(venues: Sequence[VenueNow], redis: RedisNow, found: Sequence[Finding]) -> str:
    if redis.problem or not redis.connected:
        away = "Readers get no prices: Redis is away"
        return "Readers may miss prices: Redis is in trouble" if redis.connected else away
    if wrong := _names(finding.who for finding in found if finding.tone == "bad"):
        return f"No price of {wrong} can be trusted"
    if waiting := _names(venue.venue for venue in venues if venue.state != "live"):
        return f"Waiting for the first prices of {waiting}"
    if any(finding.runbook == _NOT_READY for finding in found):
        return "Not ready yet: do not act on prices"
    return _look_at(len(found)) if found else "All is well"


def _names(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names))


def _look_at(things: int) -> str:
    need = "1 thing needs" if things == 1 else f"{things} things need"
    return f"Prices are live; {need} a look"


def _not_ready(who: str, why: str) -> Finding:
    do = "It passes by itself, as a rule. If it lasts: the log says what keeps it."
    return Finding("warn", who, why, do, _NOT_READY)


def _of_redis(redis: RedisNow) -> Iterator[Finding]:
    if not redis.connected:
        what = redis.problem or "not connected"
        do = (
            "Start it, or mend the way to it; arbees-feed check tries it. The newest price of each "
            "market waits here and is written once it is back."
        )
        yield Finding("bad", "redis", what, do, "FeedRedisDisconnected")
    elif redis.problem:
        do = "The log has its words (redis refuses). What was refused is written again."
        yield Finding("bad", "redis", redis.problem, do, "FeedRedisErrors")


def _of_venue(venue: VenueNow) -> Iterator[Finding]:
    if venue.state != "live":
        tone = "warn" if venue.state == "connecting" else "bad"
        yield _by_reason(tone, venue.venue, venue.state, venue.reason)
        return  # the rest follows from it
    if venue.reason:
        yield _by_reason("warn", venue.venue, "", venue.reason)
    yield from _of_shares(venue)
    yield from _of_data(venue)


def _by_reason(tone: str, venue: str, state: str, reason: str) -> Finding:
    what = ": ".join(filter(None, (state, reason)))
    for sign, do, runbook in _BY_REASON:
        if sign in reason:
            return Finding(tone, venue, what, do, runbook)
    return Finding(tone, venue, what, _ELSE, "FeedVenueNotLive")


def _of_shares(venue: VenueNow) -> Iterator[Finding]:
    if venue.markets_live < MARKETS_SHARE * venue.markets:
        yield Finding(
            "warn", venue.venue,
            f"only {venue.markets_live:,} of {venue.markets:,} markets have a live price",
            "Open one that has none: the page says why, and over which connection it comes.",
            "FeedPricesStale",
        )  # fmt: skip
    if venue.books < BOOKS_SHARE * venue.books_wanted:
        yield Finding(
            "warn", venue.venue,
            f"only {venue.books:,} of {venue.books_wanted:,} books are in step",
            "After a start they come by themselves. Else look for no book comes and venue says "
            "in the log.",
            "FeedBooksNotLive",
        )  # fmt: skip


def _of_data(venue: VenueNow) -> Iterator[Finding]:
    if venue.audited >= AUDITED_AT_LEAST and venue.audit_ratio < AUDIT_RATIO:
        yield Finding(
            "bad", venue.venue, f"only {venue.audit_ratio:.1%} of its books were right",
            "Do not trade on it. Keep the log and the incident files, then restart the feed.",
            "FeedAuditFails",
        )  # fmt: skip
    if venue.age_growth_s > AGE_GROWTH_S:
        yield Finding(
            "warn", venue.venue, f"its data is {venue.age_growth_s:.1f} s older than at best",
            "Frames queue up: at the venue, on the way, or for lack of processor here.",
            "FeedDataGrowsOld",
        )  # fmt: skip
    if venue.clock_offset_s is not None and abs(venue.clock_offset_s) > CLOCK_S:
        yield Finding(
            "warn", venue.venue, f"its clock is {venue.clock_offset_s:+.1f} s off ours",
            "Is this machine's clock kept (timedatectl)? Signatures are refused when it is off.",
            "FeedClockOff",
        )  # fmt: skip


def _of_delays(delays: Sequence[Delay]) -> Iterator[Finding]:
    timed = {delay.name: delay.p99_s for delay in delays if delay.window_s >= TIMED_S}
    for name, longest_s, what, do, runbook in _SLOW:
        p99_s = timed.get(name)
        if p99_s is not None and p99_s > longest_s:
            yield Finding("warn", "feed", f"{what} (99 %: {p99_s * 1e3:,.0f} ms)", do, runbook)


def _of_pairs(pairs: PairsNow | None) -> Iterator[Finding]:
    # Prices of markets are right all the same; who reads those of pairs sees that their matcher is
    # gone.
    if pairs is not None and pairs.reason:
        do = "Do not act on prices of pairs. Start arbees-feed match run again; its log says why."
        yield Finding("warn", "pairs", pairs.reason, do, "FeedPairsSilent")
