"""The seconds of the matcher: what is due, how it is, its leases, and its claim on the pairs."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from arbees_feed.pairs.claim import AnotherMatcher, Claim
from arbees_feed.pairs.service import Coverage, PairService
from arbees_feed.pairs.store import PairStore

_log = structlog.get_logger("arbees_feed.pairs")

SAY_EVERY_S: Final = 60.0
LEASE_S: Final = 30.0
RENEWALS: Final = 3
"""A lease is renewed so often before it would end."""


class PairClock:
    """Gives the service its seconds, says how it is, and renews what expires; a service."""

    name = "pairs-clock"

    def __init__(
        self,
        service: PairService,
        store: PairStore,
        claim: Claim,
        *,
        session: int,
        leases: bool,
        stop: asyncio.Event,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """With *leases*, the feed is asked to follow what pairs are made of.

        *stop* is set when another process has the claim.
        """
        self.rival: AnotherMatcher | None = None
        """Who holds the claim now: nothing may be written any more, not even a last word."""
        self._service = service
        self._store = store
        self._claim = claim
        self._session = session
        self._leases = leases
        self._stop = stop
        self._sleep = sleep
        self._said_s = self._leased_s = float("-inf")
        self._held: set[str] = set()
        self._lost = False

    async def run(self) -> None:
        """Tick until cancelled, or until another process has the claim.

        Raises:
            RedisUnavailable: Redis did not take what is written each second; run again.
        """
        self._leased_s = float("-inf")  # Redis may have lost the leases with all the rest
        while True:
            try:
                self._lost |= not await self._claim.renew()
            except AnotherMatcher as exc:
                self.rival = exc
                self._stop.set()
                return
            if self._lost:
                await self._restore()
            await self._tick()
            await self._sleep(1.0)

    async def _restore(self) -> None:
        """Write everything again: a Redis that has lost the claim may have lost the rest."""
        await self._service.restore()
        self._leased_s = float("-inf")
        self._lost = False
        _log.warning("redis had lost our claim: what else it lost of pairs is written again")

    async def _tick(self) -> None:
        now_s = time.monotonic()
        covered = self._service.tick()
        if self._service.ready and now_s - self._said_s >= SAY_EVERY_S:
            self._said_s = now_s
            _say_coverage(covered)
        await self._store.say_state(self._state(covered))
        if self._leases:
            await self._lease(now_s)

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


def _say_coverage(covered: Coverage) -> None:
    _log.info(
        "pairs",
        cross_pairs=f"{covered.live}/{covered.confirmed}",
        probable=covered.pairs - covered.confirmed,
        markets=covered.markets,
        contradicted=covered.contradicted,
    )
