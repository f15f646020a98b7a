"""Snapshots that were asked for and have not come: what to ask, when, and what to give up.

Both venues leave out unknown or settled markets without a word, so a missing answer is the only
sign. A market that once had a book on this connection must get one again; one that never had is
given up loudly and asked for slowly.

A book that went wrong is asked for at once, but not for ever: a market that goes wrong again and
again is held back for longer and longer, and one bucket of tokens bounds what a whole connection
asks. Who is held back is not forgotten: it is owed, and its turn comes.
"""

from collections.abc import Iterable, Sequence

import msgspec

from arbees_feed.core.model import MarketId
from arbees_feed.core.ratelimit import TokenBucket
from arbees_feed.errors import ProtocolViolation


class Patience(msgspec.Struct, frozen=True):
    """How long to wait for a snapshot, and how often to ask."""

    answer_timeout_s: float = 5.0
    attempts: int = 3
    spacing_s: float = 1.0
    """A market whose book goes wrong again is asked for again no sooner than this."""
    longest_hold_s: float = 60.0
    """The spacing doubles up to this while the market goes wrong again and again: within
    `again_s` of the last request, or within twice the spacing."""
    again_s: float = 10.0
    good_after_s: float = 180.0
    """A market that was not asked for in so long has the first spacing again."""
    given_up_retry_s: float = 60.0
    asks_per_s: float = 500.0
    """Books asked for anew, on average over all markets of the connection."""
    burst: float = 12_000.0
    """So many at once: more than one connection carries, so that one gap costs no wait."""


class _Debt(msgspec.Struct):
    due_s: float
    since_s: float
    attempts: int
    had_book: bool
    told: bool = False


class Hold(msgspec.Struct):
    """When something was last asked for, and how long after that it may be asked for again."""

    asked_s: float
    spacing_s: float

    def earliest_s(self, now_s: float, patience: Patience) -> float:
        """Return when to ask for what went wrong now."""
        if now_s - self.asked_s >= patience.good_after_s:
            self.spacing_s = patience.spacing_s
        return self.asked_s + self.spacing_s

    def ask_anew(self, now_s: float, patience: Patience) -> None:
        """Note a request for what went wrong: it is the second one soon, or the first for long."""
        if 0 < now_s - self.asked_s < max(patience.again_s, 2 * self.spacing_s):
            self.spacing_s = min(patience.longest_hold_s, 2 * self.spacing_s)
        self.asked_s = now_s


