"""What `top` knows of pairs of markets on two venues. No I/O; time is an argument.

The prices of pairs are the matcher's. Those on the screen are read several times a second; all
others in rounds, some each second, so that a screen costs the same however many pairs there are.
"""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from arbees_feed.cli.pairs import SEARCHED
from arbees_feed.ops.matcher import SILENT
from arbees_feed.ops.overview import PairsNow
from arbees_feed.pairs.listings import KALSHI, POLYMARKET
from arbees_feed.pairs.price import CLOSED, LIVE, PairPrice

LISTED: Final = 500
"""So many pairs are in a list at most."""
SILENCE_S: Final = 3.0
"""What was not read again for so long is not to be believed."""
LINGER_S: Final = 60.0
"""For so long a pair is shown that is no more."""
NOBODY: Final = "no matcher is at work: start one with `arbees-feed match run`"
_MOST_COST: Final = 10.0
_OLD: Final = "not read lately"

Metadata = Mapping[str, Mapping[str, str]]


class Way(msgspec.Struct, frozen=True):
    """Buying both sides: where YES is bought, dollars a contract with fees, contracts."""

    yes_at: str
    cost: float
    size: float

    @property
    def edge(self) -> float:
        """Cents a contract that both sides pay beyond what they cost."""
        return 100 * (1.0 - self.cost)


def cheaper(price: PairPrice) -> Way | None:
    """Return the cheaper way to buy both sides; None: none is on offer, or its fees unknown."""
    if price.status != LIVE:
        return None
    told = (
        (KALSHI, price.yes_at_kalshi_net, price.yes_at_kalshi_size),
        (POLYMARKET, price.yes_at_polymarket_net, price.yes_at_polymarket_size),
    )
    ways = [Way(venue, net, size) for venue, net, size in told if net is not None and size]
    return min(ways, key=lambda way: way.cost, default=None)


class Pair:
    """One pair: its newest price, and when that was read."""

    __slots__ = ("id", "left_s", "price", "read_s", "round", "said", "way")

    def __init__(self, pair_id: str, price: PairPrice, now_s: float, of_round: int) -> None:
        self.id = pair_id
        self.round = of_round
        """The round in which it was found last."""
        self.left_s = math.inf
        """Since when it is no more."""
        self.said = ""
        """What a search looks at; empty: not put together yet."""
        self.take(price, now_s)

    def take(self, price: PairPrice, now_s: float) -> None:
        """Take what was read just now."""
        self.price, self.read_s, self.way = price, now_s, cheaper(price)
        self.left_s = min(self.left_s, now_s) if price.status == CLOSED else math.inf


