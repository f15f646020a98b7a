"""The order-book subscription of one Kalshi connection: who is in it, what is still owed.

One connection has at most one orderbook_delta subscription; more markets are merged into its
`sid`. A snapshot comes once for each market that is added; a further `subscribe` brings none, so
a book that is out of step is asked for by `get_snapshot` on the same `sid`, twice; then its market
leaves and joins again, and when that brings no book either, the connection is given up.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import msgspec

from arbees_feed.core.model import MarketId
from arbees_feed.core.owed import Hold, OwedSnapshots, Patience
from arbees_feed.core.sharding import chunks
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.kalshi import messages
from arbees_feed.venues.kalshi.probes import Probes

CHUNK = 250
"""Tickers in one command; 100 to 400 are in use, a subscription has no published limit."""
OPEN_TIMEOUT_S = 10.0
_SIZING_HOLD_S = 0.2
_FIRST_HOLD_S = 1.0
_LONGEST_HOLD_S = 60.0
ANSWERED_WITHIN_S = 60.0
"""Commands are forgotten after so long: `get_snapshot` is answered by snapshots, never by `ok`."""


class Receipt(Enum):
    """What a snapshot is for us."""

    BOOK = "the book from now on"
    ANSWER = "the answer to a question"
    NOTHING = "about no member, or from before it joined"


class _Sent(msgspec.Struct, frozen=True):
    action: str
    tickers: Sequence[MarketId]
    at_s: float


class Commands:
    """Numbers our commands and remembers which tickers each was about."""

    def __init__(self, outbox: list[bytes]) -> None:
        self._outbox = outbox
        self._next_id = 1
        self._sent: dict[int, _Sent] = {}
        self._now_s = 0.0

    def __len__(self) -> int:
        """Return how many may still be answered."""
        return len(self._sent)

    def send(self, cmd: str, tickers: Sequence[MarketId] = (), **params: Any) -> int:
        """Queue a command; its tickers, if any, are added to *params*."""
        number, self._next_id = self._next_id, self._next_id + 1
        if tickers:
            params["market_tickers"] = list(tickers)
        self._outbox.append(messages.encode({"id": number, "cmd": cmd, "params": params}))
        self._sent[number] = _Sent(str(params.get("action", cmd)), tickers, self._now_s)
        return number

    def answered(self, number: int) -> tuple[str, Sequence[MarketId]]:
        """Forget a command that was answered; return its action and tickers."""
        sent = self._sent.pop(number, None)
        return (sent.action, sent.tickers) if sent is not None else ("", ())

    def awaits(self, number: int) -> bool:
        """Tell whether the command was not answered yet."""
        return number in self._sent

    def tick(self, now_s: float) -> None:
        """Forget commands that were sent too long ago."""
        self._now_s = now_s
        while self._sent and next(iter(self._sent.values())).at_s + ANSWERED_WITHIN_S <= now_s:
            del self._sent[next(iter(self._sent))]


class BookSubscription:
    """Membership of the orderbook_delta channel and the snapshots that are owed."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self.sid: int | None = None
        self._asked = False
        self._patience = Patience()
        self._opening = Hold(float("-inf"), self._patience.spacing_s)
        self._backlog: list[MarketId] = []
        self._leaving: list[MarketId] = []
        """Tickers that left while the subscription had no id yet."""
        self.members: dict[MarketId, bool] = {}
        """Ticker -> whether it has had a snapshot since it joined."""
        self._deleted: dict[MarketId, int] = {}
        """Ticker -> the command that took it out; it may be a member again."""
        self.owed = OwedSnapshots(self._patience)
        self.probes = Probes()
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
            opening, patience = self._opening, self._patience
            if not self._asked and self.now_s >= opening.earliest_s(self.now_s, patience):
                self._asked = True
                opening.ask_anew(self.now_s, patience)
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

    def _update(self, action: str, tickers: Sequence[MarketId]) -> int:
        return self._commands.send(
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
        self._delete([t for t in leaving if t not in self.members])
        self.flush()

    def _delete(self, tickers: Sequence[MarketId]) -> None:
        for chunk in chunks(tickers, self._chunk):
            self._deleted |= dict.fromkeys(chunk, self._update("delete_markets", chunk))

    def remove(self, tickers: Sequence[MarketId]) -> None:
        """Take tickers out; frames still under way for them are ignored by the books."""
        leaving = [ticker for ticker in tickers if self.members.pop(ticker, None) is not None]
        self.probes.cancel(leaving)
        for ticker in leaving:
            self.owed.forget(ticker)
        self._backlog = [ticker for ticker in self._backlog if ticker in self.members]
        if self.sid is None:
            self._leaving += leaving
            return
        self._delete(leaving)

    def received(self, ticker: MarketId, number: int, *, is_empty: bool) -> Receipt:
        """Judge a good snapshot that names the command *number* (0: none)."""
        if ticker not in self.members or self._is_from_before(ticker, number):
            return Receipt.NOTHING
        is_owed = ticker in self.owed
        if not is_owed and self.probes.answers(ticker, number, is_empty=is_empty):
            return Receipt.ANSWER
        self.owed.arrived(ticker)
        self._deleted.pop(ticker, None)
        self.members[ticker] = True
        return Receipt.BOOK

    def _is_from_before(self, ticker: MarketId, number: int) -> bool:
        """Tell whether a snapshot is from before its ticker left (and returned).

        What happened in between is not told: the book would be wrong, in silence. Frames are in
        order, so it is from before unless it answers a later command or the deletion is done.
        """
        deletion = self._deleted.get(ticker)
        if deletion is None:
            return False
        return number < deletion if number else self._commands.awaits(deletion)

    def probe(self, tickers: Sequence[MarketId]) -> bool:
        """Ask for the books of members that have one already; False: nobody can be asked."""
        if self.sid is None or not self.probes.may_ask(self.now_s):
            return False
        named = dict.fromkeys(tickers)
        wanted = [t for t in named if self.members.get(t) and t not in self.owed]
        for chunk in chunks(wanted, self._chunk):
            self.probes.asked(self._update("get_snapshot", chunk), chunk, self.now_s)
        return True

    def request(self, tickers: Sequence[MarketId]) -> int:
        """Ask for fresh snapshots where none is owed yet; return how many will be asked for."""
        members = [ticker for ticker in tickers if ticker in self.members]
        if self.sid is None:
            # Whose first book is still to come gets it with the subscription.
            members = [ticker for ticker in members if self.members[ticker]]
        self.probes.cancel(members)
        at_once, fresh = self.owed.request(members, self.now_s)
        if self.sid is None:
            self.owed.postpone(at_once, self.now_s, is_attempt=False)
            return fresh
        for chunk in chunks(at_once, self._chunk):
            self._update("get_snapshot", chunk)
        return fresh

    def request_all(self) -> tuple[list[MarketId], int]:
        """Ask anew for the book of every member that had one.

        Returns those, and for how many of them none was owed yet.
        """
        filled = [ticker for ticker, had in self.members.items() if had]
        return filled, self.request(filled)

    def ended(self) -> list[MarketId]:
        """The venue ended the subscription: open a new one for all; return who had a book."""
        filled = [ticker for ticker, had in self.members.items() if had]
        self.sid, self._asked = None, False
        self._leaving.clear()
        self._deleted.clear()
        self.probes.clear()
        self.owed.clear()
        self._backlog = list(self.members)
        self.members = dict.fromkeys(self.members, False)
        self.flush()
        return filled

    def refused(
        self, action: str, tickers: Sequence[MarketId], *, too_many: bool, too_fast: bool
    ) -> Sequence[MarketId]:
        """A command failed or its outcome is unknown: ask again in smaller portions, later.

        Returns what this subscription can't take because a single ticker was *too_many* already
        (error 26); those are no members any more.
        """
        alone = len(tickers) == 1
        if too_many and action == "add_markets" and alone:
            return self._turn_away(tickers)
        if self.now_s >= self._hold_until_s:  # what is sent together is refused together
            self._ask_for_less(len(tickers), too_many=too_many and not alone)
        if too_fast:
            self.owed.pause(self._hold_until_s)
        if action == "get_snapshot":
            ours = too_fast or (too_many and not alone)
            self.owed.postpone(tickers, self._hold_until_s, is_attempt=not ours)
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

    def tick(self, now_s: float) -> Sequence[MarketId]:
        """Send what waits and repeat what is overdue.

        Returns the tickers that never get a usable book (once each).

        Raises:
            ProtocolViolation: the venue does not open the subscription, or does not send a book
                that it had sent before.
        """
        self.now_s = now_s
        self.probes.expire(now_s)
        for ticker, deletion in [*self._deleted.items()]:
            if ticker not in self.members and not self._commands.awaits(deletion):
                del self._deleted[ticker]
        self.flush()
        if self.sid is not None:
            return self._overdue()
        if self._asked and now_s >= self._opening.asked_s + OPEN_TIMEOUT_S:
            raise ProtocolViolation("no answer to the subscription of books")
        return ()

    def _overdue(self) -> Sequence[MarketId]:
        again, given_up = self.owed.late(self.now_s)
        for ticker in again:
            self._deleted.pop(ticker, None)
        # One that never had a book may not have existed when it was added. A snapshot alone
        # would bring a book that no delta keeps up to date; who is in already is left alone.
        for chunk in chunks([t for t in again if not self.members.get(t)], self._chunk):
            self._update("add_markets", chunk)
        last = [t for t in again if self.members.get(t) and self.owed.is_last_attempt(t)]
        self._rejoin(last)
        others = set(again).difference(last)
        for chunk in chunks([t for t in again if t in others], self._chunk):
            self._update("get_snapshot", chunk)
        return given_up

    def _rejoin(self, tickers: Sequence[MarketId]) -> None:
        """Let members leave and join again, in place: they get a snapshot as new ones do."""
        self._delete(tickers)
        for chunk in chunks(tickers, self._chunk):
            self._update("add_markets", chunk)
        self.members |= dict.fromkeys(tickers, False)
