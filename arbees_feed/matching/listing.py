"""What a venue says of one market, as far as matching reads it. Shapes only.

All fields are text as the venue wrote it; what is not told is empty. Times are RFC 3339. What a
venue writes may be of any length: `within` cuts it to what is read.
"""

from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec

TEXT_READ: Final = 400
RULES_READ: Final = 700
"""Rules are read up to here; what follows are definitions and sources."""
CODE_READ: Final = 200
OUTCOMES_READ: Final = 3
"""Two outcomes are read; the third says that there are more."""
_RULES: Final = ("rules", "rules_secondary")
_TEXTS: Final = ("title", "yes_sub_title", "event_title")


class KalshiListing(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One market of Kalshi with what its event adds."""

    market_id: str
    title: str = ""
    yes_sub_title: str = ""
    event_id: str = ""
    event_title: str = ""
    rules: str = ""
    """`rules_primary`: the sentence that settles."""
    rules_secondary: str = ""
    open_time: str = ""
    """When trading began: the start of a window that rules call "after issuance"."""
    close_time: str = ""
    """Padded by up to two years; read for nothing but showing."""
    strike_type: str = ""
    floor_strike: str = ""
    cap_strike: str = ""


class PolymarketListing(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One market of Polymarket with what its event adds."""

    market_id: str
    title: str = ""
    """The question."""
    slug: str = ""
    event_id: str = ""
    event_title: str = ""
    event_slug: str = ""
    rules: str = ""
    """The description."""
    open_time: str = ""
    end_time: str = ""
    game_start: str = ""
    game_day: str = ""
    """The day of the game in US Eastern, YYYY-MM-DD, where a source tells the day alone."""
    market_type: str = ""
    """`sportsMarketType`."""
    line: str = ""
    outcomes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What names the market and its event; slugs may tell what titles leave out."""
        return self.title, self.event_title, self.slug, self.event_slug


Listing = TypeVar("Listing", KalshiListing, PolymarketListing)


def within(listing: Listing) -> Listing:
    """Return *listing* without what is too long to be read; its market's id stays whole."""
    cut = dict(_too_long(listing))
    return msgspec.structs.replace(listing, **cut) if cut else listing


def _too_long(listing: KalshiListing | PolymarketListing) -> Iterator[tuple[str, Any]]:
    for name in listing.__struct_fields__:
        value = getattr(listing, name)
        if name == "outcomes":
            if len(value) > OUTCOMES_READ or any(len(one) > TEXT_READ for one in value):
                yield name, tuple(one[:TEXT_READ] for one in value[:OUTCOMES_READ])
        elif name != "market_id" and len(value) > _most(name):
            yield name, value[: _most(name)]


def _most(name: str) -> int:
    if name in _RULES:
        return RULES_READ
    return TEXT_READ if name in _TEXTS else CODE_READ
