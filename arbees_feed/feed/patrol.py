"""Each book is looked at now and then: does it move as often as it used to, does its checksum hold?

Nothing here is on the path of a frame. The table counts a book's changes; how often a market moves
is learnt from that count, and a silence that is unusual for this market leads to a question.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from arbees_feed.core.book import BookState
from arbees_feed.core.model import Liveness, MarketId
from arbees_feed.feed.market import Market, Watch
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.questions import Question, Questions, Reason
from arbees_feed.feed.session import Session

SCAN_S: Final = 2.0
"""Each book is looked at once in so long."""
COPY_S: Final = 5.0
_PORTIONS: Final = 15
_USUAL: Final = 5.0
_SILENT_AT_LEAST_S: Final = 4.0
_SILENT_AT_MOST_S: Final = 60.0
_LEARN: Final = 0.2
_LATER_NS: Final = 1_000_000_000
_CHECKSUM_GRACE_S: Final = 2.0
_CHECKSUM_SETTLES_S: Final = 10.0
_CHECKSUMS_AT_ONCE: Final = 4

Carried = Callable[[], Iterable[tuple[Session, Sequence[MarketId]]]]
"""Who carries which books now."""


class Patrol:
    """Goes round the books of one venue; `step` is called ten times a second."""

    def __init__(self, table: MarketTable, carried: Carried, questions: Questions) -> None:
        self.counts: dict[Liveness, int] = {}
        """Books by state, as of the last whole round."""
        self._table = table
        self._carried = carried
        self._questions = questions
        self._round: list[tuple[Session, MarketId]] = []
        self._counting: dict[Liveness, int] = {}
        self._portion = 1
        self._due_s = 0.0

    def step(self, now_s: float) -> None:
        """Look at a portion of the books."""
        if not self._round:
            if now_s < self._due_s:
                return
            self._begin(now_s)
        checksums = _CHECKSUMS_AT_ONCE
        some, self._round = self._round[-self._portion :], self._round[: -self._portion]
        for session, market_id in some:
            market = self._table.get(market_id)
            if market is None:
                continue
            if is_on(market, session):
                self._copy(market, session, now_s)
                if self._moves(market, session, now_s) and checksums:
                    checksums -= 1
                    self._check(market, session, now_s)
            state = state_of(market, now_s)
            self._counting[state] = self._counting.get(state, 0) + 1

    def _begin(self, now_s: float) -> None:
        self._due_s = now_s + SCAN_S
        self.counts, self._counting = self._counting, {}
        self._round = [(s, m) for s, markets in self._carried() for m in markets]
        self._portion = len(self._round) // _PORTIONS + 1

    def _moves(self, market: Market, session: Session, now_s: float) -> bool:
        """Learn how often a market moves, and ask when it is silent for unusually long."""
        watch = watch_of(market, now_s)
        if market.changes != watch.seen:
            if watch.seen >= 0:
                watch.usual_s += _LEARN * (now_s - watch.heard_s - watch.usual_s)
            watch.seen = market.changes
            watch.heard_s, watch.suspicion = now_s, ""
            watch.unverified = True
            return True
        due_s = max(watch.heard_s, watch.proved_s, watch.asked_s) + _patience_s(watch)
        if now_s >= watch.asked_s + _SILENT_AT_LEAST_S and _is_contradicted(market):
            due_s = now_s
        if now_s >= due_s:
            watch.asked_s = now_s
            self._questions.add(Question(market, session, Reason.SILENCE))
        return watch.unverified

    def _copy(self, market: Market, session: Session, now_s: float) -> None:
        """Let the flight recorder know the book: frames alone tell changes only."""
        watch, flight = watch_of(market, now_s), session.flight
        if flight is not None and market.book is not None and now_s >= watch.copied_s + COPY_S:
            watch.copied_s = now_s
            flight.checkpoints.take(market.id, market.book, market.ts_ns, market.changes)

    def _check(self, market: Market, session: Session, now_s: float) -> None:
        """Judge a changed book by the venue's checksum; a lasting doubt leads to a question."""
        watch = watch_of(market, now_s)
        right = session.verify(market.id, market.book) if market.book is not None else None
        if right is None:
            # Too early to tell, perhaps; or there is no checksum, which is soon found out.
            watch.unverified = now_s - watch.heard_s < _CHECKSUM_SETTLES_S
        elif right:
            watch.wrong_since_s, watch.proved_s, watch.unverified = 0.0, now_s, False
        elif not watch.wrong_since_s:
            watch.wrong_since_s = now_s
        elif now_s - watch.wrong_since_s >= _CHECKSUM_GRACE_S:
            watch.suspicion = "its checksum does not come out"
            self._questions.add(Question(market, session, Reason.CHECKSUM))


def _is_contradicted(market: Market) -> bool:
    """Tell whether the ticker tells another top than the book, of a clearly later time."""
    ticker, book = market.ticker, market.book
    if ticker is None or book is None or ticker.ts_ns <= market.ts_ns + _LATER_NS:
        return False
    return (ticker.bid, ticker.bid_size, ticker.ask, ticker.ask_size) != book.top()


def state_of(market: Market, now_s: float) -> Liveness:
    """Return what is known of the source of a market's price."""
    book, watch = market.book, market.watch
    if market.phase == "closed":
        return Liveness.CLOSED
    if book is not None and book.state is not BookState.LIVE:
        return Liveness.RESYNCING
    if market.shown is not None and not market.is_shown_live:
        return Liveness.STALE
    if market.doubt or (watch is not None and watch.suspicion):
        return Liveness.SUSPECT
    quiet = watch is not None and now_s - watch.heard_s >= _patience_s(watch)
    return Liveness.QUIET if quiet else Liveness.LIVE


def is_on(market: Market, session: Session) -> bool:
    """Tell whether a market's book is in step, and comes over this connection."""
    book = market.book
    carried = market.book_link is session and market.phase != "closed"
    return carried and book is not None and book.state is BookState.LIVE


def watch_of(market: Market, now_s: float) -> Watch:
    """Return what is kept of a market's liveness, from now on if it is new."""
    if market.watch is None:
        market.watch = Watch(now_s)
    return market.watch


def _patience_s(watch: Watch) -> float:
    return min(_SILENT_AT_MOST_S, max(_SILENT_AT_LEAST_S, _USUAL * watch.usual_s))
