"""What `top` makes of pairs: their worth, their order, and what of them is to be believed."""

from collections.abc import Mapping

import pytest
from support.pairprices import pair_price, word

from arbees_feed.cli.toppairs import LINGER_S, LISTED, NOBODY, SILENCE_S, Pairs, ages_s, cheaper
from arbees_feed.pairs.price import PairPrice


@pytest.fixture
def pairs() -> Pairs:
    """At the time 0 a matcher is at work."""
    made = Pairs()
    made.on_matcher(word(), 0.0)
    return made


def read(pairs: Pairs, *prices: PairPrice, now_s: float = 0.0, listed: bool = True) -> None:
    found = {price.pair_id: price for price in prices}
    pairs.on_prices(list(found), found, now_s, listed=listed)


def shown(pairs: Pairs, pair: str, now_s: float = 0.0) -> tuple[str, str]:
    price = pairs.believed(pairs.known[pair], now_s)
    return price.status, price.reason


# -- what a pair is worth --------------------------------------------------------------------------


def test_the_cheaper_way_counts_with_its_fees() -> None:
    way = cheaper(pair_price())
    assert way is not None
    assert (way.yes_at, way.cost, way.size) == ("kalshi", 0.97, 25.0)
    assert way.edge == pytest.approx(3.0)
    other = cheaper(pair_price(yes_at_polymarket_net=0.96))
    assert other is not None
    assert (other.yes_at, other.size) == ("polymarket", 5.0)


@pytest.mark.parametrize(
    "more",
    [
        {"status": "stale"},
        {"yes_at_kalshi_net": None, "yes_at_polymarket_net": None},
        {"yes_at_kalshi_size": 0.0, "yes_at_polymarket_size": 0.0},
    ],
)
def test_a_pair_that_nobody_can_buy_at_a_known_cost_is_worth_nothing(
    more: Mapping[str, object],
) -> None:
    assert cheaper(pair_price(**more)) is None


def test_ages_go_on_since_the_price_was_made() -> None:
    price = pair_price(ts_pub_ns=1_000_000_000)
    assert ages_s(price, 4_000_000_000) == (4.0, 15.0)
    assert ages_s(price, 0) == (1.0, 12.0), "its clock is ahead of ours"


# -- order, and search -----------------------------------------------------------------------------


def test_the_best_come_first_then_those_without_a_cost_and_what_is_not_live(pairs: Pairs) -> None:
    read(
        pairs,
        pair_price("CLOSED.1", status="closed"),
        pair_price("STALE.1", status="stale"),
        pair_price("NO-FEES.1", yes_at_kalshi_net=None, yes_at_polymarket_net=None),
        pair_price("DEAR.1", yes_at_kalshi_net=1.2),
        pair_price("CHEAP.1", yes_at_kalshi_net=0.95),
    )
    order = ["CHEAP.1", "DEAR.1", "NO-FEES.1", "STALE.1", "CLOSED.1"]
    assert pairs.listed("") == order


def test_no_more_than_so_many_are_listed(pairs: Pairs) -> None:
    read(pairs, *(pair_price(f"K.{number}") for number in range(LISTED + 1)))
    assert len(pairs.listed("")) == LISTED


def test_a_search_looks_at_ids_and_at_the_titles_of_both(pairs: Pairs) -> None:
    read(pairs, pair_price("KX-1.aaaa"), pair_price("KX-2.bbbb"))
    assert pairs.listed("kx-2") == ["KX-2.bbbb"]
    assert pairs.listed("7aaaa") == ["KX-1.aaaa"]
    assert pairs.listed("lions chiefs") == [], "no title is known yet"
    assert pairs.untitled(["KX-1.aaaa", "KX-2.bbbb"]) == ["KX-1", "7aaaa", "KX-2", "7bbbb"]
    pairs.on_titles({"KX-1": {"title": "Chiefs at Detroit"}, "7aaaa": {"title": "Lions win?"}})
    assert pairs.listed("LIONS chiefs") == ["KX-1.aaaa"]
    assert pairs.untitled(["KX-1.aaaa", "KX-2.bbbb"]) == ["KX-2", "7bbbb"]


# -- what is to be believed ------------------------------------------------------------------------


def test_without_a_matcher_no_price_is_believed(pairs: Pairs) -> None:
    read(pairs, pair_price("K.1"))
    assert shown(pairs, "K.1") == ("live", "")
    pairs.on_matcher(None, 0.0)
    assert pairs.matcher(0.0) is None
    assert shown(pairs, "K.1") == ("stale", NOBODY)
    pairs.on_matcher(word("silent", reason="no word from the matcher since then"), 0.0)
    assert pairs.matcher(0.0) is None
    assert shown(pairs, "K.1") == ("stale", "no word from the matcher since then")


