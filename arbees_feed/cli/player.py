"""Recorded frames back through the decoders and the market table, on the tape's own time.

A tape does not hold what we sent, so the markets of a connection are those whose books it carries;
what decoders ask for meanwhile goes nowhere.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import Event, Trade
from arbees_feed.core.model import MarketId, Quote
from arbees_feed.core.venue import Decoder, DecoderOptions, DecoderStats, VenueSpec
from arbees_feed.errors import FatalError, ProtocolViolation
from arbees_feed.feed.market import Hooks, MarketsConfig
from arbees_feed.feed.markets import MarketTable
from arbees_feed.venues import VENUES

CHECK_NS = 100_000_000
_NS_PER_MS = 1_000_000


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One line of a tape; `received_ns` is 0 if it was not noted."""

    received_ns: int
    venue: str
    connection: str
    frame: bytes
    closed: str | None = None


class _Line(msgspec.Struct):
    received_ns: int = 0
    recv_ms: int = 0
    venue: str = ""
    connection: str = "1"
    frame: str | None = None
    event: msgspec.Raw = msgspec.Raw()
    closed: str | None = None


class _Hints(msgspec.Struct):
    """What tells whose frame it is, and whose book is in it."""

    type: str = ""
    event_type: str = ""
    asset_id: str = ""
    market: str = ""
    msg: "_Subject | None" = None


class _Subject(msgspec.Struct):
    market_ticker: str = ""


_line = msgspec.json.Decoder(_Line)
_hints = msgspec.json.Decoder(list[_Hints] | _Hints)


# -- reading ---------------------------------------------------------------------------------------


def entries(path: Path, venue: str = "") -> Iterator[Entry]:
    """Yield the lines of a tape, or of plain frames; a file that breaks off ends there.

    Raises:
        FatalError: it can't be read, or does not say of which venue it is.
    """
    guessed = ""
    for text in _lines(path):
        entry = _entry(text)
        if not entry.venue:
            guessed = guessed or venue or _venue_of(entry.frame)
            entry = msgspec.structs.replace(entry, venue=guessed)
        if entry.venue not in VENUES:
            raise FatalError(f"{path}: cannot tell the venue; name it with --venue")
        yield entry


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with _open(path) as file:
            for line in file:
                if text := line.strip():
                    yield text
    except EOFError:
        return  # the recording was killed
    except (OSError, zlib.error) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise FatalError(f"cannot read {path}: {reason}") from exc


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _entry(text: bytes) -> Entry:
    try:
        line = _line.decode(text)
    except msgspec.DecodeError:
        return Entry(0, "", "1", text)
    frame = text
    if line.frame is not None or line.closed is not None:
        frame = (line.frame or "").encode()
    elif line.event:
        frame = bytes(line.event)
    received_ns = line.received_ns or line.recv_ms * _NS_PER_MS
    return Entry(received_ns, line.venue, line.connection, frame, line.closed)


def _parts(frame: bytes) -> Sequence[_Hints]:
    try:
        found = _hints.decode(frame)
    except msgspec.DecodeError:
        return ()
    return found if isinstance(found, list) else [found]


def _venue_of(frame: bytes) -> str:
    for part in _parts(frame):
        if part.event_type or part.asset_id:
            return "polymarket"
        if part.type:
            return "kalshi"
    return ""


def books_in(tape: Iterable[Entry]) -> dict[str, list[MarketId]]:
    """Return the markets whose books a tape carries, by venue."""
    found: dict[str, dict[MarketId, None]] = {}
    for entry in tape:
        if b'"bids"' in entry.frame or b"orderbook_snapshot" in entry.frame:
            for part in _parts(entry.frame):
                market = part.asset_id or (part.msg.market_ticker if part.msg else "")
                if market:
                    found.setdefault(entry.venue, {})[MarketId(market)] = None
    return {venue: list(markets) for venue, markets in found.items()}


# -- playing ---------------------------------------------------------------------------------------


class SilentOutlet:
    """Quotes go nowhere: the table keeps the newest."""

    def put(self, quote: Quote) -> None:
        """Take a quote."""

    def put_trade(self, trade: Trade, recv_ns: int) -> None:
        """Take a trade."""

    def put_depth(self, book: OrderBook, ts_event_ns: int, recv_ns: int) -> None:
        """Take a changed book."""


