"""What is known of each game now: the newest word of the score stream, while it may be believed.

A score is a price's twin: old, it is worth less than none. So there is no state of a game whose
stream has been silent for too long. Pure: time is an argument.
"""

from collections.abc import Iterable

import msgspec

from game_shard.model import GameState

NS = 1_000_000_000


class GameUpdate(msgspec.Struct, frozen=True):
    """One message of a score stream: the whole state of one game."""

    game_id: str
    state: GameState


class Scoreboard:
    """The state of each game."""

    def __init__(self, games: Iterable[str], max_age_s: float) -> None:
        """Begin with games of which nothing is known.

        Args:
            games: ids of all games.
            max_age_s: how long an update is believed when no other comes.
        """
        self._newest: dict[str, tuple[int, GameState] | None] = dict.fromkeys(games)
        self._max_age_ns = round(max_age_s * NS)

    def take(self, update: GameUpdate, now_ns: int) -> bool:
        """Keep *update*, which came at *now_ns* (Unix ns), and return whether it says what is new.

        One of a game that is not ours is left. A game that was over stays over.
        """
        if update.game_id not in self._newest:
            return False
        known = self._newest[update.game_id]
        if known is not None and known[1].over:
            return False
        self._newest[update.game_id] = (now_ns, update.state)
        return known is None or known[1] != update.state

    def state_at(self, game_id: str, now_ns: int) -> GameState | None:
        """Return the state of a game as it is to be believed at *now_ns*; None: it is not known."""
        known = self._newest[game_id]
        if known is None:
            return None
        told_ns, state = known
        return state if state.over or now_ns - told_ns <= self._max_age_ns else None

    @property
    def all_over(self) -> bool:
        """Whether every game has ended."""
        return all(known is not None and known[1].over for known in self._newest.values())
