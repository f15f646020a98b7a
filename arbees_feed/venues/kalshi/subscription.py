"""The order-book subscription of one Kalshi connection: who is in it, what is still owed.

One connection has at most one orderbook_delta subscription; more markets are merged into its
`sid`. A snapshot comes once for each market that is added; a further `subscribe` brings none, so
a book that is out of step is asked for by `get_snapshot` on the same `sid`.
"""

from collections.abc import Sequence
from typing import Any

from arbees_feed.core.model import MarketId
from arbees_feed.core.owed import OwedSnapshots, Patience
from arbees_feed.core.sharding import chunks
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.kalshi import messages

CHUNK = 250
"""Tickers in one command; 100 to 400 are in use, a subscription has no published limit."""
OPEN_SPACING_S = 1.0
OPEN_TIMEOUT_S = 10.0
_SIZING_HOLD_S = 0.2
_FIRST_HOLD_S = 1.0
_LONGEST_HOLD_S = 60.0


class Commands:
    """Numbers our commands and remembers which tickers each was about."""

    def __init__(self, outbox: list[bytes]) -> None:
        self._outbox = outbox
        self._next_id = 1
        self._sent: dict[int, tuple[str, Sequence[MarketId]]] = {}

    def send(self, cmd: str, tickers: Sequence[MarketId] = (), **params: Any) -> int:
        """Queue a command; its tickers, if any, are added to *params*."""
        number, self._next_id = self._next_id, self._next_id + 1
        if tickers:
            params["market_tickers"] = list(tickers)
        self._outbox.append(messages.encode({"id": number, "cmd": cmd, "params": params}))
        self._sent[number] = (str(params.get("action", cmd)), tickers)
        return number

    def answered(self, number: int) -> tuple[str, Sequence[MarketId]]:
        """Forget a command that was answered; return its action and tickers."""
        return self._sent.pop(number, ("", ()))


