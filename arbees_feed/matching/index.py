"""Which markets of the other venue may ask the same? Blocks of frames, in memory. Pure.

Two frames can only be one question if the slots of their kind's block agree, so a market is judged
against its block and nothing else. A frame that was not understood stands in no block and costs
one entry.
"""

from collections.abc import Iterator
from itertools import chain

from arbees_feed.matching.frame import Frame
from arbees_feed.matching.judge import block_keys


class Index:
    """All frames of both venues, by what they could match."""

    def __init__(self) -> None:
        self._frames: dict[str, Frame] = {}
        self._blocks: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        """Return how many markets are held."""
        return len(self._frames)

    def add(self, frame: Frame) -> bool:
        """Hold *frame*, in place of an older one of its market; return whether anything changed."""
        if self._frames.get(frame.market_id) == frame:
            return False
        self.remove(frame.market_id)
        self._frames[frame.market_id] = frame
        for key in block_keys(frame):
            self._blocks.setdefault(key, {})[frame.market_id] = None
        return True

    def remove(self, market_id: str) -> None:
        """Forget a market; one that is not held is nothing."""
        frame = self._frames.pop(market_id, None)
        for key in block_keys(frame) if frame else ():
            self._blocks[key].pop(market_id, None)
            if not self._blocks[key]:
                del self._blocks[key]

    def frame(self, market_id: str) -> Frame | None:
        """Return the frame of a market, or None."""
        return self._frames.get(market_id)

    def candidates(self, frame: Frame) -> Iterator[Frame]:
        """Yield the frames of the other venue that share a block with *frame*, each once."""
        blocks = (self._blocks.get(key, {}) for key in block_keys(frame))
        for market_id in dict.fromkeys(chain.from_iterable(blocks)):
            other = self._frames[market_id]
            if other.venue != frame.venue:
                yield other