class Pairs:
    """Takes what was read, and answers what is to be shown."""

    def __init__(self) -> None:
        self.known: dict[str, Pair] = {}
        """All that have a price; probable pairs have none."""
        self.titles: dict[str, Mapping[str, str]] = {}
        """What the markets of known pairs are called."""
        self.facts: Metadata = {}
        """What the matcher says of the few pairs that are looked at."""
        self.of_market: tuple[str, Sequence[str]] = ("", ())
        """(the market that is looked at, ids of the pairs that it is in)"""
        self.trouble = ""
        """Why pairs can't be read at present."""
        self.is_whole = False
        """Whether all pairs were read once since the list was opened."""
        self.rounds = 0
        self._word: PairsNow | None = None
        self._word_s = self._read_s = -math.inf

    # -- what is read ------------------------------------------------------------------------------

    def begin(self) -> None:
        """Read all of them anew: what was read before may be old."""
        self.is_whole = False

    def on_matcher(self, word: PairsNow | None, now_s: float) -> None:
        """Take what the matcher says of itself; None: there is none."""
        self._word, self._word_s = word, now_s

    def on_prices(
        self, asked: Iterable[str], found: Mapping[str, PairPrice], now_s: float, *, listed: bool
    ) -> None:
        """Take the newest prices of the pairs that were *asked* for.

        *listed*: Redis has just named them as pairs; others are looked at again, and never new. A
        pair without a price is none that anybody could trade.
        """
        self._read_s, self.trouble = now_s, ""
        for pair_id in asked:
            price, pair = found.get(pair_id), self.known.get(pair_id)
            if price is not None and not _can_be_drawn(price):
                price = price.taken_back("its numbers can't be")
            if price is None:
                self._forget(pair_id)
            elif pair is not None:
                pair.take(price, now_s)
                pair.round = self.rounds if listed else pair.round
            elif listed:
                self.known[pair_id] = Pair(pair_id, price, now_s, self.rounds)

    def on_titles(self, found: Metadata) -> None:
        """Take what markets are called; none is known for good, so that it is not asked again."""
        self.titles.update(found)

    def on_facts(self, facts: Metadata, of_market: tuple[str, Sequence[str]]) -> None:
        """Take what the matcher says of the pairs that are looked at, and whose pairs they are."""
        self.facts, self.of_market = facts, of_market

    def missing(self) -> list[str]:
        """Return the pairs that were not found in this round: closed, or about to be listed."""
        return [pair.id for pair in self.known.values() if pair.round < self.rounds]

    def end_round(self, now_s: float) -> None:
        """Forget what is no more, but for what has closed a moment ago."""
        for pair in list(self.known.values()):
            # An id may slip from one page to one that was read before.
            lost = pair.round < self.rounds - 1 and pair.left_s == math.inf
            if lost or now_s - pair.left_s > LINGER_S:
                self._forget(pair.id)
        legs = {leg for pair in self.known.values() for leg in legs_of(pair.price)}
        for market in [market for market in self.titles if market not in legs]:
            del self.titles[market]
        self.rounds += 1
        self.is_whole = True

    def _forget(self, pair_id: str) -> None:
        self.known.pop(pair_id, None)

    def untitled(self, pair_ids: Iterable[str]) -> list[str]:
        """Return the markets of some pairs whose titles were never read."""
        prices = (self.known[pair_id].price for pair_id in pair_ids if pair_id in self.known)
        legs = dict.fromkeys(leg for price in prices for leg in legs_of(price))
        return [market for market in legs if market not in self.titles]

    # -- what is shown -----------------------------------------------------------------------------

    def matcher(self, now_s: float) -> PairsNow | None:
        """Return what a matcher that is at work says of itself; None: none is."""
        word = self._word
        if word is None or word.state == SILENT or now_s - self._word_s > SILENCE_S:
            return None
        return word

    def doubt(self, now_s: float) -> str:
        """Return why no price of a pair is to be believed; empty: they are."""
        # A list that was opened just now is being read: its rows say so themselves.
        last_s = min(self._word_s, self._read_s) if self.is_whole else self._word_s
        if now_s - last_s > SILENCE_S:
            return self.trouble or _OLD
        if self.matcher(now_s) is None:
            return (self._word.reason if self._word else "") or NOBODY
        return ""

    def believed(self, pair: Pair, now_s: float) -> PairPrice:
        """Return a price as it is to be believed now."""
        if pair.price.status != LIVE:
            return pair.price
        doubt = self.doubt(now_s) or (_OLD if self._is_old(pair, now_s) else "")
        return pair.price.taken_back(doubt) if doubt else pair.price

    def is_coming(self, pair: Pair, now_s: float) -> bool:
        """Return whether a price is only to be read again: a moment ago it was not looked at."""
        return self._is_old(pair, now_s) and not self.doubt(now_s)

    def _is_old(self, pair: Pair, now_s: float) -> bool:
        return now_s - pair.read_s > SILENCE_S

    def listed(self, text: str) -> list[str]:
        """Return the ids of the pairs that have all words of *text*, by what they are worth."""
        words = text.lower().split()
        every = (pair for pair in self.known.values() if self._has(pair, words))
        return [pair.id for pair in heapq.nlargest(LISTED, every, key=_worth)]

    def _has(self, pair: Pair, words: Sequence[str]) -> bool:
        if not words:
            return True
        if not pair.said:
            metas = [self.titles.get(leg) for leg in legs_of(pair.price)]
            told = [meta.get(name, "") for meta in metas if meta for name in SEARCHED]
            said = "\n".join([pair.id, *legs_of(pair.price), *told]).lower()
            if None in metas:
                return all(word in said for word in words)  # there is more to come
            pair.said = said
        return all(word in pair.said for word in words)


def legs_of(price: PairPrice) -> tuple[str, str]:
    """Return the markets of a pair: Kalshi's and Polymarket's."""
    return price.kalshi_id, price.polymarket_id


def ages_s(price: PairPrice, now_ns: int) -> tuple[float, float]:
    """Return how long ago each leg had changed, as far as the price tells: Kalshi's, the other's.

    A change that leaves both quotes as they are is not told, so they may be younger.
    """
    since_s = max(0.0, (now_ns - price.ts_pub_ns) / 1e9)
    return (price.kalshi_age_s or 0.0) + since_s, (price.polymarket_age_s or 0.0) + since_s


def _worth(pair: Pair) -> tuple[int, float]:
    if pair.way is not None:
        return 3, pair.way.edge
    order = {LIVE: 2, CLOSED: 0}
    return order.get(pair.price.status, 1), 0.0


def _can_be_drawn(price: PairPrice) -> bool:
    """Whether all are numbers of a pair: anybody may write to Redis."""
    quotes = (price.kalshi_bid, price.kalshi_ask, price.polymarket_bid, price.polymarket_ask)
    costs = (
        price.yes_at_kalshi_cost, price.yes_at_kalshi_net,
        price.yes_at_polymarket_cost, price.yes_at_polymarket_net,
    )  # fmt: skip
    rest = (
        price.kalshi_bid_size, price.kalshi_ask_size,
        price.polymarket_bid_size, price.polymarket_ask_size,
        price.yes_at_kalshi_size, price.yes_at_polymarket_size,
        price.kalshi_age_s or 0.0, price.polymarket_age_s or 0.0,
    )  # fmt: skip
    return (
        all(0 <= quote <= 1 for quote in quotes)
        and all(cost is None or 0 <= cost <= _MOST_COST for cost in costs)
        and all(0 <= number < math.inf for number in rest)
    )
