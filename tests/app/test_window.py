"""Rates and percentiles of the last minute."""

import pytest

from arbees_feed.app.window import HOLE_S, Window, percentile_s
from arbees_feed.core.histogram import LatencyHistogram

MS = 1_000_000


def timed(*durations_ms: float) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for ms in durations_ms:
        histogram.observe_ns(round(ms * MS))
    return histogram


def look(window: Window, at_s: float, frames: int, histogram: LatencyHistogram) -> None:
    window.look(at_s, {"frames": frames}, {"lag": histogram})


def test_there_is_no_rate_before_the_second_look() -> None:
    window = Window()
    look(window, 100.0, 5_000, timed())
    assert window.rate("frames") is None
    look(window, 101.0, 5_300, timed())
    assert window.rate("frames") == 300.0


def test_a_rate_is_of_late_and_over_a_second_and_a_half_at_least() -> None:
    window = Window()
    for second, frames in enumerate([0, 100, 200, 200, 210]):
        look(window, float(second), frames, timed())
    assert window.rate("frames") == 5.0
    look(window, 4.1, 220, timed())
    assert window.rate("frames") == pytest.approx(20 / 2.1)


def test_what_was_before_a_time_in_which_nobody_looked_does_not_count() -> None:
    window = Window()
    look(window, 0.0, 0, timed(1))
    look(window, 1.0 + HOLE_S, 1_000_000, timed(1, 1))
    assert window.rate("frames") is None
    assert window.percentiles("lag").window_s == 0.0


def test_a_counter_that_is_new_has_no_rate_yet() -> None:
    window = Window()
    window.look(0.0, {}, {})
    look(window, 2.0, 7, timed(1))
    assert window.rate("frames") is None
    assert window.percentiles("lag").count == 1


def test_percentiles_are_of_all_time_first_and_of_the_window_then() -> None:
    histogram, window = timed(*[800] * 100), Window()
    look(window, 0.0, 0, histogram)
    told = window.percentiles("lag")
    assert (told.count, told.window_s) == (100, 0.0)
    assert told.p50_s is not None
    assert 0.5 < told.p50_s <= 1.0
    for _ in range(100):
        histogram.observe_ns(3 * MS)
    look(window, 30.0 - HOLE_S * 2, 0, histogram)
    told = window.percentiles("lag")
    assert (told.count, told.window_s) == (100, 10.0)
    for value in (told.p50_s, told.p95_s, told.p99_s):
        assert value is not None
        assert 0.002 < value <= 0.005


def test_a_window_is_a_minute_long_at_most() -> None:
    window = Window()
    for second in range(200):
        look(window, float(second), second, timed(*[1] * second))
    assert window.percentiles("lag").count == 60


@pytest.mark.parametrize(
    ("durations_ms", "percent", "least_s", "most_s"),
    [
        ([], 50, None, None),
        ([3.0] * 10, 50, 0.002, 0.005),
        ([0.003] * 99 + [700.0], 99, 0.000002, 0.000005),
        ([0.003] * 98 + [700.0] * 2, 99, 0.5, 1.0),
        ([20_000.0], 99, 10.0, 10.0),
    ],
)
def test_a_percentile_is_exact_to_its_bucket(
    durations_ms: list[float], percent: float, least_s: float | None, most_s: float | None
) -> None:
    value = percentile_s(tuple(timed(*durations_ms).buckets_s()), percent)
    if value is None or least_s is None or most_s is None:
        assert value is least_s
    else:
        assert least_s <= value <= most_s
