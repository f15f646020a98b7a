"""The shard: follows the markets of its games, and judges each price as it comes.

One task for each platform reads prices; one reads scores, and judges the markets of the game anew,
since a score may make an opportunity of a price that stands still; one looks at all markets again
and again, since time passes without a message. All of them meet in `check_signals`, which awaits
nothing, so that there is nothing to lock.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog

from arbees_feed.reader import MarketPrice, PriceReader
from game_shard.board import GameUpdate, Scoreboard
from game_shard.episodes import Episodes
from game_shard.mapping import GameMarket
from game_shard.outputs import CsvFile, Row, Stream, row_of
from game_shard.signals import Opportunity, Pair, Rules, Verdict, check_model, check_pair

RECHECK_S: Final = 0.25
DRAIN_S: Final = 3.0

_log = structlog.get_logger("game_shard")


class GameShard:
    """Watches the markets of a few games on all platforms."""

    def __init__(
        self,
        scores: AsyncIterable[GameUpdate],
        markets: Mapping[str, Sequence[GameMarket]],
        pairs: Iterable[Pair],
        rules: Rules,
        outputs: tuple[CsvFile, Stream],
        *,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Take what is to be watched: a score stream, and the markets of each game by its id."""
        self._scores = scores
        self._board = Scoreboard(markets, rules.limits.max_score_age_s)
        self._markets = {market.id: market for of_game in markets.values() for market in of_game}
        self._markets_of = {
            game_id: [market.id for market in of_game] for game_id, of_game in markets.items()
        }
        self._game_of = {
            market_id: game_id for game_id, ids in self._markets_of.items() for market_id in ids
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
        """Watch until *stop* is set, which happens here when the last game is over.

        What was found by then is written before this returns.

        Raises:
            ExceptionGroup: of FeedError, if Redis can't be reached at the start.
        """
        by_platform: dict[str, list[str]] = defaultdict(list)
        for market in self._markets.values():
            by_platform[market.platform].append(market.id)
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._stream.run(), name="stream")
            tasks = [
                group.create_task(self._recheck(), name="recheck"),
                group.create_task(self._follow_scores(stop), name="scores"),
            ]
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

    async def _follow_scores(self, stop: asyncio.Event) -> None:
        """Keep the state of each game, and judge its markets anew when it has changed."""
        async for update in self._scores:
            if not self._board.take(update, self._clock_ns()):
                continue
            self._counts["scores"] += 1
            self._check_again(update.game_id)
            if self._board.all_over:
                _log.info("all games are over")
                stop.set()
                return
        _log.warning("score stream ended")

    async def _recheck(self) -> None:
        """Judge what stands still: prices and scores grow old without a message."""
        while True:
            await asyncio.sleep(RECHECK_S)
            for game_id in self._markets_of:
                self._check_again(game_id)

    def _check_again(self, game_id: str) -> None:
        for market_id in self._markets_of[game_id]:
            if (price := self._newest(market_id)) is not None:
                self.check_signals(game_id, price)

    def _newest(self, market_id: str) -> MarketPrice | None:
        """Return the newest price of a market as it is to be believed now."""
        reader = self._readers.get(self._markets[market_id].platform)
        return None if reader is None else reader.book.get(market_id)

    def check_signals(self, game_id: str, price: MarketPrice) -> None:
        """Evaluate all signals that *price* may have changed, and write down what is new."""
        now_ns = self._clock_ns()
        state = self._board.state_at(game_id, now_ns)
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
        self._counts[f"refused: {verdict.refused}" if news == "refused" else news] += 1
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
