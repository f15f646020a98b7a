"""The tests of a session's frames run twice: with compiled code and without."""

from collections.abc import Iterator

import pytest
from support.native import both_ways, take_way


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    both_ways(metafunc, frozenset({"test_service", "test_session"}))


@pytest.fixture(autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whether compiled code is used; where it is not asked for, whatever there is."""
    yield from take_way(getattr(request, "param", None))
