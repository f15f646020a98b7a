"""The shard: follows the markets of its games, and judges each price as it comes.

One task for each platform reads prices; one looks at all markets again and again, since a score or
the clock may make an opportunity of a price that stands still. All of them meet in `check_signals`,
which awaits nothing, so that there is nothing to lock.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from arbees_feed.reader import MarketPrice, PriceReader
from game_shard.episodes import Episodes
from game_shard.mapping import GameMarket
from game_shard.model import GameState
from game_shard.outputs import CsvFile, Row, Stream, row_of
from game_shard.signals import Opportunity, Pair, Rules, Verdict, check_model, check_pair

RECHECK_S: Final = 0.25
DRAIN_S: Final = 3.0

_log = structlog.get_logger("game_shard")


class ScoreSource(Protocol):
    """Where score and clock of a game come from: `scores.SimulatedGame`, or yours."""

    def state_at(self, now_s: float) -> GameState:
        """Return what is known of the game at *now_s* (Unix time)."""


class GameShard:
    """Watches the markets of a few games on all platforms."""

    def __init__(
        self,
        games: Mapping[str, ScoreSource],
        markets: Mapping[str, Sequence[GameMarket]],
        pairs: Iterable[Pair],
        rules: Rules,
        outputs: tuple[CsvFile, Stream],
        *,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Take what is to be watched: games, and the markets of each by game id."""
        self._games = games
        self._markets = {market.id: market for of_game in markets.values() for market in of_game}
        self._game_of = {
            market.id: game_id for game_id, of_game in markets.items() for market in of_game
        }
        self._pairs: dict[str, list[Pair]] = defaultdict(list)
        for pair in pairs:
            self._pairs[pair.kalshi].append(pair)
            self._pairs[pair.polymarket].append(pair)
        self._rules = rules
        self._csv, self._stream = outputs
        self._clock_ns = clock_ns
        self._episodes = Episodes()
        self._readers: dict[str, PriceReader] = {}
        self._counts: Counter[str] = Counter()

    async def run(self, url: str, stop: asyncio.Event, *, key_prefix: str = "") -> None:
        """Watch until *stop* is set; what was found by then is written before this returns.

        Raises:
            ExceptionGroup: of FeedError, if Redis can't be reached at the start.
        """
        by_platform: dict[str, list[str]] = defaultdict(list)
        for market in self._markets.values():
            by_platform[market.platform].append(market.id)
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._stream.run(), name="stream")
            tasks = [group.create_task(self._recheck(), name="recheck")]
            for platform, ids in by_platform.items():
                # A lease makes the feed follow our markets in full, whatever else it follows.
                reader = PriceReader(
                    url,
                    watch={platform: ids},
                    key_prefix=key_prefix,
                    client_name=f"game-shard-{platform}",
                )
                self._readers[platform] = reader
                tasks.append(group.create_task(self._follow(reader), name=platform))
            await stop.wait()
            for task in tasks:
                task.cancel()
            await self._stream.drained(DRAIN_S)
            writing.cancel()

    async def _follow(self, reader: PriceReader) -> None:
        """Judge each price of one platform."""
        async with reader:
            async for price in reader:
                self._counts["prices"] += 1
                self.check_signals(self._game_of[price.market_id], price)

    async def _recheck(self) -> None:
        """Judge what stands still: scores come, and prices grow old, without a message."""
        while True:
            await asyncio.sleep(RECHECK_S)
            for market_id, game_id in self._game_of.items():
                if (price := self._newest(market_id)) is not None:
                    self.check_signals(game_id, price)

    def _newest(self, market_id: str) -> MarketPrice | None:
        """Return the newest price of a market as it is to be believed now."""
        reader = self._readers.get(self._markets[market_id].platform)
        return None if reader is None else reader.book.get(market_id)

    def check_signals(self, game_id: str, price: MarketPrice) -> None:
        """Evaluate all signals that *price* may have changed, and write down what is new."""
        now_ns = self._clock_ns()
        state = self._games[game_id].state_at(now_ns / 1e9)
        market = self._markets[price.market_id]
        verdicts = check_model(game_id, price, market.pays_on, state, now_ns, self._rules)
        for pair in self._pairs.get(market.id, ()):
            prices = (self._newest(pair.kalshi), self._newest(pair.polymarket))
            verdicts += check_pair(game_id, pair, prices, state, now_ns, self._rules)
        for verdict in verdicts:
            self._decide(verdict, now_ns)

    def _decide(self, verdict: Verdict, now_ns: int) -> None:
        news = self._episodes.news_in(verdict)
        if not news:
            return
        if verdict.opportunity is not None:
            self._act(verdict.opportunity, now_ns)
            return
        key = verdict.key
        why = {"reason": verdict.refused} if verdict.refused else {}
        self._counts[f"refused: {verdict.refused}" if verdict.refused else news] += 1
        markets = [market for market in (key.first, key.second) if market]
        _log.info(news, **why, kind=key.kind, game=key.game_id, side=key.side, markets=markets)

    def _act(self, found: Opportunity, now_ns: int) -> None:
        """Write an opportunity down. A bot would place its orders here."""
        row: Row = row_of(found, now_ns)
        self._csv.write(row)
        self._stream.put(row)
        self._counts[f"found: {found.kind}"] += 1
        _log.info("acted", **{name: value for name, value in row.items() if value})

    def summary(self) -> dict[str, int]:
        """Return what was done and seen, by name."""
        return {
            **self._counts,
            "missed": sum(reader.stats.missed for reader in self._readers.values()),
            "stream_written": self._stream.written,
            "stream_dropped": self._stream.dropped,
        }
