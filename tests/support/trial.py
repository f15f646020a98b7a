"""A feed on simulated venues that documents are tried on, and what its readers find."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from arbees_feed.sim import SimConfig, SimServer
from support.feed import overrides_for, reading, running, settings_for, url_of, valkey
from support.pasting import Place, furnish


@dataclass(frozen=True)
class Trial:
    """A feed that has published every market, and what it follows."""

    redis_url: str
    second_redis_url: str
    http_url: str
    sim: SimServer


@asynccontextmanager
async def trial() -> AsyncIterator[Trial]:
    """Run a feed of 20 markets on each venue, as `arbees-feed demo` does."""
    config = SimConfig(rate=300.0, pairs=True)
    with valkey() as server, valkey() as second:
        url = url_of(server)
        async with SimServer(config) as sim, reading(url) as reader:
            settings = settings_for(sim, url, publish__trades="true", publish__depth="3")
            async with running(settings) as (_, found):
                markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
                await reader.until(lambda: all(reader.prices[market] for market in markets))
                async with asyncio.timeout(30), Redis.from_url(url) as client:
                    while not await is_complete(client, markets):
                        await reader.heartbeat()
                assert found.http_url
                yield Trial(url, url_of(second), found.http_url.rstrip("/"), sim)


async def is_complete(client: Any, markets: list[str]) -> bool:
    """Tell whether all that follows the first prices is there."""
    keys = [f"market:{market}:{part}" for market in markets for part in ("quote", "meta")]
    keys += ["feed:venue:kalshi", "feed:venue:polymarket"]
    events = await client.keys("event:*:markets")
    return bool(events) and await client.exists(*keys) == len(keys)


def place_for(on: Trial, folder: Path) -> Place:
    """Return a folder and a shell whose Redis is that of the feed, and whose venues are its."""
    environment = furnish(folder, int(on.redis_url.partition("127.0.0.1:")[2].split("/")[0]))
    sim = on.sim
    (folder / "kalshi.pem").write_text(sim.credentials.private_key_pem)
    (folder / "my.toml").write_bytes((folder / "config" / "feed.toml").read_bytes())
    for name in ("games.toml", "pairs.csv"):
        example = folder / "examples" / "game_shard" / name.replace(".", ".example.")
        (folder / "examples" / name).write_bytes(example.read_bytes())
    settings = overrides_for(sim, on.redis_url)
    settings["http.port"] = on.http_url.rpartition(":")[2]
    variables = {
        f"ARBEES_{key.replace('.', '__').upper()}": value for key, value in settings.items()
    }
    addresses = {
        "SIM_KALSHI_REST_URL": sim.kalshi_rest_url,
        "SIM_KALSHI_WS_URL": sim.kalshi_ws_url,
        "SIM_POLYMARKET_GAMMA_URL": sim.gamma_url,
        "SIM_POLYMARKET_CLOB_URL": sim.clob_url,
        "SIM_POLYMARKET_DATA_URL": sim.data_url,
        "SIM_POLYMARKET_WS_URL": sim.polymarket_ws_url,
        "SECOND_REDIS": on.second_redis_url,
        "A_MARKET": sim.kalshi_tickers[0],
    }
    shown = {
        "redis://127.0.0.1:6379/0": on.redis_url,
        "127.0.0.1:6379": on.redis_url.split("/")[2],
        "127.0.0.1:6380": on.redis_url.split("/")[2],
        "http://127.0.0.1:9464": on.http_url,
        "127.0.0.1:9465": on.http_url.removeprefix("http://"),
        "127.0.0.1:9464": on.http_url.removeprefix("http://"),
        "http.port=9465": "http.port=0",
        "your key id": sim.credentials.api_key_id,
        "KXHIGHNY-26NOV22-T60": sim.kalshi_tickers[0],
        # These have no variable for the address of Redis, and no name for a shorter time.
        "game_shard games.toml": f"game_shard games.toml --redis-url {on.redis_url}",
        "--seconds 10": "--seconds 2",
    }
    return Place(folder, {**environment, **variables, **addresses}, shown)
