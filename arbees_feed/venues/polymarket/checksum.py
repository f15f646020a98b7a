"""Whether a book of ours has the hash that the venue told of it.

Pure; asked for now and then, never on the way of a frame. The hash covers facts that the market
channel does not tell (`min_order_size`, `neg_risk`): they are learnt from a token's opening book,
whose levels and hash came together. It also covers the last trade price, which runs ahead of its
own message (README.md); so a book counts as wrong only when no trade price explains its hash, and
when the changes that share it have had time to come.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final

import msgspec

from arbees_feed.core.book import BookState, OrderBook
from arbees_feed.core.model import ONE_DOLLAR, Ticks
from arbees_feed.core.money import TicksByText
from arbees_feed.core.venue import DecoderStats
from arbees_feed.venues.polymarket.bookhash import HashedLevels, HashFacts
from arbees_feed.venues.polymarket.integrity import Member, on_grid, ticks_of
from arbees_feed.venues.polymarket.messages import Book

SETTLED_S: Final = 0.5
"""So long after its last change a state is complete (a batch arrives within milliseconds)."""
FAILING_S: Final = 2.0
FAILURES: Final = 4
"""A market that never settles is wrong when so many looks over so long all fail."""
RECIPE_TRIES: Final = 20
_SEARCH_EVERY_S: Final = 1.0
_TICK_SIZES: Final = ("0.01", "0.001", "0.1", "0.005", "0.0025", "0.0001")
_LIKELY_TICK_SIZES: Final = ("0.01", "0.001")
_ORDER_SIZES: Final = ("5", "15", "1", "10", "20", "50", "100", "0")
_THOUSANDTH: Final = 10
_HALF: Final = ONE_DOLLAR // 2
_NEAR: Final = 100
"""Where ticks are finer than a thousandth, trades are looked for a cent around the best prices."""


class Recipe:
    """Whether hashes come out at all, as we make them; the venue changed how twice in 2025."""

    def __init__(self) -> None:
        self.tried = 0
        self.proved = 0
        self.failed_in_a_row = 0

    def told(self, *, right: bool) -> None:
        """Note one attempt on a book that came whole from the venue."""
        self.tried += 1
        self.proved += right
        self.failed_in_a_row = 0 if right else self.failed_in_a_row + 1

    @property
    def unknown(self) -> bool:
        """Whether enough was tried, and nothing came out."""
        return not self.proved and self.tried >= RECIPE_TRIES


class HashJudge:
    """Judges the books of one connection."""

    def __init__(self, stats: DecoderStats, ticks: TicksByText) -> None:
        self._stats = stats
        self._ticks = ticks
        self._recipe = Recipe()

    def learn(self, member: Member, message: Book) -> bool:
        """Learn from an opening book; return whether this just showed that the recipe is lost."""
        member.trade_price = message.last_trade_price
        member.facts = self._facts(message)
        was_unknown = self._recipe.unknown
        self._recipe.told(right=member.facts is not None)
        return self._recipe.unknown and not was_unknown

    def _facts(self, message: Book) -> HashFacts | None:
        levels = levels_of(message)
        for size, neg_risk in product(_ORDER_SIZES, (False, True)):
            facts = HashFacts(message.market, message.asset_id, message.tick_size, size, neg_risk)
            if levels.finish(facts, message.last_trade_price) == message.hash:
                return facts
        return None

    def explains(self, member: Member, message: Book) -> bool:
        """Tell whether a book off the grid is right with another tick, and remember that."""
        facts, price = member.facts, member.trade_price
        if facts is None:
            return False
        best = [self._ticks[side[-1].price] for side in (message.bids, message.asks) if side]
        prices = [price, *_every_trade_price(best, facts.tick_size)]
        found = _search(levels_of(message), message.hash, _retimed(facts, _TICK_SIZES), prices)
        return found is not None and self._remember(member, *found)

    def verify(self, member: Member, book: OrderBook, now_s: float) -> bool | None:
        """Judge *book*; see `Decoder.verify`. Costs some 0.1 ms, and up to 3 ms on a suspicion."""
        told, facts = member.told_hash(), member.facts
        if not (told and facts and member.since_ms) or book.state is not BookState.LIVE:
            return None
        if self._recipe.unknown:
            return None
        levels = HashedLevels.of_book(book, facts.market, facts.asset_id, str(member.since_ms))
        bid, _, ask, _ = book.top()
        likely = self._likely(member, bid, ask)
        found = _search(levels, told, _retimed(facts, _TICK_SIZES), likely)
        if found is None and self._may_search(member, told, now_s):
            every = _every_trade_price((bid, ask), facts.tick_size)
            found = _search(levels, told, _retimed(facts, _LIKELY_TICK_SIZES), every)
        if found is None:
            return self._refuted(member, told, now_s)
        member.failures = 0
        self._stats.hashes_right += 1
        return self._remember(member, *found)

    def _remember(self, member: Member, facts: HashFacts, price: str) -> bool:
        if facts != member.facts:
            member.refine_grid(facts.tick_size)
        member.facts, member.trade_price = facts, price
        return True

    def _likely(self, member: Member, bid: Ticks, ask: Ticks) -> list[str]:
        """Return the trade prices to try first: the known one, and those of what came since."""
        told = [member.traded] if member.traded else []
        if member.last is not None:
            told.append(member.last.price)
        tick = member.grid
        prices = [*(self._ticks[text] for text in told), bid, ask, bid + tick, ask - tick]
        both = (text_of(p) for price in prices for p in (price, ONE_DOLLAR - price))
        return list(dict.fromkeys((member.trade_price, *both)))

    def _may_search(self, member: Member, told: str, now_s: float) -> bool:
        """Allow all trade prices to be tried: once for a settled state, else once a second."""
        if is_settled(member, now_s):
            state = (told, member.at_s)
            allowed, member.searched = member.searched != state, state
            return allowed
        if member.searched is not None and now_s - member.searched[1] < _SEARCH_EVERY_S:
            return False
        member.searched = ("", now_s)
        return True

    def _refuted(self, member: Member, told: str, now_s: float) -> bool | None:
        if not is_settled(member, now_s):
            if not member.failures:
                member.failed_since_s = now_s
            member.failures += 1
            if member.failures < FAILURES or now_s - member.failed_since_s < FAILING_S:
                return None
        if member.refuted != told:
            member.refuted = told
            self._stats.hashes_wrong += 1
        return False


def is_settled(member: Member, now_s: float) -> bool:
    """Tell whether the rest of the last change has had time to come."""
    return now_s - member.at_s >= SETTLED_S


def levels_of(message: Book) -> HashedLevels:
    """Hash a message's own texts."""
    return HashedLevels(
        message.market, message.asset_id, message.timestamp, message.bids, message.asks
    )


