"""Polymarket's half of a conversation: frames in, events out, frames to send.

The market channel has no sequence numbers and no acknowledgements. What proves a book complete is
that every change names the best prices after it (`TopTold`), and that a subscribed token gets its
opening book in time. A fresh book comes only after unsubscribing: a second subscribe of an active
token is refused.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    Event,
    LevelSet,
    MarketListed,
    NoBook,
    Notice,
    TopTold,
    Trade,
    TradingChanged,
)
from arbees_feed.core.model import MarketId, MarketMeta, Side
from arbees_feed.core.money import LotsByText, TicksByText
from arbees_feed.core.owed import OwedSnapshots, Patience
from arbees_feed.core.sharding import chunks
from arbees_feed.core.venue import DecoderOptions, DecoderStats
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.polymarket import messages
from arbees_feed.venues.polymarket.joining import JOIN_TICKS, Join

PING_EVERY_S: Final = 10.0
CHUNK: Final = 100
_NS_PER_MS: Final = 1_000_000
_LATEST_MS: Final = 9_000_000_000_000  # ns of it fit into 64 bits
_OLDEST_QUEUED_MS: Final = 60_000
_NOTHING: Final[tuple[Event, ...]] = ()
_SIDES: Final = {"BUY": Side.BID, "SELL": Side.ASK}
_SAYINGS: Final = frozenset({b"PONG", b"NO NEW ASSETS"})
_LONGEST_SAYING: Final = 200
_ALL_RESOLVED: Final = "all subscribed assets resolved"
KINDS: Final = frozenset(
    {
        "book",
        "price_change",
        "last_trade_price",
        "tick_size_change",
        "best_bid_ask",
        "new_market",
        "market_resolved",
    }
)


class PolymarketDecoder:
    """One connection's conversation with Polymarket's market channel."""

    def __init__(self, options: DecoderOptions) -> None:
        self.outbox: list[bytes] = []
        self.stats = DecoderStats()
        self._options = options
        self._started = False
        self._now_s = 0.0
        self._ping_due_s = 0.0
        self._since_ms: dict[MarketId, int] = {}
        """Member -> time of the newest state of its book; 0 before the opening book."""
        self._joins: dict[MarketId, Join] = {}
        self._owed = OwedSnapshots(Patience(answer_timeout_s=10.0))
        self._ticks = TicksByText()
        self._lots = LotsByText()
        self._handlers: dict[type, Callable[[Any], Sequence[Event]]] = {
            messages.PriceChange: self._price_change,
            messages.Book: self._book,
            messages.LastTradePrice: self._last_trade_price,
            messages.NewMarket: self._new_market,
            messages.MarketResolved: self._market_resolved,
            messages.BestBidAsk: lambda _: _NOTHING,
            messages.TickSizeChange: lambda _: _NOTHING,
        }

    # -- what the caller asks ------------------------------------------------------------------

    def start(self, markets: Sequence[MarketId]) -> None:
        """Queue the one opening frame of this socket; no market at all hears of new ones only."""
        self._started = True
        self._join(markets)
        self._send(type="market", assets_ids=list(markets), custom_feature_enabled=True)

    def add(self, markets: Sequence[MarketId]) -> None:
        """Ask for further tokens."""
        fresh = [market for market in markets if market not in self._since_ms]
        self._join(fresh)
        self._operate("subscribe", fresh)

    def remove(self, markets: Sequence[MarketId]) -> None:
        """Ask for no more of these tokens."""
        leaving = [m for m in markets if self._since_ms.pop(m, None) is not None]
        for market in leaving:
            self._owed.forget(market)
            self._joins.pop(market, None)
        self._operate("unsubscribe", leaving)

    def resync(self, market: MarketId, reason: str) -> None:
        """Ask for a fresh opening book of one token."""
        self.stats.last_problem = f"{market}: {reason}"
        self._renew([market])

    def tick(self, now_s: float) -> Sequence[Event]:
        """Keep the socket alive and repeat what is overdue."""
        self._now_s = now_s
        if self._started and now_s >= self._ping_due_s:
            self._ping_due_s = now_s + PING_EVERY_S
            self.outbox.append(b"PING")
        again, given_up = self._owed.late(now_s)
        self._resubscribe(again)
        missing = (NoBook(tuple(given_up)),) if given_up else _NOTHING
        return [*self._undecided_joins(), *missing] if self._joins else missing

    def _undecided_joins(self) -> list[Event]:
        released: list[Event] = []
        for market, join in list(self._joins.items()):
            join.ticks += 1
            if join.ticks >= JOIN_TICKS:
                released += join.held
                del self._joins[market]
        return released

    def ended(self, reason: str) -> Sequence[Event]:
        """Say what the end of the connection means: all tokens settled, or nothing."""
        if reason != _ALL_RESOLVED:
            return _NOTHING
        return [TradingChanged(market, "closed", 0) for market in self._since_ms]

    def _join(self, markets: Sequence[MarketId]) -> None:
        self._since_ms.update(dict.fromkeys(markets, 0))
        self._owed.expect(markets, self._now_s)

    def _renew(self, markets: Sequence[MarketId]) -> None:
        members = [market for market in markets if market in self._since_ms]
        at_once, fresh = self._owed.request(members, self._now_s)
        self.stats.resyncs += fresh
        self._resubscribe(at_once)

    def _resubscribe(self, markets: Sequence[MarketId]) -> None:
        for market in markets:
            self._since_ms[market] = 0
            self._joins.pop(market, None)
        self._operate("unsubscribe", markets)
        self._operate("subscribe", markets)

    def _operate(self, operation: str, markets: Sequence[MarketId]) -> None:
        for chunk in chunks(markets, CHUNK):
            self._send(operation=operation, assets_ids=list(chunk), custom_feature_enabled=True)

    def _send(self, **fields: Any) -> None:
        self.outbox.append(messages.encode(fields))

    # -- frames --------------------------------------------------------------------------------

    def receive(self, frame: bytes) -> Sequence[Event]:
        """Turn one frame into events; what can't be read is confined to its tokens if possible."""
        self.stats.frames += 1
        first = frame[:1]
        if first == b"{":
            return self._receive_one(frame)
        if first == b"[":
            return [event for part in self._parts(frame) for event in self._receive_one(part)]
        text = frame.strip()
        return self._saying(text) if text[:1] not in {b"{", b"["} else self.receive(text)

    def _receive_one(self, frame: bytes | msgspec.Raw) -> Sequence[Event]:
        try:
            message = messages.decode(frame)
            return self._handlers[type(message)](message)
        except (ValueError, KeyError, RecursionError) as exc:
            return self._second_look(frame, f"{type(exc).__name__} {exc}")

    def _parts(self, frame: bytes) -> list[msgspec.Raw]:
        try:
            return messages.decode_array(frame)
        except (ValueError, RecursionError) as exc:
            raise self._unreadable(frame, str(exc)) from None

    def _saying(self, text: bytes) -> Sequence[Event]:
        if text in _SAYINGS:
            return _NOTHING
        if len(text) > _LONGEST_SAYING or not text.isascii() or not text.decode().isprintable():
            raise self._unreadable(text, "neither JSON nor a short text")
        self.stats.unknown(text.decode())
        return [Notice(f"polymarket says {text.decode()!r}")] if text else _NOTHING

    def _price_change(self, message: messages.PriceChange) -> Sequence[Event]:
        changes = message.price_changes
        if changes is None:
            changes = list(_old_changes(message))
        now_ms = _unix_ms(message.timestamp)
        events: list[Event] = []
        for change in changes:
            market = MarketId(change.asset_id)
            newest_ms = self._since_ms.get(market)
            if newest_ms is None:
                _check_named(market)
                continue
            if now_ms < newest_ms:
                self._drop_stale(newest_ms - now_ms)
                continue
            if self._joins and market in self._joins:
                events += self._joined(market, change, now_ms)
                continue
            if newest_ms:
                self._since_ms[market] = now_ms
            self._append(events, market, change, now_ms)
        return events

    def _append(
        self, events: list[Event], market: MarketId, change: messages.Change, now_ms: int
    ) -> None:
        """Add what a change says: the level, and the best prices after it."""
        if events and isinstance(events[-1], TopTold) and events[-1].market == market:
            events.pop()  # several entries of one token: the last one tells the state after all
        events.append(
            LevelSet(
                market,
                _SIDES[change.side],
                self._ticks[change.price],
                self._lots[change.size],
                now_ms * _NS_PER_MS,
            )
        )
        events += self._told(change, now_ms)

    def _joined(self, market: MarketId, change: messages.Change, now_ms: int) -> list[Event]:
        """Decide whether a change is in the opening book already; return what is not."""
        join = self._joins[market]
        if now_ms == join.at_ms:
            if change.hash == join.hash:
                self.stats.stale_dropped += 1 + sum(type(e) is LevelSet for e in join.held)
                del self._joins[market]
            else:
                self._append(join.held, market, change, now_ms)
            return []
        del self._joins[market]
        self._since_ms[market] = now_ms
        events = join.held
        self._append(events, market, change, now_ms)
        return events

    def _drop_stale(self, by_ms: int) -> None:
        """Count what is older than the book; the venue queues for seconds, not for minutes."""
        if by_ms > _OLDEST_QUEUED_MS:
            raise ValueError(f"{by_ms} ms older than its book: one of the two times is wrong")
        self.stats.stale_dropped += 1

    def _told(self, change: messages.Change, now_ms: int) -> Sequence[Event]:
        """Read the best prices after a change: "0" and "1" are empty sides, "" tells nothing."""
        if not change.best_bid and not change.best_ask:
            return _NOTHING
        best_bid = self._ticks[change.best_bid] if change.best_bid else None
        best_ask = self._ticks[change.best_ask] if change.best_ask else None
        return (TopTold(MarketId(change.asset_id), best_bid, best_ask, now_ms * _NS_PER_MS),)

    def _book(self, message: messages.Book) -> Sequence[Event]:
        market = MarketId(message.asset_id)
        newest_ms = self._since_ms.get(market)
        now_ms = _unix_ms(message.timestamp)
        if newest_ms is None:
            return _NOTHING
        if now_ms < newest_ms:
            self._drop_stale(newest_ms - now_ms)
            return _NOTHING
        ticks, lots = self._ticks, self._lots
        bids = [(ticks[level.price], lots[level.size]) for level in message.bids]
        asks = [(ticks[level.price], lots[level.size]) for level in message.asks]
        self._joins.pop(market, None)  # what was held is older than this book
        if message.hash and not newest_ms:
            self._joins[market] = Join(now_ms, message.hash)
        self._since_ms[market] = now_ms
        self._owed.arrived(market)
        return (BookSnapshot(market, bids, asks, now_ms * _NS_PER_MS),)

    def _last_trade_price(self, message: messages.LastTradePrice) -> Sequence[Event]:
        market = MarketId(message.asset_id)
        if market not in self._since_ms:
            return _NOTHING
        size = self._lots[message.size]
        if size < 0:
            raise ValueError("negative size")
        side = message.side
        return (
            Trade(
                market,
                self._ticks[message.price],
                size,
                "buy" if side == "BUY" else "sell" if side == "SELL" else "",
                message.transaction_hash,
                _unix_ms(message.timestamp) * _NS_PER_MS,
            ),
        )

    def _new_market(self, message: messages.NewMarket) -> Sequence[Event]:
        tokens = message.clob_token_ids or message.assets_ids
        outcomes = [*message.outcomes, "", ""]
        if len(tokens) != len(("yes", "no")) or not self._options.lifecycle:
            return _NOTHING
        meta = MarketMeta(
            market_id=MarketId(tokens[0]),
            platform="polymarket",
            title=message.question,
            outcome_yes=outcomes[0],
            outcome_no=outcomes[1],
            extras={
                "condition_id": message.condition_id or message.market,
                "no_token_id": tokens[1],
                "slug": message.slug,
            },
        )
        return (MarketListed(meta),)

    def _market_resolved(self, message: messages.MarketResolved) -> Sequence[Event]:
        ts_ns = _unix_ms(message.timestamp) * _NS_PER_MS
        tokens = [MarketId(token) for token in message.assets_ids]
        return [TradingChanged(t, "closed", ts_ns) for t in tokens if t in self._since_ms]

    # -- frames that did not decode --------------------------------------------------------------

    def _second_look(self, frame: bytes | msgspec.Raw, problem: str) -> Sequence[Event]:
        """Confine a frame of an unknown kind, or a known one in the wrong shape."""
        try:
            envelope = messages.decode_envelope(frame)
        except (ValueError, RecursionError):
            return self._last_look(bytes(frame), problem)
        if envelope.event_type not in KINDS:
            self.stats.unknown(envelope.event_type)
            return _NOTHING
        self.stats.malformed += 1
        self.stats.last_problem = reason = f"malformed {envelope.event_type}: {problem}"
        if envelope.event_type not in {"book", "price_change"}:
            return [Notice(reason)]
        named = [envelope.asset_id, *(entry.asset_id for entry in envelope.price_changes)]
        touched = [MarketId(token) for token in dict.fromkeys(named) if token]
        if not touched:
            raise ProtocolViolation(reason)
        for market in touched:
            self._owed.unusable(market)
        self._renew(touched)
        return [BookLost(market, reason) for market in touched if market in self._since_ms]

    def _last_look(self, frame: bytes, problem: str) -> Sequence[Event]:
        """Skip a kind we do not know whatever its shape; nothing else can be confined."""
        try:
            kind = messages.decode_kind(frame).event_type
        except (ValueError, RecursionError):
            raise self._unreadable(frame, problem) from None
        if kind in KINDS:
            raise self._unreadable(frame, problem)
        self.stats.unknown(kind)
        return _NOTHING

    def _unreadable(self, frame: bytes, problem: str) -> ProtocolViolation:
        self.stats.malformed += 1
        self.stats.last_problem = f"unreadable frame: {problem}"
        return ProtocolViolation(f"unreadable frame {frame[:80]!r}: {problem}")


def _unix_ms(text: str) -> int:
    """Read a time; a wrong one must not break what is made of it."""
    if not (text.isdecimal() and text.isascii()) or (ms := int(text[:20])) > _LATEST_MS:
        raise ValueError(f"time {text[:40]!r}")
    return ms


def _check_named(market: MarketId) -> None:
    """An entry of another token is none of ours; one of no token may have been."""
    if not market:
        raise ValueError("a change of no token")


def _old_changes(message: messages.PriceChange) -> Iterator[messages.Change]:
    """Read the schema of before 2025-09-15, still found in recordings."""
    if message.changes is None:
        raise ValueError("price_change without price_changes")
    for change in message.changes:
        yield msgspec.structs.replace(change, asset_id=message.asset_id)
