"""What judging tells, and that it notices when it gets no time."""

from collections.abc import Sequence

import pytest
from support.pairing import game

from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.judge import REST_AFTER_S, SAID_EVERY, WINDOW_S, HeldBack, Judge, Pace, Told
from arbees_feed.pairs.ledger import Changes, Ledger
from arbees_feed.pairs.metadata import Meta
from arbees_feed.pairs.unreadable import Unreadable

OURS, OTHERS, THEIRS = game(8)


class Clocks:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0
        self.rests = 0

    def pace(self) -> Pace:
        return Pace(wall=lambda: self.wall_s, cpu=lambda: self.cpu_s, sleep=self.rest)

    def rest(self, _: float) -> None:
        self.rests += 1


class Keeper:
    """Keeps what it is told; telling takes no time of ours."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.error: Exception | None = None

    async def take(self, told: Told) -> None:
        self.told.append(told)

    async def scanned(self, told: Told, _unknown: Sequence[tuple[int, str]]) -> None:
        self.told.append(told)
        if self.error is not None:
            raise self.error


def judge_of(keeper: Keeper, pace: Pace | None = None) -> Judge:
    return Judge(Ledger(lambda: "2026-08-02T00:00:00Z"), keeper, Unreadable(), pace=pace)


async def test_nothing_is_told_until_all_is_read_and_then_only_what_changes() -> None:
    keeper = Keeper()
    judge = judge_of(keeper)
    await judge.found([OURS, OTHERS])
    await judge.found([THEIRS])
    assert keeper.told == []
    await judge.scanned()
    (told,) = keeper.told
    assert (len(told.changes.put), told.markets) == (2, 3)
    await judge.found([OURS, THEIRS])
    assert len(keeper.told) == 1
    await judge.gone([OURS.market_id, "nobody"])
    assert len(keeper.told[1].changes.retired) == 1
    await judge.scanned()
    assert keeper.told[2] == Told(Changes(), 2)


async def test_how_far_the_first_look_has_come_is_said_and_nothing_else() -> None:
    keeper = Keeper()
    judge = judge_of(keeper)
    for number in range(SAID_EVERY + 1):
        await judge.found([Meta("kalshi", f"K{number}", {"platform": "kalshi", "title": "odd"})])
    assert keeper.told == [Told(Changes(), SAID_EVERY)]


async def test_what_a_keeper_could_not_finish_is_told_at_the_next_scan_only() -> None:
    """It has taken what it was told; what comes now waits, as what it had to write does."""
    keeper = Keeper()
    judge = judge_of(keeper)
    await judge.found([OURS])
    keeper.error = RedisUnavailable("gone")
    with pytest.raises(RedisUnavailable):
        await judge.scanned()
    keeper.error = None
    await judge.found([OTHERS, THEIRS])
    assert len(keeper.told) == 1
    await judge.scanned()
    assert len(keeper.told[1].changes.put) == 2


@pytest.mark.parametrize(("share", "is_held_back"), [(0.09, True), (0.11, False), (1.0, False)])
def test_work_that_gets_less_than_a_tenth_of_a_processor_is_held_back(
    share: float, *, is_held_back: bool
) -> None:
    clocks = Clocks()
    pace = clocks.pace()
    raised = 0
    for _ in range(10):
        begun = pace.begin()
        clocks.wall_s += WINDOW_S / 5
        clocks.cpu_s += WINDOW_S / 5 * share
        pace.end(begun)
        try:
            pace.check()
        except HeldBack:
            raised += 1
    assert raised == is_held_back  # of two windows: there is nothing to be done about the second


def test_work_rests_until_it_is_held_back() -> None:
    clocks = Clocks()
    pace = clocks.pace()
    begun = pace.begin()
    clocks.wall_s += REST_AFTER_S
    pace.end(begun)
    pace.rest()
    pace.rest()
    assert clocks.rests == 1
    begun = pace.begin()
    clocks.wall_s += WINDOW_S
    pace.end(begun)
    with pytest.raises(HeldBack):
        pace.check()
    pace.rest()
    assert clocks.rests == 1


def test_time_without_work_counts_for_nothing() -> None:
    clocks = Clocks()
    pace = clocks.pace()
    for _ in range(3):
        clocks.wall_s += 60.0
        begun = pace.begin()
        clocks.wall_s += WINDOW_S / 2
        clocks.cpu_s += WINDOW_S / 2
        pace.end(begun)
        pace.check()


async def test_what_was_judged_before_it_was_held_back_is_not_lost() -> None:
    clocks, keeper = Clocks(), Keeper()

    class Slow(Ledger):
        def put(self, meta: Meta) -> Changes:
            clocks.wall_s += WINDOW_S
            return super().put(meta)

    judge = Judge(Slow(lambda: "2026-08-02T00:00:00Z"), keeper, Unreadable(), pace=clocks.pace())
    await judge.scanned()
    with pytest.raises(HeldBack, match="0% of a processor"):
        await judge.found([OURS, OTHERS, THEIRS])
    assert sum(len(told.changes.put) for told in keeper.told) == 2
