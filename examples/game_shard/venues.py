"""Simulated venues whose traders watch the same invented games as the shard: for demonstrations.

    python -m game_shard.venues --folder /tmp/games

Serves Kalshi and Polymarket on loopback, and writes to the folder what goes with them: `games.toml`
and `pairs.csv` for the shard, `kalshi.pem` for the feed. The lines that it prints are the settings
of a feed that follows these venues. Polymarket's traders hear of a score some seconds after
Kalshi's; until then there is something to be found.
"""

import argparse
import asyncio
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from arbees_feed.sim import SimConfig, SimServer
from game_shard.model import home_win_probability
from game_shard.scores import SimulatedGame

LAG_S: Final = {"kalshi": 0.3, "polymarket": 3.0}
"""How long after a score a venue's traders hear of it."""
LOOK_S: Final = 0.1
LOWEST, HIGHEST = 0.02, 0.98
SETTLING_CHANGES: Final = 3_000
"""Changes of books before the doors open, so that they begin where the game is."""


@dataclass(frozen=True)
class Traded:
    """A game with its markets at both venues."""

    id: str
    home: str
    away: str
    score: SimulatedGame
    seed: int
    events: Mapping[str, str]
    """Event id by platform."""
    home_markets: Sequence[str]
    """Markets whose YES pays if the home team wins."""
    away_markets: Sequence[str]


def games_of(sim: SimServer, count: int, length_s: float, start_s: float) -> list[Traded]:
    """Make games of the simulation's first sports events, the same at both venues."""
    return list(islice(_games(sim, length_s, start_s), count))


def _games(sim: SimServer, length_s: float, start_s: float) -> Iterator[Traded]:
    """Pair Kalshi's games with Polymarket's, which get the names of Kalshi's teams."""
    world = sim.world
    kalshi_games = [e for e in world.events_of("kalshi") if e.series.endswith("GAME")]
    polymarket_games = [e for e in world.events_of("polymarket") if e.series.endswith("GAME")]
    games = zip(kalshi_games, polymarket_games, strict=False)
    for seed, (kalshi, polymarket) in enumerate(games, start=1):
        if len(kalshi.markets) != 2:
            return
        of_away, of_home = kalshi.markets
        away, home = of_away.outcomes
        (both,) = polymarket.markets
        polymarket.title, both.title, both.outcomes = kalshi.title, kalshi.title, (away, home)
        yield Traded(
            id=kalshi.id.partition("-")[2],
            home=home,
            away=away,
            score=SimulatedGame(seed, start_s, length_s),
            seed=seed,
            events={"kalshi": kalshi.id, "polymarket": polymarket.id},
            home_markets=[of_home.id],
            away_markets=[of_away.id, both.id],
        )


async def trade(sim: SimServer, games: Sequence[Traded]) -> None:
    """Let traders believe what the score says; the simulation moves the books after them."""
    while True:
        now_s = time.time()
        for game in games:
            believe(sim, game, now_s)
            if game.score.state_at(now_s - max(LAG_S.values())).over:
                for market in (*game.home_markets, *game.away_markets):
                    sim.close_market(market)
        await asyncio.sleep(LOOK_S)


def believe(sim: SimServer, game: Traded, now_s: float) -> None:
    """Set the price around which each market of a game is quoted."""
    for markets, is_home in ((game.home_markets, True), (game.away_markets, False)):
        for name in markets:
            market = sim.world.market(name)
            home = home_win_probability(game.score.state_at(now_s - LAG_S[market.venue]))
            probability = home if is_home else 1.0 - home
            market.fair = min(max(probability, LOWEST), HIGHEST) * 10_000


def write_files(folder: Path, sim: SimServer, games: Sequence[Traded]) -> None:
    """Write the key of Kalshi, the games and the pairs."""
    key = folder / "kalshi.pem"
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)
    key.write_text(sim.credentials.private_key_pem)
    (folder / "games.toml").write_text("\n".join(map(games_toml, games)))
    rows = ["kalshi,polymarket,polarity"]
    for game in games:
        of_away, polymarket = game.away_markets
        rows += [f"{of_away},{polymarket},same", f"{game.home_markets[0]},{polymarket},inverted"]
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n")


def games_toml(game: Traded) -> str:
    """Return a game as `games.toml` has it."""
    return f"""\
[[games]]
id = "{game.id}"
home = "{game.home}"
away = "{game.away}"
seed = {game.seed}
start_s = {game.score.start_s:.3f}
length_s = {game.score.length_s:.1f}
events = {{ kalshi = ["{game.events["kalshi"]}"], polymarket = ["{game.events["polymarket"]}"] }}
"""


def settings_lines(sim: SimServer, folder: Path) -> list[str]:
    """Return the environment that points the feed at these venues."""
    return [
        f"ARBEES_KALSHI__WS_URL={sim.kalshi_ws_url}",
        f"ARBEES_KALSHI__REST_URL={sim.kalshi_rest_url}",
        f"ARBEES_KALSHI__API_KEY_ID={sim.credentials.api_key_id}",
        f"ARBEES_KALSHI__PRIVATE_KEY_PATH={folder / 'kalshi.pem'}",
        f"ARBEES_POLYMARKET__WS_URL={sim.polymarket_ws_url}",
        f"ARBEES_POLYMARKET__GAMMA_URL={sim.gamma_url}",
        f"ARBEES_POLYMARKET__CLOB_URL={sim.clob_url}",
    ]


async def serve(given: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    config = SimConfig(
        seed=given.seed,
        kalshi_markets=given.markets,
        polymarket_markets=given.markets,
        rate=given.rate,
        # A side that is empty for no reason would hide what this is to show.
        empty_share=0.0,
        pairs=True,
    )
    sim = SimServer(
        config,
        host=given.host,
        kalshi_port=given.kalshi_port,
        polymarket_port=given.polymarket_port,
    )
    games = games_of(sim, given.games, given.length_s, time.time())
    for game in games:
        believe(sim, game, time.time())
    sim.step(SETTLING_CHANGES)
    # Before a port answers, so that who waits for the venues finds the files.
    write_files(given.folder, sim, games)
    async with sim:
        print("\n".join(settings_lines(sim, given.folder)), flush=True)
        async with asyncio.TaskGroup() as group:
            trading = group.create_task(trade(sim, games))
            await stop.wait()
            trading.cancel()


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="game_shard.venues", description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the files go")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--kalshi-port", type=int, default=9701, help="0: any")
    parser.add_argument("--polymarket-port", type=int, default=9702, help="0: any")
    parser.add_argument("--games", type=int, default=3, help="games that are played")
    parser.add_argument("--length-s", type=float, default=600.0, help="how long a game takes")
    parser.add_argument("--markets", type=int, default=12, help="markets on each venue")
    parser.add_argument("--rate", type=float, default=400.0, help="changes of books a second")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same markets")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(serve(options()))
