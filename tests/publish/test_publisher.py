"""The publisher over a pipe that does as it is told: what is written, when, and what waits."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import hiredis
import msgpack
import pytest

from arbees_feed.core.model import MarketId, Quote, Source, Status
from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.publish import service
from arbees_feed.publish.service import PipeOwner, Publisher


class FakePipe:
    """Keeps commands until it is told to answer."""

    def __init__(self, server_id: str = "one") -> None:
        self.server_id = server_id
        self.paused = False
        self.aborted = ""
        self.commands: list[list[bytes]] = []
        self.unanswered = 0

    def write(self, data: bytes) -> None:
        reader = hiredis.Reader()
        reader.feed(data)
        while (command := reader.gets()) is not False:
            self.commands.append(command)
            self.unanswered += 1

    def abort(self, reason: str) -> None:
        self.aborted = reason

    async def lost(self) -> None:
        raise RedisUnavailable("told to be lost")

    def prices(self) -> list[dict[str, object]]:
        """Return the published messages."""
        return [msgpack.unpackb(c[2]) for c in self.commands if c[0] == b"PUBLISH"]


class Bench:
    """A publisher with its loop in our hands."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.pipe = FakePipe()
        self.replaced = 0
        self.publisher = Publisher(
            self._dial,
            Names("p:"),
            session=7,
            call_soon=self.soon.append,
            on_new_server=self._on_new_server,
        )
        self.open = self.publisher.opener("kalshi")

    def _on_new_server(self) -> None:
        self.replaced += 1

    @asynccontextmanager
    async def _dial(self, owner: PipeOwner) -> AsyncIterator[FakePipe]:
        assert owner is self.publisher
        yield self.pipe

    def attach(self, pipe: FakePipe | None = None) -> FakePipe:
        self.pipe = pipe or self.pipe
        self.publisher._attach(self.pipe)
        return self.pipe

    def turn(self) -> None:
        """Let the loop go round until nothing is due."""
        while self.soon:
            due, self.soon[:] = list(self.soon), []
            for call in due:
                call()

    def answer(self, errors: Sequence[str] = ()) -> None:
        """Answer everything that was written."""
        count, self.pipe.unanswered = self.pipe.unanswered, 0
        self.publisher.replies(count, errors)
        self.turn()


def quote(bid: int, status: Status = Status.LIVE) -> Quote:
    return Quote(bid, 1_000_000, 9_000, 2_500_000, None, status, Source.BOOK, 5, 6)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_price_is_set_before_it_is_published_with_the_same_bytes(bench: Bench) -> None:
    pipe = bench.attach()
    bench.open(MarketId("M")).put(quote(1_234))
    bench.turn()
    (_sadd, setting, publishing) = sorted(
        pipe.commands, key=lambda c: [b"SADD", b"SET", b"PUBLISH"].index(c[0])
    )
    assert [c[0] for c in pipe.commands].index(b"SET") < [c[0] for c in pipe.commands].index(
        b"PUBLISH"
    )
    assert setting[1:] == [b"p:market:M:last", publishing[2]]
    assert publishing[1] == b"p:market:M:price"
    told = msgpack.unpackb(publishing[2])
    assert (told["yes_bid"], told["yes_ask"], told["yes_ask_size"]) == (0.1234, 0.9, 2.5)
    assert (told["session"], told["seq"], told["last_price"]) == (7, 1, None)


def test_while_redis_keeps_up_every_quote_is_a_message_and_one_write_a_turn(bench: Bench) -> None:
    bench.attach()
    outlet = bench.open(MarketId("M"))
    for bid in (1, 2, 3):
        outlet.put(quote(bid))
    bench.turn()
    assert [p["seq"] for p in bench.pipe.prices()] == [1, 2, 3]
    assert bench.publisher.stats.batches == 1


def test_without_a_connection_the_newest_quote_of_each_market_waits(bench: Bench) -> None:
    for bid in range(1, 1000):
        bench.open(MarketId(f"M{bid % 10}")).put(quote(bid))
    assert bench.publisher.waiting == 10
    assert bench.publisher.stats.conflated == 989
    bench.attach()
    bench.turn()
    assert {p["market_id"]: p["yes_bid"] for p in bench.pipe.prices()} == {
        f"M{n}": (990 + n if n < 10 else n) / 10_000 for n in range(10)
    }
    assert all(p["seq"] == 1 for p in bench.pipe.prices())
    bench.answer()
    assert bench.publisher.idle


