"""Look-alikes are found by rare words, and are only ever proposed."""

from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st

from arbees_feed.matching import propose
from arbees_feed.matching.propose import FOLLOWED, LEAST, LookAlike

OURS = {
    "K1": "Will the zeppelin land in Trondheim?",
    "K2": "Will the ferry land in Bergen?",
}
THEIRS = {
    "P1": "Will a zeppelin land in Trondheim before 2027?",
    "P2": "Will it snow?",
}


def look_alikes(
    ours: dict[str, str], theirs: dict[str, str], least: float = LEAST
) -> list[LookAlike]:
    near = propose.look_alikes(ours, theirs, least=least)
    return propose.each_once(chain.from_iterable(near))


def pairs(found: list[LookAlike]) -> list[tuple[str, str]]:
    return [(one.kalshi, one.polymarket) for one in found]


def test_the_title_with_the_same_rare_words_is_proposed() -> None:
    assert pairs(look_alikes(OURS, THEIRS, least=0.5)) == [("K1", "P1")]
    assert look_alikes(OURS, THEIRS, least=0.9) == []


def test_a_title_without_words_is_like_none() -> None:
    assert look_alikes({"K": "", "K2": "??"}, {"P": "", "P2": "!"}, least=0.0) == []


def test_words_that_everybody_uses_are_not_followed() -> None:
    """Though there are more titles with them than are ever looked at."""
    many = {f"X{number}": f"will the thing {number} land" for number in range(FOLLOWED + 500)}
    found = pairs(look_alikes({"K1": OURS["K1"]}, {**many, **THEIRS}, least=0.3))
    assert found == [("K1", "P1")]


def test_each_market_is_proposed_once_in_its_best() -> None:
    ours = {**OURS, "K3": "Will the zeppelin land in Trondheim before 2027?"}
    found = look_alikes(ours, THEIRS, least=0.3)
    assert ("K3", "P1") in pairs(found)
    assert (
        len({one.polymarket for one in found}) == len({one.kalshi for one in found}) == len(found)
    )
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_title_of_any_length_is_cut() -> None:
    long = "zeppelin " + "cat " * 100 + "dog " * 1_000_000
    (found,) = look_alikes({"K": long}, {"P": "zeppelin cat"})
    assert found.score == 1.0


titles = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.text(max_size=40), max_size=8)


@settings(deadline=None)
@given(titles, titles, st.text("abc d", min_size=1, max_size=30))
def test_the_same_title_scores_one_and_none_scores_more(
    ours: dict[str, str], theirs: dict[str, str], title: str
) -> None:
    found = look_alikes({**ours, "K3": f"x{title}"}, {**theirs, "P3": f"x{title}"}, least=0.0)
    its = [one.score for one in found if one.kalshi == "K3" or one.polymarket == "P3"]
    assert max(its) == 1.0
    assert all(0.0 <= one.score <= 1.0 for one in found)
