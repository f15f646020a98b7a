"""What a decoder must have heard before it can go on in the middle of a connection.

A recording that begins there has neither the answers to our subscriptions nor the opening books.
Both are made here, in the venue's own form, from what the recording tells. Only the decoder hears
them: the table of markets is told its books by the recording.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

import msgspec

from arbees_feed.core.model import ONE_DOLLAR, MarketId
from arbees_feed.core.money import PRICE_DECIMALS, SIZE_DECIMALS, decimal_text
from arbees_feed.core.venue import Decoder
from arbees_feed.feed.flight import BookCopy, Frame, Level

_NS_PER_MS: Final = 1_000_000
_LOOKED_AT: Final = 5_000
_BOOKS: Final = "orderbook_delta"
_CHANNELS: Final[Mapping[str, str]] = {
    "orderbook_delta": _BOOKS,
    "orderbook_snapshot": _BOOKS,
    "ticker": "ticker",
    "trade": "trade",
    "market_lifecycle_v2": "market_lifecycle_v2",
}
_encode = msgspec.json.Encoder().encode


class _Numbers(msgspec.Struct):
    """Where a frame of Kalshi stands."""

    type: str = ""
    sid: int = 0
    seq: int | None = None


class _Command(msgspec.Struct):
    id: int
    cmd: str
    params: dict[str, Any] = {}


_numbers = msgspec.json.Decoder(_Numbers)
_command = msgspec.json.Decoder(_Command)


class Primer(Protocol):
    """Tells a decoder what it has missed."""

    def opening(self, decoder: Decoder, books: Sequence[BookCopy]) -> None:
        """Answer what *decoder* has asked; it then holds these markets as having had a book."""

    def book(self, decoder: Decoder, book: BookCopy) -> None:
        """Let *decoder* know that the book of a market stands here now."""


class KalshiPrimer:
    """Subscription ids are those of the frames, and the sequence ends where they begin."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._sids: dict[str, int] = {}
        self._first_seq = 1
        for _, frame in islice(frames, _LOOKED_AT):
            self._look(frame)

    def _look(self, frame: bytes) -> None:
        try:
            found = _numbers.decode(frame)
        except (ValueError, RecursionError):
            return
        channel = _CHANNELS.get(found.type)
        if channel is None or channel in self._sids:
            return
        self._sids[channel] = found.sid
        if channel == _BOOKS and found.seq is not None:
            self._first_seq = found.seq

    def opening(self, decoder: Decoder, books: Sequence[BookCopy]) -> None:
        """Answer the subscriptions; then an empty book for each, in sequence."""
        asked, decoder.outbox[:] = list(decoder.outbox), []
        unused = max(self._sids.values(), default=0) + 1
        for number, text in enumerate(asked):
            command = _command.decode(text)
            channel = command.params.get("channels", [""])[0]
            told = {"channel": channel, "sid": self._sids.get(channel, unused + number)}
            decoder.receive(_encode({"id": command.id, "type": "subscribed", "msg": told}))
        if _BOOKS not in self._sids:
            return  # no frame depends on them
        for seq, book in enumerate(books, self._first_seq - len(books)):
            empty = {"market_ticker": book.market}
            numbers = {"sid": self._sids[_BOOKS], "seq": seq}
            decoder.receive(_encode({"type": "orderbook_snapshot", **numbers, "msg": empty}))

    def book(self, decoder: Decoder, book: BookCopy) -> None:
        """Nothing: what a decoder of Kalshi knows of a book is that there was one."""


class PolymarketPrimer:
    """A token's decoder knows how far its book has come."""

    def opening(self, decoder: Decoder, books: Sequence[BookCopy]) -> None:
        """Tell an empty book of long ago for each, so that no change is held back."""
        for book in books:
            decoder.receive(_polymarket_book(book.market, 1, (), ()))

    def book(self, decoder: Decoder, book: BookCopy) -> None:
        """Tell the book itself."""
        now_ms = book.ts_ns // _NS_PER_MS
        decoder.receive(_polymarket_book(book.market, now_ms, book.bids, book.asks))


def _polymarket_book(
    market: MarketId, now_ms: int, bids: Sequence[Level], asks: Sequence[Level]
) -> bytes:
    told = {
        "event_type": "book",
        "market": "",
        "asset_id": market,
        "timestamp": str(now_ms),
        "hash": "",
        "bids": _levels(sorted(bids)),
        "asks": _levels(sorted(asks, reverse=True)),
    }
    return _encode(told)


def _levels(side: Iterable[Level]) -> list[dict[str, str]]:
    return [
        {
            "price": decimal_text(price, PRICE_DECIMALS),
            "size": decimal_text(size, SIZE_DECIMALS),
        }
        for price, size in side
        if 0 < price < ONE_DOLLAR
    ]


def primer_of(venue: str, frames: Iterable[Frame]) -> Primer:
    """Return what primes a decoder of *venue* for these frames."""
    return KalshiPrimer(frames) if venue == "kalshi" else PolymarketPrimer()
