"""Questions for books that we have already: the answers are compared, not loaded.

The venue answers `get_snapshot` by frames that carry the number of the command (AsyncAPI, autumn
2026). Where they carry none, the market must do; an empty snapshot without a number is then none:
the venue clears a book that way when its market closes.
"""

from collections.abc import Iterable

from arbees_feed.core.model import MarketId

KEPT_S = 30.0
"""A question without an answer is forgotten after so long; whoever asked has given up before."""
_FIRST_HOLD_S = 10.0
"""So long that whoever asks again for want of an answer is sent to REST."""
_LONGEST_HOLD_S = 60.0


class Probes:
    """The open questions of one subscription, by the number of their command."""

    def __init__(self) -> None:
        self._asked: dict[int, tuple[float, set[MarketId]]] = {}
        self._hold_until_s = 0.0
        self._hold_s = _FIRST_HOLD_S

    def __len__(self) -> int:
        return sum(len(markets) for _, markets in self._asked.values())

    def may_ask(self, now_s: float) -> bool:
        """Tell whether the venue has not refused a question just now."""
        return now_s >= self._hold_until_s

    def asked(self, number: int, markets: Iterable[MarketId], now_s: float) -> None:
        """Note that the command *number* asks for these."""
        self._asked[number] = (now_s, set(markets))

    def answers(self, market: MarketId, number: int, *, is_empty: bool) -> bool:
        """Take a snapshot; tell whether it is an answer to a question (then it is no more open).

        *number* is the command's that the frame names, 0 when it names none.
        """
        if not self._asked:
            return False
        if number:
            _, markets = self._asked.get(number, (0.0, set[MarketId]()))
            return self._close(number, markets, market)
        if is_empty:
            return False
        return any(self._close(n, markets, market) for n, (_, markets) in [*self._asked.items()])

    def _close(self, number: int, markets: set[MarketId], market: MarketId) -> bool:
        if market not in markets:
            return False
        markets.remove(market)
        if not markets:
            del self._asked[number]
        return True

    def cancel(self, markets: Iterable[MarketId]) -> None:
        """Expect no answer about these: their books are replaced, or gone."""
        if not self._asked:
            return
        gone = set(markets)
        for number, (_, waiting) in [*self._asked.items()]:
            waiting.difference_update(gone)
            if not waiting:
                del self._asked[number]

    def clear(self) -> None:
        """Expect no answer at all."""
        self._asked.clear()

    def refused(self, number: int, now_s: float) -> bool:
        """Note an error; tell whether it was about a question. Asks more and more seldom then."""
        if self._asked.pop(number, None) is None:
            return False
        if now_s >= self._hold_until_s + _LONGEST_HOLD_S:
            self._hold_s = _FIRST_HOLD_S
        if now_s >= self._hold_until_s:  # what is asked together is refused together
            self._hold_until_s = now_s + self._hold_s
            self._hold_s = min(_LONGEST_HOLD_S, 2 * self._hold_s)
        return True

    def expire(self, now_s: float) -> None:
        """Forget what was asked too long ago."""
        while self._asked:
            number = next(iter(self._asked))
            if self._asked[number][0] + KEPT_S > now_s:
                return
            del self._asked[number]
