"""Which connection carries which market."""

from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.sharding import assign, chunks


def test_chunks_keep_the_order_and_the_last_may_be_short() -> None:
    assert list(chunks([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(chunks([], 2)) == []


def test_free_places_of_the_oldest_shards_are_filled_first() -> None:
    assert assign("abcde", [{"x", "y"}, {"z"}], 3) == [(0, ["a"]), (1, ["b", "c"]), (2, ["d", "e"])]


def test_what_has_a_place_keeps_it() -> None:
    assert assign("abc", [set(), {"a", "b"}], 2) == [(0, ["c"])]


def test_a_shard_over_its_limit_gets_nothing_and_loses_nothing() -> None:
    assert assign("ad", [{"a", "b", "c"}], 2) == [(1, ["d"])]


def test_without_shards_new_ones_are_asked_for() -> None:
    assert assign(["a", "b", "c"], [], 2) == [(0, ["a", "b"]), (1, ["c"])]


def test_an_item_wanted_twice_gets_one_place() -> None:
    assert assign("aab", [], 9) == [(0, ["a", "b"])]


def test_nothing_wanted_asks_for_nothing() -> None:
    assert assign([], [{"a"}], 1) == []


@given(
    st.lists(st.integers(0, 60)),
    st.lists(st.sets(st.integers(0, 60), max_size=8), max_size=4),
    st.integers(1, 8),
)
def test_every_item_gets_exactly_one_place_within_the_limit(
    wanted: list[int], shards: list[set[int]], limit: int
) -> None:
    additions = assign(wanted, shards, limit)
    placed = [item for _, items in additions for item in items]
    known = set().union(*shards)
    assert sorted(placed) == sorted(set(wanted) - known)
    numbers = [number for number, _ in additions]
    assert numbers == sorted(set(numbers))
    for number, items in additions:
        before = len(shards[number]) if number < len(shards) else 0
        assert items
        assert before + len(items) <= limit


@given(st.lists(st.integers()), st.integers(1, 9))
def test_chunks_joined_are_the_items(items: list[int], size: int) -> None:
    parts = list(chunks(items, size))
    assert [item for part in parts for item in part] == items
    assert all(1 <= len(part) <= size for part in parts)
