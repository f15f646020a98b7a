"""Decimal text to integers and back, exactly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.money import LotsByText, TicksByText, decimal_text, lots, scaled


@pytest.mark.parametrize(
    ("text", "ticks"),
    [
        ("0.29", 2_900),
        ("0.2900", 2_900),
        ("0.0001", 1),
        ("0.9999", 9_999),
        ("0.005", 50),
        ("1", 10_000),
        ("1.0000", 10_000),
        ("0", 0),
        (".48", 4_800),
        ("1.", 10_000),
        ("0.480000", 4_800),
        ("00.5", 5_000),
    ],
)
def test_prices_are_read_exactly(text: str, ticks: int) -> None:
    """0.29 * 100 is 28.999999999999996: through float, a level would miss its own key."""
    assert TicksByText()[text] == ticks


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0.01", 10_000),
        ("219.217767", 219_217_767),
        ("-54.00", -54_000_000),
        ("-0.01", -10_000),
        ("-.5", -500_000),
        ("0", 0),
        ("-0.00", 0),
        ("33896.00", 33_896_000_000),
    ],
)
def test_sizes_and_signed_changes_are_read_exactly(text: str, size: int) -> None:
    assert lots(text) == LotsByText()[text] == size


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", ".", "-.", "--1", "+1", " 1", "1 ", "1_0", "1,5", "0x1", "1.2.3"),
        *("1e-5", "1E3", "NaN", "nan", "Infinity", "-inf", "null", "True", "½", "²"),
        ".-3",
        "5.-3",
        "-.-3",
        "٣",  # a decimal digit, and int() reads it
        "0.\uff14\uff18",
    ],
)
def test_what_is_no_plain_decimal_number_is_refused(text: str) -> None:
    for decimals in (4, 6):
        with pytest.raises(ValueError, match="decimal"):
            scaled(text, decimals)


def test_what_is_finer_than_our_unit_is_refused_and_not_rounded() -> None:
    with pytest.raises(ValueError, match="finer than 4 decimals"):
        scaled("0.48005", 4)
    with pytest.raises(ValueError, match="finer than 6 decimals"):
        lots("0.0000001")
    assert scaled("0.48000", 4) == 4_800


@pytest.mark.parametrize("text", ["9" * 400, "0." + "0" * 400, "9" * 5_000, "1" * 33])
def test_absurdly_long_text_is_refused(text: str) -> None:
    """A size of 400 digits is an int, but no float: it would break whoever publishes it."""
    with pytest.raises(ValueError, match="no price and no size"):
        lots(text)


@pytest.mark.parametrize("text", ["1000000000000.000001", "-9223372036855", "9" * 25])
def test_a_size_that_nobody_ever_had_is_no_size(text: str) -> None:
    known = LotsByText()
    with pytest.raises(ValueError, match="is no size"):
        known[text]
    assert not known
    assert known["1000000000000"] == 10**18


def test_the_longest_size_still_fits_a_float() -> None:
    assert lots("9" * 32) / 1_000_000 == pytest.approx(1e32)


@pytest.mark.parametrize("text", ["1.0001", "2", "-0.01", "100"])
def test_a_price_lies_between_0_and_1_dollar(text: str) -> None:
    with pytest.raises(ValueError, match="not between 0 and 1 dollar"):
        TicksByText()[text]


def test_price_texts_are_parsed_once_and_odd_ones_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("arbees_feed.core.money._KEPT", 3)
    known = TicksByText()
    for text in ("0.1", "0.2", "0.3", "0.4", "0.5"):
        assert known[text] == TicksByText()[text]
    assert list(known) == ["0.4", "0.5"]


def test_sizes_of_yesterday_make_room_for_those_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arbees_feed.core.money._KEPT", 3)
    known = LotsByText()
    for text in ("0.1", "0.2", "0.3", "0.4", "0.5"):
        assert known[text] == LotsByText()[text]
    assert list(known) == ["0.4", "0.5"]


def test_wrong_text_is_not_kept() -> None:
    known = TicksByText()
    with pytest.raises(ValueError, match="decimal"):
        known["x"]
    assert not known


@given(st.integers(-(10**15), 10**15), st.integers(0, 9))
def test_reading_agrees_with_decimal(value: int, decimals: int) -> None:
    text = format(Decimal(value).scaleb(-decimals), "f")
    if decimals <= 6:
        assert lots(text) == Decimal(text) * 10**6


@given(st.integers(0, 10**15), st.sampled_from([4, 6]))
def test_text_and_back_is_the_same_number(value: int, decimals: int) -> None:
    text = decimal_text(value, decimals)
    assert scaled(text, decimals) == value
    assert not (("." in text) and text.endswith(("0", ".")))


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (5_000, 4, "0.5"),
        (300_000_000, 6, "300"),
        (219_217_767, 6, "219.217767"),
        (1, 4, "0.0001"),
        (0, 6, "0"),
        (10_000, 4, "1"),
    ],
)
def test_text_is_the_shortest(value: int, decimals: int, text: str) -> None:
    assert decimal_text(value, decimals) == text


@given(st.text(max_size=40))
def test_any_text_is_a_number_or_a_value_error(text: str) -> None:
    for reader in (TicksByText(), LotsByText()):
        try:
            value = reader[text]
        except ValueError:
            continue
        assert isinstance(value, int)
        assert value == Decimal(text) * (10_000 if isinstance(reader, TicksByText) else 10**6)
