"""Polymarket's market-channel frames, field for field as the venue names them.

Every scalar is text; timestamps are Unix milliseconds as text. A frame is one object or an array
of objects. See README.md in this folder for sources.
"""

from typing import Any

import msgspec


class Level(msgspec.Struct, gc=False):
    """A price level; sizes are absolute."""

    price: str
    size: str


class Book(msgspec.Struct, tag="book", tag_field="event_type", gc=False):
    """The whole book of one token: bids ascending, asks descending, so the best is last."""

    market: str
    asset_id: str
    timestamp: str
    bids: list[Level]
    asks: list[Level]
    hash: str = ""
    tick_size: str = ""
    last_trade_price: str = ""


class Change(msgspec.Struct, gc=False):
    """The new absolute size of one level; best prices and hash are those after the change."""

    price: str
    size: str
    side: str
    asset_id: str = ""
    hash: str = ""
    best_bid: str | None = None
    best_ask: str | None = None


class PriceChange(msgspec.Struct, tag="price_change", tag_field="event_type", gc=False):
    """Changes of both mirrored tokens; until 2025-09-15 of one token, under `changes`."""

    timestamp: str
    price_changes: list[Change] | None = None
    changes: list[Change] | None = None
    asset_id: str = ""
    market: str = ""


class LastTradePrice(msgspec.Struct, tag="last_trade_price", tag_field="event_type", gc=False):
    """One match, at a price of the token that traded; there is no trade id."""

    asset_id: str
    price: str
    timestamp: str
    size: str = "0"
    side: str = ""
    transaction_hash: str = ""


class TickSizeChange(msgspec.Struct, tag="tick_size_change", tag_field="event_type"):
    """A new price grid for one token."""

    asset_id: str
    new_tick_size: str


class BestBidAsk(msgspec.Struct, tag="best_bid_ask", tag_field="event_type", gc=False):
    """The best prices of one token."""

    asset_id: str


class NewMarket(msgspec.Struct, tag="new_market", tag_field="event_type"):
    """Any new market of the venue, not only of what was subscribed."""

    question: str = ""
    slug: str = ""
    condition_id: str = ""
    market: str = ""
    clob_token_ids: list[str] = []
    assets_ids: list[str] = []
    outcomes: list[str] = []


class MarketResolved(msgspec.Struct, tag="market_resolved", tag_field="event_type"):
    """A subscribed market has its answer; not always sent."""

    timestamp: str
    assets_ids: list[str] = []
    winning_asset_id: str = ""


Message = (
    PriceChange | Book | LastTradePrice | BestBidAsk | TickSizeChange | NewMarket | MarketResolved
)


class Subject(msgspec.Struct):
    """The token of one entry of a malformed frame."""

    asset_id: str


class Kind(msgspec.Struct):
    """The last look: a kind we do not know may have any shape."""

    event_type: str


class Envelope(msgspec.Struct):
    """The second look at a frame that did not decode: its kind and the tokens it is about."""

    event_type: str
    asset_id: str = ""
    price_changes: list[Subject] = []
    market: Any = ""


decode = msgspec.json.Decoder(Message).decode
decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_kind = msgspec.json.Decoder(Kind).decode
encode = msgspec.json.Encoder().encode
