"""A reader's state in a small world of feeds, a server and a connection, in any order of events.

Messages are under way for a while, in order; `:last` is read over another connection, so it may be
ahead of them. Feeds die without a word and start again, connections are lost at any time.
"""

from collections import deque

import hypothesis.strategies as st
import msgpack
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from reader.test_state import beat, channel_of, key_of, price

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader.outbox import Every, Newest, Outbox
from arbees_feed.reader.state import PriceState
from arbees_feed.reader.stats import ReaderStats

MARKETS = ("A", "B", "C")
STALE_AFTER_S = 2.5
STEP_S = 0.1


class World(RuleBasedStateMachine):
    """One venue, its feed, a server and one reader."""

    def __init__(self) -> None:
        super().__init__()
        self.stats = ReaderStats()
        self.state = PriceState(Newest(self.stats), self.stats, stale_after_s=STALE_AFTER_S)
        self.state.shown.outbox = self.new_outbox()
        self.now_s = 1_000.0
        # The feed.
        self.session = 1
        self.feeding = True
        self.seqs = dict.fromkeys(MARKETS, 0)
        self.beaten_s = -100.0
        # The server.
        self.last: dict[str, bytes] = {}
        self.key_session = 0
        # The connection.
        self.linked = False
        self.joining = False
        self.under_way: deque[tuple[str, bytes]] = deque()
        # What the reader was told, and what it handed over.
        self.told_session = 0
        self.heard_s = -100.0
        self.given: dict[str, MarketPrice] = {}
        self.live_session = 0
        self.holes = 0

    def new_outbox(self) -> Outbox:
        return Newest(self.stats)

    # -- the feed ----------------------------------------------------------------------------------

    def send(self, kind: str, data: bytes) -> None:
        if self.linked:
            self.under_way.append((kind, data))

    @precondition(lambda self: self.feeding)
    @rule(market=st.sampled_from(MARKETS), status=st.sampled_from(["live", "live", "stale"]))
    def publish(self, market: str, status: str) -> None:
        self.seqs[market] += 1
        data = price(self.seqs[market], session=self.session, market=market, status=status)
        self.last[market] = data
        self.send("price", data)

    def beat(self) -> None:
        self.beaten_s = self.now_s
        self.key_session = self.session
        self.send("beat", beat(session=self.session))

    @precondition(lambda self: self.feeding)
    @rule()
    def die(self) -> None:
        self.feeding = False

    @precondition(lambda self: not self.feeding)
    @rule(marks=st.booleans())
    def start(self, *, marks: bool) -> None:
        self.feeding = True
        self.session += 1
        self.seqs = dict.fromkeys(MARKETS, 0)
        if marks:
            for market in self.last:
                self.publish(market, "stale")

    # -- the connection ----------------------------------------------------------------------------

    @precondition(lambda self: not self.linked)
    @rule()
    def connect(self) -> None:
        self.linked = self.joining = True
        self.state.linked()
        self.state.begin_join()

    @precondition(lambda self: self.joining)
    @rule()
    def join(self) -> None:
        self.joining = False
        there = self.now_s - self.beaten_s <= 10.0
        fields = {"session": str(self.key_session), "state": "live"} if there else {}
        age_s = self.now_s - self.beaten_s
        self.state.key_read("kalshi", fields, age_s, self.now_s)
        if there and age_s <= STALE_AFTER_S:
            self.hear(self.key_session, self.beaten_s)
        for data in self.last.values():
            self.state.kept(data, key_of(data))
        self.state.end_join(whole=True)

    @precondition(lambda self: self.linked)
    @rule()
    def lose(self) -> None:
        self.linked = self.joining = False
        self.under_way.clear()
        self.state.lost()

    def hear(self, session: int, at_s: float) -> None:
        if session > self.told_session:
            self.told_session, self.heard_s = session, at_s
        elif session == self.told_session:
            self.heard_s = max(self.heard_s, at_s)

    @precondition(lambda self: self.under_way)
    @rule(count=st.integers(1, 5))
    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.under_way))):
            kind, data = self.under_way.popleft()
            if kind == "beat":
                self.hear(self.session_of(data), self.now_s)
                self.state.beat(data, self.now_s)
                continue
            session = MarketPrice.from_msgpack(data).session
            if session > self.told_session:  # a new process speaks: it has time to beat
                self.hear(session, self.now_s)
            self.state.published_on(channel_of(data), data, self.now_s)

    def session_of(self, data: bytes) -> int:
        return int(msgpack.unpackb(data)["session"])

    # -- time --------------------------------------------------------------------------------------

    @rule(steps=st.integers(1, 40), prompt=st.booleans())
    def wait(self, steps: int, *, prompt: bool) -> None:
        if self.under_way:
            self.deliver(len(self.under_way))  # nothing is under way for long
        for _ in range(steps):
            self.now_s += STEP_S
            if self.feeding and self.now_s - self.beaten_s >= 1.0:
                self.beat()
            if prompt and self.under_way:
                self.deliver(len(self.under_way))
            self.state.tick(self.now_s)

    # -- the consumer ------------------------------------------------------------------------------

    @rule(count=st.integers(1, 10))
    def take(self, count: int) -> None:
        while count and (taken := self.state.shown.outbox.take(0)) is not None:
            count -= 1
            self.judge(taken)

    def judge(self, taken: MarketPrice) -> None:
        """No price steps back; nothing of an old session is live."""
        before = self.given.get(taken.market_id)
        if before is not None:
            assert (taken.session, taken.seq) >= (before.session, before.seq)
            if taken.session == before.session:
                self.holes += max(0, taken.seq - before.seq - 1)
            else:
                self.holes += taken.seq - 1
        if taken.status == "live":
            assert taken.session >= self.live_session
            self.live_session = taken.session
        self.given[taken.market_id] = taken

    # -- what holds always -------------------------------------------------------------------------

    @invariant()
    def nothing_old_is_live(self) -> None:
        for known in self.state.book.values():
            if known.status == "live":
                assert known.session >= self.told_session
                assert self.now_s - self.heard_s <= STALE_AFTER_S + 2 * STEP_S

    @invariant()
    def what_waits_is_bounded(self) -> None:
        assert len(self.state.shown.outbox) <= len(MARKETS)

    @precondition(lambda self: self.feeding)
    @rule()
    def settle(self) -> None:
        """With a connection and a heartbeat, the reader has what the server has."""
        if not self.linked:
            self.connect()
        if self.joining:
            self.join()
        self.wait(11, prompt=True)
        assert not self.under_way
        if self.state.unsure:  # as the session does once a second
            self.state.begin_join()
            fields = {"session": str(self.key_session), "state": "live"}
            self.state.key_read("kalshi", fields, self.now_s - self.beaten_s, self.now_s)
            for data in self.last.values():
                self.state.kept(data, key_of(data))
            self.state.end_join(whole=False)
        self.take(100_000)
        for market, data in self.last.items():
            kept, known = MarketPrice.from_msgpack(data), self.state.book[market]
            assert (known.session, known.seq) == (kept.session, kept.seq)
            is_live = kept.session == self.session and kept.status == "live"
            assert known.status == ("live" if is_live else "stale")
            # Of what is stale already, another stale price is no news.
            assert (
                self.given[market] == known or self.given[market].status == known.status == "stale"
            )


