"""Redis commands as bytes, with everything that is the same each time made once.

A price is two commands (`SET …:last`, then `PUBLISH …:price`, so that whoever subscribes and then
reads `:last` misses nothing); only the payload and its length differ from one to the next.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import hiredis

from arbees_feed.core.model import Quote
from arbees_feed.core.money import decimal_text
from arbees_feed.core.wire import VERSION

_PRICE_DECIMALS = 4
_SIZE_DECIMALS = 6


def command(*words: str | bytes | int | float) -> bytes:
    """Return one command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # stub: one-tuples only
    return packed


def prefix(*words: str) -> bytes:
    """Return a command up to its last argument, which `with_payload` adds."""
    parts = [f"*{len(words) + 1}\r\n".encode()]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join([*parts, b"$"])


def with_payload(start: bytes, payload: bytes) -> bytes:
    """Complete a command that `prefix` began."""
    return b"%b%d\r\n%b\r\n" % (start, len(payload), payload)


def twice_with_payload(first: bytes, second: bytes, payload: bytes) -> bytes:
    """Complete two commands with the same last argument."""
    size = len(payload)
    return b"%b%d\r\n%b\r\n%b%d\r\n%b\r\n" % (first, size, payload, second, size, payload)


def quote_fields(
    quote: Quote, market: str, platform: str, session: int, seq: int, now_ns: int
) -> Sequence[str]:
    """Return the fields of the `:quote` hash, names and values in turn, for people to read."""
    last = quote.last_price
    return (
        "v", str(VERSION),
        "market_id", market,
        "platform", platform,
        "yes_bid", decimal_text(quote.bid, _PRICE_DECIMALS),
        "yes_ask", decimal_text(quote.ask, _PRICE_DECIMALS),
        "yes_bid_size", decimal_text(quote.bid_size, _SIZE_DECIMALS),
        "yes_ask_size", decimal_text(quote.ask_size, _SIZE_DECIMALS),
        "last_price", "" if last is None else decimal_text(last, _PRICE_DECIMALS),
        "status", quote.status.value,
        "source", quote.source.value,
        "session", str(session),
        "seq", str(seq),
        "ts_event_ns", str(quote.ts_event_ns),
        "ts_recv_ns", str(quote.ts_recv_ns),
        "ts_pub_ns", str(now_ns),
        "updated_at", rfc3339(now_ns),
    )  # fmt: skip


def rfc3339(unix_ns: int) -> str:
    """Return an instant as `2026-11-22T10:30:00.123Z`."""
    moment = datetime.fromtimestamp(unix_ns // 1_000_000 / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
