"""What leaves the feed: the MarketPrice message and the names of channels and keys.

The promise to readers is docs/wire-format.md; a test decodes these bytes with the plain msgpack
package. msgspec is used because it encodes a struct as the same map three times faster.
"""

from collections.abc import Callable
from typing import Self, TypeVar

import msgspec

from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR, MarketId, Quote

VERSION = 1

T = TypeVar("T")

# 10,001 legal prices: a look-up is a quarter of a division and always the nearest double.
_DOLLARS = tuple(ticks / ONE_DOLLAR for ticks in range(ONE_DOLLAR + 1))


class MarketPrice(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The top of book of one market, as published; prices in dollars (0 to 1) in YES terms.

    `status` is `live`, `stale` or `closed`; the latter two carry no quote (bid 0.0, ask 1.0,
    sizes 0.0). Times are Unix ns. `seq` counts the published messages of one market within one
    `session` (the start time of the publisher): a hole means a lost message.
    """

    v: int = VERSION
    market_id: str
    platform: str
    yes_bid: float
    yes_ask: float
    yes_bid_size: float
    yes_ask_size: float
    last_price: float | None
    status: str
    source: str
    session: int
    seq: int
    ts_event_ns: int
    ts_recv_ns: int
    ts_pub_ns: int

    @property
    def no_bid(self) -> float:
        """What a NO contract can be sold for: 1 - yes_ask."""
        return round(1.0 - self.yes_ask, 6)

    @property
    def no_ask(self) -> float:
        """What a NO contract costs: 1 - yes_bid."""
        return round(1.0 - self.yes_bid, 6)

    @property
    def no_bid_size(self) -> float:
        """Contracts wanted at `no_bid`; both venues keep one book seen from two sides."""
        return self.yes_ask_size

    @property
    def no_ask_size(self) -> float:
        """Contracts on offer at `no_ask`."""
        return self.yes_bid_size

    @property
    def mid(self) -> float | None:
        """The middle of bid and ask, or None unless the price is live with both sides there."""
        if self.status != "live" or not self.yes_bid_size or not self.yes_ask_size:
            return None
        return round((self.yes_bid + self.yes_ask) / 2, 6)

    @property
    def spread(self) -> float | None:
        """Ask less bid, or None unless the price is live with both sides there."""
        if self.status != "live" or not self.yes_bid_size or not self.yes_ask_size:
            return None
        return round(self.yes_ask - self.yes_bid, 6)

    def to_msgpack(self) -> bytes:
        """Encode as a msgpack map with string keys."""
        return _encode(self)

    @classmethod
    def from_msgpack(cls, data: bytes) -> Self:
        """Decode a published message; unknown keys are ignored.

        Raises:
            ValueError: *data* is not a MarketPrice; the message says why.
        """
        try:
            price = _decode(data)
        except (ValueError, RecursionError) as exc:
            raise ValueError(f"not a MarketPrice: {exc}") from exc
        return price  # type: ignore[return-value]  # the decoder is made for this very class


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(MarketPrice).decode
encode_map = msgspec.msgpack.Encoder().encode


def decoded(data: bytes, decode: Callable[[bytes], T], what: str) -> T:
    """Return what *data* holds; for messages that are few: a call costs more than it saves.

    Raises:
        ValueError: *data* is not *what* it should be; the text says why.
    """
    try:
        return decode(data)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"not a {what}: {exc}") from exc


def price_of(
    quote: Quote, market: MarketId, platform: str, session: int, seq: int, now_ns: int
) -> MarketPrice:
    """Turn a quote in integers into the message that readers get."""
    last = quote.last_price
    return MarketPrice(
        market_id=market,
        platform=platform,
        yes_bid=_DOLLARS[quote.bid],
        yes_ask=_DOLLARS[quote.ask],
        yes_bid_size=quote.bid_size / ONE_CONTRACT,
        yes_ask_size=quote.ask_size / ONE_CONTRACT,
        last_price=None if last is None else _DOLLARS[last],
        status=quote.status._value_,  # `.value` is a descriptor in Python: 0.14 µs
        source=quote.source._value_,
        session=session,
        seq=seq,
        ts_event_ns=quote.ts_event_ns,
        ts_recv_ns=quote.ts_recv_ns,
        ts_pub_ns=now_ns,
    )


class Names(msgspec.Struct, frozen=True):
    """Names of channels and keys; *prefix* (`redis.key_prefix`) goes before each."""

    prefix: str = ""

    def price(self, market: str) -> str:
        """Channel of a market's prices."""
        return f"{self.prefix}market:{market}:price"

    def last(self, market: str) -> str:
        """Key of the newest price, the very bytes published."""
        return f"{self.prefix}market:{market}:last"

    def quote(self, market: str) -> str:
        """Hash of the newest price as text."""
        return f"{self.prefix}market:{market}:quote"

    def meta(self, market: str) -> str:
        """Hash of a market's enrichment."""
        return f"{self.prefix}market:{market}:meta"

    def trade(self, market: str) -> str:
        """Channel of a market's trades."""
        return f"{self.prefix}market:{market}:trade"

    def book(self, market: str) -> str:
        """Channel of a market's depth."""
        return f"{self.prefix}market:{market}:book"

    def event_meta(self, event: str) -> str:
        """Hash of an event's enrichment."""
        return f"{self.prefix}event:{event}:meta"

    def event_markets(self, event: str) -> str:
        """Set of the market ids of an event."""
        return f"{self.prefix}event:{event}:markets"

    def status(self) -> str:
        """Channel of venue states and heartbeats."""
        return f"{self.prefix}feed:status"

    def venue(self, venue: str) -> str:
        """Hash (with a TTL) of a venue's live state."""
        return f"{self.prefix}feed:venue:{venue}"

    def markets(self, venue: str) -> str:
        """Set of the ids that have a published price."""
        return f"{self.prefix}feed:markets:{venue}"

    def volume(self, venue: str) -> str:
        """Sorted set of all markets with metadata, by traded volume as last listed."""
        return f"{self.prefix}feed:volume:{venue}"

    def search_venues(self) -> str:
        """Set of the venues whose titles can be searched."""
        return f"{self.prefix}feed:search"

    def search_words(self, venue: str) -> str:
        """Sorted set (all scores 0, so in order of the alphabet) of the words in titles."""
        return f"{self.prefix}feed:search:{venue}"

    def search(self, venue: str, word: str) -> str:
        """Set of the ids of markets that have *word* in their title."""
        return f"{self.prefix}feed:search:{venue}:{word}"

    def watch(self, venue: str) -> str:
        """Sorted set of demanded markets by the end of their lease."""
        return f"{self.prefix}feed:watch:{venue}"

    def meta_news(self) -> str:
        """Channel that names markets whose enrichment was written or removed."""
        return f"{self.prefix}feed:meta"

    def pairs(self) -> str:
        """Sorted set of the ids of pairs, by confidence."""
        return f"{self.prefix}feed:pairs"

    def pairs_state(self) -> str:
        """Hash (with a TTL) of the state of matching and of pair prices."""
        return f"{self.prefix}feed:pairs:state"

    def pairs_owner(self) -> str:
        """Key (with a TTL) that says which process writes pairs."""
        return f"{self.prefix}feed:pairs:owner"

    def market_pairs(self, market: str) -> str:
        """Set of the ids of the pairs that a market is in."""
        return f"{self.prefix}market:{market}:pairs"

    def pair(self, pair: str) -> str:
        """Hash of what is known of a pair."""
        return f"{self.prefix}pair:{pair}"

    def pair_price(self, pair: str) -> str:
        """Channel of a pair's prices."""
        return f"{self.prefix}pair:{pair}:price"

    def pair_last(self, pair: str) -> str:
        """Key of the newest price of a pair, the very bytes published."""
        return f"{self.prefix}pair:{pair}:last"


class MetadataNews(msgspec.Struct, frozen=True):
    """What goes out on `feed:meta` once markets' enrichment was written or removed: their ids."""

    venue: str
    markets: tuple[str, ...]

    def to_msgpack(self) -> bytes:
        """Encode as a msgpack map with string keys."""
        return encode_map(self)

    @classmethod
    def from_msgpack(cls, data: bytes) -> Self:
        """Decode a message.

        Raises:
            ValueError: *data* is not such a message; the text says why.
        """
        return decoded(data, _decode_news, "MetadataNews")  # type: ignore[return-value]  # as above


_decode_news = msgspec.msgpack.Decoder(MetadataNews).decode
