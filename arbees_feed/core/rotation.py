"""A list of addresses that are tried in turn."""

from collections.abc import Sequence


class Rotation:
    """Stays with one address while it works, moves on when it fails."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = tuple(urls)
        self._index = 0

    @property
    def current(self) -> str:
        """The address to use now."""
        return self._urls[self._index]

    def failed(self, url: str) -> None:
        """Move on from *url*, unless somebody has moved on already."""
        if url == self.current:
            self._index = (self._index + 1) % len(self._urls)
