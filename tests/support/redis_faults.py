"""A link to Redis that can stall, slow down and break, and a feed that is watched meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgpack
from redis.asyncio import Redis
from redis.exceptions import RedisError

from arbees_feed.app.daemon import Daemon
from arbees_feed.publish.service import Publisher
from arbees_feed.sim import SimServer
from support.feed import Reader, reading, running, settings_for, top_of
from support.patience import within
from support.reliability import record

_CHUNK = 4_096


class Relay:
    """Passes bytes between clients and a server on loopback, as a network would."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._going = asyncio.Event()
        self._going.set()
        self._bytes_per_s = 0.0
        self._pipes: set[asyncio.Task[None]] = set()
        self.connections = 0

    @property
    def url(self) -> str:
        """Where clients connect to."""
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    def stall(self) -> None:
        """Forward nothing more, and close nothing: a cut cable. New connections are taken."""
        self._going.clear()

    def go_on(self) -> None:
        """Forward again, at full speed, what was held back first."""
        self._bytes_per_s = 0.0
        self._going.set()

    def throttle(self, bytes_per_s: float) -> None:
        """Forward so many bytes per second and connection towards the server."""
        self._bytes_per_s = bytes_per_s

    async def __aenter__(self) -> "Relay":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_CHUNK)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._pipes.add(task)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port, limit=_CHUNK)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, back, limited=True))
                group.create_task(self._pass(there, writer, limited=False))
        except* OSError:
            pass  # one side has gone: so does the other, below
        except* asyncio.CancelledError:
            pass
        finally:
            self._pipes.discard(task)
            writer.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, limited: bool
    ) -> None:
        try:
            while data := await source.read(_CHUNK):
                await self._going.wait()
                sink.write(data)
                await sink.drain()
                if limited and self._bytes_per_s:
                    await asyncio.sleep(len(data) / self._bytes_per_s)
        finally:
            sink.transport.abort()
        raise ConnectionResetError


