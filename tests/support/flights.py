"""A connection whose frames are kept by a flight recorder, as a session keeps them."""

import msgspec

from arbees_feed.core.events import BookTold
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.errors import ProtocolViolation
from arbees_feed.feed.compare import Verdict, compare
from arbees_feed.feed.evidence import Evidence, Incident, gather
from arbees_feed.feed.flight import TICK, Decisions, FlightRecorder, FlightRing
from arbees_feed.feed.market import Hooks, Market, MarketsConfig
from arbees_feed.feed.markets import MarketTable
from arbees_feed.venues import VENUES
from support.conversation import Venue
from support.outlets import FakeClock, Outlets, RecordingLink

STEP_NS = 20_000_000
START_NS = 1_795_219_200_000_000_000
OPTIONS = DecoderOptions(lifecycle=True)


class Flight:
    """One connection to a world or a tape; time passes with its frames."""

    def __init__(self, venue: str, world: Venue, *, frames: int = 20_000) -> None:
        self.world = world
        self.now_ns = START_NS
        self.clock = FakeClock(START_NS / 1e9)
        self.recorder = FlightRecorder(
            venue, f"{venue}-0", OPTIONS, world.markets, ring=FlightRing(frames)
        )
        self.decisions = Decisions()
        self.told: Evidence | None = None
        """Gathered when a question was answered with another book than ours."""
        self.table = MarketTable(
            Outlets().__getitem__,
            MarketsConfig(),
            monotonic=self.clock,
            hooks=Hooks(on_told=self._on_told),
        )
        self.decoder = VENUES[venue].new_decoder(OPTIONS)
        self.link = RecordingLink(self.decoder)
        world.connected()
        self.decoder.tick(self.clock.now_s)
        self.decoder.start(world.markets)
        self.answer()

    def _on_told(self, market: Market, told: BookTold) -> bool:
        assert market.book is not None
        if compare(market.book, market.ts_ns, told) is Verdict.AGREES:
            return False
        self.told = self.evidence("mismatch", market.id, "level by level")
        return True

    def answer(self) -> None:
        """Let the world answer what the decoder asks."""
        while self.decoder.outbox:
            for frame in self.world.answer(self.decoder.outbox.pop(0)):
                self.receive(msgspec.json.encode(frame))

    def receive(self, frame: bytes) -> None:
        """One frame, as a session takes it.

        Raises:
            ProtocolViolation: it ends the connection.
        """
        self.now_ns += STEP_NS
        self.recorder.ring.append((self.now_ns, frame))
        try:
            events = self.decoder.receive(frame)
        except ProtocolViolation as violation:
            self.table.lose(self.link, str(violation))
            raise
        self.table.apply(events, self.link, self.now_ns)
        self.clock.now_s = self.now_ns / 1e9

    def tick(self) -> None:
        """Tell the decoder the time, as a session does; the ring shows where."""
        self.recorder.ring.append((self.now_ns, TICK))
        self.table.apply(self.decoder.tick(self.now_ns / 1e9), self.link, self.now_ns)
        self.answer()

    def next_frame(self) -> None:
        """Take a frame, and leave unanswered what the decoder asks then."""
        self.receive(msgspec.json.encode(self.world.step()))

    def steps(self, count: int) -> None:
        """Take some frames; the books are copied now and then."""
        for number in range(count):
            self.next_frame()
            self.answer()
            if number % 13 == 12:
                self.tick()
            if number % 7 == 3:
                self.scan()

    def scan(self) -> None:
        """Do what is done a few times a second."""
        self.recorder.ring.trim()
        for market in self.table:
            if market.book is not None and market.book.state.value == "live":
                self.recorder.checkpoints.take(market.id, market.book, market.ts_ns, market.changes)

    def wait(self, seconds: float) -> None:
        """Let time pass without a frame."""
        for _ in range(int(seconds * 10)):
            self.now_ns += 100_000_000
            self.clock.now_s = self.now_ns / 1e9
            self.table.check(self.clock.now_s, self.now_ns)

    def evidence(self, kind: str, market: str, reason: str) -> Evidence:
        """Tell of an incident, now."""
        rows = [row for row in self.table if row.id == market or not market]
        incident = Incident(kind, MarketId(market), reason, self.now_ns)
        books = [(row.id, row.book, row.ts_ns) for row in rows if row.book is not None]
        made = self.decisions.of(incident.market)
        return gather(incident, self.recorder, books, decisions=made, feed="test")
