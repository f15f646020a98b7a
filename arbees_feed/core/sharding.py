"""Which connection carries which market."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield *items* in order, at most *size* at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def assign(
    wanted: Iterable[T],
    shards: Sequence[set[T]],
    limit: int,
    limits: Sequence[int] | None = None,
) -> list[tuple[int, list[T]]]:
    """Place each wanted item that no shard has yet; return additions by shard number.

    Stable: what has a place keeps it. Free places in the oldest shards are filled first; a number
    beyond `len(shards)` asks for a new shard. A shard holds *limit* items, or its own of *limits*.
    """
    own = limits if limits is not None else [limit] * len(shards)
    placed = set().union(*shards) if shards else set()
    missing = [item for item in dict.fromkeys(wanted) if item not in placed]
    room = [most - len(shard) for most, shard in zip(own, shards, strict=True)]
    additions: list[tuple[int, list[T]]] = []
    number, start = 0, 0
    while start < len(missing):
        free = room[number] if number < len(room) else limit
        if free > 0:
            additions.append((number, missing[start : start + free]))
            start += free
        number += 1
    return additions
