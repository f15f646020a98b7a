"""The price of a pair: both legs seen as one question, and what buying both sides costs. Pure.

One side at each venue pays exactly one dollar a contract, however the question ends. There are two
ways to buy them: YES at Kalshi with NO at Polymarket, and the other way round. "YES" is Kalshi's
YES; of an inverted pair, Polymarket's prices are turned round first.
"""

from typing import Final, Self

import msgspec

from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR, Lots, Ticks
from arbees_feed.core.wire import MarketPrice, decoded, encode_map
from arbees_feed.pairs.fees import DOLLAR, Fees

VERSION: Final = 1
LIVE: Final = "live"
STALE: Final = "stale"
CLOSED: Final = "closed"
SAME: Final = "same"
INVERTED: Final = "inverted"


class PairPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What goes out on `pair:<pair_id>:price`, as a msgpack map; docs/pairs.md has the meanings.

    Prices and costs are dollars a contract, sizes contracts, ages seconds. What can't be told is
    nil; unless it is live that is everything but the names.
    """

    v: int = VERSION
    pair_id: str
    kalshi_id: str
    polymarket_id: str
    polarity: str
    status: str
    """`live`; `stale`: a leg is not live, or too old; `closed`: there is no such pair any more."""
    reason: str = ""
    """Why it is not live."""
    kalshi_bid: float = 0.0
    kalshi_ask: float = 1.0
    kalshi_bid_size: float = 0.0
    kalshi_ask_size: float = 0.0
    kalshi_age_s: float | None = None
    polymarket_bid: float = 0.0
    polymarket_ask: float = 1.0
    polymarket_bid_size: float = 0.0
    polymarket_ask_size: float = 0.0
    polymarket_age_s: float | None = None
    yes_at_kalshi_cost: float | None = None
    yes_at_kalshi_net: float | None = None
    yes_at_kalshi_size: float = 0.0
    yes_at_polymarket_cost: float | None = None
    yes_at_polymarket_net: float | None = None
    yes_at_polymarket_size: float = 0.0
    fees_told: bool = False
    """Both venues have told the fees of these markets; otherwise their usual rates are taken."""
    session: int = 0
    seq: int = 0
    ts_pub_ns: int = 0

    def to_msgpack(self) -> bytes:
        """Encode as a msgpack map with string keys."""
        return encode_map(self)

    @classmethod
    def from_msgpack(cls, data: bytes) -> Self:
        """Decode a published message; unknown keys are ignored.

        Raises:
            ValueError: *data* is not a PairPrice; the message says why.
        """
        # The decoder is made for this very class.
        return decoded(data, _decode, "PairPrice")  # type: ignore[return-value]

    def taken_back(self, reason: str) -> Self:
        """Return this price as `stale`, without a quote."""
        return type(self)(
            pair_id=self.pair_id,
            kalshi_id=self.kalshi_id,
            polymarket_id=self.polymarket_id,
            polarity=self.polarity,
            status=STALE,
            reason=reason,
        )


_decode = msgspec.msgpack.Decoder(PairPrice).decode


class Top(msgspec.Struct, frozen=True):
    """A top of book in whole ticks and lots, in the pair's orientation."""

    bid: Ticks
    ask: Ticks
    bid_size: Lots
    ask_size: Lots

    @classmethod
    def of(cls, price: MarketPrice, *, inverted: bool = False) -> Self:
        """Return the top that *price* tells, turned round if the leg is *inverted*."""
        bid, ask = round(price.yes_bid * ONE_DOLLAR), round(price.yes_ask * ONE_DOLLAR)
        bid_size = round(price.yes_bid_size * ONE_CONTRACT)
        ask_size = round(price.yes_ask_size * ONE_CONTRACT)
        if inverted:
            return cls(ONE_DOLLAR - ask, ONE_DOLLAR - bid, ask_size, bid_size)
        return cls(bid, ask, bid_size, ask_size)


class Both(msgspec.Struct, frozen=True):
    """Buying one side at each venue: dollars a contract, contracts."""

    cost: float | None = None
    net: float | None = None
    """With the fees of an order of `size`; None when a venue's formula is not known."""
    size: float = 0.0


NOTHING: Final = Both()


def buy_both(yes: Top, yes_fees: Fees | None, no: Top, no_fees: Fees | None) -> Both:
    """Return what YES at *yes* with NO at *no* costs, for as many as both tops have."""
    size = min(yes.ask_size, no.bid_size)
    if size <= 0:
        return NOTHING
    no_ask = ONE_DOLLAR - no.bid
    cost = yes.ask + no_ask
    net = None
    if yes_fees is not None and no_fees is not None:
        fees = yes_fees.taker(yes.ask, size) + no_fees.taker(no_ask, size)
        net = (cost * size + fees) * ONE_CONTRACT / (size * DOLLAR)
    return Both(cost / ONE_DOLLAR, net, size / ONE_CONTRACT)
