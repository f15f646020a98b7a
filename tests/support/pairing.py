"""Two venues as a matcher sees them in Redis, with prices of the test; and a judge of pairs."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Any

import msgpack
from redis.asyncio import Redis

from arbees_feed.core.wire import MarketPrice, MetadataNews, Names
from arbees_feed.pairs.ledger import pair_id_of
from arbees_feed.pairs.metadata import Meta
from support.questions import kalshi, polymarket
from support.tasks import ended

Message = dict[str, Any]
NAMES = Names()


def game(day: int) -> tuple[Meta, Meta, Meta]:
    """Return a game of August: Kalshi's markets for both teams, and Polymarket's only one."""
    event = f"KXWNBAGAME-26AUG{day:02}INDCHI"
    teams = []
    for team, code in (("Indiana", "IND"), ("Chicago", "CHI")):
        rules = (
            f"If {team} wins the Indiana vs Chicago professional women's basketball game "
            f"originally scheduled for Aug {day}, 2026, then the market resolves to Yes."
        )
        teams.append(kalshi(f"{event}-{code}", team, rules_primary=rules))
    ours, theirs = teams
    return ours, theirs, polymarket(f"11{day:02}", f"2026-08-{day:02}", event_id=f"e{day}")


def pair_of(ours: Meta, theirs: Meta) -> str:
    """Return the id that the pair of two markets has."""
    return pair_id_of((ours.market_id, theirs.market_id))


class Venues:
    """Writes metadata, prices and heartbeats as the feed does; not one word when it ends."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.session = time.time_ns()
        self.beating = True
        self._seqs: dict[str, int] = defaultdict(int)

    async def list(self, *metas: Meta) -> None:
        """Write metadata, and name it."""
        for meta in metas:
            key = NAMES.meta(meta.market_id)
            await self.client.delete(key)
            await self.client.hset(key, mapping=meta.fields)
            await self.client.zadd(NAMES.volume(meta.venue), {meta.market_id: 0})
            await self._tell(meta)

    async def delist(self, meta: Meta) -> None:
        """Remove metadata, and name it."""
        await self.client.delete(NAMES.meta(meta.market_id))
        await self.client.zrem(NAMES.volume(meta.venue), meta.market_id)
        await self._tell(meta)

    async def _tell(self, meta: Meta) -> None:
        news = MetadataNews(meta.venue, (meta.market_id,)).to_msgpack()
        await self.client.publish(NAMES.meta_news(), news)

    async def price(
        self, meta: Meta, bid: int, ask: int, sizes: tuple[float, float], status: str = "live"
    ) -> None:
        """Publish a price in cents."""
        self._seqs[meta.market_id] += 1
        now_ns = time.time_ns()
        data = MarketPrice(
            market_id=meta.market_id,
            platform=meta.venue,
            yes_bid=bid / 100,
            yes_ask=ask / 100,
            yes_bid_size=sizes[0],
            yes_ask_size=sizes[1],
            last_price=None,
            status=status,
            source="book",
            session=self.session,
            seq=self._seqs[meta.market_id],
            ts_event_ns=now_ns,
            ts_recv_ns=now_ns,
            ts_pub_ns=now_ns,
        ).to_msgpack()
        await self.client.set(NAMES.last(meta.market_id), data)
        await self.client.sadd(NAMES.markets(meta.venue), meta.market_id)
        await self.client.publish(NAMES.price(meta.market_id), data)

    async def beat(self) -> None:
        """Tell that both feeds are well."""
        for venue in ("kalshi", "polymarket"):
            state = {"venue": venue, "state": "live", "session": self.session, "reason": ""}
            await self.client.hset(NAMES.venue(venue), mapping=state)
            await self.client.expire(NAMES.venue(venue), 10)
            await self.client.publish(NAMES.status(), msgpack.packb(state))

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            if self.beating:
                await self.beat()
            await asyncio.sleep(0.5)