def test_without_replies_prices_are_conflated_and_memory_stays_bounded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_OUTSTANDING", 100)
    bench.attach()
    for bid in range(1, 2_000):
        bench.open(MarketId(f"M{bid % 5}")).put(quote(bid))
        bench.turn()
    assert bench.pipe.unanswered <= 110
    assert bench.publisher.waiting == 5
    for _ in range(5):
        bench.answer()
    newest = {p["market_id"]: p for p in bench.pipe.prices()}
    assert {m: p["yes_bid"] for m, p in newest.items()} == {
        f"M{bid % 5}": bid / 10_000 for bid in range(1_995, 2_000)
    }
    assert bench.publisher.flowing
    for market in range(5):
        seqs = [p["seq"] for p in bench.pipe.prices() if p["market_id"] == f"M{market}"]
        assert seqs == list(range(1, len(seqs) + 1))


def test_a_full_socket_buffer_conflates_and_room_in_it_catches_up(bench: Bench) -> None:
    pipe = bench.attach()
    outlet = bench.open(MarketId("M"))
    outlet.put(quote(1))
    pipe.paused = True
    bench.turn()
    for bid in (2, 3, 4):
        outlet.put(quote(bid))
    bench.turn()
    assert [p["yes_bid"] for p in pipe.prices()] == [0.0001]
    pipe.paused = False
    bench.publisher.resumed()
    bench.turn()
    assert [p["yes_bid"] for p in pipe.prices()] == [0.0001, 0.0004]


async def test_what_was_not_acknowledged_is_written_again_after_a_reconnect(bench: Bench) -> None:
    with pytest.raises(RedisUnavailable):
        await bench.publisher.run()
    first = bench.attach()
    bench.open(MarketId("A")).put(quote(1))
    bench.turn()
    bench.answer()
    bench.open(MarketId("B")).put(quote(2))
    bench.turn()
    bench.publisher._detach()
    again = bench.attach(FakePipe(first.server_id))
    bench.turn()
    assert [(p["market_id"], p["seq"]) for p in again.prices()] == [("B", 2)]
    assert bench.replaced == 0


def test_another_server_gets_everything_again(bench: Bench) -> None:
    bench.attach(FakePipe("one"))
    for market in ("A", "B", "C"):
        bench.open(MarketId(market)).put(quote(1))
    bench.turn()
    bench.answer()
    bench.publisher._detach()
    other = bench.attach(FakePipe("two"))
    bench.turn()
    assert sorted(str(p["market_id"]) for p in other.prices()) == ["A", "B", "C"]
    assert sum(c[0] == b"SADD" for c in other.commands) == 3
    assert bench.replaced == 1


def test_an_error_reply_is_counted_and_its_markets_are_written_again_once_a_second(
    bench: Bench,
) -> None:
    pipe = bench.attach()
    bench.open(MarketId("A")).put(quote(1))
    bench.turn()
    bench.answer(["OOM command not allowed"])
    assert bench.publisher.stats.redis_errors == 1
    assert bench.publisher.stats.last_error.startswith("OOM")
    for _ in range(service.MIRROR_PHASES):
        bench.publisher.tick(0.0)
        bench.turn()
    assert [p["seq"] for p in pipe.prices()] == [1, 2]


def test_a_server_that_does_not_answer_is_given_up(bench: Bench) -> None:
    pipe = bench.attach()
    bench.open(MarketId("A")).put(quote(1))
    bench.turn()
    bench.publisher.tick(now_s=1e12)
    assert pipe.aborted == "no reply in 2 s"


def test_the_mirror_is_written_at_most_once_a_second_and_catches_up(bench: Bench) -> None:
    pipe = bench.attach()
    outlet = bench.open(MarketId("A"))
    for bid in range(1, 50):
        outlet.put(quote(bid))
        bench.turn()
        bench.answer()
    for _ in range(2 * service.MIRROR_PHASES):
        bench.publisher.tick(0.0)
        bench.turn()
    mirrors = [c for c in pipe.commands if c[0] == b"HSET"]
    assert len(mirrors) == 1
    fields = dict(zip(mirrors[0][2::2], mirrors[0][3::2], strict=True))
    assert (fields[b"yes_bid"], fields[b"seq"], fields[b"last_price"]) == (b"0.0049", b"49", b"")
    assert fields[b"updated_at"].endswith(b"Z")
