"""Follow prices in Redis, and look for markets with a narrow spread.

    arbees-feed run --embedded                          a feed; it prints the URL of its Redis
    python examples/read_prices.py --url redis://127.0.0.1:6379/0
    python examples/read_prices.py --pattern 'KXNFL*' --spread 0.02
    python examples/read_prices.py --watch polymarket:71321045679252212594626385532706912750

Needs redis and msgspec only. Ends after --seconds, or with Ctrl-C.
"""

import argparse
import asyncio
import contextlib
from collections import defaultdict

from arbees_feed.reader import FeedError, MarketPrice, PriceReader


def words(price: MarketPrice) -> str:
    """Return a price in words; nothing that is not live looks like a quote."""
    if price.status != "live":
        return f"{price.status.upper():<6} {price.market_id}"
    return f"{price.yes_bid:.4f} / {price.yes_ask:.4f} {price.market_id}"


def is_narrow(price: MarketPrice, spread: float) -> bool:
    """Return whether both sides are there, and no further apart than *spread* dollars."""
    return price.spread is not None and price.spread <= spread


async def follow(reader: PriceReader, spread: float) -> None:
    """Print markets when their spread becomes narrow, and when it is not any more."""
    narrow: set[str] = set()
    async for price in reader:
        is_now = is_narrow(price, spread)
        if is_now != (price.market_id in narrow):
            narrow ^= {price.market_id}
            print("narrow" if is_now else "gone  ", words(price), flush=True)


def summary(reader: PriceReader) -> str:
    """Return what the reader has counted."""
    stats = reader.stats
    live = sum(price.status == "live" for price in reader.book.values())
    feeds = ", ".join(
        f"{venue.venue} {'alive' if venue.alive else f'not believed ({venue.reason})'}"
        for venue in reader.venues.values()
    )
    return (
        f"{live} of {len(reader.book)} markets are live; {stats.received} prices received, "
        f"{stats.conflated} conflated, {stats.missed} missed, "
        f"at most {stats.worst_lag_s * 1000:.1f} ms old\n{feeds}"
    )


async def main(options: argparse.Namespace) -> None:
    """Read until the time is over."""
    watch = defaultdict(list)
    for lease in options.watch:
        venue, _, market = lease.partition(":")
        watch[venue].append(market)
    # What is not named is left out: an empty list would follow nothing.
    reader = PriceReader(
        options.url,
        markets=options.ids or None,
        patterns=options.pattern or None,
        watch=watch or None,
    )
    async with reader:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(options.seconds):
                await follow(reader, options.spread)
        print(summary(reader))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", help="market ids; nothing named: all markets")
    parser.add_argument("--url", default="redis://127.0.0.1:6379/0")
    parser.add_argument("--pattern", action="append", default=[], help="of market ids")
    parser.add_argument("--watch", action="append", default=[], help="VENUE:ID, asked of the feed")
    parser.add_argument("--spread", type=float, default=0.01, help="dollars")
    parser.add_argument("--seconds", type=float, default=30.0)
    try:
        asyncio.run(main(parser.parse_args()))
    except KeyboardInterrupt:
        pass
    except FeedError as exc:
        raise SystemExit(str(exc)) from exc
