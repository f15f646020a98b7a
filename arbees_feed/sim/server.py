"""The simulator: both venues on loopback, WebSocket and REST, and the controls for tests."""

import asyncio
import heapq
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self

from aiohttp import web

from arbees_feed.sim.catalog import Catalog
from arbees_feed.sim.clob_rest import ClobRest
from arbees_feed.sim.config import KALSHI, POLYMARKET, Recording, SimConfig, Venue
from arbees_feed.sim.control import Faults, control_routes
from arbees_feed.sim.credentials import Credentials, KeyRing
from arbees_feed.sim.data_rest import DataRest
from arbees_feed.sim.faults import FaultState
from arbees_feed.sim.flow import Flow
from arbees_feed.sim.gamma_rest import GammaRest
from arbees_feed.sim.kalshi_feed import KalshiFeed
from arbees_feed.sim.kalshi_rest import KalshiRest
from arbees_feed.sim.orders import Order, OrderDesk
from arbees_feed.sim.polymarket_feed import PolymarketFeed
from arbees_feed.sim.pump import Feed, Pump
from arbees_feed.sim.replay import Replay
from arbees_feed.sim.rest import rest_faults
from arbees_feed.sim.shared import Shared, wall_clock_ms
from arbees_feed.sim.socket import Socket
from arbees_feed.sim.switches import Levers
from arbees_feed.sim.timing import Timers, every
from arbees_feed.sim.world import Group, Market, World

KALSHI_WS_PATH = "/trade-api/ws/v2"
KALSHI_REST_PATH = "/trade-api/v2"
POLYMARKET_WS_PATH = "/ws/market"
CLOSING_CHECK_S = 0.1
IDLE_CHECK_S = 1.0
GOING_AWAY = 1001


class Listener:
    """One port: it can stop listening and start again on the same number."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self.port = port
        self.host = host
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=0.1
        )
        self._site: web.SockSite | None = None

    async def open(self) -> None:
        """Begin to serve."""
        await self._runner.setup()
        await self.listen()

    async def listen(self) -> None:
        """Accept connections."""
        if self._site is None:
            listening = socket.create_server((self.host, self.port), backlog=1024)
            self.port = listening.getsockname()[1]
            self._site = web.SockSite(self._runner, listening)
            await self._site.start()

    async def stop_listening(self) -> None:
        """Refuse connections; open ones live on."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    async def close(self) -> None:
        """Stop for good."""
        await self._runner.cleanup()


