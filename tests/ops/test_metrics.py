"""Metrics: names, kinds and labels as Prometheus reads them."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from arbees_feed.core.histogram import LatencyHistogram
from arbees_feed.ops.metrics import Durations, Metrics, Sample


def frames(venue: str, value: int) -> Sample:
    return Sample(
        name="frames_total",
        help="Frames received.",
        kind="counter",
        value=value,
        labels={"venue": venue},
    )


def lag() -> Iterable[Durations]:
    histogram = LatencyHistogram()
    histogram.observe_ns(60_000)
    histogram.observe_ns(20_000_000_000)
    yield Durations(name="publish_lag_seconds", help="Frame to Redis.", histogram=histogram)


def families(metrics: Metrics) -> dict[str, Metric]:
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain; version=0.0.4")
    return {family.name: family for family in parse(body.decode())}


def test_providers_that_share_a_name_make_one_family() -> None:
    metrics = Metrics([lambda: [frames("kalshi", 3)], lambda: [frames("polymarket", 4)]])
    family = families(metrics)["arbees_feed_frames"]
    assert family.type == "counter"
    assert family.documentation == "Frames received."
    assert [(s.name, s.labels, s.value) for s in family.samples] == [
        ("arbees_feed_frames_total", {"venue": "kalshi"}, 3),
        ("arbees_feed_frames_total", {"venue": "polymarket"}, 4),
    ]


def test_numbers_are_those_of_the_time_of_asking() -> None:
    count = 0
    metrics = Metrics([lambda: [Sample(name="books", help="Books.", kind="gauge", value=count)]])
    count = 7
    (sample,) = families(metrics)["arbees_feed_books"].samples
    assert sample.value == 7


def test_a_histogram_has_buckets_count_and_sum_in_seconds() -> None:
    family = families(Metrics([lag]))["arbees_feed_publish_lag_seconds"]
    assert family.type == "histogram"
    values = {
        (s.name.removeprefix(family.name), s.labels.get("le")): s.value for s in family.samples
    }
    assert values["_bucket", "5e-05"] == 0
    assert values["_bucket", "0.0001"] == 1
    assert values["_bucket", "10.0"] == 1
    assert values["_bucket", "+Inf"] == values["_count", None] == 2
    assert values["_sum", None] == 20.00006


def test_the_openmetrics_format_is_served_to_who_asks_and_is_well_formed() -> None:
    metrics = Metrics([lambda: [frames("kalshi", 3)], lag])
    body, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    names = {family.name for family in parse_openmetrics(body.decode())}  # type: ignore[no-untyped-call]  # the library's
    assert {"arbees_feed_frames", "arbees_feed_publish_lag_seconds"} <= names


def test_label_values_are_escaped() -> None:
    metrics = Metrics([lambda: [frames('a"b\\c\nd', 1)]])
    (sample,) = families(metrics)["arbees_feed_frames"].samples
    assert sample.labels == {"venue": 'a"b\\c\nd'}


def test_the_process_is_told_of_too() -> None:
    assert "process_resident_memory_bytes" in families(Metrics([]))
