"""Kalshi's WebSocket frames, field for field as the venue names them.

Prices and counts are decimal text (since 2026-03-12); unknown fields are ignored, a missing
required one is an error. See README.md in this folder for sources.
"""

from typing import Annotated

import msgspec

from arbees_feed.core.model import MarketId
from arbees_feed.core.text import NAME

# Bounds that keep a wrong number from breaking what is made of it: ns in 64 bits, a calendar year.
UnixMs = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
UnixS = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000)]
LevelText = tuple[str, str]
Name = Annotated[str, msgspec.Meta(pattern=rf"^{NAME.pattern}\Z")]


class SnapshotBody(msgspec.Struct, gc=False):
    """A side without levels has no key at all."""

    market_ticker: str
    yes_dollars_fp: list[LevelText] = []
    no_dollars_fp: list[LevelText] = []


class DeltaBody(msgspec.Struct, gc=False):
    """`delta_fp` is a signed increment of the level at `price_dollars` of its own side."""

    market_ticker: MarketId
    price_dollars: str
    delta_fp: str
    side: str
    ts_ms: UnixMs = 0
    ts: str = ""


class TickerBody(msgspec.Struct, gc=False):
    """The venue's own top of book and last trade price."""

    market_ticker: MarketId
    yes_bid_dollars: str
    yes_ask_dollars: str
    yes_bid_size_fp: str
    yes_ask_size_fp: str
    price_dollars: str
    ts_ms: UnixMs = 0
    volume_fp: str = ""


class TradeBody(msgspec.Struct, gc=False):
    """A trade in YES terms; `taker_outcome_side` replaces the deprecated `taker_side`."""

    trade_id: str
    market_ticker: str
    yes_price_dollars: str
    count_fp: str
    taker_outcome_side: str = ""
    taker_side: str = ""
    ts_ms: UnixMs = 0


class CreatedMarket(msgspec.Struct, gc=False):
    """What `created` tells of the market beside its ticker."""

    title: str = ""
    name: str = ""
    yes_sub_title: str = ""
    no_sub_title: str = ""
    event_ticker: str = ""
    rules_primary: str = ""


class LifecycleBody(msgspec.Struct):
    """One step in a market's life; all `*_ts` are Unix seconds."""

    event_type: str
    market_ticker: str
    open_ts: UnixS = 0
    close_ts: UnixS = 0
    additional_metadata: CreatedMarket | None = None


class FeeUpdateBody(msgspec.Struct, gc=False):
    """The event whose override began, changed or ended; what it is now, REST is asked.

    Beside it: `fee_type_override` and `fee_multiplier_override`, both null when it has ended.
    """

    event_ticker: Name


class SubscribedBody(msgspec.Struct, gc=False):
    """The subscription id of one channel on this connection."""

    channel: str
    sid: int


class ErrorBody(msgspec.Struct, gc=False):
    """A numbered error, about a command or a subscription."""

    code: int
    msg: str = ""


class Snapshot(msgspec.Struct, tag="orderbook_snapshot", tag_field="type", gc=False):
    """The whole book of one market; in sequence. An answer to `get_snapshot` names the command."""

    sid: int
    seq: int
    msg: SnapshotBody
    id: int = 0


class Delta(msgspec.Struct, tag="orderbook_delta", tag_field="type", gc=False):
    """One change of one level; in sequence."""

    sid: int
    seq: int
    msg: DeltaBody


class Ticker(msgspec.Struct, tag="ticker", tag_field="type", gc=False):
    """Not sequenced: a lost one can't be seen."""

    sid: int
    msg: TickerBody


class Trade(msgspec.Struct, tag="trade", tag_field="type", gc=False):
    """One trade; in sequence."""

    sid: int
    msg: TradeBody
    seq: int | None = None


class Lifecycle(msgspec.Struct, tag="market_lifecycle_v2", tag_field="type"):
    """A step in a market's life; in sequence."""

    sid: int
    msg: LifecycleBody
    seq: int | None = None


class Subscribed(msgspec.Struct, tag="subscribed", tag_field="type"):
    """Answer to `subscribe`, one a channel."""

    msg: SubscribedBody
    id: int = 0


class Ok(msgspec.Struct, tag="ok", tag_field="type"):
    """Answer to update_subscription, to a merging subscribe and to list_subscriptions."""

    id: int = 0
    sid: int | None = None
    seq: int | None = None


class Unsubscribed(msgspec.Struct, tag="unsubscribed", tag_field="type"):
    """The subscription is gone."""

    sid: int
    id: int = 0
    seq: int | None = None


class Error(msgspec.Struct, tag="error", tag_field="type"):
    """An error about a command (`id`) or a subscription (`sid`)."""

    msg: ErrorBody
    id: int = 0
    sid: int | None = None
    seq: int | None = None


class EventLifecycle(msgspec.Struct, tag="event_lifecycle", tag_field="type"):
    """A new or changed event; sequenced, but enrichment reads events over REST."""

    sid: int
    seq: int | None = None


class EventFeeUpdate(msgspec.Struct, tag="event_fee_update", tag_field="type"):
    """Fees of an event that differ from those of its series, or differ no more; in sequence."""

    sid: int
    msg: FeeUpdateBody
    seq: int | None = None


Message = (
    Delta
    | Ticker
    | Snapshot
    | Trade
    | Lifecycle
    | Subscribed
    | Ok
    | Unsubscribed
    | Error
    | EventLifecycle
    | EventFeeUpdate
)


class _EmptyBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a snapshot of neither side: nothing else is in it, under whatever name."""

    market_ticker: str
    market_id: str = ""
    yes_dollars_fp: list[LevelText] = []
    no_dollars_fp: list[LevelText] = []


class Envelope(msgspec.Struct):
    """What every frame has; the second look at a frame that did not decode."""

    type: str
    sid: int | None = None
    seq: int | None = None
    msg: msgspec.Raw = msgspec.Raw()


class Kind(msgspec.Struct):
    """The last look: a kind we do not know may have any shape."""

    type: str


class Subject(msgspec.Struct):
    """The market that a malformed frame is about."""

    market_ticker: str


decode = msgspec.json.Decoder(Message).decode
decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_kind = msgspec.json.Decoder(Kind).decode
decode_subject = msgspec.json.Decoder(Subject).decode
decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
encode = msgspec.json.Encoder().encode
_decode_empty = msgspec.json.Decoder(_EmptyBody).decode


def empty_snapshot(frame: bytes) -> Snapshot | None:
    """Return a snapshot that is empty indeed; None: its sides may have other names now."""
    try:
        _decode_empty(decode_envelope(frame).msg)
        message = decode(frame)
    except ValueError:
        return None
    return message if isinstance(message, Snapshot) else None