class SimServer:
    """Simulated Kalshi and Polymarket. Use as `async with SimServer(config) as sim`."""

    def __init__(
        self,
        config: SimConfig | None = None,
        *,
        host: str = "127.0.0.1",
        kalshi_port: int = 0,
        polymarket_port: int = 0,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.config = config or SimConfig()
        self.world = World(self.config.history_s)
        self._keyring = KeyRing(self.config, clock_ms)
        self._shared = Shared(
            config=self.config,
            world=self.world,
            keyring=self._keyring,
            spawn=self._spawn,
            later=self._later,
            clock_ms=clock_ms,
        )
        self.counters = self._shared.counters
        self._fault_state = FaultState(clock_ms, self.counters)
        self._kalshi = KalshiFeed(self._shared, self._fault_state)
        self._polymarket = PolymarketFeed(self._shared, self._fault_state)
        self._feeds: dict[Venue, Feed] = {KALSHI: self._kalshi, POLYMARKET: self._polymarket}
        self._desk = OrderDesk(self._shared)
        self._catalog = Catalog(self.config, clock_ms)
        self._flow = Flow(self.config, self.world, self._shared.stamp)
        self._pump = Pump(self.config, self._flow, self._feeds, self._shared)
        self._timers = Timers()
        self._listeners = {
            KALSHI: Listener(self._kalshi_app(), host, kalshi_port),
            POLYMARKET: Listener(self._polymarket_app(), host, polymarket_port),
        }
        self.faults = Faults(self._levers())
        self._group = asyncio.TaskGroup()
        self._opened = AsyncExitStack()
        self._beats: list[asyncio.Task[None]] = []
        self._fill()
        self._replays = [self._replay(recording) for recording in self.config.recordings]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            for listener in self._listeners.values():
                opened.push_async_callback(listener.close)
                await listener.open()
            await self._group.__aenter__()
            self._start_beats()
            self._opened = opened.pop_all()
        return self

    def _start_beats(self) -> None:
        config = self.config
        idle_check_s = min(config.idle_timeout_s / 2, IDLE_CHECK_S)
        for name, beat in (
            ("sim pump", self._pump.run()),
            ("sim ping", every(config.ping_interval_s, self._kalshi.ping)),
            ("sim tops", every(config.ticker_interval_s, self._publish_tops)),
            ("sim closing", every(CLOSING_CHECK_S, self._close_due_markets)),
            ("sim idle", every(idle_check_s, self._polymarket.cut_idle)),
        ):
            self._beats.append(self._group.create_task(beat, name=name))
        for replay in self._replays:
            self._beats.append(self._group.create_task(replay.run(), name="sim replay"))

    async def __aexit__(self, *exc_info: object) -> None:
        self._timers.cancel()
        for beat in self._beats:
            beat.cancel()
        for feed in self._feeds.values():
            feed.each(lambda session: self._spawn(session.socket.close(GOING_AWAY, "")))
        try:
            await self._group.__aexit__(None, None, None)
        finally:
            await self._opened.aclose()

    # Where it is, and who may come in.

    @property
    def kalshi_ws_url(self) -> str:
        """Return the URL of Kalshi's WebSocket."""
        return f"ws://{self._address(KALSHI)}{KALSHI_WS_PATH}"

    @property
    def kalshi_rest_url(self) -> str:
        """Return the base URL of Kalshi's REST interface."""
        return f"http://{self._address(KALSHI)}{KALSHI_REST_PATH}"

    @property
    def polymarket_ws_url(self) -> str:
        """Return the URL of Polymarket's market channel."""
        return f"ws://{self._address(POLYMARKET)}{POLYMARKET_WS_PATH}"

    @property
    def gamma_url(self) -> str:
        """Return the base URL of Polymarket's metadata."""
        return f"http://{self._address(POLYMARKET)}"

    @property
    def clob_url(self) -> str:
        """Return the base URL of Polymarket's order books; the same port as Gamma's."""
        return f"http://{self._address(POLYMARKET)}"

    @property
    def data_url(self) -> str:
        """Return the base URL of Polymarket's Data API; the same port again."""
        return f"http://{self._address(POLYMARKET)}"

    @property
    def credentials(self) -> Credentials:
        """Return a key that Kalshi accepts, of the configured kind."""
        return self._keyring.credentials()

    @property
    def ed25519_credentials(self) -> Credentials:
        """Return an Ed25519 key that Kalshi accepts."""
        return self._keyring.credentials("ed25519")

    @property
    def rsa_credentials(self) -> Credentials:
        """Return an RSA key that Kalshi accepts. Making it takes a moment."""
        return self._keyring.credentials("rsa")

    @property
    def kalshi_tickers(self) -> list[str]:
        """Return the tickers of all Kalshi markets."""
        return [market.id for market in self.world.markets(KALSHI)]

    @property
    def polymarket_tokens(self) -> list[str]:
        """Return the YES tokens of all Polymarket markets."""
        return [market.id for market in self.world.markets(POLYMARKET)]

    @property
    def market_ids(self) -> dict[Venue, list[str]]:
        """Return the ids of all markets, by venue: whom a scenario may hit."""
        return {KALSHI: self.kalshi_tickers, POLYMARKET: self.polymarket_tokens}

    @property
    def orders(self) -> list[Order]:
        """Return the orders received, oldest first."""
        return list(self._desk.orders.values())

    # What tests and users do to it.

    @property
    def paused(self) -> bool:
        """Tell whether the markets stand still."""
        return self._pump.paused

    def pause(self) -> None:
        """Let the markets stand still; connections live on."""
        self._pump.pause()

    def resume(self) -> None:
        """Let the markets move again."""
        self._pump.resume()

    async def drained(self) -> None:
        """Wait until all that has happened so far was written to every socket."""
        await self._timers.soon_done()
        self._publish_tops()
        for feed in self._feeds.values():
            await feed.drain()

    async def replayed(self) -> None:
        """Wait until all recordings were served to the end."""
        for replay in self._replays:
            await replay.done.wait()
        await self.drained()

    def step(self, changes: int = 1) -> None:
        """Make some changes happen now, also while paused."""
        for _ in range(changes):
            group = self._flow.step()
            if group is not None:
                self._pump.publish(group)
        self._pump.flush()

    def open_market(self, venue: Venue, *, close_in_s: float | None = None) -> Market:
        """Add a market with an event of its own, and let the venue announce it."""
        market = self._catalog.one_market(venue, close_in_s=close_in_s)
        self.world.add(market)
        heapq.heappush(self._closings, (market.close_ms, market.id))
        self._flow.seed_book(market)
        self._feeds[venue].announce(market, new_event=True)
        return market

    def close_market(self, market_id: str) -> None:
        """End a market's trading; the venue's documented end of life follows."""
        market = self.world.market(market_id)
        if not market.is_open:
            return
        self._flow.retire(market)
        market.status = "closed"
        market.ended_ms = market.updated_ms = market.ts_ms = self._shared.stamp(market)
        changes = market.clear()
        emptied = Group(market, market.ts_ms, changes)
        if market.venue == POLYMARKET and changes:
            self._pump.publish(emptied)
        else:
            self._shared.past[market.venue].note(emptied)
        self._feeds[market.venue].end(market)
        self._pump.flush()

    def connections(self) -> dict[str, int]:
        """Return the number of open sockets of each venue."""
        return {venue: len(feed.sessions) for venue, feed in self._feeds.items()}

    def sockets(self, venue: Venue) -> list[Socket]:
        """Return the open sockets of a venue."""
        return [session.socket for session in self._feeds[venue].sessions.values()]

    # Inside.

    def _address(self, venue: Venue) -> str:
        listener = self._listeners[venue]
        return f"{listener.host}:{listener.port}"

    def _levers(self) -> Levers:
        return Levers(
            state=self._fault_state,
            feeds=self._feeds,
            ports=self._listeners,
            shared=self._shared,
            flow=self._flow,
            publish=self._pump.publish,
        )

    def _fill(self) -> None:
        self._catalog.fill(self.world)
        self._closings = [(market.close_ms, market.id) for market in self.world.all_markets()]
        heapq.heapify(self._closings)
        for market in self.world.markets(KALSHI):
            self._flow.seed_book(market)
        for market in self.world.markets(POLYMARKET):
            self._flow.seed_book(market)
            self._polymarket.learn(market)

    def _replay(self, recording: Recording) -> Replay:
        return Replay(
            recording,
            shared=self._shared,
            feed=self._feeds[recording.venue],
            catalog=self._catalog,
            going=self._pump.going,
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._group.create_task(work)

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        self._timers.later(delay_s, act)

    def _publish_tops(self) -> None:
        for feed in self._feeds.values():
            feed.publish_tops()
            feed.flush()

    def _close_due_markets(self) -> None:
        now_ms = self._shared.clock_ms()
        while self._closings and self._closings[0][0] <= now_ms:
            self.close_market(heapq.heappop(self._closings)[1])

    def _kalshi_app(self) -> web.Application:
        app = self._app(KALSHI)
        app.router.add_get(KALSHI_WS_PATH, self._kalshi.handle)
        app.add_routes(KalshiRest(self._shared, self._desk).routes(KALSHI_REST_PATH))
        return app

    def _polymarket_app(self) -> web.Application:
        app = self._app(POLYMARKET)
        app.router.add_get(POLYMARKET_WS_PATH, self._polymarket.handle)
        app.add_routes(GammaRest(self._shared).routes())
        app.add_routes(ClobRest(self._shared, self._polymarket).routes())
        app.add_routes(DataRest(self._shared).routes())
        return app

    def _app(self, venue: Venue) -> web.Application:
        app = web.Application(middlewares=[rest_faults(venue, self._fault_state)])
        app.add_routes(control_routes(self))
        return app


async def serve(
    config: SimConfig,
    *,
    host: str = "127.0.0.1",
    kalshi_port: int = 0,
    polymarket_port: int = 0,
    on_ready: Callable[[SimServer], None],
    rehearsal: Callable[[SimServer], Awaitable[None]] | None = None,
) -> None:
    """Serve until cancelled, and let a rehearsal happen meanwhile."""
    async with SimServer(
        config, host=host, kalshi_port=kalshi_port, polymarket_port=polymarket_port
    ) as sim:
        on_ready(sim)
        if rehearsal is not None:
            await rehearsal(sim)
        await asyncio.Event().wait()
