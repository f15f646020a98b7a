"""What `top` tells scripts: the same as on the screen, as one JSON object. No I/O."""

from collections.abc import Sequence
from typing import Any

import msgspec

from arbees_feed.cli.pairs import question_of
from arbees_feed.cli.text import title_of
from arbees_feed.cli.toppairs import Pair, Pairs, ages_s, cheaper, legs_of
from arbees_feed.cli.topstate import Market, TopState
from arbees_feed.cli.topview import View
from arbees_feed.pairs.listings import KALSHI, POLYMARKET
from arbees_feed.pairs.price import LIVE

_TITLE_WIDTH = 200


def json_line(state: TopState, view: View, now_s: float, now_ns: int, rows: int) -> str:
    """Return everything in one object; *rows* markets of the list that *view* asks for."""
    told = {
        "ts_ns": now_ns,
        "connected": state.trouble is None,
        "reason": state.trouble or "",
        "markets": len(state.book),
        "messages": state.stats.received,
        "messages_per_s": round(state.message_rate.per_s(), 1),
        "malformed": state.malformed,
        "lost": state.stats.missed,
        "venues": [_venue(state, name, now_s) for name in sorted(state.venues)],
        "sort": view.sort.value,
        "search": view.text,
        "list": _markets(state, view.markets.listed[:rows], now_s, now_ns),
        "pairs": _coverage(state.pairs, now_s),
    }
    if view.shows_pairs:
        told["pair_list"] = _pairs(state.pairs, view.pairs.listed[:rows], now_s, now_ns)
    return msgspec.json.encode(told).decode()


def _venue(state: TopState, name: str, now_s: float) -> dict[str, Any]:
    venue, life = state.venues[name], state.lives.get(name)
    line = venue.line
    word, reason = state.condition(name, now_s)
    half, most = venue.lag_ms
    return {
        "venue": name,
        "state": word,
        "reason": reason,
        "heartbeat_age_s": round(now_s - life.heard_s, 3) if life and life.state else None,
        "markets": line.count("markets"),
        "markets_live": line.count("markets_live"),
        "frames_per_s": round(line.frame_rate.per_s(), 1),
        "prices_per_s": round(line.price_rate.per_s(), 1),
        "lag_p50_ms": half,
        "lag_p99_ms": most,
        "gaps": line.count("gaps"),
        "lost": venue.lost,
    }


def _markets(
    state: TopState, listed: Sequence[str], now_s: float, now_ns: int
) -> list[dict[str, Any]]:
    markets = (state.market(market_id) for market_id in listed)
    return [_market(state, market, now_s, now_ns) for market in markets if market is not None]


def _market(state: TopState, market: Market, now_s: float, now_ns: int) -> dict[str, Any]:
    price = state.believed(market)
    told: dict[str, Any] = {
        "market_id": market.id,
        "title": title_of(market.id, market.meta, _TITLE_WIDTH),
        "messages_per_s": round(market.per_s(now_s), 2),
        "lost": market.lost,
    }
    if price is not None:
        told |= msgspec.structs.asdict(price)
        told |= {"spread": price.spread, "age_s": round((now_ns - price.ts_pub_ns) / 1e9, 3)}
    return told | {"market_id": market.id, "status": "none" if price is None else price.status}


def _coverage(pairs: Pairs, now_s: float) -> dict[str, Any] | None:
    """Return how far a matcher has come; None: none is at work."""
    word = pairs.matcher(now_s)
    if word is None:
        return None
    counts = {"confirmed": word.found, "live": word.live, "probable": word.probable}
    return {"state": word.state, **counts}


def _pairs(
    pairs: Pairs, pair_ids: Sequence[str], now_s: float, now_ns: int
) -> list[dict[str, Any]]:
    known = (pairs.known.get(pair_id) for pair_id in pair_ids)
    return [_pair(pairs, pair, now_s, now_ns) for pair in known if pair is not None]


def _pair(pairs: Pairs, pair: Pair, now_s: float, now_ns: int) -> dict[str, Any]:
    price = pairs.believed(pair, now_s)
    way, ages = cheaper(price), ages_s(price, now_ns)
    told: dict[str, Any] = msgspec.structs.asdict(price)
    if price.status == LIVE:
        told |= dict(zip(("kalshi_age_s", "polymarket_age_s"), ages, strict=True))
    for venue, market in zip((KALSHI, POLYMARKET), legs_of(price), strict=True):
        told[f"{venue}_title"] = question_of(market, pairs.titles.get(market, {}))
    return told | {
        "yes_at": way.yes_at if way else None,
        "net": way.cost if way else None,
        "edge_cents": round(way.edge, 4) if way else None,
        "size": way.size if way else None,
    }
