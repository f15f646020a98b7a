"""What Redis refuses, and what has to be written again because of it.

Redis may take one command of a price and refuse the other. Out of memory it refuses `SET :last` and
still publishes: subscribers go on getting every price, and the `SET` is tried again, with the very
bytes that were published, until it is taken. Where it refuses to publish as well (a script that
does not end), prices wait. Either way a few commands twice a second ask whether it is over.

Rejected: publishing anew what was refused to be kept (subscribers would see each price many times).
"""

from collections.abc import Container, Sequence
from itertools import islice

from arbees_feed.core.wire import encode_map, price_of
from arbees_feed.publish import resp
from arbees_feed.publish.batches import Batch, Draft, Kind
from arbees_feed.publish.mirror import Mirrors
from arbees_feed.publish.outlet import Outlet


class Refused:
    """Judges batches of which all replies have come."""

    def __init__(self, session: int, mirrors: Mirrors) -> None:
        self._session = session
        self._mirrors = mirrors
        self.prices = False
        """Redis refuses to publish."""
        self.lasts: dict[Outlet, None] = {}
        """Published, but not to be found under `:last`; the longest refused first."""

    def __bool__(self) -> bool:
        """Whether anything is refused."""
        return self.prices or self._mirrors.refused or bool(self.lasts)

    def judge(self, batch: Batch) -> Sequence[Outlet]:
        """Take back what was refused of *batch*; return the outlets that have to publish again."""
        if batch.kind is Kind.MIRRORS:
            self._mirrors.judge(batch)
        elif batch.kind is Kind.LASTS:
            self.lasts.update((outlet, None) for outlet, _ in batch.refusals())
        elif batch.outlets:
            unpublished = self._judge_prices(batch)
            self.prices = bool(unpublished)
            return unpublished
        return ()

    def _judge_prices(self, batch: Batch) -> Sequence[Outlet]:
        unpublished = []
        for outlet, command in batch.refusals():
            if command == 0:
                self.lasts[outlet] = None
            elif command == 1:
                unpublished.append(outlet)
            else:
                self._mirrors.again(outlet)
        return unpublished

    def put_lasts_in(self, draft: Draft, most: int, waiting: Container[Outlet]) -> int:
        """Write up to *most* refused `:last` into *draft*; return how many.

        What is *waiting* has a newer price, which will be written with its message.
        """
        written = 0
        for outlet in list(islice(self.lasts, most)):
            del self.lasts[outlet]
            quote = outlet.sent
            if quote is None or outlet in waiting:
                continue
            price = price_of(
                quote, outlet.market, outlet.platform, self._session, outlet.seq, outlet.pub_ns
            )
            draft.begin(outlet)
            draft.add(resp.with_payload(outlet.last_start, encode_map(price)))
            self._mirrors.again(outlet)  # SET takes a time to live away
            written += 1
        return written