class _Deck:
    """A connection of the tape."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def resync(self, market: MarketId, reason: str) -> None:
        """Ask as the daemon would; the answer is on the tape or it never came."""
        self.decoder.resync(market, reason)


class Counters(msgspec.Struct):
    """What a replay counted besides what decoders and tables count."""

    frames: int = 0
    connections: int = 0
    ended: int = 0
    broken: int = 0
    """Connections that the daemon would have given up because of what they sent."""
    crossed: int = 0
    """Frames after which a book was crossed or locked."""
    notices: int = 0
    first_ns: int = 0
    last_ns: int = 0


class Player:
    """One venue's part of a tape, played."""

    def __init__(self, spec: VenueSpec, markets: Sequence[MarketId]) -> None:
        self.venue = spec.name
        self.counters = Counters()
        self.events: Counter[str] = Counter()
        self._spec = spec
        self._members = markets
        self._decks: dict[str, _Deck] = {}
        self._past = DecoderStats()
        self._now_ns = 0
        self._checked_ns = 0
        self.table = MarketTable(
            lambda _: SilentOutlet(),
            MarketsConfig(),
            monotonic=lambda: self._now_ns / 1e9,
            hooks=Hooks(on_notice=self._on_notice),
        )

    def play(self, entry: Entry) -> None:
        """Play one line."""
        self._pass_time(entry.received_ns)
        if entry.closed is not None:
            self.counters.ended += 1
            self._lose(entry.connection, entry.closed or "closed")
            return
        self.counters.frames += 1
        deck = self._deck(entry.connection)
        try:
            events = deck.decoder.receive(entry.frame)
        except ProtocolViolation as exc:
            self.counters.broken += 1
            self._lose(entry.connection, str(exc))
            return
        deck.decoder.outbox.clear()
        if events:
            self._take(events, deck, entry)

    def _take(self, events: Sequence[Event], deck: _Deck, entry: Entry) -> None:
        self.events.update(type(event).__name__ for event in events)
        if not entry.received_ns:
            self._pass_time(max(getattr(event, "ts_ns", 0) for event in events))
        self.table.apply(events, deck, self._now_ns)
        markets = {market for event in events if (market := getattr(event, "market", None))}
        for market in markets:
            row = self.table.get(market)
            self.counters.crossed += row is not None and row.doubt == "crossed"

    def _pass_time(self, now_ns: int) -> None:
        if now_ns <= self._now_ns:
            return
        self._now_ns = self.counters.last_ns = now_ns
        self.counters.first_ns = self.counters.first_ns or now_ns
        if now_ns - self._checked_ns >= CHECK_NS:
            self._checked_ns = now_ns
            self.table.check(now_ns / 1e9, now_ns)

    def _deck(self, connection: str) -> _Deck:
        deck = self._decks.get(connection)
        if deck is None:
            self.counters.connections += 1
            decoder = self._spec.new_decoder(DecoderOptions(lifecycle=True))
            decoder.start(self._members)
            decoder.outbox.clear()
            deck = self._decks[connection] = _Deck(decoder)
        return deck

    def _lose(self, connection: str, reason: str) -> None:
        deck = self._decks.pop(connection, None)
        if deck is not None:
            self._past.add(deck.decoder.stats)
            self.table.lose(deck, reason)

    def _on_notice(self, _text: str) -> None:
        self.counters.notices += 1

    def decoded(self) -> DecoderStats:
        """Return what all decoders counted."""
        total = DecoderStats()
        total.add(self._past)
        for deck in self._decks.values():
            total.add(deck.decoder.stats)
        return total


def play(path: Path, venue: str = "") -> list[Player]:
    """Play a whole file; it is read twice, first for the markets whose books are in it."""
    members = books_in(entries(path, venue))
    players: dict[str, Player] = {}
    for entry in entries(path, venue):
        player = players.get(entry.venue)
        if player is None:
            player = Player(VENUES[entry.venue], members.get(entry.venue, []))
            players[entry.venue] = player
        player.play(entry)
    return list(players.values())


def tops(player: Player) -> list[dict[str, Any]]:
    """Return the last quote of every market that had one, in integers as the table has them."""
    found = []
    for market in sorted(player.table, key=lambda market: market.id):
        quote = market.quote
        if quote is not None:
            found.append({"market_id": market.id, **msgspec.structs.asdict(quote)})
    return found
