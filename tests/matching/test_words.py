"""Spellings that are one, and those that are two."""

import pytest

from arbees_feed.matching.words import codes_agree, fold, name_codes, name_key, without_suffix


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Will the U.S. **win** it?", "will the us win it"),
        ("São Tomé\u2019s “Łódź”", "sao tomes lodz"),
        ("J.D. Vance", "jd vance"),
        ("more than 1,250.50%", "more than 1250.50%"),
        ("Spread: A (-1.5)", "spread: a (-1.5)"),
        ("2025\u201326 season", "2025-26 season"),
        ("Lee Jae-myung", "lee jae myung"),
        ("rate ≥4.5", "rate >=4.5"),
        ("OK-05", "ok-05"),
    ],
)
def test_folding_drops_what_carries_no_meaning(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_names_keep_the_suffix_that_tells_son_from_father() -> None:
    assert name_key("The John Q. Public, Jr.") == "john q public jr"
    assert without_suffix("john public jr") == ("john public", "jr")
    assert without_suffix("junior") == ("junior", "")


def test_codes_of_a_name_are_its_first_letters() -> None:
    assert name_codes("ann marlowe") == {"annmar"}
    assert name_codes("ann marlowe peters jr") == {"annmar", "annpet"}
    assert name_codes("ann im") == {"annim"}
    assert name_codes("madonna") == {"madonn"}


def test_a_short_code_fits_a_long_one_of_the_same_letters() -> None:
    assert codes_agree("amar", "annmar")
    assert not codes_agree("bmar", "annmar")
    assert not codes_agree("amar", "annmal")
