"""Answers of both venues' REST interfaces, as the simulated venues make them, without HTTP."""

import json
from typing import Any

from arbees_feed.sim import gamma_json, kalshi_json
from arbees_feed.sim.catalog import Catalog
from arbees_feed.sim.config import KALSHI, POLYMARKET, SimConfig
from arbees_feed.sim.world import World

NOW_MS = 1_795_219_200_000


def rest_bodies() -> dict[str, dict[str, bytes]]:
    """Return good answers by venue and by what the path of the request holds."""
    config = SimConfig(kalshi_markets=4, polymarket_markets=4)
    world = World()
    Catalog(config, lambda: NOW_MS).fill(world)
    for market in world.all_markets():
        market.status = "active"
    bodies = {KALSHI: _kalshi(world), POLYMARKET: _polymarket(world)}
    return {
        venue: {path: json.dumps(body).encode() for path, body in told.items()}
        for venue, told in bodies.items()
    }


def _kalshi(world: World) -> dict[str, Any]:
    markets = list(world.markets(KALSHI))
    events = list(world.events_of(KALSHI))
    told = [kalshi_json.market_json(market, NOW_MS) for market in markets]
    event = kalshi_json.event_json(events[0])
    books = [
        {"ticker": market.id, "orderbook_fp": kalshi_json.orderbook_json(market, 0)}
        for market in markets
    ]
    return {
        "/orderbooks": {"orderbooks": books},
        "/orderbook": {"orderbook_fp": books[0]["orderbook_fp"]},
        "/series": {"series": [kalshi_json.series_json(event) for event in events]},
        "/limits": {"read": {"refill_rate": 200, "bucket_capacity": 200}},
        "/events/": {"event": event | {"markets": told[:1]}, "markets": told[:1]},
        "/events": {"events": [event | {"markets": told[:2]}, event], "cursor": "c"},
        "/markets": {"markets": told, "cursor": ""},
    }


def _polymarket(world: World) -> dict[str, Any]:
    markets = list(world.markets(POLYMARKET))
    events = list(world.events_of(POLYMARKET))
    told = [gamma_json.market_json(market) for market in markets]
    books = [
        {
            "market": market.condition_id,
            "asset_id": market.id,
            "timestamp": str(NOW_MS),
            "hash": "b17e93a1f6202e13d8e0dd3aeb958b4a882dca3c",
            "bids": [{"price": "0.47", "size": "250"}, {"price": "0.48", "size": "100"}],
            "asks": [{"price": "0.53", "size": "300"}, {"price": "0.52", "size": "120"}],
            "min_order_size": "5",
            "tick_size": "0.01",
            "neg_risk": False,
            "last_trade_price": "0.500",
        }
        for market in markets
    ]
    return {
        "/books": books,
        "/book": books[0],
        "/events/keyset": {
            "events": [gamma_json.event_json(event) for event in events[:2]],
            "next_cursor": "n",
        },
        "/events/": gamma_json.event_json(events[0]),
        "/markets/keyset": {"markets": told, "next_cursor": None},
        "/markets": told,
    }
