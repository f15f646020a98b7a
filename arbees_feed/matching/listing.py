"""What a venue says of one market, as far as matching reads it. Shapes only.

All fields are text as the venue wrote it; what is not told is empty. Times are RFC 3339.
"""

import msgspec


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
