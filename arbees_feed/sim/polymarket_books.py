"""A Polymarket book as text: the levels of both tokens in wire order, and the book hash.

A hash is needed for each token after every change, so the level texts are kept and only the
changed one is written anew. YES bids (ascending) and NO asks (descending) have the same order,
and so have YES asks (descending) and NO bids (ascending).
"""

import hashlib
from bisect import bisect_left

from arbees_feed.sim.money import PRICE_SCALE, minimal_price, minimal_size, padded_price
from arbees_feed.sim.world import Change, Market, Side

MIN_ORDER_SIZE = "5"


def book_hash(text: str) -> str:
    """Return the hash of a book's text, which must have the ten keys in the venue's order."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class _Levels:
    """One side of the YES book, and its mirror in the NO book."""

    __slots__ = ("keys", "no", "sign", "yes")

    def __init__(self, side: Side, levels: dict[int, int]) -> None:
        self.sign = 1 if side == "bid" else -1
        prices = sorted(levels, reverse=side == "ask")
        self.keys = [price * self.sign for price in prices]
        self.yes = [_level(price, levels[price]) for price in prices]
        self.no = [_level(PRICE_SCALE - price, levels[price]) for price in prices]

    def update(self, price: int, size: int) -> None:
        key = price * self.sign
        index = bisect_left(self.keys, key)
        known = index < len(self.keys) and self.keys[index] == key
        if not size:
            if known:
                del self.keys[index], self.yes[index], self.no[index]
            return
        if not known:
            self.keys.insert(index, key)
            self.yes.insert(index, "")
            self.no.insert(index, "")
        self.yes[index] = _level(price, size)
        self.no[index] = _level(PRICE_SCALE - price, size)


class BookTexts:
    """The books of a market's two tokens as text."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.announced_top = market.top()
        self._bids = _Levels("bid", market.yes_bids)
        self._asks = _Levels("ask", market.yes_asks)

    def update(self, change: Change) -> None:
        """Take over a change of the market's book."""
        levels = self._bids if change.side == "bid" else self._asks
        levels.update(change.price, change.after)

    def sides(self, token: str) -> tuple[str, str]:
        """Return the bids and asks of a token as JSON arrays."""
        if token == self.market.id:
            return f"[{','.join(self._bids.yes)}]", f"[{','.join(self._asks.yes)}]"
        return f"[{','.join(self._asks.no)}]", f"[{','.join(self._bids.no)}]"

    def full(self, token: str, digest: str = "") -> str:
        """Return the book with all ten keys: what REST sends, and with no hash what is hashed."""
        market = self.market
        bids, asks = self.sides(token)
        return (
            f'{{"market":"{market.condition_id}","asset_id":"{token}",'
            f'"timestamp":"{market.ts_ms}","hash":"{digest}","bids":{bids},"asks":{asks},'
            f'"min_order_size":"{MIN_ORDER_SIZE}","tick_size":"{market.grid.tick_text}",'
            f'"neg_risk":{"true" if market.neg_risk else "false"},'
            f'"last_trade_price":"{padded_price(market.printed_price)}"}}'
        )

    def hash(self, token: str) -> str:
        """Return the hash of a token's book as it is now."""
        return book_hash(self.full(token))

    def opening(self, token: str, digest: str) -> str:
        """Return the book message that answers a subscription."""
        market = self.market
        bids, asks = self.sides(token)
        return (
            f'{{"market":"{market.condition_id}","asset_id":"{token}",'
            f'"timestamp":"{market.ts_ms}","hash":"{digest}","bids":{bids},'
            f'"asks":{asks},"tick_size":"{market.grid.tick_text}","event_type":"book",'
            f'"last_trade_price":"{padded_price(market.printed_price)}"}}'
        )

    def midstream(self, token: str, digest: str) -> str:
        """Return the book message that follows a trade: no tick size, no last trade price."""
        bids, asks = self.sides(token)
        return (
            f'{{"market":"{self.market.condition_id}","asset_id":"{token}","bids":{bids},'
            f'"asks":{asks},"hash":"{digest}","timestamp":"{self.market.ts_ms}",'
            f'"event_type":"book"}}'
        )


def _level(price: int, size: int) -> str:
    return f'{{"price":"{minimal_price(price)}","size":"{minimal_size(size)}"}}'
