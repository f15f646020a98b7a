"""Polymarket's half of a conversation: frames in, events out, frames to send.

The market channel has no sequence numbers and no acknowledgements. What proves a book complete is
that every change names the best prices after it (`TopTold`), and that a subscribed token gets its
opening book in time. A fresh book comes only after unsubscribing: a second subscribe of an active
token is refused.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    Event,
    LevelSet,
    MarketListed,
    Notice,
    TradingChanged,
)
from arbees_feed.core.model import MarketId, Ticks
from arbees_feed.core.money import LOTS, TICKS
from arbees_feed.core.venue import DecoderOptions, DecoderStats
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.polymarket import messages
from arbees_feed.venues.polymarket.changes import (
    NS_PER_MS,
    ChangeReader,
    check_named,
    old_changes,
    unix_ms,
)
from arbees_feed.venues.polymarket.checksum import RECIPE_TRIES, HashJudge
from arbees_feed.venues.polymarket.fields import KNOWN_FIELDS
from arbees_feed.venues.polymarket.integrity import Member, Mirror, on_grid
from arbees_feed.venues.polymarket.joining import Join
from arbees_feed.venues.polymarket.lifecycle import listed
from arbees_feed.venues.polymarket.membership import Membership

PING_EVERY_S: Final = 10.0
MIRROR_HOLD_S: Final = 60.0
"""How often at most a book is made anew for a broken mirror: the check may be what is wrong."""
_OLDEST_QUEUED_MS: Final = 60_000
_DISORDER_MS: Final = 1_000
"""Duplicates come 120 ms late, and messages of several types 620 ms (October 2026)."""
_QUEUE_S: Final = 5.0
_REFUSAL: Final = b"INVALID OPERATION"
_NOTHING: Final[tuple[Event, ...]] = ()
_SAYINGS: Final = frozenset({b"PONG", b"NO NEW ASSETS"})
_LONGEST_SAYING: Final = 200
_ALL_RESOLVED: Final = "all subscribed assets resolved"
_RECIPE_LOST: Final = (
    f"polymarket: none of {RECIPE_TRIES} opening books has the hash told with it: the venue's "
    "recipe has changed, and books are not verified by hash"
)
KINDS: Final = frozenset(KNOWN_FIELDS)


class PolymarketDecoder:
    """One connection's conversation with Polymarket's market channel."""

    def __init__(self, options: DecoderOptions) -> None:
        self.outbox: list[bytes] = []
        self.deltas = None
        self.stats = DecoderStats()
        self._options = options
        self._started = False
        self._now_s = 0.0
        self._ping_due_s = 0.0
        self._membership = Membership(self.outbox, self.stats)
        self._members = self._membership.members
        self._ticks = TICKS
        self._lots = LOTS
        self._reader = ChangeReader(self._ticks, self._lots)
        self._append = self._reader.append
        self._mirror = Mirror(self._ticks, self._lots)
        self._judge = HashJudge(self.stats, self._ticks)
        self._handlers: dict[type, Callable[[Any], Sequence[Event]]] = {
            messages.PriceChange: self._price_change,
            messages.Book: self._book,
            messages.LastTradePrice: self._last_trade_price,
            messages.NewMarket: self._new_market,
            messages.MarketResolved: self._market_resolved,
            messages.BestBidAsk: lambda _: _NOTHING,
            messages.TickSizeChange: self._tick_size_change,
        }

    # -- what the caller asks ------------------------------------------------------------------

    def start(self, markets: Sequence[MarketId]) -> None:
        """Queue the one opening frame of this socket; no market at all hears of new ones only."""
        self._started = True
        self._membership.start(markets)

    def add(self, markets: Sequence[MarketId]) -> None:
        """Ask for further tokens."""
        self._membership.add(markets)

    def remove(self, markets: Sequence[MarketId]) -> None:
        """Ask for no more of these tokens."""
        self._membership.remove(markets)

    def resync(self, market: MarketId, reason: str) -> None:
        """Ask for a fresh opening book of one token; BookLost tells if it does not come soon."""
        self.stats.last_problem = f"{market}: {reason}"
        if (member := self._members.get(market)) is not None:
            self._membership.renew_quietly(member, reason)

    def probe(self, markets: Sequence[MarketId]) -> bool:
        """Return False: a book can't be asked for here without giving up the subscription."""
        del markets
        return False

    def verify(self, market: MarketId, book: OrderBook) -> bool | None:
        """Judge *book* by the hash told of its newest state; None while a change is under way."""
        member = self._members.get(market)
        return None if member is None else self._judge.verify(member, book, self._now_s)

    def tick(self, now_s: float) -> Sequence[Event]:
        """Keep the socket alive and repeat what is overdue."""
        self._now_s = now_s
        if self._started and now_s >= self._ping_due_s:
            self._ping_due_s = now_s + PING_EVERY_S
            self.outbox.append(b"PING")
        return self._membership.tick(now_s)

    def ended(self, reason: str) -> Sequence[Event]:
        """Say what the end of the connection means: all tokens settled, or nothing."""
        if reason != _ALL_RESOLVED:
            return _NOTHING
        return [TradingChanged(member.market, "closed", 0) for member in self._members.values()]

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
        if text == _REFUSAL and not self._membership.has_opened:
            raise ProtocolViolation("the opening frame was not taken")
        if len(text) > _LONGEST_SAYING or not text.isascii() or not text.decode().isprintable():
            raise self._unreadable(text, "neither JSON nor a short text")
        self.stats.unknown(text.decode())
        return [Notice(f"polymarket says {text.decode()!r}")] if text else _NOTHING

    def _price_change(self, message: messages.PriceChange) -> Sequence[Event]:
        changes = message.price_changes
        if changes is None:
            changes = list(old_changes(message))
        now_ms = unix_ms(message.timestamp)
        events: list[Event] = []
        named = None
        for change in changes:
            member = self._members.get(change.asset_id)
            if member is None:
                check_named(change)
                continue
            named = member
            if now_ms > member.since_ms and member.join is None:
                self._apply(events, member, change, now_ms)
            else:
                self._apply_late(events, member, change, now_ms)
        if named is None:
            return self._twin_alone(message.market, changes, now_ms)
        if len(changes) > 1 and not self._mirror.holds(changes):
            self._mirror_broken(changes, now_ms)
        return events

    def _apply(
        self, events: list[Event], member: Member, change: messages.Change, now_ms: int
    ) -> None:
        """Tell a change that is newer than the book."""
        price = self._ticks[change.price]
        if price % member.grid and self._lots[change.size] > 0:
            events.append(self._off_grid(member, price))
            return
        self._append(events, member.market, change, now_ms)
        member.last, member.at_s = change, self._now_s
        if member.since_ms:
            member.since_ms = now_ms

    def _apply_late(
        self, events: list[Event], member: Member, change: messages.Change, now_ms: int
    ) -> None:
        """Tell a change of the book's own time or before, if the book does not have it already."""
        if now_ms < member.since_ms:
            self._drop_stale(member, member.since_ms - now_ms)
        elif member.join is not None:
            self._apply_joining(events, member, member.join, change, now_ms)
        elif change == member.last:
            self.stats.duplicates += 1
        else:
            self._apply(events, member, change, now_ms)

    def _apply_joining(
        self, events: list[Event], member: Member, join: Join, change: messages.Change, now_ms: int
    ) -> None:
        """Decide whether a change is in the opening book already; tell what is not."""
        if now_ms > join.at_ms:
            events += join.held
            self._membership.joined(member)
            self._apply(events, member, change, now_ms)
        elif change.hash == join.hash:
            self.stats.stale_dropped += 1 + sum(type(e) is LevelSet for e in join.held)
            self._membership.joined(member)
        else:
            self._append(join.held, member.market, change, now_ms)
            join.newest = change

    def _drop_stale(self, member: Member, by_ms: int) -> None:
        """Count what is older than the book; the venue queues for seconds, not for minutes.

        Behind an opening book, older changes may still be queued; later the times of a token never
        go back but by a moment, unless the clock does: then the book must be made anew.
        """
        if by_ms > _OLDEST_QUEUED_MS:
            raise ValueError(f"{by_ms} ms older than its book: one of the two times is wrong")
        self.stats.stale_dropped += 1
        if by_ms > _DISORDER_MS and self._now_s - member.opened_s > _QUEUE_S:
            self._membership.renew_quietly(member, f"a change {by_ms} ms older than the book")

    def _book(self, message: messages.Book) -> Sequence[Event]:
        member = self._members.get(message.asset_id)
        now_ms = unix_ms(message.timestamp)
        if member is None:
            return _NOTHING
        if now_ms < member.since_ms:
            self._drop_stale(member, member.since_ms - now_ms)
            return _NOTHING
        bids, asks = self._reader.levels(message.bids), self._reader.levels(message.asks)
        prices = [price for price, _ in (*bids, *asks)]
        if not (message.tick_size or self._may_hold(member, message, prices)):
            return [self._off_grid(member, next(p for p in prices if p % member.grid))]
        opening = not member.since_ms
        if opening:
            member.opened_s = self._now_s
        member.since_ms, member.at_s = now_ms, self._now_s
        member.hash, member.last = message.hash, None
        # What waited for a join is older than this book.
        join = Join(now_ms, message.hash) if message.hash and opening else None
        self._membership.arrived(member, message.market, join)
        snapshot = BookSnapshot(member.market, bids, asks, now_ms * NS_PER_MS)
        return (
            [snapshot, *self._learn(member, message, prices)] if message.tick_size else [snapshot]
        )

    def _may_hold(self, member: Member, message: messages.Book, prices: Sequence[Ticks]) -> bool:
        """Tell whether a later book is on the grid, or proves that the tick has changed."""
        return on_grid(member.grid, prices) or self._judge.explains(member, message)

    def _learn(
        self, member: Member, message: messages.Book, prices: Sequence[Ticks]
    ) -> Sequence[Event]:
        """Take the facts that only an opening book tells."""
        self.stats.off_grid += not member.set_grid(message.tick_size, prices)
        return (Notice(_RECIPE_LOST),) if self._judge.learn(member, message) else _NOTHING

    # -- what is wrong with a book ---------------------------------------------------------------

    def _off_grid(self, member: Member, price: Ticks) -> Event:
        """Give up a book for a price that its tick does not allow; the fresh one tells its tick."""
        self.stats.off_grid += 1
        member.strikes += 1
        reason = f"price {price} is off the grid of {member.grid}"
        self._membership.renew([member.market])
        return BookLost(member.market, reason)

    def _mirror_broken(self, changes: Sequence[messages.Change], now_ms: int) -> None:
        """Make books anew whose change differs from its image in the other token.

        The price stays: whether our own half is right, its best prices say (`TopTold`).
        """
        named = {change.asset_id: self._members.get(change.asset_id) for change in changes}
        touched = [m for m in named.values() if m is not None and 0 < m.since_ms <= now_ms]
        if touched:
            self._renew_for_mirror(touched, "a change differs from its mirror image")

    def _twin_alone(
        self, condition: str, changes: Sequence[messages.Change], now_ms: int
    ) -> Sequence[Event]:
        """Apply the image of a change whose own half was lost, and make the book anew."""
        member = self._membership.conditions.get(condition)
        if member is None or not 0 < member.since_ms <= now_ms or member.join is not None:
            return _NOTHING
        events: list[Event] = []
        for change in changes:
            self._apply(events, member, self._mirror.image(change, member.market), now_ms)
        self._renew_for_mirror([member], "a change named the other token only")
        return events

    def _renew_for_mirror(self, members: Sequence[Member], reason: str) -> None:
        self.stats.mirror_breaks += 1
        self.stats.last_problem = f"{members[0].market}: {reason}"
        for member in members:
            if self._now_s >= member.mirror_due_s:
                member.mirror_due_s = self._now_s + MIRROR_HOLD_S
                self._membership.renew_quietly(member, reason)

    # -- trades and lives ------------------------------------------------------------------------

    def _last_trade_price(self, message: messages.LastTradePrice) -> Sequence[Event]:
        member = self._members.get(message.asset_id)
        if member is None:
            return _NOTHING
        trade = self._reader.trade(member.market, message)
        member.traded = message.price
        return (trade,)

    def _tick_size_change(self, message: messages.TickSizeChange) -> Sequence[Event]:
        member = self._members.get(message.asset_id)
        if member is None or not self._ticks[message.new_tick_size]:
            return _NOTHING
        member.refine_grid(message.new_tick_size)
        if member.facts is not None:
            member.facts = msgspec.structs.replace(member.facts, tick_size=message.new_tick_size)
        return _NOTHING

    def _new_market(self, message: messages.NewMarket) -> Sequence[Event]:
        meta = listed(message) if self._options.lifecycle else None
        return _NOTHING if meta is None else (MarketListed(meta),)

    def _market_resolved(self, message: messages.MarketResolved) -> Sequence[Event]:
        ts_ns = unix_ms(message.timestamp) * NS_PER_MS
        tokens = [MarketId(token) for token in message.assets_ids]
        return [TradingChanged(t, "closed", ts_ns) for t in tokens if t in self._members]

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
        touched = self._touched(envelope)
        if not touched:
            raise ProtocolViolation(reason)
        for market in touched:
            self._membership.unusable(market)
        self._membership.renew(touched)
        return [BookLost(market, reason) for market in touched if market in self._members]

    def _touched(self, envelope: messages.Envelope) -> list[MarketId]:
        """Return the tokens that a malformed frame is about, named or as the other half."""
        named = [envelope.asset_id, *(entry.asset_id for entry in envelope.price_changes)]
        condition = envelope.market if isinstance(envelope.market, str) else ""
        twin = self._membership.conditions.get(condition)
        if any(named) and twin is not None and envelope.event_type == "price_change":
            named.append(twin.market)
        return [MarketId(token) for token in dict.fromkeys(named) if token]

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
