"""Subscribers that are too slow for Redis: it cuts them off, and tells nobody but its own log.

What a subscriber has not read yet Redis keeps in memory, up to `client-output-buffer-limit pubsub`:
above the hard limit, or for some seconds above the soft one, it closes the connection. The feed can
do nothing about it but say whose it is, before and after.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog
from redis.exceptions import RedisError, ResponseError

from arbees_feed.errors import RedisUnavailable

_log = structlog.get_logger("arbees_feed.subscribers")

LOOK_EVERY_S = 10.0

MOST_LISTED = 2_000
"""With more subscribers they are counted and not listed: the list is made in Redis' only thread."""

WARN_SHARE = 0.5

_NAMED_AT_ONCE = 5
_SETTING = "client-output-buffer-limit"
_CUTS = "client_output_buffer_limit_disconnections"


class Client(Protocol):
    """What is needed of a Redis client."""

    def info(self, section: str) -> Awaitable[Any]:
        """Read a section of INFO."""

    def client_list(self, _type: str) -> Awaitable[Any]:
        """List clients of one type."""

    def config_get(self, pattern: str) -> Awaitable[Any]:
        """Read settings."""


class Limits(msgspec.Struct, frozen=True):
    """`client-output-buffer-limit pubsub`, in bytes; 0: no limit."""

    hard: int = 32 << 20
    soft: int = 8 << 20


class Subscriber(msgspec.Struct, frozen=True):
    """One connection that has subscribed to something."""

    id: str
    addr: str
    name: str
    buffered: int
    """Bytes that Redis keeps for it."""

    def text(self) -> str:
        """Return it in words."""
        name = f" {self.name}" if self.name else ""
        return f"{self.addr}{name} ({self.buffered:,} bytes)"


class SubscriberStats(msgspec.Struct):
    """What the last look found; plain numbers, read by metrics."""

    clients: int = 0
    largest_bytes: int = 0
    largest_share: float = 0.0
    """Of the hard limit; 0 if there is none."""
    cut: int = 0
    """Connections closed for this reason since the first look."""
    looks: int = 0


class SubscriberWatch:
    """Looks at the subscribers of all of Redis, ours or not; a service."""

    name = "subscribers"

    def __init__(
        self,
        client: Client,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        warn: Callable[..., object] = _log.warning,
    ) -> None:
        self.stats = SubscriberStats()
        self._client = client
        self._sleep = sleep
        self._warn = warn
        self._forbidden: set[str] = set()
        self._limits: Limits | None = None
        self._cuts: int | None = None
        self._seen: Mapping[str, Subscriber] = {}
        self._warned: set[str] = set()

    async def run(self) -> None:
        """Look every ten seconds, until cancelled.

        Raises:
            RedisUnavailable: run again.
        """
        while True:
            await self.look()
            await self._sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once; what Redis does not let us see is left out.

        Raises:
            RedisUnavailable: Redis is away.
        """
        try:
            self._limits = await self._read_limits()
            clients = await self._ask("INFO", self._client.info, "clients")
            stats = await self._ask("INFO", self._client.info, "stats")
            found = await self._list(clients or {})
        except RedisError as exc:
            raise RedisUnavailable(f"subscribers can't be looked at: {exc}") from exc
        self._note(found)
        self._note_cuts(int((stats or {}).get(_CUTS, 0)), found)
        self._seen = {subscriber.id: subscriber for subscriber in found}
        self.stats.clients = int((clients or {}).get("pubsub_clients", len(found)))
        self.stats.looks += 1

    async def _ask(self, command: str, ask: Callable[[str], Awaitable[Any]], what: str) -> Any:
        if command in self._forbidden:
            return None
        try:
            return await ask(what)
        except ResponseError as exc:
            # No permission, or a host that does not offer the command: it stays so.
            self._forbidden.add(command)
            self._warn("redis does not show its subscribers", command=command, error=str(exc))
            return None

    async def _read_limits(self) -> Limits:
        settings = await self._ask("CONFIG GET", self._client.config_get, _SETTING)
        if settings is None:
            return self._limits or Limits()
        return limits_of(str(settings.get(_SETTING, "")))

    async def _list(self, clients: Mapping[str, Any]) -> Sequence[Subscriber]:
        # Older servers do not count subscribers apart: then the bound is for all clients.
        count = int(clients.get("pubsub_clients", clients.get("connected_clients", 0)))
        if count > MOST_LISTED:
            return ()
        listed = await self._ask("CLIENT LIST", self._client.client_list, "pubsub")
        return [subscriber_of(fields) for fields in listed or ()]

    def _note(self, found: Sequence[Subscriber]) -> None:
        limits = self._limits or Limits()
        self.stats.largest_bytes = max((one.buffered for one in found), default=0)
        self.stats.largest_share = self.stats.largest_bytes / limits.hard if limits.hard else 0.0
        slow = [one for one in found if is_slow(one.buffered, limits)]
        fresh = [one for one in slow if one.id not in self._warned]
        self._warned = {one.id for one in slow}
        if fresh:
            self._warn(
                "slow subscriber: redis will cut it off",
                subscribers=named(fresh),
                hard_limit=limits.hard,
                soft_limit=limits.soft,
            )

    def _note_cuts(self, cuts: int, found: Sequence[Subscriber]) -> None:
        before, self._cuts = self._cuts, cuts
        if before is None or cuts <= before:
            return  # the first look, nothing new, or Redis counts from 0 again
        self.stats.cut += cuts - before
        here = {one.id for one in found}
        gone = [one for one in self._seen.values() if one.id not in here]
        self._warn(
            "redis cut off clients that read too slowly",
            count=cuts - before,
            gone_since_the_last_look=named(gone),
        )


def limits_of(text: str) -> Limits:
    """Return the limits of subscribers from the whole setting: `normal 0 0 0 slave ... pubsub ...`.

    Redis tells them in bytes. What can't be read leaves the defaults of Redis.
    """
    words = text.split()
    try:
        place = words.index("pubsub")
        return Limits(hard=int(words[place + 1]), soft=int(words[place + 2]))
    except (ValueError, IndexError):
        return Limits()


def subscriber_of(fields: Mapping[str, Any]) -> Subscriber:
    """Return a subscriber from a line of CLIENT LIST."""
    return Subscriber(
        id=str(fields.get("id", "")),
        addr=str(fields.get("addr", "")),
        name=str(fields.get("name", "")),
        buffered=int(fields.get("omem", 0)),
    )


def is_slow(buffered: int, limits: Limits) -> bool:
    """Tell whether a subscriber is on its way to being cut off."""
    above_soft = bool(limits.soft) and buffered > limits.soft
    return above_soft or (bool(limits.hard) and buffered > WARN_SHARE * limits.hard)


def named(subscribers: Sequence[Subscriber]) -> Sequence[str]:
    """Return the largest of them in words, and how many more there are."""
    ordered = sorted(subscribers, key=lambda one: -one.buffered)
    texts = [one.text() for one in ordered[:_NAMED_AT_ONCE]]
    more = len(ordered) - len(texts)
    return [*texts, f"and {more} more"] if more else texts
