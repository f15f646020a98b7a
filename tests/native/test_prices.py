"""Prices as Redis commands: both ways write the same bytes, or raise the same error."""

from collections.abc import Callable
from random import Random

import msgspec
import pytest
from support.native import named, needs_compiled
from support.twoprices import a_price, outlet_of, same_commands

from arbees_feed.core.model import ONE_DOLLAR, Quote, Source, Status
from arbees_feed.native import compiled
from arbees_feed.publish.outlet import Outlet

pytestmark = needs_compiled

QUOTE = Quote(4_700, 333_000_000, 4_900, 80_000_000, 4_800, Status.LIVE, Source.BOOK, 11, 12)
NUMBERS = (
    *(0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**53 + 1),
    *(
        2**63 - 1,
        2**63,
        2**64 - 1,
        2**64,
        10**30,
        -1,
        -33,
        -(2**63),
        -(2**70),
        True,
        1.5,
        None,
        "1",
    ),
)


@pytest.mark.parametrize("price", ["bid", "ask", "last_price"])
def test_each_price_there_is(price: str) -> None:
    outlet = outlet_of("KXAAA-26NOV21-T1")
    for ticks in range(ONE_DOLLAR + 1):
        same_commands(outlet, msgspec.structs.replace(QUOTE, **{price: ticks}), 7, 13)


@pytest.mark.parametrize("field", Quote.__struct_fields__)
@pytest.mark.parametrize("value", [*NUMBERS, ONE_DOLLAR + 1, -ONE_DOLLAR], ids=named)
def test_any_value_of_any_field(field: str, value: object) -> None:
    """What no quote has raises the same error, or none."""
    outlet = outlet_of("KXAAA-26NOV21-T1")
    same_commands(outlet, msgspec.structs.replace(QUOTE, **{field: value}), 7, 13)


@pytest.mark.parametrize("number", NUMBERS, ids=named)
def test_any_number_in_a_message(number: int) -> None:
    outlet = outlet_of("7" * 77)
    same_commands(outlet, QUOTE, number, 13)
    same_commands(outlet, QUOTE, 7, number)
    if isinstance(number, int):
        same_commands(outlet, QUOTE, 7, 13, session=number)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("source", Source)
def test_each_status_and_source(status: Status, source: Source) -> None:
    quote = msgspec.structs.replace(QUOTE, status=status, source=source, last_price=None)
    same_commands(outlet_of("KXAAA"), quote, 7, 13)


@pytest.mark.parametrize(
    "market", ["", "K", *("K" * n for n in (31, 32, 33, 254, 255, 256, 257, 70_000))]
)
@pytest.mark.parametrize("letter", ["K", "É", "☃", "\U0001f4a9", "\x00"])
def test_ids_of_any_length_in_any_script(market: str, letter: str) -> None:
    same_commands(outlet_of(market.replace("K", letter)), QUOTE, 7, 13)


def test_an_id_that_can_not_be_encoded() -> None:
    outlet = outlet_of("K")
    outlet.market = "\ud800"  # type: ignore[assignment]
    same_commands(outlet, QUOTE, 7, 13)


def test_random_quotes() -> None:
    random = Random(1)
    for _ in range(5_000):
        same_commands(*a_price(random))


# -- what is no outlet and no quote ----------------------------------------------------------------


class Bytes(bytes):
    """Bytes of another type."""


class Strange(Outlet):
    """An outlet of another type."""

    __slots__ = ()


def without(name: str) -> Outlet:
    outlet = outlet_of("K")
    delattr(outlet, name)
    return outlet


@pytest.mark.parametrize("name", ["market", "platform", "last_start", "price_start"])
@pytest.mark.parametrize(
    "value",
    [None, 1, b"x", Bytes(b"x"), bytearray(b"x"), memoryview(b"x"), "text", Status.LIVE, ["x"]],
    ids=named,
)
def test_an_outlet_of_other_parts(name: str, value: object) -> None:
    outlet = outlet_of("K")
    setattr(outlet, name, value)
    same_commands(outlet, QUOTE, 7, 13)


@pytest.mark.parametrize("name", ["market", "platform", "last_start", "price_start"])
def test_an_outlet_without_a_part(name: str) -> None:
    same_commands(without(name), QUOTE, 7, 13)


@pytest.mark.parametrize(
    "make",
    [lambda: None, object, lambda: Outlet.__new__(Outlet), lambda: Strange.__new__(Strange)],
    ids=["None", "object", "an empty outlet", "an empty subclass"],
)
def test_something_else_than_an_outlet_or_a_quote(make: Callable[[], object]) -> None:
    same_commands(make(), QUOTE, 7, 13)  # type: ignore[arg-type]
    same_commands(outlet_of("K"), make(), 7, 13)  # type: ignore[arg-type]


def test_wrong_calls_are_errors() -> None:
    assert compiled is not None
    prices = compiled.Prices(Outlet, Quote, 1, lambda *_: b"plain")
    assert prices.commands(None, None, 7, 13) == b"plain"  # type: ignore[arg-type]
    wrong: list[tuple[object, ...]] = [(), (1, 2, 3), (1, 2, 3, 4, 5)]
    for arguments in wrong:
        with pytest.raises(TypeError, match="commands"):
            prices.commands(*arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="called before"):
        prices.__init__(Outlet, Quote, 1, str)  # type: ignore[misc]
    with pytest.raises(TypeError, match="commands"):
        compiled.Prices.__new__(compiled.Prices).commands(1, 2, 3, 4)
    with pytest.raises(TypeError, match="not callable"):
        compiled.Prices(Outlet, Quote, 1, None).commands(1, 2, 3, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (1, Quote, 1, str),
        (Outlet, Outlet, 1, str),
        (Quote, Quote, 1, str),
        (Outlet, Quote, 1.0, str),
        (Outlet, Quote, "1", str),
        (type, type, 1, str),
        (Outlet, Quote, 1),
    ],
    ids=named,
)
def test_wrong_types_are_refused(arguments: tuple[object, ...]) -> None:
    assert compiled is not None
    with pytest.raises((TypeError, AttributeError)):
        compiled.Prices(*arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no named arguments"):
        compiled.Prices(plain=str)  # type: ignore[call-arg]
