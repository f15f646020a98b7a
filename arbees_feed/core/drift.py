"""Does a venue still speak as it used to? Sentinels that watch its frames and say what changed.

A decoder ignores fields it does not know and takes a missing optional one for its default; both are
right for one frame and wrong as a habit, because a release of the venue can empty every price at
once without one frame being malformed. So a few frames are looked at in full, updates that take
prices away are counted, and so are malformed frames. Nothing here decides what readers see.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from arbees_feed.core.text import clean

OPENING: Final = 8
"""So many frames at the beginning of a connection are looked at, whatever comes after."""
LEARNT_FROM: Final = 40
"""What nearly all of the first so many samples of a kind have, it is expected to have."""
JUDGED: Final = 20
"""A field is missing when most of the last so many samples of its kind lack it."""
_NEARLY_ALL: Final = 0.95
_LARGEST_BYTES: Final = 1 << 18  # some ms of decoding
_DEEPEST: Final = 6
_MOST_ENTRIES: Final = 20
_NAME_CHARS: Final = 40
_NAMES_KEPT: Final = 64
_NAMES_SHOWN: Final = 4
OTHER: Final = ("other", "")
"""Stands for all unknown fields beyond those that are kept by name."""

_decode = msgspec.json.Decoder().decode

Field = tuple[str, str]
"""(kind of frame, path of the field): ("ticker", "msg.yes_bid_dollars")."""


class DriftSentinel:
    """Looks at frames in full, now and then: which fields are new, and which are gone.

    One for each venue. Paths go from the root of the frame and through arrays as if these were not
    there: "msg.market_ticker", "price_changes.price". A kind that is not named in *known_fields*
    is the decoder's to count. There, a path that ends in "?" names a field that may be absent for
    a while (an empty side of a book), and "path.*" stands for whatever is below it.
    """

    def __init__(
        self, known_fields: Mapping[str, frozenset[str]], kind_key: str, sample_every: int = 256
    ) -> None:
        """Watch the kinds of *known_fields*; frames name their kind in the field *kind_key*."""
        self.looked_at = 0
        self.unknown: Counter[Field] = Counter()
        """How often fields that we do not know were seen, in what was looked at."""
        self._kind_key = kind_key
        self._sample_every = sample_every
        self._kinds = {kind: _Kind(paths, kind_key) for kind, paths in known_fields.items()}

    def due(self, count: int) -> bool:
        """Return whether to look at the frame that is number *count* (from 1) of a connection."""
        return count <= OPENING or not count % self._sample_every

    def look(self, frame: bytes, *, opening: bool = False) -> None:
        """Look at one frame; what is no JSON, or is huge, is passed over.

        What may be expected is not learnt from the *opening* frames of a connection: those have
        fields that later ones of their kind have not.
        """
        if len(frame) > _LARGEST_BYTES:
            return
        try:
            root = _decode(frame)
        except (ValueError, RecursionError):
            return
        for message in root[:_MOST_ENTRIES] if isinstance(root, list) else (root,):
            self._look_at(message, opening=opening)

    def _look_at(self, message: object, *, opening: bool) -> None:
        name = message.get(self._kind_key) if isinstance(message, dict) else None
        kind = self._kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            return
        self.looked_at += 1
        present = dict.fromkeys(_paths(message))
        for path in present:
            if not kind.knows(path):
                self._count(str(name), path)
        if not opening:
            kind.observe(present)

    def _count(self, kind: str, path: str) -> None:
        field = (kind, path)
        if field not in self.unknown and len(self.unknown) >= _NAMES_KEPT:
            field = OTHER
        self.unknown[field] += 1

    def missing(self) -> Sequence[Field]:
        """Return the fields that used to be there and are not any more."""
        return [(name, path) for name, kind in self._kinds.items() for path in kind.missing()]

    def reasons(self) -> Sequence[str]:
        """Say what has changed, one short text for each sort of change; empty: nothing."""
        unknown = [".".join(field).rstrip(".") for field in self.unknown]
        missing = [".".join(field) for field in self.missing()]
        said = [f"unknown field {_some(unknown)}"] if unknown else []
        return [*said, f"{_some(missing)} missing"] if missing else said


class _Kind:
    """What is known and expected of one kind of frame."""

    def __init__(self, paths: frozenset[str], kind_key: str) -> None:
        self._known = {kind_key}
        self._open: tuple[str, ...] = ()
        self._optional: set[str] = set()
        for path in paths:
            self._name(path)
        self._learnt = 0
        self._seen: Counter[str] = Counter()
        self._last: deque[Collection[str]] = deque(maxlen=JUDGED)

    def _name(self, path: str) -> None:
        name = path.removesuffix("?").removesuffix(".*")
        if path.endswith(".*"):
            self._open += (f"{name}.",)
        if path.endswith("?"):
            self._optional.add(name)
        parts = name.split(".")
        self._known.update(".".join(parts[:end]) for end in range(1, len(parts) + 1))

    def knows(self, path: str) -> bool:
        """Return whether this path is known."""
        return path in self._known or path.startswith(self._open)

    def observe(self, present: Collection[str]) -> None:
        """Learn from the first samples what to expect, and keep the last ones."""
        if self._learnt < LEARNT_FROM:
            self._learnt += 1
            self._seen.update(path for path in present if self._is_expected(path))
            if self._learnt == LEARNT_FROM:
                enough = _NEARLY_ALL * LEARNT_FROM
                self._seen = Counter({p: n for p, n in self._seen.items() if n >= enough})
        else:
            self._last.append(present)

    def _is_expected(self, path: str) -> bool:
        return path in self._known and path not in self._optional

    def missing(self) -> Iterator[str]:
        """Yield what is expected and absent from most of the last samples."""
        if len(self._last) == JUDGED:
            for path in self._seen:
                if sum(path not in present for present in self._last) > JUDGED / 2:
                    yield path


def _paths(value: object, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the paths of all fields, of the first entries of each array only."""
    if isinstance(value, list):
        for entry in value[:_MOST_ENTRIES]:
            yield from _paths(entry, prefix, depth)
    elif isinstance(value, dict) and depth < _DEEPEST:
        for name, inner in value.items():
            path = prefix + clean(name, _NAME_CHARS)
            yield path
            if isinstance(inner, dict | list):
                yield from _paths(inner, f"{path}.", depth + 1)


