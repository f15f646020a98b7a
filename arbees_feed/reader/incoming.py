"""What may be believed to be a price, whoever sent it. Pure.

Anybody who may write to Redis may publish anything under any name. What can't be of a feed is
dropped and counted; what could be, is believed: rights in Redis (ACL) are the only fence there.
"""

from collections.abc import Sized
from typing import Final

import msgspec

from arbees_feed.core.wire import MarketPrice, Names

LIVE: Final = "live"
STALE: Final = "stale"

MOST_VENUES: Final = 64
"""More are no venues: each costs a look at its key at every join."""

UNREADABLE: Final = (ValueError, RecursionError)
"""What decoding may raise."""

_MARKET = "*"

decode_price = msgspec.msgpack.Decoder(MarketPrice).decode


class Places:
    """Where in the names of channels and keys a market's id stands: from `start` to an end."""

    def __init__(self, names: Names) -> None:
        start, _, after = names.price(_MARKET).removeprefix(names.prefix).partition(_MARKET)
        self.start = len((names.prefix + start).encode())
        self.channel_end = -len(after)
        self.last_end = -len(names.last(_MARKET).rpartition(_MARKET)[2])


def is_sane(price: MarketPrice) -> bool:
    """Return whether a feed could have written *price*: prices in 0..1, not crossed, no NaN."""
    return (
        0.0 <= price.yes_bid < price.yes_ask <= 1.0
        and price.yes_bid_size >= 0.0
        and price.yes_ask_size >= 0.0
        and price.session > 0
        and price.seq > 0
    )


def has_room(venues: Sized) -> bool:
    """Return whether one more venue may be known."""
    return len(venues) < MOST_VENUES


def stale_of(price: MarketPrice) -> MarketPrice:
    """Return *price* taken back: `stale`, and no quote; session, seq, source and times stay."""
    return msgspec.structs.replace(
        price,
        status=STALE,
        yes_bid=0.0,
        yes_ask=1.0,
        yes_bid_size=0.0,
        yes_ask_size=0.0,
    )
