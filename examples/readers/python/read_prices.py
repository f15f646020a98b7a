"""Follow prices in Redis with redis-py and msgpack alone; one JSON line for each price.

    python read_prices.py                                   every market that has a price
    python read_prices.py --url redis://127.0.0.1:6379/0 KXNFLGAME-26DEC09KCDET-KC

Lines go to standard output, what happens to the connection to standard error. Act on `live` only.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import msgpack
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError

VENUES = ("kalshi", "polymarket")
SILENCE_S = 2.5  # without a heartbeat for this long, no price of a venue is believed
KEY_LIFE_S = 10.0  # feed:venue:<venue> is written once a second, to live this long
FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 5.0
NEVER_S = float("-inf")
BEAT = {"venue", "session", "state"}
PRICE = {"market_id", "platform", "session", "seq", "status", "yes_bid", "yes_ask"}

Message = dict[str, Any]


@dataclass
class Venue:
    """The process that publishes a venue's prices, and when it was last heard."""

    session: int = 0
    heard_s: float = NEVER_S
    alive: bool = False


class Book:
    """The newest price of each market, and whether it is to be believed. Does no I/O."""

    def __init__(self) -> None:
        self.prices: dict[str, Message] = {}
        # Markets of which it is not certain what the newest price is: their `:last` is to be read.
        self.doubted: set[str] = set()
        self._venues: defaultdict[str, Venue] = defaultdict(Venue)
        self._printed: dict[str, Message] = {}

    def take(self, price: Message, now_s: float, vouched: dict[str, int] | None = None) -> int:
        """Take a price; return how many before it were lost.

        It is a message, or the value of a `:last`: then *vouched* has the session of each venue
        whose `feed:venue:<venue>` says that it was alive when the value was read.
        """
        market, session, seq = price["market_id"], price["session"], price["seq"]
        venue, known = self._venues[price["platform"]], self.prices.get(market)
        if session < venue.session:
            return 0  # of a process that has been replaced
        if session > venue.session and vouched is None:
            self._begin(price["platform"], session, now_s)
        if vouched is not None and known is not None and market not in self.doubted:
            return 0  # a message was here before
        step = seq - known["seq"] if known and known["session"] == session else 1
        if step < 0 or (step == 0 and vouched is None):
            return 0  # seen already
        self.prices[market] = price
        self.doubted.discard(market)
        if vouched is not None and vouched.get(price["platform"]) != session:
            self.doubted.add(market)
        self._print(market)
        if step > 1 and vouched is None:
            self.doubted.add(market)  # a hole: `:last` may be further than this message
        return max(0, step - 1)

    def beat(self, name: str, session: int, state: str, heard_s: float) -> list[str]:
        """Take a heartbeat that came at *heard_s*. Return the venue's markets that are in doubt."""
        if session < self._venues[name].session and self._venues[name].alive:
            return []  # two processes: the newer one counts
        if session != self._venues[name].session:
            self._begin(name, session, heard_s)
        venue = self._venues[name]
        venue.heard_s = NEVER_S if state == "stopped" else max(venue.heard_s, heard_s)
        return [market for market in self.doubted if self.prices[market]["platform"] == name]

    def tick(self, now_s: float) -> None:
        """Print what has become stale by silence, or live again by a heartbeat."""
        for name, venue in self._venues.items():
            alive = now_s - venue.heard_s <= SILENCE_S
            if alive != venue.alive:
                venue.alive = alive
                self._print_all(name)

    def _begin(self, name: str, session: int, heard_s: float) -> None:
        self._venues[name] = Venue(session, heard_s, alive=True)
        self.doubted.update(m for m, price in self.prices.items() if price["platform"] == name)
        self._print_all(name)

    def _print_all(self, name: str) -> None:
        for market, price in self.prices.items():
            if price["platform"] == name:
                self._print(market)

    def _print(self, market: str) -> None:
        price, before = self.prices[market], self._printed.get(market)
        venue = self._venues[price["platform"]]
        believed = venue.alive and venue.session == price["session"] and market not in self.doubted
        line = {key: price[key] for key in ("market_id", "status", "yes_bid", "yes_ask")}
        if price["status"] == "live" and not believed:
            if before and before["status"] == "stale":
                return  # once is enough
            line |= {"status": "stale", "yes_bid": 0.0, "yes_ask": 1.0}
        # As text: its 19 digits are more than a number holds in many JSON tools.
        line |= {"session": str(price["session"]), "seq": price["seq"]}
        if line != before:
            self._printed[market] = line
            print(json.dumps(line), flush=True)


