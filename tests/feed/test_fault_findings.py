"""What the faults of tests/integration/test_faults.py have shown, made small."""

from support.outlets import FakeClock, Outlets, RecordingLink, table_over
from support.probing import session_over

from arbees_feed.core.events import BookSnapshot, BookTold, LevelSet, TopOfBook
from arbees_feed.core.model import ONE_CONTRACT, MarketId, Side, Source, Status
from arbees_feed.feed.market import Hooks, Market
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.prober import ProbeOptions, Prober
from arbees_feed.feed.questions import Question, Reason

M, SIBLING = MarketId("KX-0"), MarketId("KX-1")
TOP = [(4_000, ONE_CONTRACT)], [(5_000, ONE_CONTRACT)]


def ticker(last_price: int, ts_ns: int, bid: int = 4_500) -> TopOfBook:
    return TopOfBook(M, bid, ONE_CONTRACT, 5_000, ONE_CONTRACT, last_price, ts_ns)


def filled() -> tuple[MarketTable, Outlets, RecordingLink]:
    outlets, link = Outlets(), RecordingLink()
    table = table_over(outlets, FakeClock())
    table.apply([BookSnapshot(M, *TOP, 10)], link, 10)
    return table, outlets, link


def test_a_ticker_of_the_relief_does_not_repeat_the_top_of_the_frozen_book() -> None:
    table, outlets, old = filled()
    new = RecordingLink()
    table.handovers.begin(old, new, planned=False)
    table.apply([ticker(4_400, 20)], new, 20)
    assert [quote.ts_recv_ns for quote in outlets[M].quotes] == [10]


def test_a_disproved_book_is_not_replaced_by_a_ticker_that_is_as_old() -> None:
    table, outlets, link = filled()
    table.apply([ticker(4_400, 10, bid=4_000)], link, 10)
    market = table.get(M)
    assert market is not None
    table.disprove(market, "not the venue's book", 30)
    assert all(quote.source is Source.BOOK for quote in outlets[M].quotes)
    table.check(1e9, 40)
    assert outlets[M].quotes[-1].status is Status.STALE


def test_one_wrong_book_does_not_end_a_connection_that_brings_data() -> None:
    clock, outlets = FakeClock(), Outlets()

    def judge(market: Market, told: BookTold) -> bool:
        return prober.on_told(market, told)

    table = table_over(outlets, clock, hooks=Hooks(on_told=judge))
    session, _ = session_over(table, clock)
    prober = Prober(table, lambda: [(session, [M, SIBLING])], ProbeOptions(1_000.0, 0))
    table.apply([BookSnapshot(M, *TOP, 10), BookSnapshot(SIBLING, *TOP, 10)], session, 10)
    session.pulse.data(clock.now_s)
    clock.now_s += 0.1
    market = table.get(M)
    assert market is not None
    prober._questions.add(Question(market, session, Reason.AUDIT))
    prober.step(clock.now_s, 20)
    table.apply([LevelSet(SIBLING, Side.BID, 1_000, ONE_CONTRACT, 30)], session, 30)
    table.apply([BookTold(M, [], TOP[1], 0, in_step=True)], session, 40)
    assert prober.stats.differed == 1
    assert not session.is_failing
