"""Matches kept in step: rivals that come and go, and what a person has decided."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.matching import LOOK_ALIKES, NETS, ONE_QUESTION, kalshi, polymarket

from arbees_feed.matching.frame import Frame
from arbees_feed.matching.matches import Key, Matches, NoDecisions, Wish

# A test is to fail for what is wrong, and not for a machine that has much to do.
UNHURRIED = settings(deadline=None)

GAME = kalshi("KXNBAGAME-26DEC11BKNMEM-BKN", "Brooklyn at Memphis Winner?")
OTHER_SIDE = kalshi("KXNBAGAME-26DEC11BKNMEM-MEM", "Brooklyn at Memphis Winner?")
RIVAL = kalshi(
    "KXNBAGAME-26DEC11BKNMEM-BKN2", "Brooklyn at Memphis Winner?", yes_sub_title="Brooklyn"
)
MARKET = polymarket("Nets vs. Grizzlies", "7", **NETS)
TWIN = polymarket("Nets vs. Grizzlies", "8", **NETS)
NEXT_WEEK = polymarket("Nets vs. Grizzlies", "7", **{**NETS, "game_start": "2026-12-20T01:00:00Z"})
PAIR = (GAME.market_id, "7")


def filled(*more: Frame) -> Matches:
    """Return the matches among a game's three markets, and *more*."""
    matches = Matches()
    for frame in (GAME, OTHER_SIDE, MARKET, *more):
        matches.put(frame)
    return matches


def confirmed(matches: Matches) -> dict[str, bool]:
    """Return by the end of Kalshi's ticker whether its match is confirmed."""
    return {match.key[0][-4:]: match.verdict.confirmed for match in matches}


def test_one_market_is_a_pair_with_each_of_the_two_of_the_other_venue() -> None:
    found = {(match.key[0][-3:], match.verdict.polarity) for match in filled()}
    assert found == {("BKN", "same"), ("MEM", "inverted")}


def test_a_changed_market_leaves_its_pairs() -> None:
    matches = filled()
    touched = matches.put(NEXT_WEEK)
    assert set(touched) == {PAIR, (OTHER_SIDE.market_id, "7")}
    assert [matches.get(key) for key in touched] == [None, None]
    assert list(matches) == []


def test_a_market_that_goes_takes_its_pairs_along() -> None:
    matches = filled()
    assert PAIR in matches.drop("7")
    assert list(matches) == []
    assert len(matches) == 2
    assert not matches.drop("7")


def test_two_markets_of_one_event_that_both_fit_are_ambiguous() -> None:
    verdicts = {match.key[0][-4:]: match.verdict for match in filled(RIVAL)}
    assert not verdicts["-BKN"].confirmed
    assert not verdicts["BKN2"].confirmed
    assert "ambiguous" in verdicts["-BKN"].conflicts
    assert verdicts["-MEM"].confirmed


ARREST = "Will Ann Marlowe be arrested before Jan 2027?"


@pytest.mark.parametrize(
    ("ticker", "event", "rivals"),
    [
        ("KXARREST-27JAN-AM2", "KXARREST-27JAN", True),
        ("KXARREST-26-AMAR", "KXARREST-26", False),
        ("KXARREST-AMAR", "", False),
    ],
)
def test_only_markets_of_one_event_are_rivals(ticker: str, event: str, *, rivals: bool) -> None:
    matches = Matches()
    for frame in (
        kalshi("KXARREST-27JAN-AMAR", ARREST),
        kalshi(ticker, ARREST, event_id=event),
        polymarket("Will Ann Marlowe be arrested by December 31, 2026?", "7"),
    ):
        matches.put(frame)
    assert {match.verdict.confirmed for match in matches} == {not rivals}
    assert len(list(matches)) == 2


DOUBLE = [
    kalshi(f"KXMLBGAME-26MAY10{start}TORDET-DET", "Toronto vs Detroit Winner?")
    for start in ("1310", "1910")
]
TIGERS = {"outcomes": ("Tigers", "Blue Jays"), "event_slug": "mlb-tor-det-2026-05-10"}


def test_both_games_of_a_day_fit_a_game_of_no_hour_and_neither_is_it() -> None:
    matches = Matches()
    for frame in (*DOUBLE, polymarket("Tigers vs. Blue Jays", "7", **TIGERS)):
        matches.put(frame)
    assert [match.verdict.confirmed for match in matches] == [False, False]
    matches.drop(DOUBLE[0].market_id)
    # Nobody knows of another one now.
    assert [match.verdict.confirmed for match in matches] == [True]
    assert all("start_time_unknown" in match.verdict.conflicts for match in matches)


