"""STAND-IN for a real score stream: invented games. Replace this module first.

A game is wholly determined by its seed, so that two programs (the shard, and simulated venues that
trade on the same game) see the same scores without talking to each other.

What the shard needs of a real one is an asynchronous iterator of `GameUpdate`: one when a score or
the clock changes, and one a second beside, so that silence means something. To connect again is its
own business; meanwhile nothing is acted on.
"""

import asyncio
import random
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping
from itertools import accumulate
from typing import Final

from game_shard.board import GameUpdate
from game_shard.model import GameState

SCORES_A_GAME = 8.5
TOUCHDOWN, FIELD_GOAL = 7, 3
TOUCHDOWN_SHARE = 0.6
LOOK_S: Final = 0.1
"""How often a game is looked at; a score is told at once."""
CLOCK_S: Final = 1.0
"""How often the clock is told without a score."""


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
        """Return score and clock at *now_s* (Unix time); 0-0 before the kick-off. Pure."""
        elapsed = min(max((now_s - self.start_s) / self.length_s, 0.0), 1.0)
        home, away = self._scores[bisect_right(self.times, elapsed)]
        return GameState(home, away, 1.0 - elapsed)


def _added(score: tuple[int, int], gain: tuple[int, int]) -> tuple[int, int]:
    return score[0] + gain[0], score[1] + gain[1]


async def simulated_stream(games: Mapping[str, SimulatedGame]) -> AsyncIterator[GameUpdate]:
    """Yield what a provider would tell of *games* (by id): each score, and the clock each second.

    It never ends; a game that is over is told of as such.
    """
    told: dict[str, tuple[float, GameState]] = {}
    while True:
        now_s = time.time()
        for game_id, game in games.items():
            state = game.state_at(now_s)
            if game_id not in told or is_news(state, *told[game_id], now_s):
                told[game_id] = (now_s, state)
                yield GameUpdate(game_id, state)
        await asyncio.sleep(LOOK_S)


def is_news(state: GameState, told_s: float, told: GameState, now_s: float) -> bool:
    """Tell whether *state* is to be told, when *told* was at *told_s*. Pure."""
    scored = (state.home, state.away, state.over) != (told.home, told.away, told.over)
    return scored or now_s - told_s >= CLOCK_S
