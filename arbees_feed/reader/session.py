"""One connected spell of a reader: subscribe, read what is kept, and keep house until it ends."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, TypeVar

from redis.exceptions import RedisError, ResponseError

from arbees_feed.core.redisaddress import Address
from arbees_feed.errors import RedisUnavailable
from arbees_feed.reader.leases import Leases
from arbees_feed.reader.link import Link, open_link
from arbees_feed.reader.liveness import beat_age_s
from arbees_feed.reader.source import Source, errors_translated, is_wrong_type, open_source
from arbees_feed.reader.state import PriceState
from arbees_feed.reader.wanted import Wanted

T = TypeVar("T")
_log = logging.getLogger("arbees_feed.reader")

LOOK_S: Final = 1.0
EVENTS_EVERY_S: Final = 5.0
SILENT_S: Final = 5.0
"""Behind Sentinels or in a Cluster: no feed is heard for so long, so look for another server."""
AUDITED_AT_ONCE: Final = 200
"""Markets of which `:last` is read each second in a Cluster, where messages are lost silently."""


class Session:
    """Reads from one server (or cluster) until the connection is lost."""

    def __init__(
        self,
        address: Address,
        wanted: Wanted,
        state: PriceState,
        leases: Leases,
        on_chunk: Callable[[], None],
        *,
        options: "SessionOptions",
    ) -> None:
        self._address = address
        self._wanted = wanted
        self._names = wanted.names
        self._state = state
        self._leases = leases
        self._on_chunk = on_chunk
        self._options = options
        self._source: Source | None = None
        self._links: list[Link] = []
        self._verb = "SSUBSCRIBE" if options.sharded else "SUBSCRIBE"
        self._end_verb = "SUNSUBSCRIBE" if options.sharded else "UNSUBSCRIBE"
        self._busy = asyncio.Lock()
        self._subscribed: set[str] = set()
        self._adjusted = -1
        self._joined_s = 0.0
        self._events_due_s = 0.0
        self._audited: list[str] = []
        self._odd_keys: set[str] = set()

    async def run(self, on_joined: Callable[[], None]) -> None:
        """Join, and keep house until the connection is lost.

        Raises:
            RedisUnavailable: the connection is lost, or could not be made; run another session.
            AuthenticationRejected: the server does not let us in, or not read this.
        """
        with errors_translated():
            async with AsyncExitStack() as stack:
                await self._open(stack)
                on_joined()
                await self._keep_house()

    async def _open(self, stack: AsyncExitStack) -> None:
        options = self._options
        source = await stack.enter_async_context(
            open_source(self._address, timeout_s=options.timeout_s, name=options.name)
        )
        await self._find_events(source)
        self._state.linked()
        self._adjusted = self._wanted.version
        self._subscribed.update(self._wanted.named)
        channels = [self._names.status(), *self._wanted.channels(self._subscribed)]
        for connection, some in source.connections(channels, sharded=options.sharded):
            link = await stack.enter_async_context(
                open_link(
                    connection,
                    self._state,
                    self._names.status(),
                    self._on_chunk,
                    timeout_s=options.timeout_s,
                )
            )
            self._links.append(link)
            await link.change(self._verb, some)
        if self._wanted.patterns:
            patterns = self._wanted.channel_patterns
            await self._links[0].change("PSUBSCRIBE", patterns)
        await self._renew_leases(source)
        await self._join(source)
        self._joined_s = time.monotonic()
        # From now on others may ask for changes; one join at a time.
        self._source = source

    # -- joining -----------------------------------------------------------------------------------

    async def _join(self, source: Source, only: Sequence[str] | None = None) -> None:
        """Read what is kept of all that is followed, or of *only* some markets.

        A message that comes meanwhile is newer than what is read afterwards, or the same.
        """
        self._state.begin_join()
        await self._read_venues(source)
        markets = only if only is not None else await self._all_markets(source)
        keys = [self._names.last(market) for market in markets]
        async for key, value in source.read_all(keys):
            self._state.kept(value, key)
        self._state.end_join(whole=only is None)
        self._on_chunk()

    async def _read_venues(self, source: Source) -> None:
        for venue in self._wanted.venues(self._state.venues):
            key, nothing = self._names.venue(venue), dict[str, str]()
            fields, ttl_ms = await self._read(key, source.read_venue(key)) or (nothing, -1)
            self._state.key_read(venue, fields, beat_age_s(ttl_ms), time.monotonic())

    async def _read(self, key: str, answer: Awaitable[T]) -> T | None:
        """Return the *answer* about a key; None if it holds something else than it should.

        One key that somebody else has written is no reason to read none.
        """
        try:
            return await answer
        except ResponseError as exc:
            if not is_wrong_type(exc):
                raise
            self._state.stats.malformed += 1
            if key not in self._odd_keys:
                self._odd_keys.add(key)
                _log.warning("%s holds another kind of value than a feed writes; ignored", key)
            return None

    async def _all_markets(self, source: Source) -> list[str]:
        markets = dict.fromkeys([*self._wanted.named, *self._state.book])
        for venue in self._wanted.venues(self._state.venues):
            for pattern in self._wanted.patterns:
                key = self._names.markets(venue)
                found = await self._read(key, source.matching(key, pattern))
                markets.update(dict.fromkeys(found or ()))
        return list(markets)

    async def _find_events(self, source: Source) -> None:
        self._events_due_s = time.monotonic() + EVENTS_EVERY_S
        for event in self._wanted.events:
            key = self._names.event_markets(event)
            members = await self._read(key, source.members(key))
            self._wanted.found(members or ())

    async def adjust(self) -> None:
        """Subscribe to what is wanted and to nothing else; read what is kept of what is new.

        Raises:
            RedisUnavailable: the connection is lost; the next session has it right from its start.
            AuthenticationRejected: this user may not read one of the channels.
        """
        with errors_translated():
            async with self._busy:
                if self._source is not None:
                    await self._adjust(self._source)

    async def read_again(self) -> None:
        """Read what is kept of all markets that are followed.

        Raises:
            RedisUnavailable: the connection is lost; the next session reads it.
        """
        with errors_translated():
            async with self._busy:
                if self._source is not None:
                    markets = await self._all_markets(self._source)
                    await self._join(self._source, only=markets)

    async def _adjust(self, source: Source) -> None:
        version = self._wanted.version
        if version == self._adjusted:
            return
        wanted = dict.fromkeys(self._wanted.named)
        new = [market for market in wanted if market not in self._subscribed]
        ended = [market for market in self._subscribed if market not in wanted]
        if (new or ended) and self._options.sharded and self._address.kind == "cluster":
            # Other nodes may have their slots: the next session places all of them anew.
            self._links[0].end(RedisUnavailable("channels are to be placed anew"))
        if any(link.ended.done() for link in self._links):
            return
        if ended:
            await self._links[0].change(self._end_verb, self._wanted.channels(ended))
            self._subscribed.difference_update(ended)
        if new:
            await self._links[0].change(self._verb, self._wanted.channels(new))
            self._subscribed.update(new)
            await self._join(source, only=new)
        self._adjusted = version

    # -- while it lasts ----------------------------------------------------------------------------

    async def _keep_house(self) -> None:
        assert self._source is not None  # noqa: S101 - set by _open
        ended = {link.ended for link in self._links}
        while True:
            await asyncio.wait(ended, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            for link in self._links:
                link.check()
            async with self._busy:
                await self._do_what_is_due(self._source, time.monotonic())

    async def _do_what_is_due(self, source: Source, now_s: float) -> None:
        if self._leases.due(now_s):
            await self._renew_leases(source)
        if self._wanted.events and now_s >= self._events_due_s:
            await self._find_events(source)
        await self._adjust(source)
        if self._state.unsure:
            await self._read_venues(source)
            if not self._state.unsure:
                await self._join(source, only=await self._all_markets(source))
        if self._address.kind == "cluster":
            await self._audit(source)
        if self._address.kind != "server":
            self._look_elsewhere(now_s)

    async def _audit(self, source: Source) -> None:
        """Look at `:last` of some markets, all of them in turn, and of those that looked wrong."""
        if not self._audited:
            self._audited = list(self._state.book)
        some = dict.fromkeys([*self._state.suspects, *self._audited[-AUDITED_AT_ONCE:]])
        del self._audited[-AUDITED_AT_ONCE:]
        keys = [self._names.last(market) for market in some]
        async for key, value in source.read_all(keys):
            self._state.audit(value, key)
        self._on_chunk()

    def _look_elsewhere(self, now_s: float) -> None:
        """End a connection to a server that the feed seems to have left."""
        if not self._state.silent:
            self._joined_s = max(self._joined_s, now_s - SILENT_S / 2)
        elif now_s - self._joined_s > SILENT_S:
            raise RedisUnavailable("no feed is heard from this server")

    def tick(self, now_s: float) -> None:
        """Watch over the connections; call a few times a second."""
        for link in self._links:
            link.tick(now_s)

    # -- leases ------------------------------------------------------------------------------------

    async def _renew_leases(self, source: Source) -> None:
        for venue, ends in self._leases.renewals(time.monotonic(), time.time()):
            try:
                await source.client.zadd(self._names.watch(venue), ends, gt=True)
            except ResponseError:
                # A replica, or a user who may only read: prices are worth reading all the same.
                self._state.stats.lease_errors += 1

    async def end_leases(self) -> None:
        """Cut the leases short that nobody else holds; without Redis they end by themselves."""
        client: Any = self._source.client if self._source else None
        if client is None:
            return
        for venue, markets in self._leases.held().items():
            key = self._names.watch(venue)
            try:
                scores = await client.zmscore(key, list(markets))
                ends = self._leases.cut(venue, dict(zip(markets, scores, strict=True)), time.time())
                if ends:
                    await client.zadd(key, ends, xx=True, lt=True)
            except (RedisError, OSError):
                return


class SessionOptions:
    """What stays the same for all sessions of a reader."""

    def __init__(self, *, timeout_s: float, sharded: bool, name: str) -> None:
        self.timeout_s = timeout_s
        self.sharded = sharded
        self.name = name
