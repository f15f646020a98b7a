"""Enrichment: the metadata of one venue, read over REST and kept in Redis.

Progress (what was written, how far a listing got, since when to ask) is in the object, so a
restart by the supervisor goes on where it stopped.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.core.text import is_name
from arbees_feed.core.venue import Catalogue, Found
from arbees_feed.enrich.checked import checked
from arbees_feed.enrich.corrections import Corrections
from arbees_feed.enrich.crawl import Crawling, Fetcher, is_worth_repeating
from arbees_feed.enrich.leaving import Leaving, shorten
from arbees_feed.enrich.progress import EnrichStats, Progress
from arbees_feed.enrich.rechecks import Rechecks
from arbees_feed.enrich.timing import REAL_TIME, Timing
from arbees_feed.enrich.writer import MetadataWriter
from arbees_feed.errors import ProtocolViolation, RedisUnavailable, RequestFailed

CORRECTED_AT_ONCE = 50
"""Written before others have their turn: the loop carries the prices."""


class EnrichOptions(msgspec.Struct, frozen=True):
    """How often to ask; all times in seconds."""

    start_delay_s: float = 5.0
    """Begin without a first price after so long."""
    refresh_s: float = 300.0
    """From the end of one listing to the start of the next, which is of changes only."""
    full_s: float = 3600.0
    """From one full listing to the next: what changes alone would miss is found then."""
    lookup_every_s: float = 5.0
    lookups_a_round: int = 500
    ask_again_s: float = 600.0
    """Ask again for a market that the venue did not know."""
    overlap_s: int = 120
    """Ask for changes from so long before the last listing: answers may be cached, clocks off."""
    forget_after_s: float = 600.0
    """Metadata of a market that has ended goes after so long."""
    removals_a_round: int = 500
    recheck_after_s: float = 60.0
    """REST lags behind the stream: what it says of an end is asked for after so long."""
    announced_kept: int = 10_000
    unknown_kept: int = 100_000


class Enricher:
    """Keeps the metadata of all of a venue's markets in Redis; a service.

    Every market that the venue lists is written, whether the stream has shown it or not: there
    is no "already known" that could keep metadata out.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        fetcher: Fetcher,
        writer: MetadataWriter,
        *,
        first_price: Callable[[], Awaitable[object]],
        unknown: Callable[[], Sequence[MarketId]],
        options: EnrichOptions = EnrichOptions(),  # noqa: B008 (frozen)
        timing: Timing = REAL_TIME,
    ) -> None:
        """Be ready to run.

        `first_price` returns once a price was published. `unknown` returns markets that the
        stream has shown since it was last called; what it returned is remembered here, and
        markets that have metadata are left out.
        """
        self.stats = EnrichStats()
        self._catalogue = checked(catalogue)
        self._fetcher = fetcher
        self._writer = writer
        self._first_price = first_price
        self._unknown = unknown
        self._options = options
        self._timing = timing
        self._wake = asyncio.Event()
        self._begun = False
        self._announced: dict[MarketId, MarketMeta] = {}
        self._corrections = Corrections(options.unknown_kept)
        # Never asked for; asked for in vain, by time; found by asking (bounded, all three).
        self._shown: dict[MarketId, None] = {}
        self._asked_s: dict[MarketId, float] = {}
        self._found: dict[MarketId, None] = {}
        self._rechecks = Rechecks(options.unknown_kept)
        # Of the round under way: has metadata, which goes if the venue does not know the market.
        self._unsure: set[MarketId] = set()
        self._unwritten = Found()
        self._listing: Crawling | None = None
        self._listing_started_unix_s = 0.0
        self._since_s: int | None = None
        self._due_s = float("-inf")
        self._full_due_s = float("-inf")
        self._outdated = False
        self._is_urgent = False
        self._progress = Progress(writer.venue, self.stats)
        self._leaving = Leaving(options.unknown_kept)
        # Left by a former run: they go unless the venue still knows them (bounded).
        self._doubtful: set[MarketId] = set()

    async def run(self) -> None:
        """List, then keep up with changes, until cancelled.

        Raises:
            RetryableError: a request or a write failed; run again to go on.
            AuthenticationRejected: the venue refuses us.
        """
        await self._wait_for_first_price()
        while True:
            await self._write_announced()
            await self._write_corrected()
            await self._remove_due()
            if self._timing.monotonic() >= self._due_s:
                await self._list()
            await self._look_up_unknown()
            until_due_s = max(0.0, self._due_s - self._timing.monotonic())
            await self._timing.wait(self._wake, min(self._options.lookup_every_s, until_due_s))
            self._wake.clear()

    def forget_written(self) -> None:
        """Write everything again, from a full listing on: Redis has lost its data."""
        self._writer.forget()
        # No listing may have what had to be asked for.
        self._shown.update(self._found)
        self._found.clear()
        self._listing = None
        self._since_s = None
        self._due_s = self._full_due_s = float("-inf")
        self._wake.set()

    def outdated(self) -> None:
        """Make the next listing a full one: what was told of markets is not true any more.

        It comes when the next listing is due anyway; nothing is forgotten, so only what has
        changed is written. What no listing has is looked up again.
        """
        self._outdated = True
        self.recheck([market for market in self._found if self._writer.knows(market)])

    def relist(self) -> None:
        """Make a full listing now, or after the one under way, whose pages may be too old."""
        self.outdated()
        self._is_urgent = True
        self._due_s = self._timing.monotonic()
        self._wake.set()

    def correct(self, found: Found) -> None:
        """Take what the venue has just said, asked by somebody else; it is written very soon."""
        self._corrections.add(found)
        self._wake.set()

    def remove(self, markets: Iterable[MarketId]) -> None:
        """Take all metadata of these markets out of Redis soon: they are gone for good."""
        given_up = set(markets)
        for known in (self._announced, self._shown, self._asked_s, self._found):
            for market in given_up & known.keys():
                del known[market]
        for market in given_up:
            self._corrections.forget(market)
        self._rechecks.forget(given_up)
        self._leaving.give_up(given_up, self._timing.monotonic())
        self._wake.set()

    def recheck(self, markets: Iterable[MarketId]) -> None:
        """Look these up again in a while, known or not: they have ended, and how is of interest."""
        due_s = self._timing.monotonic() + self._options.recheck_after_s
        self._rechecks.ended(filter(is_name, markets), due_s)

    def announce(self, markets: Sequence[MarketMeta]) -> None:
        """Take metadata from the stream; it is written unless more is known already."""
        fit = self._catalogue.announced(markets)
        self._announced.update((meta.market_id, meta) for meta in fit)
        self.stats.announced_dropped += shorten(self._announced, self._options.announced_kept)
        self._wake.set()

    async def _wait_for_first_price(self) -> None:
        """Stay out of the way of the first price, but not for ever."""
        if not self._begun:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.start_delay_s):
                    await self._first_price()
            self._begun = True

    async def _write_announced(self) -> None:
        announced = dict(self._announced)
        new = [market for market in announced if not self._writer.knows(market)]
        await self._writer.write_first(list(announced.values()))
        # By then two listings of changes should have had them.
        self._rechecks.announced(new, self._timing.monotonic() + 2 * self._options.refresh_s)
        for market, meta in announced.items():
            if self._announced.get(market) is meta:
                del self._announced[market]

    async def _write_corrected(self) -> None:
        """Write what should not have to wait until a listing, or a round of lookups, is done."""
        if not self._corrections:
            return
        # Found earlier: it must not undo this.
        await self._write_unwritten()
        while self._corrections:
            some = self._corrections.first(CORRECTED_AT_ONCE)
            await self._writer.write(self._living(some))
            self._corrections.written(some)
            await asyncio.sleep(0)

    async def _list(self) -> None:
        """Finish the listing that is under way, or make a new one."""
        listing = self._listing or await self._begin_listing()
        try:
            await self._write_findings(listing)
        except ProtocolViolation:
            self._listing = None
            raise
        except RequestFailed as exc:
            if not is_worth_repeating(exc):
                self._listing = None
            raise
        if self._listing is listing:
            await self._finish_listing()

    async def _begin_listing(self) -> Crawling:
        now_s = self._timing.monotonic()
        if now_s >= self._full_due_s or self._outdated:
            self._since_s = None
            self._outdated = self._is_urgent = False
        expected = 0
        if self._since_s is None and self._writer.venue:
            expected = await self._writer.count()
        self._listing_started_unix_s = self._timing.now()
        self._progress.begin(now_s, expected)
        self._listing = listing = Crawling(self._catalogue.listing(self._since_s))
        return listing

    async def _finish_listing(self) -> None:
        done_s = self._timing.monotonic()
        self._listing = None
        if self._since_s is None:
            self._full_due_s = done_s + self._options.full_s
            await self._doubt_strangers()
        self._since_s = int(self._listing_started_unix_s) - self._options.overlap_s
        self._due_s = done_s + (0.0 if self._is_urgent else self._options.refresh_s)
        self.stats.listings_done += 1
        self.stats.last_done_unix_s = self._timing.now()
        self._progress.done(done_s)

    async def _doubt_strangers(self) -> None:
        """Have a look at what a former run left and the venue does not list any more."""
        if not self._writer.venue:
            return
        async for name in self._writer.strangers():
            if len(self._doubtful) >= self._options.unknown_kept:
                return
            market = MarketId(name)
            self._doubtful.add(market)
            self._shown[market] = None

    async def _write_findings(self, listing: Crawling) -> None:
        """Write all that the crawl finds; a finding that could not be written is kept."""
        await self._write_unwritten()
        async with contextlib.aclosing(listing.findings(self._fetcher)) as findings:
            async for found in findings:
                now_s = self._timing.monotonic()
                self._progress.found(len(found.markets), listing.requests, now_s)
                self._rechecks.listed(meta.market_id for meta in found.markets)
                page = (listing, listing.requests)
                self._unwritten = self._living(self._corrections.left_by(found, page))
                await self._write_unwritten()
                await self._write_corrected()
                if self._listing is not listing:
                    return

    async def _write_unwritten(self) -> None:
        await self._writer.write(self._unwritten)
        self._unwritten = Found()

    def _living(self, found: Found) -> Found:
        due_s = self._timing.monotonic() + self._options.forget_after_s
        living = self._leaving.living(found, due_s)
        self.stats.leaving = len(self._leaving)
        return living

    async def _remove_due(self) -> None:
        markets = self._leaving.due(self._timing.monotonic(), self._options.removals_a_round)
        if not markets:
            return
        self._catalogue.forget(markets, await self._writer.remove(markets))
        self._leaving.left(markets)
        for market in markets:
            self._found.pop(market, None)
        self.stats.leaving = len(self._leaving)

    async def _look_up_unknown(self) -> None:
        self._note_shown()
        markets = self._take_due()
        if not markets:
            return
        self.stats.lookups += len(markets)
        lookup = Crawling(self._catalogue.lookup(markets))
        told: set[MarketId] = set()
        try:
            async with contextlib.aclosing(lookup.findings(self._fetcher)) as findings:
                async for found in findings:
                    told.update(meta.market_id for meta in found.markets)
                    await self._writer.write(self._living(found))
                    await self._write_corrected()
        except (RequestFailed, RedisUnavailable):
            self._shown = dict.fromkeys(markets) | self._shown
            self.recheck(self._unsure)
            raise
        except ProtocolViolation:
            # An answer that cannot be read now will not be readable in a second.
            self._note_asked(markets)
            raise
        finally:
            self.stats.requests_total += lookup.requests
        self._leaving.give_up(self._unsure - told, self._timing.monotonic())
        self._note_asked(markets)

    def _note_shown(self) -> None:
        for market in self._unknown():
            if not self._writer.knows(market) and market not in self._asked_s:
                self._shown[market] = None
        self.stats.lookups_dropped += shorten(self._shown, self._options.unknown_kept)

    def _take_due(self) -> Sequence[MarketId]:
        """Take a round of markets to ask for: to be checked, asked for long ago, then new."""
        now_s = self._timing.monotonic()
        not_since_s = now_s - self._options.ask_again_s
        markets = list(self._rechecks.take(now_s, self._options.lookups_a_round))
        self._unsure = {market for market in markets if self._writer.knows(market)}
        for source in (self._asked_s, self._shown):
            while source and len(markets) < self._options.lookups_a_round:
                market = next(iter(source))
                if self._asked_s.get(market, not_since_s) > not_since_s:
                    break
                del source[market]
                if not self._writer.knows(market):
                    markets.append(market)
        return markets

    def _note_asked(self, markets: Sequence[MarketId]) -> None:
        now_s = self._timing.monotonic()
        for market in markets:
            if self._writer.knows(market):
                self._found[market] = None
            elif market in self._doubtful:
                self._leaving.give_up([market], now_s)
            else:
                self._asked_s[market] = now_s
        self._doubtful.difference_update(markets)
        shorten(self._found, self._options.unknown_kept)
        self.stats.lookups_dropped += shorten(self._asked_s, self._options.unknown_kept)
