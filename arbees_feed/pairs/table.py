"""The pairs that are priced, and the newest price of each leg. Pure: time is handed in.

How old a leg is told by two clocks: what it is when we first see it by the time of day, which the
feed has written into it, and how much older it has become since by a clock that never steps. So a
clock that is set back does not make an old leg young again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR
from arbees_feed.core.wire import MarketPrice
from arbees_feed.pairs.fees import Fees
from arbees_feed.pairs.listings import KALSHI, POLYMARKET
from arbees_feed.pairs.price import CLOSED, INVERTED, LIVE, STALE, PairPrice, Top, buy_both

_NS_PER_S: Final = 10**9
_MOST_SIZE: Final = 1e12
"""No book has so many contracts; what has is not of a feed."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """One moment by both clocks."""

    unix_ns: int
    steady_ns: int


class Terms(msgspec.Struct, frozen=True):
    """What a pair is: two markets, and how they lie to each other."""

    pair_id: str
    kalshi_id: str
    polymarket_id: str
    polarity: str
    """`same` or `inverted`."""
    kalshi_fees: Fees | None
    polymarket_fees: Fees | None
    fees_told: bool


class _Pair:
    """One pair, and what was last said of it."""

    __slots__ = ("expires_ns", "said", "terms")

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.said: PairPrice | None = None
        self.expires_ns = 0
        """When a leg gets too old for what was said (steady); 0 while it is stale anyway."""


class PairTable:
    """Turns prices of legs into prices of pairs.

    A pair is live while both legs are, and neither has rested for longer than *max_age_s*. What
    does not change bid, ask, sizes, costs or status is not said again.
    """

    def __init__(self, book: Mapping[str, MarketPrice], *, max_age_s: float) -> None:
        """*book* has the newest price of each market, as it is to be believed now."""
        self._book = book
        self._max_age_ns = round(max_age_s * _NS_PER_S)
        self._pairs: dict[str, _Pair] = {}
        self._by_leg: dict[str, dict[str, _Pair]] = {}
        self._born: dict[str, tuple[int, int]] = {}
        """Of each leg: the `ts_recv_ns` of its newest price, and when that was (steady)."""

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, pair_id: str) -> bool:
        return pair_id in self._pairs

    @property
    def legs(self) -> Collection[str]:
        """All markets whose prices are needed; a view."""
        return self._by_leg.keys()

    @property
    def live(self) -> int:
        """How many pairs have both prices live."""
        return sum(1 for pair in self._pairs.values() if pair.said and pair.said.status == LIVE)

    def again(self, pair_ids: Iterable[str], now: Moment) -> Iterator[PairPrice]:
        """Yield what there is to say of some pairs, whether it was said before or not."""
        for pair_id in pair_ids:
            if (pair := self._pairs.get(pair_id)) is not None:
                pair.said = None
                yield from self._said([pair], now)

    def stop(self, reason: str) -> Iterator[PairPrice]:
        """Yield a last word on each pair that is live."""
        for pair in self._pairs.values():
            if pair.said is not None and pair.said.status == LIVE:
                pair.said = pair.said.taken_back(reason)
                yield pair.said

    def terms(self) -> Mapping[str, Terms]:
        """Return all pairs by their ids."""
        return {pair_id: pair.terms for pair_id, pair in self._pairs.items()}

    def put(self, terms: Terms, now: Moment) -> PairPrice | None:
        """Add a pair, or change what it is; return what is to be said."""
        known = self._pairs.get(terms.pair_id)
        if known is not None and known.terms == terms:
            return None
        if known is not None:
            self._unlink(known)
        pair = _Pair(terms)
        self._pairs[terms.pair_id] = pair
        for leg in (terms.kalshi_id, terms.polymarket_id):
            self._by_leg.setdefault(leg, {})[terms.pair_id] = pair
        return self._say(pair, now)

    def drop(self, pair_id: str, reason: str) -> PairPrice | None:
        """Take a pair away; return its last word, with *reason*."""
        pair = self._pairs.pop(pair_id, None)
        if pair is None:
            return None
        self._unlink(pair)
        for leg in {pair.terms.kalshi_id, pair.terms.polymarket_id} - self._by_leg.keys():
            self._born.pop(leg, None)
        return _empty(pair.terms, CLOSED, reason)

    def on_price(self, market: str, now: Moment) -> Sequence[PairPrice]:
        """Look at the newest price of a market; return what is to be said of its pairs."""
        pairs = self._by_leg.get(market)
        if pairs is None:
            return ()
        return list(self._said(pairs.values(), now))

    def expire(self, now: Moment) -> Sequence[PairPrice]:
        """Return what is to be said of pairs with a leg that has rested too long; call often."""
        due = [pair for pair in self._pairs.values() if 0 < pair.expires_ns <= now.steady_ns]
        return list(self._said(due, now))

    def _said(self, pairs: Iterable[_Pair], now: Moment) -> Iterator[PairPrice]:
        for pair in pairs:
            if (said := self._say(pair, now)) is not None:
                yield said

    def _unlink(self, pair: _Pair) -> None:
        for leg in (pair.terms.kalshi_id, pair.terms.polymarket_id):
            pairs = self._by_leg.get(leg, {})
            pairs.pop(pair.terms.pair_id, None)
            if not pairs:
                self._by_leg.pop(leg, None)

    def _say(self, pair: _Pair, now: Moment) -> PairPrice | None:
        terms = pair.terms
        kalshi = self._book.get(terms.kalshi_id)
        polymarket = self._book.get(terms.polymarket_id)
        ages = self._age_ns(kalshi, now), self._age_ns(polymarket, now)
        reason = self._trouble(KALSHI, kalshi, ages[0])
        reason = reason or self._trouble(POLYMARKET, polymarket, ages[1])
        if reason or kalshi is None or polymarket is None:
            pair.expires_ns = 0
            if pair.said is not None and pair.said.status == STALE:
                return None
            pair.said = _empty(terms, STALE, reason)
            return pair.said
        pair.expires_ns = now.steady_ns + self._max_age_ns - max(ages)
        price = _live(terms, kalshi, polymarket, ages)
        if pair.said is not None and _same(pair.said, price):
            return None
        pair.said = price
        return price

    def _age_ns(self, price: MarketPrice | None, now: Moment) -> int:
        """Return how long ago a leg has changed, as far as we can tell."""
        if price is None:
            return 0
        stamp, born_ns = self._born.get(price.market_id, (-1, 0))
        if stamp != price.ts_recv_ns:
            # The feed's clock may be ahead of ours.
            born_ns = now.steady_ns - max(0, now.unix_ns - price.ts_recv_ns)
            self._born[price.market_id] = price.ts_recv_ns, born_ns
        return now.steady_ns - born_ns

    def _trouble(self, venue: str, price: MarketPrice | None, age_ns: int) -> str:
        """Return why a leg can't be used, or nothing."""
        if price is None:
            return f"{venue}: no price yet"
        if price.status != LIVE:
            return f"{venue}: {price.status}"
        if not (price.yes_bid_size <= _MOST_SIZE and price.yes_ask_size <= _MOST_SIZE):
            return f"{venue}: its sizes can't be"
        if age_ns >= self._max_age_ns:
            return f"{venue}: no change for {self._max_age_ns / _NS_PER_S:g} s"
        return ""


