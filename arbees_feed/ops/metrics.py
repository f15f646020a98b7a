"""Metrics for Prometheus, gathered when somebody asks for them.

The feed counts in plain integers and `LatencyHistogram`s; providers turn these into samples at
the time of a scrape, so that counting costs nothing but an addition.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from arbees_feed.ops.samples import Durations, Provider, Sample

PREFIX = "arbees_feed_"


class Metrics:
    """All metrics of the process: those of the providers, and the process's own."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Gatherer(tuple(providers)))
        ProcessCollector(registry=self._registry)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the text and its content type, in the format that *accept* (HTTP) asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Gatherer(Collector):
    def __init__(self, providers: tuple[Provider, ...]) -> None:
        self._providers = providers

    def describe(self) -> Iterable[Metric]:
        # Names are not known before the first scrape.
        return ()

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for provider in self._providers:
            for item in provider():
                _add(families, item)
        yield from families.values()


def _add(families: dict[str, Metric], item: Sample | Durations) -> None:
    # Several providers may share a name and differ in labels; the format wants them together.
    if isinstance(item, Durations):
        _add_histogram(_family(families, item.name, item.help, "histogram"), item)
    elif item.kind == "counter":
        base = item.name.removesuffix("_total")
        family = _family(families, base, item.help, "counter")
        family.add_sample(f"{family.name}_total", dict(item.labels), item.value)
    else:
        family = _family(families, item.name, item.help, "gauge")
        family.add_sample(family.name, dict(item.labels), item.value)


def _family(families: dict[str, Metric], name: str, text: str, kind: str) -> Metric:
    if name not in families:
        families[name] = Metric(f"{PREFIX}{name}", text, kind)
    return families[name]


def _add_histogram(family: Metric, item: Durations) -> None:
    labels, histogram = dict(item.labels), item.histogram
    for bound_s, count in histogram.buckets_s():
        bound = "+Inf" if bound_s == float("inf") else str(bound_s)
        family.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, count)
    family.add_sample(f"{family.name}_count", labels, histogram.count)
    family.add_sample(f"{family.name}_sum", labels, histogram.sum_ns / 1e9)
