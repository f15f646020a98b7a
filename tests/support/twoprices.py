"""Prices as commands, written both ways and compared."""

from random import Random

from arbees_feed.core.model import MarketId, Quote, Source, Status
from arbees_feed.core.wire import Names
from arbees_feed.publish.outlet import Outlet
from arbees_feed.publish.payloads import PriceCommands, price_commands

_SIZES = (0, 1, 999_999, 1_000_000, 12_345_678, 10**12, 2**53, 2**53 + 1, 10**18)
_TIMES = (0, 1, 1_795_219_200_470_000_000, 2**63 - 1, 2**63, -1)
_NAMES = ("KXAAA-26NOV21-T1", "7" * 77, "KX-É☃", "", "x" * 255, "é" * 128, "x" * 300)


class _NoWriter:
    flowing = False

    def emit(self, *_: object) -> None: ...

    def hold(self, *_: object) -> None: ...

    def emit_trade(self, *_: object) -> None: ...

    def note_depth(self, *_: object) -> None: ...


def outlet_of(market: str, platform: str = "kalshi", prefix: str = "") -> Outlet:
    """Return an outlet that nobody writes to."""
    return Outlet(MarketId(market), platform, Names(prefix), _NoWriter(), 0)


def a_price(random: Random) -> tuple[Outlet, Quote, int, int, int]:
    """Return (outlet, quote, seq, now in Unix ns, session); some are like no real one."""

    def any_of(few: tuple[int, ...], most: int) -> int:
        return random.choice(few) if random.random() < 0.5 else random.randrange(most)

    quote = Quote(
        random.randrange(10_001),
        any_of(_SIZES, 10**13),
        random.randrange(10_001),
        any_of(_SIZES, 10**13),
        random.choice((None, random.randrange(10_001))),
        random.choice(list(Status)),
        random.choice(list(Source)),
        any_of(_TIMES, 2**63),
        any_of(_TIMES, 2**63),
    )
    name, prefix = random.choice(_NAMES), random.choice(("", "p:"))
    outlet = outlet_of(name, random.choice(("kalshi", "polymarket")), prefix)
    seq = any_of((1, 127, 128, 2**32, 2**63 - 1), 2**40)
    return outlet, quote, seq, any_of(_TIMES, 2**63), any_of(_TIMES, 2**62)


def same_commands(outlet: Outlet, quote: Quote, seq: int, now_ns: int, session: int = 3) -> None:
    """Assert that both ways write the same, or raise the same error."""
    ways = [price_commands(session, use_compiled=use) for use in (True, False)]
    compiled, plain = [_outcome(way, outlet, quote, seq, now_ns) for way in ways]
    assert compiled == plain


def _outcome(
    commands: PriceCommands, outlet: Outlet, quote: Quote, seq: int, now_ns: int
) -> bytes | type[Exception]:
    try:
        return commands(outlet, quote, seq, now_ns)
    except Exception as exc:  # noqa: BLE001 - whatever it is, both raise it
        return type(exc)