class Judge:
    """Hears of legs and pairs over one connection, so in the order in which they were written."""

    def __init__(self, client: Any, *, usual_fees: bool) -> None:
        """Unless the venues charge their *usual_fees*, quotes alone are checked."""
        self.legs: dict[str, list[Message]] = defaultdict(list)
        self.pairs: dict[str, list[Message]] = defaultdict(list)
        self.told = 0
        self._client = client
        self._usual_fees = usual_fees
        self._changed = asyncio.Condition()
        self._at: dict[tuple[str, str], int] = {}

    async def run(self, ready: asyncio.Event) -> None:
        """Keep what comes; each live price of a pair is checked at once."""
        async with self._client.pubsub() as channel:
            await channel.psubscribe("market:*:price", "pair:*:price")
            ready.set()
            async for message in channel.listen():
                if message["type"] == "pmessage":
                    async with self._changed:
                        self._keep(msgpack.unpackb(message["data"]))
                        self._changed.notify_all()

    def _keep(self, message: Message) -> None:
        if (pair := message.get("pair_id")) is None:
            self.legs[message["market_id"]].append(message)
            return
        before = self.pairs[pair][-1] if self.pairs[pair] else None
        if before is not None:
            stamps = [(m["session"], m["seq"]) for m in (before, message)]
            assert stamps == sorted(stamps), "a step back"
        self.pairs[pair].append(message)
        if message["status"] == "live":
            self.told += 1
            self._check(message)
        else:
            assert message["yes_at_kalshi_cost"] is message["yes_at_polymarket_cost"] is None
            assert message["kalshi_bid_size"] == message["polymarket_bid_size"] == 0.0

    def _check(self, pair: Message) -> None:
        """Compute a pair's price from the two messages it must have been made of."""
        turned = pair["polarity"] == "inverted"
        ours = self._leg(pair, "kalshi", turned=False)
        theirs = self._leg(pair, "polymarket", turned=turned)
        for here, there, way in (
            (ours, theirs, "yes_at_kalshi"),
            (theirs, ours, "yes_at_polymarket"),
        ):
            size = min(here["ask_size"], there["bid_size"])
            prices = {here["venue"]: here["ask"], there["venue"]: 1 - there["bid"]}
            cost = sum(prices.values(), Decimal(0))
            fees = _kalshi_fee(prices["kalshi"], size) + _theirs(prices["polymarket"], size)
            if size == 0:
                assert (pair[f"{way}_cost"], pair[f"{way}_net"], pair[f"{way}_size"]) == (
                    None, None, 0.0
                )  # fmt: skip
                continue
            assert pair[f"{way}_size"] == float(size)
            assert abs(Decimal(pair[f"{way}_cost"]) - cost) < Decimal("1e-12")
            if self._usual_fees:
                assert abs(Decimal(pair[f"{way}_net"]) - cost - fees / size) < Decimal("1e-12")

    def _leg(self, pair: Message, venue: str, *, turned: bool) -> Message:
        """Return the top of the leg's message that *pair* tells, which never is an older one."""
        key = (pair["pair_id"], venue)
        told = tuple(pair[f"{venue}_{side}"] for side in ("bid", "ask", "bid_size", "ask_size"))
        messages = self.legs[pair[f"{venue}_id"]]
        for at in range(self._at.get(key, 0), len(messages)):
            top = _top(messages[at], turned=turned)
            if messages[at]["status"] == "live" and told == tuple(map(float, top)):
                self._at[key] = at
                return dict(
                    zip(("bid", "ask", "bid_size", "ask_size"), top, strict=True), venue=venue
                )
        raise AssertionError(f"no message of {venue} says {told}")

    async def until(self, condition: Callable[[], object], seconds: float = 40.0) -> None:
        """Return once *condition* holds, looked at after each message."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    def newest(self, pair: str) -> Message:
        """Return what was said last of a pair."""
        return self.pairs[pair][-1] if self.pairs[pair] else {"status": "none", "reason": ""}

    def status(self, pair: str) -> str:
        """Return the status that was said last of a pair."""
        return str(self.newest(pair)["status"])


def _top(leg: Message, *, turned: bool) -> tuple[Decimal, ...]:
    names = ("yes_bid", "yes_ask", "yes_bid_size", "yes_ask_size")
    bid, ask, bid_size, ask_size = (Decimal(str(leg[name])) for name in names)
    return (1 - ask, 1 - bid, ask_size, bid_size) if turned else (bid, ask, bid_size, ask_size)


def _kalshi_fee(price: Decimal, size: Decimal) -> Decimal:
    fee = (Decimal("0.07") * size * price * (1 - price)).quantize(
        Decimal("0.0001"), rounding=ROUND_CEILING
    )
    paid = (size * price + fee).quantize(Decimal("0.01"), rounding=ROUND_CEILING)
    return paid - size * price


def _theirs(price: Decimal, size: Decimal) -> Decimal:
    fee = Decimal("0.05") * size * price * (1 - price)
    return fee.quantize(Decimal("0.00001"), rounding=ROUND_HALF_UP)


@asynccontextmanager
async def judged(
    url: str, *, daemon: bool = False, usual_fees: bool = True
) -> AsyncIterator[tuple[Venues, Judge]]:
    """Run both venues, unless a *daemon* is there for them, and a judge while the block runs."""
    client: Any = Redis.from_url(url)
    venues, ready = Venues(client), asyncio.Event()
    judge = Judge(client, usual_fees=usual_fees and not daemon)
    venues.beating = not daemon
    async with client, asyncio.TaskGroup() as group:
        tasks = [group.create_task(venues.run()), group.create_task(judge.run(ready))]
        await ready.wait()
        try:
            yield venues, judge
        finally:
            await ended(*tasks)
