"""Candidates by blocks, and the refusal of rivals."""

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
    found = {(pair.kalshi.market_id[-3:], pair.verdict.polarity) for pair in filled().pairs()}
    assert found == {("BKN", "same"), ("MEM", "inverted")}
    assert len(filled().verdicts(MARKET)) == 2


def test_verdicts_on_one_market_are_those_on_all() -> None:
    index = filled()
    assert sorted(index.verdicts(MARKET), key=str) == sorted(index.pairs(), key=str)


def test_the_same_frame_again_changes_nothing() -> None:
    index = filled()
    assert not index.add(MARKET)
    assert len(index) == 3


def test_a_changed_market_moves_to_its_new_block() -> None:
    index = filled()
    moved = polymarket("Nets vs. Grizzlies", "7", **{**NETS, "game_start": "2026-12-20T01:00:00Z"})
    assert index.add(moved)
    assert list(index.pairs()) == []
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


def test_two_markets_of_one_event_that_both_fit_are_ambiguous() -> None:
    index = filled()
    index.add(kalshi("KXNBAGAME-26DEC11BKNMEM-BKN2", "Brooklyn at Memphis Winner?",
                     yes_sub_title="Brooklyn"))  # fmt: skip
    verdicts = {pair.kalshi.market_id[-4:]: pair.verdict for pair in index.pairs()}
    assert not verdicts["-BKN"].confirmed
    assert not verdicts["BKN2"].confirmed
    assert "ambiguous" in verdicts["-BKN"].conflicts
    assert verdicts["-MEM"].confirmed
    assert sorted(index.verdicts(MARKET), key=str) == sorted(index.pairs(), key=str)


def test_a_rival_that_comes_and_goes_is_seen_from_around_it() -> None:
    index = filled()
    rival = kalshi("KXNBAGAME-26DEC11BKNMEM-BKN2", "Brooklyn at Memphis Winner?",
                   yes_sub_title="Brooklyn")  # fmt: skip
    index.add(rival)
    came = {pair.kalshi.market_id[-4:]: pair.verdict.confirmed for pair in index.around(rival)}
    assert came == {"-BKN": False, "BKN2": False, "-MEM": True}
    index.remove(rival.market_id)
    gone = {pair.kalshi.market_id[-4:]: pair.verdict.confirmed for pair in index.around(rival)}
    assert gone == {"-BKN": True, "-MEM": True}
