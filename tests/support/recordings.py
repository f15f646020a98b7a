"""Recorded frames of the venues, read from the directory that ARBEES_CORPUS names."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


def corpus() -> Path:
    """Return the directory of recordings, or skip the test and say so."""
    named = os.environ.get("ARBEES_CORPUS")
    if not named:
        pytest.skip("ARBEES_CORPUS does not name a directory of recorded frames")
    return Path(named)


def frames(path: Path) -> Iterator[bytes]:
    """Yield the frames of a recording, one per line."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as lines:
        for line in lines:
            if frame := line.strip():
                yield frame
