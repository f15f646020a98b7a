"""What a metric is before it is text: plain numbers with names, which parts of the feed yield."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from arbees_feed.core.histogram import LatencyHistogram


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One number. The name carries its unit and comes without prefix: `publish_lag_seconds`.

    The names of counters end in `_total`.
    """

    name: str
    help: str
    kind: Literal["counter", "gauge"]
    value: float
    labels: Mapping[str, str] = {}


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """One histogram; the name ends in `_seconds`."""

    name: str
    help: str
    histogram: LatencyHistogram
    labels: Mapping[str, str] = {}


Provider = Callable[[], Iterable[Sample | Durations]]
"""Returns the numbers of one part of the feed as they are now."""
