"""Damage to JSON frames and bodies, repeatable by its seed.

A *visible* mutation leaves a frame that says the same, or one that a reader can tell is damaged. A
*silent* one may say something else, well: a changed digit is a lie that nobody can see.
"""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import msgspec

Mutation = Callable[[bytes, Random], bytes]
Path = tuple[Any, ...]

NOT_NUMBERS = (
    *("NaN", "Infinity", "-Infinity", "1e3", "0x1F", "", "-", "--1", ".", "0.123456789"),
    *("9" * 400, "٣", "0,5", "0.5 ", "\x00", "1_0", "½", "null", "\U0001f4a9"),
)
NOT_INTEGERS = (10**30, -1, -(10**30), 2**63, 1.5, 1e300)
WRONG_TYPES = (None, True, 7, -1.5, "x", {}, {"price": {}}, [[[]]])
STRANGE_KEYS = ("x_new", "", "☃", "price\u0000", "a" * 300, "__class__")
DEPTHS = (3, 70, 1_100, 20_000)

SIDES = frozenset({"yes_dollars_fp", "no_dollars_fp"})
"""A missing side is an empty one."""
MAY_BE_EMPTY = frozenset({"price_changes", "bids", "asks", *SIDES})
NAMES = frozenset(
    {"market_ticker", "asset_id", "type", "event_type", "assets_ids", "channel", "side", "hash"}
    | {"market", "market_id", "trade_id", "transaction_hash", "ts", "msg", "event_message"}
)
"""Any other text is as good: the frame would say something else, well."""


def _tree(frame: bytes) -> Any:
    return msgspec.json.decode(frame)


def _text(tree: Any) -> bytes:
    # Not msgspec: it refuses some of the numbers that are wanted here.
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def is_json(frame: bytes) -> bool:
    """Tell whether anybody would take *frame* for JSON."""
    try:
        json.loads(frame.decode())
    except (ValueError, RecursionError):
        return False
    return True


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value in a tree."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*path, key))


def at(tree: Any, path: Path) -> Any:
    """Return the value at a path."""
    for key in path:
        tree = tree[key]
    return tree


def _put(tree: Any, path: Path, value: object) -> Any:
    at(tree, path[:-1])[path[-1]] = value
    return tree


def _chosen(tree: Any, random: Random, fits: Callable[[Path, Any], bool]) -> Path | None:
    fitting = [path for path in paths(tree) if fits(path, at(tree, path))]
    return random.choice(fitting) if fitting else None


def _name(path: Path) -> str:
    """Return the field that a value belongs to; of an entry of a list, the list's."""
    return next((str(key) for key in reversed(path) if isinstance(key, str)), "")


# -- visible ---------------------------------------------------------------------------------------


def cut_off(frame: bytes, random: Random) -> bytes:
    """Keep the beginning only."""
    return frame[: random.randrange(1, max(2, len(frame)))]


def flipped(frame: bytes, random: Random) -> bytes:
    """Change a byte so that no JSON is left; the first stays, or it would be a short text."""
    for _ in range(20):
        changed = bytearray(frame)
        changed[random.randrange(1, len(changed))] = random.choice(b'"{}[],:\\\x00\x1f')
        if not is_json(bytes(changed)):
            return bytes(changed)
    return frame[:-1]


def run_together(frame: bytes, random: Random) -> bytes:
    """Send two frames as one."""
    return frame + random.choice((b"", b"\n", b",")) + frame


def in_an_array(frame: bytes, random: Random) -> bytes:
    """Send a frame once or twice, in an array, or deeper than any venue does."""
    if frame.startswith(b"["):
        return frame
    return random.choice((b"[%b]", b" [%b] ", b"[[%b]]", b"[%b,%b]")).replace(b"%b", frame)


def padded(frame: bytes, random: Random) -> bytes:
    """Put white space or a byte order mark in front."""
    return random.choice((b"\n", b" \t\r\n", b"\xef\xbb\xbf")) + frame


def no_number(frame: bytes, random: Random) -> bytes:
    """Make a number, told as text, something that is none."""
    tree = _tree(frame)
    path = _chosen(tree, random, lambda p, v: isinstance(v, str) and _name(p) not in NAMES)
    return frame if path is None else _text(_put(tree, path, random.choice(NOT_NUMBERS)))


def negative(frame: bytes, random: Random) -> bytes:
    """Make a size negative where only absolute ones are told."""
    tree = _tree(frame)
    path = _chosen(tree, random, lambda p, _: p[-1] in {"size", "yes_bid_size_fp", "count_fp"})
    return frame if path is None else _text(_put(tree, path, "-5"))


def no_integer(frame: bytes, random: Random) -> bytes:
    """Make an integer huge, negative or broken."""
    tree = _tree(frame)
    path = _chosen(tree, random, lambda _, v: type(v) is int)
    return frame if path is None else _text(_put(tree, path, random.choice(NOT_INTEGERS)))


def wrong_type(frame: bytes, random: Random) -> bytes:
    """Make a value one of another type."""
    tree = _tree(frame)
    path = _chosen(tree, random, lambda _p, _v: True)
    if path is None:
        return frame
    kind = type(at(tree, path))
    fitting = [value for value in WRONG_TYPES if type(value) is not kind]
    if path[-1] in MAY_BE_EMPTY | {"msg"} or kind is list:
        fitting = [value for value in fitting if value != []]
    return _text(_put(tree, path, random.choice(fitting)))


def field_removed(frame: bytes, random: Random) -> bytes:
    """Leave a field out that means something by being there."""
    tree = _tree(frame)
    path = _chosen(tree, random, lambda p, _: isinstance(p[-1], str) and p[-1] not in SIDES)
    if path is None:
        return frame
    del at(tree, path[:-1])[path[-1]]
    return _text(tree)


