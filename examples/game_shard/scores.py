"""STAND-IN for a real score source: invented games. Replace this module first.

A game is wholly determined by its seed, so that two programs (the shard, and simulated venues that
trade on the same game) see the same scores without talking to each other. Pure: time is an
argument.

What the shard needs of a real source is one method, `state_at(now_s) -> GameState`: keep the newest
score and clock of your provider, and return them. A source that has fallen silent should raise or
report the game as over, for the shard would believe an old score.
"""

import random
from bisect import bisect_right
from itertools import accumulate

from game_shard.model import GameState

SCORES_A_GAME = 8.5
TOUCHDOWN, FIELD_GOAL = 7, 3
TOUCHDOWN_SHARE = 0.6


class SimulatedGame:
    """One invented game of professional football."""

    def __init__(self, seed: int, start_s: float, length_s: float) -> None:
        """Draw the whole game.

        Args:
            seed: the same seed makes the same scores.
            start_s: Unix time of the kick-off.
            length_s: how long the 60 minutes take here.
        """
        self.start_s = start_s
        self.length_s = length_s
        draw = random.Random(f"game {seed}")  # noqa: S311 - an invented game, not cryptography
        times: list[float] = []
        gains: list[tuple[int, int]] = []
        elapsed = draw.expovariate(SCORES_A_GAME)
        while elapsed < 1.0:
            points = TOUCHDOWN if draw.random() < TOUCHDOWN_SHARE else FIELD_GOAL
            times.append(elapsed)
            gains.append((points, 0) if draw.random() < 0.5 else (0, points))
            elapsed += draw.expovariate(SCORES_A_GAME)
        self.times = times
        """When a team scores, as fractions of the game."""
        self._scores = list(accumulate(gains, _added, initial=(0, 0)))

    def state_at(self, now_s: float) -> GameState:
        """Return score and clock at *now_s* (Unix time); 0-0 before the kick-off."""
        elapsed = min(max((now_s - self.start_s) / self.length_s, 0.0), 1.0)
        home, away = self._scores[bisect_right(self.times, elapsed)]
        return GameState(home, away, 1.0 - elapsed)


def _added(score: tuple[int, int], gain: tuple[int, int]) -> tuple[int, int]:
    return score[0] + gain[0], score[1] + gain[1]
