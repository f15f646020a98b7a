"""What the matcher of pairs, a process beside the feed, says of itself in Redis.

It writes the hash `feed:pairs:state` once a second, with an end 10 s later; one that is stopped
takes it away, one that was killed lets it end (docs/pairs.md). How old its word is can be told by
the time that is left, so no two clocks have to agree. The hash is anybody's to write: what is no
word of a matcher is counted and left out; what is too long to be one is not even read.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec
import structlog
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from arbees_feed.core.text import is_name
from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.ops.overview import PairsNow
from arbees_feed.ops.samples import Sample

_log = structlog.get_logger("arbees_feed.matcher")

LOOK_EVERY_S: Final = 2.0
LIFETIME_S: Final = 10.0
"""The hash ends so long after it was written."""
LONGEST: Final = 32
"""No value of a matcher is longer."""
SILENT: Final = "silent"
STOPPED: Final = "stopped"

_COUNTS: Final = ("markets", "pairs", "confirmed", "by_user", "live", "contradicted")
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_NO_KEY: Final = -2
_WRONG_KIND: Final = "WRONGTYPE"


class Client(Protocol):
    """What is needed of a Redis client."""

    def pipeline(self, transaction: bool) -> Any:  # noqa: FBT001 - as redis-py has it
        """Return something that sends several commands at once."""

    def hmget(self, name: str, keys: Sequence[str]) -> Awaitable[Sequence[bytes | None]]:
        """Read fields of a hash."""


class Warner(Protocol):
    """What is told of a hash that no matcher writes; may swallow what it was told before."""

    def warning(self, event: str, **fields: object) -> object:
        """Log one line."""


class Word(msgspec.Struct, frozen=True):
    """What a matcher says: counts, and `matching` until it has looked at everything once."""

    state: str
    markets: int
    pairs: int
    confirmed: int
    by_user: int
    live: int
    contradicted: int

    @property
    def cross_pairs(self) -> str:
        """Coverage as N/M: confirmed pairs with both prices live, of all confirmed ones."""
        return f"{self.live}/{self.confirmed}"


class MatcherWatch:
    """Looks whether a matcher is there, and what it says; a service."""

    name = "matcher"

    def __init__(
        self,
        client: Client,
        names: Names,
        warner: Warner,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.state = ""
        """`matching`, `live`, `silent` or `stopped`; empty: none was ever there."""
        self.malformed = 0
        """Looks that found what no matcher writes."""
        self._client = client
        self._key = names.pairs_state()
        self._warner = warner
        self._monotonic = monotonic
        self._now_ns = now_ns
        self._sleep = sleep
        self._word: Word | None = None
        self._heard_s = 0.0
        self._heard_ns = 0
        self._since_ns = 0
        self._lives_until_s = 0.0

    # -- looking -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look every two seconds until cancelled, or not again if this user may not look.

        Raises:
            RedisUnavailable: run again.
        """
        try:
            while True:
                await self.look()
                await self._sleep(LOOK_EVERY_S)
        except NoPermissionError as exc:
            _log.warning("a matcher of pairs would go unnoticed", error=str(exc))

    async def look(self) -> None:
        """Look once.

        Raises:
            RedisUnavailable: Redis did not answer.
            NoPermissionError: this user may not look.
        """
        asked_s = self._monotonic()
        try:
            left_ms, values = await self._read()
        except NoPermissionError:
            raise
        except ResponseError as exc:
            if _WRONG_KIND not in str(exc):
                raise RedisUnavailable(f"the state of pairs can't be read: {exc}") from exc
            self._garbled("no hash")
        except ValueError as exc:
            self._garbled(str(exc))
        except RedisError as exc:
            raise RedisUnavailable(f"the state of pairs can't be read: {exc}") from exc
        else:
            self._take(asked_s, left_ms, values)

    async def _read(self) -> tuple[int, Sequence[bytes | None]]:
        """Return how long the hash lives on, in ms, and its fields; none: it is not there.

        Raises:
            ValueError: something is there that no matcher has written.
        """
        fields = ("state", *_COUNTS)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.pttl(self._key)
        for field in fields:
            pipeline.hstrlen(self._key, field)
        left_ms, *lengths = await pipeline.execute()
        if left_ms == _NO_KEY:
            return 0, ()
        if left_ms < 0:
            raise ValueError("it never ends")
        if (longest := max(lengths)) > LONGEST:
            raise ValueError(f"a field of {longest:,} bytes")
        if not longest:
            raise ValueError("none of the fields")
        values = await self._client.hmget(self._key, fields)
        return (left_ms, values) if any(values) else (0, ())  # it has ended meanwhile

    def _take(self, asked_s: float, left_ms: int, values: Sequence[bytes | None]) -> None:
        if not values:
            self._missed()
            return
        try:
            word = word_of(values)
        except ValueError as exc:
            self._garbled(str(exc))
            return
        age_s = max(0.0, LIFETIME_S - left_ms / 1e3)
        self._word = word
        self._heard_s = self._monotonic() - age_s
        self._heard_ns = self._now_ns() - round(age_s * 1e9)
        # As seen from before the question: it can't have ended earlier.
        self._lives_until_s = asked_s + left_ms / 1e3
        self._become(word.state)

    def _missed(self) -> None:
        """Tell one that was stopped, and took its hash away, from one whose hash has ended."""
        if self._word is not None and self.state != SILENT:
            was_taken = self._monotonic() < self._lives_until_s
            self._become(STOPPED if was_taken else SILENT)
            if was_taken:
                self._word = None

    def _garbled(self, why: str) -> None:
        self.malformed += 1
        self._warner.warning("this is no matcher's word", key=self._key, why=why)
        if self._word is not None and self._monotonic() >= self._lives_until_s:
            self._become(SILENT)

    def _become(self, state: str) -> None:
        if state == self.state:
            return
        self.state = state
        self._since_ns = self._now_ns()
        covered = "" if self._word is None else self._word.cross_pairs
        if state == SILENT:
            _log.warning("no word from the matcher of pairs", reason=self.reason)
        else:
            _log.info("matcher of pairs", state=state, cross_pairs=covered)

    # -- what is known -----------------------------------------------------------------------------

    @property
    def reason(self) -> str:
        """Why it is not to be believed, in words; empty: it is, or there is none."""
        if self.state != SILENT:
            return ""
        since = datetime.fromtimestamp(self._heard_ns // 1_000_000_000, UTC)
        return f"no word from the matcher since {since:%Y-%m-%d %H:%M:%S} UTC"

    def now(self) -> PairsNow | None:
        """Return what is known; None: there is no matcher."""
        word = self._word
        if word is None:
            return None
        return PairsNow(
            state=self.state,
            reason=self.reason,
            cross_pairs=word.cross_pairs,
            mapped=word.by_user,
            found=word.confirmed,
            live=word.live,
            probable=max(0, word.pairs - word.confirmed),
            contradicted=word.contradicted,
            markets=word.markets,
            age_s=round(self._monotonic() - self._heard_s, 1),
            since_ns=self._since_ns,
        )

    def readings(self) -> Iterator[Sample]:
        """Yield the metrics; a provider. None without a matcher, no counts of a silent one."""
        if self.malformed:
            text = "Looks at feed:pairs:state that found what no matcher writes"
            yield Sample(
                name="matcher_malformed_total", help=text, kind="counter", value=self.malformed
            )
        now = self.now()
        if now is None:
            return
        is_heard = now.state != SILENT
        for name, text, value in (
            ("matcher_up", "1 while the matcher of pairs is heard, 0 once it is silent", is_heard),
            ("matcher_age_seconds", "Since the last word of the matcher", now.age_s),
        ):
            yield Sample(name=name, help=text, kind="gauge", value=value)
        for kind in ("mapped", "found", "live", "probable", "contradicted") if is_heard else ():
            yield Sample(
                name="cross_pairs",
                help="Pairs of markets on both venues, by what is counted",
                kind="gauge",
                value=getattr(now, kind),
                labels={"kind": kind},
            )


def word_of(values: Sequence[bytes | None]) -> Word:
    """Return what a matcher says, from the values of its hash: its state, then its counts.

    Raises:
        ValueError: no matcher has written these; the message names the first that is wrong.
    """
    state, *counts = ["" if value is None else value.decode(errors="replace") for value in values]
    if not is_name(state) or state in (SILENT, STOPPED):
        raise ValueError(f"state: {state!a}")
    for name, count in zip(_COUNTS, counts, strict=True):
        if not _COUNT.fullmatch(count):
            raise ValueError(f"{name}: {count!a}")
    return Word(state, *map(int, counts))
