"""Gamma's objects: markets, events, tags. Lists come as JSON text inside a string."""

import json

from arbees_feed.sim.kalshi_frames import Json
from arbees_feed.sim.money import PRICE_SCALE, minimal_price
from arbees_feed.sim.polymarket_books import MIN_ORDER_SIZE
from arbees_feed.sim.polymarket_frames import description, game_start
from arbees_feed.sim.shared import rfc3339
from arbees_feed.sim.world import Event, Market


def market_json(market: Market, *, with_event: bool = True) -> Json:
    """Return a market as Gamma does."""
    body = {
        "id": str(market.number),
        "version": market.version,
        "question": market.title,
        "conditionId": market.condition_id,
        "questionID": market.question_id,
        "slug": market.slug,
        "description": description(market),
        "outcomes": json.dumps(list(market.outcomes)),
        **_tokens(market),
        **_state(market),
        **_prices(market),
        "negRisk": market.neg_risk,
        "orderMinSize": float(MIN_ORDER_SIZE),
        "startDate": rfc3339(market.open_ms),
        "endDate": rfc3339(market.close_ms),
        "gameStartTime": game_start(market),
        "sportsMarketType": "moneyline" if market.event.is_game else None,
        "secondsDelay": 0,
        "feesEnabled": True,
        "feeSchedule": {"exponent": 1, "rate": 0.05, "takerOnly": True, "rebateRate": 0.15},
    }
    if with_event:
        body["events"] = [event_json(market.event, with_markets=False)]
    return body


def _tokens(market: Market) -> Json:
    """Return the ids: `positionIds`, a real list, for v2; `clobTokenIds`, a text, for v1."""
    tokens = [market.id, market.other_id]
    if market.version == "v2":
        return {"clobTokenIds": "[]", "positionIds": tokens}
    return {"clobTokenIds": json.dumps(tokens), "positionIds": []}


def _state(market: Market) -> Json:
    closed = market.status == "finalized"
    return {
        "active": True,
        "closed": closed,
        "archived": False,
        "acceptingOrders": market.is_open,
        "enableOrderBook": True,
        # This one field is written in the odd format.
        "closedTime": _closed_time(market) if closed else None,
        "umaResolutionStatus": "resolved" if closed else None,
    }


def _closed_time(market: Market) -> str:
    return rfc3339(market.ended_ms)[:19].replace("T", " ") + "+00"


def _prices(market: Market) -> Json:
    bid, ask = market.best_bid(), market.best_ask()
    yes = {"yes": PRICE_SCALE, "no": 0}.get(market.result, (bid + ask) // 2)
    prices = [minimal_price(yes), minimal_price(PRICE_SCALE - yes)]
    last = market.last_trade if market.last_trade is not None else PRICE_SCALE // 2
    return {
        "outcomePrices": json.dumps(prices),
        "orderPriceMinTickSize": market.grid.tick / PRICE_SCALE,
        "bestBid": bid / PRICE_SCALE,
        "bestAsk": ask / PRICE_SCALE,
        "lastTradePrice": last / PRICE_SCALE,
        "spread": (ask - bid) / PRICE_SCALE,
        "volume": str(market.volume_number),
        "volumeNum": market.volume_number,
        "volume24hr": market.volume_number / 10,
        "liquidity": str(liquidity(market)),
        "liquidityNum": liquidity(market),
    }


def liquidity(market: Market) -> float:
    """Return the contracts that rest in the book."""
    resting = sum(market.yes_bids.values()) + sum(market.yes_asks.values())
    return resting / 1_000_000


def event_json(event: Event, *, with_markets: bool = True) -> Json:
    """Return an event as Gamma does."""
    volume = sum(market.volume_number for market in event.markets)
    body: Json = {
        "id": event.id,
        "ticker": event.slug,
        "slug": event.slug,
        "title": event.title,
        "description": event.sub_title,
        "category": event.category,
        "startDate": rfc3339(min((m.open_ms for m in event.markets), default=event.start_ms)),
        "endDate": rfc3339(event.end_ms),
        "startTime": rfc3339(event.start_ms),
        "active": True,
        "closed": is_closed(event),
        "archived": False,
        "negRisk": any(market.neg_risk for market in event.markets),
        "enableOrderBook": True,
        "volume": volume,
        "volume24hr": volume / 10,
        "liquidity": sum(liquidity(market) for market in event.markets),
        "live": False,
        "tags": [tag_json(label) for label in event.tags],
    }
    if with_markets:
        body["markets"] = [market_json(market, with_event=False) for market in event.markets]
    return body


def is_closed(event: Event) -> bool:
    """Tell whether all markets of an event are settled."""
    return all(market.status == "finalized" for market in event.markets)


def tag_json(label: str) -> Json:
    """Return a tag."""
    return {"id": str(tag_number(label)), "label": label, "slug": tag_slug(label)}


def tag_slug(label: str) -> str:
    """Return a tag's slug."""
    return label.lower().replace(" ", "-")


def tag_number(label: str) -> int:
    """Return a tag's id: the same for the same label, in every run."""
    return 100 + sum(index * ord(char) for index, char in enumerate(label, 1)) % 100_000
