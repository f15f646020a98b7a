"""A decoder and a table of markets in conversation with a venue that knows the truth.

Every price that is put up as `live` is judged in that moment: by what can never be (crossed, out of
range, from a book that is not in step), and, as long as nobody has lied, by the truth.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from arbees_feed.core.book import BookState, OrderBook
from arbees_feed.core.events import Event, TopOfBook, Trade
from arbees_feed.core.model import ONE_DOLLAR, MarketId, Quote, Source, Status
from arbees_feed.core.venue import Decoder, DecoderOptions
from arbees_feed.core.wire import MarketPrice, price_of
from arbees_feed.errors import ProtocolViolation
from arbees_feed.feed.market import MarketsConfig
from arbees_feed.feed.markets import MarketTable
from arbees_feed.venues import VENUES
from support.outlets import FakeClock, RecordingLink
from support.worlds import Frame, Top

Damage = Callable[[bytes], bytes]
_INT64 = 1 << 63


class Venue(Protocol):
    """What tells frames and knows the truth: a world, or a tape."""

    markets: Sequence[MarketId]

    def connected(self) -> None: ...

    def answer(self, command: bytes) -> list[Frame]: ...

    def step(self) -> Frame: ...

    def top(self, market: MarketId) -> Top: ...


def check_price(quote: Quote, market: MarketId, venue: str) -> None:
    """What holds of every price, whatever was told: it can be sent, and read back."""
    price = price_of(quote, market, venue, 1, 1, 1)
    assert MarketPrice.from_msgpack(price.to_msgpack()) == price
    assert 0 <= quote.ts_event_ns < _INT64
    assert quote.last_price is None or 0 <= quote.last_price <= ONE_DOLLAR
    if quote.status is Status.LIVE:
        assert 0 <= quote.bid < quote.ask <= ONE_DOLLAR
        assert quote.bid_size >= 0
        assert quote.ask_size >= 0
        assert quote.bid or not quote.bid_size
        assert quote.ask < ONE_DOLLAR or not quote.ask_size
    else:
        shown = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
        assert shown == (0, 0, ONE_DOLLAR, 0)


class JudgingOutlet:
    """Hands each quote of a market to its judge, in the moment it is put up."""

    def __init__(self, judge: Callable[[Quote], None]) -> None:
        self.put = judge

    def put_trade(self, trade: Trade, recv_ns: int) -> None:
        del recv_ns
        assert trade.size >= 0
        assert 0 <= trade.price <= ONE_DOLLAR

    def put_depth(self, book: OrderBook, ts_event_ns: int, recv_ns: int) -> None:
        del ts_event_ns, recv_ns
        assert book.state is BookState.LIVE


class Conversation:
    """Frames in, judged quotes out; a connection that is given up is made anew."""

    def __init__(self, venue: str, told_by: Venue) -> None:
        self.spec = VENUES[venue]
        self.world = told_by
        self.clock = FakeClock()
        self.lied = False
        """Somebody has said what nobody can tell from the truth: that is no measure any more."""
        self.tickers: dict[MarketId, TopOfBook] = {}
        self.last: dict[MarketId, Quote] = {}
        self.violations = 0
        self.frames = 0
        self.table = MarketTable(
            self._outlet, MarketsConfig(trades=True, depth=True), monotonic=self.clock
        )
        self.connect()

    def _outlet(self, market: MarketId) -> JudgingOutlet:
        return JudgingOutlet(lambda quote: self._judge(market, quote))

    def _judge(self, market: MarketId, quote: Quote) -> None:
        self.last[market] = quote
        check_price(quote, market, self.spec.name)
        if quote.status is not Status.LIVE:
            return
        row = self.table.get(market)
        assert row is not None
        if quote.source is Source.BOOK:
            assert row.book is not None
            assert row.book.state is BookState.LIVE
        if self.lied:
            return
        shown = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
        if quote.source is Source.BOOK:
            assert shown == self.world.top(market), f"{market} shown {shown}"
        else:
            told = self.tickers[market]
            assert shown == (told.bid, told.bid_size, told.ask, told.ask_size)

    def connect(self) -> None:
        """Begin anew, as after any loss."""
        self.world.connected()
        self.decoder: Decoder = self.spec.new_decoder(DecoderOptions(lifecycle=True, tickers=True))
        self.link = RecordingLink(self.decoder)
        self.decoder.tick(self.clock.now_s)
        self.decoder.start(self.world.markets)
        self._answer()

    def _answer(self) -> None:
        while self.decoder.outbox:
            for frame in self.world.answer(self.decoder.outbox.pop(0)):
                self._receive(msgspec.json.encode(frame))

    def step(self, damage: Damage | None = None) -> bytes:
        """Take the venue's next frame, as it is or damaged; return what was received."""
        frame = msgspec.json.encode(self.world.step())
        self._note_ticker(frame)
        received = frame if damage is None else damage(frame)
        self.frames += 1
        self._receive(received)
        self._answer()
        return received

    def _note_ticker(self, frame: bytes) -> None:
        """Learn what a good frame says of tickers, from a decoder that has heard nothing else."""
        if b'"ticker"' in frame:
            events = self.spec.new_decoder(DecoderOptions()).receive(frame)
            self.tickers |= {e.market: e for e in events if isinstance(e, TopOfBook)}

    def _receive(self, frame: bytes) -> None:
        try:
            events: Sequence[Event] = self.decoder.receive(frame)
        except ProtocolViolation as violation:
            self._give_up(violation)
            return
        self.table.apply(events, self.link, 7)

    def _give_up(self, violation: ProtocolViolation) -> None:
        assert len(str(violation)) < 2_000
        self.violations += 1
        self.table.lose(self.link, str(violation))
        self.connect()

    def wait(self, seconds: float) -> None:
        """Let time pass in ticks."""
        for _ in range(int(seconds * 4)):
            self.clock.now_s += 0.25
            try:
                events = self.decoder.tick(self.clock.now_s)
            except ProtocolViolation as violation:
                self._give_up(violation)
                continue
            self.table.apply(events, self.link, 7)
            self.table.check(self.clock.now_s, 8)
            self._answer()

    def unhealed(self) -> list[Any]:
        """Return the markets of which readers do not have the truth, after time to mend."""
        self.wait(12)
        wrong: list[Any] = []
        for market in self.world.markets:
            true = self.world.top(market)
            last = self.last.get(market)
            shown = last and (last.bid, last.bid_size, last.ask, last.ask_size)
            live = last is not None and last.status is Status.LIVE
            if true[0] < true[2] and not (live and shown == true) and self._has_told(market):
                wrong.append((market, last, true))
        return wrong

    def _has_told(self, market: MarketId) -> bool:
        """Tell whether the venue has a book of the market by now."""
        return market in getattr(self.world, "books", self.world.markets)
