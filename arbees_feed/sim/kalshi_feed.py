"""Kalshi's WebSocket side: who is subscribed to what, and what they are sent."""

import random
from collections.abc import Iterable

from aiohttp import web

from arbees_feed.sim import kalshi_frames as frames
from arbees_feed.sim.config import KALSHI
from arbees_feed.sim.credentials import Refusal
from arbees_feed.sim.faults import CommandFault, FaultState
from arbees_feed.sim.kalshi_session import (
    BOOK,
    LIFECYCLE,
    TICKER,
    TRADE,
    KalshiSession,
    Subscription,
)
from arbees_feed.sim.money import SIZE_SCALE
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.socket import Socket
from arbees_feed.sim.venue import BookFrame, VenueFeed
from arbees_feed.sim.world import Change, Event, Group, Market

SECOND_CLEARING_SHARE = 0.6
BUFFER_OVERFLOW = 25


class KalshiFeed(VenueFeed[KalshiSession]):
    """All Kalshi connections."""

    venue = KALSHI

    def __init__(self, shared: Shared, faults: FaultState) -> None:
        super().__init__(shared, faults)
        self._books: dict[str, list[Subscription]] = {}
        self._channels: dict[str, list[Subscription]] = {TICKER: [], TRADE: [], LIFECYCLE: []}
        self._dirty: dict[str, Market] = {}
        self._random = random.Random(f"kalshi {shared.config.seed}")

    def new_session(self, socket: Socket) -> KalshiSession:
        """Return a conversation without subscriptions."""
        return KalshiSession(self.shared, self, socket)

    def refusal(self, request: web.BaseRequest) -> web.Response | None:
        """Refuse a handshake that is not signed."""
        try:
            self.shared.keyring.check("GET", request.path, request.headers)
        except Refusal as exc:
            body = {"code": exc.code, "message": str(exc)}
            return web.json_response(body, status=web.HTTPUnauthorized.status_code)
        return None

    # What sessions tell.

    def command_fault(self) -> CommandFault | None:
        """Return the error that a fault wants the next command to get."""
        return self.faults.command_fault()

    def add(self, subscription: Subscription) -> None:
        """Take in a subscription."""
        if subscription.channel in self._channels:
            self._channels[subscription.channel].append(subscription)
        if subscription.channel == BOOK:
            self.join(subscription, subscription.tickers or ())

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        if subscription.channel in self._channels:
            self._channels[subscription.channel].remove(subscription)
        self.leave(subscription, subscription.tickers or ())

    def join(self, subscription: Subscription, tickers: Iterable[str]) -> None:
        """Send the deltas of these markets to the subscription from now on."""
        self.wanted.set()
        if subscription.channel == BOOK:
            for ticker in tickers:
                self._books.setdefault(ticker, []).append(subscription)

    def leave(self, subscription: Subscription, tickers: Iterable[str]) -> None:
        """Send the deltas of these markets no more."""
        if subscription.channel == BOOK:
            for ticker in tickers:
                self._books[ticker].remove(subscription)

    # What the world tells.

    def publish(self, group: Group) -> None:
        """Send the deltas of a group, then its trade."""
        market = group.market
        self._dirty[market.id] = market
        if self._books.get(market.id):
            for change in group.changes:
                self._send_delta(group, change)
        if group.trade is not None:
            body = frames.trade_body(market, group.trade)
            for subscription in self._listeners(TRADE, market):
                subscription.send("trade", body)

    def relay(self, kind: str, market: Market, body: str) -> None:
        """Pass on a recorded message, its `msg` as it was, in this subscription's own sequence."""
        if kind == "ticker":
            for subscription in self._listeners(TICKER, market):
                self._send_ticker_body(subscription, body)
        elif kind == "trade":
            for subscription in self._listeners(TRADE, market):
                subscription.send(kind, body)
        elif kind.startswith("orderbook_"):
            for subscription in self._hearers(market):
                subscription.send(kind, body)
        else:
            self._send_lifecycle(kind, body)

    def publish_tops(self) -> None:
        """Send a ticker for each market that changed since the last beat."""
        dirty, self._dirty = self._dirty, {}
        if not self._channels[TICKER]:
            return
        for market in dirty.values():
            for subscription in self._listeners(TICKER, market):
                self.send_ticker(subscription, market)

    def send_ticker(self, subscription: Subscription, market: Market) -> None:
        """Send one ticker. It has no sequence number."""
        if not self.is_silent(subscription.session, market):
            self._send_ticker_body(subscription, frames.ticker_body(market))

    def announce(self, market: Market, *, new_event: bool) -> None:
        """Tell of a new market, after its event if that is new."""
        if new_event:
            self._send_lifecycle("event_lifecycle", frames.event_body(market.event))
        self._send_lifecycle("market_lifecycle_v2", frames.created_body(market))

    def tell_fees(self, event: Event) -> None:
        """Tell that an event's fees are others now."""
        self._send_lifecycle("event_fee_update", frames.fees_body(event))

    def end(self, market: Market) -> None:
        """Clear the book with an empty snapshot, often twice, then settle."""
        self._send_snapshots(market)
        self._dirty[market.id] = market
        delay_s = self.shared.config.settle_delay_s
        if self._random.random() < SECOND_CLEARING_SHARE:
            self.shared.later(delay_s / 2, lambda: self._send_snapshots(market))
        self.shared.later(delay_s, lambda: self._determine(market))
        self.shared.later(2 * delay_s, lambda: self._settle(market))

    def resync(self, market: Market | None) -> None:
        """Send fresh snapshots, in sequence."""
        markets = [market] if market else list(self.shared.world.markets(KALSHI))
        for one in markets:
            self._send_snapshots(one)
            if one.is_open:
                self._dirty[one.id] = one
        self.flush()

    def end_subscriptions(self, code: int) -> int:
        """End every subscription to books with a terminal error."""
        ended = {s for subscribers in self._books.values() for s in subscribers}
        for subscription in sorted(ended, key=lambda s: s.sid):
            subscription.session.end_subscription(subscription, code)
        self.flush()
        return len(ended)

    def reset_sequences(self) -> int:
        """Let every subscription count from 1 again; return how many."""
        subscriptions = [s for session in self.sessions.values() for s in session.subscriptions]
        for subscription in subscriptions:
            subscription.seq = 0
        return len(subscriptions)

    def mislead(self, market: Market, change: Change) -> None:
        """Send the delta of a change that did not happen."""
        self._send_delta(Group(market, market.ts_ms, [change]), change)
        self.flush()

    def omit(self, market: Market) -> int:
        """Send this market's deltas no more to the present subscriptions; return to how many."""
        subscriptions = self._books.get(market.id, [])
        for subscription in subscriptions:
            subscription.omitted.add(market.id)
        return len(subscriptions)

    def readmit(self, market: Market) -> None:
        """Send this market's deltas again to all who want them."""
        for subscription in self._books.get(market.id, ()):
            subscription.omitted.discard(market.id)

    def whole_books(self, market: Market) -> list[tuple[Socket, str]]:
        """Return a snapshot for each subscription, in its sequence."""
        return [
            (
                subscription.session.socket,
                subscription.written(
                    "orderbook_snapshot",
                    frames.snapshot_body(market, use_yes_price=subscription.use_yes_price),
                ),
            )
            for subscription in self._books.get(market.id, ())
        ]

    def on_slow_consumer(self, session: KalshiSession) -> None:
        """End the books of a slow client with error 25; drop it if even more piles up."""
        books = [s for s in session.subscriptions if s.channel == BOOK]
        if books:
            self.shared.counters["kalshi_slow_consumers"] += 1
            session.unread_at_overflow = session.socket.unread
            for subscription in books:
                session.end_subscription(subscription, BUFFER_OVERFLOW)
        elif session.socket.unread > 2 * session.unread_at_overflow:
            super().on_slow_consumer(session)

    def _send_ticker_body(self, subscription: Subscription, body: str) -> None:
        subscription.session.send_text(
            f'{{"type":"ticker","sid":{subscription.sid},'
            f'"sending_ts_ms":{self.shared.venue_ms(KALSHI)},"msg":{body}}}'
        )

    def _determine(self, market: Market) -> None:
        market.status, market.updated_ms = "determined", self.shared.venue_ms(KALSHI)
        market.result = "yes" if market.value > 5000 else "no"  # noqa: PLR2004 (half a dollar)
        body = frames.lifecycle_body(
            market,
            "determined",
            determination_ts=self.shared.venue_ms(KALSHI) // 1000,
            result=market.result,
            settlement_value="1.0000" if market.result == "yes" else "0.0000",
        )
        self._send_lifecycle("market_lifecycle_v2", body)

    def _settle(self, market: Market) -> None:
        market.status, market.updated_ms = "finalized", self.shared.venue_ms(KALSHI)
        body = frames.lifecycle_body(market, "settled", settled_ts=market.updated_ms // 1000)
        self._send_lifecycle("market_lifecycle_v2", body)

    def _send_lifecycle(self, kind: str, body: str) -> None:
        for subscription in self._channels[LIFECYCLE]:
            if not subscription.session.frozen:
                subscription.send(kind, body)
        self.flush()

    def _send_snapshots(self, market: Market) -> None:
        for subscription in self._hearers(market):
            subscription.session.send_snapshots(subscription, (market.id,))

    def _hearers(self, market: Market) -> list[Subscription]:
        """Return the subscriptions that are sent this market's book as it changes."""
        return [
            subscription
            for subscription in self._books.get(market.id, ())
            if market.id not in subscription.omitted
            and not self.is_silent(subscription.session, market)
        ]

    def _listeners(self, channel: str, market: Market) -> Iterable[Subscription]:
        return [
            subscription
            for subscription in self._channels[channel]
            if subscription.covers(market.id) and not self.is_silent(subscription.session, market)
        ]

    def _send_delta(self, group: Group, change: Change) -> None:
        market = group.market
        hearers = self._hearers(market)
        if not hearers:
            return
        fault = self.next_fault(market, change)
        if fault == "corrupt":
            change = change._replace(after=change.after + SIZE_SCALE)
        elif fault == "omit":
            return
        bodies: dict[bool, str] = {}
        written: list[BookFrame] = []
        for subscription in hearers:
            scale = subscription.use_yes_price
            if scale not in bodies:
                bodies[scale] = frames.delta_body(group, change, use_yes_price=scale)
            text = subscription.written("orderbook_delta", bodies[scale])
            written.append((subscription.session.socket, text.encode()))
        self.deliver(market, written, fault)
