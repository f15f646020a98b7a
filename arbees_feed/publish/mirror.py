"""The `:quote` hash of a market, and with it what keeps or ends the market's keys.

All of it can be written late and again: each write says how things are to be, not what changed.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from arbees_feed.core.wire import Names
from arbees_feed.publish import resp
from arbees_feed.publish.batches import Batch, Draft
from arbees_feed.publish.outlet import Outlet

PHASES = 10
"""The `:quote` hash of a market is written in one tenth of each second, its own."""

TRIED_AT_ONCE = 10
"""Markets written to see whether Redis still refuses."""


class Mirrors:
    """The outlets whose hash is to be written, by phase."""

    def __init__(self, names: Names, session: int) -> None:
        self._names = names
        self._session = session
        self.due: list[dict[Outlet, None]] = [{} for _ in range(PHASES)]
        self.refused = False
        """Redis refuses them: a few are tried each time, and the rest waits."""

    def __bool__(self) -> bool:
        """Whether any is due."""
        return any(self.due)

    def take(self, phase: int, *, flowing: bool) -> Sequence[Outlet]:
        """Return the outlets to write in this phase; they are not due any more.

        While prices wait (not *flowing*) one goes in between, so that none is put off for ever.
        """
        due = self.due[phase]
        if not due:
            return ()
        most = 1 if not flowing else TRIED_AT_ONCE if self.refused else len(due)
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
        for outlet in outlets:
            draft.begin(outlet)
            for command in mirror_commands(outlet, self._names, self._session):
                draft.add(command)

    def judge(self, batch: Batch) -> None:
        """Take back what was refused of a batch of mirrors."""
        self.refused = batch.refused is not None
        for outlet, _ in batch.refusals():
            self.again(outlet)


def mirror_commands(outlet: Outlet, names: Names, session: int) -> Sequence[bytes]:
    """Return the commands for an outlet of which a quote was sent."""
    quote = outlet.sent
    if quote is None:
        return ()
    fields = resp.quote_fields(
        quote, outlet.market, outlet.platform, session, outlet.seq, outlet.pub_ns
    )
    commands = [resp.command("HSET", outlet.quote_key, *fields)]
    keys = (outlet.last_key, outlet.quote_key)
    ids = names.markets(outlet.platform)
    if outlet.retire_s:
        commands.append(resp.command("SREM", ids, outlet.market))
        commands += [resp.command("EXPIRE", key, outlet.retire_s) for key in keys]
        return commands
    if not outlet.kept:
        # HSET leaves a time to live as it is: a former owner of the market may have set one.
        outlet.kept = True
        commands += [resp.command("PERSIST", key) for key in keys]
    if not outlet.listed:
        outlet.listed = True
        commands.append(resp.command("SADD", ids, outlet.market))
    return commands
