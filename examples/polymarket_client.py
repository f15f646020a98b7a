"""Polymarket from Python: search, read books, follow prices with a callback; no account needed.

    python examples/polymarket_client.py --simulated          no network
    python examples/polymarket_client.py --search "fed rate"

Orders need `pip install 'arbees-feed[polymarket]'`, an account, and the switch:

    PolymarketClient(trading=True, account=PolymarketAccount(private_key=…))
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from arbees_feed.clients import Market, MarketPrice, PolymarketClient
from arbees_feed.sim import SimConfig, SimServer


@asynccontextmanager
async def connected(options: argparse.Namespace) -> AsyncIterator[PolymarketClient]:
    """Open a client of Polymarket, or of a simulation of it."""
    if not options.simulated:
        async with PolymarketClient() as client:
            yield client
        return
    async with SimServer(SimConfig(kalshi_markets=0, polymarket_markets=8)) as sim:
        client = PolymarketClient(
            gamma_url=sim.gamma_url,
            clob_url=sim.clob_url,
            data_url=sim.data_url,
            ws_url=sim.polymarket_ws_url,
        )
        async with client:
            yield client


async def found(client: PolymarketClient, text: str) -> list[Market]:
    """Return some markets: those that a search finds, or the most traded ones."""
    if text:
        return [market async for market in client.search_markets(text, limit=5)]
    return [market async for market in client.get_markets(limit=5)]


async def show_market(client: PolymarketClient, market: Market) -> None:
    """Print what REST tells of a market."""
    print(f"{market.title}  ({market.status}, {market.outcome_yes}/{market.outcome_no})")
    book = await client.get_orderbook(market.market_id)
    print(f"  {len(book.bids)} bids, {len(book.asks)} asks; best {book.best_bid} {book.best_ask}")
    now = datetime.now(UTC)
    trades = [
        trade
        async for trade in client.get_trades(market.market_id, since=now - timedelta(minutes=10))
    ]
    print(f"  {len(trades)} trades in ten minutes")
    history = client.get_price_history(market.market_id, now - timedelta(days=1), now)
    print(f"  {len([candle async for candle in history])} candles of an hour")


def show(price: MarketPrice) -> None:
    """Print a price; called for each that comes."""
    print(f"  {price.market_id[:12]}…  {price.yes_bid} / {price.yes_ask}  {price.status}")


async def main(options: argparse.Namespace) -> None:
    """Show what the client can do."""
    async with connected(options) as client:
        markets = await found(client, options.search)
        for market in markets[:2]:
            await show_market(client, market)
        if not markets:
            print("nothing found")
            return
        try:
            async with asyncio.timeout(options.seconds):
                await client.stream_prices([m.market_id for m in markets], on_price=show)
        except TimeoutError:
            print(f"followed {len(markets)} markets for {options.seconds:g} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulated", action="store_true", help="no network")
    parser.add_argument("--search", default="", help="words to search for")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to follow prices")
    asyncio.run(main(parser.parse_args()))
