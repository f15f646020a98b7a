"""Serving recorded frames again, at their own pace or another.

A client gets the recorded messages as they were written; only Kalshi's `sid` and `seq` are its
own, since they belong to a connection. The world's books follow the recording, so late comers get
the right opening books, and the truth is known.
"""

import asyncio

from arbees_feed.sim import recordings
from arbees_feed.sim.catalog import Catalog
from arbees_feed.sim.config import Recording
from arbees_feed.sim.kalshi_feed import KalshiFeed
from arbees_feed.sim.kalshi_frames import compact
from arbees_feed.sim.polymarket_feed import PolymarketFeed
from arbees_feed.sim.recordings import Frame
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.timing import delay
from arbees_feed.sim.world import Market

BATCH = 256
EARLY_S = 0.001  # what is due sooner than this is due now


class Replay:
    """One recording on its way to the subscribers."""

    def __init__(
        self,
        recording: Recording,
        *,
        shared: Shared,
        feed: KalshiFeed | PolymarketFeed,
        catalog: Catalog,
        going: asyncio.Event,
    ) -> None:
        self.done = asyncio.Event()
        self._recording = recording
        self._shared = shared
        self._feed = feed
        self._going = going
        self._speed = shared.config.replay_speed
        self._conditions: dict[str, Market] = {}
        self._first_ms = 0.0
        self._began_s = 0.0
        self._learn(catalog)

    async def run(self) -> None:
        """Play the recording once, from the first subscription on."""
        await self._feed.wanted.wait()
        self._began_s = asyncio.get_running_loop().time()
        for index, frame in enumerate(recordings.frames(self._recording)):
            await self._hold(frame, index)
            self._serve(frame.text)
        self._feed.flush()
        self.done.set()

    async def _hold(self, frame: Frame, index: int) -> None:
        """Wait until a frame is due; flat out, until the readers have caught up."""
        if not self._going.is_set():
            await self._wait_out_pause()
        wait_s = self._due_s(frame) - asyncio.get_running_loop().time()
        if wait_s > EARLY_S:
            self._feed.flush()
            await delay(wait_s)
        elif index % BATCH == 0:
            self._feed.flush()
            await self._feed.drain()
            await delay(0)

    async def _wait_out_pause(self) -> None:
        loop = asyncio.get_running_loop()
        paused_s = loop.time()
        self._feed.flush()
        await self._going.wait()
        self._began_s += loop.time() - paused_s

    def _due_s(self, frame: Frame) -> float:
        at_ms = frame.recv_ms or recordings.venue_time_ms(frame.text)
        self._first_ms = self._first_ms or at_ms
        return self._began_s + max(at_ms - self._first_ms, 0.0) / 1000 / self._speed

    def _serve(self, text: str) -> None:
        self._shared.counters["replayed_frames"] += 1
        if isinstance(self._feed, KalshiFeed):
            self._serve_kalshi(self._feed, text)
        else:
            self._serve_polymarket(self._feed, text)

    def _serve_kalshi(self, feed: KalshiFeed, text: str) -> None:
        message = recordings.kalshi_message(text)
        if message is not None:
            market = self._shared.world.market(message.msg["market_ticker"])
            recordings.apply_kalshi(market, message)
            feed.relay(message.kind, market, message.body)

    def _serve_polymarket(self, feed: PolymarketFeed, text: str) -> None:
        messages = recordings.polymarket_messages(text)
        for message in messages:
            market = self._conditions.get(str(message.get("market")))
            if market is not None:
                recordings.apply_polymarket(market, message)
        for condition in dict.fromkeys(str(message.get("market")) for message in messages):
            if condition in self._conditions:
                own = [m for m in messages if m.get("market") == condition]
                verbatim = text if len(own) == len(messages) else compact(own)
                kind = str(own[0].get("event_type", "book"))
                feed.relay(kind, self._conditions[condition], verbatim)

    def _learn(self, catalog: Catalog) -> None:
        """Make the recorded markets known before the first frame."""
        if isinstance(self._feed, KalshiFeed):
            for ticker in recordings.kalshi_tickers(self._recording):
                recorded = catalog.recorded_kalshi(ticker)
                self._shared.world.add(recorded)
                self._shared.world.begin_history(recorded)
            return
        for condition, tokens in recordings.polymarket_tokens(self._recording).items():
            market = catalog.recorded_polymarket(condition, tokens)
            self._conditions[condition] = market
            self._shared.world.add(market)
            self._shared.world.begin_history(market)
            self._feed.learn(market)
