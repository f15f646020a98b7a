"""REST reads for clients: what was asked for, typed, or an error that says what to do."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from arbees_feed.clients.errors import NotFound
from arbees_feed.clients.model import Level
from arbees_feed.core.paging import PageWalk, read, violation
from arbees_feed.core.venue import CatalogueStats, Request
from arbees_feed.errors import ProtocolViolation, RequestFailed
from arbees_feed.transport.http import HttpFetcher

T = TypeVar("T")

NS: Final = 1_000_000_000


class Rest:
    """Makes requests that change nothing, and waits when the server says for how long.

    A server that asks for more than *patience_s* in all is not waited for: the error has its time.
    """

    def __init__(
        self,
        fetcher: HttpFetcher,
        *,
        patience_s: float,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetcher = fetcher
        self._patience_s = patience_s
        self._sleep = sleep
        self._monotonic = monotonic

    async def fetch(self, request: Request) -> bytes | None:
        """Return the body, or None for a 404; the errors are HttpFetcher's."""
        give_up_s = self._monotonic() + self._patience_s
        while True:
            try:
                return await self._fetcher.fetch(request)
            except RequestFailed as exc:
                wait_s = exc.retry_after_s
                if wait_s is None or self._monotonic() + wait_s > give_up_s:
                    raise
            await self._sleep(wait_s)

    async def answer(self, request: Request, decoder: msgspec.json.Decoder[T], missing: str) -> T:
        """Return the decoded answer.

        Raises:
            NotFound: 404; *missing* says of what.
            ProtocolViolation: the body is not what it should be.
        """
        body = await self.fetch(request)
        if body is None:
            raise NotFound(missing)
        return read(decoder, body, request.url)


async def records(
    rest: Rest, walk: PageWalk, stats: CatalogueStats
) -> AsyncGenerator[msgspec.Raw, None]:
    """Yield the records of a listing, page after page.

    Raises:
        ProtocolViolation: a page can't be read, or the listing goes in circles.
    """
    while (request := walk.request()) is not None:
        for record in walk.accept(await rest.fetch(request)):
            yield record
    if not walk.complete:
        raise ProtocolViolation(stats.last_problem)


def unix_ns(moment: datetime) -> int:
    """Return a time as Unix ns; one without a zone is a ValueError."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    whole = int(moment.timestamp() // 1)
    return whole * NS + moment.microsecond * 1_000


def book_side(
    pairs: Sequence[tuple[Decimal, Decimal]], url: str, *, bids: bool, mirrored: bool = False
) -> tuple[Level, ...]:
    """Return one side, best first; *mirrored* pairs are on the scale of the other outcome.

    Raises:
        ProtocolViolation: a level is no level.
    """
    side = []
    for told, size in pairs:
        price = 1 - told if mirrored else told
        if not (price.is_finite() and size.is_finite() and 0 < price < 1 and size >= 0):
            raise violation(url, "a level is no level", f"{told} {size}".encode())
        if size:
            side.append(Level(price, size))
    return tuple(sorted(side, reverse=bids))


def cut(levels: tuple[Level, ...], depth: int | None) -> tuple[Level, ...]:
    """Return the best *depth* levels; None is all."""
    return levels if depth is None else levels[:depth]


def checked_depth(depth: int | None) -> int | None:
    """Return *depth*; below 1 it is a ValueError."""
    if depth is not None and depth < 1:
        raise ValueError(f"depth {depth} is below 1")
    return depth
