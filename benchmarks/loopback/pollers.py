"""Readers that poll REST, as their authors would write them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from loopback.judging import Seen, Top
from loopback.lines import READ_NS, Gateway, Limit, TokenBucket, Window

RETRY_S = 1.0
REFUSED = 429
CLOB_LIMITS = {"GET": 1_500, "POST": 500}
"""`/book` and `/books` in 10 s."""


@dataclass
class Reader:
    """One way of reading one venue: its gateway, and what it has seen of each market, in order."""

    venue: str
    way: str
    gateway: Gateway
    markets: Sequence[str]
    seen: dict[str, list[Seen]] = field(default_factory=dict)
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once every market has a price."""

    def note(self, market: str, seen: Seen) -> None:
        """Remember what was seen."""
        self.seen.setdefault(market, []).append(seen)
        if len(self.seen) == len(self.markets):
            self.complete.set()


def kalshi_top(book: Mapping[str, Any]) -> Top:
    """Return the top of `orderbook_fp`: two sides of bids, prices in dollars as text."""
    yes, no = (_best(book.get(f"{side}_dollars") or ()) for side in ("yes", "no"))
    return yes[0], yes[1], 10_000 - no[0], no[1]


def clob_top(book: Mapping[str, Any]) -> Top:
    """Return the top of a book of Polymarket's."""
    bids, asks = (
        [(level["price"], level["size"]) for level in book[side]] for side in ("bids", "asks")
    )
    low = [(str(1 - float(price)), size) for price, size in asks]
    bid, ask = _best(bids), _best(low)
    return bid[0], bid[1], 10_000 - ask[0], ask[1]


def _best(levels: Iterable[Sequence[str]]) -> tuple[int, int]:
    """Return the highest price and its size, as integers; zeros if there is none."""
    known = [(round(float(price) * 10_000), round(float(size) * 1e6)) for price, size in levels]
    return max(known, default=(0, 0))


class Poller:
    """Asks one venue, as a reader's own code would."""

    def __init__(self, reader: Reader, session: aiohttp.ClientSession, address: str) -> None:
        self.reader, self._session, self._address = reader, session, address

    async def run(self, way: str) -> None:
        """Poll in a way of `WAYS` until cancelled."""
        await WAYS[way](self)

    async def one(self, market: str) -> bool:
        """Get one book; False if the venue refused."""
        if self.reader.venue == "kalshi":
            path = f"/trade-api/v2/markets/{market}/orderbook"
        else:
            path = f"/book?token_id={market}"
        told = await self._told("GET", path)
        if told is not None:
            body, read_ns = told
            self._note(market, body.get("orderbook_fp", body), read_ns)
        return told is not None

    async def all(self) -> bool:
        """Get all books by one call; False if the venue refused."""
        markets = self.reader.markets
        if self.reader.venue == "kalshi":
            wanted = "&".join(f"tickers={market}" for market in markets)
            told = await self._told("GET", f"/trade-api/v2/markets/orderbooks?{wanted}")
            books = (
                [(b["ticker"], b["orderbook_fp"]) for b in told[0]["orderbooks"]] if told else ()
            )
        else:
            told = await self._told("POST", "/books", [{"token_id": market} for market in markets])
            listed = told[0] if told else ()
            books = [(book["asset_id"], book) for book in listed]
        for market, book in books:
            assert told is not None
            self._note(market, book, told[1])
        return told is not None

    async def _told(self, method: str, path: str, body: Any = None) -> tuple[Any, int] | None:
        async with self._session.request(method, self._address + path, json=body) as answer:
            if answer.status == REFUSED:
                return None
            answer.raise_for_status()
            return msgspec.json.decode(await answer.read()), int(answer.headers[READ_NS])

    def _note(self, market: str, book: Mapping[str, Any], read_ns: int) -> None:
        top = kalshi_top(book) if self.reader.venue == "kalshi" else clob_top(book)
        self.reader.note(market, Seen(top, time.time_ns(), read_ns))


async def in_turn(poller: Poller) -> None:
    """One call at a time, market after market."""
    while True:
        for market in poller.reader.markets:
            await _insisting(poller.one, market)


async def within_limit(poller: Poller) -> None:
    """All markets at once, one call each, as often as the venue allows."""
    markets = poller.reader.markets
    allowed_per_s = {"kalshi": 20.0, "polymarket": CLOB_LIMITS["GET"] / 10}[poller.reader.venue]
    while True:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(len(markets) / allowed_per_s))
            for market in markets:
                group.create_task(_insisting(poller.one, market))


async def no_limit(poller: Poller) -> None:
    """All markets at once, each again as soon as it is answered."""

    async def again_and_again(market: str) -> None:
        while True:
            await _insisting(poller.one, market)

    async with asyncio.TaskGroup() as group:
        for market in poller.reader.markets:
            group.create_task(again_and_again(market))


async def all_in_one(poller: Poller) -> None:
    """All books by one call, again as soon as it is answered."""
    while True:
        await _insisting(poller.all)


async def _insisting(ask: Callable[..., Awaitable[bool]], *given: str) -> None:
    """Ask until the venue answers; after a refusal wait a second, as it names no time."""
    while True:
        if await ask(*given):
            return
        await asyncio.sleep(RETRY_S)


WAYS: Mapping[str, Callable[[Poller], Awaitable[None]]] = {
    "a call a market, in turn": in_turn,
    "a call a market, all at once, within the limit": within_limit,
    "a call a market, all at once, back to back": no_limit,
    "all markets in one call, back to back": all_in_one,
}


def limit_of(venue: str, way: str) -> Limit:
    """Return what the venue allows."""
    if venue == "kalshi":
        return TokenBucket()
    return Window(CLOB_LIMITS["POST" if "one call" in way else "GET"])
