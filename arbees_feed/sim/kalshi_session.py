"""One Kalshi WebSocket connection: its commands, its subscriptions, its sequence numbers."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from arbees_feed.sim.config import KALSHI
from arbees_feed.sim.faults import CommandFault
from arbees_feed.sim.kalshi_errors import (
    ACTION_NEEDED,
    BAD_JSON,
    CHANNELS_NEEDED,
    ERROR_TEXTS,
    INVALID,
    MARKET_LIMIT,
    ONE_SID,
    PARAMS,
    SIDS_NEEDED,
    TICKER_NEEDED,
    UNKNOWN_CHANNEL,
    UNKNOWN_COMMAND,
    UNKNOWN_SID,
    UNSUPPORTED_ACTION,
)
from arbees_feed.sim.kalshi_frames import compact, snapshot_body
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.socket import Socket
from arbees_feed.sim.world import Market

Json = dict[str, Any]

BOOK, TICKER, TRADE, LIFECYCLE = "orderbook_delta", "ticker", "trade", "market_lifecycle_v2"
QUIET_CHANNELS = frozenset(
    (
        "fill", "market_positions", "multivariate_market_lifecycle", "communications",
        "order_group_updates", "user_orders",
    )
)  # fmt: skip
CHANNELS = frozenset((BOOK, TICKER, TRADE, LIFECYCLE)) | QUIET_CHANNELS


class CommandError(Exception):
    """A command cannot be carried out."""

    def __init__(self, code: int, subscription: "Subscription | None" = None) -> None:
        super().__init__(ERROR_TEXTS.get(code, ""))
        self.code = code
        self.subscription = subscription


class SubscriptionIndex(Protocol):
    """Who wants what, over all connections."""

    def join(self, subscription: "Subscription", tickers: Iterable[str]) -> None: ...
    def leave(self, subscription: "Subscription", tickers: Iterable[str]) -> None: ...
    def add(self, subscription: "Subscription") -> None: ...
    def remove(self, subscription: "Subscription") -> None: ...
    def send_ticker(self, subscription: "Subscription", market: Market) -> None: ...
    def command_fault(self) -> CommandFault | None: ...
    def gives_no_answer(self, session: "KalshiSession", market: Market) -> bool: ...


@dataclass(slots=True, eq=False)
class Subscription:
    """One sid: a channel, its markets (None: all of them) and its counter."""

    session: "KalshiSession"
    sid: int
    channel: str
    tickers: dict[str, None] | None
    use_yes_price: bool
    skip_ack: bool = False
    seq: int = 0
    omitted: set[str] = field(default_factory=set)
    """Markets of this subscription whose changes do not come: a fault."""

    def send(self, kind: str, body: str, ident: int | None = None) -> None:
        """Send a message in sequence."""
        self.session.send_text(self.written(kind, body, ident))

    def written(self, kind: str, body: str, ident: int | None = None) -> str:
        """Return the next message of the sequence."""
        self.seq += 1
        return (
            f'{{"type":"{kind}",{_id(ident)}"sid":{self.sid},"seq":{self.seq},'
            f'"sending_ts_ms":{self.session.now_ms()},"msg":{body}}}'
        )

    def covers(self, ticker: str) -> bool:
        """Tell whether the subscription names this market, or all."""
        return self.tickers is None or ticker in self.tickers


class KalshiSession:
    """What one client has asked for."""

    def __init__(self, shared: Shared, index: SubscriptionIndex, socket: Socket) -> None:
        self.socket = socket
        self.frozen = False
        self.answers = False
        self.unread_at_overflow = 0
        self._shared = shared
        self._index = index
        self._next_sid = 1
        self._is_mute = False
        self._by_sid: dict[int, Subscription] = {}
        self._by_channel: dict[str, Subscription] = {}
        self._commands: dict[str, Callable[[int | None, Json], None]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "update_subscription": self._update,
        }

    @property
    def subscriptions(self) -> list[Subscription]:
        """Return the live subscriptions."""
        return list(self._by_sid.values())

    def now_ms(self) -> int:
        """Return the venue's time."""
        return self._shared.venue_ms(KALSHI)

    def send_text(self, text: str) -> None:
        """Queue a message."""
        self.socket.send(text.encode())

    def receive(self, text: str) -> None:
        """Carry out a command."""
        ident: int | None = None
        try:
            command = _parsed(text)
            ident = command.get("id")
            self._run(ident if isinstance(ident, int) and ident else None, command)
        except CommandError as exc:
            self._refuse(ident or None, exc)

    def forget(self) -> None:
        """Take all subscriptions out of the index: the client has gone."""
        for subscription in self.subscriptions:
            self._drop(subscription)

    def end_subscription(self, subscription: Subscription, code: int) -> None:
        """End a subscription with a terminal error, as the venue does with 10 and 25."""
        subscription.send("error", compact({"code": code, "msg": ERROR_TEXTS.get(code, "")}))
        self._drop(subscription)

    def send_snapshots(
        self, subscription: Subscription, tickers: Iterable[str], ident: int | None = None
    ) -> None:
        """Send the books of the known markets among *tickers*."""
        for ticker in tickers:
            market = self._shared.world.find(ticker)
            if market is None or self._keeps_quiet(market):
                continue
            body = snapshot_body(market, use_yes_price=subscription.use_yes_price)
            subscription.send("orderbook_snapshot", body, ident)

    def _keeps_quiet(self, market: Market) -> bool:
        """A recorded market has no book before its first recorded frame."""
        return market.status == "initialized" or self._index.gives_no_answer(self, market)

    def _run(self, ident: int | None, command: Json) -> None:
        fault = self._index.command_fault()
        if fault is None:
            self._carry_out(ident, command)
            return
        if fault.carried_out:
            self._is_mute = True
            try:
                self._carry_out(ident, command)
            finally:
                self._is_mute = False
        raise CommandError(fault.code)

    def _carry_out(self, ident: int | None, command: Json) -> None:
        name = command.get("cmd")
        if name == "list_subscriptions":
            self._list(ident)
            return
        handler = self._commands.get(name) if isinstance(name, str) else None
        if handler is None:
            raise CommandError(UNKNOWN_COMMAND)
        params = command.get("params")
        if not isinstance(params, dict):
            raise CommandError(PARAMS)
        handler(ident, params)

    def _list(self, ident: int | None) -> None:
        listed = [{"channel": s.channel, "sid": s.sid} for s in self._by_sid.values()]
        self._reply("ok", ident, compact(listed))

    def _subscribe(self, ident: int | None, params: Json) -> None:
        channels = params.get("channels")
        if not channels:
            raise CommandError(CHANNELS_NEEDED)
        if not isinstance(channels, list):
            raise CommandError(INVALID)
        tickers = self._named(params)
        for channel in channels:
            # Each channel is answered for itself, the unknown ones with error 8.
            try:
                self._open(ident, channel, tickers, params)
            except CommandError as exc:
                self._refuse(ident, exc)

    def _named(self, params: Json) -> list[str] | None:
        """Return the named tickers; the ticker channel may name markets by their UUIDs."""
        ids = params.get("market_ids", [params["market_id"]] if "market_id" in params else None)
        if ids is None:
            return _tickers(params)
        if not isinstance(ids, list):
            raise CommandError(INVALID)
        wanted = set(map(str, ids))
        return [m.id for m in self._shared.world.markets(KALSHI) if m.other_id in wanted]

    def _open(
        self, ident: int | None, channel: object, tickers: list[str] | None, params: Json
    ) -> None:
        if not isinstance(channel, str) or channel not in CHANNELS:
            raise CommandError(UNKNOWN_CHANNEL)
        if channel == BOOK and not tickers:
            raise CommandError(TICKER_NEEDED)
        known = self._by_channel.get(channel)
        if known is not None:
            self._merge(ident, known, tickers, params)
            return
        subscription = Subscription(
            session=self,
            sid=self._next_sid,
            channel=channel,
            tickers={} if tickers else None,
            use_yes_price=bool(params.get("use_yes_price", False)),
            skip_ack=bool(params.get("skip_ticker_ack", False)),
        )
        self._check_limit(subscription, tickers or ())
        self._next_sid += 1
        self._by_sid[subscription.sid] = self._by_channel[channel] = subscription
        self._index.add(subscription)
        self._reply("subscribed", ident, compact({"channel": channel, "sid": subscription.sid}))
        self._start(subscription, self._joined(subscription, tickers), params)

    def _merge(
        self, ident: int | None, subscription: Subscription, tickers: list[str] | None, params: Json
    ) -> None:
        """Add to an open channel: answered by `ok`, and nothing for markets already there."""
        self._check_limit(subscription, tickers or ())
        if not tickers and subscription.tickers is not None:
            self._index.remove(subscription)
            subscription.tickers = None
            self._index.add(subscription)
        new = self._joined(subscription, tickers)
        self._acknowledge(ident, subscription, params)
        self._start(subscription, new, params)

    def _joined(self, subscription: Subscription, tickers: list[str] | None) -> list[str]:
        """Add the known and new ones of *tickers*; return them."""
        if subscription.tickers is None:
            return []
        find = self._shared.world.find
        known = dict.fromkeys(t for t in tickers or () if find(t) is not None)
        new = [ticker for ticker in known if ticker not in subscription.tickers]
        subscription.tickers.update(dict.fromkeys(new))
        subscription.omitted.difference_update(new)
        self._index.join(subscription, new)
        return new

    def _start(self, subscription: Subscription, new: list[str], params: Json) -> None:
        if subscription.channel == BOOK:
            self.send_snapshots(subscription, new)
        elif subscription.channel == TICKER and params.get("send_initial_snapshot"):
            for ticker in new:
                self._index.send_ticker(subscription, self._shared.world.market(ticker))

    def _check_limit(self, subscription: Subscription, more: Iterable[str]) -> None:
        limit = self._shared.config.market_limit
        if limit is not None and len((subscription.tickers or {}) | dict.fromkeys(more)) > limit:
            open_one = subscription if subscription.sid in self._by_sid else None
            raise CommandError(MARKET_LIMIT, open_one)

    def _unsubscribe(self, ident: int | None, params: Json) -> None:
        sids = params.get("sids") or ([params["sid"]] if "sid" in params else [])
        if not sids:
            raise CommandError(SIDS_NEEDED)
        if not isinstance(sids, list):
            raise CommandError(INVALID)
        for sid in sids:
            subscription = self._by_sid.get(sid) if isinstance(sid, int) else None
            if subscription is None:
                self._refuse(ident, CommandError(UNKNOWN_SID))
                continue
            subscription.seq += 1
            if not self._is_mute:
                self.send_text(
                    f'{{{_id(ident)}"sid":{sid},"seq":{subscription.seq},"type":"unsubscribed",'
                    f'"sending_ts_ms":{self.now_ms()}}}'
                )
            self._drop(subscription)

    def _update(self, ident: int | None, params: Json) -> None:
        subscription = self._one_subscription(params)
        action = params.get("action")
        if not action:
            raise CommandError(ACTION_NEEDED, subscription)
        if action not in ("add_markets", "delete_markets", "get_snapshot"):
            raise CommandError(UNSUPPORTED_ACTION, subscription)
        tickers = self._named(params)
        if not tickers:
            raise CommandError(TICKER_NEEDED, subscription)
        if action == "get_snapshot":
            self._snapshot(ident, subscription, tickers)
        elif action == "add_markets":
            self._merge(ident, subscription, tickers, params)
        else:
            self._delete(ident, subscription, tickers, params)

    def _snapshot(self, ident: int | None, subscription: Subscription, tickers: list[str]) -> None:
        if subscription.channel != BOOK:
            raise CommandError(UNSUPPORTED_ACTION, subscription)
        self.send_snapshots(subscription, tickers, ident)

    def _delete(
        self, ident: int | None, subscription: Subscription, tickers: list[str], params: Json
    ) -> None:
        members = subscription.tickers if subscription.tickers is not None else {}
        gone = [ticker for ticker in dict.fromkeys(tickers) if ticker in members]
        for ticker in gone:
            del members[ticker]
        self._index.leave(subscription, gone)
        self._acknowledge(ident, subscription, params)

    def _one_subscription(self, params: Json) -> Subscription:
        sids = params.get("sids", [params["sid"]] if "sid" in params else [])
        if not isinstance(sids, list) or len(sids) != 1:
            raise CommandError(ONE_SID)
        subscription = self._by_sid.get(sids[0]) if isinstance(sids[0], int) else None
        if subscription is None:
            raise CommandError(UNKNOWN_SID)
        return subscription

    def _acknowledge(self, ident: int | None, subscription: Subscription, params: Json) -> None:
        if self._is_mute:
            return
        if params.get("skip_ticker_ack", subscription.skip_ack):
            subscription.send("ok", "{}", ident)
        else:
            listed = sorted(subscription.tickers or ())
            subscription.send("ok", compact({"market_tickers": listed}), ident)

    def _reply(self, kind: str, ident: int | None, body: str) -> None:
        if self._is_mute:
            return
        self.send_text(
            f'{{{_id(ident)}"type":"{kind}","sending_ts_ms":{self.now_ms()},"msg":{body}}}'
        )

    def _refuse(self, ident: int | None, error: CommandError) -> None:
        self._shared.counters["kalshi_errors"] += 1
        body = compact({"code": error.code, "msg": str(error)})
        if error.subscription is not None:
            error.subscription.send("error", body, ident)
        else:
            self._reply("error", ident, body)

    def _drop(self, subscription: Subscription) -> None:
        self._index.remove(subscription)
        del self._by_sid[subscription.sid]
        del self._by_channel[subscription.channel]


def _id(ident: int | None) -> str:
    return f'"id":{ident},' if ident is not None else ""


def _parsed(text: str) -> Json:
    try:
        command = json.loads(text)
    except ValueError:
        raise CommandError(BAD_JSON) from None
    if not isinstance(command, dict):
        raise CommandError(BAD_JSON)
    return command


def _tickers(params: Json) -> list[str] | None:
    """Return the named tickers. `market_ticker` and `market_tickers` exclude each other."""
    if "market_ticker" in params and "market_tickers" in params:
        raise CommandError(INVALID)
    tickers = params.get("market_tickers")
    if "market_ticker" in params:
        tickers = [params["market_ticker"]]
    if tickers is None:
        return None
    if not isinstance(tickers, list) or not all(isinstance(t, str) for t in tickers):
        raise CommandError(INVALID)
    return tickers
