"""Kalshi's half of a conversation: frames in, events out, commands to send.

Sequence numbers are per subscription (`sid`) and shared by all its markets; every frame that
carries one counts, acknowledgements included (recorded: README.md, "Sequence"). A gap on the book
subscription voids all its books at once, and the answer to it is asked for in the same breath.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    Event,
    LevelChanged,
    Notice,
    TickerLost,
    TopOfBook,
    Trade,
)
from arbees_feed.core.model import ONE_DOLLAR, MarketId, Side
from arbees_feed.core.money import LotsByText, TicksByText
from arbees_feed.core.sequence import SequenceTracker, Verdict
from arbees_feed.core.venue import DecoderOptions, DecoderStats
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.kalshi import lifecycle, messages
from arbees_feed.venues.kalshi.subscription import BookSubscription, Commands

_NS_PER_MS: Final = 1_000_000
_NOTHING: Final[tuple[Event, ...]] = ()
_BOOKS = "orderbook_delta"

# Errors after which the venue may or may not have done what we asked, or wants less at a time.
_TRY_AGAIN: Final = frozenset({18, 26, 27})
_BUFFER_OVERFLOW: Final = 25


class KalshiDecoder:
    """One connection's conversation with Kalshi."""

    def __init__(self, options: DecoderOptions) -> None:
        self.outbox: list[bytes] = []
        self.stats = DecoderStats()
        self._options = options
        self._commands = Commands(self.outbox)
        self._books = BookSubscription(self._commands)
        self._trackers: dict[int, SequenceTracker] = {}
        self._channels: dict[int, str] = {}
        self._ended: set[int] = set()
        self._ticks = TicksByText()
        self._lots = LotsByText()
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
            messages.EventFeeUpdate: self._sequenced,
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
        self._commands.send("subscribe", channels=[channel], **params)

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

    def tick(self, now_s: float) -> Sequence[Event]:
        """Send what was held back and repeat what is overdue."""
        self._books.now_s = now_s
        self._books.flush()
        given_up = self._books.overdue()
        return [
            Notice(f"kalshi sends no usable book of {ticker}: is the ticker right?")
            for ticker in given_up
        ]

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
            return self._handlers[type(message)](message)
        except msgspec.ValidationError as exc:
            return self._second_look(frame, str(exc))
        except msgspec.DecodeError as exc:
            return self._unreadable(frame, str(exc))
        except ValueError as exc:
            return self._second_look(frame, str(exc), sequenced=True)

    def _delta(self, message: messages.Delta) -> Sequence[Event]:
        tracker = self._trackers.get(message.sid)
        caused: Sequence[Event] | None = _NOTHING
        if tracker is not None and message.seq - 1 == tracker.last:
            tracker.last = message.seq  # nearly always; the rest is judged at leisure
        elif (caused := self._observe(message.sid, message.seq)) is None:
            return _NOTHING
        body = message.msg
        price = self._ticks[body.price_dollars]
        side = Side.BID
        if body.side == "no":
            # A bid for NO at p is an offer of YES at 1 - p.
            side, price = Side.ASK, ONE_DOLLAR - price
        elif body.side != "yes":
            raise ValueError(f"side {body.side!r}")
        change = self._lots[body.delta_fp]
        ts_ns = body.ts_ms * _NS_PER_MS or _instant_ns(body.ts)
        event = LevelChanged(MarketId(body.market_ticker), side, price, change, ts_ns)
        return (*caused, event) if caused else (event,)

    def _snapshot(self, message: messages.Snapshot) -> Sequence[Event]:
        caused = self._observe(message.sid, message.seq)
        market = MarketId(message.msg.market_ticker)
        if caused is None or market not in self._books.members:
            return caused or _NOTHING
        ticks, lots = self._ticks, self._lots
        bids = [(ticks[p], lots[size]) for p, size in message.msg.yes_dollars_fp]
        asks = [(ONE_DOLLAR - ticks[p], lots[size]) for p, size in message.msg.no_dollars_fp]
        self._books.arrived(market)
        return (*caused, BookSnapshot(market, bids, asks, 0))

    def _ticker(self, message: messages.Ticker) -> Sequence[Event]:
        body = message.msg
        bid, bid_size = self._ticks[body.yes_bid_dollars], self._lots[body.yes_bid_size_fp]
        ask, ask_size = self._ticks[body.yes_ask_dollars], self._lots[body.yes_ask_size_fp]
        if not bid or not bid_size:
            bid = bid_size = 0
        if not ask or not ask_size or ask == ONE_DOLLAR:
            ask, ask_size = ONE_DOLLAR, 0
        return (
            TopOfBook(
                MarketId(body.market_ticker),
                bid,
                bid_size,
                ask,
                ask_size,
                self._ticks[body.price_dollars] or None,
                body.ts_ms * _NS_PER_MS,
            ),
        )

    def _trade(self, message: messages.Trade) -> Sequence[Event]:
        if not self._counts(message.sid, message.seq):
            return _NOTHING
        body = message.msg
        outcome = body.taker_outcome_side or body.taker_side
        return (
            Trade(
                MarketId(body.market_ticker),
                self._ticks[body.yes_price_dollars],
                self._lots[body.count_fp],
                "buy" if outcome == "yes" else "sell" if outcome == "no" else "",
                body.trade_id,
                body.ts_ms * _NS_PER_MS,
            ),
        )

    def _lifecycle(self, message: messages.Lifecycle) -> Sequence[Event]:
        if not self._counts(message.sid, message.seq):
            return _NOTHING
        return lifecycle.events_of(message.msg)

    # -- control frames ------------------------------------------------------------------------

    def _subscribed(self, message: messages.Subscribed) -> Sequence[Event]:
        self._commands.answered(message.id)
        body = message.msg
        self._trackers[body.sid] = SequenceTracker()
        self._channels[body.sid] = body.channel
        if body.channel == _BOOKS:
            self._books.opened(body.sid)
        return ()

    def _ok(self, message: messages.Ok) -> Sequence[Event]:
        self._commands.answered(message.id)
        return self._sequenced(message)

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
        self.stats.last_problem = f"error {code} {text}".strip()
        said = Notice(f"kalshi answers error {code} {text!r} to {action or 'a subscription'}")
        events = list(self._sequenced(message))
        if code == _BUFFER_OVERFLOW and message.sid is not None:
            events += self._subscription_ended(message.sid, "subscription buffer overflow")
        elif code in _TRY_AGAIN:
            self._books.refused(action, tickers)
        return [said, *events]

    def _subscription_ended(self, sid: int, reason: str) -> list[Event]:
        channel = self._channels.pop(sid, "")
        self._trackers.pop(sid, None)
        self._ended.add(sid)
        if channel == _BOOKS:
            return [BookLost(market, reason) for market in self._books.ended()]
        if channel:
            self._subscribe(channel)
        return []

    # -- sequence ------------------------------------------------------------------------------

    def _observe(self, sid: int, seq: int) -> Sequence[Event] | None:
        """Judge a sequence number: what it causes, or None when the frame must be dropped."""
        tracker = self._trackers.get(sid)
        if tracker is None:
            if sid in self._ended:
                return None
            tracker = self._trackers[sid] = SequenceTracker()
        verdict = tracker.observe(seq)
        if verdict is Verdict.NEXT:
            return _NOTHING
        if verdict is Verdict.DUPLICATE:
            self.stats.duplicates += 1
            return None
        if verdict is Verdict.GAP:
            self.stats.gaps += 1
        else:
            self.stats.resets += 1
        if self._channels.get(sid, _BOOKS) != _BOOKS:
            return _NOTHING  # trades and lifecycle steps stand for themselves
        return self._void_books(f"sequence {verdict.value} before {seq}")

    def _counts(self, sid: int, seq: int | None) -> bool:
        return seq is None or self._observe(sid, seq) is not None

    def _void_books(self, reason: str) -> list[Event]:
        self.stats.last_problem = reason
        filled = self._books.request_all()
        self.stats.resyncs += len(filled)
        return [BookLost(market, reason) for market in filled]

    # -- frames that did not decode --------------------------------------------------------------

    def _second_look(
        self, frame: bytes, problem: str, *, sequenced: bool = False
    ) -> Sequence[Event]:
        """Confine a frame of an unknown kind, or a known one in the wrong shape."""
        try:
            envelope = messages.decode_envelope(frame)
        except msgspec.DecodeError:
            return self._unreadable(frame, problem)
        events: list[Event] = []
        if envelope.sid is not None and envelope.seq is not None and not sequenced:
            events += self._observe(envelope.sid, envelope.seq) or ()
        if envelope.type not in KINDS:
            self.stats.unknown(envelope.type)
            return events
        return [*events, *self._malformed(envelope, problem)]

    def _malformed(self, envelope: messages.Envelope, problem: str) -> list[Event]:
        self.stats.malformed += 1
        self.stats.last_problem = reason = f"malformed {envelope.type}: {problem}"
        try:
            market = MarketId(messages.decode_subject(envelope.msg).market_ticker)
        except msgspec.DecodeError:
            raise ProtocolViolation(reason) from None
        if envelope.type == "ticker":
            return [TickerLost(market, reason)]
        if envelope.type in {"orderbook_delta", "orderbook_snapshot"}:
            self._books.owed.unusable(market)
            self.stats.resyncs += self._books.request([market])
            return [BookLost(market, reason)]
        return [Notice(f"{market}: {reason}")]

    def _unreadable(self, frame: bytes, problem: str) -> Sequence[Event]:
        if frame[:1] == b"[":
            try:
                parts = messages.decode_array(frame)
            except msgspec.DecodeError:
                parts = []
            if parts:
                return [event for part in parts for event in self.receive(bytes(part))]
        self.stats.malformed += 1
        self.stats.last_problem = f"unreadable frame: {problem}"
        raise ProtocolViolation(f"unreadable frame {frame[:80]!r}: {problem}")


KINDS: Final = frozenset(
    {
        "orderbook_snapshot",
        "orderbook_delta",
        "ticker",
        "trade",
        "market_lifecycle_v2",
        "subscribed",
        "ok",
        "unsubscribed",
        "error",
        "event_lifecycle",
        "event_fee_update",
    }
)


def _instant_ns(text: str) -> int:
    """Read the RFC 3339 time of frames from before `ts_ms` (April 2026); 0 when there is none."""
    if not text:
        return 0
    return int(datetime.fromisoformat(text).timestamp() * 1000) * _NS_PER_MS
