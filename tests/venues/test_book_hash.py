"""The hash that Polymarket puts on a book.

The first vector is the worked example of a market of April 2026, whose hash the venue itself sent
for both tokens; the others are synthetic vectors that a public client shares.
"""

import msgspec
import pytest
from support.polymarket import MARKET, NO, YES

from arbees_feed.core.book import OrderBook
from arbees_feed.core.model import ONE_DOLLAR, Side
from arbees_feed.core.money import TicksByText, lots
from arbees_feed.venues.polymarket.bookhash import HashFacts, book_hash, hashed_trade_price

CONDITION = "0xedd6f583beb92839a74d2c5c66bb26cfe6b87d82056580c57a78b2f2e0eb8fe5"
ASSET = "36058180106267309416569886113196185744009788380740653016655476166674199848738"
OTHER_ASSET = "11354133371126376784835090753308106986806090783788568298339951440339753418311"
BIDS = {"0.01": "80.01", "0.03": "300", "0.04": "16.3", "0.06": "170", "0.07": "100"}
ASKS = {"0.99": "64.54", "0.98": "31.38", "0.95": "30", "0.94": "100", "0.93": "9.7", "0.8": "5"}


def book_of(bids: dict[str, str], asks: dict[str, str]) -> OrderBook:
    ticks = TicksByText()
    book = OrderBook()
    book.load(
        [(ticks[price], lots(size)) for price, size in bids.items()],
        [(ticks[price], lots(size)) for price, size in asks.items()],
    )
    return book


def mirrored(book: OrderBook) -> OrderBook:
    bids, asks = book.depth(99)
    other = OrderBook()
    other.load(
        [(ONE_DOLLAR - price, size) for price, size in asks],
        [(ONE_DOLLAR - price, size) for price, size in bids],
    )
    return other


def test_a_recorded_book_of_april_2026_has_the_hash_that_the_venue_sent() -> None:
    facts = HashFacts(CONDITION, ASSET, tick_size="0.01")
    book = book_of(BIDS, ASKS)
    assert book_hash(book, facts, "1775740020016") == "6ce350360f6b487abb46766b131d987ea11e4de6"


def test_the_other_token_s_book_is_the_mirror_and_has_its_own_hash() -> None:
    facts = HashFacts(CONDITION, OTHER_ASSET, tick_size="0.01")
    book = mirrored(book_of(BIDS, ASKS))
    assert book_hash(book, facts, "1775740020016") == "9ae41e0d3a6b46ae05cb75769fd450d5766598df"


def test_the_order_in_which_levels_came_does_not_matter() -> None:
    facts = HashFacts(CONDITION, ASSET, tick_size="0.01")
    book = book_of(dict(reversed(BIDS.items())), dict(sorted(ASKS.items())))
    assert book_hash(book, facts, "1775740020016") == "6ce350360f6b487abb46766b131d987ea11e4de6"


SHARED = HashFacts(MARKET, YES, tick_size="0.01")
OPENED, CHANGED, MATCHED = "1791199970000", "1791199970250", "1791199970400"


def shared_book() -> OrderBook:
    return book_of({"0.47": "250", "0.48": "100"}, {"0.53": "300", "0.52": "120"})


def matched_book() -> OrderBook:
    book = shared_book()
    book.set(Side.BID, 4_800, lots("160"))
    book.set(Side.ASK, 5_200, lots("100"))
    return book


def test_the_shared_vectors_of_an_opening_book() -> None:
    book, other = shared_book(), msgspec.structs.replace(SHARED, asset_id=NO)
    assert book_hash(book, SHARED, OPENED, "0.500") == "b17e93a1f6202e13d8e0dd3aeb958b4a882dca3c"
    assert (
        book_hash(mirrored(book), other, OPENED, "0.500")
        == "84549e080ed1722e15d1891c5ee759b77760e125"
    )


def test_the_shared_vector_after_a_change() -> None:
    book = shared_book()
    book.set(Side.BID, 4_800, lots("160"))
    assert book_hash(book, SHARED, CHANGED, "0.500") == "47b46082a50c61fb69de0289ff95e9f98847e632"


def test_the_trade_price_runs_ahead_in_the_hash_of_a_match() -> None:
    assert (
        book_hash(matched_book(), SHARED, MATCHED, "0.520")
        == "e5824da2ab4ac56b7b8f5279959575d21368cd7b"
    )


def test_the_trade_price_that_was_hashed_is_found_among_candidates() -> None:
    told = "e5824da2ab4ac56b7b8f5279959575d21368cd7b"
    every = [f"{thousandth / 1000:.3f}" for thousandth in range(1_001)]
    assert hashed_trade_price(matched_book(), SHARED, MATCHED, told, every) == "0.520"
    assert hashed_trade_price(shared_book(), SHARED, MATCHED, told, every) is None
    assert hashed_trade_price(matched_book(), SHARED, MATCHED, told, []) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"tick_size": "0.001"},
        {"neg_risk": True},
        {"min_order_size": "15"},
        {"asset_id": NO},
        {"market": CONDITION},
    ],
)
def test_every_fact_is_part_of_the_hash(changed: dict[str, object]) -> None:
    facts = msgspec.structs.replace(SHARED, **changed)
    assert book_hash(shared_book(), facts, OPENED) != book_hash(shared_book(), SHARED, OPENED)


def test_time_and_trade_price_are_part_of_the_hash() -> None:
    hashes = {
        book_hash(shared_book(), SHARED, time, price)
        for time in (OPENED, CHANGED)
        for price in ("", "0.500")
    }
    assert len(hashes) == 4
