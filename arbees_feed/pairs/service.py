"""Matching and pair prices at work: metadata in, pairs and their prices out.

Judging a market takes a fraction of a millisecond; after each few of them others have their turn.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
import structlog

from arbees_feed.core.wire import MarketPrice
from arbees_feed.pairs.ledger import Changes, Ledger, Pair
from arbees_feed.pairs.listings import KALSHI, POLYMARKET
from arbees_feed.pairs.metadata import Meta
from arbees_feed.pairs.monitor import Contradiction, PairMonitor
from arbees_feed.pairs.outbox import Outbox, markets_of
from arbees_feed.pairs.price import CLOSED, PairPrice
from arbees_feed.pairs.store import PairStore
from arbees_feed.pairs.table import PairTable

_log = structlog.get_logger("arbees_feed.pairs")

TURN_S: Final = 0.002
"""How long markets are judged before prices have their turn."""
SAY_EVERY_S: Final = 60.0
LEASE_S: Final = 30.0
RENEWALS: Final = 3
"""A lease is renewed so often before it would end."""


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


class PairService:
    """Keeps pairs and their prices; hears of metadata, and follows prices of both legs."""

    name = "pairs"

    def __init__(
        self,
        ledger: Ledger,
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
        self.contradictions = 0
        self._ledger = ledger
        self._table = table
        self._outbox = outbox
        self._store = store
        self._reader = reader
        self._monitor = monitor
        self._mapping_name = mapping_name
        self._followed: set[str] = set()

    # -- metadata ----------------------------------------------------------------------------------

    async def found(self, metas: Sequence[Meta]) -> None:
        """Judge markets that are new or changed."""
        changes = Changes()
        turn_s = time.monotonic()
        for meta in metas:
            changes.add(self._ledger.put(meta))
            if time.monotonic() - turn_s > TURN_S:
                await asyncio.sleep(0)
                turn_s = time.monotonic()
        await self._apply(changes)

    async def gone(self, markets: Sequence[str]) -> None:
        """Retire the pairs of markets that are not there any more."""
        changes = Changes()
        for market in markets:
            changes.add(self._ledger.drop(market, "a market is not listed any more"))
        await self._apply(changes)

    async def scanned(self) -> None:
        """Everything was looked at: make Redis agree, and name lines that mean nothing."""
        known = await self._store.known()
        pairs = self._ledger.pairs
        changes = Changes(put={name: pair for name, pair in pairs.items() if _differs(known, pair)})
        self._outbox.write(changes)
        await self._retire_left({n: fields for n, fields in known.items() if n not in pairs})
        await self._follow(self._followed | set(self._table.legs))
        await self._say_again()
        if not self.ready:
            self.ready = True
            for line, market in self._ledger.unknown():
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
        self._say(self._table.again(lost, time.time_ns()), time.monotonic())

    async def _apply(self, changes: Changes) -> None:
        now_ns, table = time.time_ns(), self._table
        said = [table.drop(name, reason) for name, (_, reason) in changes.retired.items()]
        for name, pair in changes.put.items():
            if pair.terms is None:
                said.append(table.drop(name, "not certain any more"))
            else:
                said.append(table.put(pair.terms, now_ns))
        self._say(filter(None, said), time.monotonic())
        records = [record for record, _ in changes.retired.values()]
        records += [pair.record for pair in changes.put.values()]
        if records:
            self._outbox.write(changes)
            await self._follow({leg for record in records for leg in markets_of(record)})

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
        while True:
            self._take(await self._reader.batch())

    def _take(self, prices: Iterable[MarketPrice]) -> None:
        now_ns, now_s = time.time_ns(), time.monotonic()
        for price in prices:
            self._say(self._table.on_price(price.market_id, now_ns), now_s)

    def _say(self, said: Iterable[PairPrice], now_s: float) -> None:
        for price in said:
            if self._monitor.on_price(price, now_s):
                _log.info("prices agree again", pair=price.pair_id)
            self._outbox.put([price])

    # -- time --------------------------------------------------------------------------------------

    def tick(self) -> Coverage:
        """Do what is due; call once a second."""
        now_s = time.monotonic()
        self._say(self._table.expire(time.time_ns()), now_s)
        for told in self._monitor.look(now_s):
            self.contradictions += 1
            _warn_of(told)
        return self.coverage()

    def stop(self, reason: str) -> None:
        """Take back what is live: nobody will correct it."""
        self._outbox.put(self._table.stop(reason))

    def coverage(self) -> Coverage:
        """Return how far both venues are brought together."""
        records = [pair.record for pair in self._ledger.pairs.values()]
        return Coverage(
            markets=self._ledger.markets,
            pairs=len(records),
            confirmed=len(self._table),
            by_user=sum(1 for record in records if record.by == "user"),
            live=self._table.live,
            contradicted=self._monitor.open,
        )

    def legs_by_venue(self) -> Mapping[str, list[str]]:
        """Return the markets of all confirmed pairs."""
        terms = self._table.terms().values()
        return {
            KALSHI: list(dict.fromkeys(its.kalshi_id for its in terms)),
            POLYMARKET: list(dict.fromkeys(its.polymarket_id for its in terms)),
        }


class PairClock:
    """Gives the service its seconds, says how it is, and renews leases; a service of its own."""

    name = "pairs-clock"

    def __init__(
        self,
        service: PairService,
        store: PairStore,
        *,
        session: int,
        leases: bool,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """With *leases*, the feed is asked to follow what pairs are made of."""
        self._service = service
        self._store = store
        self._session = session
        self._leases = leases
        self._sleep = sleep
        self._said_s = self._leased_s = float("-inf")
        self._held: set[str] = set()

    async def run(self) -> None:
        """Tick until cancelled.

        Raises:
            RedisUnavailable: Redis did not take what is written each second; run again.
        """
        self._leased_s = float("-inf")  # Redis may have lost the leases with all the rest
        while True:
            now_s = time.monotonic()
            covered = self._service.tick()
            if self._service.ready and now_s - self._said_s >= SAY_EVERY_S:
                self._said_s = now_s
                _say_coverage(covered)
            await self._store.say_state(self._state(covered))
            if self._leases:
                await self._lease(now_s)
            await self._sleep(1.0)

    def _state(self, covered: Coverage) -> dict[str, str]:
        state = {name: str(value) for name, value in msgspec.structs.asdict(covered).items()}
        told = "live" if self._service.ready else "matching"
        return {**state, "state": told, "session": str(self._session), "pid": str(os.getpid())}

    async def _lease(self, now_s: float) -> None:
        """Renew leases that are due, and take those of new legs at once."""
        due = now_s - self._leased_s >= LEASE_S / RENEWALS
        held = set[str]() if due else self._held
        legs = self._service.legs_by_venue()
        for venue, markets in legs.items():
            new = [market for market in markets if market not in held]
            await self._store.lease(venue, new, time.time() + LEASE_S)
        self._held = {market for markets in legs.values() for market in markets}
        if due:
            self._leased_s = now_s


def _differs(known: Mapping[str, Mapping[str, str]], pair: Pair) -> bool:
    """Return whether Redis has something else of a pair, the time of its finding aside."""
    fields = pair.record.fields
    written = known.get(pair.record.pair_id, {})
    return {**written, "since": ""} != {**fields, "since": ""}


def _say_coverage(covered: Coverage) -> None:
    _log.info(
        "pairs",
        cross_pairs=f"{covered.live}/{covered.confirmed}",
        probable=covered.pairs - covered.confirmed,
        markets=covered.markets,
        contradicted=covered.contradicted,
    )


def _warn_of(told: Contradiction) -> None:
    _log.warning(
        "prices contradict a pair",
        pair=told.pair_id,
        kind=told.kind,
        kalshi=round(told.kalshi_mid, 3),
        polymarket=round(told.polymarket_mid, 3),
        for_s=round(told.since_s),
    )
