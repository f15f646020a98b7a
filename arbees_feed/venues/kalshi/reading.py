"""Reads what Kalshi's frames say of prices and sizes. Pure; texts are parsed once."""

from collections.abc import Sequence
from typing import Final, Literal

from arbees_feed.core.events import TopOfBook, Trade
from arbees_feed.core.model import ONE_DOLLAR, Lots, MarketId, Ticks
from arbees_feed.core.money import SIZE_DECIMALS, LotsByText, TicksByText, scaled
from arbees_feed.venues.kalshi import messages
from arbees_feed.venues.kalshi.times import NS_PER_MS

Taker = Literal["buy", "sell", ""]
_TAKERS: Final[dict[str, Taker]] = {"yes": "buy", "no": "sell"}


class Reader:
    """Turns bodies into events; each method raises ValueError for what can't be, and keeps nothing.

    A price of 0 or 1 dollar, or a size of nothing, is no level: that is what renamed or emptied
    fields look like after a release.
    """

    def __init__(self, ticks: TicksByText, lots: LotsByText) -> None:
        self._ticks = ticks
        self._lots = lots

    def levels(self, side: Sequence[messages.LevelText]) -> list[tuple[Ticks, Lots]]:
        """Read one side of a snapshot, as bids for its own outcome."""
        read = [(self._ticks[price], self._lots[size]) for price, size in side]
        for price, size in read:
            if size <= 0 or not 0 < price < ONE_DOLLAR:
                raise ValueError(f"a level of {size} at {price}")
        return read

    def top(self, body: messages.TickerBody) -> TopOfBook:
        """Read a ticker; an empty side has no price or no size."""
        bid, bid_size = self._ticks[body.yes_bid_dollars], self._lots[body.yes_bid_size_fp]
        ask, ask_size = self._ticks[body.yes_ask_dollars], self._lots[body.yes_ask_size_fp]
        if bid_size < 0 or ask_size < 0:
            raise ValueError("negative size")
        if not bid or not bid_size:
            bid = bid_size = 0
        if not ask or not ask_size or ask == ONE_DOLLAR:
            ask, ask_size = ONE_DOLLAR, 0
        last_price = self._ticks[body.price_dollars] or None
        volume = scaled(body.volume_fp, SIZE_DECIMALS) if body.volume_fp else None
        market, ts_ns = body.market_ticker, body.ts_ms * NS_PER_MS
        return TopOfBook(market, bid, bid_size, ask, ask_size, last_price, ts_ns, volume)

    def trade(self, body: messages.TradeBody) -> Trade:
        """Read a trade, in YES terms."""
        size = self._lots[body.count_fp]
        if size < 0:
            raise ValueError("negative size")
        return Trade(
            MarketId(body.market_ticker),
            self._ticks[body.yes_price_dollars],
            size,
            _TAKERS.get(body.taker_outcome_side or body.taker_side, ""),
            body.trade_id,
            body.ts_ms * NS_PER_MS,
        )
