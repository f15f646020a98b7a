"""Incidents on disk: written soon, few, bounded, and never at the cost of anything else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.flights import START_NS, Flight
from support.outlets import FakeClock
from support.worlds import KalshiWorld

from arbees_feed.app.incidents import SPACING_S, IncidentOptions, IncidentWriter
from arbees_feed.cli.incident import Reenactment, load
from arbees_feed.core.model import MarketId
from arbees_feed.feed.flight import Decisions

M = KalshiWorld.markets[0]


class Scene:
    """A writer, its clocks, and a connection to tell of."""

    def __init__(self, folder: Path, **options: int) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.now_ns = START_NS + 123_000_000
        self.decisions = Decisions()
        self.flight = Flight("kalshi", KalshiWorld(1), frames=25)
        self.flight.steps(60)
        self.writer = IncidentWriter(
            IncidentOptions(folder, **options),
            self.decisions,
            monotonic=self.clock,
            now_ns=self._next_ns,
        )

    def _next_ns(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns

    def report(self, market: str = M, kind: str = "gap", reason: str = "gap on sid 1") -> bool:
        row = self.flight.table.get(MarketId(market))
        books = [(row.id, row.book, row.ts_ns)] if row is not None and row.book is not None else []
        return self.writer.report(kind, self.flight.recorder, MarketId(market), reason, books)

    def files(self, pattern: str = "*") -> list[str]:
        return sorted(path.name for path in self.folder.glob(pattern))

    async def written(self, count: int) -> None:
        """Wait until so many files were written, or failed."""
        stats = self.writer.stats
        while stats.written + stats.failed < count:  # noqa: ASYNC110 - a counter is no event
            await asyncio.sleep(0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.writer.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_an_incident_is_written_and_comes_out_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "incidents")
    scene.decisions.note(1, M, "resync", "gap")
    scene.decisions.note(2, MarketId("OTHER"), "resync", "gap")
    async with scene.running():
        assert scene.report()
        await scene.written(1)
    (name,) = scene.files()
    assert name == f"20261121T000000.124Z-kalshi-0-gap-{M}.incident.gz"
    assert scene.writer.stats.last == str(tmp_path / "incidents" / name)
    told = load(tmp_path / "incidents" / name)
    assert [made.market for made in told.decisions] == [M]
    assert (told.header.kind, told.header.market, told.header.reason) == ("gap", M, "gap on sid 1")
    again = Reenactment(told)
    again.run()
    assert again.differences() == []


async def test_what_is_told_is_what_it_was_at_the_moment(tmp_path: Path) -> None:
    """The file is written later: the frames and books in it are those of the report."""
    scene = Scene(tmp_path)
    frames = list(scene.flight.recorder.ring)
    scene.report()
    scene.flight.steps(20)
    async with scene.running():
        await scene.written(1)
    told = load(tmp_path / scene.files()[0])
    assert told.frames[-1] == frames[-1]


async def test_a_market_has_one_file_of_a_kind_a_minute(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    asked = [scene.report(), scene.report(), scene.report(kind="freeze"), scene.report(market="")]
    scene.clock.now_s += SPACING_S - 0.1
    asked.append(scene.report())
    scene.clock.now_s += 0.2
    asked.append(scene.report())
    assert asked == [True, False, True, True, False, True]
    stats = scene.writer.stats
    assert (stats.seen, stats.skipped) == (6, 2)


async def test_connections_are_told_apart(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert scene.report(market="", kind="disconnect")
    scene.flight.recorder.connection = "kalshi-1"
    assert scene.report(market="", kind="disconnect")


async def test_a_storm_of_incidents_is_bounded(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert sum(scene.report(kind=f"k{number}") for number in range(100)) == 8
    async with scene.running():
        await scene.written(8)
        taken = 0
        for number in range(100, 200):
            taken += scene.report(kind=f"k{number}")
            await scene.written(8 + taken)
    assert taken == 12, "20 a minute in all"


async def test_the_oldest_files_go_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "0-mine.txt").write_text("keep")
    scene = Scene(tmp_path, most_files=3)
    async with scene.running():
        for number in range(5):
            assert scene.report(kind=f"k{number}")
            await scene.written(number + 1)
    kept = scene.files()
    assert kept[0] == "0-mine.txt"
    assert [name.split("-")[3] for name in kept[1:]] == ["k2", "k3", "k4"]


async def test_a_file_has_no_more_than_its_bytes(tmp_path: Path) -> None:
    scene = Scene(tmp_path, most_bytes=500)
    async with scene.running():
        scene.report()
        await scene.written(1)
    told = load(tmp_path / scene.files()[0])
    assert 0 < sum(len(frame) for _, frame in told.frames) <= 500
    assert told.header.cut


async def test_a_name_from_outside_stays_a_name(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "in")
    async with scene.running():
        scene.report(market="../../etc/x\x1b[31m\n" + "9" * 500, kind="gap/..")
        await scene.written(1)
    (name,) = scene.files()
    assert name.startswith("20261121T000000.124Z-kalshi-0-gap_-_etc_x_31m_999")
    assert len(name) < 120
    scene.folder = tmp_path
    assert scene.files() == ["in"]


async def test_a_disk_that_fails_is_counted_and_costs_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    scene = Scene(tmp_path / "file" / "in")
    async with scene.running():
        scene.report()
        await scene.written(1)
        scene.report(kind="freeze")
        await scene.written(2)
    assert (scene.writer.stats.failed, scene.writer.stats.written) == (2, 0)
    assert capsys.readouterr().out.count("incident not written") == 2


async def test_what_waits_at_the_end_is_written(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    async with scene.running():
        await asyncio.sleep(0)
        scene.report()
        scene.report(kind="freeze")
    assert len(scene.files()) == 2
    assert scene.files("*.part") == []