class Rehearsal:
    """A feed over simulated venues whose Redis is about to fail."""

    def __init__(self, fault: str, sim: SimServer, daemon: Daemon, reader: Reader) -> None:
        self.fault = fault
        self.sim = sim
        self.daemon = daemon
        self.reader = reader
        self.markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
        self.peak_waiting = 0
        self.peak_unanswered = 0
        self._frames_before = self.frames

    @property
    def publisher(self) -> Publisher:
        """The one that all venues share."""
        return self.daemon.venues[0]._publisher

    @property
    def frames(self) -> list[int]:
        """Frames received, by venue."""
        return [venue.feed.decoded().frames for venue in self.daemon.venues]

    @property
    def told(self) -> int:
        """Prices that a subscriber has received."""
        return sum(len(messages) for messages in self.reader.prices.values())

    def begin(self) -> None:
        """Note how things are before the fault."""
        self._frames_before = self.frames

    async def watch(self) -> None:
        """Keep the peaks of what waits, until cancelled."""
        while True:
            self.peak_waiting = max(self.peak_waiting, self.publisher.waiting)
            self.peak_unanswered = max(self.peak_unanswered, self.publisher.written.commands)
            await asyncio.sleep(0.005)

    async def lasts(self, seconds: float) -> None:
        """Let the fault last; the venues must go on, on the connections they have."""
        await asyncio.sleep(seconds)
        for now, before in zip(self.frames, self._frames_before, strict=True):
            assert now > before + 20 * seconds, "frames of a venue stopped with Redis"
        await self.stand_still()

    async def stand_still(self) -> None:
        """Let the markets stand still, so that there is one truth to compare with."""
        self.sim.pause()
        await self.sim.drained()

    def truth(self) -> dict[str, tuple[int, int, int, int]]:
        """Return the top of each market."""
        return {market: self.sim.world.market(market).top() for market in self.markets}

    async def caught_up(self, client: Any, *, within_s: float) -> float:
        """Return how long it takes from now until `:last` of every market is the truth."""
        truth = self.truth()
        began_s = time.monotonic()
        while lost := await wrong_lasts(client, truth):
            assert time.monotonic() - began_s < 10 * within(within_s), f"prices lost: {lost}"
            await asyncio.sleep(0)
        took_s = time.monotonic() - began_s
        self.judge(lost, took_s)
        assert took_s <= within(within_s)
        return took_s

    def judge(self, lost: Sequence[str], took_s: float) -> None:
        """Record the figures; what must never happen has not happened."""
        record(
            "redis",
            fault=self.fault,
            prices_lost=len(lost),
            markets=len(self.markets),
            peak_waiting=self.peak_waiting,
            peak_unanswered=self.peak_unanswered,
            catch_up_s=round(took_s, 3),
        )
        assert not lost
        assert self.peak_waiting <= len(self.markets)
        assert self.peak_unanswered <= 20_100
        for venue in self.daemon.venues:
            assert (venue.feed.stats.connects, venue.feed.stats.losses) == (1, 0)

    async def published(self) -> None:
        """Wait until subscribers have the truth of every market, as a live price."""
        truth = self.truth()
        await self.reader.until(
            lambda: all(
                self.reader.prices[m]
                and self.reader.status(m) == "live"
                and top_of(self.reader.prices[m][-1]) == top
                for m, top in truth.items()
            )
        )

    async def mirrored(self, client: Any, *, within_s: float = 2.5) -> None:
        """Wait until the `:quote` of every market says what its `:last` says, and does not end."""
        async with asyncio.timeout(within(within_s)):
            while True:  # nobody tells when a hash is written
                if await self._mirrors_agree(client):
                    return
                await asyncio.sleep(0.02)

    async def _mirrors_agree(self, client: Any) -> bool:
        async with client.pipeline(transaction=False) as pipeline:
            for market in self.markets:
                pipeline.get(f"market:{market}:last")
                pipeline.hgetall(f"market:{market}:quote")
                pipeline.ttl(f"market:{market}:quote")
            answers = await pipeline.execute()
        for last, quote, ttl in zip(answers[::3], answers[1::3], answers[2::3], strict=True):
            price = msgpack.unpackb(last)
            if not quote or int(quote[b"seq"]) != price["seq"] or ttl != -1:
                return False
            if float(quote[b"yes_bid"]) != price["yes_bid"]:
                return False
        return True

    async def listed(self, client: Any) -> None:
        """Check that the sets of markets are whole."""
        for venue, ids in (
            ("kalshi", self.sim.kalshi_tickers),
            ("polymarket", self.sim.polymarket_tokens),
        ):
            members = {m.decode() for m in await client.smembers(f"feed:markets:{venue}")}
            assert members == set(ids)

    def seqs_have_no_hole(self) -> None:
        """Check what a subscriber saw that was there all the time: every message, in order."""
        for messages in self.reader.prices.values():
            seqs = [message["seq"] for message in messages]
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


async def wrong_lasts(client: Any, truth: dict[str, tuple[int, int, int, int]]) -> Sequence[str]:
    """Return the markets whose `:last` is not the truth, all of them if nobody answers."""
    try:
        values = await client.mget([f"market:{market}:last" for market in truth])
    except RedisError:
        return list(truth)
    return [
        market
        for (market, top), value in zip(truth.items(), values, strict=True)
        if value is None or not _is_true(msgpack.unpackb(value), top)
    ]


def _is_true(price: dict[str, Any], top: tuple[int, int, int, int]) -> bool:
    return price["status"] == "live" and top_of(price) == top


@asynccontextmanager
async def rehearsal(
    fault: str, sim: SimServer, url: str, *, feed_url: str = "", **settings: str
) -> AsyncIterator[Rehearsal]:
    """Run a feed to Redis (over *feed_url* if given) until all markets are live, and watch it."""
    configured = settings_for(sim, feed_url or url, **settings)
    async with reading(url) as reader, running(configured) as (daemon, _):
        rehearsal = Rehearsal(fault, sim, daemon, reader)
        await reader.until(lambda: reader.all_are("live", rehearsal.markets))
        await reader.until(lambda: reader.state("kalshi") == reader.state("polymarket") == "live")
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(rehearsal.watch())
            rehearsal.begin()
            try:
                yield rehearsal
            finally:
                watching.cancel()


@asynccontextmanager
async def admin(url: str, **options: Any) -> AsyncIterator[Any]:
    """A client of our own that does not try twice."""
    client = Redis.from_url(url, **options)
    try:
        yield client
    finally:
        await client.aclose()
