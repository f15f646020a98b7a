"""Making things go wrong, from a test or over HTTP."""

import inspect
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import web

from arbees_feed.sim.config import Venue
from arbees_feed.sim.frame_switches import FrameSwitches
from arbees_feed.sim.market_switches import MarketSwitches
from arbees_feed.sim.rest import Json, error, number
from arbees_feed.sim.rest_switches import RestSwitches
from arbees_feed.sim.socket_switches import SocketSwitches
from arbees_feed.sim.switches import Ending
from arbees_feed.sim.world import Market, World

PORTS_STAY = "stop_accepting"


class Faults(FrameSwitches, SocketSwitches, RestSwitches, MarketSwitches):
    """All switches; what a client meets is in the README."""

    @property
    def _endings(self) -> dict[str, Ending]:
        return {
            **self._frame_endings(),
            **self._socket_endings(),
            **self._rest_endings(),
            **self._market_endings(),
        }

    async def end(self, fault: str, venue: Venue | None = None, market: str | None = None) -> None:
        """End one fault by the name of its method: of a market, of a venue, or everywhere.

        Raises:
            ValueError: no fault of that name lasts.
        """
        ending = self._endings.get(fault)
        if ending is None:
            raise ValueError(f"{fault}: what lasts is {', '.join(sorted(self._endings))}")
        ended = ending(venue, market)
        if ended is not None:
            await ended

    def clear(self) -> None:
        """End every fault; ports stay as they are, and sockets too if closed or in a black hole."""
        for fault, ending in self._endings.items():
            if fault != PORTS_STAY:
                ending(None, None)


class Controlled(Protocol):
    """What the controls need of the simulator."""

    world: World
    counters: Counter[str]
    faults: Faults

    @property
    def paused(self) -> bool: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    async def drained(self) -> None: ...
    def step(self, changes: int = 1) -> None: ...
    def open_market(self, venue: Venue, *, close_in_s: float | None = None) -> Market: ...
    def close_market(self, market_id: str) -> None: ...
    def connections(self) -> dict[str, int]: ...


def control_routes(sim: Controlled) -> list[web.RouteDef]:
    """Return the routes under /sim/, the same on both ports."""

    async def state(_: web.Request) -> web.Response:
        return web.json_response(_state(sim))

    async def act(request: web.Request) -> web.Response:
        return await _act(sim, request)

    async def tops(request: web.Request) -> web.Response:
        return web.json_response(_tops(sim, request))

    return [
        web.get("/sim/state", state),
        web.get("/sim/tops", tops),
        web.post("/sim/{action}", act),
    ]


def _state(sim: Controlled) -> Json:
    return {
        "paused": sim.paused,
        "connections": sim.connections(),
        "counters": dict(sim.counters),
        "markets": {market.id: _market_state(market) for market in sim.world.all_markets()},
    }


def _market_state(market: Market) -> Json:
    """Return the true top: prices in 1/10,000 dollar, sizes in 1/1,000,000 contract."""
    bid, bid_size, ask, ask_size = market.top()
    return {
        "venue": market.venue,
        "status": market.status,
        "bid": bid,
        "bid_size": bid_size,
        "ask": ask,
        "ask_size": ask_size,
        "last_trade": market.last_trade,
        "ts_ms": market.ts_ms,
    }


def _tops(sim: Controlled, request: web.Request) -> Json:
    """Return the tops that were true at any moment between two instants, Unix ns."""
    market = sim.world.find(request.query.get("market", ""))
    if market is None:
        raise error(404, {"error": "unknown market"})
    end_ns = number(request, "to_ns", time.time_ns(), high=2**63)
    try:
        return {"tops": market.tops_between(number(request, "from_ns", end_ns, high=2**63), end_ns)}
    except LookupError as exc:
        raise error(400, {"error": str(exc)}) from exc


async def _act(sim: Controlled, request: web.Request) -> web.Response:
    action = actions(sim).get(request.match_info["action"])
    if action is None:
        return web.json_response({"error": "unknown action"}, status=404)
    try:
        arguments = await request.json() if request.can_read_body else {}
        result = action(**arguments)
        if inspect.isawaitable(result):
            result = await result
    except (TypeError, ValueError, KeyError) as exc:
        return web.json_response({"error": f"{type(exc).__name__}: {exc}"}, status=400)
    answer = result.id if isinstance(result, Market) else result
    return web.json_response({"ok": True, "result": answer})


def actions(sim: Controlled) -> dict[str, Callable[..., Any]]:
    """Return everything that can be done to a simulation, by name."""
    faults = sim.faults
    names = [name for name in dir(faults) if not name.startswith("_")]
    running = (
        sim.pause, sim.resume, sim.drained, sim.step, sim.open_market, sim.close_market,
    )  # fmt: skip
    return {action.__name__: action for action in running} | {
        **{name: getattr(faults, name) for name in names},
        "send_bytes": lambda venue, hex: faults.send_bytes(venue, bytes.fromhex(hex)),  # noqa: A006
    }
