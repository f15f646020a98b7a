"""Which market belongs to which game, and which markets are pairs: from files, and from Redis.

Files are wrong now and then, so each error is one line that names the file and the place.
"""

import csv
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from arbees_feed.reader import SettingsError
from game_shard.fees import Fees
from game_shard.signals import Limits, Pair

PLATFORMS = ("kalshi", "polymarket")
PAIR_COLUMNS = ["kalshi", "polymarket", "polarity"]

Platform = Literal["kalshi", "polymarket"]
Outcome = Literal["home", "away"]


class GameMarket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A market of a game, and the team on whose win YES pays."""

    id: str
    platform: Platform
    pays_on: Outcome


class Game(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A game of the file: its teams, its markets, and how its score is invented."""

    id: str
    home: str
    away: str
    seed: int = 1
    start_s: float | None = None
    """Unix time of the kick-off; None: when the shard starts."""
    length_s: float = 3600.0
    markets: tuple[GameMarket, ...] = ()
    events: Mapping[Platform, Sequence[str]] = {}
    """Ids of events whose markets are read from Redis."""


class GamesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `games.toml` holds."""

    games: tuple[Game, ...]
    limits: Limits = Limits()
    fees: Fees = Fees()


def load_games(path: Path) -> GamesFile:
    """Read `games.toml`.

    Raises:
        SettingsError: it can't be read, or something in it is wrong; the message names it.
    """
    try:
        file = msgspec.convert(tomllib.loads(path.read_text()), GamesFile)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
        raise SettingsError(f"{path}: {exc}") from exc
    names = [game.id for game in file.games]
    ids = [market.id for game in file.games for market in game.markets]
    for what, found in (("game", names), ("market", ids)):
        for twice in sorted({name for name in found if found.count(name) > 1}):
            raise SettingsError(f"{path}: {what} {twice!r} is there twice")
    for game in file.games:
        if not game.markets and not game.events:
            raise SettingsError(f"{path}: game {game.id!r} has neither markets nor events")
        if not game.length_s > 0:
            raise SettingsError(f"{path}: game {game.id!r}: length_s is not above 0")
    return file


def load_pairs(path: Path) -> list[Pair]:
    """Read `pairs.csv`, with the columns kalshi, polymarket, polarity.

    Raises:
        SettingsError: it can't be read, or a line is wrong; the message names file and line.
    """
    try:
        with path.open(newline="") as file:
            rows = csv.DictReader(file)
            if rows.fieldnames != PAIR_COLUMNS:
                raise SettingsError(f"{path}: the columns are to be {','.join(PAIR_COLUMNS)}")
            return [_pair(row, f"{path}: line {rows.line_num}") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise SettingsError(f"{path}: {exc}") from exc


def _pair(row: Mapping[str, object], place: str) -> Pair:
    try:
        return msgspec.convert(row, Pair)
    except msgspec.ValidationError as exc:
        raise SettingsError(f"{place}: {exc}") from exc


def outcome_of(game: Game, outcome_yes: str) -> Outcome | None:
    """Return on whose win YES pays, by the name of that outcome; None if it names neither team."""
    named = outcome_yes.strip().casefold()
    if named == game.home.casefold():
        return "home"
    return "away" if named == game.away.casefold() else None


async def markets_of_game(client: Any, game: Game, key_prefix: str = "") -> list[GameMarket]:
    """Return the markets of a game: those of the file, and those of its events in Redis by now.

    Markets of an event whose YES is no team of the game (totals, spreads) are left out. Nothing is
    returned as long as an event has none, or the feed has not told of the event itself, which it
    does after its markets: some of them may still be to come.
    """
    found = {market.id: market for market in game.markets}
    for platform, events in game.events.items():
        for event in events:
            of_event = await _markets_of_event(client, game, platform, event, key_prefix)
            if not of_event:
                return []
            for market in of_event:
                found.setdefault(market.id, market)
    return list(found.values())


async def _markets_of_event(
    client: Any, game: Game, platform: Platform, event: str, key_prefix: str
) -> list[GameMarket]:
    found: list[GameMarket] = []
    if not await client.hexists(f"{key_prefix}event:{event}:meta", "platform"):
        return found
    for market in sorted(await client.smembers(f"{key_prefix}event:{event}:markets")):
        outcome = await client.hget(f"{key_prefix}market:{market}:meta", "outcome_yes")
        pays_on = outcome_of(game, outcome or "")
        if pays_on is not None:
            found.append(GameMarket(market, platform, pays_on))
    return found


def checked_pairs(pairs: Iterable[Pair], markets: Mapping[str, Sequence[GameMarket]]) -> list[Pair]:
    """Return *pairs* if they agree with what is known of their markets, by game.

    Raises:
        SettingsError: a market is of no game, a pair of two games, or a polarity is not what the
            teams say.
    """
    known = {market.id: (game, market) for game, some in markets.items() for market in some}
    checked = []
    for pair in pairs:
        name = f"pair {pair.kalshi}, {pair.polymarket}"
        for market_id, platform in ((pair.kalshi, "kalshi"), (pair.polymarket, "polymarket")):
            if market_id not in known or known[market_id][1].platform != platform:
                raise SettingsError(f"{name}: no game has {market_id} as a market of {platform}")
        (one, kalshi), (other, polymarket) = known[pair.kalshi], known[pair.polymarket]
        if one != other:
            raise SettingsError(f"{name}: one is of game {one!r}, the other of {other!r}")
        if (kalshi.pays_on == polymarket.pays_on) != (pair.polarity == "same"):
            raise SettingsError(f"{name}: not {pair.polarity}, by the teams on which they pay")
        checked.append(pair)
    return checked
