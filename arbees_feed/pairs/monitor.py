"""Does what the prices say fit the polarity of a pair? Evidence against a match, never for one.

Two prices of the same question may differ for a while. For long and by much they only do when the
question is not the same, or when one of them is turned round: then they sum to about a dollar.
Pure: time is handed in.
"""

import msgspec

from arbees_feed.pairs.price import LIVE, PairPrice


class Limits(msgspec.Struct, frozen=True):
    """When prices contradict a pair."""

    gap: float = 0.15
    """Dollars between the middles of both legs."""
    after_s: float = 120.0
    """Only what lasts so long is told."""
    sum_within: float = 0.03
    """Middles that sum to a dollar, give or take this, look inverted."""


class Contradiction(msgspec.Struct, frozen=True):
    """What was seen of a pair."""

    pair_id: str
    kind: str
    """`apart` or `looks_inverted`."""
    kalshi_mid: float
    polymarket_mid: float
    """In the pair's orientation."""
    since_s: float
    """How long it has lasted."""


class PairMonitor:
    """Watches the prices of pairs; times are monotonic seconds."""

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 (frozen)
        self._limits = limits
        self._apart: dict[str, tuple[float, float, float]] = {}
        self._told: dict[str, Contradiction] = {}

    @property
    def open(self) -> int:
        """How many contradictions last at this moment."""
        return len(self._told)

    def on_price(self, price: PairPrice, now_s: float) -> bool:
        """Take a price; return whether a contradiction that was told is over: they agree again.

        What has no prices contradicts nothing, and agrees with nothing.
        """
        mids = _mids(price)
        if mids is None:
            self._apart.pop(price.pair_id, None)
            self._told.pop(price.pair_id, None)
            return False
        if abs(mids[0] - mids[1]) > self._limits.gap:
            since_s = self._apart.get(price.pair_id, (now_s, 0.0, 0.0))[0]
            self._apart[price.pair_id] = (since_s, *mids)
            return False
        self._apart.pop(price.pair_id, None)
        return self._told.pop(price.pair_id, None) is not None

    def look(self, now_s: float) -> list[Contradiction]:
        """Return contradictions that have lasted long enough and were not told yet."""
        found = []
        for pair_id, (since_s, kalshi, polymarket) in self._apart.items():
            lasted_s = now_s - since_s
            if lasted_s < self._limits.after_s or pair_id in self._told:
                continue
            kind = "apart"
            if abs(kalshi + polymarket - 1.0) <= self._limits.sum_within:
                kind = "looks_inverted"
            told = Contradiction(pair_id, kind, kalshi, polymarket, lasted_s)
            self._told[pair_id] = told
            found.append(told)
        return found


def _mids(price: PairPrice) -> tuple[float, float] | None:
    """Return the middles of both legs; None unless all four sides are there."""
    sizes = [price.kalshi_bid_size, price.kalshi_ask_size]
    sizes += [price.polymarket_bid_size, price.polymarket_ask_size]
    if price.status != LIVE or not all(sizes):
        return None
    kalshi = (price.kalshi_bid + price.kalshi_ask) / 2
    return kalshi, (price.polymarket_bid + price.polymarket_ask) / 2