class BookSubscription:
    """Membership of the orderbook_delta channel and the snapshots that are owed."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self.sid: int | None = None
        self._asked = False
        self._asked_s = -OPEN_SPACING_S
        self._backlog: list[MarketId] = []
        self._leaving: list[MarketId] = []
        """Tickers that left while the subscription had no id yet."""
        self.members: dict[MarketId, bool] = {}
        """Ticker -> whether it has had a snapshot."""
        self.owed = OwedSnapshots(Patience())
        self.now_s = 0.0
        self._chunk = CHUNK
        self._hold_until_s = 0.0
        self._hold_s = _FIRST_HOLD_S

    def add(self, tickers: Sequence[MarketId]) -> None:
        """Take further tickers in, at once or when the subscription has its id."""
        fresh = [ticker for ticker in dict.fromkeys(tickers) if ticker not in self.members]
        self.members.update(dict.fromkeys(fresh, False))
        self._backlog.extend(fresh)
        self.flush()

    def flush(self) -> None:
        """Send what waits, in chunks: the first opens the channel, the others join it."""
        if not self._backlog or self.now_s < self._hold_until_s:
            return
        if self.sid is None:
            if not self._asked and self.now_s >= self._asked_s + OPEN_SPACING_S:
                self._asked, self._asked_s = True, self.now_s
                first, self._backlog = self._backlog[: self._chunk], self._backlog[self._chunk :]
                self._open(first)
            return
        waiting, self._backlog = self._backlog, []
        for chunk in chunks(waiting, self._chunk):
            self._update("add_markets", chunk)
            self.owed.expect(chunk, self.now_s)

    def _open(self, tickers: Sequence[MarketId]) -> None:
        self._commands.send(
            "subscribe",
            tickers,
            channels=["orderbook_delta"],
            use_yes_price=False,
            skip_ticker_ack=True,
        )
        self.owed.expect(tickers, self.now_s)

    def _update(self, action: str, tickers: Sequence[MarketId]) -> None:
        self._commands.send(
            "update_subscription",
            tickers,
            sid=self.sid,
            action=action,
            use_yes_price=False,
            skip_ticker_ack=True,
        )

    def opened(self, sid: int) -> None:
        """The venue named the subscription's id."""
        self.sid = sid
        leaving, self._leaving = self._leaving, []
        for chunk in chunks([t for t in leaving if t not in self.members], self._chunk):
            self._update("delete_markets", chunk)
        self.flush()

    def remove(self, tickers: Sequence[MarketId]) -> None:
        """Take tickers out; frames still under way for them are ignored by the books."""
        leaving = [ticker for ticker in tickers if self.members.pop(ticker, None) is not None]
        for ticker in leaving:
            self.owed.forget(ticker)
        self._backlog = [ticker for ticker in self._backlog if ticker in self.members]
        if self.sid is None:
            self._leaving += leaving
            return
        for chunk in chunks(leaving, self._chunk):
            self._update("delete_markets", chunk)

    def arrived(self, ticker: MarketId) -> None:
        """Note a good snapshot of a member."""
        self.owed.arrived(ticker)
        self.members[ticker] = True

    def request(self, tickers: Sequence[MarketId]) -> int:
        """Ask for fresh snapshots where none is owed yet; return how many will be asked for."""
        if self.sid is None:
            return 0
        members = [ticker for ticker in tickers if ticker in self.members]
        at_once, fresh = self.owed.request(members, self.now_s)
        for chunk in chunks(at_once, self._chunk):
            self._update("get_snapshot", chunk)
        return fresh

    def request_all(self) -> list[MarketId]:
        """Ask anew for the book of every member that had one; return those."""
        filled = [ticker for ticker, had in self.members.items() if had]
        self.request(filled)
        return filled

    def ended(self) -> list[MarketId]:
        """The venue ended the subscription: open a new one for all; return who had a book."""
        filled = [ticker for ticker, had in self.members.items() if had]
        self.sid, self._asked = None, False
        self._leaving.clear()
        self.owed.clear()
        self._backlog = list(self.members)
        self.members = dict.fromkeys(self.members, False)
        self.flush()
        return filled

    def refused(
        self, action: str, tickers: Sequence[MarketId], *, too_many: bool = False
    ) -> Sequence[MarketId]:
        """A command failed or its outcome is unknown: ask again in smaller portions, later.

        Returns what this subscription can't take because a single ticker was *too_many* already
        (error 26); those are no members any more.
        """
        if too_many and action == "add_markets" and len(tickers) == 1:
            return self._turn_away(tickers)
        if self.now_s >= self._hold_until_s:  # what is sent together is refused together
            self._ask_for_less(len(tickers), too_many=too_many)
        if action == "get_snapshot":
            self.owed.postpone(tickers, self._hold_until_s)
        if action not in {"subscribe", "add_markets"}:
            return ()
        missing = [t for t in tickers if t in self.members and t in self.owed]
        for ticker in missing:
            self.owed.forget(ticker)
        if self.sid is None:
            self._asked = False
        self._backlog.extend(missing)
        return ()

    def _ask_for_less(self, size: int, *, too_many: bool) -> None:
        if too_many:
            # Not too often, only too much: the right size is found at once.
            self._chunk = max(1, min(self._chunk, size) // 2)
            self._hold_until_s = self.now_s + _SIZING_HOLD_S
            return
        if self.now_s >= self._hold_until_s + _LONGEST_HOLD_S:
            self._hold_s = _FIRST_HOLD_S
        self._chunk = max(1, self._chunk // 2)
        self._hold_until_s = self.now_s + self._hold_s
        self._hold_s = min(_LONGEST_HOLD_S, 2 * self._hold_s)

    def _turn_away(self, tickers: Sequence[MarketId]) -> list[MarketId]:
        named = dict.fromkeys((*tickers, *self._backlog))
        waiting = [ticker for ticker in named if not self.members.get(ticker, True)]
        self._backlog = []
        for ticker in waiting:
            del self.members[ticker]
            self.owed.forget(ticker)
        return waiting

    def overdue(self) -> Sequence[MarketId]:
        """Repeat overdue requests; return tickers that never get a usable book (once each).

        Raises:
            ProtocolViolation: the venue does not open the subscription, or does not send a book
                that it had sent before.
        """
        if self.sid is None:
            if self._asked and self.now_s >= self._asked_s + OPEN_TIMEOUT_S:
                raise ProtocolViolation("no answer to the subscription of books")
            return ()
        again, given_up = self.owed.late(self.now_s)
        # One that never had a book may not have existed when it was added. A snapshot alone
        # would bring a book that no delta keeps up to date; who is in already is left alone.
        for chunk in chunks([t for t in again if not self.members.get(t)], self._chunk):
            self._update("add_markets", chunk)
        for chunk in chunks(again, self._chunk):
            self._update("get_snapshot", chunk)
        return given_up