class OwedSnapshots:
    """The open requests of one connection; the time is an argument."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._debts: dict[MarketId, _Debt] = {}
        self._holds: dict[MarketId, Hold] = {}
        self._bucket = TokenBucket(patience.asks_per_s, patience.burst)
        self._paid_s: float | None = None
        """When the token comes that was asked for and not there."""
        self._queued = False
        """Whether somebody waits for a token: nobody may overtake."""

    def __contains__(self, market: object) -> bool:
        return market in self._debts

    def __len__(self) -> int:
        return len(self._debts)

    def expect(self, markets: Iterable[MarketId], now_s: float, *, had_book: bool = False) -> None:
        """Note that these were asked for just now, for the first time: it needs no token."""
        due_s = now_s + self._patience.answer_timeout_s
        for market in markets:
            self._debts[market] = _Debt(due_s, now_s, 1, had_book)
            self._hold_of(market, now_s).asked_s = now_s

    def request(self, markets: Iterable[MarketId], now_s: float) -> tuple[list[MarketId], int]:
        """Note that these books went wrong; return which to ask for now, and how many are new.

        The others wait for `late`: on hold, or for a token.
        """
        fresh = [market for market in dict.fromkeys(markets) if market not in self._debts]
        at_once = []
        for market in fresh:
            hold = self._holds.get(market)
            due_s = hold.earliest_s(now_s, self._patience) if hold is not None else now_s
            self._debts[market] = _Debt(max(due_s, now_s), now_s, 0, had_book=True)
            if due_s <= now_s:
                at_once.append(market)
        granted = [] if self._queued else self._granted(at_once, now_s)
        self._queued |= len(granted) < len(at_once)
        for market in granted:
            self._ask(market, self._debts[market], now_s)
        return granted, len(fresh)

    def postpone(
        self, markets: Iterable[MarketId], due_s: float, *, is_attempt: bool = True
    ) -> None:
        """Note that the request for these was refused: it is late at *due_s*.

        Not *is_attempt*: we asked too fast, which says nothing about the market.
        """
        for market in markets:
            if (debt := self._debts.get(market)) is not None:
                debt.due_s = due_s
                debt.attempts -= not is_attempt and debt.attempts > 0

    def pause(self, until_s: float) -> None:
        """Ask for nothing before *until_s*, and for no burst then: the venue said too fast."""
        self._bucket.pause(until_s)
        if self._paid_s is not None:
            self._paid_s = max(self._paid_s, until_s)

    def arrived(self, market: MarketId) -> None:
        """Note a good snapshot."""
        self._debts.pop(market, None)

    def forget(self, market: MarketId) -> None:
        """Expect nothing of a market that has left."""
        self._debts.pop(market, None)
        self._holds.pop(market, None)

    def unusable(self, market: MarketId) -> None:
        """Note an answer that could not be read: no reason to give up the whole connection."""
        if (debt := self._debts.get(market)) is not None:
            debt.had_book = False

    def clear(self) -> None:
        """Expect nothing: the subscription is gone."""
        self._debts.clear()
        self._queued = False

    def is_last_attempt(self, market: MarketId) -> bool:
        """Tell whether our patience with this market ends when what was just asked fails too."""
        debt = self._debts.get(market)
        return debt is not None and debt.attempts >= self._patience.attempts

    def late(self, now_s: float) -> tuple[Sequence[MarketId], Sequence[MarketId]]:
        """Return what to ask for (again), and which of these have just used up our patience.

        First come those that were not asked for yet, then those that have waited longest.

        Raises:
            ProtocolViolation: a book that the venue had sent on this connection does not come.
        """
        due = [market for market, debt in self._debts.items() if debt.due_s <= now_s]
        for market in due:
            self._give_up_on(market, self._debts[market])
        due.sort(key=self._turn)
        granted = self._granted(due, now_s)
        self._queued = len(granted) < len(due)
        return granted, [m for m in granted if self._ask(m, self._debts[m], now_s)]

    def _turn(self, market: MarketId) -> tuple[bool, float]:
        debt = self._debts[market]
        return debt.attempts > 0, debt.since_s

    def _give_up_on(self, market: MarketId, debt: _Debt) -> None:
        if debt.had_book and debt.attempts >= self._patience.attempts:
            raise ProtocolViolation(f"no snapshot of {market} after {debt.attempts} requests")

    def _ask(self, market: MarketId, debt: _Debt, now_s: float) -> bool:
        """Note a request of now; return whether it is the first beyond our patience."""
        patience, hold = self._patience, self._hold_of(market, now_s)
        if debt.attempts:
            hold.asked_s = now_s
        else:
            hold.ask_anew(now_s, patience)
        if debt.attempts < patience.attempts:
            debt.attempts += 1
            debt.due_s = now_s + patience.answer_timeout_s
            return False
        debt.due_s = now_s + patience.given_up_retry_s
        first, debt.told = not debt.told, True
        return first

    def _hold_of(self, market: MarketId, now_s: float) -> Hold:
        hold = self._holds.get(market)
        if hold is None:
            hold = self._holds[market] = Hold(now_s, self._patience.spacing_s)
        return hold

    def _granted(self, markets: list[MarketId], now_s: float) -> list[MarketId]:
        """Return the first of *markets*, as many as there are tokens for."""
        for count in range(len(markets)):
            if self._paid_s is None:
                wait_s = self._bucket.take(now_s)
                if wait_s > 0:
                    self._paid_s = now_s + wait_s
            if self._paid_s is not None:
                if now_s < self._paid_s:
                    return markets[:count]
                self._paid_s = None
        return markets
