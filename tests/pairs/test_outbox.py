"""What is written of pairs: in order, the newest, and nothing lost while Redis is away."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.ledger import Changes, Pair
from arbees_feed.pairs.outbox import Outbox
from arbees_feed.pairs.price import PairPrice
from arbees_feed.pairs.store import PairRecord

RECORD = PairRecord("K.1", "K", "77", "identical", 0.99, "same", "matcher", "", "", "")


def price(pair: str, bid: float) -> PairPrice:
    return PairPrice(
        pair_id=pair, kalshi_id="K", polymarket_id="77", polarity="same", status="live",
        kalshi_bid=bid,
    )  # fmt: skip


class Store:
    """Stands in for Redis: remembers what it took, and refuses when told to."""

    def __init__(self) -> None:
        self.log: list[object] = []
        self.away = False
        self.during: list[PairPrice] = []
        self.found: Changes | None = None
        self.outbox: Outbox | None = None

    async def write(self, records: Sequence[PairRecord]) -> None:
        if self.outbox is not None and self.found is not None:
            self.outbox.write(self.found)
            self.outbox.put(self.during)
            self.found, self.during = None, []
        self._refuse()
        self.log += [("write", record.pair_id) for record in records]

    async def remove(self, pairs: Mapping[str, Sequence[str]]) -> None:
        self.log += [("remove", pair) for pair in pairs]

    async def publish(self, prices: Sequence[PairPrice]) -> None:
        if self.outbox is not None:
            self.outbox.put(self.during)
            self.during = []
        self._refuse()
        self.log += [(p.pair_id, p.kalshi_bid, p.seq) for p in prices]

    def _refuse(self) -> None:
        if self.away:
            raise RedisUnavailable("away")


def made() -> tuple[Outbox, Store]:
    store = Store()
    return Outbox(store, session=7, now_ns=lambda: 5), store  # type: ignore[arg-type]


async def test_the_newest_of_each_pair_goes_out_numbered() -> None:
    outbox, store = made()
    outbox.put([price("A", 0.1), price("B", 0.2), price("A", 0.3), None])
    await outbox.flush()
    outbox.put([price("A", 0.4)])
    await outbox.flush()
    assert store.log == [("A", 0.3, 1), ("B", 0.2, 1), ("A", 0.4, 2)]
    assert outbox.published == 3


async def test_a_record_is_there_before_its_price() -> None:
    outbox, store = made()
    outbox.put([price("K.1", 0.1)])
    outbox.write(Changes(put={"K.1": Pair(RECORD, None)}))
    await outbox.flush()
    assert store.log == [("write", "K.1"), ("K.1", 0.1, 1)]


async def test_the_quote_of_a_pair_that_is_just_found_waits_for_its_record() -> None:
    outbox, store = made()
    store.outbox, store.during = outbox, [price("K.1", 0.1), price("A", 0.3)]
    store.found = Changes(put={"K.1": Pair(RECORD, None)})
    outbox.put([price("A", 0.2)])
    await outbox.flush()
    assert store.log == [("A", 0.3, 1)]
    await outbox.flush()
    assert store.log[1:] == [("write", "K.1"), ("K.1", 0.1, 1)]


async def test_what_redis_did_not_take_waits_and_gives_way_to_what_is_newer() -> None:
    outbox, store = made()
    store.away = True
    outbox.put([price("A", 0.1), price("B", 0.2)])
    with pytest.raises(RedisUnavailable):
        await outbox.flush()
    outbox.put([price("A", 0.5)])
    assert outbox.waiting == 2
    store.away = False
    await outbox.flush()
    assert [entry[:2] for entry in store.log] == [("A", 0.5), ("B", 0.2)]  # type: ignore[index]
    assert outbox.waiting == 0


async def test_what_comes_while_redis_is_written_to_is_not_lost() -> None:
    outbox, store = made()
    store.outbox, store.during = outbox, [price("A", 0.9)]
    outbox.put([price("A", 0.1)])
    await outbox.flush()
    assert outbox.waiting == 1
    await outbox.flush()
    assert store.log == [("A", 0.1, 1), ("A", 0.9, 2)]


async def test_a_pair_that_is_retired_while_it_waits_is_not_written() -> None:
    outbox, store = made()
    outbox.write(Changes(put={"K.1": Pair(RECORD, None)}))
    outbox.write(Changes(retired={"K.1": (RECORD, "gone")}))
    await outbox.flush()
    assert store.log == [("remove", "K.1")]
    outbox.write(Changes(put={"K.1": Pair(msgspec.structs.replace(RECORD, by="user"), None)}))
    await outbox.flush()
    assert store.log[-1] == ("write", "K.1")
