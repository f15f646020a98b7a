"""What Kalshi charges for trading: by series, unless the event has an override. Pure.

`/series` tells `fee_type` (a free string: `quadratic`, `quadratic_with_maker_fees`, …) and
`fee_multiplier`, for all series in one reply of some megabytes; an event's `fee_type_override` and
`fee_multiplier_override` are null mostly (OpenAPI, read 2026-11-21).
"""

from collections.abc import Iterable

import msgspec

from arbees_feed.core.decimals import checked_decimal
from arbees_feed.venues.kalshi.catalogue_messages import Event, Scalar, text

SERIES_REMEMBERED = 50_000
_LONGEST_TYPE = 80
_MOST_TIMES = 10_000


class Fees(msgspec.Struct, frozen=True, gc=False):
    """How fees are reckoned, in the venue's own words; empty: not told."""

    kind: str = ""
    multiplier: str = ""

    def fields(self) -> dict[str, str]:
        """Return the fields of a market's hash."""
        return {"fee_type": self.kind, "fee_multiplier": self.multiplier}


NOT_TOLD = Fees()


class Series(msgspec.Struct, frozen=True):
    """A series of `/series`, as far as its fees are concerned."""

    ticker: str
    fee_type: Scalar = None
    fee_multiplier: Scalar = None


class SeriesAnswer(msgspec.Struct, frozen=True):
    """The answer of `/series`, its records undecoded: one that is wrong must not cost the rest."""

    series: list[msgspec.Raw] | None


def fees_told(kind: Scalar, multiplier: Scalar) -> Fees:
    """Return the fees that a record tells.

    Raises:
        ValueError: one of them can't be what it should be; the message says which.
    """
    if kind is not None and (not isinstance(kind, str) or len(kind) > _LONGEST_TYPE):
        raise ValueError(f"fee type {text(kind)[:_LONGEST_TYPE]!r}")
    try:
        return Fees(kind or "", checked_decimal(text(multiplier), _MOST_TIMES))
    except ValueError as exc:
        raise ValueError(f"fee multiplier {exc}") from exc


def override_of(event: Event) -> Fees:
    """Return the fees that hold for this event only.

    Raises:
        ValueError: they can't be read.
    """
    return fees_told(event.fee_type_override, event.fee_multiplier_override)


class SeriesFees:
    """The fees of all series that were told. Bounded: those told longest ago are forgotten."""

    def __init__(self) -> None:
        self._by_series: dict[str, Fees] = {}
        self._changed: set[str] = set()

    def learn(self, series: str, fees: Fees) -> None:
        """Remember the fees of *series*."""
        if self._by_series.pop(series, NOT_TOLD) != fees:
            self._changed.add(series)
        self._by_series[series] = fees
        if len(self._by_series) > SERIES_REMEMBERED:
            oldest = next(iter(self._by_series))
            del self._by_series[oldest]
            self._changed.discard(oldest)

    def of(self, series: str, override: Fees = NOT_TOLD) -> Fees:
        """Return the fees of a market of *series* whose event has this *override*."""
        fees = self._by_series.get(series, NOT_TOLD)
        if override == NOT_TOLD:
            return fees
        return Fees(override.kind or fees.kind, override.multiplier or fees.multiplier)

    def have_changed(self, series: Iterable[str]) -> bool:
        """Return whether fees of any of these changed since this was last asked."""
        changed = not self._changed.isdisjoint(series)
        self._changed.clear()
        return changed