def _empty(terms: Terms, status: str, reason: str) -> PairPrice:
    return PairPrice(
        pair_id=terms.pair_id,
        kalshi_id=terms.kalshi_id,
        polymarket_id=terms.polymarket_id,
        polarity=terms.polarity,
        status=status,
        reason=reason,
    )


def _live(
    terms: Terms, kalshi: MarketPrice, polymarket: MarketPrice, ages_ns: tuple[int, int]
) -> PairPrice:
    here, there = Top.of(kalshi), Top.of(polymarket, inverted=terms.polarity == INVERTED)
    at_kalshi = buy_both(here, terms.kalshi_fees, there, terms.polymarket_fees)
    at_polymarket = buy_both(there, terms.polymarket_fees, here, terms.kalshi_fees)
    return msgspec.structs.replace(
        _empty(terms, LIVE, ""),
        kalshi_bid=here.bid / ONE_DOLLAR,
        kalshi_ask=here.ask / ONE_DOLLAR,
        kalshi_bid_size=here.bid_size / ONE_CONTRACT,
        kalshi_ask_size=here.ask_size / ONE_CONTRACT,
        kalshi_age_s=ages_ns[0] / _NS_PER_S,
        polymarket_bid=there.bid / ONE_DOLLAR,
        polymarket_ask=there.ask / ONE_DOLLAR,
        polymarket_bid_size=there.bid_size / ONE_CONTRACT,
        polymarket_ask_size=there.ask_size / ONE_CONTRACT,
        polymarket_age_s=ages_ns[1] / _NS_PER_S,
        yes_at_kalshi_cost=at_kalshi.cost,
        yes_at_kalshi_net=at_kalshi.net,
        yes_at_kalshi_size=at_kalshi.size,
        yes_at_polymarket_cost=at_polymarket.cost,
        yes_at_polymarket_net=at_polymarket.net,
        yes_at_polymarket_size=at_polymarket.size,
        fees_told=terms.fees_told,
    )


def _same(said: PairPrice, price: PairPrice) -> bool:
    """Return whether nothing differs but the ages."""
    return said == msgspec.structs.replace(
        price, kalshi_age_s=said.kalshi_age_s, polymarket_age_s=said.polymarket_age_s
    )
