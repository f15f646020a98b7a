"""The `:quote` hash of a market, and with it what keeps or ends the market's keys.

All of it can be written late and again: each write says how things are to be, not what changed.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from arbees_feed.core.wire import Names
from arbees_feed.publish import resp
from arbees_feed.publish.batches import Batch, Draft
from arbees_feed.publish.outlet import Outlet
from arbees_feed.publish.quotehash import QuoteHash

MIRROR_PHASES = 10
"""The `:quote` hash of a market is written in one tenth of each second, its own."""

WRITTEN_AT_ONCE = 500
"""Hashes written in one go, less than a millisecond of work, so that frames are read in between."""

TRIED_AT_ONCE = 10
"""Markets written to see whether Redis still refuses."""


class Mirrors:
    """The outlets whose hash is to be written, by phase."""

    def __init__(self, names: Names, session: int) -> None:
        self._names = names
        self._quote_hash = QuoteHash(session)
        self.due: list[dict[Outlet, None]] = [{} for _ in range(MIRROR_PHASES)]
        self.refused = False
        """Redis refuses them: a few are tried each time, and the rest waits."""

    def __bool__(self) -> bool:
        """Whether any is due."""
        return any(self.due)

    def take(self, phase: int, most: int, *, flowing: bool) -> Sequence[Outlet]:
        """Return outlets to write in this phase, *most* at most; they are not due any more.

        While prices wait (not *flowing*) one goes in between, so that none is put off for ever.
        """
        due = self.due[phase]
        if not flowing:
            most = 1
        elif self.refused:
            most = TRIED_AT_ONCE
        if len(due) <= most:
            self.due[phase] = {}
            return list(due)
        outlets = list(islice(due, most))
        for outlet in outlets:
            del due[outlet]
        return outlets

    def again(self, outlet: Outlet) -> None:
        """Write all of it once more: something of it was refused, lost or undone."""
        outlet.listed = outlet.kept = False
        self.due[outlet.phase][outlet] = None

    def put_in(self, draft: Draft, outlets: Iterable[Outlet]) -> None:
        """Write *outlets* into *draft*."""
        command = self._quote_hash.command
        for outlet in outlets:
            quote = outlet.sent
            if quote is None:
                continue
            draft.begin(outlet)
            key, market = outlet.quote_key.encode(), outlet.market.encode()
            draft.add(
                command(key, market, outlet.platform.encode(), quote, outlet.seq, outlet.pub_ns)
            )
            if not (outlet.kept and outlet.listed) or outlet.retire_s:
                for further in upkeep_commands(outlet, self._names):
                    draft.add(further)

    def judge(self, batch: Batch) -> None:
        """Take back what was refused of a batch of mirrors."""
        self.refused = batch.refused is not None
        for outlet, _ in batch.refusals():
            self.again(outlet)


def upkeep_commands(outlet: Outlet, names: Names) -> Sequence[bytes]:
    """Return the commands that keep a market's keys, or end them."""
    keys = (outlet.last_key, outlet.quote_key)
    ids = names.markets(outlet.platform)
    if outlet.retire_s:
        expiries = (resp.command("EXPIRE", key, outlet.retire_s) for key in keys)
        return [resp.command("SREM", ids, outlet.market), *expiries]
    commands = []
    if not outlet.kept:
        # HSET leaves a time to live as it is: a former owner of the market may have set one.
        outlet.kept = True
        commands += [resp.command("PERSIST", key) for key in keys]
    if not outlet.listed:
        outlet.listed = True
        commands.append(resp.command("SADD", ids, outlet.market))
    return commands
