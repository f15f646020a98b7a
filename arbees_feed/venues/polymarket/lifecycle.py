"""Markets that begin and end, as the market channel announces them. Pure functions."""

from typing import Final

from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.venues.polymarket.messages import NewMarket

_OUTCOMES: Final = 2


def listed(message: NewMarket) -> MarketMeta | None:
    """Return what an announcement tells of a market; None: it has not two tokens."""
    tokens = message.clob_token_ids or message.assets_ids
    if len(tokens) != _OUTCOMES:
        return None
    outcomes = [*message.outcomes, "", ""]
    return MarketMeta(
        market_id=MarketId(tokens[0]),
        platform="polymarket",
        title=message.question,
        outcome_yes=outcomes[0],
        outcome_no=outcomes[1],
        extras={
            "condition_id": message.condition_id or message.market,
            "no_token_id": tokens[1],
            "slug": message.slug,
        },
    )
