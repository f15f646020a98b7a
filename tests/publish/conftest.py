"""The tests of the publisher's commands run twice: with compiled code and without."""

from collections.abc import Iterator

import pytest
from support.native import both_ways, take_way


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    both_ways(metafunc, frozenset({"test_publisher", "test_quotehash"}))


@pytest.fixture(autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whether compiled code is used; where it is not asked for, whatever there is."""
    yield from take_way(getattr(request, "param", None))
