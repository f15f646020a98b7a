"""Times in frames from before `ts_ms` (April 2026)."""

from datetime import UTC, datetime, timedelta
from typing import Final

NS_PER_MS: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant_ns(text: str) -> int:
    """Return an RFC 3339 time in Unix ns, to the millisecond; 0 when there is none.

    Raises:
        ValueError: it is no time, has no zone, or is of no year that ns in 64 bits can hold.
    """
    if not text:
        return 0
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None or not 1970 <= instant.year < 2200:  # noqa: PLR2004 - ns in 64 bits
        raise ValueError(f"time {text[:40]!r}")
    return (instant - _EPOCH) // timedelta(milliseconds=1) * NS_PER_MS