def test_an_hour_tells_which_game_of_a_day_it_is() -> None:
    matches = Matches()
    told = polymarket("Tigers vs. Blue Jays", "7", game_start="2026-05-10T23:10:00Z", **TIGERS)
    for frame in (*DOUBLE, told):
        matches.put(frame)
    assert {match.key[0]: match.verdict.confirmed for match in matches} == {
        DOUBLE[1].market_id: True
    }


def test_a_rival_that_comes_and_goes_is_told() -> None:
    matches = filled()
    came = matches.put(RIVAL)
    assert set(came) >= {PAIR, (RIVAL.market_id, "7")}
    assert confirmed(matches) == {"-BKN": False, "BKN2": False, "-MEM": True}
    gone = matches.drop(RIVAL.market_id)
    assert set(gone) >= {PAIR, (RIVAL.market_id, "7")}
    assert confirmed(matches) == {"-BKN": True, "-MEM": True}


def test_a_market_that_two_of_the_other_venue_fit_is_in_no_pair() -> None:
    assert not any(match.verdict.confirmed for match in filled(TWIN))


ALL = [
    RIVAL, OTHER_SIDE, GAME, MARKET, TWIN, NEXT_WEEK,
    *(frame for ours, theirs, _ in list(ONE_QUESTION.values())[:6] for frame in (ours, theirs)),
    *(frame for pair in list(LOOK_ALIKES.values())[:6] for frame in pair),
]  # fmt: skip


@UNHURRIED
@given(st.lists(st.tuples(st.sampled_from(ALL), st.booleans()), max_size=25))
def test_what_is_kept_in_step_is_what_a_first_look_finds(
    steps: list[tuple[Frame, bool]],
) -> None:
    """And everything that is other than before was told."""
    matches, held = Matches(), dict[str, Frame]()
    shown: dict[Key, object] = {}
    for frame, stays in steps:
        touched = matches.put(frame) if stays else matches.drop(frame.market_id)
        held.pop(frame.market_id, None)
        if stays:
            held[frame.market_id] = frame
        for key in touched:
            shown[key] = matches.get(key)
    afresh = Matches()
    for frame in held.values():
        afresh.put(frame)
    now = {match.key: match for match in matches}
    assert now == {match.key: match for match in afresh}
    assert {key: match for key, match in shown.items() if match is not None} == now


# -- what a person has decided ---------------------------------------------------------------------


class Line:
    """A person's line, with a polarity or without."""

    def __init__(self, polarity: str = "") -> None:
        self.polarity = polarity


class Decided(NoDecisions):
    """One pair that a person wants, or will never have."""

    def __init__(self, key: Key, line: Line | None = None) -> None:
        self.key, self.line = key, line

    def forbids(self, key: Key) -> bool:
        return self.line is None and key == self.key

    def wants(self, key: Key) -> Wish | None:  # type: ignore[override]  # NoDecisions wants none
        return self.line if key == self.key else None

    def wanted_with(self, market: str) -> list[Key]:
        return [self.key] if self.line and market in self.key else []


def decided(line: Line | None) -> Matches:
    """Return the matches with a rival, one pair being decided on."""
    matches = Matches(Decided(PAIR, line))
    for frame in (GAME, OTHER_SIDE, MARKET, RIVAL):
        matches.put(frame)
    return matches


def test_what_is_forbidden_is_no_rival_either() -> None:
    assert confirmed(decided(None)) == {"BKN2": True, "-MEM": True}


def test_what_is_wanted_has_no_rival_and_is_one() -> None:
    assert confirmed(decided(Line())) == {"-BKN": True, "BKN2": False, "-MEM": True}


@pytest.mark.parametrize(
    ("line", "polarity", "said"),
    [
        (Line(), "same", False),
        (Line("same"), "same", False),
        (Line("inverted"), "inverted", True),
    ],
)
def test_a_wish_tells_the_polarity_and_keeps_what_the_matcher_says(
    line: Line, polarity: str, *, said: bool
) -> None:
    match = decided(line).get(PAIR)
    assert match is not None
    assert (match.by_user, match.verdict.polarity, match.verdict.confidence) == (
        True, polarity, 1.0
    )  # fmt: skip
    assert ("the matcher says same" in match.verdict.conflicts) is said


@pytest.mark.parametrize(("line", "kept"), [(Line(), False), (Line("same"), True)])
def test_a_wish_for_what_nobody_can_tell_the_polarity_of_is_none(line: Line, *, kept: bool) -> None:
    matches = Matches(Decided(PAIR, line))
    matches.put(GAME)
    matches.put(NEXT_WEEK)
    assert (matches.get(PAIR) is not None) is kept
