"""What must hold after many faults: prices are the truth, and nothing is left open or uncounted."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import iscoroutine
from itertools import pairwise
from typing import Any, NamedTuple

import msgpack

from arbees_feed import errors
from arbees_feed.app.daemon import Daemon
from arbees_feed.app.venue import Venue
from arbees_feed.core.book import LIVE
from arbees_feed.feed.session import Connection
from support.feed import Message, top_of

Top = tuple[int, int, int, int]

ONE_DOLLAR = 10_000
"""In the units of `Truth`."""
OURS = frozenset(
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.FeedError)
)
"""Names of the errors that the feed raises on purpose; any other cause of a restart is a bug."""
_SAME_WORK = {"VenueLink._relieve": "VenueLink._hold"}
"""A connection that took over from another is held by the task that opened it."""
_RESTARTS = re.compile(r"^arbees_feed_restarts_total\{(.*)\} ([\d.e+]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Truth(NamedTuple):
    """What the venue has of a market; prices in 1/10,000 dollar, sizes in 1/1,000,000."""

    is_open: bool
    top: Top


# -- prices ----------------------------------------------------------------------------------------


def bad_prices(messages: Sequence[Message]) -> Iterator[str]:
    """Yield what is wrong in itself with the messages of one market, in the order they came."""
    for message in messages:
        yield from unsound(message)
    for before, after in pairwise(messages):
        yield from misplaced(before, after)


def unsound(message: Message) -> Iterator[str]:
    """Yield what a reader must never be sent: no price that is live, or a price that is not."""
    bid, bid_size, ask, ask_size = top = top_of(message)
    if message["status"] == "live":
        in_order = 0 <= bid < ask <= ONE_DOLLAR
        sized = (bid_size > 0) is (bid > 0) and (ask_size > 0) is (ask < ONE_DOLLAR)
        if not (in_order and sized):
            yield f"{message['market_id']}: live, and not a price: {top}"
    elif top != (0, 0, ONE_DOLLAR, 0):
        yield f"{message['market_id']}: {message['status']}, and a price: {top}"


def misplaced(before: Message, after: Message) -> Iterator[str]:
    """Yield what is wrong with the order of two messages of one market."""
    if after["seq"] != before["seq"] + 1:
        yield f"{after['market_id']}: seq {after['seq']} after {before['seq']}"
    if after["ts_pub_ns"] < before["ts_pub_ns"]:
        yield f"{after['market_id']}: published before the message ahead of it"


class Judge:
    """Judges the messages of all markets as they come; keeps the newest of each."""

    def __init__(self) -> None:
        self.newest: dict[str, Message] = {}
        self.published = 0
        self.stale = 0
        self.bad: list[str] = []

    def take(self, message: Message) -> None:
        """Take the next message."""
        before = self.newest.get(message["market_id"])
        self.newest[message["market_id"]] = message
        self.published += 1
        self.stale += message["status"] == "stale"
        self.bad += unsound(message)
        if before is not None:
            self.bad += misplaced(before, message)
        elif message["seq"] != 1:
            self.bad.append(f"{message['market_id']}: begins with seq {message['seq']}")


def wrong_prices(
    truth: Mapping[str, Truth], lasts: Mapping[str, bytes | None], named: Iterable[str]
) -> dict[str, str]:
    """Return the markets whose newest price is not the truth, and how the two differ.

    A market that was *named* must have a price; another one may have none. One that has ended
    must not be live.
    """
    must = set(named)
    wrong = {}
    for market, (is_open, top) in truth.items():
        value = lasts.get(market)
        message = msgpack.unpackb(value) if value is not None else None
        if message is None:
            if is_open and market in must:
                wrong[market] = "no price"
        elif not is_open:
            if message["status"] == "live":
                wrong[market] = "has ended, and is live"
        elif message["status"] != "live":
            wrong[market] = f"{message['status']}, and has {top}"
        elif top_of(message) != top:
            wrong[market] = f"{top_of(message)}, and has {top}"
    return wrong


async def lasts_of(client: Any, markets: Iterable[str]) -> dict[str, bytes | None]:
    """Return the bytes of the newest price of each market."""
    names = list(markets)
    values = await client.mget([f"market:{name}:last" for name in names])
    return dict(zip(names, values, strict=True))


# -- restarts --------------------------------------------------------------------------------------


def restarts(metrics: str) -> Counter[tuple[str, str]]:
    """Return the restarts by (service, class of the error) from the text of /metrics."""
    found: Counter[tuple[str, str]] = Counter()
    for labels, count in _RESTARTS.findall(metrics):
        named = dict(_LABEL.findall(labels))
        found[named["service"], named["cause"]] += round(float(count))
    return found


def unexpected(found: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Return those whose cause is no error of ours: bugs."""
    return {f"{service}: {cause}": n for (service, cause), n in found.items() if cause not in OURS}


