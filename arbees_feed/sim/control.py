"""Making things go wrong, from a test or over HTTP."""

import inspect
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from arbees_feed.sim.config import VENUES, Venue
from arbees_feed.sim.faults import FaultState, HandshakeRefusal, RestFault, retry_after
from arbees_feed.sim.kalshi_feed import KalshiFeed
from arbees_feed.sim.polymarket_feed import PolymarketFeed
from arbees_feed.sim.rest import Json
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.world import Market, World

Feed = KalshiFeed | PolymarketFeed

HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"
ENDLESS = 1_000_000_000


class Port(Protocol):
    """A port that can be deaf for a while."""

    port: int

    async def listen(self) -> None: ...
    async def stop_listening(self) -> None: ...


class Faults:
    """The switches. Each use is counted under `fault_…` in the simulation's counters."""

    def __init__(
        self,
        state: FaultState,
        feeds: Mapping[Venue, Feed],
        ports: Mapping[Venue, Port],
        shared: Shared,
    ) -> None:
        self._state = state
        self._feeds = feeds
        self._ports = ports
        self._shared = shared

    # Frames.

    def drop_frames(self, market: str, count: int = 1) -> None:
        """Lose the next book frames of a market; on Kalshi their `seq` is used up."""
        self._state.drops[market] += count

    def duplicate_frames(self, market: str, count: int = 1) -> None:
        """Send the next book frames of a market twice."""
        self._state.duplicates[market] += count

    def send_text(self, venue: Venue, text: str) -> int:
        """Send any text to all sockets of a venue; return to how many."""
        self._count("sent_texts")
        return self._feeds[venue].broadcast(text.encode(), binary=False)

    def send_bytes(self, venue: Venue, data: bytes) -> int:
        """Send any bytes as a binary message to all sockets of a venue; return to how many."""
        self._count("sent_bytes")
        return self._feeds[venue].broadcast(data, binary=True)

    def end_subscriptions(self, code: int = 25) -> int:
        """End Kalshi's book subscriptions with a terminal error (10 or 25); return how many."""
        self._count("ended_subscriptions")
        feed = self._feeds["kalshi"]
        return feed.end_subscriptions(code) if isinstance(feed, KalshiFeed) else 0

    def ignore_commands(self, venue: Venue, count: int = 1) -> None:
        """Neither carry out nor answer the next frames from clients (also no PONG)."""
        self._state.ignored_commands[venue] += count

    def fail_commands(self, code: int = 27, count: int = 1) -> None:
        """Answer the next Kalshi commands with an error, such as 18 or 27."""
        self._state.failing_commands[code] += count

    # Silence.

    def freeze(
        self,
        venue: Venue | None = None,
        market: str | None = None,
        *,
        new_sockets: bool = True,
    ) -> None:
        """Send no data of a venue or of one market. Sockets, pings and acknowledgements go on.

        With `new_sockets=False` a client mends it by connecting anew.
        """
        self._count("freezes")
        if market is not None:
            self._state.frozen_markets.add(market)
        for name in _venues(venue, market):
            self._feeds[name].each(_freeze)
            if new_sockets:
                self._state.frozen_venues.add(name)

    def thaw(self, venue: Venue | None = None, market: str | None = None) -> None:
        """End a freeze: send data again, beginning with fresh books."""
        if market is not None:
            self._state.frozen_markets.discard(market)
            found = self._shared.world.market(market)
            self._feeds[found.venue].resync(found)
        for name in _venues(venue, market):
            self._state.frozen_venues.discard(name)
            self._feeds[name].each(_thaw)
            self._feeds[name].resync(None)

    # Connections.

    def close_sockets(self, venue: Venue, code: int = 1001, reason: str = "") -> int:
        """Close all sockets of a venue with a close frame; return how many."""
        self._count("closed_sockets")
        return self._feeds[venue].each(
            lambda session: self._shared.spawn(session.socket.close(code, reason))
        )

    def abort_sockets(self, venue: Venue) -> int:
        """Cut all sockets of a venue without a word; return how many."""
        self._count("aborted_sockets")
        return self._feeds[venue].each(lambda session: session.socket.abort())

    def refuse_handshakes(
        self,
        venue: Venue,
        status: int = 503,
        *,
        retry_after_s: float | None = None,
        as_date: bool = False,
        for_s: float | None = None,
        count: int | None = None,
    ) -> None:
        """Refuse WebSocket handshakes for a time, or a number of them, or until `clear`."""
        now_ms = self._shared.clock_ms()
        self._state.handshakes[venue] = HandshakeRefusal(
            status=status,
            headers=retry_after(retry_after_s, as_date=as_date, now_ms=now_ms),
            until_ms=None if for_s is None else now_ms + int(for_s * 1000),
            left=count,
        )

    async def stop_accepting(self, venue: Venue) -> None:
        """Refuse TCP connections; open ones live on."""
        self._count("stopped_accepting")
        await self._ports[venue].stop_listening()

    async def start_accepting(self, venue: Venue) -> None:
        """Accept TCP connections again, on the same port."""
        await self._ports[venue].listen()

    # REST.

    def delay_rest(
        self, venue: Venue, seconds: float, *, prefix: str = "/", count: int = ENDLESS
    ) -> None:
        """Hold back the answers to requests whose path begins with *prefix*."""
        self._state.rest.append(RestFault(venue, prefix, count, delay_s=seconds))

    def fail_rest(
        self,
        venue: Venue,
        status: int = 500,
        *,
        prefix: str = "/",
        count: int = ENDLESS,
        retry_after_s: float | None = None,
        as_date: bool = False,
    ) -> None:
        """Answer with an error and the venue's error body."""
        now_ms = self._shared.clock_ms()
        headers = retry_after(retry_after_s, as_date=as_date, now_ms=now_ms)
        message = "too many requests" if status == web.HTTPTooManyRequests.status_code else "error"
        fault = RestFault(
            venue,
            prefix,
            count,
            status=status,
            headers=headers,
            body=json.dumps({"error": message}),
        )
        self._state.rest.append(fault)

    def html_rest(
        self, venue: Venue, status: int = 502, *, prefix: str = "/", count: int = ENDLESS
    ) -> None:
        """Answer with a page of HTML, as a CDN does."""
        fault = RestFault(venue, prefix, count, status=status, body=HTML, content_type="text/html")
        self._state.rest.append(fault)

    def lose_answers(self, venue: Venue, *, prefix: str = "/", count: int = 1) -> None:
        """Carry requests out, and cut their connections before they are answered."""
        self._state.rest.append(RestFault(venue, prefix, count, lost=True))

    def clear(self) -> None:
        """End every fault, except that closed sockets stay closed and ports stay as they are."""
        state = self._state
        state.drops.clear()
        state.duplicates.clear()
        state.ignored_commands.clear()
        state.failing_commands.clear()
        state.handshakes.clear()
        state.rest.clear()
        for market in list(state.frozen_markets):
            self.thaw(market=market)
        for venue in VENUES:
            self.thaw(venue)

    def _count(self, name: str) -> None:
        self._shared.counters[f"fault_{name}"] += 1


