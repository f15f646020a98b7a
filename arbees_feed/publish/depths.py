"""Books that changed in this wake-up, for the opt-in channel of the top levels."""

from collections.abc import Iterator

from arbees_feed.core.book import BookState
from arbees_feed.publish import resp
from arbees_feed.publish.batches import Draft
from arbees_feed.publish.outlet import Outlet
from arbees_feed.publish.payloads import depth_payload


class Depths:
    """Collects outlets; the state at the end of the wake-up is what goes out."""

    def __init__(self, levels: int, session: int) -> None:
        self._levels = levels
        self._session = session
        self._outlets: dict[Outlet, None] = {}

    def __bool__(self) -> bool:
        """Whether any book changed."""
        return bool(self._outlets)

    def note(self, outlet: Outlet) -> None:
        """Remember a changed book."""
        self._outlets[outlet] = None

    def put_in(self, draft: Draft, *, flowing: bool) -> int:
        """Write what was noted into *draft*, and forget it; return how many books it was.

        While prices wait, books are left out: the next change shows all levels anyway.
        """
        if not flowing:
            self._outlets.clear()
            return 0
        commands = list(self._commands())
        for command in commands:
            draft.add(command)
        return len(commands)

    def _commands(self) -> Iterator[bytes]:
        outlets, self._outlets = self._outlets, {}
        for outlet in outlets:
            if outlet.depth is None:
                continue
            book, ts_event_ns, recv_ns = outlet.depth
            if book.state is BookState.LIVE:
                payload = depth_payload(
                    book,
                    self._levels,
                    outlet.market,
                    outlet.platform,
                    self._session,
                    (ts_event_ns, recv_ns),
                )
                yield resp.with_payload(outlet.book_start, payload)
