"""Candidates by blocks: which markets of the other venue may ask the same."""

from support.matching import NETS, kalshi, polymarket

from arbees_feed.matching.index import Index

GAME = kalshi("KXNBAGAME-26DEC11BKNMEM-BKN", "Brooklyn at Memphis Winner?")
OTHER_SIDE = kalshi("KXNBAGAME-26DEC11BKNMEM-MEM", "Brooklyn at Memphis Winner?")
MARKET = polymarket("Nets vs. Grizzlies", "7", **NETS)


def filled() -> Index:
    """Return an index that holds a game's three markets."""
    index = Index()
    for frame in (GAME, OTHER_SIDE, MARKET):
        assert index.add(frame)
    return index


def test_one_market_meets_the_two_of_the_other_venue() -> None:
    assert list(filled().candidates(MARKET)) == [GAME, OTHER_SIDE]
    assert list(filled().candidates(GAME)) == [MARKET]


def test_the_same_frame_again_changes_nothing() -> None:
    index = filled()
    assert not index.add(MARKET)
    assert len(index) == 3


def test_a_changed_market_moves_to_its_new_block() -> None:
    index = filled()
    moved = polymarket("Nets vs. Grizzlies", "7", **{**NETS, "game_start": "2026-12-20T01:00:00Z"})
    assert index.add(moved)
    assert list(index.candidates(GAME)) == list(index.candidates(moved)) == []
    assert index.frame("7") == moved


def test_a_removed_market_is_nobodys_candidate() -> None:
    index = filled()
    index.remove("7")
    index.remove("7")
    assert list(index.candidates(GAME)) == []
    assert index.frame("7") is None
    assert len(index) == 2


def test_what_was_not_understood_is_nobodys_candidate() -> None:
    index = filled()
    index.add(polymarket("?", "8"))
    assert list(index.candidates(polymarket("?", "9"))) == []


def test_a_market_of_two_blocks_is_met_once() -> None:
    """A double family name has several codes; some of them and the name itself share blocks."""
    index = Index()
    ours = kalshi(
        "KXPRESNOMD-28-AMAR",
        "Will Ann Marlowe Marlowe be the nominee for the Presidency for the Democratic party?",
    )
    theirs = polymarket("Will Ann Marlowe Marlowe win the 2028 Democratic presidential nomination?")
    index.add(ours)
    index.add(theirs)
    assert list(index.candidates(ours)) == [theirs]
