"""The process that brings the venues together: its parts, started and stopped.

It stands beside the feed, not in it: judging markets is work for a processor, and the feed's loop
carries prices. It reads what any reader can: metadata and prices in Redis.
"""

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from arbees_feed.config import Settings
from arbees_feed.config.forms import EMBEDDED
from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable, SettingsError
from arbees_feed.pairs.aside import Across, Aside
from arbees_feed.pairs.claim import AnotherMatcher, Claim
from arbees_feed.pairs.clock import PairClock
from arbees_feed.pairs.judge import Judge
from arbees_feed.pairs.ledger import Ledger
from arbees_feed.pairs.listings import FIELDS, KALSHI, POLYMARKET
from arbees_feed.pairs.mapping import NO_MAPPING, Mapping, read_mapping
from arbees_feed.pairs.metadata import MetadataFollower
from arbees_feed.pairs.monitor import Limits, PairMonitor
from arbees_feed.pairs.outbox import Outbox
from arbees_feed.pairs.price import LIVE
from arbees_feed.pairs.rules import Rules
from arbees_feed.pairs.service import MOST_TOLD, PairService
from arbees_feed.pairs.store import PairStore
from arbees_feed.pairs.table import PairTable
from arbees_feed.reader import PriceReader
from arbees_feed.supervisor import Policy, Supervisor
from arbees_feed.transport.redis import open_client

_log = structlog.get_logger("arbees_feed.pairs")

RESTARTED: Final = "the matcher was started again"
NEEDED: Final = "pairs need a Redis that the feed writes to: redis.url is {}"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Match markets and price pairs until *stop* is set.

    Raises:
        SettingsError: the mapping file can't be read, or Redis is one that nobody else reaches.
        RedisUnavailable: Redis does not answer at the start.
        AnotherMatcher: another process writes the pairs of this Redis.
    """
    url = settings.redis.url.get_secret_value()
    if url == EMBEDDED or url.startswith("redis+cluster://"):
        raise SettingsError(NEEDED.format("embedded" if url == EMBEDDED else "a Cluster"))
    mapping = _mapping(settings)
    names = Names(settings.redis.key_prefix)
    reader = PriceReader(
        url, markets=[], key_prefix=settings.redis.key_prefix, client_name="arbees-feed-pairs"
    )
    async with open_client(url, timeout_s=settings.redis.io_timeout_s) as client, reader:
        claim = Claim(client, names)
        if await claim.take(stop):
            store = PairStore(client, names, may_write=lambda: claim.fresh)
            ledger = Ledger(_now, Rules(mapping))
            outbox = await _take_over(store, claim, ledger)
            table = PairTable(reader.book, max_age_s=settings.pairs.max_age_s)
            limits = Limits(gap=settings.pairs.alarm_gap, after_s=settings.pairs.alarm_after_s)
            service = PairService(
                table, outbox, store, reader,
                monitor=PairMonitor(limits), mapping_name=str(settings.pairs.mapping or ""),
            )  # fmt: skip
            judge = Judge(ledger, Across(service, asyncio.get_running_loop()), store.unreadable)
            follower = MetadataFollower(
                partial(open_client, url, timeout_s=settings.redis.io_timeout_s),
                names, (KALSHI, POLYMARKET), judge, fields=FIELDS, unreadable=store.unreadable,
            )  # fmt: skip
            clock = PairClock(
                service, store, claim,
                session=outbox.session, leases=settings.pairs.follow, stop=stop,
            )  # fmt: skip
            aside = Aside(follower.name, follower.run)
            await Supervisor(Policy()).run([service, outbox, clock, aside], stop)
            if clock.rival is not None:
                raise clock.rival
            service.stop("the matcher was stopped")
            await _drain(outbox, store, claim, settings.publish.drain_timeout_s)


def _mapping(settings: Settings) -> Mapping:
    """Return what the user's file says, and name what is wrong with it."""
    path = settings.pairs.mapping
    mapping = NO_MAPPING if path is None else read_mapping(path)
    for error in mapping.errors[:MOST_TOLD]:
        _log.warning("wrong line in the mapping", error=error)
    if (more := len(mapping.errors) - MOST_TOLD) > 0:
        _log.warning("more wrong lines in the mapping", file=str(path), lines=more)
    return mapping


async def _take_over(store: PairStore, claim: Claim, ledger: Ledger) -> Outbox:
    """Take back what a killed run left live; return an outbox with a session above its."""
    known = await store.known()
    ledger.remember(known)
    lasts = await store.lasts(known)
    # Our clock may have been set back since then.
    session = max([time.time_ns(), *(last.session + 1 for last in lasts.values())])
    outbox = Outbox(store, session=session, now_ns=time.time_ns)
    outbox.put(last.taken_back(RESTARTED) for last in lasts.values() if last.status == LIVE)
    await claim.renew()  # reading may have taken a while
    await outbox.flush()
    return outbox


async def _drain(outbox: Outbox, store: PairStore, claim: Claim, timeout_s: float) -> None:
    """Write what waits, and take the state away, and then the claim."""
    try:
        async with asyncio.timeout(timeout_s):
            await claim.renew()
            await outbox.flush()
            await store.end_state()
            await claim.release()
    except (RedisUnavailable, AnotherMatcher, TimeoutError) as exc:
        _log.warning("stopped before redis took everything", waiting=outbox.waiting, error=str(exc))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
