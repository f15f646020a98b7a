"""How likely the home team is to win, from score and clock. Pure.

The lead of the home team is taken for a Brownian motion with a drift (H. Stern, "A Brownian Motion
Model for the Progress of Sports Scores", JASA 1994). With the fraction t of the game left, what is
still to come has the mean `home_advantage` x t and the standard deviation `sigma` x sqrt(t), so

    P(home wins) = Phi((lead + home_advantage x t) / (sigma x sqrt(t)))

Good enough to show what a shard does, and not good enough to bet on: it knows nothing of
possession, injuries or how strong the teams are.
"""

import math
from decimal import Decimal
from typing import Final

import msgspec

SIGMA: Final = 13.9
"""Points: standard deviation of the final margin of professional football games (Stern 1991)."""
HOME_ADVANTAGE: Final = 2.5
"""Points."""


class GameState(msgspec.Struct, frozen=True):
    """What is known of a game at one moment."""

    home: int
    """Points of the home team."""
    away: int
    remaining: float
    """Fraction of the game that is left, 1.0 to 0.0."""

    @property
    def over(self) -> bool:
        """Whether the clock has run out."""
        return self.remaining <= 0.0


def home_win_probability(state: GameState) -> float:
    """Return the probability (0 to 1) that the home team wins; a tie counts for half."""
    lead, left = state.home - state.away, state.remaining
    if left <= 0.0:
        return 0.5 if lead == 0 else float(lead > 0)
    deviations = (lead + HOME_ADVANTAGE * left) / (SIGMA * math.sqrt(left))
    return 0.5 * (1.0 + math.erf(deviations / math.sqrt(2.0)))


def yes_probability(state: GameState, pays_on: str) -> Decimal:
    """Return the probability that YES pays, to 0.0001; *pays_on* is `home` or `away`."""
    home = Decimal(str(round(home_win_probability(state), 4)))
    return home if pays_on == "home" else 1 - home
