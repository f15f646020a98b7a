"""Quiet or frozen, right or wrong: asked, and judged by the answer."""

import itertools
import random
from collections.abc import Callable

import pytest
from support.outlets import FakeClock, Outlets, RecordingOutlet, table_over
from support.probing import session_over

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import BookSnapshot, BookTold, Levels, LevelSet, NoBook, TopOfBook
from arbees_feed.core.model import ONE_CONTRACT, Liveness, MarketId, Side, Status
from arbees_feed.feed.canaries import CANARIES, canaries
from arbees_feed.feed.market import Hooks, Market, MarketsConfig
from arbees_feed.feed.patrol import state_of
from arbees_feed.feed.prober import GRACE_S, ROUNDS, ProbeHooks, ProbeOptions, Prober
from arbees_feed.feed.questions import ANSWER_S, Question, Questions, Reason
from arbees_feed.feed.session import Session

S = 1_000_000_000
M = [MarketId(f"KX-{number}") for number in range(30)]
BIDS: Levels = [(4_800, 3 * ONE_CONTRACT)]
ASKS: Levels = [(5_200, 7 * ONE_CONTRACT)]
OTHER: Levels = [(4_700, 3 * ONE_CONTRACT)]


class Stage:
    """A prober over one connection, with time and answers in the test's hand."""

    def __init__(
        self, markets: int = 1, *, in_band: bool = True, audit: int = 0, rate: float = 1_000.0
    ) -> None:
        self.clock = FakeClock()
        self.outlets = Outlets()
        self.unknown: list[MarketId] = []
        self.suspects: list[str] = []
        self.incidents: list[tuple[str, str]] = []
        self.asked: list[list[MarketId]] = []
        """What was asked over REST."""
        self.table = table_over(
            self.outlets,
            self.clock,
            MarketsConfig(stale_grace_s=1.0),
            hooks=Hooks(on_told=self._told),
        )
        self.session, self.decoder = session_over(self.table, self.clock, in_band=in_band)
        self.markets = M[:markets]
        self.prober = Prober(
            self.table,
            lambda: [(self.session, self.markets)],
            ProbeOptions(rate, audit),
            ProbeHooks(self._suspect, self._unknown, self._incident),
            random.Random(1),
        )
        for market in self.markets:
            self.apply(BookSnapshot(market, BIDS, ASKS, 5 * S))

    def _told(self, market: Market, told: BookTold) -> bool:
        return self.prober.on_told(market, told)

    def _suspect(self, _session: Session, reason: str) -> None:
        self.suspects.append(reason)

    def _unknown(self, event: NoBook) -> None:
        self.unknown += event.markets

    def _incident(self, kind: str, _session: Session, market: MarketId, _reason: str) -> None:
        self.incidents.append((kind, market))

    def apply(self, *events: BookSnapshot | BookTold | LevelSet | TopOfBook) -> None:
        self.table.apply(events, self.session, int(self.clock.now_s * 1e9))

    def moves(self, market: MarketId, ts_ns: int, size: int = 1) -> None:
        """Let a deep level of a market change."""
        self.apply(LevelSet(market, Side.BID, 1_000, size * ONE_CONTRACT, ts_ns))

    def pass_time(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.now_s += 0.1
            meanwhile()
            self.prober.step(self.clock.now_s, int(self.clock.now_s * 1e9))
            self.table.check(self.clock.now_s, int(self.clock.now_s * 1e9))
            if rest := self.prober.take_rest():
                self.asked.append(rest)

    def book(self, market: MarketId) -> OrderBook:
        found = self.table.get(market)
        assert found is not None
        assert found.book is not None
        return found.book

    def status(self, market: MarketId) -> Status:
        return self.outlets[market].quotes[-1].status

    def state(self, market: MarketId) -> Liveness:
        found = self.table.get(market)
        assert found is not None
        return state_of(found, self.clock.now_s)

    @property
    def failed(self) -> bool:
        return self.session.is_failing


def told(
    market: MarketId, bids: Levels = BIDS, ts_ns: int = 0, *, in_step: bool = True
) -> BookTold:
    return BookTold(market, bids, ASKS, ts_ns, in_step)


# -- a connection that is silent ------------------------------------------------------------------


def test_a_silent_connection_that_answers_is_quiet() -> None:
    stage = Stage()
    stage.prober.ask_canaries(stage.session, stage.markets)
    stage.pass_time(0.1)
    assert stage.decoder.probes == [[M[0]]]
    stage.apply(told(M[0]))
    assert stage.session.liveness() is Liveness.LIVE
    assert stage.session.pulse.proved_s == stage.clock.now_s
    stage.pass_time(2 * ANSWER_S)
    assert not stage.failed
    assert (stage.prober.stats.agreed, stage.prober.stats.ratio) == (1, 1.0)


def test_a_silent_connection_that_does_not_answer_is_suspect_and_then_frozen() -> None:
    stage = Stage()
    stage.prober.ask_canaries(stage.session, stage.markets)
    stage.pass_time(ANSWER_S + 0.3)
    assert stage.session.liveness() is Liveness.SUSPECT
    assert stage.suspects == [f"no answer to 1 questions about {M[0]}"]
    assert not stage.failed
    stage.pass_time(ANSWER_S + 0.1)
    assert stage.failed
    assert stage.incidents == [("freeze", "")]


def test_any_data_voids_the_question_whether_a_connection_is_frozen() -> None:
    stage = Stage()
    stage.prober.ask_canaries(stage.session, stage.markets)
    stage.pass_time(1.0)
    stage.session.pulse.data(stage.clock.now_s)
    stage.pass_time(3 * ANSWER_S)
    assert not stage.failed
    assert stage.suspects == []


def test_an_answer_that_differs_cures_the_book_and_ends_nothing() -> None:
    stage = Stage(audit=1)
    stage.pass_time(15.2)
    stage.apply(told(M[0], OTHER))
    assert not stage.failed
    assert stage.outlets[M[0]].quotes[-1].bid == 4_700
    assert stage.prober.stats.last_difference.startswith("KX-0: bid 0.4800: 3 here, 0 there")


def test_answers_that_differ_again_and_again_show_that_a_silent_connection_is_frozen() -> None:
    stage = Stage()
    for bids in (OTHER, BIDS):
        assert not stage.failed
        stage.prober.ask_canaries(stage.session, stage.markets)
        stage.pass_time(0.2)
        stage.apply(told(M[0], bids))
    assert stage.failed


def test_the_canaries_are_those_that_move_most() -> None:
    stage = Stage(20)
    for market in stage.table:
        stage.moves(market.id, 6 * S)
    busy = M[7:12]
    ticks = iter(range(10_000))

    def move() -> None:
        if (tick := next(ticks)) % 20 == 0:
            for market in busy:
                stage.moves(market, 7 * S + tick)

    stage.pass_time(20.0, move)
    stage.decoder.probes.clear()
    stage.prober.ask_canaries(stage.session, stage.markets)
    stage.pass_time(0.1)
    assert set(busy) <= set(stage.decoder.probes[0])


def test_canaries_of_tickers_are_those_that_the_connection_told_last() -> None:
    stage = Stage(0)
    tickers = [MarketId(f"T{number}") for number in range(3_000)]
    for market in tickers:
        stage.apply(TopOfBook(market, 4_000, ONE_CONTRACT, 6_000, ONE_CONTRACT, None, 5 * S))
    stage.session.recent.extend([tickers[2_990], MarketId("gone"), tickers[17]])
    found = canaries(stage.table, stage.session, stage.markets, 0.0)
    assert [market.id for market in found[:2]] == [tickers[17], tickers[2_990]]
    assert len({market.id for market in found}) == CANARIES
    other = Stage(0).session
    assert canaries(stage.table, other, stage.markets, 0.0) == []


def test_over_rest_a_connection_behind_the_venue_is_frozen_after_the_grace() -> None:
    stage = Stage(in_band=False)
    stage.prober.ask_canaries(stage.session, stage.markets)
    stage.pass_time(0.1)
    assert stage.asked == [[M[0]]]
    stage.prober.answered([M[0]], [told(M[0], OTHER, 9 * S, in_step=False)])
    assert stage.state(M[0]) is Liveness.SUSPECT
    stage.pass_time(GRACE_S - 0.3)
    assert not stage.failed
    stage.pass_time(0.4)
    assert stage.failed
    stage.pass_time(1.1)
    assert stage.status(M[0]) is Status.STALE
    assert "4.0 s behind the venue" in stage.prober.stats.last_difference


def test_what_rest_told_first_and_the_stream_brings_within_the_grace_is_no_freeze() -> None:
    stage = Stage(in_band=False)
    stage.prober.ask_canaries(stage.session, stage.markets)
    stage.pass_time(0.1)
    stage.prober.answered([M[0]], [told(M[0], OTHER, 9 * S, in_step=False)])
    stage.pass_time(1.0)
    stage.moves(M[0], 10 * S)
    stage.session.pulse.data(stage.clock.now_s)
    stage.pass_time(GRACE_S)
    assert not stage.failed
    assert stage.status(M[0]) is Status.LIVE


def test_an_old_answer_of_rest_proves_nothing() -> None:
    stage = Stage(in_band=False)
    stage.prober.ask_canaries(stage.session, stage.markets)
    stage.pass_time(0.1)
    before = stage.session.pulse.proved_s
    stage.prober.answered([M[0]], [told(M[0], OTHER, 2 * S, in_step=False)])
    stage.pass_time(GRACE_S * 2)
    assert not stage.failed
    assert stage.session.pulse.proved_s == before


def test_rest_that_fails_is_held_against_nobody() -> None:
    stage = Stage(in_band=False)
    stage.prober.ask_canaries(stage.session, stage.markets)
    stage.pass_time(0.1)
    stage.prober.unanswered(stage.asked[0])
    stage.pass_time(10.0)
    assert not stage.failed
    assert stage.status(M[0]) is Status.LIVE


# -- a market that is silent ----------------------------------------------------------------------


def test_a_market_that_stops_is_asked_about_after_a_few_of_its_usual_pauses() -> None:
    stage = Stage(2)
    ticks = iter(range(10_000))

    def move() -> None:
        tick = next(ticks)
        if tick % 10 == 0:
            stage.moves(M[0], 6 * S + tick)
        if tick % 10 == 0 and tick < 200:
            stage.moves(M[1], 6 * S + tick)

    stage.pass_time(20.0, move)
    stage.decoder.probes.clear()
    stage.pass_time(45.0, move)
    assert {market for probe in stage.decoder.probes for market in probe} == {M[1]}


def test_a_frozen_market_becomes_stale_and_its_siblings_stay() -> None:
    stage = Stage(2)
    ticks = iter(range(10_000))

    def move() -> None:
        tick = next(ticks)
        if tick % 10 == 0:
            stage.session.pulse.data(stage.clock.now_s)
            stage.moves(M[0], 6 * S + tick)

    stage.pass_time(30.0, move)
    assert stage.asked == [[M[1]]]
    for _ in range(ROUNDS):  # the connection gave no answer, and REST tells another book
        stage.prober.answered([M[1]], [told(M[1], OTHER, in_step=False)])
        stage.pass_time(GRACE_S, move)
    stage.pass_time(1.1, move)
    assert stage.status(M[0]) is Status.LIVE
    assert stage.status(M[1]) is Status.STALE
    assert stage.decoder.resyncs[0][0] == M[1]
    assert stage.incidents == [("mismatch", M[1])]
    assert not stage.failed


@pytest.mark.parametrize("rest", ["knows nothing of it", "fails", "agrees"])
def test_a_market_that_alone_does_not_answer_is_judged_by_rest(rest: str) -> None:
    stage = Stage(2)

    def live() -> None:
        stage.session.pulse.data(stage.clock.now_s)

    stage.pass_time(30.0, live)
    asked = stage.asked[0]
    if rest == "fails":
        stage.prober.unanswered(asked)
    else:
        stage.prober.answered(asked, [told(m, in_step=False) for m in asked if rest == "agrees"])
    stage.pass_time(1.5, live)
    stale = [market for market in M[:2] if stage.status(market) is Status.STALE]
    assert stale == (asked if rest == "fails" else [])
    assert stage.unknown == (asked if rest == "knows nothing of it" else [])
    assert not stage.failed


def test_a_quiet_market_that_answers_stays_live_for_ten_minutes() -> None:
    stage = Stage()

    def answer() -> None:
        for probe in stage.decoder.probes:
            stage.apply(*(told(market) for market in probe))
        stage.decoder.probes.clear()

    stage.pass_time(600.0, answer)
    assert stage.status(M[0]) is Status.LIVE
    assert stage.state(M[0]) is Liveness.QUIET
    assert stage.incidents == stage.suspects == []
    assert stage.prober.stats.unanswered == stage.prober.stats.differed == 0
    assert 10 <= stage.prober.stats.agreed <= 30
    assert len(stage.outlets[M[0]].quotes) == 1


def test_a_market_that_rest_does_not_know_any_more_is_told() -> None:
    stage = Stage(in_band=False, audit=5)
    stage.pass_time(20.0)
    stage.prober.answered(stage.asked[0], [])
    assert stage.unknown == [M[0]]


# -- checksum and audit ----------------------------------------------------------------------------


def test_a_checksum_that_does_not_come_out_leads_to_a_question_and_blocks_nothing() -> None:
    stage = Stage(in_band=False)
    stage.decoder.right[M[0]] = False
    stage.pass_time(5.0)
    assert stage.asked[0] == [M[0]]
    assert stage.status(M[0]) is Status.LIVE
    assert stage.state(M[0]) is Liveness.SUSPECT
    stage.prober.answered([M[0]], [told(M[0], BIDS, 5 * S, in_step=False)])
    assert stage.status(M[0]) is Status.LIVE


def test_a_wrong_book_that_rest_confirms_is_taken_from_readers_and_made_anew() -> None:
    stage = Stage(in_band=False)
    stage.decoder.right[M[0]] = False
    answer = told(M[0], OTHER, 5 * S, in_step=False)
    stage.pass_time(20.0, lambda: stage.session.pulse.data(stage.clock.now_s))
    for _ in range(ROUNDS):
        assert stage.status(M[0]) is Status.LIVE
        stage.prober.answered(stage.asked.pop(0), [answer])
        stage.pass_time(GRACE_S + 0.2, lambda: stage.session.pulse.data(stage.clock.now_s))
    stage.pass_time(1.1)
    assert stage.status(M[0]) is Status.STALE
    assert stage.decoder.resyncs[-1][0] == M[0]
    assert stage.prober.stats.differed == 1
    assert not stage.failed


def test_each_minute_a_sample_is_compared() -> None:
    stage = Stage(30, audit=5)
    ticks = itertools.count()
    samples: list[list[MarketId]] = []

    def move_and_answer() -> None:
        tick = next(ticks)
        stage.moves(M[tick % 30], 6 * S + tick, tick)
        for sample in stage.decoder.probes:
            samples.append(sample)
            for market in sample:
                book = stage.book(market)
                bids, asks = book.depth(10)
                stage.apply(BookTold(market, bids, asks, 0, in_step=True))
        stage.decoder.probes.clear()

    stage.pass_time(60.0, move_and_answer)
    assert [len(sample) for sample in samples] == [5]
    assert stage.prober.stats.agreed == 5
    stage.pass_time(60.0, move_and_answer)
    assert [len(sample) for sample in samples] == [5, 5]
    assert samples[0] != samples[1]


def test_the_budget_holds_and_canaries_go_first() -> None:
    stage = Stage(30, rate=10.0)
    stage.pass_time(90.0)
    asked_s = stage.prober.stats.asked / 90
    assert asked_s <= 10.0 + 200 / 90


def test_a_canary_goes_ahead_of_what_waits_longer() -> None:
    stage = Stage(3)
    markets = list(stage.table)
    questions = Questions(rate_per_s=1.0)
    for number in range(203):  # more than the burst
        questions.add(
            Question(Market(MarketId(f"X{number}"), RecordingOutlet()), stage.session, Reason.AUDIT)
        )
    while questions.next(1.0):
        pass
    questions.add(Question(markets[0], stage.session, Reason.AUDIT))
    questions.add(Question(markets[1], stage.session, Reason.SILENCE))
    questions.add(Question(markets[2], stage.session, Reason.CANARY))
    assert questions.next(3.0) == []
    assert [q.market for q in questions.next(4.5)] == [markets[2], markets[1], markets[0]]


# -- tickers --------------------------------------------------------------------------------------


def quoted(ts_ns: int, bid: int = 4_800) -> TopOfBook:
    return TopOfBook(MarketId("KX-T"), bid, 3 * ONE_CONTRACT, 5_200, 7 * ONE_CONTRACT, None, ts_ns)


def test_a_silent_ticker_channel_is_compared_with_rest() -> None:
    stage = Stage(0)
    stage.apply(quoted(5 * S))
    stage.prober.ask_canaries(stage.session, [])
    stage.pass_time(0.2)
    assert stage.asked == [["KX-T"]]
    stage.prober.answered(["KX-T"], [told(MarketId("KX-T"), in_step=False)])
    assert stage.session.pulse.proved_s == stage.clock.now_s
    assert not stage.failed


def test_a_frozen_ticker_channel_is_found_within_seconds() -> None:
    stage = Stage(0)
    stage.apply(quoted(5 * S))
    stage.prober.ask_canaries(stage.session, [])
    began_s = stage.clock.now_s
    while not stage.failed and stage.clock.now_s < began_s + 20:
        stage.pass_time(0.2)
        for rest in stage.asked:
            stage.prober.answered(rest, [told(MarketId("KX-T"), OTHER, in_step=False)])
        stage.asked.clear()
    assert stage.clock.now_s - began_s < 5.0


def test_a_ticker_that_moves_meanwhile_is_not_judged() -> None:
    stage = Stage(0)
    stage.apply(quoted(5 * S))
    stage.prober.ask_canaries(stage.session, [])
    stage.pass_time(0.2)
    stage.apply(quoted(6 * S, 4_900))
    stage.prober.answered(["KX-T"], [told(MarketId("KX-T"), OTHER, in_step=False)])
    stage.pass_time(10.0)
    assert not stage.failed
