"""The histogram of durations: where values fall, and what it says about them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.histogram import BOUNDS_NS, LatencyHistogram


def histogram_of(*values_ns: int) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for ns in values_ns:
        histogram.observe_ns(ns)
    return histogram


def test_bounds_rise_from_a_microsecond_to_10_s() -> None:
    assert list(BOUNDS_NS) == sorted(set(BOUNDS_NS))
    assert (BOUNDS_NS[0], BOUNDS_NS[-1]) == (1_000, 10_000_000_000)


def test_an_empty_histogram_knows_no_percentile() -> None:
    assert LatencyHistogram().percentile_s(50) is None
    assert LatencyHistogram().count == 0


def test_a_value_at_a_bound_lies_below_it() -> None:
    at, above = histogram_of(50_000), histogram_of(50_001)
    assert dict(at.buckets_s())[50e-6] == 1
    assert dict(above.buckets_s())[50e-6] == 0


def test_buckets_are_cumulative_and_end_at_infinity() -> None:
    buckets = list(histogram_of(1, 60_000, 20_000_000_000).buckets_s())
    assert buckets[0] == (1e-6, 1)
    assert (50e-6, 1) in buckets
    assert (100e-6, 2) in buckets
    assert buckets[-2:] == [(10.0, 2), (math.inf, 3)]


def test_negative_durations_count_as_nothing() -> None:
    """Clocks that disagree can't make the running sum fall."""
    histogram = histogram_of(-5_000_000)
    assert (histogram.count, histogram.sum_ns, histogram.max_ns) == (1, 0, 0)
    assert histogram.percentile_s(99) == 0.0


def test_percentiles_are_interpolated_within_a_bucket() -> None:
    histogram = histogram_of(*[60_000] * 50, *[90_000_000] * 50)
    median, late = histogram.percentile_s(50), histogram.percentile_s(99)
    assert median == pytest.approx(100e-6)
    assert late == pytest.approx(0.09)


def test_beyond_the_last_bound_the_maximum_bounds() -> None:
    assert histogram_of(30_000_000_000).percentile_s(100) == 30.0


@given(st.lists(st.integers(0, 60_000_000_000), min_size=1), st.floats(0.1, 100))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(
    values_ns: list[int], percent: float
) -> None:
    histogram = histogram_of(*values_ns)
    ordered = sorted(values_ns)
    true_ns = ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
    lower_ns = max((b for b in (0, *BOUNDS_NS) if b < true_ns), default=0)
    upper_ns = min((b for b in BOUNDS_NS if b >= true_ns), default=histogram.max_ns)
    found = histogram.percentile_s(percent)
    assert found is not None
    assert lower_ns / 1e9 - 1e-12 <= found <= upper_ns / 1e9 + 1e-12


@given(st.lists(st.integers(-1_000, 60_000_000_000)))
def test_counts_and_sum_are_exact(values_ns: list[int]) -> None:
    histogram = histogram_of(*values_ns)
    assert histogram.count == len(values_ns) == list(histogram.buckets_s())[-1][1]
    assert histogram.sum_ns == sum(max(0, ns) for ns in values_ns)
