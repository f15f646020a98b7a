"""Prices of pairs, and what a matcher writes beside them, for tests that write them themselves."""

from typing import Any

from arbees_feed.core.wire import Names
from arbees_feed.ops.overview import PairsNow
from arbees_feed.pairs.price import PairPrice

NAMES = Names()
COUNTS = {"markets": 9, "pairs": 3, "confirmed": 2, "by_user": 0, "live": 1, "contradicted": 0}


def pair_price(pair: str = "KX-1.0000aaaa", **more: Any) -> PairPrice:
    """Return a live price: YES at Kalshi with NO at Polymarket costs 0.97; *more* replaces."""
    fields = {
        "kalshi_id": pair.rpartition(".")[0],
        "polymarket_id": f"7{pair[-4:]}",
        "polarity": "same",
        "status": "live",
        "kalshi_bid": 0.40, "kalshi_bid_size": 10.0, "kalshi_ask": 0.42, "kalshi_ask_size": 30.0,
        "polymarket_bid": 0.46, "polymarket_bid_size": 25.0,
        "polymarket_ask": 0.4725, "polymarket_ask_size": 5.0,
        "kalshi_age_s": 1.0, "polymarket_age_s": 12.0,
        "yes_at_kalshi_cost": 0.96, "yes_at_kalshi_net": 0.97, "yes_at_kalshi_size": 25.0,
        "yes_at_polymarket_cost": 1.0725, "yes_at_polymarket_net": 1.09,
        "yes_at_polymarket_size": 5.0,
        "fees_told": True, "session": 1, "seq": 1,
        **more,
    }  # fmt: skip
    return PairPrice(pair_id=pair, **fields)


def word(state: str = "live", **more: Any) -> PairsNow:
    """Return what is known of a matcher that is at work."""
    fields = {
        "reason": "", "cross_pairs": "1/2", "mapped": 0, "found": 2, "live": 1, "probable": 1,
        "contradicted": 0, "markets": 9, "age_s": 0.5, "since_ns": 0, **more,
    }  # fmt: skip
    return PairsNow(state=state, **fields)


def write_word(client: Any, **more: object) -> None:
    """Write what a matcher says of itself; it does not end before the test does."""
    said = {"state": "live", **COUNTS, **more}
    client.hset(NAMES.pairs_state(), mapping={name: str(value) for name, value in said.items()})
    client.expire(NAMES.pairs_state(), 1_000)


def write_pair(client: Any, price: PairPrice, confidence: float = 0.99, **facts: str) -> None:
    """Write a pair as a matcher does, with its newest price."""
    said = {
        "kalshi_id": price.kalshi_id, "polymarket_id": price.polymarket_id,
        "polarity": price.polarity, "grade": "identical", **facts,
    }  # fmt: skip
    client.hset(NAMES.pair(price.pair_id), mapping=said)
    client.zadd(NAMES.pairs(), {price.pair_id: confidence})
    for market in (price.kalshi_id, price.polymarket_id):
        client.sadd(NAMES.market_pairs(market), price.pair_id)
    client.set(NAMES.pair_last(price.pair_id), price.to_msgpack())
