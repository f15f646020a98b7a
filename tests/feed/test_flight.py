"""The flight recorder: what it keeps, what it lets go, and what it tells of an incident."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.book import OrderBook
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.feed.evidence import Evidence, Incident, Incomplete, gather, read_evidence
from arbees_feed.feed.flight import BookCopy, Decision, Decisions, FlightRecorder, FlightRing

M, N = MarketId("M"), MarketId("N")


def book_of(*bids: tuple[int, int]) -> OrderBook:
    book = OrderBook()
    book.load(bids, [(5_200, 4), (5_300, 6)])
    return book


def recorder_with(frames: int = 0, *, most: int = 100, size_bytes: int = 10_000) -> FlightRecorder:
    ring = FlightRing(most, size_bytes)
    recorder = FlightRecorder("kalshi", "kalshi-0", DecoderOptions(tickers=True), [M, N], ring=ring)
    for number in range(frames):
        ring.append((number, b"%06d" % number))
    return recorder


def gap(market: MarketId = M) -> Incident:
    return Incident("gap", market, "sequence gap before 8", 99)


# -- the ring --------------------------------------------------------------------------------------


@given(
    st.lists(st.one_of(st.integers(0, 60), st.none()), max_size=200),
    st.integers(1, 20),
    st.integers(1, 300),
)
def test_after_a_trim_the_newest_frames_are_there_and_no_more(
    steps: list[int | None], most: int, most_bytes: int
) -> None:
    """None trims; a number is a frame of so many bytes."""
    ring = FlightRing(most, most_bytes)
    came: list[tuple[int, bytes]] = []
    for step in [*steps, None]:
        if step is not None:
            frame = (len(came), b"x" * step)
            came.append(frame)
            ring.append(frame)
            assert len(ring) <= 4 * most
            continue
        ring.trim()
        kept = list(ring)
        assert kept == came[len(came) - len(kept) :]
        assert ring.size_bytes == sum(len(data) for _, data in kept) <= most_bytes
        assert len(kept) <= most
        if len(kept) < len(came):
            assert not ring.is_whole


def test_a_ring_that_fell_over_between_trims_counts_anew() -> None:
    ring = FlightRing(3, 1_000)
    for number in range(50):
        ring.append((number, b"12345"))
    ring.trim()
    assert [number for number, _ in ring] == [47, 48, 49]
    assert (ring.size_bytes, ring.is_whole) == (15, False)


def test_nothing_is_lost_while_there_is_room() -> None:
    recorder = recorder_with(20)
    recorder.ring.trim()
    assert (len(recorder.ring), recorder.ring.is_whole) == (20, True)


# -- checkpoints -----------------------------------------------------------------------------------


def test_a_young_connection_is_told_from_its_first_frame() -> None:
    recorder = recorder_with(5)
    recorder.checkpoints.take(M, book_of((4_700, 5)), 50, 1)
    told = gather(gap(), recorder, [(M, book_of((4_800, 5)), 60)])
    assert (told.header.whole, told.header.cut, told.header.starts) == (True, False, [])
    assert [number for number, _ in told.frames] == [0, 1, 2, 3, 4]


def test_an_old_connection_is_told_from_the_oldest_usable_copy_of_the_book() -> None:
    recorder = recorder_with(40, most=60)
    take, ring = recorder.checkpoints.take, recorder.ring
    take(M, book_of((4_600, 1)), 1, 1)
    for number in range(40, 90):
        ring.append((number, b"x"))
        if number in (60, 75):
            take(M, book_of((4_600 + number, 1)), number, number)
    ring.trim()
    told = gather(gap(), recorder, [(M, book_of((4_800, 5)), 60)])
    assert not told.header.whole
    (start,) = told.header.starts
    assert (start.before, start.book.ts_ns, start.book.bids) == (0, 60, [(4_660, 1)])
    assert told.frames[0][0] == 61
    assert told.frames[-1][0] == 89


def test_a_copy_whose_frames_have_fallen_out_is_of_no_use() -> None:
    recorder = recorder_with(10, most=5)
    recorder.checkpoints.take(M, book_of((4_700, 5)), 50, 1)
    for number in range(10, 40):
        recorder.ring.append((number, b"x"))
    recorder.ring.trim()
    told = gather(gap(), recorder, [(M, book_of(), 60)])
    assert (told.header.starts, told.header.cut, len(told.frames)) == ([], True, 5)


def test_frames_beyond_the_limit_of_a_file_are_left_out_and_it_says_so() -> None:
    recorder = recorder_with(50)
    recorder.checkpoints.take(M, book_of((4_700, 5)), 50, 1)
    for number in range(50, 90):
        recorder.ring.append((number, b"%06d" % number))
    full = gather(gap(), recorder, [(M, book_of(), 60)], size_bytes=240)
    assert (len(full.frames), full.header.cut, full.header.starts[0].before) == (40, False, 0)
    short = gather(gap(), recorder, [(M, book_of(), 60)], size_bytes=239)
    assert (len(short.frames), short.header.cut, short.header.starts) == (39, True, [])


def test_a_book_that_stands_still_is_copied_once_and_found_all_the_same() -> None:
    recorder = recorder_with(1, most=5)
    first, other = book_of((4_700, 5)), book_of((4_800, 5))
    recorder.checkpoints.take(M, first, 50, 7)
    for number in range(1, 40):
        recorder.ring.append((number, b"x"))
        recorder.checkpoints.take(M, other, 50, 7)
    told = gather(gap(), recorder, [(M, first, 60)])
    assert told.header.starts[0].book.bids == [(4_700, 5)]
    recorder.checkpoints.take(M, other, 51, 8)
    recorder.checkpoints.take(M, other, 51, 8)
    told = gather(gap(), recorder, [(M, other, 60)])
    assert told.header.starts[0].book.bids == [(4_800, 5)]


def test_a_market_that_left_has_no_copies() -> None:
    recorder = recorder_with(1)
    recorder.checkpoints.take(M, book_of(), 1, 1)
    recorder.checkpoints.forget(M)
    assert M not in recorder.checkpoints


def test_a_copy_is_the_book_whole() -> None:
    book = OrderBook()
    book.load([(price, price) for price in range(1, 400)], [(9_000, 7)])
    book.lose("gap")
    copy = BookCopy.of(M, book, 3)
    assert (copy.state, copy.reason, copy.ts_ns) == ("lost", "gap", 3)
    assert dict(copy.bids) == {price: price for price in range(1, 400)}
    assert copy.asks == [(9_000, 7)]


# -- decisions -------------------------------------------------------------------------------------


def test_decisions_are_bounded_and_told_by_market() -> None:
    decisions = Decisions(4)
    for number, market in enumerate([M, N, MarketId(""), M, N, M]):
        decisions.note(number, market, "doubt", f"d{number}")
    assert len(decisions) == 4
    assert [made.at_ns for made in decisions.of(M)] == [2, 3, 5]
    assert [made.at_ns for made in decisions.of(MarketId(""))] == [2, 3, 4, 5]


# -- the file --------------------------------------------------------------------------------------


def evidence() -> Evidence:
    recorder = recorder_with(3)
    recorder.ring.append((7, b"\xff\x00 no text"))
    recorder.ring.append((8, '"é"\u2028\n'.encode()))
    made = [Decision(5, M, "lost", "gap")]
    books = [(M, book_of((4_700, 5)), 60), (N, book_of(), 61)]
    return gather(gap(), recorder, books, decisions=made, feed="1.2.3")


def test_what_is_written_is_read_back() -> None:
    told = evidence()
    lines = list(told.lines())
    assert all(b"\n" not in line for line in lines)
    again = read_evidence(lines)
    assert again.frames == told.frames
    assert (again.header, again.decisions) == (told.header, told.decisions)


def test_every_file_that_breaks_off_is_known_by_that() -> None:
    lines = list(evidence().lines())
    for kept in range(1, len(lines)):
        with pytest.raises(Incomplete):
            read_evidence(lines[:kept])
    with pytest.raises(Incomplete, match="4 of 5"):
        read_evidence([*lines[:2], *lines[3:]])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "truncated"),
        (b"no json", "malformed"),
        (b"{}", "version None"),
        (b'{"incident":2}', "version 2"),
        (b'{"incident":1}', "missing required field"),
        (b"[1]", "Expected"),
    ],
)
def test_a_first_line_that_is_none_is_an_error(line: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_evidence([line, b'{"frames":0,"decisions":[]}'])


def test_time_runs_forward_in_what_is_told() -> None:
    times = [received_ns for received_ns, _ in evidence().frames]
    assert all(one <= other for one, other in pairwise(times))
