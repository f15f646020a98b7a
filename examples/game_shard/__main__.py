"""Run the shard: `python -m game_shard games.toml --pairs pairs.csv`."""

import argparse
import asyncio
import logging
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.typing import Processor

from arbees_feed.reader import FeedError, SettingsError
from game_shard.mapping import (
    Game,
    GameMarket,
    GamesFile,
    checked_pairs,
    load_games,
    load_pairs,
    markets_of_game,
)
from game_shard.outputs import CsvFile, Stream
from game_shard.scores import SimulatedGame, simulated_stream
from game_shard.shard import GameShard
from game_shard.signals import Rules

LOOK_AGAIN_S = 1.0
REDIS_TIMEOUT_S = 2.0

_log = structlog.get_logger("game_shard")


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="game_shard", description=__doc__)
    parser.add_argument("games", type=Path, help="games and their markets (games.toml)")
    parser.add_argument("--pairs", type=Path, help="markets that ask the same (pairs.csv)")
    parser.add_argument("--csv", type=Path, default=Path("opportunities.csv"), help="output file")
    parser.add_argument("--redis-url", default="redis://127.0.0.1:6379/0", help="as the feed's")
    parser.add_argument("--key-prefix", default="", help="the feed's redis.key_prefix")
    return parser.parse_args()


async def run(given: argparse.Namespace) -> None:
    """Run the shard until its games are over, SIGTERM or SIGINT, then say what it did."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    file = load_games(given.games)
    pairs = load_pairs(given.pairs) if given.pairs else []
    async with connected(given.redis_url) as client:
        with CsvFile(given.csv) as csv_file:
            markets = await find_markets(client, file, given.key_prefix, stop)
            if stop.is_set():
                return
            shard = GameShard(
                simulated_stream({game.id: simulated(game) for game in file.games}),
                markets,
                checked_pairs(pairs, markets),
                Rules(file.limits, file.fees),
                (csv_file, Stream(client, given.key_prefix)),
            )
            _log.info("started", games=list(markets), pairs=len(pairs), csv=str(given.csv))
            await shard.run(given.redis_url, stop, key_prefix=given.key_prefix)
            _log.info("stopped", **shard.summary())


def connected(url: str) -> Any:
    """Return a client for metadata and the stream; it connects when it is used.

    Raises:
        SettingsError: the URL is malformed.
    """
    try:
        return Redis.from_url(
            url, decode_responses=True, client_name="game-shard", socket_timeout=REDIS_TIMEOUT_S
        )
    except ValueError as exc:
        raise SettingsError(f"--redis-url: {exc}") from exc


def simulated(game: Game) -> SimulatedGame:
    """Return the invented scores of a game; with a real score stream this goes."""
    start_s = time.time() if game.start_s is None else game.start_s
    return SimulatedGame(game.seed, start_s, game.length_s)


async def find_markets(
    client: Any, file: GamesFile, key_prefix: str, stop: asyncio.Event
) -> dict[str, Sequence[GameMarket]]:
    """Return the markets of each game; wait for metadata of events that is not there yet."""
    markets: dict[str, Sequence[GameMarket]] = {}
    told: set[str] = set()
    while not stop.is_set():
        for game in file.games:
            if game.id not in markets and (
                found := await markets_of_game(client, game, key_prefix)
            ):
                markets[game.id] = found
        missing = [game for game in file.games if game.id not in markets]
        if not missing:
            break
        for game in missing:
            if game.id not in told:
                _log.info("waiting for markets", game=game.id, events=dict(game.events))
        told.update(game.id for game in missing)
        await asyncio.sleep(LOOK_AGAIN_S)
    return markets


def set_up_logging() -> None:
    """Write one JSON object a line to stderr: our lines, and those of libraries."""
    common: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=common,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def main() -> int:
    """Return the exit code: 0 after the games or a stop, 2 for wrong settings, 1 for the rest."""
    set_up_logging()
    code = 0
    try:
        asyncio.run(run(options()))
    except* SettingsError as wrong:
        print(f"game_shard: {first(wrong)}", file=sys.stderr)
        code = 2
    except* (FeedError, RedisError, OSError) as failed:
        print(f"game_shard: {first(failed)}", file=sys.stderr)
        code = 1
    return code


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group, however deep it lies."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    sys.exit(main())
