"""Reads pairs for `top`: the matcher's word, what is on the screen, and the others in rounds."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
import structlog
from redis.exceptions import ResponseError

from arbees_feed.cli.pairs import SEARCHED, read_fields
from arbees_feed.cli.prices import answer, opened
from arbees_feed.cli.toppairs import Pairs
from arbees_feed.cli.waiting import stopped_within
from arbees_feed.config import RedisSettings
from arbees_feed.core.wire import Names
from arbees_feed.errors import AuthenticationRejected, RedisUnavailable
from arbees_feed.ops.matcher import MatcherWatch
from arbees_feed.pairs.store import PairStore
from arbees_feed.reader.source import errors_translated, is_wrong_type

POLL_S: Final = 1.0
REFRESH_S: Final = 0.25
"""So often what is listed is read again; what is beside a market, each second."""
PAGE: Final = 500
"""So many pairs are read each second beside those on the screen."""
MOST: Final = 20_000
"""Pairs beyond so many, the least sure ones, are left out."""
OF_A_MARKET: Final = 4
_LONGEST_ID: Final = 256
_FACTS: Final = ("kalshi_id", "polymarket_id", "polarity", "grade", "since", "conflicts", "reasons")


class Wanted(msgspec.Struct, frozen=True):
    """What is looked at."""

    listing: bool = False
    """Whether pairs are listed."""
    shown: tuple[str, ...] = ()
    """The pairs on the screen."""
    pair: str | None = None
    """The pair that is shown in depth."""
    market: str | None = None
    """The market that is shown in depth."""


class PairFacts:
    """Hands what it reads to *pairs*; a service."""

    name = "pairs"

    def __init__(
        self,
        settings: RedisSettings,
        pairs: Pairs,
        *,
        page: int = PAGE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._names = Names(settings.key_prefix)
        self._pairs = pairs
        self._page = page
        self._monotonic = monotonic
        self._wanted = Wanted()
        self._changed = asyncio.Event()
        self._opened = asyncio.Event()
        self._at = 0

    def look_at(self, wanted: Wanted) -> None:
        """Read this from now on; at once if it is something else than before."""
        if wanted == self._wanted:
            return
        if wanted.listing and not self._wanted.listing:
            self._begin()
        self._wanted = wanted
        self._changed.set()

    def _begin(self) -> None:
        self._at = 0
        self._pairs.begin()
        self._opened.set()

    async def run(self) -> None:
        """Read until cancelled.

        Raises:
            RedisUnavailable: run again to go on.
        """
        self._begin()
        try:
            async with opened(self._settings) as source, asyncio.TaskGroup() as group:
                group.create_task(self._poll(source.client))
                group.create_task(self._refresh(source.client))
        except* AuthenticationRejected as refused:
            raise RedisUnavailable(str(refused.exceptions[0])) from refused

    def _store(self, client: Any) -> PairStore:
        return PairStore(client, self._names, timeout_s=self._settings.io_timeout_s)

    # -- each second -------------------------------------------------------------------------------

    async def _poll(self, client: Any) -> None:
        watch = MatcherWatch(client, self._names, structlog.get_logger("arbees_feed.matcher"))
        store = self._store(client)
        while True:
            self._opened.clear()
            with errors_translated():
                await answer(watch.look())
                self._pairs.on_matcher(watch.now(), self._monotonic())
                if self._wanted.listing:
                    await self._read_page(client, store)
            # The first round goes on at once.
            if self._pairs.is_whole or not self._wanted.listing:
                await stopped_within(self._opened, POLL_S)

    async def _read_page(self, client: Any, store: PairStore) -> None:
        """Read the next pairs by their confidence, and at the end those that are not there now."""
        first, self._at = self._at, self._at + self._page
        page = client.zrevrange(self._names.pairs(), first, self._at - 1)
        members = await _members(page)
        await self._read_prices(store, _ids(members), listed=True)
        await self._read_titles(client, _ids(members))
        if len(members) < self._page or first + self._page >= MOST:
            await self._read_prices(store, self._pairs.missing(), listed=False)
            self._pairs.end_round(self._monotonic())
            self._at = 0

    async def _read_prices(
        self, store: PairStore, pair_ids: Sequence[str], *, listed: bool
    ) -> None:
        found = await answer(store.lasts(pair_ids))
        self._pairs.on_prices(pair_ids, found, self._monotonic(), listed=listed)

    async def _read_titles(self, client: Any, pair_ids: Sequence[str]) -> None:
        markets = self._pairs.untitled(pair_ids)
        keys = [self._names.meta(market) for market in markets]
        found = await read_fields(client, keys, SEARCHED)
        self._pairs.on_titles(dict(zip(markets, found, strict=True)))

    # -- what is on the screen ---------------------------------------------------------------------

    async def _refresh(self, client: Any) -> None:
        store = self._store(client)
        while True:
            self._changed.clear()
            wanted = self._wanted
            with errors_translated():
                await self._look(client, store, wanted)
            await stopped_within(self._changed, REFRESH_S if wanted.listing else POLL_S)

    async def _look(self, client: Any, store: PairStore, wanted: Wanted) -> None:
        of_market: tuple[str, Sequence[str]] = ("", ())
        if wanted.market is not None:
            key = self._names.market_pairs(wanted.market)
            scanned = await _members(client.sscan(key, 0, count=OF_A_MARKET))
            of_market = wanted.market, sorted(_ids(scanned[1] if scanned else ()))
        looked_at = [*of_market[1][:OF_A_MARKET], *filter(None, [wanted.pair])]
        if wanted.listing or looked_at:
            shown = list(dict.fromkeys([*wanted.shown, *looked_at]))
            await self._read_prices(store, shown, listed=not wanted.listing)
            await self._read_titles(client, shown)
        keys = [self._names.pair(pair) for pair in looked_at]
        facts = await read_fields(client, keys, _FACTS)
        self._pairs.on_facts(dict(zip(looked_at, facts, strict=True)), of_market)


async def _members(work: Awaitable[Sequence[Any]]) -> Sequence[Any]:
    """Return what Redis answers; nothing, if the key is one of another kind."""
    try:
        return await answer(work)
    except ResponseError as exc:
        if is_wrong_type(exc):
            return ()
        raise


def _ids(members: Sequence[bytes]) -> list[str]:
    """Return ids of pairs; what is far too long to be one is none."""
    return [m.decode(errors="replace") for m in members if len(m) <= _LONGEST_ID]
