"""Taking markets out of Redis: hash, place in the event, words, rank; then what is left empty."""

from collections.abc import Iterable, Mapping, Sequence

from arbees_feed.core.wire import Names
from arbees_feed.enrich.index import Entry, TitleIndex
from arbees_feed.enrich.stored import Redis, Stored, execute, stored_of, tell


class Remover:
    """Removes metadata; what the index needs for it is read back from the hashes."""

    def __init__(self, redis: Redis, names: Names, timeout_s: float) -> None:
        self._redis = redis
        self._names = names
        self._index = TitleIndex(names)
        self._timeout_s = timeout_s

    async def remove(self, markets: Sequence[str], venue: str) -> Sequence[str]:
        """Remove *markets* of *venue*; return the ids of events that have gone with them.

        Raises:
            RedisUnavailable: something may be left; remove them again.
        """
        stored = await stored_of(self._redis, self._names, markets, self._timeout_s)
        pipeline = self._redis.pipeline(transaction=False)
        for market, old in stored.items():
            if old.event_id:
                pipeline.srem(self._names.event_markets(old.event_id), market)
        for platform, some in _by_platform(stored, venue).items():
            entries = [Entry(market, old.words) for market, old in some.items()]
            self._index.remove(pipeline, platform, entries)
            self._index.drop(pipeline, platform, list(some))
        await execute(pipeline, self._timeout_s)
        gone: list[str] = []
        for platform, some in _by_platform(stored, venue).items():
            gone += await self.tidy(some.values(), platform)
        # The hashes last: they are what a second attempt would read.
        pipeline = self._redis.pipeline(transaction=False)
        self._index.drop(pipeline, venue, markets)
        pipeline.delete(*(self._names.meta(market) for market in markets))
        tell(pipeline, self._names, venue, markets)
        await execute(pipeline, self._timeout_s)
        return gone

    async def forget_words(self, lost: Mapping[str, Stored], venue: str) -> None:
        """Take markets out of the words and events that they no longer have."""
        pipeline = self._redis.pipeline(transaction=False)
        self._index.remove(pipeline, venue, [Entry(m, old.words) for m, old in lost.items()])
        for market, old in lost.items():
            if old.event_id:
                pipeline.srem(self._names.event_markets(old.event_id), market)
        await execute(pipeline, self._timeout_s)
        await self.tidy(lost.values(), venue)

    async def tidy(self, left: Iterable[Stored], venue: str) -> Sequence[str]:
        """Remove words and events that no market has any more; return the events' ids."""
        olds = list(left)
        words = list(dict.fromkeys(word for old in olds for word in old.words))
        events = list(dict.fromkeys(old.event_id for old in olds if old.event_id))
        if not words and not events:
            return ()
        pipeline = self._redis.pipeline(transaction=False)
        for word in words:
            pipeline.scard(self._names.search(venue, word))
        for event in events:
            pipeline.scard(self._names.event_markets(event))
        counts = await execute(pipeline, self._timeout_s)
        gone_words = [w for w, count in zip(words, counts, strict=False) if not count]
        gone = [e for e, count in zip(events, counts[len(words) :], strict=True) if not count]
        pipeline = self._redis.pipeline(transaction=False)
        self._index.drop_words(pipeline, venue, gone_words)
        if gone:
            pipeline.delete(*(self._names.event_meta(event) for event in gone))
        await execute(pipeline, self._timeout_s)
        return gone


def _by_platform(
    stored: Mapping[str, Stored], otherwise: str
) -> Mapping[str, Mapping[str, Stored]]:
    by_platform: dict[str, dict[str, Stored]] = {}
    for market, old in stored.items():
        by_platform.setdefault(old.platform or otherwise, {})[market] = old
    return by_platform
