"""A venue's half of a conversation that answers probes when a test says so."""

from collections.abc import Sequence

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import Event
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import DecoderStats
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.session import Session
from support.connection import ScriptedConnection
from support.outlets import FakeClock


class FakeDecoder:
    """Remembers what it was asked; `in_band` tells whether it has a question for a book."""

    def __init__(self, *, in_band: bool = True) -> None:
        self.outbox: list[bytes] = []
        self.deltas = None
        self.stats = DecoderStats()
        self.in_band = in_band
        self.probes: list[list[MarketId]] = []
        self.resyncs: list[tuple[MarketId, str]] = []
        self.right: dict[MarketId, bool] = {}

    def start(self, markets: Sequence[MarketId]) -> None: ...

    def add(self, markets: Sequence[MarketId]) -> None: ...

    def remove(self, markets: Sequence[MarketId]) -> None: ...

    def receive(self, _frame: bytes) -> Sequence[Event]:
        return ()

    def tick(self, _now_s: float) -> Sequence[Event]:
        return ()

    def ended(self, _reason: str) -> Sequence[Event]:
        return ()

    def resync(self, market: MarketId, reason: str) -> None:
        self.resyncs.append((market, reason))

    def probe(self, markets: Sequence[MarketId]) -> bool:
        if self.in_band:
            self.probes.append(list(markets))
        return self.in_band

    def verify(self, market: MarketId, _book: OrderBook) -> bool | None:
        return self.right.get(market)


def session_over(
    table: MarketTable, clock: FakeClock, *, in_band: bool = True
) -> tuple[Session, FakeDecoder]:
    """Return a session that is not run: its clock and its answers are the test's."""
    decoder = FakeDecoder(in_band=in_band)
    connection = ScriptedConnection(clock)
    session = Session(connection, decoder, table, silence_timeout_s=30.0, monotonic=clock)
    return session, decoder
