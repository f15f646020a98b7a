"""The same REST interface at several addresses: move on when a host fails, never for our errors."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec
import structlog

from arbees_feed.core.rotation import Rotation
from arbees_feed.core.venue import Request
from arbees_feed.errors import RequestFailed

_log = structlog.get_logger("arbees_feed.rest")

HOST_FAILURES = frozenset({0, 502, 503, 504})
"""No answer at all, or what a proxy says when there is nobody behind it."""


class Fetcher(Protocol):
    """Makes one REST request."""

    async def fetch(self, request: Request) -> bytes | None:
        """Return the body, or None for a 404; see HttpFetcher for the errors."""


class FailoverFetcher:
    """Sends requests for a base URL to whichever of its addresses works.

    A failed request is not made again here: who asked does that, and it then goes to the next
    address. Requests for other base URLs pass unchanged.
    """

    def __init__(self, fetcher: Fetcher, addresses: Iterable[Sequence[str]]) -> None:
        """Each of *addresses* begins with the base URL that requests are made for."""
        self.switches: Counter[str] = Counter()
        """How often a base URL was moved, by base URL."""
        self._fetcher = fetcher
        cleaned = [tuple(url.rstrip("/") for url in urls) for urls in addresses]
        self._rotations = {urls[0]: Rotation(urls) for urls in cleaned if urls}

    @property
    def current(self) -> dict[str, str]:
        """The address in use for each base URL."""
        return {base: rotation.current for base, rotation in self._rotations.items()}

    async def fetch(self, request: Request) -> bytes | None:
        """Make the request at the present address; errors as HttpFetcher's."""
        base = next((base for base in self._rotations if _is_below(request.url, base)), None)
        if base is None:
            return await self._fetcher.fetch(request)
        used = self._rotations[base].current
        moved = msgspec.structs.replace(request, url=used + request.url.removeprefix(base))
        try:
            return await self._fetcher.fetch(moved)
        except RequestFailed as exc:
            if exc.status in HOST_FAILURES:
                self._move_on(base, used)
            raise

    def _move_on(self, base: str, failed: str) -> None:
        rotation = self._rotations[base]
        before = rotation.current
        rotation.failed(failed)
        if rotation.current != before:
            self.switches[base] += 1
            _log.warning("rest host failed", host=failed, next=rotation.current)


def _is_below(url: str, base: str) -> bool:
    return url == base or url.startswith((f"{base}/", f"{base}?"))
