"""What both venues share: their sockets, and the handshake that opens them."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from aiohttp import WSMsgType, web

from arbees_feed.sim.config import Venue
from arbees_feed.sim.faults import FaultState, FrameFault
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.socket import (
    BINARY,
    CLOSE_TIMEOUT_S,
    MAX_COMMAND_SIZE,
    TEXT,
    Socket,
    Writing,
)
from arbees_feed.sim.world import Change, Group, Market

BookFrame = tuple[Socket, bytes]

CONTROL = (WSMsgType.PING, WSMsgType.PONG)
SLOW_CONSUMER = 1013
SLOW_CONSUMER_REASON = "slow consumer: send buffer full"


class Session(Protocol):
    """One client's conversation."""

    socket: Socket
    frozen: bool
    answers: bool
    """Whether a frozen session is still sent the books it asks for."""

    def receive(self, text: str) -> None: ...
    def forget(self) -> None: ...


SessionT = TypeVar("SessionT", bound=Session)


class VenueFeed(ABC, Generic[SessionT]):
    """The WebSocket side of a venue."""

    venue: Venue
    PING_PAYLOAD = b"heartbeat"

    def __init__(self, shared: Shared, faults: FaultState) -> None:
        self.shared = shared
        self.faults = faults
        self.sessions: dict[int, SessionT] = {}
        self.wanted = asyncio.Event()  # somebody has subscribed to something
        self.writing = Writing()
        self.overtaken: dict[str, list[BookFrame]] = {}  # by market: held until the next frame
        self._opened = 0

    @abstractmethod
    def new_session(self, socket: Socket) -> SessionT:
        """Return the conversation for a fresh socket."""

    @abstractmethod
    def publish(self, group: Group) -> None:
        """Tell the subscribers of a market what happened to it."""

    @abstractmethod
    def resync(self, market: Market | None) -> None:
        """Send fresh books to everyone: of one market, or of all."""

    @abstractmethod
    def announce(self, market: Market, *, new_event: bool) -> None:
        """Tell of a new market."""

    @abstractmethod
    def end(self, market: Market) -> None:
        """Begin the end of a market's life: it trades no more."""

    @abstractmethod
    def publish_tops(self) -> None:
        """Send whatever the venue sends on a slower beat than its books."""

    @abstractmethod
    def mislead(self, market: Market, change: Change) -> None:
        """Tell the subscribers of a market of a change that did not happen."""

    @abstractmethod
    def omit(self, market: Market) -> int:
        """Send a market's changes no more to those who have them now; return to how many."""

    @abstractmethod
    def readmit(self, market: Market) -> None:
        """Send a market's changes again to all who want them."""

    @abstractmethod
    def whole_books(self, market: Market) -> list[tuple[Socket, str]]:
        """Return a true book of a market for each subscriber, written and not sent."""

    def is_silent(self, session: Session, market: Market) -> bool:
        """Tell whether a freeze keeps this market's data from this session."""
        return session.frozen or market.id in self.faults.frozen_markets

    def gives_no_answer(self, session: Session, market: Market) -> bool:
        """Tell whether a freeze keeps even the books that this session asks for back."""
        frozen = session.frozen and not session.answers
        return frozen or not self.faults.frozen_markets.get(market.id, True)

    def deliver(
        self, market: Market, frames: Sequence[BookFrame], fault: FrameFault | None
    ) -> None:
        """Send a book frame of a market to its subscribers, or do to it what the fault says."""
        late = self.overtaken.pop(market.id, ()) if self.overtaken else ()
        if fault == "reorder":
            self.overtaken[market.id] = list(frames)
        elif fault != "drop":
            for socket, data in frames:
                socket.send(data)
                if fault == "duplicate":
                    socket.send(data)
        for socket, data in late:
            socket.send(data)

    def next_fault(self, market: Market, change: Change) -> FrameFault | None:
        """Return what befalls the frame of this change; a pair is not swapped twice."""
        if not self.faults.frames or market.id in self.overtaken:
            return None
        best = market.best_bid() if change.side == "bid" else market.best_ask()
        is_deep = change.price < best if change.side == "bid" else change.price > best
        return self.faults.frame_fault(market.id, grows=bool(change.after), is_deep=is_deep)

    def let_go(self, market_id: str) -> None:
        """Send a frame that was to be overtaken, although none came."""
        for socket, data in self.overtaken.pop(market_id, ()):
            socket.send(data)
            socket.flush()

    def refusal(self, request: web.BaseRequest) -> web.Response | None:  # noqa: ARG002 (a hook)
        """Return the answer that refuses a handshake, None to accept it."""
        return None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket from handshake to close."""
        refused = self.faults.refused_handshake(self.venue) or self.refusal(request)
        if refused is not None:
            self.shared.counters[f"{self.venue}_handshakes_refused"] += 1
            return refused
        await self.faults.handshake_due(self.venue)
        ws = web.WebSocketResponse(
            compress=self.shared.config.deflate,
            max_msg_size=MAX_COMMAND_SIZE,
            timeout=CLOSE_TIMEOUT_S,
            # Answered here, so that a socket can be dead.
            autoping=False,
            autoclose=False,
        )
        self._opened += 1
        self.shared.counters[f"{self.venue}_connections"] += 1
        socket = Socket(self._opened, ws, request, self.writing)
        await socket.open()
        socket.is_hole = self.venue in self.faults.holes
        session = self.new_session(socket)
        session.frozen = self.venue in self.faults.frozen_venues
        session.answers = self.faults.frozen_venues.get(self.venue, False)
        self.sessions[socket.number] = session
        try:
            await self._converse(session)
        finally:
            del self.sessions[socket.number]
            session.forget()
        return ws

    async def _converse(self, session: SessionT) -> None:
        socket = session.socket
        async for message in socket.ws:
            if message.type is WSMsgType.PING:
                socket.pong(message.data)
            if message.type in CONTROL or socket.is_hole:
                continue
            socket.touch()
            if message.type is not WSMsgType.TEXT:
                continue
            self.shared.counters[f"{self.venue}_commands"] += 1
            if not self.faults.ignores_command(self.venue):
                session.receive(message.data)
                socket.flush()
        if socket.is_hole:
            await socket.gone()

    def flush(self) -> None:
        """Hand all queued frames to the transports, and drop clients that do not read."""
        limit = self.shared.config.send_buffer_limit
        for session in list(self.sessions.values()):
            session.socket.flush()
            if session.socket.unread > limit:
                self.on_slow_consumer(session)

    def on_slow_consumer(self, session: SessionT) -> None:
        """Drop a client that does not read."""
        self.shared.counters[f"{self.venue}_slow_consumers"] += 1
        session.socket.abort()

    async def drain(self) -> None:
        """Wait until every socket has taken what was sent to it."""
        for session in list(self.sessions.values()):
            await session.socket.drain()

    def ping(self) -> None:
        """Send a WebSocket ping to every client."""
        for session in self.sessions.values():
            session.socket.ping(self.PING_PAYLOAD)

    def broadcast(self, data: bytes, *, binary: bool) -> int:
        """Send any bytes to all sockets; return to how many."""
        for session in self.sessions.values():
            session.socket.send(data, BINARY if binary else TEXT)
            session.socket.flush()
        return len(self.sessions)

    def each(self, act: Callable[[SessionT], None]) -> int:
        """Do something to every session; return to how many."""
        sessions = list(self.sessions.values())
        for session in sessions:
            act(session)
        return len(sessions)
