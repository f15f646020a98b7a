"""The tokens of one connection, and the frames that ask for their books.

There are no acknowledgements, and a second subscribe of an active token is refused: a fresh book
comes only after unsubscribing. Between the two nothing is told of the token, so a book that is
renewed while readers go on seeing its price gets little time.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from arbees_feed.core.events import BookLost, Event, NoBook
from arbees_feed.core.model import MarketId
from arbees_feed.core.owed import OwedSnapshots, Patience
from arbees_feed.core.sharding import chunks
from arbees_feed.core.venue import DecoderStats
from arbees_feed.venues.polymarket import messages
from arbees_feed.venues.polymarket.integrity import Member
from arbees_feed.venues.polymarket.joining import JOIN_TICKS, Join

CHUNK: Final = 100
RENEWAL_S: Final = 0.75
"""An opening book comes after 0.13 to 0.52 s; a price is not shown frozen for much longer."""


class Membership:
    """Who is subscribed, whose book is owed, and what is asked for it."""

    def __init__(self, outbox: list[bytes], stats: DecoderStats) -> None:
        self.members: dict[str, Member] = {}
        self.conditions: dict[str, Member | None] = {}
        """Condition id -> its only member; None: both of its tokens are members."""
        self.now_s = 0.0
        self.has_opened = False
        """Whether any book has come: the opening frame was taken."""
        self._outbox = outbox
        self._stats = stats
        self._owed = OwedSnapshots(Patience(answer_timeout_s=10.0))
        self._joining: dict[MarketId, Member] = {}
        self._quiet: dict[MarketId, tuple[str, float | None]] = {}
        """Renewals without BookLost: why, and when the book must be there."""

    def start(self, markets: Sequence[MarketId]) -> None:
        """Queue the opening frame."""
        self._expect(markets)
        self.send(type="market", assets_ids=list(markets), custom_feature_enabled=True)

    def add(self, markets: Sequence[MarketId]) -> None:
        """Ask for further tokens."""
        fresh = [market for market in markets if market not in self.members]
        self._expect(fresh)
        self._operate("subscribe", fresh)

    def remove(self, markets: Sequence[MarketId]) -> None:
        """Ask for no more of these tokens."""
        leaving = [member for m in markets if (member := self.members.pop(m, None)) is not None]
        for member in leaving:
            market = member.market
            self._owed.forget(market)
            self._joining.pop(market, None)
            self._quiet.pop(market, None)
            if self.conditions.get(member.condition) is member:
                del self.conditions[member.condition]
        self._operate("unsubscribe", [member.market for member in leaving])

    def renew(self, markets: Iterable[MarketId]) -> None:
        """Ask for fresh opening books of members (once until answered)."""
        members = [market for market in markets if market in self.members]
        at_once, fresh = self._owed.request(members, self.now_s)
        self._stats.resyncs += fresh
        self._resubscribe(at_once)

    def renew_quietly(self, member: Member, reason: str) -> None:
        """Ask for a fresh book of a member whose price may still be believed.

        The book is given up if the fresh one does not come soon: its price would be frozen.
        """
        if member.market not in self._owed:
            self._quiet[member.market] = (reason, None)
            self.renew([member.market])

    def unusable(self, market: MarketId) -> None:
        """Note an answer that could not be read, and that its reader has been told."""
        self._quiet.pop(market, None)
        self._owed.unusable(market)

    def arrived(self, member: Member, condition: str, join: Join | None) -> None:
        """Note a good book, and the join behind it if it is an opening one."""
        self.has_opened = True
        self._owed.arrived(member.market)
        self._quiet.pop(member.market, None)
        member.join = join
        if join is None:
            self._joining.pop(member.market, None)
        else:
            self._joining[member.market] = member
        if condition != member.condition:
            member.condition = condition
            known = self.conditions.setdefault(condition, member)
            if known is not member:
                self.conditions[condition] = None

    def joined(self, member: Member) -> None:
        """Note that a member's changes wait no more."""
        member.join = None
        self._joining.pop(member.market, None)

    def tick(self, now_s: float) -> list[Event]:
        """Repeat what is overdue; return what was decided by time."""
        self.now_s = now_s
        again, given_up = self._owed.late(now_s)
        self._resubscribe(again)
        events = self._undecided_joins() if self._joining else []
        if self._quiet:
            events += self._late_renewals()
        if given_up:
            events.append(NoBook(tuple(given_up)))
        return events

    def _undecided_joins(self) -> list[Event]:
        released: list[Event] = []
        for member in list(self._joining.values()):
            join = member.join
            if join is None:
                continue
            join.ticks += 1
            if join.ticks >= JOIN_TICKS:
                released += join.held
                member.last, member.at_s = join.newest, self.now_s
                self.joined(member)
        return released

    def _late_renewals(self) -> list[Event]:
        late = {
            market: reason
            for market, (reason, due_s) in self._quiet.items()
            if due_s is not None and due_s <= self.now_s
        }
        for market in late:
            del self._quiet[market]
        return [BookLost(market, f"no fresh book after: {why}") for market, why in late.items()]

    def _expect(self, markets: Sequence[MarketId]) -> None:
        for market in markets:
            self.members[market] = Member(market)
        self._owed.expect(markets, self.now_s)

    def _resubscribe(self, markets: Sequence[MarketId]) -> None:
        for market in markets:
            member = self.members[market]
            self.joined(member)
            member.forget_book()
            if market in self._quiet:
                self._quiet[market] = (self._quiet[market][0], self.now_s + RENEWAL_S)
        self._operate("unsubscribe", markets)
        self._operate("subscribe", markets)

    def _operate(self, operation: str, markets: Sequence[MarketId]) -> None:
        for chunk in chunks(markets, CHUNK):
            self.send(operation=operation, assets_ids=list(chunk), custom_feature_enabled=True)

    def send(self, **fields: Any) -> None:
        """Queue a frame."""
        self._outbox.append(messages.encode(fields))
