"""Kalshi's commands: what is asked for, when, and what is done about refusals."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from support.kalshi import (
    Frame,
    delta,
    encoded,
    error,
    lifecycle,
    ok,
    snapshot,
    subscribed,
    ticker,
    trade,
)

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    BookTold,
    Event,
    NoBook,
    Notice,
    Refused,
    TickerLost,
    TopOfBook,
)
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.kalshi.decoder import KalshiDecoder
from arbees_feed.venues.kalshi.subscription import CHUNK

M, N = MarketId("KXAAA-26NOV21-T1"), MarketId("KXBBB-26NOV21-T2")
MANY = [MarketId(f"KX-{number:04}") for number in range(2 * CHUNK + 10)]


class Conversation:
    """A decoder with a clock, and its commands decoded."""

    def __init__(
        self, markets: Sequence[MarketId] = (), options: DecoderOptions | None = None
    ) -> None:
        self.decoder = KalshiDecoder(options or DecoderOptions())
        self.now_s = 1_000.0
        self.decoder.tick(self.now_s)
        self.decoder.start(markets)

    def told(self, *frames: Frame) -> list[Event]:
        return [event for frame in frames for event in self.decoder.receive(encoded(frame))]

    def wait(self, seconds: float) -> list[Event]:
        """Let time pass, a quarter of a second a tick."""
        events: list[Event] = []
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(end_s, self.now_s + 0.25)
            events += self.decoder.tick(self.now_s)
        return events

    def sent(self) -> list[Frame]:
        commands = [msgspec.json.decode(frame) for frame in self.decoder.outbox]
        self.decoder.outbox.clear()
        return commands

    def asked(self) -> list[tuple[str, list[str]]]:
        """Return (action or command, tickers) of what was sent."""
        return [
            (
                command["params"].get("action", command["cmd"]),
                command["params"].get("market_tickers", []),
            )
            for command in self.sent()
        ]

    def answer_snapshots(self, seq: int) -> tuple[int, list[str]]:
        """Answer what was sent, from *seq* on; return the last number and who was asked for."""
        named = [name for _, names in self.asked() for name in names]
        for name in named:
            seq += 1
            self.told(snapshot(seq, name))
        return seq, named


def opened(*markets: MarketId) -> Conversation:
    """Return a conversation in which *markets* have their books, some seconds ago."""
    talk = Conversation(markets)
    talk.told(subscribed(1))
    for number, market in enumerate(markets, 1):
        talk.told(snapshot(number, market, {"0.4800": "333.00"}))
    talk.wait(3)
    talk.sent()
    return talk


def lost(events: Sequence[Event]) -> list[MarketId]:
    return [event.market for event in events if isinstance(event, BookLost)]


# -- opening -----------------------------------------------------------------------------------


def test_subscribing_to_all_tickers_names_none() -> None:
    talk = Conversation([], DecoderOptions(tickers=True, lifecycle=True, trades=True))
    commands = talk.sent()
    assert [command["params"]["channels"] for command in commands] == [
        ["ticker"],
        ["market_lifecycle_v2"],
        ["trade"],
    ]
    assert all(set(c["params"]) & {"market_ticker", "market_tickers"} == set() for c in commands)
    assert commands[0]["params"]["send_initial_snapshot"] is True


def test_what_could_change_its_default_is_explicit_in_every_command() -> None:
    talk = Conversation([M], DecoderOptions(tickers=True, lifecycle=True, trades=True))
    talk.told(subscribed(1, ident=4))
    talk.decoder.add([N])
    talk.told(snapshot(1, M), snapshot(2, N))
    talk.wait(3)
    talk.decoder.resync(M, "crossed")
    talk.decoder.remove([N])
    commands = talk.sent()
    assert [c["cmd"] for c in commands] == ["subscribe"] * 4 + ["update_subscription"] * 3
    for command in commands:
        assert command["params"]["use_yes_price"] is False
        assert command["params"]["skip_ticker_ack"] is True


def test_no_two_commands_share_a_number() -> None:
    talk = Conversation(MANY, DecoderOptions(tickers=True))
    talk.told(subscribed(1))
    numbers = [command["id"] for command in talk.sent()]
    assert len(set(numbers)) == len(numbers) > 3
    assert min(numbers) > 0  # 0 means "no id"


def test_books_are_subscribed_with_their_tickers() -> None:
    (command,) = Conversation([M, N]).sent()
    assert (command["cmd"], command["params"]["channels"]) == ("subscribe", ["orderbook_delta"])
    assert command["params"]["market_tickers"] == [M, N]


def test_further_markets_join_in_chunks_once_the_subscription_has_an_id() -> None:
    talk = Conversation(MANY)
    assert talk.asked() == [("subscribe", MANY[:CHUNK])]
    talk.decoder.add([M])
    assert talk.asked() == []
    talk.told(subscribed(7))
    commands = talk.sent()
    assert {command["params"]["sid"] for command in commands} == {7}
    assert [command["params"]["action"] for command in commands] == ["add_markets"] * 2
    assert [command["params"]["market_tickers"] for command in commands] == [
        MANY[CHUNK : 2 * CHUNK],
        [*MANY[2 * CHUNK :], M],
    ]


def test_a_market_is_added_once() -> None:
    talk = opened(M)
    talk.decoder.add([M, N, N])
    talk.decoder.add([N])
    assert talk.asked() == [("add_markets", [N])]


def test_no_channel_of_books_is_opened_without_a_market() -> None:
    talk = Conversation()
    talk.wait(30)
    assert talk.sent() == []


def test_books_wanted_later_open_the_channel() -> None:
    talk = Conversation([], DecoderOptions(tickers=True))
    talk.sent()
    talk.decoder.add([M])
    assert talk.asked() == [("subscribe", [M])]


def test_markets_are_removed_in_chunks() -> None:
    talk = opened(*MANY)
    talk.decoder.remove([*MANY, MarketId("KX-NEVER")])
    assert [(action, len(tickers)) for action, tickers in talk.asked()] == [
        ("delete_markets", CHUNK),
        ("delete_markets", CHUNK),
        ("delete_markets", 10),
    ]


def test_a_market_that_leaves_before_the_subscription_has_an_id_is_removed_then() -> None:
    talk = Conversation([M, N])
    talk.decoder.remove([N])
    talk.sent()
    talk.told(subscribed(1))
    assert talk.asked() == [("delete_markets", [N])]


def test_a_market_that_leaves_and_returns_before_that_stays() -> None:
    talk = Conversation([M, N])
    talk.decoder.remove([N])
    talk.decoder.add([N])
    talk.sent()
    talk.told(subscribed(1))
    assert talk.asked() == [("add_markets", [N])]


def test_books_whose_subscription_is_never_answered_end_the_connection() -> None:
    talk = Conversation([M])
    with pytest.raises(ProtocolViolation, match="no answer to the subscription"):
        talk.wait(11)


# -- snapshots that do not come ----------------------------------------------------------------


def test_a_missing_snapshot_is_asked_for_again() -> None:
    talk = Conversation([M, N])
    talk.told(subscribed(1), snapshot(1, M))
    talk.sent()
    talk.wait(4.75)
    assert talk.asked() == []
    talk.wait(0.5)
    assert talk.asked() == [("add_markets", [N]), ("get_snapshot", [N])]


def test_one_that_never_had_a_book_is_added_again_before_its_snapshot() -> None:
    """get_snapshot of a non-member brings a book that no delta keeps up to date."""
    talk = opened(M)
    talk.decoder.add([N])
    talk.sent()
    talk.wait(80)
    asked = talk.asked()
    assert asked[::2] == [("add_markets", [N])] * (len(asked) // 2)
    assert asked[1::2] == [("get_snapshot", [N])] * (len(asked) // 2)
    assert len(asked) == 8


def test_an_unknown_ticker_is_given_up_with_one_notice_and_retried_slowly() -> None:
    talk = opened(M)
    talk.decoder.add([N])
    talk.sent()
    notices = talk.wait(240)
    assert notices == [NoBook((N,))]
    snapshots = [tickers for action, tickers in talk.asked() if action == "get_snapshot"]
    assert snapshots == [[N]] * 6  # after 5, 10 and 15 s, then each minute


def test_a_book_that_there_was_must_come_again() -> None:
    talk = opened(M)
    talk.told(delta(5, M, "0.4800", "1.00"))
    with pytest.raises(ProtocolViolation, match="no snapshot of"):
        talk.wait(16)


def test_one_that_never_comes_again_leaves_and_joins_before_the_connection_is_given_up() -> None:
    talk = opened(M, N)
    talk.decoder.resync(M, "crossed")
    rungs = [talk.asked()]
    for _ in range(2):
        talk.wait(5)
        rungs.append(talk.asked())
    assert rungs == [
        [("get_snapshot", [M])],
        [("get_snapshot", [M])],
        [("delete_markets", [M]), ("add_markets", [M])],
    ]
    with pytest.raises(ProtocolViolation, match="no snapshot of KXAAA"):
        talk.wait(5)


def rejoining() -> tuple[Conversation, list[Frame]]:
    """Return a conversation in which M has just left and joined again, and what was sent for it."""
    talk = opened(M, N)
    talk.decoder.resync(M, "crossed")
    talk.wait(10)
    return talk, talk.sent()


def test_the_snapshot_of_a_market_that_joined_again_is_its_book() -> None:
    talk, sent = rejoining()
    answers = [ok(3, 1, sent[-2]["id"]), ok(4, 1, sent[-1]["id"])]
    (event,) = talk.told(*answers, snapshot(5, M, {"0.5000": "1.00"}))
    assert isinstance(event, BookSnapshot)
    talk.wait(60)
    assert talk.asked() == []


def test_an_answer_from_before_a_market_joined_again_is_not_its_book() -> None:
    """Between leaving and joining no change is told: that book would be wrong, in silence."""
    talk, sent = rejoining()
    asked = [c for c in sent if c["params"]["action"] == "get_snapshot"]
    assert len(asked) == 2
    late = {**snapshot(3, M, {"0.5000": "1.00"}), "id": asked[-1]["id"]}
    assert talk.told(late) == []
    assert talk.told(ok(4, 1, sent[-2]["id"]), {**late, "seq": 5}) == []
    (event,) = talk.told(snapshot(6, M, {"0.5100": "1.00"}))
    assert isinstance(event, BookSnapshot)


def test_a_market_that_may_not_join_again_is_asked_for_later_and_not_forgotten() -> None:
    talk, sent = rejoining()
    talk.told(error(27, sent[-1]["id"]))
    assert sent[-1]["params"]["action"] == "add_markets"
    talk.wait(1.25)
    assert talk.asked() == [("add_markets", [M])]
    (event,) = talk.told(ok(3, 1, sent[-2]["id"]), snapshot(4, M, {"0.5000": "1.00"}))
    assert isinstance(event, BookSnapshot)


@pytest.mark.parametrize("named", [1, 0])
def test_an_old_snapshot_is_no_book_of_a_market_that_left_and_returned(
    named: int,
) -> None:
    talk = opened(M, N)
    talk.decoder.resync(M, "crossed")
    (asked,) = talk.sent()
    talk.decoder.remove([M])
    talk.decoder.add([M])
    deleted, added = talk.sent()
    number = named * asked["id"]
    assert talk.told({**snapshot(3, M, {"0.5000": "1.00"}), "id": number}) == []
    assert talk.told(ok(4, 1, deleted["id"]), ok(5, 1, added["id"])) == []
    (event,) = talk.told(snapshot(6, M, {"0.5100": "1.00"}))
    assert isinstance(event, BookSnapshot)


def test_a_market_that_returned_gets_its_book_even_if_its_leaving_is_never_answered() -> None:
    talk = opened(M, N)
    talk.decoder.remove([M])
    talk.decoder.add([M])
    talk.sent()
    assert talk.told(snapshot(3, M, {"0.5100": "1.00"})) == []
    talk.wait(5)
    assert talk.asked() == [("add_markets", [M]), ("get_snapshot", [M])]
    (event,) = talk.told(snapshot(4, M, {"0.5100": "1.00"}))
    assert isinstance(event, BookSnapshot)


def test_a_book_that_goes_wrong_again_and_again_is_asked_for_more_and_more_seldom() -> None:
    talk = opened(M)
    talk.wait(10)
    asked_s = []
    seq = 1
    for _ in range(4 * 130):
        talk.decoder.resync(M, "size -1")
        if talk.asked():
            asked_s.append(talk.now_s)
            seq += 1
            talk.told(snapshot(seq, M))
        talk.wait(0.25)
    pauses_s = [after - before for before, after in pairwise(asked_s)]
    assert pauses_s == [1, 2, 4, 8, 16, 32, 60]


def test_a_book_is_asked_for_once_however_often_it_is_found_wrong() -> None:
    talk = opened(M)
    for _ in range(20):
        talk.decoder.resync(M, "crossed")
    assert talk.asked() == [("get_snapshot", [M])]


def test_gaps_every_second_end_in_no_storm_and_nobody_is_forgotten() -> None:
    """10,000 books on one subscription, which loses a frame each second for a minute."""
    markets = [MarketId(f"KX-{number:05}") for number in range(10_000)]
    talk = opened(*markets)
    talk.wait(10)
    seq, asked_a_second = len(markets), []
    times_asked: Counter[str] = Counter()
    since_gap: set[str] = set()
    for second in range(60 + 62):
        if second < 60:
            seq += 2
            assert lost(talk.told(delta(seq, markets[0], "0.4800", "1.00"))) == markets
            since_gap.clear()
        asked = []
        for _ in range(4):
            seq, named = talk.answer_snapshots(seq)
            asked += named
            talk.wait(0.25)
        asked_a_second.append(len(asked))
        times_asked.update(asked)
        since_gap.update(asked)
    assert asked_a_second[0] == len(markets)  # one gap is mended in one breath
    assert max(asked_a_second[2:]) <= 510
    assert sum(asked_a_second[:60]) <= 12_000 + 500 * 60
    assert max(times_asked.values()) - min(times_asked.values()) <= 2
    assert since_gap == set(markets)
    assert (talk.decoder.stats.gaps, talk.decoder.stats.resets) == (60, 0)


def test_a_gap_asks_in_chunks() -> None:
    talk = opened(*MANY)
    events = talk.told(delta(len(MANY) + 5, MANY[0], "0.4800", "1.00"))
    assert lost(events) == MANY
    assert [(action, len(tickers)) for action, tickers in talk.asked()] == [
        ("get_snapshot", CHUNK),
        ("get_snapshot", CHUNK),
        ("get_snapshot", 10),
    ]


def test_a_book_found_wrong_before_the_subscription_has_an_id_is_asked_for_then() -> None:
    """The acknowledgement comes first; one that came late would leave this book wrong for ever."""
    talk = Conversation([M, N])
    talk.told(snapshot(1, M))
    talk.wait(2)
    talk.decoder.resync(M, "crossed")
    talk.decoder.resync(N, "nothing yet")
    talk.sent()
    talk.told(subscribed(1))
    talk.wait(0.25)
    assert talk.asked() == [("get_snapshot", [M])]


def test_a_stranger_is_not_resynced() -> None:
    talk = opened(M)
    talk.decoder.resync(N, "crossed")
    assert talk.asked() == []


# -- the end of a subscription -----------------------------------------------------------------


@pytest.mark.parametrize("code", [10, 25])
def test_an_error_that_ends_the_subscription_loses_its_books_and_subscribes_again(
    code: int,
) -> None:
    talk = opened(M, N)
    events = talk.told(error(code, sid=1, seq=3))
    assert lost(events) == [M, N]
    assert talk.asked() == [("subscribe", [M, N])]
    talk.told(subscribed(2, ident=2))
    (event,) = talk.told(snapshot(1, M, {"0.5000": "1.00"}, sid=2))
    assert isinstance(event, BookSnapshot)


def test_unsubscribed_loses_the_books_and_subscribes_again() -> None:
    talk = opened(M)
    assert lost(talk.told({"id": 0, "sid": 1, "seq": 2, "type": "unsubscribed"})) == [M]
    assert talk.asked() == [("subscribe", [M])]


def test_frames_of_a_dead_subscription_are_dropped() -> None:
    talk = opened(M, N)
    talk.told(error(25, sid=1, seq=3))
    talk.sent()
    late = [
        snapshot(4, M, {"0.5000": "1.00"}),
        delta(5, M, "0.5000", "1.00"),
        delta(6, M, "bad", "1.00"),
        delta(99, M, "0.5000", "1.00"),
        ok(100, 1, 0),
    ]
    assert talk.told(*late) == []
    assert (talk.decoder.stats.gaps, talk.sent()) == (0, [])


def test_tickers_of_a_dead_subscription_are_dropped() -> None:
    talk = Conversation([], DecoderOptions(tickers=True))
    talk.told(subscribed(3, "ticker"), ticker(M))
    talk.told(error(25, sid=3))
    assert talk.told(ticker(M)) == []
    assert talk.told(subscribed(5, "ticker", 2)) == []
    (event,) = talk.told(ticker(M, sid=5))
    assert isinstance(event, TopOfBook)


def test_tickers_that_overflowed_are_no_longer_believed() -> None:
    """Some were lost and nobody knows which: a quiet market would show its old price for ever."""
    talk = Conversation([], DecoderOptions(tickers=True))
    talk.told(subscribed(3, "ticker"), ticker(M), ticker(N), ticker(M), ticker("KXENDED"))
    talk.told(lifecycle(1, "KXENDED", "determined"))  # what has ended can lose nothing
    talk.wait(5)
    talk.sent()
    events = talk.told(error(25, sid=3))
    assert {event.market for event in events if isinstance(event, TickerLost)} == {M, N}
    (command,) = talk.sent()
    assert command["params"]["channels"] == ["ticker"]


def openings_of(talk: Conversation, channel: str, seconds: int) -> list[float]:
    """Return the pauses between openings of a channel that ends as soon as it is open."""
    opened_s = []
    sid = 1
    for _ in range(4 * seconds):
        for opening in talk.sent():
            assert opening["params"]["channels"] == [channel]
            opened_s.append(talk.now_s)
            sid += 1
            talk.told(subscribed(sid, channel, opening["id"]), error(25, sid=sid))
        talk.wait(0.25)
    return [after - before for before, after in pairwise(opened_s)]


def test_books_that_end_at_once_again_are_opened_more_and_more_seldom() -> None:
    talk = Conversation([M])
    assert openings_of(talk, "orderbook_delta", 130) == [1, 2, 4, 8, 16, 32, 60]


def test_tickers_that_end_at_once_again_are_opened_more_and_more_seldom() -> None:
    """Each opening brings a ticker of every market there is."""
    talk = Conversation([], DecoderOptions(tickers=True))
    assert openings_of(talk, "ticker", 130) == [1, 2, 4, 8, 16, 32, 60]


def test_an_end_of_an_unnamed_subscription_ends_the_connection() -> None:
    with pytest.raises(ProtocolViolation, match="error 25"):
        opened(M).told(error(25))


def test_the_end_of_a_channel_we_never_asked_for_is_nothing() -> None:
    talk = opened(M)
    talk.told(subscribed(9, "fill", 0), error(25, sid=9), error(25, sid=77))
    talk.wait(3)
    assert talk.sent() == []


# -- refusals ----------------------------------------------------------------------------------


def test_a_chunk_that_is_too_much_is_halved_until_it_fits_without_long_waits() -> None:
    talk = opened(M)
    talk.decoder.add(MANY[:100])
    sizes = []
    while (commands := talk.sent()) and len(commands[0]["params"]["market_tickers"]) > 10:
        sizes.append(len(commands[0]["params"]["market_tickers"]))
        talk.told(*(error(26, command["id"]) for command in commands))
        talk.wait(0.5)
    assert sizes == [100, 50, 25, 12]


@pytest.mark.parametrize("code", [18, 27])
def test_a_refused_chunk_is_asked_for_later_in_smaller_ones(code: int) -> None:
    talk = opened(M)
    talk.decoder.add(MANY[:100])
    (command,) = talk.sent()
    (notice,) = talk.told(error(code, command["id"]))
    assert isinstance(notice, Notice)
    assert talk.asked() == []
    talk.wait(0.75)
    assert talk.asked() == []
    talk.wait(0.5)
    assert talk.asked() == [("add_markets", MANY[:100])]  # 100 is within half of 250
    talk.decoder.add(MANY[100:300])
    assert [len(tickers) for _, tickers in talk.asked()] == [125, 75]


def test_chunks_refused_together_are_halved_once() -> None:
    """Ten refusals at once must not turn 250 tickers a command into one."""
    talk = opened(M)
    talk.decoder.add(MANY)
    for command in talk.sent():
        talk.told(error(27, command["id"]))
    talk.wait(1.25)
    assert [len(tickers) for _, tickers in talk.asked()] == [125, 125, 125, 125, 10]


def test_what_is_refused_again_and_again_is_asked_for_more_and_more_slowly() -> None:
    talk = opened(M)
    talk.decoder.add([N])
    asked_s = []
    for _ in range(4 * 200):
        if commands := [c for c in talk.sent() if c["params"].get("action") == "add_markets"]:
            asked_s.append(talk.now_s - 1_003.0)
            talk.told(error(27, commands[0]["id"]))
        talk.wait(0.25)
    pauses_s = [after - before for before, after in pairwise(asked_s)]
    assert pauses_s == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_ticker_that_is_too_many_by_itself_is_handed_back() -> None:
    """Error 26 at one ticker: the subscription is full, another connection must carry it."""
    talk = opened(M)
    talk.decoder.add([N])
    (command,) = talk.sent()
    events = talk.told(error(26, command["id"]))
    assert Refused((N,)) in events
    talk.wait(120)
    assert talk.asked() == []


def test_a_ticker_that_waits_and_is_too_many_is_handed_back_once() -> None:
    """Two commands about it are under way: one is refused as too fast, one for good."""
    talk = opened(M)
    talk.decoder.add([N])
    (first,) = talk.sent()
    talk.wait(5.25)
    again, _ = talk.sent()
    events = talk.told(error(27, first["id"]), error(26, again["id"]))
    assert [event for event in events if isinstance(event, Refused)] == [Refused((N,))]


def test_a_refused_snapshot_is_asked_for_later_and_the_market_not_added_again() -> None:
    talk = opened(M)
    talk.told(delta(5, M, "0.4800", "1.00"))
    (command,) = talk.sent()
    talk.told(error(27, command["id"]))
    talk.wait(0.75)
    assert talk.asked() == []
    talk.wait(0.5)
    assert talk.asked() == [("get_snapshot", [M])]


def test_snapshots_refused_as_too_fast_again_and_again_do_not_end_the_connection() -> None:
    talk = opened(M, N)
    talk.decoder.resync(M, "crossed")
    refused = 0
    for _ in range(4 * 120):
        for command in talk.sent():
            assert command["params"]["action"] == "get_snapshot"
            refused += 1
            talk.told(error(27, command["id"]))
        talk.wait(0.25)
    assert 6 <= refused <= 8


def test_a_refused_subscription_of_books_is_asked_for_again() -> None:
    talk = Conversation(MANY[:200])
    (command,) = talk.sent()
    talk.told(error(18, command["id"]))
    talk.wait(1.25)
    ((action, tickers),) = talk.asked()
    assert (action, len(tickers)) == ("subscribe", 125)


def test_a_second_subscribe_that_joins_the_first_is_answered_by_ok() -> None:
    """Error 18 left the outcome unknown; the first had been obeyed, so there is no `subscribed`."""
    talk = Conversation([M])
    talk.told(error(18, talk.sent()[0]["id"]))
    talk.wait(1.25)
    (again,) = talk.sent()
    talk.told(ok(1, 1, again["id"]), snapshot(2, M))
    talk.wait(3)
    talk.sent()
    talk.decoder.add([N])
    talk.decoder.resync(M, "crossed")
    assert talk.asked() == [("add_markets", [N]), ("get_snapshot", [M])]


@pytest.mark.parametrize("code", [18, 27])
def test_a_refused_channel_of_tickers_is_asked_for_again(code: int) -> None:
    talk = Conversation([], DecoderOptions(tickers=True, trades=True))
    first, *_ = talk.sent()
    talk.told(error(code, first["id"]))
    talk.wait(1.25)
    (again,) = talk.sent()
    assert again["params"]["channels"] == ["ticker"]
    assert again["id"] != first["id"]


def test_a_refused_channel_of_tickers_opens_no_second_channel_of_books() -> None:
    talk = Conversation(MANY, DecoderOptions(tickers=True))
    tickers, books = talk.sent()
    talk.told(error(27, tickers["id"]))
    talk.wait(1.25)
    assert [c["params"]["channels"] for c in talk.sent()] == [["ticker"]]
    assert books["params"]["channels"] == ["orderbook_delta"]


def test_a_channel_that_is_refused_for_good_is_not_asked_for_again() -> None:
    talk = Conversation([], DecoderOptions(trades=True))
    talk.told(error(8, talk.sent()[0]["id"]))
    talk.wait(10)
    assert talk.sent() == []


def test_an_add_refused_for_any_reason_is_not_taken_for_done() -> None:
    """Else get_snapshot alone would bring a book without deltas."""
    talk = opened(M)
    talk.decoder.add([N])
    talk.told(error(11, talk.sent()[0]["id"]))
    talk.wait(1.25)
    assert talk.asked() == [("add_markets", [N])]


def test_an_error_about_nothing_of_ours_changes_nothing() -> None:
    talk = opened(M)
    talk.told(error(11, 4711), error(5))
    talk.decoder.add(MANY[:CHUNK])
    assert [len(tickers) for _, tickers in talk.asked()] == [CHUNK]


def test_a_market_that_left_meanwhile_is_not_asked_for_again() -> None:
    talk = opened(M)
    talk.decoder.add([N])
    (command,) = talk.sent()
    talk.decoder.remove([N])
    talk.sent()
    talk.told(error(27, command["id"]))
    talk.wait(90)
    assert talk.sent() == []


def test_an_unreadable_snapshot_does_not_end_the_connection() -> None:
    talk = opened(M, N)
    seq = 2
    for _ in range(30):
        talk.wait(1)
        for command in talk.sent():
            if command["params"]["action"] == "get_snapshot":
                seq += 1
                talk.told(snapshot(seq, M, {"0.48005": "1.00"}))
        if seq == 2:
            talk.decoder.resync(M, "crossed")
    assert seq >= 5


def test_trades_come_on_their_own_subscription_again_after_its_end() -> None:
    talk = Conversation([], DecoderOptions(trades=True))
    talk.told(subscribed(2, "trade"), trade(1, M))
    talk.wait(3)
    talk.sent()
    assert talk.told({"sid": 2, "seq": 2, "type": "unsubscribed"}) == []
    (command,) = talk.sent()
    assert command["params"]["channels"] == ["trade"]


# -- questions about books that we have ------------------------------------------------------------

BOOK = {"0.4800": "333.00"}


def probed(*markets: MarketId) -> tuple[Conversation, int]:
    """Return a conversation in which the books of *markets* were just asked about, and by what."""
    talk = opened(M, N)
    assert talk.decoder.probe(markets) is True
    (command,) = talk.sent()
    assert (command["params"]["action"], command["params"]["sid"]) == ("get_snapshot", 1)
    assert command["params"]["market_tickers"] == list(markets)
    return talk, command["id"]


def test_the_answer_to_a_question_is_told_and_not_loaded() -> None:
    talk, number = probed(M, N)
    answers = talk.told(
        {**snapshot(3, M, BOOK), "id": number}, {**snapshot(4, N, None, BOOK), "id": number}
    )
    size = 333_000_000
    assert answers == [
        BookTold(M, [(4_800, size)], [], 0, in_step=True),
        BookTold(N, [], [(5_200, size)], 0, in_step=True),
    ]
    (further,) = talk.told({**snapshot(5, M, BOOK), "id": number})
    assert isinstance(further, BookSnapshot)
    assert talk.decoder.stats.resyncs == 0


def test_an_answer_that_names_no_command_is_known_by_its_market() -> None:
    talk, _ = probed(M)
    (other,) = talk.told(snapshot(3, N, BOOK))
    (answer,) = talk.told(snapshot(4, M, BOOK))
    assert (type(other), type(answer)) == (BookSnapshot, BookTold)


def test_an_empty_snapshot_is_an_answer_only_if_it_names_the_question() -> None:
    """The venue clears the book of a market that closes by a snapshot with neither side."""
    talk, number = probed(M)
    (closing,) = talk.told(snapshot(3, M))
    assert closing == BookSnapshot(M, [], [], 0)
    (answer,) = talk.told({**snapshot(4, M), "id": number})
    assert answer == BookTold(M, [], [], 0, in_step=True)


def test_an_answer_that_names_another_command_is_no_answer() -> None:
    talk, number = probed(M)
    (event,) = talk.told({**snapshot(3, M, BOOK), "id": number + 70})
    assert isinstance(event, BookSnapshot)


def test_questions_asked_twice_are_answered_twice() -> None:
    talk, first = probed(M)
    talk.decoder.probe([M])
    (again,) = talk.sent()
    answers = talk.told(
        {**snapshot(3, M, BOOK), "id": first}, {**snapshot(4, M, BOOK), "id": again["id"]}
    )
    assert [type(answer) for answer in answers] == [BookTold, BookTold]


def test_questions_are_asked_in_chunks_and_of_each_market_once() -> None:
    talk = opened(*MANY)
    assert talk.decoder.probe([*MANY, *MANY])
    assert [(action, len(names)) for action, names in talk.asked()] == [
        ("get_snapshot", CHUNK),
        ("get_snapshot", CHUNK),
        ("get_snapshot", 10),
    ]


def test_strangers_and_those_whose_book_is_owed_are_left_out() -> None:
    talk = opened(M, N)
    talk.decoder.add([MANY[0]])
    talk.decoder.resync(N, "crossed")
    talk.sent()
    assert talk.decoder.probe([M, N, MANY[0], MANY[1]]) is True
    assert talk.asked() == [("get_snapshot", [M])]
    assert talk.decoder.probe([N, MANY[0], MANY[1]]) is True
    assert talk.asked() == []


def test_nobody_can_be_asked_without_a_subscription_of_books() -> None:
    talk = Conversation([], DecoderOptions(tickers=True))
    assert talk.decoder.probe([M]) is False
    talk = Conversation([M])
    assert talk.decoder.probe([M]) is False
    talk.told(subscribed(1), snapshot(1, M))
    assert talk.decoder.probe([M]) is True
    talk.told(error(25, sid=1))
    assert talk.decoder.probe([M]) is False


@pytest.mark.parametrize("seq", [9, 1], ids=["gap", "reset"])
def test_a_hole_between_question_and_answer_makes_it_the_book(seq: int) -> None:
    talk, number = probed(M, N)
    assert lost(talk.told(delta(seq, M, "0.4800", "1.00"))) == [M, N]
    answers = talk.told(
        {**snapshot(seq + 1, M, BOOK), "id": number}, {**snapshot(seq + 2, N, BOOK), "id": number}
    )
    assert [type(answer) for answer in answers] == [BookSnapshot, BookSnapshot]
    (further,) = talk.told({**snapshot(seq + 3, M, BOOK), "id": number})
    assert isinstance(further, BookSnapshot)


def test_a_hole_right_before_the_answer_makes_it_the_book() -> None:
    talk, number = probed(M, N)
    events = talk.told({**snapshot(4, M, BOOK), "id": number})
    assert lost(events) == [M, N]
    assert events[-1] == BookSnapshot(M, [(4_800, 333_000_000)], [], 0)


def test_a_book_found_wrong_meanwhile_takes_the_answer_for_its_own() -> None:
    talk, number = probed(M, N)
    talk.decoder.resync(M, "crossed")
    answers = talk.told(
        {**snapshot(3, M, BOOK), "id": number}, {**snapshot(4, N, BOOK), "id": number}
    )
    assert [type(answer) for answer in answers] == [BookSnapshot, BookTold]


def test_the_answer_about_a_market_that_left_is_nothing() -> None:
    talk, number = probed(M, N)
    talk.decoder.remove([M])
    (deleted,) = talk.sent()
    assert talk.told({**snapshot(3, M, BOOK), "id": number}) == []
    talk.decoder.add([M])
    events = talk.told(ok(4, 1, deleted["id"]), snapshot(5, M, BOOK), snapshot(6, M, BOOK))
    assert [type(event) for event in events] == [BookSnapshot, BookSnapshot]


def test_an_unanswered_question_is_forgotten_and_asks_for_nothing() -> None:
    talk, number = probed(M)
    talk.wait(29)
    assert len(talk.decoder._books.probes) == 1
    talk.wait(2)
    assert talk.sent() == []
    assert len(talk.decoder._books.probes) == 0
    (event,) = talk.told({**snapshot(3, M, BOOK), "id": number})
    assert isinstance(event, BookSnapshot)


def test_a_day_of_questions_leaves_nothing_behind() -> None:
    """Half are answered; `get_snapshot` is never answered by `ok`."""
    talk = opened(M, N)
    seq = 2
    for minute in range(24 * 60):
        talk.now_s += 60
        talk.decoder.tick(talk.now_s)
        talk.decoder.probe([M, N])
        (command,) = talk.sent()
        if minute % 2:
            for market in (M, N):
                seq += 1
                talk.told({**snapshot(seq, market, BOOK), "id": command["id"]})
    assert len(talk.decoder._books.probes) <= 2
    assert len(talk.decoder._commands) <= 2


@pytest.mark.parametrize("code", [18, 27, 13])
def test_a_refused_question_is_asked_more_and_more_seldom_and_harms_nothing(code: int) -> None:
    talk = opened(M, N)
    asked_s = []
    for _ in range(4 * 200):
        if talk.decoder.probe([M]):
            asked_s.append(talk.now_s)
            (command,) = talk.sent()
            (said,) = talk.told(error(code, command["id"]))
            assert isinstance(said, Notice)
        talk.wait(0.25)
    pauses_s = [after - before for before, after in pairwise(asked_s)]
    assert pauses_s == [10, 20, 40, 60, 60]
    talk.decoder.add(MANY[:CHUNK])
    assert [len(names) for _, names in talk.asked()] == [CHUNK]
    talk.decoder.resync(N, "crossed")
    assert talk.asked() == [("get_snapshot", [N])]


def test_kalshi_has_no_checksum_of_books() -> None:
    assert opened(M).decoder.verify(M, OrderBook()) is None
