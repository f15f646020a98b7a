"""The legal prices of a market."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import cache

from arbees_feed.sim.money import PRICE_SCALE, dollars, minimal_price

Band = tuple[int, int, int]  # start, end, step


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Contiguous price bands, each with its own step."""

    label: str
    bands: tuple[Band, ...]
    prices: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        legal = {price for band in self.bands for price in range(*band)}
        object.__setattr__(self, "prices", sorted(legal - {0}))

    @property
    def tick(self) -> int:
        """Return the finest step."""
        return min(step for _, _, step in self.bands)

    @property
    def tick_text(self) -> str:
        """Return the finest step as Polymarket writes it."""
        return minimal_price(self.tick)

    def at_or_below(self, price: float, steps: int = 0) -> int:
        """Return the legal price at or below *price*, *steps* further down."""
        index = bisect_right(self.prices, price) - 1 - steps
        return self.prices[min(max(index, 0), len(self.prices) - 1)]

    def at_or_above(self, price: float, steps: int = 0) -> int:
        """Return the legal price at or above *price*, *steps* further up."""
        index = bisect_left(self.prices, price) + steps
        return self.prices[min(max(index, 0), len(self.prices) - 1)]

    def ranges(self) -> list[dict[str, str]]:
        """Return the bands as Kalshi's `price_ranges`."""
        return [
            {"start": dollars(start), "end": dollars(end), "step": dollars(step)}
            for start, end, step in self.bands
        ]


@cache
def uniform(tick: int, label: str = "") -> Grid:
    """Return the grid of one step."""
    return Grid(label, ((0, PRICE_SCALE, tick),))


@cache
def tapered(centre: int, edge: int, label: str) -> Grid:
    """Return the grid that is finer below 0.10 and above 0.90."""
    return Grid(label, ((0, 1000, edge), (1000, 9000, centre), (9000, PRICE_SCALE, edge)))


def kalshi_grids() -> tuple[Grid, ...]:
    """Return Kalshi's usual structures, the commonest more than once."""
    return (
        uniform(100, "linear_cent"),
        uniform(100, "linear_cent"),
        tapered(100, 10, "tapered_deci_cent"),
        uniform(10, "deci_cent"),
        tapered(50, 10, "center_half_edge_deci_cent"),
        uniform(1, "center_centi_edge_centi_cent"),
    )


def polymarket_grids() -> tuple[Grid, ...]:
    """Return Polymarket's usual tick sizes, the commonest more than once."""
    return (uniform(100), uniform(100), uniform(10), uniform(25), uniform(50), uniform(1))
