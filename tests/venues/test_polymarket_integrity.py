"""What proves a book of Polymarket wrong: its hash, its mirror image, its tick; and what does not.

Hashes are made here anew, with json and hashlib and nothing of the package.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from support.polymarket import (
    MARKET,
    NO,
    T0_MS,
    YES,
    Frame,
    book,
    encoded,
    entry,
    last_trade_price,
    price_change,
)
from support.quotes import collecting_table

from arbees_feed.core.book import BookState, OrderBook
from arbees_feed.core.events import BookLost, BookSnapshot, Event, LevelSet, Notice, TopTold
from arbees_feed.core.model import MarketId, Side, Status
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.venues.polymarket.checksum import FAILING_S, RECIPE_TRIES, SETTLED_S
from arbees_feed.venues.polymarket.decoder import MIRROR_HOLD_S, PolymarketDecoder

M, N = MarketId(YES), MarketId(NO)
SHARE = 1_000_000
BIDS = {"0.47": "250", "0.48": "100"}
ASKS = {"0.53": "300", "0.52": "120"}
FACTS = {"min_order_size": "5", "tick_size": "0.01", "neg_risk": False, "last_trade_price": "0.500"}


def digest(bids: dict[str, str], asks: dict[str, str], ts_ms: int = T0_MS, **facts: Any) -> str:
    """Return a book's hash; sides in the venue's order, the best level last."""
    known = FACTS | facts
    told = {
        "market": MARKET,
        "asset_id": known.pop("asset_id", YES),
        "timestamp": str(ts_ms),
        "hash": "",
        "bids": [{"price": price, "size": size} for price, size in bids.items()],
        "asks": [{"price": price, "size": size} for price, size in asks.items()],
        **known,
    }
    text = json.dumps(told, separators=(",", ":"))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def opening(**facts: Any) -> Frame:
    """Return an opening book with its true hash."""
    told = FACTS | facts
    return book(BIDS, ASKS) | {
        "hash": digest(BIDS, ASKS, **facts),
        "tick_size": told["tick_size"],
        "last_trade_price": told["last_trade_price"],
    }


class Conversation:
    """A decoder of one token, its table, and the time."""

    def __init__(self, first: Frame | None = None, *tokens: MarketId) -> None:
        self.now_s = 1_000.0
        self.decoder = PolymarketDecoder(DecoderOptions())
        self.table, self.shown = collecting_table()
        self.events: list[Event] = []
        self.decoder.tick(self.now_s)
        self.decoder.start(tokens or (M,))
        self.receive([first or opening()])
        self.wait(2)
        self.decoder.outbox.clear()

    def resync(self, market: MarketId, reason: str) -> None:
        self.decoder.resync(market, reason)

    def receive(self, *frames: Frame | list[Frame]) -> list[Event]:
        events = [e for frame in frames for e in self.decoder.receive(encoded(frame))]
        self.table.apply(events, self, 1)
        self.events += events
        return events

    def wait(self, seconds: float) -> list[Event]:
        events: list[Event] = []
        for _ in range(int(seconds * 4)):
            self.now_s += 0.25
            events += self.decoder.tick(self.now_s)
        self.table.apply(events, self, 1)
        self.events += events
        return events

    @property
    def book(self) -> OrderBook:
        market = self.table.get(M)
        assert market is not None
        assert market.book is not None
        return market.book

    def verify(self) -> bool | None:
        return self.decoder.verify(M, self.book)

    def asked(self) -> list[str]:
        """Return what was asked of the venue since the last look."""
        frames = [json.loads(frame) for frame in self.decoder.outbox if frame != b"PING"]
        self.decoder.outbox.clear()
        return [frame["operation"] for frame in frames]


def change(size: str = "160", ts_ms: int = T0_MS + 250, **facts: Any) -> Frame:
    """Return a change of the best bid, with the hash of the book after it."""
    after = digest(BIDS | {"0.48": size}, ASKS, ts_ms, **facts)
    return price_change(
        entry("BUY", "0.48", size, "0.48", "0.52") | {"hash": after},
        entry("SELL", "0.52", size, "0.48", "0.52", token=NO),
        ts_ms=ts_ms,
    )


# -- hashes ------------------------------------------------------------------------------------


def test_the_channel_has_no_question() -> None:
    told = Conversation()
    assert told.decoder.probe([M]) is False
    assert told.asked() == []


@pytest.mark.parametrize("min_order_size", ["5", "15", "1", "0"])
@pytest.mark.parametrize("neg_risk", [False, True])
def test_facts_that_are_not_told_are_learnt_from_the_opening_book(
    min_order_size: str, neg_risk: object
) -> None:
    facts = {"min_order_size": min_order_size, "neg_risk": neg_risk}
    told = Conversation(opening(**facts))
    assert told.verify() is True
    told.receive(change(**facts))
    assert told.verify() is True
    assert (told.decoder.stats.hashes_right, told.decoder.stats.hashes_wrong) == (2, 0)


def test_a_book_that_lacks_a_change_is_found_wrong_once_it_has_settled() -> None:
    told = Conversation()
    lacking = digest(BIDS | {"0.46": "7"}, ASKS, T0_MS + 250)
    frame = price_change(entry("BUY", "0.48", "160", "0.48", "0.52") | {"hash": lacking})
    told.receive(frame)
    assert told.verify() is None  # the rest of the batch may still come
    told.wait(SETTLED_S)
    assert told.verify() is False
    assert told.verify() is False
    assert told.decoder.stats.hashes_wrong == 1
    assert told.asked() == []
    assert told.shown[M][-1][5] is Status.LIVE


def test_the_last_entry_of_a_batch_makes_its_book_right() -> None:
    told = Conversation()
    after = digest({"0.46": "7"} | BIDS | {"0.48": "160"}, ASKS, T0_MS + 250)
    told.receive(price_change(entry("BUY", "0.48", "160") | {"hash": after}))
    assert told.verify() is None
    told.receive(price_change(entry("BUY", "0.46", "7") | {"hash": after}))
    assert told.verify() is True


def test_a_wrong_book_that_never_settles_is_found_too() -> None:
    told = Conversation()
    verdicts = []
    for n in range(20):
        ts_ms = T0_MS + 250 * n + 250
        told.receive(change(str(n + 1), ts_ms, last_trade_price="0.4999"))  # of no known form
        verdicts.append(told.verify())
        told.wait(0.25)
    assert None in verdicts
    assert verdicts[-1] is False
    assert True not in verdicts
    assert verdicts.index(False) >= FAILING_S / 0.25


@pytest.mark.parametrize("price", ["0.520", "0.480", "0.490", "0.017", "0.999", "", "0.000"])
def test_a_trade_price_that_runs_ahead_explains_a_hash(price: str) -> None:
    told = Conversation()
    told.receive(change(last_trade_price=price))
    told.wait(SETTLED_S)
    assert told.verify() is True
    told.receive(change("170", T0_MS + 900, last_trade_price=price))
    assert told.verify() is True


def test_all_trade_prices_are_tried_once_for_a_state() -> None:
    told = Conversation()
    told.receive(change(last_trade_price="0.123456"))
    told.wait(SETTLED_S)
    assert [told.verify(), told.verify()] == [False, False]
    member = told.decoder._members[M]
    assert member.searched is not None
    told.receive(change("170", T0_MS + 900, last_trade_price="0.017"))
    told.wait(SETTLED_S)
    assert told.verify() is True


def test_a_trade_told_is_a_likely_price() -> None:
    told = Conversation()
    told.receive(last_trade_price(price="0.31"))
    told.receive(change(last_trade_price="0.690"))
    assert told.verify() is True  # at once: no search is due for a state so young
    assert told.decoder._members[M].searched is None


def test_a_tick_that_changes_ahead_of_its_message_explains_a_hash() -> None:
    told = Conversation()
    told.receive(change(tick_size="0.001"))
    assert told.verify() is True
    told.receive(price_change(entry("BUY", "0.481", "9", "0.481", "0.52"), ts_ms=T0_MS + 900))
    assert told.decoder.stats.off_grid == 0


def test_a_later_book_is_verified_with_what_the_opening_book_told() -> None:
    told = Conversation()
    later: Frame = {
        "event_type": "book",
        "market": MARKET,
        "asset_id": YES,
        "timestamp": str(T0_MS + 900),
        "hash": digest({"0.4": "1"}, ASKS, T0_MS + 900),
        "bids": [{"price": "0.4", "size": "1"}],
        "asks": [{"price": price, "size": size} for price, size in ASKS.items()],
    }
    told.receive(later)
    assert told.verify() is True


def test_a_token_whose_opening_book_does_not_verify_is_not_judged() -> None:
    told = Conversation(opening() | {"hash": "0" * 40})
    told.receive(change())
    told.wait(SETTLED_S)
    assert told.verify() is None
    assert told.decoder.stats.hashes_wrong == 0


def test_what_is_not_ours_or_has_no_book_is_not_judged() -> None:
    told = Conversation()
    assert told.decoder.verify(N, told.book) is None
    told.book.lose("some reason")
    assert told.verify() is None
    fresh = PolymarketDecoder(DecoderOptions())
    fresh.start([M])
    assert fresh.verify(M, OrderBook()) is None


def test_nothing_is_judged_while_a_fresh_book_is_awaited() -> None:
    told = Conversation()
    told.resync(M, "some reason")
    assert told.verify() is None
    told.receive([opening()])
    assert told.verify() is True


def many(count: int, **changes: str) -> tuple[list[MarketId], list[Frame]]:
    tokens = [MarketId(str(number)) for number in range(1, count + 1)]
    frames = [
        book(BIDS, ASKS, token=t) | {"hash": digest(BIDS, ASKS, asset_id=t)} | changes
        for t in tokens
    ]
    return tokens, frames


def notices(events: Sequence[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def test_a_recipe_that_never_works_is_said_once_and_judges_nothing() -> None:
    told = Conversation()
    tokens, frames = many(RECIPE_TRIES + 5, hash="0" * 40)
    decoder = PolymarketDecoder(DecoderOptions())
    decoder.start([*tokens, M])
    (notice,) = notices(decoder.receive(encoded(frames)))
    assert "recipe" in notice
    told.decoder = decoder
    assert notices(told.receive([opening() | {"hash": "0" * 40}])) == []
    assert told.verify() is None
    assert decoder.stats.malformed == 0


def test_one_hash_that_comes_out_keeps_the_recipe() -> None:
    tokens, frames = many(RECIPE_TRIES + 5)
    wrong = [frames[0], *(frame | {"hash": "0" * 40} for frame in frames[1:])]
    decoder = PolymarketDecoder(DecoderOptions())
    decoder.start(tokens)
    assert notices(decoder.receive(encoded(wrong))) == []


# -- mirror images -----------------------------------------------------------------------------


def pair(**twin: str) -> Frame:
    """Return a change with a twin that differs from its image where told."""
    return price_change(
        entry("BUY", "0.48", "160", "0.48", "0.52"),
        entry("SELL", "0.52", "160", "0.48", "0.52", token=NO) | twin,
    )


@pytest.mark.parametrize(
    "frame",
    [
        pair(),
        price_change(*reversed(pair()["price_changes"])),
        pair(price="0.520", size="160.0"),
        pair(best_bid=""),
        pair(best_ask=""),
        price_change(entry("BUY", "0.48", "160", "0.48", "0.52")),
        price_change(entry("BUY", "0.48", "1"), entry("BUY", "0.47", "2")),
        price_change(entry("BUY", "0.48", "1"), entry("SELL", "0.52", "1", token=NO)),
        price_change(
            entry("BUY", "0.48", "1", "0.48", "0.52"),
            entry("BUY", "0.47", "2", "0.48", "0.52"),
            entry("SELL", "0.53", "2", "0.48", "0.52", token=NO),
            entry("SELL", "0.52", "1", "0.48", "0.52", token=NO),
        ),
        price_change(
            entry("BUY", "0.48", "0", "0", "0.52"),
            entry("SELL", "0.52", "0", "0.48", "1", token=NO),
        ),
    ],
)
def test_what_mirrors_or_has_nothing_to_compare_is_no_break(frame: Frame) -> None:
    told = Conversation()
    told.receive(frame)
    assert told.decoder.stats.mirror_breaks == 0
    assert told.asked() == []


@pytest.mark.parametrize(
    "twin",
    [
        {"price": "0.53"},
        {"size": "161"},
        {"side": "BUY"},
        {"best_bid": "0.47"},
        {"best_ask": "0.53"},
        {"price": "x"},
        {"size": "many"},
        {"side": "?"},
        {"best_bid": "2"},
    ],
)
def test_a_twin_that_differs_makes_the_book_anew_and_holds_no_price(twin: dict[str, str]) -> None:
    told = Conversation()
    events = told.receive(pair(**twin))
    assert [type(event) for event in events] == [LevelSet, TopTold]
    assert told.decoder.stats.mirror_breaks == 1
    assert told.asked() == ["unsubscribe", "subscribe"]
    assert told.shown[M][-1][:2] == (4_800, 160 * SHARE)
    assert told.shown[M][-1][5] is Status.LIVE
    told.receive([opening()])
    assert told.wait(3) == []
    assert told.book.state is BookState.LIVE


def test_a_price_is_not_shown_frozen_when_the_fresh_book_does_not_come() -> None:
    told = Conversation()
    told.receive(pair(size="161"))
    assert told.wait(0.5) == []
    (event,) = told.wait(0.5)
    assert isinstance(event, BookLost)
    assert "mirror" in event.reason
    told.receive([opening()])
    assert told.book.state is BookState.LIVE


def test_a_resync_of_a_book_that_is_believed_holds_no_price_until_it_takes_long() -> None:
    told = Conversation()
    told.resync(M, "REST says otherwise")
    assert told.asked() == ["unsubscribe", "subscribe"]
    assert told.wait(0.5) == []
    assert told.shown[M][-1][5] is Status.LIVE
    (event,) = told.wait(0.5)
    assert isinstance(event, BookLost)
    assert told.wait(3) == []


def test_a_check_that_is_itself_wrong_costs_one_renewal_in_a_while() -> None:
    told = Conversation()
    asked = []
    for n in range(int(MIRROR_HOLD_S) * 2):
        frame = pair(size="161")
        told.receive(frame | {"timestamp": str(T0_MS + 1_000 * n)})
        if told.asked():
            asked.append(n)
            told.receive([opening() | {"timestamp": str(T0_MS + 1_000 * n)}])
        told.wait(1)
    assert len(asked) == 2
    assert told.decoder.stats.mirror_breaks == int(MIRROR_HOLD_S) * 2


def test_a_change_of_the_twin_alone_is_ours_as_well() -> None:
    """Nothing is lost: the image says what our half would have said."""
    told = Conversation()
    events = told.receive(price_change(entry("SELL", "0.51", "7", "0.48", "0.51", token=NO)))
    ts_ns = (T0_MS + 250) * 1_000_000
    assert events == [
        LevelSet(M, Side.BID, 4_900, 7 * SHARE, ts_ns),
        TopTold(M, 4_900, 5_200, ts_ns),
    ]
    assert told.decoder.stats.mirror_breaks == 1
    assert told.asked() == ["unsubscribe", "subscribe"]
    assert told.shown[M][-1][:2] == (4_900, 7 * SHARE)
    assert told.verify() is None


def test_a_change_of_the_twin_alone_that_is_older_than_the_book_is_none_of_ours() -> None:
    told = Conversation()
    frame = entry("SELL", "0.51", "7", "0.48", "0.51", token=NO)
    assert told.receive(price_change(frame, ts_ms=T0_MS - 1)) == []
    assert told.receive(price_change(frame) | {"market": "0xother"}) == []
    assert told.decoder.stats.mirror_breaks == 0


def test_a_twin_alone_that_can_not_be_read_gives_the_book_up() -> None:
    told = Conversation()
    events = told.receive(price_change(entry("SELL", "x", "7", token=NO)))
    assert [type(event) for event in events] == [BookLost]
    assert told.asked() == ["unsubscribe", "subscribe"]


def test_with_both_tokens_subscribed_each_speaks_for_itself() -> None:
    told = Conversation(None, M, N)
    told.receive(opening() | {"asset_id": NO})
    told.wait(3)
    events = told.receive(price_change(entry("SELL", "0.53", "7", "0.48", "0.53", token=NO)))
    assert {event.market for event in events} == {N}  # type: ignore[union-attr]
    assert told.decoder.stats.mirror_breaks == 0


def test_a_market_that_left_is_renewed_for_no_twin() -> None:
    told = Conversation()
    told.decoder.remove([M])
    told.decoder.outbox.clear()
    assert told.receive(price_change(entry("SELL", "0.51", "7", token=NO))) == []
    assert told.asked() == []


# -- ticks -------------------------------------------------------------------------------------


def off_grid(price: str = "0.485", size: str = "9", ts_ms: int = T0_MS + 900) -> Frame:
    return price_change(entry("BUY", price, size, price, "0.52"), ts_ms=ts_ms)


def test_a_price_off_the_tick_gives_the_book_up_and_asks_for_another() -> None:
    told = Conversation()
    (event,) = told.receive(off_grid())
    assert isinstance(event, BookLost)
    assert "4850" in event.reason
    assert told.asked() == ["unsubscribe", "subscribe"]
    assert all(quote[0] != 4_850 for quote in told.shown[M])
    told.receive([opening(tick_size="0.001")])
    told.wait(2)
    assert len(told.receive(off_grid(ts_ms=T0_MS + 2_000))) == 2
    assert told.decoder.stats.off_grid == 1


def test_a_level_off_the_tick_may_be_removed() -> None:
    told = Conversation()
    assert len(told.receive(off_grid(size="0"))) == 2
    assert told.decoder.stats.off_grid == 0


def test_a_token_that_is_off_its_tick_again_and_again_is_believed_in_the_end() -> None:
    told = Conversation()
    lost = 0
    for n in range(5):
        events = told.receive(off_grid(ts_ms=T0_MS + 900 + n))
        lost += sum(isinstance(event, BookLost) for event in events)
        if told.asked():
            told.receive([opening() | {"timestamp": str(T0_MS + 900 + n)}])
        told.wait(3)
    assert lost == 2
    assert told.asked() == []
    assert told.book.state is BookState.LIVE


def test_an_opening_book_off_its_own_tick_is_not_judged_by_it() -> None:
    told = Conversation(book({"0.475": "1"}, {"0.52": "1"}))
    assert told.decoder.stats.off_grid == 1
    assert len(told.receive(off_grid())) == 2
    assert told.book.state is BookState.LIVE


@pytest.mark.parametrize("tick_size", ["", "x", "0", "-1", "0.00001"])
def test_a_tick_that_says_nothing_allows_any_price(tick_size: str) -> None:
    told = Conversation(book(BIDS, ASKS) | {"tick_size": tick_size})
    assert len(told.receive(off_grid())) == 2


def test_a_tick_change_is_taken_over_and_asks_for_nothing() -> None:
    """Prices are integers of a tenth of the finest tick: no level loses its key."""
    told = Conversation()
    frame = {"event_type": "tick_size_change", "asset_id": M, "new_tick_size": "0.001"}
    assert told.receive(frame) == []
    assert told.asked() == []
    assert len(told.receive(off_grid())) == 2
    told.receive(change(ts_ms=T0_MS + 2_000, tick_size="0.001"))
    back = frame | {"new_tick_size": "0.01"}
    told.receive(back)
    assert len(told.receive(off_grid("0.486", ts_ms=T0_MS + 3_000))) == 2  # a level of before
    assert told.decoder.stats.off_grid == 0


def test_a_later_book_off_the_tick_is_believed_when_its_hash_proves_the_new_tick() -> None:
    told = Conversation()
    bids, at_ms = {"0.475": "1"}, T0_MS + 900
    later: Frame = {
        "event_type": "book",
        "market": MARKET,
        "asset_id": YES,
        "timestamp": str(at_ms),
        "hash": digest(bids, ASKS, at_ms, tick_size="0.001", last_trade_price="0.475"),
        "bids": [{"price": price, "size": size} for price, size in bids.items()],
        "asks": [{"price": price, "size": size} for price, size in ASKS.items()],
    }
    (event,) = told.receive(later)
    assert isinstance(event, BookSnapshot)
    assert told.verify() is True
    (event,) = told.receive(later | {"bids": [{"price": "0.4755", "size": "1"}]})
    assert isinstance(event, BookLost)


# -- duplicates and ghosts -----------------------------------------------------------------------


def test_an_exact_duplicate_is_counted_and_says_nothing() -> None:
    told = Conversation()
    frame = change()
    assert len(told.receive(frame)) == 2
    swapped = frame | {"price_changes": list(reversed(frame["price_changes"]))}
    assert told.receive(frame, swapped) == []
    assert told.decoder.stats.duplicates == 2
    assert told.verify() is True


def test_the_entries_of_a_batch_are_no_duplicates() -> None:
    told = Conversation()
    same = {"hash": "of the whole batch"}
    told.receive(price_change(entry("BUY", "0.48", "1") | same))
    told.receive(price_change(entry("BUY", "0.47", "1") | same))
    told.receive(price_change(entry("BUY", "0.48", "1") | same))
    assert told.decoder.stats.duplicates == 0


def test_a_ghost_level_that_crosses_the_book_is_found_and_the_book_renewed() -> None:
    """A bid above the ask whose removal was lost: prices wait, then a fresh book is asked for."""
    told = Conversation()
    ghost = digest(BIDS | {"0.48": "160"}, ASKS, T0_MS + 250)
    told.receive(price_change(entry("BUY", "0.54", "5", "0.54", "0.53"), ts_ms=T0_MS + 200))
    told.receive(
        price_change(
            entry("BUY", "0.48", "160", "0.48", "0.52") | {"hash": ghost}, ts_ms=T0_MS + 250
        )
    )
    assert all(quote[0] < quote[2] for quote in told.shown[M])
    told.wait(1)
    assert told.verify() is False
    told.table.check(float("inf"), 1)
    assert told.shown[M][-1][5] is Status.STALE
    assert told.asked() == ["unsubscribe", "subscribe"]
    told.receive([opening()])
    assert told.shown[M][-1][:4] == (4_800, 100 * SHARE, 5_200, 120 * SHARE)
    assert told.verify() is True
