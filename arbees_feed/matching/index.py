"""Which markets of the other venue may ask the same? Blocks of frames, in memory. Pure.

Two frames can only be one question if the slots of their kind's block agree, so a market is judged
against its block and nothing else. A frame that was not understood stands in no block and costs
one entry.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from arbees_feed.matching.frame import Frame
from arbees_feed.matching.judge import Verdict, block_key, judge, refused


class Pair(msgspec.Struct, frozen=True, gc=False):
    """A market of each venue and the verdict on them."""

    kalshi: Frame
    polymarket: Frame
    verdict: Verdict


class Index:
    """All frames of both venues, by what they could match.

    Market ids are unique over both venues: Kalshi's are tickers, Polymarket's token numbers.
    """

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
        key = block_key(frame)
        if key:
            self._blocks.setdefault(key, {})[frame.market_id] = None
        return True

    def remove(self, market_id: str) -> None:
        """Forget a market; one that is not held is nothing."""
        frame = self._frames.pop(market_id, None)
        key = block_key(frame) if frame else ""
        if key:
            self._blocks[key].pop(market_id, None)
            if not self._blocks[key]:
                del self._blocks[key]

    def frame(self, market_id: str) -> Frame | None:
        """Return the frame of a market, or None."""
        return self._frames.get(market_id)

    def candidates(self, frame: Frame) -> Iterator[Frame]:
        """Yield the frames of the other venue that stand in the block of *frame*."""
        key = block_key(frame)
        for market_id in self._blocks.get(key, ()) if key else ():
            other = self._frames[market_id]
            if other.venue != frame.venue:
                yield other

    def verdicts(self, frame: Frame) -> list[Pair]:
        """Return the verdicts on *frame* and each of its candidates, rivals considered.

        *frame* need not be held. A pair of which another market of the same event fits as well is
        ambiguous and not confirmed.
        """
        pairs = [_pair(frame, other) for other in self.candidates(frame)]
        seen = list(pairs)
        for pair in pairs:
            if pair.verdict.confirmed:
                other = pair.polymarket if frame is pair.kalshi else pair.kalshi
                rivals = (
                    held for held in self.candidates(other) if held.market_id != frame.market_id
                )
                seen.extend(_pair(other, rival) for rival in rivals)
        return unambiguous(seen)[: len(pairs)]

    def around(self, frame: Frame) -> list[Pair]:
        """Return the verdicts that the coming, change or going of *frame* may have changed.

        Those on *frame*, if it is held, and on the markets that it fits: a rival that comes makes
        their other pairs ambiguous, and one that goes makes them whole again.
        """
        held = self._frames.get(frame.market_id) == frame
        found = {_ids(pair): pair for pair in self.verdicts(frame)} if held else {}
        for other in self.candidates(frame):
            if _pair(frame, other).verdict.confirmed:
                found.update({_ids(pair): pair for pair in self.verdicts(other)})
        return list(found.values())

    def pairs(self) -> Iterator[Pair]:
        """Yield the verdicts on all pairs of candidates, each pair once, rivals considered."""
        for block in self._blocks.values():
            frames = [self._frames[market_id] for market_id in block]
            ours = [frame for frame in frames if frame.venue == "kalshi"]
            theirs = [frame for frame in frames if frame.venue != "kalshi"]
            yield from unambiguous([_pair(one, other) for one in ours for other in theirs])


def _pair(one: Frame, other: Frame) -> Pair:
    kalshi, polymarket = (one, other) if one.venue == "kalshi" else (other, one)
    return Pair(kalshi, polymarket, judge(kalshi, polymarket))


def _ids(pair: Pair) -> tuple[str, str]:
    return pair.kalshi.market_id, pair.polymarket.market_id


def unambiguous(pairs: Iterable[Pair]) -> list[Pair]:
    """Return *pairs* in their order, with those refused that have a rival.

    Two markets of one event cannot both ask what one market of the other venue asks, the same way
    round: one of them was misread, and which is not known.
    """
    held = list(pairs)
    claims = Counter(claim for pair in held if pair.verdict.confirmed for claim in _claims(pair))
    return [
        msgspec.structs.replace(pair, verdict=refused(pair.verdict))
        if pair.verdict.confirmed and any(claims[claim] > 1 for claim in _claims(pair))
        else pair
        for pair in held
    ]


def _claims(pair: Pair) -> tuple[tuple[str, str, str], ...]:
    """Return who claims whom: each side's market, the other side's event, and the polarity."""
    one, other, polarity = pair.kalshi, pair.polymarket, pair.verdict.polarity
    claims = ((one.market_id, other.event_id, polarity), (other.market_id, one.event_id, polarity))
    return tuple(claim for claim in claims if claim[1])
