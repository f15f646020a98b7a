"""How late the event loop is, and when that is worth a line."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from arbees_feed.ops.metrics import Metrics
from arbees_feed.ops.stalls import Stalls


class Lines:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, object]] = []
        self.first = asyncio.Event()

    def warning(self, event: str, **fields: object) -> None:
        self.told.append({"event": event, **fields})
        self.first.set()


class Loop:
    """Time that passes in `sleep` only, each time later than asked by what is prepared."""

    def __init__(self, late_s: Sequence[float]) -> None:
        self.now_s = 50.0
        self._late_s = list(late_s)

    async def sleep(self, seconds: float) -> None:
        if not self._late_s:
            raise asyncio.CancelledError
        self.now_s += seconds + self._late_s.pop(0)


async def measured(late_s: Sequence[float]) -> tuple[Stalls, Lines, Loop]:
    lines, loop = Lines(), Loop(late_s)
    stalls = Stalls(lines, sleep=loop.sleep, monotonic=lambda: loop.now_s)
    with pytest.raises(asyncio.CancelledError):
        await stalls.run()
    return stalls, lines, loop


async def test_lateness_goes_into_the_histogram_and_is_not_a_stall() -> None:
    stalls, lines, _ = await measured([0.0, 0.002, -0.001, 0.09])
    assert stalls.lag.count == 4
    assert stalls.lag.sum_ns == pytest.approx(92_000_000)
    assert (stalls.stalls, lines.told) == (0, [])
    assert stalls.longest_s() == pytest.approx(0.09)


async def test_a_stall_is_counted_and_told_with_its_milliseconds() -> None:
    stalls, lines, _ = await measured([0.0, 0.25, 0.0, 3.0])
    assert stalls.stalls == 2
    assert lines.told == [
        {"event": "event loop stalled", "ms": 250},
        {"event": "event loop stalled", "ms": 3_000},
    ]


async def test_the_longest_is_that_of_the_last_ten_seconds() -> None:
    stalls, _, loop = await measured([2.0, *[0.001] * 90])
    assert stalls.longest_s() == pytest.approx(2.0)
    loop.now_s += 2.0
    assert stalls.longest_s() == pytest.approx(0.001)
    loop.now_s += 60.0
    assert stalls.longest_s() == 0.0


async def test_the_metrics_have_their_names() -> None:
    stalls, _, _ = await measured([0.25, 0.001])
    text = Metrics([stalls.readings]).render()[0].decode()
    assert "arbees_feed_loop_stalls_total 1.0" in text
    assert 'arbees_feed_loop_lag_seconds_bucket{le="0.25"}' in text
    assert "arbees_feed_loop_lag_seconds_count 2.0" in text
    assert "arbees_feed_loop_lag_longest_seconds 0.25" in text


async def test_a_loop_that_is_really_blocked_is_noticed() -> None:
    lines = Lines()
    stalls = Stalls(lines)
    async with asyncio.TaskGroup() as group:
        measuring = group.create_task(stalls.run())
        await asyncio.sleep(0)
        time.sleep(0.35)  # noqa: ASYNC251 - this is the fault under test
        await lines.first.wait()
        measuring.cancel()
    assert stalls.stalls == 1
    assert 200 <= int(str(lines.told[0]["ms"])) < 5_000