def text_of(price: Ticks) -> str:
    """Return a trade price as it is hashed: three decimals, as far as they suffice."""
    decimals = 3 if price % _THOUSANDTH == 0 else 4
    return f"{price / ONE_DOLLAR:.{decimals}f}"


def _search(
    levels: HashedLevels, told: str, facts: Iterable[HashFacts], prices: Sequence[str]
) -> tuple[HashFacts, str] | None:
    for candidate in facts:
        price = levels.trade_price(told, candidate, prices)
        if price is not None:
            return candidate, price
    return None


def _retimed(facts: HashFacts, tick_sizes: Sequence[str]) -> Iterator[HashFacts]:
    """Yield the facts as they are known, then with other ticks: a change of tick runs ahead too."""
    yield facts
    for tick_size in tick_sizes:
        if tick_size != facts.tick_size:
            yield msgspec.structs.replace(facts, tick_size=tick_size)


def _every_trade_price(best: Sequence[Ticks], tick_size: str) -> list[str]:
    """Return all trade prices there may be, those near the best prices of either token first."""
    around = abs(sum(best) // max(len(best), 1) - _HALF)
    every = sorted(_THOUSANDTHS, key=lambda known: abs(abs(known[0] - _HALF) - around))
    texts = [text for _, text in every]
    texts.append("")
    if on_grid(_THOUSANDTH, (ticks_of(tick_size),)):
        return texts
    near = [*best, *(ONE_DOLLAR - price for price in best)]
    finer = {p for n in near for p in range(n - _NEAR, n + _NEAR + 1) if 0 <= p <= ONE_DOLLAR}
    return [*texts, *(text_of(price) for price in sorted(finer) if price % _THOUSANDTH)]


_THOUSANDTHS: Final = tuple((p, text_of(p)) for p in range(0, ONE_DOLLAR + 1, _THOUSANDTH))
