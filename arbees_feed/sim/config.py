"""What a simulation is made of: sizes, rates, habits. Plain frozen data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Venue = Literal["kalshi", "polymarket"]
KeyType = Literal["ed25519", "rsa"]

KALSHI: Venue = "kalshi"
POLYMARKET: Venue = "polymarket"
VENUES: tuple[Venue, ...] = (KALSHI, POLYMARKET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Frames of a venue, one a line (`.jsonl`, `.jsonl.gz`), to be served again.

    Times of receipt, one integer a line (ms or ns), give the pace; without them the venue's own
    times do. A line may also be `{"recv_ms": …, "event": <frame>}`.
    """

    venue: Venue
    path: Path
    times: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimConfig:
    """Everything that shapes a simulation. The same seed gives the same markets and moves.

    `rate` counts book changes a second over all markets of both venues; `math.inf` runs
    flat out, held back only by the slowest reader.
    """

    seed: int = 1
    kalshi_markets: int = 20
    polymarket_markets: int = 20
    rate: float = 200.0
    bursts: bool = True
    depth: int = 12
    max_markets_per_event: int = 4
    pairs: bool = False
    """Whether some markets ask what one of the other venue asks, or only look like it (`pairs.py`).
    They take the place of a venue's last ones, of half of them at most."""

    trade_share: float = 0.12
    empty_share: float = 0.002
    """Share of steps that empty one side of a book, or both."""
    cross_share: float = 0.0
    """Share of steps that pass through a crossed book inside one venue time."""
    v2_share: float = 0.1
    """Share of Polymarket markets that trade by `positionIds`."""

    trade_delay_ms: tuple[int, int] = (31, 43)
    """Polymarket tells of a trade this much after the book change it caused."""
    duplicate_share: float = 0.0
    """Share of Polymarket's changes that are sent twice, as the venue now and then does."""
    stale_changes: int = 0
    """How many changes older than the opening books Polymarket still sends after them."""
    idle_timeout_s: float = 125.0
    """Polymarket cuts a socket on which nothing was sent either way for so long."""
    asset_limit: int | None = None
    """Tokens of one Polymarket socket, beyond which it stays silent (the venue's is about 500)."""
    ticker_interval_s: float = 0.25
    settle_delay_s: float = 0.2
    """From the end of a market to the message that names its outcome."""

    api_key_id: str | None = None
    private_key_pem: str | None = None
    """A key to accept, when the generated ones will not do."""
    key_type: KeyType = "ed25519"
    clock_skew_limit_s: float = 30.0

    ping_interval_s: float = 10.0
    deflate: bool = True
    send_buffer_limit: int = 64 * 1024 * 1024
    """Unread bytes of one socket, after which the venue drops it as a slow consumer."""
    recordings: tuple[Recording, ...] = ()
    """Served from the first subscription on, beside whatever markets are invented."""
    replay_speed: float = 1.0
    """Times the recorded pace; `math.inf` as fast as the slowest reader allows."""

    market_limit: int | None = None
    """Markets of one Kalshi subscription, beyond which error 26 is sent."""

    history_s: float = 0.0
    """For how long the tops of all markets are remembered (`Market.tops_between`); 0: not at all.
    A change costs about 2 us more with it, and 150 bytes until it is forgotten."""