def test_what_redis_was_not_heard_of_lately_is_not_believed(pairs: Pairs) -> None:
    read(pairs, pair_price("K.1"))
    late_s = SILENCE_S + 0.1
    assert pairs.matcher(late_s) is None
    pairs.trouble = "connection refused"
    assert shown(pairs, "K.1", late_s) == ("stale", "connection refused")
    pairs.on_matcher(word(), late_s)
    read(pairs, pair_price("K.1"), now_s=late_s)
    assert (shown(pairs, "K.1", late_s), pairs.trouble) == (("live", ""), "")


def test_a_list_that_was_opened_again_is_no_alarm(pairs: Pairs) -> None:
    late_s = SILENCE_S + 0.1
    read(pairs, pair_price("K.1"))
    pairs.end_round(0.0)
    pairs.on_matcher(word(), late_s)
    assert pairs.doubt(late_s) == "not read lately"
    pairs.begin()
    assert pairs.doubt(late_s) == ""
    assert pairs.is_coming(pairs.known["K.1"], late_s)


def test_a_price_that_comes_on_view_is_shown_once_it_was_read_again(pairs: Pairs) -> None:
    late_s = SILENCE_S + 0.1
    read(pairs, pair_price("K.1"), pair_price("K.2"))
    pairs.on_matcher(word(), late_s)
    read(pairs, pair_price("K.2"), now_s=late_s)
    assert [pairs.is_coming(pairs.known[pair], late_s) for pair in ("K.1", "K.2")] == [True, False]
    assert shown(pairs, "K.1", late_s) == ("stale", "not read lately")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kalshi_bid": float("nan")},
        {"polymarket_ask": 1.5},
        {"yes_at_kalshi_net": float("-inf")},
        {"yes_at_polymarket_cost": 1e300},
        {"yes_at_kalshi_size": float("inf")},
        {"polymarket_bid_size": -1.0},
        {"kalshi_age_s": float("nan")},
    ],
)
def test_numbers_that_can_t_be_are_no_quote(pairs: Pairs, wrong: Mapping[str, float]) -> None:
    read(pairs, pair_price("K.1", **wrong), pair_price("K.2"))
    assert shown(pairs, "K.1") == ("stale", "its numbers can't be")
    assert pairs.listed("") == ["K.2", "K.1"]


# -- rounds ----------------------------------------------------------------------------------------


def test_a_pair_that_closes_stays_on_view_for_a_while(pairs: Pairs) -> None:
    read(pairs, pair_price("K.1"), pair_price("K.2"))
    pairs.end_round(1.0)
    read(pairs, pair_price("K.1"), now_s=1.0)
    assert pairs.missing() == ["K.2"]
    read(pairs, pair_price("K.2", status="closed", reason="ended"), now_s=2.0, listed=False)
    for now_s in (2.0, 3.0, 2.0 + LINGER_S):
        pairs.end_round(now_s)
        read(pairs, pair_price("K.1"), now_s=now_s)
        assert shown(pairs, "K.2") == ("closed", "ended")
    pairs.end_round(2.1 + LINGER_S)
    assert list(pairs.known) == ["K.1"]


def test_a_pair_that_no_round_finds_any_more_is_forgotten_with_its_titles(pairs: Pairs) -> None:
    read(pairs, pair_price("KX-1.aaaa"), pair_price("KX-2.bbbb"))
    pairs.on_titles({"KX-1": {}, "7aaaa": {}, "KX-2": {}, "7bbbb": {}})
    known: list[list[str]] = []
    for _ in range(3):
        pairs.end_round(1.0)
        read(pairs, pair_price("KX-1.aaaa"), now_s=1.0)
        read(pairs, pair_price("KX-2.bbbb"), now_s=1.0, listed=False)  # it is on the screen
        known.append(list(pairs.known))
    both = ["KX-1.aaaa", "KX-2.bbbb"]
    assert known == [both, both, ["KX-1.aaaa"]], "it may slip from page to page once"
    assert sorted(pairs.titles) == ["7aaaa", "KX-1"]


def test_a_pair_without_a_price_is_none(pairs: Pairs) -> None:
    read(pairs, pair_price("K.1"))
    pairs.on_prices(["K.1", "PROBABLE.1"], {}, 1.0, listed=True)
    assert pairs.known == {}