class EveryWorld(World):
    """The same with a reader that wants every price."""

    def new_outbox(self) -> Outbox:
        return Every(self.stats, 1_000_000, self.state.missed)

    @invariant()
    def what_waits_is_bounded(self) -> None:
        """Everything waits."""

    @rule()
    def count(self) -> None:
        """What was missed is what is missing, also of what was kept back from a silent feed.

        The last price that a feed published before another took its place leaves no hole.
        """
        self.take(1_000_000)
        if self.given == self.state.book:
            unseen = len(MARKETS) * (self.session - 1)
            assert self.holes <= self.stats.missed <= self.holes + unseen


class TightWorld(World):
    """The same with hardly any room: the newest price of a market is never lost."""

    def new_outbox(self) -> Outbox:
        return Every(self.stats, 2, self.state.missed)

    @invariant()
    def what_waits_is_bounded(self) -> None:
        assert len(self.state.shown.outbox) <= 2 + len(MARKETS)


_WORLDS = (World, EveryWorld, TightWorld)


@pytest.mark.parametrize("world", _WORLDS)
def test_in_any_order_of_events(world: type[World]) -> None:
    few = settings(max_examples=60, stateful_step_count=50, deadline=None)
    run_state_machine_as_test(world, settings=few)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("world", _WORLDS)
def test_in_any_order_of_many_events(world: type[World]) -> None:
    many = settings(max_examples=500, stateful_step_count=80, deadline=None)
    run_state_machine_as_test(world, settings=many)
