"""Compiled code in tests: what needs it is skipped without it, and more is done both ways."""

import re
from collections.abc import Iterator

import pytest

from arbees_feed.feed import levels
from arbees_feed.native import compiled
from arbees_feed.publish import payloads

WAYS = ("compiled", "plain")
_REASON = "the path of a frame is not compiled: no C compiler was there when the feed was installed"

needs_compiled = pytest.mark.skipif(compiled is None, reason=_REASON)


def take_way(name: str | None) -> Iterator[None]:
    """Leave compiled code out while the block runs, or in."""
    if name == "compiled" and compiled is None:
        pytest.skip(_REASON)
    with pytest.MonkeyPatch.context() as patched:
        if name == "plain":
            patched.setattr(levels, "compiled", None)
            patched.setattr(payloads, "compiled", None)
        yield


def both_ways(metafunc: pytest.Metafunc, modules: frozenset[str]) -> None:
    """Run the tests of these modules once each way; the fixture is `way`, which all of them use."""
    if metafunc.module.__name__.rpartition(".")[2] in modules:
        metafunc.parametrize("way", WAYS, indirect=True)


def named(value: object) -> str:
    """Return a name for the id of a test: the same in each process, so without an address."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:60]