def field_added(frame: bytes, random: Random) -> bytes:
    """Add a field that nobody knows, with anything in it."""
    tree = _tree(frame)
    places = [(), *paths(tree)]
    place = random.choice([path for path in places if isinstance(at(tree, path), dict)] or [None])
    if place is None:
        return frame
    at(tree, place)[random.choice(STRANGE_KEYS)] = random.choice((*WRONG_TYPES, *NOT_NUMBERS))
    return _text(tree)


def doubled_key(frame: bytes, random: Random) -> bytes:
    """Name a field twice: with its value, and before it one that is no value of any field."""
    tree = _tree(frame)
    path = _chosen(tree, random, lambda p, _: isinstance(p[-1], str))
    if path is None:
        return frame
    inner = at(tree, path[:-1])
    pair = _text({path[-1]: random.choice((at(tree, path), {"": {}}))})
    return frame.replace(_text(inner), b"{%b,%b" % (pair[1:-1], _text(inner)[1:]), 1)


def nested(frame: bytes, random: Random) -> bytes:
    """Nest something deeply, in a field of the frame or in a new one."""
    depth = random.choice(DEPTHS)
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    deep = opening * depth + b"1" + closing * depth
    tree = _tree(frame)
    path = _chosen(tree, random, lambda p, _: isinstance(p[-1], str) and p[-1] not in MAY_BE_EMPTY)
    if path is None or random.random() < 0.3:
        at_end = frame.rindex(frame[-1:])
        return frame[:at_end] + (b',"x":' if frame[-1:] == b"}" else b",") + deep + frame[at_end:]
    return _text(_put(tree, path, "@@deep@@")).replace(b'"@@deep@@"', deep)


VISIBLE: tuple[Mutation, ...] = (
    cut_off,
    flipped,
    run_together,
    in_an_array,
    padded,
    no_number,
    no_number,
    negative,
    no_integer,
    wrong_type,
    wrong_type,
    field_removed,
    field_added,
    doubled_key,
    nested,
)

# -- silent ----------------------------------------------------------------------------------------


def any_byte(frame: bytes, random: Random) -> bytes:
    """Change, insert or delete some bytes."""
    changed = bytearray(frame)
    for _ in range(random.randrange(1, 4)):
        place = random.randrange(len(changed) + 1)
        few = random.randbytes(random.randrange(3))
        changed[place : place + random.randrange(3)] = few
    return bytes(changed)


def exchanged(frame: bytes, random: Random) -> bytes:
    """Exchange the values of two fields."""
    tree = _tree(frame)
    leaves = [p for p in paths(tree) if not isinstance(at(tree, p), dict | list)]
    if not leaves:
        return frame
    one, other = random.choice(leaves), random.choice(leaves)
    first, second = at(tree, one), at(tree, other)
    return _text(_put(_put(tree, one, second), other, first))


def another_number(frame: bytes, random: Random) -> bytes:
    """Make a number another good one, or an absurd one."""
    tree = _tree(frame)
    path = _chosen(tree, random, lambda p, v: isinstance(v, str | int) and _name(p) not in NAMES)
    if path is None:
        return frame
    if isinstance(at(tree, path), int):
        return _text(_put(tree, path, random.choice((0, 1, 2, 10**12, 2**62))))
    numbers = ("0", "0.01", "0.5", "1", "1.0000", "9" * 25, "-9", "0.999", "1795219200999")
    return _text(_put(tree, path, random.choice(numbers)))


def anything_removed(frame: bytes, random: Random) -> bytes:
    """Leave anything out, entries of lists too."""
    tree = _tree(frame)
    path = _chosen(tree, random, lambda _p, _v: True)
    if path is None:
        return b""
    del at(tree, path[:-1])[path[-1]]
    return _text(tree)


def anything_doubled(frame: bytes, random: Random) -> bytes:
    """Say every entry of a list twice."""
    tree = _tree(frame)
    path = _chosen(tree, random, lambda _, v: isinstance(v, list))
    return frame if path is None else _text(_put(tree, path, at(tree, path) * 2))


def another_name(frame: bytes, random: Random) -> bytes:
    """Rename a field or a kind."""
    tree = _tree(frame)
    path = _chosen(tree, random, lambda p, _: isinstance(p[-1], str))
    if path is None:
        return frame
    inner = at(tree, path[:-1])
    if isinstance(inner[path[-1]], str) and random.random() < 0.5:
        inner[path[-1]] += "x"
    else:
        inner[path[-1] + "x"] = inner.pop(path[-1])
    return _text(tree)


def noise(frame: bytes, random: Random) -> bytes:
    """Send something else altogether."""
    return random.choice(
        (
            *(b"", b"PONG", b"{}", b"[]", b"null", b"[null]", b"0", b'""', frame[::-1]),
            *(random.randbytes(40), b"<html>502</html>", b'{"type":"x"}', b'{"event_type":""}'),
        )
    )


SILENT: tuple[Mutation, ...] = (
    any_byte,
    any_byte,
    exchanged,
    another_number,
    anything_removed,
    anything_doubled,
    another_name,
    noise,
)


def mutated(frame: bytes, random: Random) -> bytes:
    """Damage a frame or a body in any way."""
    for _ in range(random.choice((1, 1, 1, 2))):
        if is_json(frame) and len(frame) > 2:
            try:
                frame = random.choice((*VISIBLE, *SILENT))(frame, random)
            except (ValueError, RecursionError):
                return frame  # too deep to be taken apart once more
    return frame