def _venues(venue: Venue | None, market: str | None) -> tuple[Venue, ...]:
    """Return the venues meant: the named one; both when nothing is named."""
    if venue is not None:
        return (venue,)
    return VENUES if market is None else ()


def _freeze(session: Any) -> None:
    session.frozen = True


def _thaw(session: Any) -> None:
    session.frozen = False


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

    return [web.get("/sim/state", state), web.post("/sim/{action}", act)]


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


async def _act(sim: Controlled, request: web.Request) -> web.Response:
    action = _actions(sim).get(request.match_info["action"])
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


def _actions(sim: Controlled) -> dict[str, Callable[..., Any]]:
    faults = sim.faults
    actions: tuple[Callable[..., Any], ...] = (
        sim.pause, sim.resume, sim.drained, sim.step, sim.open_market, sim.close_market,
        faults.drop_frames, faults.duplicate_frames, faults.send_text, faults.end_subscriptions,
        faults.ignore_commands, faults.fail_commands,
        faults.freeze, faults.thaw, faults.close_sockets, faults.abort_sockets,
        faults.refuse_handshakes, faults.stop_accepting, faults.start_accepting,
        faults.delay_rest, faults.fail_rest, faults.html_rest, faults.lose_answers,
        faults.clear,
    )  # fmt: skip
    return {action.__name__: action for action in actions} | {
        "send_bytes": lambda venue, hex: faults.send_bytes(venue, bytes.fromhex(hex)),  # noqa: A006
    }