# -- tasks -----------------------------------------------------------------------------------------


def tasks_of_the_feed() -> Counter[str]:
    """Count the running tasks of this package, by what they run; those of the simulator aside."""
    found: Counter[str] = Counter()
    for task in asyncio.all_tasks():
        work = task.get_coro()
        if not iscoroutine(work):
            continue
        where = work.cr_code.co_filename
        if "/arbees_feed/" in where and "/arbees_feed/sim/" not in where:
            found[_SAME_WORK.get(work.__qualname__, work.__qualname__)] += 1
    return found


# -- counters --------------------------------------------------------------------------------------


class CountedFrames:
    """Listens in on all connections of a daemon; counts frames by venue."""

    def __init__(self) -> None:
        self.frames: Counter[str] = Counter()

    def tap(self, venue: str, connection: Connection) -> Connection:
        """Return the connection, listened in on."""
        return _Tapped(connection, venue, self.frames)


class _Tapped:
    def __init__(self, connection: Connection, venue: str, frames: Counter[str]) -> None:
        self._connection = connection
        self._venue = venue
        self._frames = frames

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def receive(self) -> Sequence[bytes]:
        frames = await self._connection.receive()
        self._frames[self._venue] += len(frames)
        return frames


def miscounted(daemon: Daemon, frames: Mapping[str, int], published: int) -> list[str]:
    """Return which counters and books of the daemon's own do not fit; to be called in quiet.

    *frames* were read from the sockets of each venue; *published* messages came to a reader that
    has followed all markets from the first.
    """
    publisher = daemon.venues[0]._publisher
    outlets = [
        *publisher.outlets._open.values(),
        *(outlet for _, outlet in publisher.outlets._retired.values()),
    ]
    stats = publisher.stats
    put = sum(venue.table.stats.quotes for venue in daemon.venues)
    found = [
        *_unequal("messages published", stats.published, sum(o.seq for o in outlets)),
        *_unequal("messages read", published, stats.published),
        *_unequal("quotes", put, stats.published + stats.conflated + publisher.waiting),
        *_unequal("markets waiting for Redis", publisher.waiting, 0),
        *_unequal("errors of Redis", stats.redis_errors, 0),
    ]
    for venue in daemon.venues:
        found += [f"{venue.venue}: {text}" for text in _miscounted(venue, frames[venue.venue])]
    return found


def _miscounted(venue: Venue, frames: int) -> list[str]:
    feed, table = venue.feed, venue.table
    decoded = feed.decoded()
    carried = [m for link in feed.links for m in link.markets if m in table]
    shown_live = sum(market.is_shown_live for market in table)
    live = sum(market.book is not None and market.book.state is LIVE for market in table)
    return [
        *_unequal("frames decoded", decoded.frames, frames),
        *_unequal("markets live", table.live, shown_live),
        *_unequal("books by state", sum(feed.prober.patrol.counts.values()), len(carried)),
        *_unequal("books live", live, len(carried)),
        *_unequal("connections", feed.open_links, len(feed.links)),
        *left_open(venue),
    ]


def left_open(venue: Venue) -> list[str]:
    """Return what should be nothing once all is quiet: doubts, handovers, debts, questions."""
    feed, table = venue.feed, venue.table
    questions = feed.prober._questions
    found = [
        *_unequal("handovers open", len(table.handovers._by_new), 0),
        *_unequal("markets in doubt", len(table._showcase._doubts), 0),
        *_unequal("questions under way", max(0, len(questions) - len(table)), 0),
        *_unequal("REST questions without one", len(_orphans(venue)), 0),
    ]
    for link in feed.links:
        found += _unequal(f"{link.name}: reliefs under way", link._relieving, False)
        if link.session is not None:
            owed = owed_by(link.session._decoder)
            found += _unequal(f"{link.name}: books owed", owed, [])
    return found


def _orphans(venue: Venue) -> list[str]:
    prober = venue.feed.prober
    return [m for m in prober._rest if prober._questions.get(m) is not prober._rest[m]]


def owed_by(decoder: Any) -> list[str]:
    """Return the markets whose snapshot a decoder still waits for."""
    part = getattr(decoder, "_books", None)
    owed = part.owed if part is not None else decoder._membership._owed
    return sorted(owed._debts)


def _unequal(what: str, found: object, expected: object) -> list[str]:
    return [] if found == expected else [f"{what}: {found}, not {expected}"]
