"""Kalshi from Python: find markets, read a book, follow prices, and place an order if asked to.

    python examples/kalshi_client.py --simulated              no account, no network
    python examples/kalshi_client.py --key-id ID --key-file kalshi.pem
    python examples/kalshi_client.py … --trade                places one order and cancels it

Orders are placed with `--trade` only: one contract at a price far from the market.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from arbees_feed.clients import KalshiClient, Market, OrderRequest, kalshi_credentials
from arbees_feed.sim import SimConfig, SimServer


@asynccontextmanager
async def connected(options: argparse.Namespace) -> AsyncIterator[KalshiClient]:
    """Open a client of Kalshi, or of a simulation of it."""
    if not options.simulated:
        credentials = None
        if options.key_id:
            credentials = kalshi_credentials(options.key_id, options.key_file.read_text())
        async with KalshiClient(credentials, trading=options.trade) as client:
            yield client
        return
    async with SimServer(SimConfig(kalshi_markets=8, polymarket_markets=0)) as sim:
        key = sim.credentials
        client = KalshiClient(
            kalshi_credentials(key.api_key_id, key.private_key_pem),
            rest_url=sim.kalshi_rest_url,
            ws_url=sim.kalshi_ws_url,
            trading=options.trade,
        )
        async with client:
            yield client


async def show_market(client: KalshiClient, market: Market) -> None:
    """Print what REST tells of a market: its book, its last trades, its last hours."""
    market = await client.get_market(market.market_id)
    print(f"{market.market_id}  {market.event_title}: {market.title}  ({market.status})")
    book = await client.get_orderbook(market.market_id, depth=3)
    for level in reversed(book.asks):
        print(f"  ask {level.price} x {level.size}")
    for level in book.bids:
        print(f"  bid {level.price} x {level.size}")
    trades = client.get_trades(market.market_id)
    async for number, trade in numbered(trades, 3):
        print(f"  trade {number}: {trade.taker} {trade.size} at {trade.price}")
    now = datetime.now(UTC)
    candles = [
        candle
        async for candle in client.get_price_history(
            market.market_id, now - timedelta(hours=6), now, "1h"
        )
    ]
    print(f"  {len(candles)} candles of an hour")


async def numbered(items, most):
    """Yield the first *most* items with their numbers."""
    numbers = count(1)
    async for item in items:
        number = next(numbers)
        yield number, item
        if number >= most:
            return


async def follow(client: KalshiClient, ids: list[str], seconds: float) -> None:
    """Print live prices for a while."""
    prices = 0
    try:
        async with asyncio.timeout(seconds):
            async for price in client.stream_prices(ids):
                prices += 1
                if prices <= 10:
                    print(f"  {price.market_id}  {price.yes_bid} / {price.yes_ask}  {price.status}")
    except TimeoutError:
        print(f"{prices} prices in {seconds:g} s")


async def trade(client: KalshiClient, market: Market) -> None:
    """Place an order that nobody should take, and cancel it."""
    order = OrderRequest(market_id=market.market_id, side="buy", price="0.01", size="1")
    result = await client.place_order(order)
    print(f"order {result.order_id} is {result.status}, {result.remaining} remain")
    canceled = await client.cancel_order(result.order_id, market_id=order.market_id)
    print(f"canceled {canceled.canceled}")


async def main(options: argparse.Namespace) -> None:
    """Show what the client can do."""
    async with connected(options) as client:
        markets = [market async for market in client.get_markets(limit=5)]
        await show_market(client, markets[0])
        if options.simulated or options.key_id:
            await follow(client, [market.market_id for market in markets], options.seconds)
        if options.trade:
            await trade(client, markets[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulated", action="store_true", help="no account, no network")
    parser.add_argument("--key-id", help="id of an API key; prices and orders need one")
    parser.add_argument("--key-file", type=Path, help="its private key, PEM")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to follow prices")
    parser.add_argument("--trade", action="store_true", help="place one order and cancel it")
    asyncio.run(main(parser.parse_args()))
