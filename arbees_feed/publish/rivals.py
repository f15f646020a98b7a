"""Another daemon that feeds the same venue into the same Redis: each overwrites the other's prices.

Nothing in Redis keeps two apart, and neither alone looks wrong. But each tells readers once a
second that it lives, and so they hear of each other, at no cost to a price.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, Protocol

import msgspec
import structlog
from redis.exceptions import NoPermissionError, RedisError

from arbees_feed.core.model import VenueState
from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable

_log = structlog.get_logger("arbees_feed.rivals")

GONE_S = 5.0
"""A daemon that was not heard for so long is no more; it tells of itself each second."""
_WAIT_S = 1.0


class Client(Protocol):
    """What is needed of a Redis client."""

    def pubsub(self) -> Any:
        """Return something that subscribes, on a connection of its own."""


class Beat(msgspec.Struct, frozen=True, gc=False):
    """A message of `feed:status`; unknown fields are ignored."""

    venue: str
    state: str
    session: int


_decode = msgspec.msgpack.Decoder(Beat).decode


class Rivals:
    """Listens to the heartbeats of others; a service."""

    name = "rivals"

    def __init__(
        self,
        client: Client,
        names: Names,
        venues: Collection[str],
        session: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._channel = names.status()
        self._venues = venues
        self._session = session
        self._monotonic = monotonic
        self._heard: dict[str, tuple[int, float]] = {}
        self.seen = 0
        """How often another daemon has appeared."""

    async def run(self) -> None:
        """Listen until cancelled, or for good if Redis does not let this user listen.

        Raises:
            RedisUnavailable: run again.
        """
        try:
            async for data in self._beats():
                self.hear(data)
        except NoPermissionError as exc:
            _log.warning("another daemon on this redis would go unnoticed", error=str(exc))
        except RedisError as exc:
            raise RedisUnavailable(f"heartbeats can't be listened to: {exc}") from exc

    async def _beats(self) -> AsyncIterator[bytes]:
        async with self._client.pubsub() as pubsub:
            await pubsub.subscribe(self._channel)
            while True:
                told = await pubsub.get_message(ignore_subscribe_messages=True, timeout=_WAIT_S)
                if told is not None:
                    yield told["data"]

    def hear(self, data: bytes) -> None:
        """Take a heartbeat of anybody; what can't be read is not one of ours."""
        try:
            beat = _decode(data)
        except (ValueError, RecursionError):
            return
        if beat.session == self._session or beat.venue not in self._venues:
            return
        if beat.state == VenueState.STOPPED:
            self._heard.pop(beat.venue, None)
            return
        known = self.of(beat.venue)
        self._heard[beat.venue] = (beat.session, self._monotonic())
        if known != beat.session:
            self.seen += 1
            _log.error(
                "another daemon feeds this venue into the same redis: stop one of them",
                venue=beat.venue,
                session=beat.session,
            )

    def of(self, venue: str) -> int:
        """Return the session of another daemon that feeds a venue now; 0: there is none."""
        session, heard_s = self._heard.get(venue, (0, 0.0))
        return session if self._monotonic() - heard_s < GONE_S else 0

    def reason(self, venue: str) -> str:
        """Say so, for the state of the venue; empty: there is none."""
        session = self.of(venue)
        return f"another_daemon: session {session} feeds this venue too" if session else ""