def _some(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


class ZeroWatch:
    """Have the prices of a whole venue gone at once?

    Fed with every new state of a market *that had a quote when it was last shown live*: such a
    market seldom loses both sides, and many never do at one time. Markets that end do it a few at
    a time, and a small set of markets proves nothing.
    """

    window_s: Final = 10.0
    least_updates: Final = 50
    least_markets: Final = 20
    _RECENT_S: Final = 2.0
    _WEIGHT: Final = 0.04

    def __init__(self) -> None:
        self.held = False
        """Whether the verdict is that the prices are gone; ends when they come back."""
        self._now = _Span()
        """What has come since the last move of the window."""
        self._window: deque[_Span] = deque(maxlen=round(self.window_s / self._RECENT_S))
        self._before = _Span()
        """What came before the window, the newer the heavier."""
        self._moved_s: float | None = None
        self._share = 0.0
        """Share of emptying among the last few dozen updates."""
        self._emptied: dict[str, int] = {}
        """Markets emptied of late, with the move of the window they were emptied in."""
        self._moves = 0

    def add(self, market: str, empty: bool) -> None:  # noqa: FBT001 - the one fact there is
        """Take a new state of a market that had a quote; *empty*: it has none on either side."""
        span = self._now
        span.updates += 1
        self._share += (empty - self._share) * self._WEIGHT
        if empty:
            span.empty += 1
            span.markets.add(market)
            self._emptied[market] = self._moves

    @property
    def suspicious(self) -> bool:
        """Whether to hold back a market that loses its quote now.

        Before there is a verdict: most of the last few dozen updates emptied a market, and more
        than 20 markets were emptied within 2 to 4 s.
        """
        return self.held or (self._share > 0.5 and len(self._emptied) > self.least_markets)  # noqa: PLR2004 - half

    def tick(self, now_s: float) -> str | None:
        """Move the window; return the reason while the prices are gone. Call a few times a second.

        *now_s* is any clock that does not jump.
        """
        if self._moved_s is None:
            self._moved_s = now_s
        if now_s - self._moved_s >= self._RECENT_S:
            self._moved_s = now_s
            self._move()
        self._judge()
        return "all prices zero" if self.held else None

    def _move(self) -> None:
        if len(self._window) == self._window.maxlen and not self.held:
            self._before.fade(self._window[0])
        self._window.append(self._now)
        self._now = _Span()
        self._emptied = {m: move for m, move in self._emptied.items() if move == self._moves}
        self._moves += 1

    def _judge(self) -> None:
        updates = self._now.updates + sum(span.updates for span in self._window)
        empty = self._now.empty + sum(span.empty for span in self._window)
        if updates < self.least_updates:
            return  # too little to change a verdict
        if self.held:
            self.held = 2 * empty >= updates
        elif 10 * empty >= 9 * updates and self._before.is_mostly_priced():
            markets = self._now.markets.union(*(span.markets for span in self._window))
            self.held = len(markets) >= self.least_markets


class _Span:
    """Counts of some seconds."""

    __slots__ = ("empty", "markets", "updates")

    def __init__(self) -> None:
        self.updates = 0
        self.empty = 0
        self.markets: set[str] = set()
        """Those emptied."""

    def fade(self, newer: "_Span") -> None:
        """Forget half of what is known for *newer*, unless that was a time of silence."""
        if newer.updates:
            self.updates = self.updates // 2 + newer.updates
            self.empty = self.empty // 2 + newer.empty

    def is_mostly_priced(self) -> bool:
        """Return whether fewer than half were empty; nothing at all is no reason to say so."""
        return 2 * self.empty < self.updates


class MalformedShare:
    """How many of the last 200 or so frames were malformed, from counters that only grow."""

    def __init__(self, *, window: int = 200, least: int = 20, most_percent: float = 5.0) -> None:
        self._window = window
        self._least = least
        self._most_percent = most_percent
        self._marks: deque[tuple[int, int]] = deque([(0, 0)])

    def tick(self, frames: int, malformed: int) -> str | None:
        """Take both counters as they are now; return the reason while too many are malformed."""
        marks = self._marks
        if frames > marks[-1][0]:
            marks.append((frames, malformed))
        while len(marks) > 1 and frames - marks[1][0] >= self._window:
            marks.popleft()
        since_frames, since_malformed = marks[0]
        seen = frames - since_frames
        if seen < self._least:
            return None
        percent = 100.0 * (malformed - since_malformed) / seen
        return f"{percent:.0f} % of frames malformed" if percent > self._most_percent else None


def degraded(*reasons: str | None) -> str:
    """Return one text for the state of a venue; "" when there is nothing to say."""
    said = [reason for reason in reasons if reason]
    return f"degraded: {'; '.join(said)}" if said else ""