async def follow(book: Book, url: str, markets: list[str]) -> None:
    """Keep the book, over as many connections as it takes."""
    delay_s = FIRST_DELAY_S
    # Without retries: redis-py would reconnect by itself, and nobody would know of the hole.
    never = Retry(NoBackoff(), 0)
    while True:
        began_s = time.monotonic()
        redis = Redis.from_url(url, retry=never, socket_connect_timeout=2, socket_timeout=5)
        try:
            async with redis, redis.pubsub() as pubsub:
                await read(book, redis, pubsub, markets)
        except RedisError as exc:
            book.doubted.update(book.prices)
            if time.monotonic() - began_s > LONGEST_DELAY_S:
                delay_s = FIRST_DELAY_S
            print(f"lost Redis ({exc}); again in {delay_s:.1f} s", file=sys.stderr, flush=True)
        await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311 - not cryptography
        delay_s = min(delay_s * 2, LONGEST_DELAY_S)


async def read(book: Book, redis: Redis, pubsub: PubSub, markets: list[str]) -> None:
    """Join, then read until the connection is lost."""
    if markets:
        await pubsub.subscribe("feed:status", *(f"market:{market}:price" for market in markets))
    else:
        await pubsub.psubscribe("feed:status", "market:*:price")
    unconfirmed = 1 + (len(markets) or 1)
    while True:
        message = await next_message(pubsub)
        if message["type"] in ("message", "pmessage"):
            await handle(book, redis, message["channel"], message["data"])
        elif message["type"] in ("subscribe", "psubscribe"):
            unconfirmed -= 1
            if unconfirmed == 0:  # from here on every message arrives: now, and not before
                await heal(book, redis, markets or await all_markets(redis))
                print("joined", file=sys.stderr, flush=True)


async def next_message(pubsub: PubSub) -> Message:
    """Return the next message. Raises: ConnectionLost if Redis does not even answer a PING."""
    for _ in range(3):
        message: Message | None = await pubsub.get_message(timeout=2.0)
        if message is not None:
            return message
        await pubsub.ping()
    raise ConnectionLost("no answer for 6 s")


async def handle(book: Book, redis: Redis, channel: bytes, data: bytes) -> None:
    """Take a heartbeat or a price. What is lost or in doubt is read from `:last`."""
    now_s, wanted = time.monotonic(), []
    if channel == b"feed:status":
        for beat in unpacked(data, BEAT):
            wanted = book.beat(beat["venue"], beat["session"], beat["state"], now_s)
    else:
        for price in unpacked(data, PRICE):
            lost = book.take(price, now_s)
            tell_lost(lost)
            wanted = [price["market_id"]] if lost else []
    if wanted:
        await heal(book, redis, wanted)


def unpacked(data: bytes, keys: set[str]) -> list[Message]:
    """Return a list of one message, or of none: anyone may write to this Redis."""
    try:
        message = msgpack.unpackb(data)
    except ValueError:
        message = None
    if isinstance(message, dict) and keys <= message.keys():
        return [message]
    print(f"not a message of the feed: {data[:50]!r}", file=sys.stderr, flush=True)
    return []


async def all_markets(redis: Redis) -> list[str]:
    """Return the ids of all markets that have a price."""
    found = [await redis.smembers(f"feed:markets:{venue}") for venue in VENUES]
    return [market.decode() for markets in found for market in markets]


async def heal(book: Book, redis: Redis, markets: list[str]) -> None:
    """Take the `:last` of markets; the venues' keys, read before, tell which are to be believed."""
    vouched = {}
    for venue in VENUES:
        life_ms = await redis.pttl(f"feed:venue:{venue}")
        session = int(await redis.hget(f"feed:venue:{venue}", "session") or 0)
        age_s = KEY_LIFE_S - life_ms / 1000
        if session and age_s <= SILENCE_S:
            vouched[venue] = session
            book.beat(venue, session, "", time.monotonic() - age_s)
    found = await redis.mget([f"market:{market}:last" for market in markets]) if markets else []
    prices = [price for data in found if data is not None for price in unpacked(data, PRICE)]
    tell_lost(sum(book.take(price, time.monotonic(), vouched) for price in prices))


def tell_lost(count: int) -> None:
    """Tell how many prices were published and will never be printed."""
    if count:
        print(f"lost {count}", file=sys.stderr, flush=True)


async def watch_the_clock(book: Book) -> None:
    """Look ten times a second for venues that have fallen silent, also while disconnected."""
    while True:
        book.tick(time.monotonic())
        await asyncio.sleep(0.1)


async def main(url: str, markets: list[str]) -> None:
    """Read until interrupted."""
    book = Book()
    async with asyncio.TaskGroup() as group:
        group.create_task(watch_the_clock(book))
        group.create_task(follow(book, url, markets))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", help="market ids; nothing named: all markets")
    parser.add_argument("--url", default="redis://127.0.0.1:6379/0")
    options = parser.parse_args()
    try:
        asyncio.run(main(options.url, options.ids))
    except* KeyboardInterrupt:
        pass
    except* BrokenPipeError:  # as in `| head`; nothing may be flushed into it at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
