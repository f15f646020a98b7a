"""Snapshots that were asked for and have not come: what to ask again, what to give up.

Both venues leave out unknown or settled markets without a word, so a missing answer is the only
sign. A market that once had a book on this connection must get one again; one that never had is
given up loudly and asked for slowly.
"""

from collections.abc import Iterable, Sequence

import msgspec

from arbees_feed.core.model import MarketId
from arbees_feed.errors import ProtocolViolation


class Patience(msgspec.Struct, frozen=True):
    """How long to wait for a snapshot, and how often to ask."""

    answer_timeout_s: float = 5.0
    attempts: int = 3
    spacing_s: float = 1.0
    """A market whose book goes wrong again and again is asked for once in so long."""
    given_up_retry_s: float = 60.0


class _Debt(msgspec.Struct):
    due_s: float
    attempts: int
    had_book: bool
    told: bool = False


class OwedSnapshots:
    """The open requests of one connection; the time is an argument."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._debts: dict[MarketId, _Debt] = {}
        self._asked_s: dict[MarketId, float] = {}

    def __contains__(self, market: object) -> bool:
        return market in self._debts

    def __len__(self) -> int:
        return len(self._debts)

    def expect(self, markets: Iterable[MarketId], now_s: float, *, had_book: bool = False) -> None:
        """Note that these were asked for just now."""
        due_s = now_s + self._patience.answer_timeout_s
        for market in markets:
            self._debts[market] = _Debt(due_s, 1, had_book)
            self._asked_s[market] = now_s

    def request(self, markets: Iterable[MarketId], now_s: float) -> tuple[list[MarketId], int]:
        """Note that these books went wrong; return which to ask for now, and how many are new.

        One that was asked for within `spacing_s` waits for `late`.
        """
        fresh = [market for market in dict.fromkeys(markets) if market not in self._debts]
        spacing_s = self._patience.spacing_s
        at_once = [m for m in fresh if self._asked_s.get(m, -spacing_s) + spacing_s <= now_s]
        for market in set(fresh).difference(at_once):
            self._debts[market] = _Debt(now_s, 0, had_book=True)
        self.expect(at_once, now_s, had_book=True)
        return at_once, len(fresh)

    def postpone(self, markets: Iterable[MarketId], due_s: float) -> None:
        """Note that the request for these was refused: it is late at *due_s*."""
        for market in markets:
            if (debt := self._debts.get(market)) is not None:
                debt.due_s = due_s

    def arrived(self, market: MarketId) -> None:
        """Note a good snapshot."""
        self._debts.pop(market, None)

    def forget(self, market: MarketId) -> None:
        """Expect nothing of a market that has left."""
        self._debts.pop(market, None)
        self._asked_s.pop(market, None)

    def unusable(self, market: MarketId) -> None:
        """Note an answer that could not be read: no reason to give up the whole connection."""
        if (debt := self._debts.get(market)) is not None:
            debt.had_book = False

    def clear(self) -> None:
        """Expect nothing: the subscription is gone."""
        self._debts.clear()

    def late(self, now_s: float) -> tuple[Sequence[MarketId], Sequence[MarketId]]:
        """Return what to ask for again, and which of these have just used up our patience.

        Raises:
            ProtocolViolation: a book that the venue had sent on this connection does not come.
        """
        late = [market for market, debt in self._debts.items() if debt.due_s <= now_s]
        return late, [market for market in late if self._move(market, self._debts[market], now_s)]

    def _move(self, market: MarketId, debt: _Debt, now_s: float) -> bool:
        patience = self._patience
        if debt.attempts < patience.attempts:
            debt.attempts += 1
            debt.due_s = now_s + patience.answer_timeout_s
            return False
        if debt.had_book:
            raise ProtocolViolation(f"no snapshot of {market} after {debt.attempts} requests")
        debt.due_s = now_s + patience.given_up_retry_s
        first, debt.told = not debt.told, True
        return first
