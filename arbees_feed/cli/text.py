"""Prices, sizes and titles as people read them."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from arbees_feed.core.text import clean
from arbees_feed.core.wire import MarketPrice

ELLIPSIS = "…"
NONE = "-"
PRICE_WIDTH = 6
_LONGEST = 2_000
_NUMBER = re.compile(r"\S*\d\S*")
_PLAIN_OUTCOMES = {"", "yes", "no"}


def dollars(price: float | None) -> str:
    """Return a price of six characters whose decimal points stand below each other."""
    if price is None:
        return NONE.ljust(PRICE_WIDTH - 2)
    text = f"{price:.4f}"
    while text.endswith("0") and len(text) > len("0.00"):
        text = text[:-1]
    return text.ljust(PRICE_WIDTH)


def quoted(price: float, size: float) -> str:
    """Return one side's price, or a dash when there is nobody on it."""
    return dollars(price if size else None)


def amount(size: float) -> str:
    """Return a size in six characters at most; no size is nothing."""
    if not size:
        return ""
    if size < 1_000:  # noqa: PLR2004
        return f"{size:.2f}".removesuffix(".00")
    if size < 99_999.5:  # noqa: PLR2004
        return f"{size:,.0f}"
    for limit, divisor, unit in ((1e6, 1e3, "k"), (1e9, 1e6, "M")):
        if size < limit:
            return f"{size / divisor:.4g}{unit}"
    return f"{size / 1e9:.4g}G"


def title_of(market: str, meta: Mapping[str, str], width: int) -> str:
    """Return what says most about a market in *width* characters, fit for a terminal."""
    candidates = list(_titles(meta)) or [clean(market, _LONGEST)]
    for candidate in candidates:
        if len(candidate) <= width:
            return candidate
    event, outcome = _told(meta, "event_title"), _told_outcome(meta)
    room = width - len(outcome) - 2
    if event and outcome and room >= width // 3:
        return f"{shortened(event, room)}: {outcome}"
    return shortened(_told(meta, "title") or market, width)


def _titles(meta: Mapping[str, str]) -> Iterator[str]:
    title, event = _told(meta, "title"), _told(meta, "event_title")
    if title and event and event.lower() not in title.lower():
        yield f"{event}: {title}"
    if title:
        yield title
    if event and _told_outcome(meta):
        yield f"{event}: {_told_outcome(meta)}"


def _told_outcome(meta: Mapping[str, str]) -> str:
    outcome = _told(meta, "outcome_yes")
    return "" if outcome.lower() in _PLAIN_OUTCOMES else outcome


def _told(meta: Mapping[str, str], name: str) -> str:
    """Return a fact without what could act on a terminal: anybody may have written it to Redis."""
    return clean(meta.get(name, ""), _LONGEST).strip()


def shortened(text: str, width: int) -> str:
    """Return *text* in *width* characters, fit for a terminal.

    It is cut in its middle and a number stays if it can: what tells the markets of one event
    apart is a strike, or stands at the end.
    """
    text = clean(text, _LONGEST)
    if len(text) <= width:
        return text
    tail = max(0, (width - 1) * 2 // 5)
    kept = text[len(text) - tail :] if tail else ""
    number = _last_number(text)
    if number is not None and number.end() < width:
        return text[: width - 1].rstrip() + ELLIPSIS
    if number is not None and number.start() < len(text) - tail and len(number[0]) < width // 2:
        kept = text[number.start() :]
        if len(kept) > width // 2:
            kept = kept[: width // 2 - 1].rstrip() + ELLIPSIS
    head = max(0, width - 1 - len(kept))
    return (text[:head].rstrip() + ELLIPSIS + kept.lstrip())[:width]


def _last_number(text: str) -> re.Match[str] | None:
    return next(reversed(list(_NUMBER.finditer(text))), None)


def ms(value: float | None) -> str:
    """Return a duration in ms with three digits that matter."""
    if value is None:
        return NONE
    if value >= 100:  # noqa: PLR2004
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004


def age(seconds: float) -> str:
    """Return how long ago something was, in four characters."""
    if seconds < 1:
        return "now"
    for limit, divisor, unit in ((60, 1, "s"), (3_600, 60, "m"), (86_400, 3_600, "h")):
        if seconds < limit:
            return f"{seconds // divisor:.0f}{unit}"
    return f"{seconds // 86_400:.0f}d"


def without_quote(price: MarketPrice) -> MarketPrice:
    """Return a price that nobody vouches for any more as what it is: stale."""
    status = "stale" if price.status == "live" else price.status
    return msgspec.structs.replace(
        price, status=status, yes_bid=0.0, yes_ask=1.0, yes_bid_size=0.0, yes_ask_size=0.0
    )
