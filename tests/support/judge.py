"""Judges published prices by what was true, and tells when the feed itself saw that something was.

A subscriber's messages are kept with the time at which they were heard; simulated venues remember
every top of book (`SimConfig.history_s`). From both follows, for each moment, whether a reader held
a price that was true.
"""

import asyncio
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from typing import NamedTuple

from redis.asyncio import Redis

from arbees_feed.app.venue import Venue
from arbees_feed.sim.history import TimedTop, Top
from arbees_feed.sim.world import Market
from support.feed import Message, Reader, following, top_of

NS = 1_000_000_000
ALLOWED_NS = {"book": NS // 4, "ticker": 2 * NS // 5, "rest": 2 * NS // 5}
"""How old a price may be when it is received. Without faults a book's is 2 ms old, and the rest is
for two busy processors; tickers tell a change up to 0.25 s late, REST as late as an answer takes.
"""
TOLERANCE_NS = NS // 2
"""How long a reader may hold what is true no more before prices count as not mended."""
LOOK_S = 0.02
FOREVER_NS = 1 << 62


class Span(NamedTuple):
    """A stretch of time, Unix ns."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end_ns - self.begin_ns) / NS


class Told(NamedTuple):
    """A message and when a subscriber heard it, Unix ns."""

    heard_ns: int
    message: Message

    @property
    def status(self) -> str:
        """`live`, `stale` or `closed`."""
        return str(self.message["status"])


class Truth:
    """The tops of one market over time."""

    def __init__(self, tops: Sequence[TimedTop]) -> None:
        self._tops = tops
        self._times = [top.at_ns for top in tops]

    @classmethod
    def of(cls, market: Market) -> "Truth":
        """Return what a simulated market remembers."""
        assert market.history is not None
        return cls(market.history.tops)

    def during(self, begin_ns: int, end_ns: int) -> Iterator[tuple[Span, Top]]:
        """Yield each top that was true at some moment, oldest first, and when it was."""
        first = max(bisect_right(self._times, begin_ns) - 1, 0)
        for number in range(first, bisect_right(self._times, end_ns)):
            after = number + 1
            until_ns = self._times[after] if after < len(self._times) else FOREVER_NS
            span = Span(max(self._times[number], begin_ns), min(until_ns, end_ns))
            yield span, self._tops[number].top

    def was_true(self, top: Top, begin_ns: int, end_ns: int) -> bool:
        """Tell whether *top* was true at any moment."""
        return any(true == top for _, true in self.during(begin_ns, end_ns))

    def untrue(self, top: Top, begin_ns: int, end_ns: int) -> Iterator[Span]:
        """Yield the longest spans in which *top* was not true."""
        began_ns: int | None = None
        for span, true in self.during(begin_ns, end_ns):
            if true != top:
                began_ns = span.begin_ns if began_ns is None else began_ns
            elif began_ns is not None:
                yield Span(began_ns, span.begin_ns)
                began_ns = None
        if began_ns is not None:
            yield Span(began_ns, end_ns)


class Record(NamedTuple):
    """What a subscriber was told of one market, and the truth of it."""

    told: Sequence[Told]
    truth: Truth

    def held(self, end_ns: int) -> Iterator[tuple[Told, Span]]:
        """Yield each message and how long it was the newest."""
        for one, after in pairwise(self.told):
            yield one, Span(one.heard_ns, after.heard_ns)
        if self.told:
            yield self.told[-1], Span(self.told[-1].heard_ns, end_ns)

    def wrong(self, late_ns: int = 0) -> list[Told]:
        """Return the live prices that were not true when they were received, nor a little before.

        *late_ns*: how much later than usual the venue delivers.
        """
        live = (one for one in self.told if one.status == "live")
        return [one for one in live if not self._was_true(one, late_ns)]

    def _was_true(self, one: Told, late_ns: int) -> bool:
        message = one.message
        begin_ns = message["ts_recv_ns"] - ALLOWED_NS[message["source"]] - late_ns
        return self.truth.was_true(top_of(message), begin_ns, message["ts_pub_ns"])

    def exposures(self, end_ns: int) -> Iterator[Span]:
        """Yield the spans in which a reader held a live price that was true no more."""
        for one, span in self.held(end_ns):
            if one.status == "live":
                yield from self.truth.untrue(top_of(one.message), *span)

    def bad(self, end_ns: int, tolerance_ns: int = TOLERANCE_NS) -> Iterator[Span]:
        """Yield the spans in which a reader had no price, or for too long one that was not true."""
        for span in self.exposures(end_ns):
            if span.end_ns - span.begin_ns > tolerance_ns:
                yield span
        yield from (span for one, span in self.held(end_ns) if one.status == "stale")

    def first(self, status: str, since_ns: int) -> int | None:
        """Return when the first message with a status was heard."""
        times = (one.heard_ns for one in self.told if one.status == status)
        return next((at_ns for at_ns in times if at_ns >= since_ns), None)


class Judge(Reader):
    """Keeps when each message was heard."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client)
        self.told: dict[str, list[Told]] = defaultdict(list)

    def _keep(self, channel: str, message: Message) -> None:
        if channel != "feed:status":
            self.told[message["market_id"]].append(Told(time.time_ns(), message))
        super()._keep(channel, message)

    def is_true_now(self, market: Market) -> bool:
        """Tell whether the newest message says what is true, or was just now."""
        told = self.told[market.id]
        if not told or told[-1].status == "stale":
            return False
        if told[-1].status == "closed":
            return not market.is_open
        now_ns = time.time_ns()
        return Truth.of(market).was_true(top_of(told[-1].message), now_ns - TOLERANCE_NS, now_ns)

    def records(self, markets: Iterable[Market], end_ns: int) -> list[Record]:
        """Return what was told of these until *end_ns*, beside the truth."""
        return [
            Record([one for one in self.told[m.id] if one.heard_ns <= end_ns], Truth.of(m))
            for m in markets
        ]


def judging(url: str) -> AbstractAsyncContextManager[Judge]:
    """Follow all prices and states of a server while the block runs, and note when."""
    return following(url, Judge)


def longest_s(spans: Iterable[Span], since_ns: int = 0) -> float:
    """Return the length of the longest span that ended after *since_ns*."""
    return max((span.seconds for span in spans if span.end_ns > since_ns), default=0.0)


def mended_s(records: Iterable[Record], since_ns: int, end_ns: int) -> float:
    """Return how long after *since_ns* the last reader had nothing but true prices again."""
    ends = [span.end_ns for record in records for span in record.bad(end_ns)]
    return max((max(ends, default=0) - since_ns) / NS, 0.0)


# -- what the feed itself knows --------------------------------------------------------------------

Signs = Mapping[str, int | str]


def signs(venue: Venue) -> Signs:
    """Return all by which the feed shows that it has noticed something."""
    feed, stats, probes = venue.feed, venue.table.stats, venue.feed.prober.stats
    decoded = feed.decoded()
    watches = [market.watch for market in venue.table if market.watch is not None]
    told = "gaps duplicates resets resyncs malformed unknown_kinds stale_dropped venue_errors"
    told += " hashes_wrong mirror_breaks off_grid"
    return {
        **{name: getattr(decoded, name) for name in told.split()},
        "losses": feed.stats.losses,
        "connects": feed.stats.connects,
        "reliefs": feed.reliefs,
        "books_lost": stats.books_lost,
        "closed": stats.closed,
        "probes_unanswered": probes.unanswered,
        "probes_differed": probes.differed,
        "frozen": probes.frozen,
        "suspects": sum(bool(watch.suspicion) for watch in watches),
        "suspicion": "; ".join(
            session.pulse.suspicion for link in feed.links for session in link.sessions()
        ),
        "drift": feed.sentinels.reason,
        "fields": len(feed.sentinels.drift.reasons()),
    }


class Lookout:
    """Looks at the signs of one venue again and again, and notes which changed when."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._known = signs(venue)
        self.seen: list[tuple[int, str]] = []
        """(Unix ns, name) of each change."""

    def look(self, now_ns: int) -> None:
        """Note what has changed."""
        now = signs(self._venue)
        changed = [name for name in now if now[name] != self._known[name]]
        self.seen += [(now_ns, name) for name in changed if now[name]]
        self._known = now

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look(time.time_ns())
            await asyncio.sleep(LOOK_S)

    def first(self, since_ns: int) -> tuple[int, str] | None:
        """Return when the first sign was seen, and what it was."""
        return next((seen for seen in self.seen if seen[0] >= since_ns), None)
