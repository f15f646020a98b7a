"""Prices of pairs, from prices of legs."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.wire import MarketPrice
from arbees_feed.pairs.fees import KalshiFees, PolymarketFees
from arbees_feed.pairs.price import PairPrice
from arbees_feed.pairs.table import Moment, PairTable, Terms

S = 10**9
T0 = 1_800_000_000 * S
BOOTED = T0 - 5_000 * S


def at(unix_ns: int, stepped_ns: int = 0) -> Moment:
    """Return a moment; *stepped_ns* is by how much the time of day was set forward since T0."""
    return Moment(unix_ns + stepped_ns, unix_ns - BOOTED)


SAME = Terms("K~P", "K", "P", "same", KalshiFees(), PolymarketFees(50_000), fees_told=True)
INVERTED = msgspec.structs.replace(SAME, polarity="inverted")


def leg(
    market: str,
    bid: float,
    ask: float,
    *,
    sizes: tuple[float, float] = (100.0, 100.0),
    status: str = "live",
    recv_ns: int = T0,
    seq: int = 1,
) -> MarketPrice:
    return MarketPrice(
        market_id=market,
        platform="kalshi" if market.startswith("K") else "polymarket",
        yes_bid=bid,
        yes_ask=ask,
        yes_bid_size=sizes[0],
        yes_ask_size=sizes[1],
        last_price=None,
        status=status,
        source="book",
        session=1,
        seq=seq,
        ts_event_ns=recv_ns,
        ts_recv_ns=recv_ns,
        ts_pub_ns=recv_ns,
    )


class Fed(PairTable):
    """A table, and the book that it looks into."""

    def __init__(self, max_age_s: float) -> None:
        self.book: dict[str, MarketPrice] = {}
        super().__init__(self.book, max_age_s=max_age_s)

    def take(self, price: MarketPrice, now_ns: int, stepped_ns: int = 0) -> Sequence[PairPrice]:
        self.book[price.market_id] = price
        return self.on_price(price.market_id, at(now_ns, stepped_ns))


def table(terms: Terms = SAME, max_age_s: float = 60.0) -> Fed:
    made = Fed(max_age_s)
    first = made.put(terms, at(T0))
    assert first is not None
    assert (first.status, first.reason) == ("stale", "kalshi: no price yet")
    return made


def only(said: Sequence[PairPrice]) -> PairPrice:
    (price,) = said
    return price


def test_both_ways_to_buy_both_sides_are_priced() -> None:
    pairs = table()
    assert pairs.take(leg("K", 0.40, 0.42, sizes=(30, 50)), T0) == []
    said = only(pairs.take(leg("P", 0.45, 0.47, sizes=(80, 20)), T0 + S))
    assert said.status == "live"
    assert (said.kalshi_bid, said.kalshi_ask) == (0.40, 0.42)
    assert (said.polymarket_bid, said.polymarket_ask) == (0.45, 0.47)
    assert (said.kalshi_age_s, said.polymarket_age_s) == (1.0, 1.0)
    # YES at 0.42, NO at 1 - 0.45; 50 of one, 80 of the other.
    assert said.yes_at_kalshi_cost == 0.97
    assert said.yes_at_kalshi_size == 50.0
    # 0.07 x 50 x 0.42 x 0.58 = 0.8526, and the cent above 21.8526; 0.05 x 50 x 0.55 x 0.45.
    assert said.yes_at_kalshi_net == pytest.approx(0.97 + (0.86 + 0.61875) / 50)
    # YES at 0.47, NO at 1 - 0.40.
    assert said.yes_at_polymarket_cost == 1.07
    assert said.yes_at_polymarket_size == 20.0


def test_an_inverted_leg_is_turned_round() -> None:
    pairs = table(INVERTED)
    pairs.take(leg("K", 0.40, 0.42, sizes=(30, 50)), T0)
    said = only(pairs.take(leg("P", 0.53, 0.55, sizes=(20, 80)), T0))
    assert (said.polymarket_bid, said.polymarket_ask) == (0.45, 0.47)
    assert (said.polymarket_bid_size, said.polymarket_ask_size) == (80.0, 20.0)
    assert said.yes_at_kalshi_cost == 0.97
    assert said.polarity == "inverted"


def test_what_nobody_offers_has_no_cost() -> None:
    pairs = table()
    pairs.take(leg("K", 0.40, 1.0, sizes=(30, 0)), T0)
    said = only(pairs.take(leg("P", 0.45, 0.47), T0))
    assert (said.yes_at_kalshi_cost, said.yes_at_kalshi_net, said.yes_at_kalshi_size) == (
        None,
        None,
        0.0,
    )
    assert said.yes_at_polymarket_cost == 1.07


def test_fees_of_an_unknown_kind_leave_the_net_cost_out() -> None:
    pairs = table(msgspec.structs.replace(SAME, kalshi_fees=None))
    pairs.take(leg("K", 0.40, 0.42), T0)
    said = only(pairs.take(leg("P", 0.45, 0.47), T0))
    assert said.yes_at_kalshi_cost == 0.97
    assert said.yes_at_kalshi_net is None


@pytest.mark.parametrize("status", ["stale", "closed"])
def test_a_leg_that_is_not_live_takes_the_quote_back_once(status: str) -> None:
    pairs = table()
    pairs.take(leg("K", 0.40, 0.42), T0)
    pairs.take(leg("P", 0.45, 0.47), T0)
    assert pairs.live == 1
    said = only(pairs.take(leg("P", 0.0, 1.0, sizes=(0, 0), status=status, seq=2), T0))
    assert (said.status, said.reason) == ("stale", f"polymarket: {status}")
    assert (said.kalshi_bid, said.yes_at_kalshi_cost) == (0.0, None)
    assert pairs.take(leg("K", 0.41, 0.42, seq=2), T0) == []
    assert pairs.live == 0
    again = only(pairs.take(leg("P", 0.45, 0.47, seq=3), T0))
    assert (again.status, again.kalshi_bid) == ("live", 0.41)


def test_a_leg_that_has_rested_too_long_takes_the_quote_back() -> None:
    pairs = table(max_age_s=60.0)
    pairs.take(leg("K", 0.40, 0.42, recv_ns=T0), T0)
    pairs.take(leg("P", 0.45, 0.47, recv_ns=T0 + 30 * S), T0 + 30 * S)
    assert pairs.expire(at(T0 + 60 * S - 1)) == []
    said = only(pairs.expire(at(T0 + 60 * S)))
    assert (said.status, said.reason) == ("stale", "kalshi: no change for 60 s")
    assert pairs.expire(at(T0 + 61 * S)) == []
    fresh = leg("K", 0.40, 0.43, recv_ns=T0 + 62 * S, seq=2)
    assert only(pairs.take(fresh, T0 + 62 * S)).status == "live"
    assert only(pairs.expire(at(T0 + 90 * S))).reason == "polymarket: no change for 60 s"


def test_a_clock_that_is_set_back_makes_no_old_leg_young() -> None:
    pairs = table(max_age_s=60.0)
    pairs.take(leg("K", 0.40, 0.42, recv_ns=T0), T0)
    pairs.take(leg("P", 0.45, 0.47, recv_ns=T0), T0)
    hour = 3_600 * S
    # The feed's clock is set back with ours.
    moved = leg("P", 0.45, 0.48, recv_ns=T0 + 50 * S - hour, seq=2)
    said = only(pairs.take(moved, T0 + 50 * S, stepped_ns=-hour))
    assert (said.status, said.kalshi_age_s, said.polymarket_age_s) == ("live", 50.0, 0.0)
    assert pairs.expire(at(T0 + 60 * S - 1, -hour)) == []
    assert only(pairs.expire(at(T0 + 60 * S, -hour))).reason == "kalshi: no change for 60 s"


def test_a_clock_that_is_set_forward_takes_no_quote_back() -> None:
    pairs = table(max_age_s=60.0)
    pairs.take(leg("K", 0.40, 0.42, recv_ns=T0), T0)
    pairs.take(leg("P", 0.45, 0.47, recv_ns=T0), T0)
    assert pairs.expire(at(T0 + S, 3_600 * S)) == []


def test_a_leg_of_a_feed_whose_clock_is_ahead_gets_too_old_all_the_same() -> None:
    pairs = table(max_age_s=60.0)
    pairs.take(leg("K", 0.40, 0.42, recv_ns=T0 + 3_600 * S), T0)
    said = only(pairs.take(leg("P", 0.45, 0.47, recv_ns=T0 + 3_600 * S), T0))
    assert (said.kalshi_age_s, said.polymarket_age_s) == (0.0, 0.0)
    assert only(pairs.expire(at(T0 + 60 * S))).status == "stale"


def test_a_leg_that_comes_back_unchanged_is_as_old_as_it_was() -> None:
    pairs = table(max_age_s=60.0)
    pairs.take(leg("K", 0.40, 0.42, recv_ns=T0), T0)
    pairs.take(leg("P", 0.45, 0.47, recv_ns=T0), T0)
    pairs.take(leg("K", 0.0, 1.0, sizes=(0, 0), status="stale", recv_ns=T0), T0 + 20 * S)
    back = leg("K", 0.40, 0.42, recv_ns=T0)
    said = only(pairs.take(back, T0 + 40 * S, stepped_ns=-3_600 * S))
    assert (said.status, said.kalshi_age_s) == ("live", 40.0)
    # Other fees are no news of a leg.
    other = msgspec.structs.replace(SAME, kalshi_fees=KalshiFees(35_000))
    again = pairs.put(other, at(T0 + 45 * S, -3_600 * S))
    assert again is not None
    assert again.kalshi_age_s == 45.0


@pytest.mark.parametrize("size", [float("inf"), float("nan"), 1e300])
def test_sizes_that_cannot_be_are_not_reckoned_with(size: float) -> None:
    pairs = table()
    pairs.take(leg("K", 0.40, 0.42), T0)
    pairs.take(leg("P", 0.45, 0.47), T0)
    said = only(pairs.take(leg("P", 0.45, 0.47, sizes=(1.0, size), seq=2), T0))
    assert (said.status, said.reason) == ("stale", "polymarket: its sizes can't be")


def test_what_changes_nothing_is_not_said_again() -> None:
    pairs = table()
    pairs.take(leg("K", 0.40, 0.42), T0)
    assert len(pairs.take(leg("P", 0.45, 0.47), T0)) == 1
    assert pairs.take(leg("P", 0.45, 0.47, seq=2, recv_ns=T0 + S), T0 + S) == []
    assert pairs.put(SAME, at(T0 + S)) is None
    # But the leg is younger now.
    assert pairs.expire(at(T0 + 60 * S))


def test_other_terms_are_another_price() -> None:
    pairs = table()
    pairs.take(leg("K", 0.40, 0.42), T0)
    pairs.take(leg("P", 0.45, 0.47), T0)
    said = pairs.put(INVERTED, at(T0))
    assert said is not None
    assert (said.polarity, said.polymarket_bid) == ("inverted", 0.53)


def test_a_pair_that_goes_says_so_and_may_come_back() -> None:
    pairs = table()
    pairs.take(leg("K", 0.40, 0.42), T0)
    pairs.take(leg("P", 0.45, 0.47), T0)
    last = pairs.drop("K~P", "the rules have changed")
    assert last is not None
    assert (last.status, last.reason) == ("closed", "the rules have changed")
    assert not pairs.legs
    assert pairs.take(leg("K", 0.41, 0.42), T0) == ()
    assert pairs.drop("K~P", "again") is None
    back = pairs.put(SAME, at(T0))
    assert back is not None
    assert (back.status, back.kalshi_bid) == ("live", 0.41)


def test_a_leg_of_two_pairs_moves_both() -> None:
    pairs = table()
    pairs.put(msgspec.structs.replace(SAME, pair_id="K~P2", polymarket_id="P2"), at(T0))
    pairs.take(leg("P", 0.45, 0.47), T0)
    pairs.take(leg("P2", 0.44, 0.46), T0)
    said = pairs.take(leg("K", 0.40, 0.42), T0)
    assert {price.pair_id for price in said} == {"K~P", "K~P2"}
    pairs.drop("K~P", "")
    assert pairs.legs == {"K", "P2"}


def test_the_message_comes_back_from_msgpack() -> None:
    pairs = table()
    pairs.take(leg("K", 0.40, 0.42), T0)
    said = only(pairs.take(leg("P", 0.45, 0.47), T0))
    assert PairPrice.from_msgpack(said.to_msgpack()) == said
    with pytest.raises(ValueError, match="not a PairPrice"):
        PairPrice.from_msgpack(b"\xc1")


cents = st.integers(1, 98)


@given(cents, cents, st.sampled_from([SAME, INVERTED]), st.lists(st.integers(0, 3), max_size=12))
def test_a_live_price_is_always_that_of_two_live_legs(
    k_bid: int, p_bid: int, terms: Terms, steps: list[int]
) -> None:
    pairs = table(terms)
    newest = {"K": "none", "P": "none"}
    for number, step in enumerate(steps):
        market, status = "KP"[step % 2], ("live", "stale")[step // 2]
        bid = k_bid if market == "K" else p_bid
        price = leg(market, bid / 100, (bid + 1) / 100, status=status, seq=number)
        said = pairs.take(price, T0)
        newest[market] = status
        for one in said:
            assert (one.status == "live") == (set(newest.values()) == {"live"})
            if one.status == "live":
                turned = p_bid if terms is SAME else 99 - p_bid
                assert round(one.polymarket_bid * 100) == turned
                assert one.yes_at_kalshi_cost == pytest.approx((k_bid + 1) / 100 + 1 - turned / 100)
    assert pairs.live == (set(newest.values()) == {"live"})
