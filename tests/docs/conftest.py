"""What documents are tried on: a feed, one a module, and a folder like the project's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.pasting import Place
from support.trial import Trial, place_for, trial


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def feed() -> AsyncIterator[Trial]:
    async with trial() as found:
        yield found


@pytest.fixture
def place(feed: Trial, tmp_path: Path) -> Place:
    """Return a folder and a shell whose Redis is that of the feed, and whose venues are its."""
    return place_for(feed, tmp_path)
