"""Pairs and their prices at work: what judging has found in, prices of legs in, pairs out."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
import structlog

from arbees_feed.core.wire import MarketPrice
from arbees_feed.pairs.judge import Told
from arbees_feed.pairs.ledger import BY_USER, Changes, Pair
from arbees_feed.pairs.listings import KALSHI, POLYMARKET
from arbees_feed.pairs.monitor import Contradiction, PairMonitor
from arbees_feed.pairs.outbox import Outbox
from arbees_feed.pairs.price import CLOSED, PairPrice
from arbees_feed.pairs.store import PairStore
from arbees_feed.pairs.table import Moment, PairTable

_log = structlog.get_logger("arbees_feed.pairs")

MOST_TOLD: Final = 1_000
"""Lines of the user's file that are named in the log."""


class Reader(Protocol):
    """What is needed of a PriceReader."""

    async def batch(self, most: int = 1_000) -> list[MarketPrice]:
        """Return what waits."""

    async def follow(self, *markets: str) -> None:
        """Follow more markets."""

    async def unfollow(self, *markets: str) -> None:
        """Follow markets no more."""


class Coverage(msgspec.Struct, frozen=True):
    """How far both venues are brought together."""

    markets: int
    pairs: int
    """Everything that is kept: confirmed and probable."""
    confirmed: int
    by_user: int
    live: int
    """Confirmed pairs with both prices live."""
    contradicted: int
    unreadable: int
    """What was left out since the start, as it can't be read: messages, hashes, keys."""
    published: int
    """Prices of pairs that Redis has taken, since the start."""


