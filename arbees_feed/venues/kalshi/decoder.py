"""Kalshi's half of a conversation: frames in, events out, commands to send.

Sequence numbers are per subscription (`sid`) and shared by all its markets; every frame that
carries one counts, acknowledgements included (recorded: README.md, "Sequence"). A gap on the book
subscription voids all its books at once, and the answer to it is asked for in the same breath.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    BookTold,
    Event,
    FeesChanged,
    LevelChanged,
    NoBook,
    Notice,
    Refused,
    TickerLost,
    TradingChanged,
)
from arbees_feed.core.model import ONE_DOLLAR, MarketId, Side
from arbees_feed.core.money import LOTS, TICKS
from arbees_feed.core.owed import Hold, Patience
from arbees_feed.core.sequence import SequenceTracker, Verdict
from arbees_feed.core.venue import DecoderOptions, DecoderStats
from arbees_feed.errors import ProtocolViolation
from arbees_feed.native import compiled
from arbees_feed.venues.kalshi import lifecycle, messages
from arbees_feed.venues.kalshi.fields import KNOWN_FIELDS
from arbees_feed.venues.kalshi.reading import Reader
from arbees_feed.venues.kalshi.subscription import BookSubscription, Commands, Receipt
from arbees_feed.venues.kalshi.times import NS_PER_MS, instant_ns

_NOTHING: Final[tuple[Event, ...]] = ()
_BOOKS = "orderbook_delta"
KINDS: Final = KNOWN_FIELDS.keys()

# Errors that end a subscription: channel error, buffer overflow.
_TERMINAL: Final = frozenset({10, 25})
# After these the venue may or may not have done what we asked, or wants less at a time.
_TRY_AGAIN: Final = frozenset({18, 26, 27})
_TOO_MANY_MARKETS: Final = 26
_TOO_FAST: Final = 27
_NO_SIDES: Final = "a snapshot of neither side"
_ABOUT_NO_MARKET: Final = "event_fee_update"
_PATIENCE: Final = Patience()
_BID: Final = Side.BID
_ASK: Final = Side.ASK


class KalshiDecoder:
    """One connection's conversation with Kalshi."""

    def __init__(self, options: DecoderOptions) -> None:
        self.outbox: list[bytes] = []
        self.stats = DecoderStats()
        self._options = options
        self._commands = Commands(self.outbox)
        self._books = BookSubscription(self._commands)
        self._trackers: dict[int, SequenceTracker] = {}
        self.deltas = compiled.Deltas(self._trackers, SequenceTracker) if compiled else None
        self._channels: dict[int, str] = {}
        self._ended: set[int] = set()
        self._asked: dict[int, str] = {}
        """Number of a `subscribe` under way -> its channel (the book channel's aside)."""
        self._openings: dict[str, Hold] = {}
        self._waiting: set[str] = set()
        """Channels to open again as soon as their hold allows."""
        self._told_by_ticker: set[MarketId] = set()
        self._ticks = TICKS
        self._lots = LOTS
        self._reader = Reader(self._ticks, self._lots)
        self._handlers: dict[type, Callable[[Any], Sequence[Event]]] = {
            messages.Delta: self._delta,
            messages.Ticker: self._ticker,
            messages.Snapshot: self._snapshot,
            messages.Trade: self._trade,
            messages.Lifecycle: self._lifecycle,
            messages.Subscribed: self._subscribed,
            messages.Ok: self._ok,
            messages.Unsubscribed: self._unsubscribed,
            messages.Error: self._error,
            messages.EventLifecycle: self._sequenced,
            messages.EventFeeUpdate: self._fees_changed,
        }

    # -- what the caller asks ------------------------------------------------------------------

    def start(self, markets: Sequence[MarketId]) -> None:
        """Queue the subscriptions; with `tickers`, of every market and without naming one."""
        options = self._options
        for channel, wanted in (
            ("ticker", options.tickers),
            ("market_lifecycle_v2", options.lifecycle),
            ("trade", options.trades),
        ):
            if wanted:
                self._subscribe(channel)
        self._books.add(markets)

    def _subscribe(self, channel: str) -> None:
        params: dict[str, Any] = {"use_yes_price": False, "skip_ticker_ack": True}
        if channel == "ticker":
            params["send_initial_snapshot"] = True
        self._asked[self._commands.send("subscribe", channels=[channel], **params)] = channel
        opening = self._openings.setdefault(channel, Hold(float("-inf"), _PATIENCE.spacing_s))
        opening.ask_anew(self._books.now_s, _PATIENCE)

    def _reopen(self) -> None:
        """Open again what was refused or has ended; what does so again and again, seldom."""
        now_s = self._books.now_s
        for channel in sorted(self._waiting):
            if self._openings[channel].earliest_s(now_s, _PATIENCE) <= now_s:
                self._waiting.remove(channel)
                self._subscribe(channel)

    def add(self, markets: Sequence[MarketId]) -> None:
        """Ask for the full books of further markets."""
        self._books.add(markets)

    def remove(self, markets: Sequence[MarketId]) -> None:
        """Ask for no more of these books."""
        self._books.remove(markets)

    def resync(self, market: MarketId, reason: str) -> None:
        """Ask for a fresh snapshot of one book, on the same subscription."""
        self.stats.last_problem = f"{market}: {reason}"
        self.stats.resyncs += self._books.request([market])

    def probe(self, markets: Sequence[MarketId]) -> bool:
        """Ask for the books of members that have one, to be compared; False: ask over REST.

        An unanswered question has no consequence here. It is cancelled by a gap and by whatever
        else replaces the book: then comes a BookSnapshot.
        """
        return self._books.probe(markets)

    def verify(self, market: MarketId, book: OrderBook) -> None:
        """Kalshi has no checksum of books."""
        del market, book

    def tick(self, now_s: float) -> Sequence[Event]:
        """Send what was held back and repeat what is overdue."""
        self._commands.tick(now_s)
        given_up = self._books.tick(now_s)
        self._reopen()
        return (NoBook(tuple(given_up)),) if given_up else _NOTHING

    def ended(self, reason: str) -> Sequence[Event]:
        """Say what the end of the connection means for markets: here, nothing."""
        del reason
        return _NOTHING

    # -- frames --------------------------------------------------------------------------------

    def receive(self, frame: bytes) -> Sequence[Event]:
        """Turn one frame into events; what can't be read is confined to its market if possible."""
        self.stats.frames += 1
        try:
            message = messages.decode(frame)
            # A handler reads all values before it changes any state: what it can't read, it
            # has not counted either.
            return self._handlers[type(message)](message)
        except (ValueError, RecursionError) as exc:
            return self._second_look(frame, str(exc))

    def _delta(self, message: messages.Delta) -> Sequence[Event]:
        body = message.msg
        price = self._ticks[body.price_dollars]
        side = _BID
        if body.side == "no":
            # A bid for NO at p is an offer of YES at 1 - p.
            side, price = _ASK, ONE_DOLLAR - price
        elif body.side != "yes":
            raise ValueError(f"side {body.side[:9]!r}")
        change = self._lots[body.delta_fp]
        if not change or not 0 < price < ONE_DOLLAR:
            raise ValueError(f"a change of {body.delta_fp[:20]!r} at {body.price_dollars[:20]!r}")
        ts_ns = body.ts_ms * NS_PER_MS or instant_ns(body.ts)
        event = LevelChanged(body.market_ticker, side, price, change, ts_ns)
        tracker = self._trackers.get(message.sid)
        if tracker is not None and message.seq - 1 == tracker.last:
            tracker.last = message.seq  # nearly always; the rest is judged at leisure
            return (event,)
        caused = self._observe(message.sid, message.seq)
        return _NOTHING if caused is None else (*caused, event)

    def _snapshot(self, message: messages.Snapshot, *, seen_empty: bool = False) -> Sequence[Event]:
        bids = self._reader.levels(message.msg.yes_dollars_fp)
        asks = [
            (ONE_DOLLAR - price, size)
            for price, size in self._reader.levels(message.msg.no_dollars_fp)
        ]
        if not (bids or asks or seen_empty):
            raise ValueError(_NO_SIDES)
        tracker = self._trackers.get(message.sid)
        is_old = tracker is not None and message.seq < (tracker.last or 0)
        caused = self._observe(message.sid, message.seq)
        if caused is None or is_old:
            # A straggler, or the first of a counter that starts again: all books are asked for,
            # and this one may be from before changes that we have seen.
            return caused or _NOTHING
        market, is_empty = MarketId(message.msg.market_ticker), not (bids or asks)
        match self._books.received(market, message.id, is_empty=is_empty):
            case Receipt.BOOK:
                return (*caused, BookSnapshot(market, bids, asks, 0))
            case Receipt.ANSWER:
                return (*caused, BookTold(market, bids, asks, 0, in_step=True))
            case Receipt.NOTHING:
                return caused

    def _ticker(self, message: messages.Ticker) -> Sequence[Event]:
        if message.sid in self._ended:
            return _NOTHING
        top = self._reader.top(message.msg)
        self._told_by_ticker.add(top.market)
        return (top,)

    def _trade(self, message: messages.Trade) -> Sequence[Event]:
        trade = self._reader.trade(message.msg)
        return (trade,) if self._counts(message.sid, message.seq) else _NOTHING

    def _lifecycle(self, message: messages.Lifecycle) -> Sequence[Event]:
        said = lifecycle.events_of(message.msg)
        for event in said:
            if isinstance(event, TradingChanged) and event.phase == "closed":
                self._told_by_ticker.discard(event.market)
        return said if self._counts(message.sid, message.seq) else _NOTHING

    def _fees_changed(self, message: messages.EventFeeUpdate) -> Sequence[Event]:
        caused = _NOTHING if message.seq is None else self._observe(message.sid, message.seq)
        return _NOTHING if caused is None else (*caused, FeesChanged(message.msg.event_ticker))

    # -- control frames ------------------------------------------------------------------------

    def _subscribed(self, message: messages.Subscribed) -> Sequence[Event]:
        self._commands.answered(message.id)
        self._asked.pop(message.id, None)
        self._opened(message.msg.sid, message.msg.channel)
        return _NOTHING

    def _opened(self, sid: int, channel: str) -> None:
        self._ended.discard(sid)
        self._trackers.setdefault(sid, SequenceTracker())
        self._channels[sid] = channel
        if channel == _BOOKS:
            self._books.opened(sid)

    def _ok(self, message: messages.Ok) -> Sequence[Event]:
        action, _ = self._commands.answered(message.id)
        channel = self._asked.pop(message.id, _BOOKS)
        caused = self._sequenced(message)
        if action == "subscribe" and message.sid is not None:
            # An earlier `subscribe` of the channel had been obeyed after all: this one joined it.
            self._opened(message.sid, channel)
        return caused

    def _sequenced(self, message: Any) -> Sequence[Event]:
        if message.sid is None or message.seq is None:
            return _NOTHING
        return self._observe(message.sid, message.seq) or _NOTHING

    def _unsubscribed(self, message: messages.Unsubscribed) -> Sequence[Event]:
        self._commands.answered(message.id)
        return self._subscription_ended(message.sid, "unsubscribed by the venue")

    def _error(self, message: messages.Error) -> Sequence[Event]:
        self.stats.venue_errors += 1
        code, text = message.msg.code, message.msg.msg
        action, tickers = self._commands.answered(message.id)
        channel = self._asked.pop(message.id, "")
        self.stats.last_problem = problem = f"error {code} {text[:200]}".strip()
        said = Notice(f"kalshi answers {problem!r} to {action or 'a subscription'}")
        events = list(self._sequenced(message))
        if code in _TERMINAL and message.sid is not None:
            events += self._subscription_ended(message.sid, problem)
        elif code in _TERMINAL and not action:
            raise ProtocolViolation(f"{problem}: a subscription has ended, which is not told")
        elif action and not channel:
            events += self._refused(message.id, action, tickers, code)
        elif code in _TRY_AGAIN:
            self._waiting.add(channel)
        return [said, *events]

    def _refused(
        self, number: int, action: str, tickers: Sequence[MarketId], code: int
    ) -> Sequence[Event]:
        books = self._books
        if books.probes.refused(number, books.now_s):
            return _NOTHING
        too_many, too_fast = code == _TOO_MANY_MARKETS, code == _TOO_FAST
        full = books.refused(action, tickers, too_many=too_many, too_fast=too_fast)
        return (Refused(tuple(full)),) if full else _NOTHING

    def _subscription_ended(self, sid: int, reason: str) -> list[Event]:
        channel = self._channels.pop(sid, "")
        self._trackers.pop(sid, None)
        self._ended.add(sid)
        if channel == _BOOKS:
            return [BookLost(market, reason) for market in self._books.ended()]
        if channel not in self._openings:
            return []
        self._waiting.add(channel)
        self._reopen()
        if channel != "ticker":
            return []
        silent, self._told_by_ticker = self._told_by_ticker, set()
        return [TickerLost(market, reason) for market in silent]

    # -- sequence ------------------------------------------------------------------------------

    def _observe(self, sid: int, seq: int) -> Sequence[Event] | None:
        """Judge a sequence number: what it causes, or None when the frame must be dropped."""
        tracker = self._trackers.get(sid)
        if tracker is None:
            if sid in self._ended:
                return None
            tracker = self._trackers[sid] = SequenceTracker()
        before = tracker.last
        verdict = tracker.observe(seq)
        if verdict is Verdict.NEXT:
            return _NOTHING
        reason = f"{verdict.value} on sid {sid}: {seq} after {before}"
        self.stats.last_problem = reason
        if verdict is Verdict.DUPLICATE:
            self.stats.duplicates += 1
            return None
        if verdict is Verdict.GAP:
            self.stats.gaps += 1
        else:
            self.stats.resets += 1
        if self._channels.get(sid, _BOOKS) != _BOOKS:
            return _NOTHING  # trades and lifecycle steps stand for themselves
        return self._void_books(reason)

    def _counts(self, sid: int, seq: int | None) -> bool:
        return seq is None or self._observe(sid, seq) is not None

    def _void_books(self, reason: str) -> list[Event]:
        filled, fresh = self._books.request_all()
        self.stats.resyncs += fresh
        return [BookLost(market, reason) for market in filled]

    # -- frames that did not decode --------------------------------------------------------------

    def _second_look(self, frame: bytes, problem: str) -> Sequence[Event]:
        """Confine a frame of an unknown kind, or a known one in the wrong shape."""
        if problem == _NO_SIDES and (snapshot := messages.empty_snapshot(frame)) is not None:
            return self._snapshot(snapshot, seen_empty=True)
        try:
            envelope = messages.decode_envelope(frame)
        except (ValueError, RecursionError):
            return self._last_look(frame, problem)
        caused: Sequence[Event] | None = _NOTHING
        if envelope.sid is not None and envelope.seq is not None:
            caused = self._observe(envelope.sid, envelope.seq)
        if caused is None:
            return _NOTHING
        if envelope.type not in KINDS:
            self.stats.unknown(envelope.type)
            return caused
        return [*caused, *self._malformed(envelope, problem)]

    def _malformed(self, envelope: messages.Envelope, problem: str) -> list[Event]:
        self.stats.malformed += 1
        self.stats.last_problem = reason = f"malformed {envelope.type}: {problem}"
        if envelope.type == _ABOUT_NO_MARKET:
            return [Notice(reason)]
        try:
            market = MarketId(messages.decode_subject(envelope.msg).market_ticker)
        except (ValueError, RecursionError):
            raise ProtocolViolation(reason) from None
        if envelope.type == "ticker":
            return [TickerLost(market, reason)]
        if envelope.type in {"orderbook_delta", "orderbook_snapshot"}:
            self._books.owed.unusable(market)
            self.stats.resyncs += self._books.request([market])
            return [BookLost(market, reason)]
        return [Notice(f"{market}: {reason}")]

    def _last_look(self, frame: bytes, problem: str) -> Sequence[Event]:
        """Take an array of frames apart, and skip a kind we do not know whatever its shape."""
        try:
            if frame[:1] == b"[":
                parts = [bytes(part) for part in messages.decode_array(frame)]
                if not any(part[:1] == b"[" for part in parts):
                    return [event for part in parts for event in self.receive(part)]
            elif (kind := messages.decode_kind(frame).type) not in KINDS:
                self.stats.unknown(kind)
                return _NOTHING
        except (ValueError, RecursionError) as exc:
            problem = f"{problem}; {exc}"
        self.stats.malformed += 1
        self.stats.last_problem = f"unreadable frame: {problem}"
        raise ProtocolViolation(f"unreadable frame {frame[:80]!r}: {problem}")
