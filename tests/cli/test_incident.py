"""An incident's file brings about the same incident again, on both venues, young and old."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import pytest
from support import mutations
from support.flights import Flight
from support.processes import Run
from support.recordings import corpus
from support.tapes import recorded_sessions
from support.worlds import KalshiWorld, PolymarketWorld

from arbees_feed.cli import incident
from arbees_feed.cli.incident import Reenactment
from arbees_feed.errors import FatalError, ProtocolViolation
from arbees_feed.feed.evidence import Evidence, FrameLine, read_evidence
from arbees_feed.feed.flight import BookCopy

AGES = pytest.mark.parametrize("frames", [20_000, 25], ids=["young", "old"])
"""How many frames the ring keeps: all since the first, or too few."""
KALSHI = KalshiWorld.markets[0]
POLYMARKET = PolymarketWorld.markets[0]


def again(evidence: Evidence) -> Reenactment:
    """Bring an incident about again, from what its file would hold."""
    found = Reenactment(read_evidence(evidence.lines()))
    found.run()
    return found


def flight(venue: str, frames: int = 20_000, seed: int = 1) -> Flight:
    made = Flight(
        venue, (KalshiWorld if venue == "kalshi" else PolymarketWorld)(seed), frames=frames
    )
    made.steps(60)
    return made


def lines_of(evidence: Evidence) -> list[bytes]:
    return list(evidence.lines())


# -- incidents -------------------------------------------------------------------------------------


@AGES
@pytest.mark.parametrize("market", ["", KALSHI], ids=["connection", "market"])
def test_a_gap_comes_out_again(frames: int, market: str) -> None:
    talk = flight("kalshi", frames)
    talk.world.step()
    talk.next_frame()
    row = talk.table.get(KALSHI)
    assert row is not None
    assert row.book is not None
    assert row.book.state.value == "lost"
    told = talk.evidence("gap", market, row.book.reason)
    assert told.header.whole is (frames > 25)
    found = again(told)
    assert found.differences() == []
    frame, reason = found.said[0]
    assert frame == len(told.frames)
    assert reason.endswith(row.book.reason)
    assert "gap" in reason


@AGES
def test_a_level_below_zero_comes_out_again(frames: int) -> None:
    talk = flight("kalshi", frames)
    frame = msgspec.json.decode(msgspec.json.encode(talk.world.step()))
    frame["msg"]["delta_fp"] = "-99999.00"
    talk.receive(msgspec.json.encode(frame))
    market = frame["msg"]["market_ticker"]
    row = talk.table.get(market)
    assert row is not None
    assert row.book is not None
    assert row.book.state.value == "lost"
    found = again(talk.evidence("violation of a book", market, row.book.reason))
    assert found.differences() == []
    assert found.said[-1][1].endswith(row.book.reason)


@AGES
@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_an_unreadable_frame_comes_out_again(venue: str, frames: int) -> None:
    talk = flight(venue, frames)
    with pytest.raises(ProtocolViolation) as violation:
        talk.receive(msgspec.json.encode(talk.world.step())[:-9] + b"\xff")
    found = again(talk.evidence("violation", "", str(violation.value)))
    assert found.differences() == []
    assert found.said[-1][1] == str(violation.value)


@AGES
def test_a_book_that_is_not_what_the_venue_says_comes_out_again(frames: int) -> None:
    talk = flight("polymarket", frames)
    frame = msgspec.json.decode(msgspec.json.encode(talk.world.step()))
    for change in frame["price_changes"]:
        change["best_bid"], change["best_ask"] = "0.03", "0.97"
    talk.receive(msgspec.json.encode(frame))
    talk.wait(1.5)
    market = frame["price_changes"][0]["asset_id"]
    row = talk.table.get(market)
    assert row is not None
    assert row.book is not None
    assert row.book.reason == "top of book is not what the venue says"
    assert again(talk.evidence("top", market, row.book.reason)).differences() == []


@AGES
def test_an_answer_that_differs_comes_out_again_with_our_book(frames: int) -> None:
    talk = flight("kalshi", frames)
    lie = msgspec.json.decode(msgspec.json.encode(talk.world.step()))
    lie["msg"]["delta_fp"] = "11.00"
    market = lie["msg"]["market_ticker"]
    talk.receive(msgspec.json.encode(lie))
    assert talk.decoder.probe([market])
    talk.answer()
    assert talk.told is not None
    ours = talk.told.header.books[0]
    found = again(talk.told)
    assert found.differences() == []
    after = found.book(market)
    assert after is not None
    assert after.bids != ours.bids or after.asks != ours.asks


@AGES
@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_the_end_of_a_connection_comes_out_again(venue: str, frames: int) -> None:
    talk = flight(venue, frames)
    talk.table.lose(talk.link, "closed by the venue: 1006")
    assert again(talk.evidence("disconnect", "", "closed by the venue: 1006")).differences() == []


def test_what_was_disproved_stays_so() -> None:
    talk = flight("polymarket")
    row = talk.table.get(POLYMARKET)
    assert row is not None
    talk.decisions.note(talk.now_ns, POLYMARKET, "disproved", "not the venue's book: bid 0.48")
    talk.table.disprove(row, "not the venue's book: bid 0.48", talk.now_ns)
    told = talk.evidence("top", POLYMARKET, "not the venue's book")
    assert again(told).differences() == []
    assert again(msgspec.structs.replace(told, decisions=[])).differences() != []


@pytest.mark.timeout(120)
def test_recorded_sessions_come_out_again_from_any_frame_on() -> None:
    for venue, tape, told in recorded_sessions(corpus()):
        for stop in (len(told) // 3, len(told) - 1):
            talk = Flight(venue, tape(told, 0), frames=20)
            talk.steps(stop)
            found = again(talk.evidence("freeze", "", "nothing came"))
            assert found.differences() == []
            assert found.evidence.header.books


# -- differences -----------------------------------------------------------------------------------


def _other_level(lines: list[bytes]) -> None:
    header = json.loads(lines[0])
    header["books"][0]["bids"][0][1] += 1
    lines[0] = json.dumps(header, separators=(",", ":")).encode()


def _other_change(lines: list[bytes]) -> None:
    told = json.loads(lines[-2])
    told["frame"] = told["frame"].replace('"delta_fp":"', '"delta_fp":"7')
    lines[-2] = json.dumps(told).encode()


def _no_books(lines: list[bytes]) -> None:
    header = json.loads(lines[0])
    header |= {"starts": [], "whole": False}
    lines[0] = json.dumps(header, separators=(",", ":")).encode()


def _no_gap(lines: list[bytes]) -> None:
    told = json.loads(lines[-2])
    seq = json.loads(told["frame"])["seq"]
    told["frame"] = told["frame"].replace(f'"seq":{seq}', f'"seq":{seq - 1}')
    lines[-2] = json.dumps(told).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_level, "size "),
        (_no_books, "no book now"),
        (_no_gap, KALSHI),
    ],
)
def test_another_outcome_is_told(change: Callable[[list[bytes]], None], said: str) -> None:
    talk = flight("kalshi", 25)
    talk.world.step()
    talk.next_frame()
    lines = lines_of(talk.evidence("gap", KALSHI, "sequence gap"))
    change(lines)
    found = Reenactment(read_evidence(lines))
    found.run()
    (difference,) = found.differences()
    assert said in difference


# -- the command -----------------------------------------------------------------------------------


def written(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
    return path


def a_gap(frames: int = 25) -> list[bytes]:
    talk = flight("kalshi", frames)
    talk.decisions.note(talk.now_ns, KALSHI, "resync", "sequence gap\x1b[31m")
    talk.world.step()
    talk.next_frame()
    return lines_of(talk.evidence("gap", KALSHI, "sequence gap"))


def test_the_command_says_what_happened_and_that_it_is_the_same(cli: Run, tmp_path: Path) -> None:
    done = cli("replay", str(written(tmp_path / "a.incident.gz", a_gap())))
    assert (done.returncode, done.stderr) == (0, "")
    out = done.stdout.splitlines()
    assert out[0].startswith("gap on kalshi-0, ")
    assert out[-1] == "reproduced"
    assert any("resync" in line and "\x1b" not in line for line in out)
    assert any(line.startswith("  frame ") and ": gap" in line for line in out)
    (tmp_path / "plain.jsonl").write_bytes(b"\n".join(a_gap()))
    told = json.loads(cli("replay", str(tmp_path / "plain.jsonl"), "--json").stdout)
    assert (told["reproduced"], told["kind"], told["market"]) == (True, "gap", KALSHI)


def test_another_outcome_is_exit_code_1(cli: Run, tmp_path: Path) -> None:
    lines = a_gap()
    _no_gap(lines)
    done = cli("replay", str(written(tmp_path / "a.incident.gz", lines)))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1].startswith(f"differs: {KALSHI}: ")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[: len(data) // 2], "it breaks off"),
        (lambda data: data[:60] + b"\x00\xff\x00\xff" + data[64:], "cannot read"),
        (lambda _: gzip.compress(b"\n".join(a_gap()[:-1])), "its last line is missing"),
        (lambda _: gzip.compress(b"\n".join([a_gap()[0], *a_gap()[3:]])), "frames are there"),
        (lambda _: gzip.compress(b'{"incident":9}\n'), "version 9"),
        (lambda _: gzip.compress(b'{"incident":1,"venue":3}\n'), "cannot read"),
        (lambda _: gzip.compress(b'{"incident":1' + b"[" * 90_000), "cannot read"),
    ],
)
def test_a_damaged_file_is_one_line(
    damage: Callable[[bytes], bytes], said: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.incident.gz", a_gap())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FatalError, match=said) as failed:
        incident.load(path)
    assert str(failed.value).startswith(f"cannot read {path}: ")
    assert len(str(failed.value)) < 400


def test_a_damaged_file_is_no_traceback(cli: Run, tmp_path: Path) -> None:
    path = written(tmp_path / "a.incident.gz", a_gap()[:-1])
    done = cli("replay", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == f"arbees-feed: cannot read {path}: it breaks off: its last line is missing\n"
    )


def test_a_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.incident.gz", [*a_gap(), b" " * 3_000_000])
    monkeypatch.setattr(incident, "MOST_BYTES", 1 << 20)
    with pytest.raises(FatalError, match="more than 1 MiB"):
        incident.load(path)


def test_a_tape_is_no_incident(tmp_path: Path) -> None:
    (tmp_path / "tape.jsonl").write_text('{"type":"ticker"}\n')
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8bno gzip")
    assert not incident.is_incident(tmp_path / "tape.jsonl")
    assert not incident.is_incident(tmp_path / "broken.gz")


def test_frames_that_are_no_text_come_back_as_they_were() -> None:
    for data in (b"\xff\xfe", b"", "é\u2028".encode(), b'{"a":1}\n'):
        assert FrameLine.of((1, data)).data() == data


def test_a_book_is_compared_in_any_order() -> None:
    talk = flight("kalshi", 25)
    told = talk.evidence("freeze", KALSHI, "nothing")
    copy = told.header.books[0]
    turned = BookCopy(copy.market, "live", "", copy.bids[::-1], copy.asks[::-1], 0)
    other = msgspec.structs.replace(told.header, books=[turned])
    assert again(msgspec.structs.replace(told, header=other)).differences() == []


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_whatever_a_file_says_is_refused_or_played(venue: str) -> None:
    talk = flight(venue, 12)
    talk.decisions.note(talk.now_ns, talk.world.markets[0], "disproved", "x")
    good = lines_of(talk.evidence("gap", "", "gap"))
    refused = played = 0
    for random in map(Random, range(150)):
        lines = list(good)
        place = random.choice([0, 0, len(lines) - 1, random.randrange(len(lines))])
        lines[place] = mutations.mutated(lines[place], random)
        try:
            found = Reenactment(read_evidence(lines))
        except (ValueError, RecursionError, KeyError):
            refused += 1
            continue
        found.run()
        played += bool(incident.report(found)["frames"])
    assert min(refused, played) > 20
