"""The book hash: our recipe against the venue's own hashes, and the text it is made of."""

import json
import os
from pathlib import Path

import pytest

from arbees_feed.sim.polymarket_books import BookTexts, book_hash
from arbees_feed.sim.world import Change

OURS = {
    "market": "0x00000000000000000000000000000000000000000000000000000000000000a1",
    "asset_id": "10000000000000000000000000000000000000000000000000000000000000000000000000011",
    "timestamp": "1791199970000",
    "hash": "",
    "bids": [{"price": "0.47", "size": "250"}, {"price": "0.48", "size": "100"}],
    "asks": [{"price": "0.53", "size": "300"}, {"price": "0.52", "size": "120"}],
    "min_order_size": "5",
    "tick_size": "0.01",
    "neg_risk": False,
    "last_trade_price": "0.500",
}
KEYS = list(OURS)


def vectors() -> list[dict]:
    """Return the recorded hash vectors, where the corpus lies."""
    corpus = os.environ.get("ARBEES_CORPUS")
    path = Path(corpus or ".").parent / "venues" / "polymarket-hash-vectors.json"
    if not corpus or not path.exists():
        pytest.skip("no hash vectors: set ARBEES_CORPUS")
    return json.loads(path.read_text())


def compact(book: dict) -> str:
    """Return the text that is hashed."""
    return json.dumps(book, separators=(",", ":"), ensure_ascii=False)


def test_our_own_book_has_the_published_hash():
    assert book_hash(compact(OURS)) == "b17e93a1f6202e13d8e0dd3aeb958b4a882dca3c"


def test_every_recorded_vector_is_reproduced():
    for vector in vectors():
        assert book_hash(compact(vector["hashed_object"])) == vector["expected_sha1"], vector[
            "name"
        ]


@pytest.mark.parametrize("own", [True, False])
async def test_the_text_of_a_book_has_the_ten_keys_in_order(open_sim, own):
    sim = await open_sim()
    market = sim.world.market(sim.polymarket_tokens[0])
    texts = BookTexts(market)
    token = market.id if own else market.other_id
    text = texts.full(token)
    parsed = json.loads(text)
    assert list(parsed) == KEYS
    assert compact(parsed) == text
    bids = [float(level["price"]) for level in parsed["bids"]]
    asks = [float(level["price"]) for level in parsed["asks"]]
    assert bids == sorted(bids)
    assert asks == sorted(asks, reverse=True)
    assert bids[-1] < asks[-1]


async def test_kept_texts_equal_those_made_anew_after_every_change(open_sim):
    sim = await open_sim(kalshi_markets=0, seed=9)
    market = sim.world.market(sim.polymarket_tokens[0])
    texts = BookTexts(market)
    before = {"bid": dict(market.yes_bids), "ask": dict(market.yes_asks)}
    for _ in range(300):
        sim.step()
        for side in ("bid", "ask"):
            after = dict(market.levels(side))
            for price in before[side].keys() | after.keys():
                old, new = before[side].get(price, 0), after.get(price, 0)
                if old != new:
                    texts.update(Change(side, price, old, new))
            before[side] = after
    for token in (market.id, market.other_id):
        assert texts.full(token) == BookTexts(market).full(token)