class PairService:
    """Keeps pairs and their prices; hears of metadata, and follows prices of both legs."""

    name = "pairs"

    def __init__(
        self,
        table: PairTable,
        outbox: Outbox,
        store: PairStore,
        reader: Reader,
        *,
        monitor: PairMonitor,
        mapping_name: str = "",
    ) -> None:
        """*mapping_name* is the user's file, for what is said of its lines."""
        self.ready = False
        """All metadata that was there at the start has been looked at."""
        self._markets = 0
        self._stopped = False
        self._pairs: dict[str, Pair] = {}
        self._table = table
        self._outbox = outbox
        self._store = store
        self._reader = reader
        self._monitor = monitor
        self._mapping_name = mapping_name
        self._followed: set[str] = set()
        self._taking = False
        """Prices of legs are taken at this moment."""

    # -- metadata ----------------------------------------------------------------------------------

    async def take(self, told: Told) -> None:
        """Take what a look at some markets has changed."""
        self._markets = told.markets
        await self._follow(self._apply(told.changes))

    async def scanned(self, told: Told, unknown: Sequence[tuple[int, str]]) -> None:
        """Everything was looked at: make Redis agree, and name lines that mean nothing."""
        self._markets = told.markets
        self._apply(told.changes)
        known = await self.restore()
        pairs = self._pairs
        await self._retire_left({n: fields for n, fields in known.items() if n not in pairs})
        await self._follow(self._followed | set(self._table.legs))
        if not self.ready:
            self.ready = True
            self._tell_unknown(unknown)

    async def restore(self) -> Mapping[str, Mapping[str, str]]:
        """Write what Redis has lost of pairs and of their prices; return what it had.

        Raises:
            RedisUnavailable: Redis did not answer; nothing or a part of it will be written.
        """
        known = await self._store.known()
        lost = {name: pair for name, pair in self._pairs.items() if _differs(known, pair)}
        self._outbox.write(Changes(put=lost))
        await self._say_again()
        return known

    def _tell_unknown(self, unknown: Sequence[tuple[int, str]]) -> None:
        for number, (line, market) in enumerate(unknown):
            if number == MOST_TOLD:
                _log.warning("more markets of the file are unknown", file=self._mapping_name)
                return
            _log.warning("unknown market", file=f"{self._mapping_name}:{line}", market=market)

    async def _retire_left(self, left: Mapping[str, Mapping[str, str]]) -> None:
        """Take away pairs of a former run that are none any more, and say so."""
        self._outbox.put(
            PairPrice(
                pair_id=name,
                kalshi_id=fields.get("kalshi_id", ""),
                polymarket_id=fields.get("polymarket_id", ""),
                polarity=fields.get("polarity", ""),
                status=CLOSED,
                reason="the matcher does not see it as a pair any more",
            )
            for name, fields in left.items()
            if fields.get("grade") != "probable"
        )
        await self._store.remove(
            {
                name: (fields.get("kalshi_id", ""), fields.get("polymarket_id", ""))
                for name, fields in left.items()
            }
        )

    async def _say_again(self) -> None:
        """Publish prices that Redis has lost, or never got."""
        pairs = list(self._table.terms())
        lasts = await self._store.lasts(pairs)
        lost = [pair for pair in pairs if not self._outbox.is_newest(lasts.get(pair), pair)]
        self._say(self._table.again(lost, _now()))

    def _apply(self, changes: Changes) -> set[str]:
        """Take what has changed; return the markets of those pairs."""
        for name in changes.retired:
            self._pairs.pop(name, None)
        self._pairs.update(changes.put)
        now, table = _now(), self._table
        said = [table.drop(name, reason) for name, (_, reason) in changes.retired.items()]
        for name, pair in changes.put.items():
            if pair.terms is None:
                said.append(table.drop(name, "not certain any more"))
            else:
                said.append(table.put(pair.terms, now))
        self._say(filter(None, said))
        self._outbox.write(changes)
        records = [record for record, _ in changes.retired.values()]
        records += [pair.record for pair in changes.put.values()]
        return {leg for record in records for leg in record.markets}

    async def _follow(self, legs: Collection[str]) -> None:
        """Follow those of *legs* that are needed, and the others no more."""
        needed = self._table.legs
        if new := [leg for leg in legs if leg in needed and leg not in self._followed]:
            await self._reader.follow(*new)
            self._followed.update(new)
        if old := [leg for leg in legs if leg not in needed and leg in self._followed]:
            self._followed.difference_update(old)
            await self._reader.unfollow(*old)

    # -- prices ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Turn prices of markets into prices of pairs, until cancelled."""
        self._taking = True
        try:
            # What came since a former run has failed is in the book, and will not come again.
            self._say(self._table.again(list(self._table.terms()), _now()))
            while True:
                self._take(await self._reader.batch())
        finally:
            self._taking = False

    def _take(self, prices: Iterable[MarketPrice]) -> None:
        now = _now()
        for price in prices:
            self._say(self._table.on_price(price.market_id, now))

    def _say(self, said: Iterable[PairPrice]) -> None:
        if self._stopped:
            return
        now_s = time.monotonic()
        for price in said:
            if self._monitor.on_price(price, now_s):
                _log.info("prices agree again", pair=price.pair_id)
            self._outbox.put([price])

    # -- time --------------------------------------------------------------------------------------

    def tick(self) -> Coverage:
        """Do what is due; call once a second."""
        if self._taking:
            self._say(self._table.expire(_now()))
        else:
            self._say(self._table.stop("prices are not followed at the moment"))
        for told in self._monitor.look(time.monotonic()):
            _warn_of(told)
        return self.coverage()

    def stop(self, reason: str) -> None:
        """Take back what is live, and say nothing more: nobody will correct it."""
        self._stopped = True
        self._outbox.put(self._table.stop(reason))

    def coverage(self) -> Coverage:
        """Return how far both venues are brought together."""
        records = [pair.record for pair in self._pairs.values()]
        return Coverage(
            markets=self._markets,
            pairs=len(records),
            confirmed=len(self._table),
            by_user=sum(1 for record in records if record.by == BY_USER),
            live=self._table.live,
            contradicted=self._monitor.open,
            unreadable=self._store.unreadable.count,
            published=self._outbox.published,
        )

    def legs_by_venue(self) -> Mapping[str, list[str]]:
        """Return the markets of all confirmed pairs."""
        terms = self._table.terms().values()
        return {
            KALSHI: list(dict.fromkeys(its.kalshi_id for its in terms)),
            POLYMARKET: list(dict.fromkeys(its.polymarket_id for its in terms)),
        }


def _now() -> Moment:
    return Moment(time.time_ns(), time.monotonic_ns())


def _differs(known: Mapping[str, Mapping[str, str]], pair: Pair) -> bool:
    """Return whether Redis has something else of a pair, the time of its finding aside."""
    fields = pair.record.fields
    written = known.get(pair.record.pair_id, {})
    return {**written, "since": ""} != {**fields, "since": ""}


def _warn_of(told: Contradiction) -> None:
    _log.warning(
        "prices contradict a pair",
        pair=told.pair_id,
        kind=told.kind,
        kalshi=round(told.kalshi_mid, 3),
        polymarket=round(told.polymarket_mid, 3),
        for_s=round(told.since_s),
    )
