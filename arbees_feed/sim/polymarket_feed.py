"""Polymarket's market channel: conversations, and what subscribers are sent."""

import asyncio
import json
import random
from collections import deque
from typing import Any

from arbees_feed.sim import polymarket_frames as frames
from arbees_feed.sim.config import POLYMARKET
from arbees_feed.sim.faults import FaultState
from arbees_feed.sim.money import SIZE_SCALE
from arbees_feed.sim.polymarket_books import BookTexts
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.socket import Socket
from arbees_feed.sim.venue import SLOW_CONSUMER, SLOW_CONSUMER_REASON, VenueFeed
from arbees_feed.sim.world import Change, Group, Market, Trade

CUSTOM_KINDS = frozenset(("best_bid_ask", "new_market", "market_resolved"))
NORMAL_CLOSE = 1000
ALL_RESOLVED = "all subscribed assets resolved"
HALF = 5000


class PolymarketSession:
    """One client: its tokens, and whether it wants the custom features."""

    def __init__(self, feed: "PolymarketFeed", socket: Socket) -> None:
        self.socket = socket
        self.frozen = False
        self.answers = False
        self.custom = False
        self.omitted: set[str] = set()
        self.tokens: dict[str, None] = {}
        self._feed = feed
        self._begun = False

    def send_text(self, text: str) -> None:
        """Queue a message."""
        self.socket.send(text.encode())

    def receive(self, text: str) -> None:
        """Answer a frame from the client. There are no acknowledgements, only books and words."""
        if text == "PING":
            self.send_text("PONG")
            return
        command = _parsed(text)
        tokens = command.get("assets_ids", [])
        kind = str(command.get("type", "")).lower()
        operation = command.get("operation")
        if not _is_token_list(tokens):
            self.send_text("INVALID OPERATION")
        elif kind == "market" and not self._begun:
            self._begin(tokens, command)
        elif operation == "subscribe" and self._begun:
            self._subscribe(tokens, command)
        elif operation == "unsubscribe" and self._begun:
            self._unsubscribe(tokens)
        else:
            self.send_text("INVALID OPERATION")

    def forget(self) -> None:
        """Leave all subscriptions: the client has gone."""
        self._unsubscribe(list(self.tokens))

    def _begin(self, tokens: list[str], command: dict[str, Any]) -> None:
        self._begun = True
        self.custom = bool(command.get("custom_feature_enabled", False))
        self._open(list(dict.fromkeys(tokens)), dump=command.get("initial_dump", True))

    def _subscribe(self, tokens: list[str], command: dict[str, Any]) -> None:
        # The venue applies the flag even when it then rejects the tokens as known.
        if "custom_feature_enabled" in command:
            self.custom = bool(command["custom_feature_enabled"])
        new = [token for token in dict.fromkeys(tokens) if token not in self.tokens]
        if new:
            self._open(new, dump=command.get("initial_dump", True))
        else:
            self.send_text("NO NEW ASSETS")

    def _unsubscribe(self, tokens: list[str]) -> None:
        for token in tokens:
            if token in self.tokens:
                del self.tokens[token]
                self._feed.leave(self, token)

    def _open(self, tokens: list[str], *, dump: bool) -> None:
        for token in tokens:
            self.tokens[token] = None
            self._feed.join(self, token)
        markets = (self._feed.market_of(token) for token in tokens)
        self.omitted.difference_update(market.id for market in markets if market is not None)
        if self._feed.is_overloaded(self):
            self.frozen, self.answers = True, False
        elif dump and (self.answers or not self.frozen):
            books = self._feed.opening_books(self, tokens)
            self.send_text(f"[{','.join(books)}]\n")
            self._feed.send_stale_changes(self, tokens)


