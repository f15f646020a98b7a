"""Which clients are compared, and what each does with a frame: stated, not measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidebyside.environments import CLIENTS, CRYPTOFEED, NAUTILUS, Environment

KALSHI, POLYMARKET, REDIS = "kalshi", "polymarket", "redis"
BEST = "best"
"""The kind that reads best prices, where the client does not tell them."""

EVENT, BOOK, SUBSCRIBER, STREAM = (
    "event in user code",
    "book in user code",
    "Redis subscriber",
    "Redis stream",
)


@dataclass(frozen=True)
class Peer:
    """A client: the package, the script that runs it, and what it does.

    *plays* is what is played to it: a venue's frames, or nothing for a writer to Redis that makes
    its own events. *kind* is an argument of the script. A client that is much slower than the
    others is played one frame in *divisor*.
    """

    name: str
    package: str
    script: str
    environment: Environment
    plays: str
    ends_at: str
    checks: str
    kind: str = ""
    divisor: int = 1


PEERS: Sequence[Peer] = (
    Peer(
        "synpath", "synpath", "synpath_kalshi.py", CLIENTS, KALSHI, BOOK,
        "sequence; book in Rust",
    ),
    Peer(
        "kalshi-sdk", "kalshi-sdk", "sdk_kalshi.py", CLIENTS, KALSHI, BOOK,
        "sequence; book of decimals; read by orjson, queue of 1,000,000",
    ),
    Peer(
        "kalshi-sdk (best prices)", "kalshi-sdk", "sdk_kalshi.py", CLIENTS, KALSHI, BOOK,
        "the same; best prices read after each frame, as its iterator over books does", BEST,
        divisor=10,
    ),
    Peer(
        "pykalshi", "pykalshi", "pykalshi_kalshi.py", CLIENTS, KALSHI, BOOK,
        "none; book of decimal texts, kept by user code",
    ),
    Peer(
        "pykalshi (best prices)", "pykalshi", "pykalshi_kalshi.py", CLIENTS, KALSHI, BOOK,
        "the same; best prices read after each frame", BEST,
    ),
    Peer(
        "synpath", "synpath", "synpath_polymarket.py", CLIENTS, POLYMARKET, BOOK,
        "top of book against the venue's; book in Rust",
    ),
    Peer(
        "polymarket-client", "polymarket-client", "official_polymarket.py", CLIENTS, POLYMARKET,
        EVENT, "types of fields; no book; queue of 1,000,000",
    ),
    Peer(
        "ccxt", "ccxt", "ccxt_polymarket.py", CLIENTS, POLYMARKET, BOOK,
        "none; book of floats; returns the newest book, not each",
    ),
    Peer(
        "polypulse", "polypulse", "polypulse_polymarket.py", CLIENTS, POLYMARKET, BOOK,
        "none; book of floats",
    ),
    Peer(
        "polyws", "polyws", "polyws_polymarket.py", CLIENTS, POLYMARKET, BOOK,
        "none; book of texts; read by orjson",
    ),
    Peer(
        "nautilus_trader", "nautilus_trader", "nautilus_polymarket.py", NAUTILUS, POLYMARKET, EVENT,
        "types of fields; book in Rust; a quote for each change of a best price",
    ),
    Peer(
        "nautilus_trader (Redis bus)", "nautilus_trader", "nautilus_polymarket.py", NAUTILUS,
        POLYMARKET, STREAM,
        "the same; quotes as msgpack, XADD in batches of 10 ms", "redis",
    ),
    Peer(
        "cryptofeed (books)", "cryptofeed", "cryptofeed_redis.py", CRYPTOFEED, REDIS, STREAM,
        "no venue, no frames: its Redis backend alone, fed changes of books; XADD of JSON", "book",
    ),
    Peer(
        "cryptofeed (tickers)", "cryptofeed", "cryptofeed_redis.py", CRYPTOFEED, REDIS, STREAM,
        "no venue, no frames: its Redis backend alone, fed best prices; XADD of fields", "ticker",
    ),
)  # fmt: skip

OURS = "arbees_feed"
OUR_CHECKS: Mapping[str, str] = {
    KALSHI: "sequence, sizes, crossed books; book; SET and PUBLISH of each price",
    POLYMARKET: "hashes, top of book against the venue's, both tokens against each other; book;"
    " SET and PUBLISH of each price",
}
