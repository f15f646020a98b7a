"""How long a server asks us to wait: the `Retry-After` header. The time is an argument."""

from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST_S = 3600.0
"""A longer wait is taken as this: a broken clock at the other side must not silence us."""


def parse_retry_after(value: str | None, now_s: float) -> float | None:
    """Return the seconds to wait from Unix time *now_s* on, at most an hour.

    RFC 9110 allows whole seconds or an HTTP date, and both are seen; fractions are accepted.
    None: there is no header, or it cannot be read.
    """
    text = (value or "").strip()
    if not text:
        return None
    wait_s = _seconds(text)
    if wait_s is None:
        wait_s = _until_date(text, now_s)
    return None if wait_s is None else min(max(0.0, wait_s), LONGEST_S)


def _seconds(text: str) -> float | None:
    if not text.isascii() or not text.replace(".", "", 1).isdecimal():
        return None
    return float(text)


def _until_date(text: str, now_s: float) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        # A date without a zone is UTC: HTTP dates always are.
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now_s
    except (ValueError, OverflowError):
        return None