class PolymarketFeed(VenueFeed[PolymarketSession]):
    """All Polymarket connections."""

    venue = POLYMARKET
    PING_PAYLOAD = b""

    def __init__(self, shared: Shared, faults: FaultState) -> None:
        super().__init__(shared, faults)
        self._markets: dict[str, Market] = {}
        self._texts: dict[str, BookTexts] = {}
        self._subscribers: dict[str, dict[PolymarketSession, None]] = {}
        self._recent: dict[str, deque[bytes]] = {}
        self._random = random.Random(f"polymarket {shared.config.seed}")

    def new_session(self, socket: Socket) -> PolymarketSession:
        """Return a conversation that waits for its first frame."""
        return PolymarketSession(self, socket)

    def learn(self, market: Market) -> None:
        """Make a market known by both of its tokens."""
        self._markets[market.id] = self._markets[market.other_id] = market

    def market_of(self, token: str) -> Market | None:
        """Return the market of a token."""
        return self._markets.get(token)

    def texts(self, market: Market) -> BookTexts:
        """Return the book texts of a market."""
        if market.id not in self._texts:
            self._texts[market.id] = BookTexts(market)
        return self._texts[market.id]

    # What sessions tell.

    def join(self, session: PolymarketSession, token: str) -> None:
        """Send this token's data to the session."""
        self.wanted.set()
        self._subscribers.setdefault(token, {})[session] = None

    def leave(self, session: PolymarketSession, token: str) -> None:
        """Send this token's data no more."""
        self._subscribers[token].pop(session, None)

    def opening_books(self, session: PolymarketSession, tokens: list[str]) -> list[str]:
        """Return the books of the tokens that are live; the others are left out."""
        markets = ((token, self.market_of(token)) for token in tokens)
        return [
            self._opening(market, token)
            for token, market in markets
            if market is not None and market.is_open and not self.gives_no_answer(session, market)
        ]

    def _opening(self, market: Market, token: str) -> str:
        texts = self.texts(market)
        digest = texts.hash(token)
        wrong = self.faults.tells_wrong_hash(market.id)
        return texts.opening(token, _wrong(digest) if wrong else digest)

    def is_overloaded(self, session: PolymarketSession) -> bool:
        """Tell whether a session has more tokens than the venue serves on one socket."""
        limit = self.shared.config.asset_limit
        return limit is not None and len(session.tokens) > limit

    def send_stale_changes(self, session: PolymarketSession, tokens: list[str]) -> None:
        """Send what was still queued: changes that the opening books already contain."""
        markets = [market for token in tokens if (market := self.market_of(token))]
        for market in dict.fromkeys(markets):
            for data in self._recent.get(market.id, ()):
                session.socket.send(data)

    def cut_idle(self) -> None:
        """Cut sockets on which nothing has happened for long, without a close frame."""
        now_s = asyncio.get_running_loop().time()
        for session in list(self.sessions.values()):
            idle_s = now_s - session.socket.active_s
            if idle_s > self.shared.config.idle_timeout_s and not session.socket.is_hole:
                self.shared.counters["polymarket_idle_cuts"] += 1
                session.socket.abort()

    # What the world tells.

    def publish(self, group: Group) -> None:
        """Send a group's changes; after a trade also both books, and later the trade itself."""
        market = group.market
        texts = self._texts.get(market.id)
        if texts is not None:
            for change in group.changes:
                texts.update(change)
        sessions = self._sessions_of(market)
        if not sessions:
            return
        texts = self.texts(market)
        hashes = texts.hash(market.id), texts.hash(market.other_id)
        self._send_changes(group, hashes, sessions)
        if group.old_grid is not None:
            self._send_tick(group, sessions)
        if group.trade is not None:
            self._send_books(texts, hashes)
            self._send_trade_later(market, group.trade)
        self._send_top(texts)

    def relay(self, kind: str, market: Market, text: str) -> None:
        """Pass on a recorded frame as it was."""
        self._texts.pop(market.id, None)
        data = text.encode()
        for session in self._sessions_of(market):
            if session.custom or kind not in CUSTOM_KINDS:
                session.socket.send(data)

    def publish_tops(self) -> None:
        """Polymarket has nothing on a slower beat."""

    def announce(self, market: Market, *, new_event: bool) -> None:  # noqa: ARG002 (no event news)
        """Tell everyone with the custom features of a new market."""
        self.learn(market)
        text = frames.new_market(market, self.shared.venue_ms(POLYMARKET))
        for session in self.sessions.values():
            if session.custom and not session.frozen:
                session.send_text(text)
        self.flush()

    def end(self, market: Market) -> None:
        """The books are empty now; the outcome follows."""
        self.shared.later(self.shared.config.settle_delay_s, lambda: self._resolve(market))

    def resync(self, market: Market | None) -> None:
        """Send fresh books, as after a trade."""
        markets = [market] if market else list(dict.fromkeys(self._markets.values()))
        for one in markets:
            if self._sessions_of(one):
                texts = self.texts(one)
                self._send_books(texts, (texts.hash(one.id), texts.hash(one.other_id)))
        self.flush()

    def mislead(self, market: Market, change: Change) -> None:
        """Send a change that did not happen, with the hash and the best prices of the truth."""
        texts = self.texts(market)
        hashes = texts.hash(market.id), texts.hash(market.other_id)
        group = Group(market, market.ts_ms, [change])
        self._send_changes(group, hashes, self._sessions_of(market))
        self.flush()

    def omit(self, market: Market) -> int:
        """Send nothing more of this market to those who are subscribed to it now."""
        sessions = self._sessions_of(market)
        for session in sessions:
            session.omitted.add(market.id)
        return len(sessions)

    def readmit(self, market: Market) -> None:
        """Send this market's data again to all who want it."""
        for session in self.sessions.values():
            session.omitted.discard(market.id)

    def whole_books(self, market: Market) -> list[tuple[Socket, str]]:
        """Return the YES book for each subscriber, as after a trade."""
        texts = self.texts(market)
        text = texts.midstream(market.id, texts.hash(market.id))
        return [(session.socket, text) for session in self._listeners(market, market.id)]

    def on_slow_consumer(self, session: PolymarketSession) -> None:
        """Close with 1013: the client reads too slowly."""
        if session.frozen:
            return
        session.frozen = True  # nothing more for this one
        self.shared.counters["polymarket_slow_consumers"] += 1
        self.shared.spawn(session.socket.close(SLOW_CONSUMER, SLOW_CONSUMER_REASON))

    def _sessions_of(self, market: Market) -> list[PolymarketSession]:
        yes = self._subscribers.get(market.id, {})
        no = self._subscribers.get(market.other_id, {})
        return [s for s in yes | no if not self._hears_nothing(s, market)]

    def _send_changes(
        self, group: Group, hashes: tuple[str, str], sessions: list[PolymarketSession]
    ) -> None:
        """Send every change; all of one venue time carry the hash and the top after the last."""
        best = frames.best_prices(group.market)
        for change in group.changes:
            self._send_change(group, change, (hashes, best), sessions)

    def _send_change(
        self,
        group: Group,
        change: Change,
        stated: tuple[frames.Pair, tuple[frames.Pair, frames.Pair]],
        sessions: list[PolymarketSession],
    ) -> None:
        market = group.market
        fault = self.next_fault(market, change)
        if fault == "corrupt":
            change = change._replace(after=change.after + SIZE_SCALE)
        hashes, best = stated
        if self.faults.tells_wrong_hash(market.id):
            hashes = _wrong(hashes[0]), _wrong(hashes[1])
        data = frames.price_change(group, change, hashes, best).encode()
        is_doubled = self._random.random() < self.shared.config.duplicate_share
        if fault == "omit":
            return
        self._remember(market, data)
        told = [(session.socket, data) for session in sessions]
        self.deliver(market, told, fault)
        if is_doubled and fault is None:
            self.deliver(market, told, None)

    def _remember(self, market: Market, data: bytes) -> None:
        kept = self.shared.config.stale_changes
        if kept:
            self._recent.setdefault(market.id, deque(maxlen=kept)).append(data)

    def _send_tick(self, group: Group, sessions: list[PolymarketSession]) -> None:
        market = group.market
        old = group.old_grid.tick_text if group.old_grid else ""
        for token in (market.id, market.other_id):
            text = frames.tick_size_change(market, token, old, group.ts_ms)
            for session in sessions:
                if token in session.tokens:
                    session.send_text(text)

    def _send_books(self, texts: BookTexts, hashes: tuple[str, str]) -> None:
        market = texts.market
        if self.faults.tells_wrong_hash(market.id):
            hashes = _wrong(hashes[0]), _wrong(hashes[1])
        for token, digest in zip((market.id, market.other_id), hashes, strict=True):
            data = texts.midstream(token, digest).encode()
            for session in self._listeners(market, token):
                session.socket.send(data)

    def _send_trade_later(self, market: Market, trade: Trade) -> None:
        delay_ms = self._random.randint(*self.shared.config.trade_delay_ms)
        token = market.other_id if trade.on_no_token else market.id

        def send() -> None:
            text = frames.last_trade_price(market, trade, trade.ts_ms + delay_ms)
            for session in self._listeners(market, token):
                session.send_text(text)
                session.socket.flush()

        self.shared.later(delay_ms / 1000, send)

    def _send_top(self, texts: BookTexts) -> None:
        market = texts.market
        top = market.top()
        if (top[0], top[2]) == (texts.announced_top[0], texts.announced_top[2]):
            return
        texts.announced_top = top
        for token in (market.id, market.other_id):
            for session in self._listeners(market, token):
                if session.custom:
                    session.send_text(frames.best_bid_ask(market, token))

    def _listeners(self, market: Market, token: str) -> list[PolymarketSession]:
        sessions = self._subscribers.get(token, ())
        return [session for session in sessions if not self._hears_nothing(session, market)]

    def _hears_nothing(self, session: PolymarketSession, market: Market) -> bool:
        return market.id in session.omitted or self.is_silent(session, market)

    def _resolve(self, market: Market) -> None:
        market.status = "finalized"
        market.result = "yes" if market.value > HALF else "no"
        text = frames.market_resolved(market, self.shared.venue_ms(POLYMARKET))
        for session in self._sessions_of(market):
            if session.custom:
                session.send_text(text)
            if self._all_resolved(session):
                self.shared.spawn(session.socket.close(NORMAL_CLOSE, ALL_RESOLVED))
        self.flush()

    def _all_resolved(self, session: PolymarketSession) -> bool:
        markets = [market for token in session.tokens if (market := self.market_of(token))]
        return all(market.status == "finalized" for market in markets)


def _wrong(digest: str) -> str:
    """Return another hash than the true one."""
    return digest[20:] + digest[:20]


def _parsed(text: str) -> dict[str, Any]:
    try:
        command = json.loads(text)
    except ValueError:
        return {}
    return command if isinstance(command, dict) else {}


def _is_token_list(tokens: object) -> bool:
    return isinstance(tokens, list) and all(isinstance(token, str) for token in tokens)
