"""The publisher over a pipe that does as it is told: what is written, when, and what waits."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import hiredis
import msgpack
import pytest

from arbees_feed.core.model import MarketId, Quote, Source, Status
from arbees_feed.core.wire import Names
from arbees_feed.errors import AuthenticationRejected, RedisUnavailable
from arbees_feed.publish import outlets, service, window
from arbees_feed.publish.mirror import MIRROR_PHASES
from arbees_feed.publish.pipe import PipeOwner, Refusal
from arbees_feed.publish.service import Publisher


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

    def answer(self, errors: Sequence[Refusal] = ()) -> None:
        """Answer everything that was written."""
        count, self.pipe.unanswered = self.pipe.unanswered, 0
        self.publisher.replies(count, errors)
        self.turn()

    def refuse(self, *names: bytes, text: str = "OOM command not allowed") -> None:
        """Answer everything that was written; refuse the commands with these names."""
        new = self.pipe.commands[len(self.pipe.commands) - self.pipe.unanswered :]
        self.answer([(n, text) for n, command in enumerate(new) if command[0] in names])

    def tick(self, tenths: int = 1, now_s: float = 0.0) -> None:
        """Let tenths of a second pass; nothing is answered."""
        for _ in range(tenths):
            self.publisher.tick(now_s)
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
    monkeypatch.setattr(window, "MOST", 100)
    bench.publisher._window.limit = 100
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


def names_of(pipe: FakePipe, since: int = 0) -> list[bytes]:
    return [command[0] for command in pipe.commands[since:]]


def test_a_refused_last_is_written_again_with_the_bytes_that_were_published(bench: Bench) -> None:
    """Subscribers have the price already: it is not published a second time."""
    pipe = bench.attach()
    bench.open(MarketId("A")).put(quote(1))
    bench.turn()
    bench.refuse(b"SET")
    assert bench.publisher.stats.redis_errors == 1
    assert bench.publisher.trouble.kinds == {"OOM": 1}
    assert bench.publisher.problem.startswith("OOM")
    assert bench.publisher.waiting == 1
    assert bench.publisher.flowing
    bench.tick(MIRROR_PHASES)
    settings = [c for c in pipe.commands if c[0] == b"SET"]
    assert len(settings) == 2
    assert settings[0] == settings[1]
    assert [p["seq"] for p in pipe.prices()] == [1]
    bench.answer()
    assert bench.publisher.idle
    assert bench.publisher.waiting == 0


def test_a_server_that_refuses_for_long_is_asked_a_little_and_given_all_at_once(
    bench: Bench,
) -> None:
    pipe = bench.attach()
    outlets = [bench.open(MarketId(f"M{n}")) for n in range(500)]
    for outlet in outlets:
        outlet.put(quote(1))
    bench.turn()
    bench.refuse(b"SET", b"HSET", b"SADD")
    assert bench.publisher.waiting == 500
    for _ in range(50):  # five seconds
        before = len(pipe.commands)
        bench.tick()
        asked = names_of(pipe, before)
        assert asked.count(b"SET") <= 10
        assert bench.publisher._phase <= 1 or asked.count(b"HSET") <= 10
        bench.refuse(b"SET", b"HSET", b"SADD")
    assert bench.publisher.waiting == 500
    relieved = len(pipe.commands)
    bench.tick(5)
    while pipe.unanswered:
        bench.answer()
    assert bench.publisher.waiting == 0
    assert names_of(pipe, relieved).count(b"SET") == 500
    assert len(pipe.prices()) == 500
    bench.tick(MIRROR_PHASES)
    bench.answer()
    bench.tick(MIRROR_PHASES)
    listed = {c[2] for c in pipe.commands[relieved:] if c[0] == b"SADD"}
    mirrored = {c[1] for c in pipe.commands[relieved:] if c[0] == b"HSET"}
    assert len(listed) == len(mirrored) == 500


def test_a_price_that_could_not_be_published_waits_with_all_others(bench: Bench) -> None:
    """-BUSY refuses everything: nothing flows, a few are tried, the newest follow."""
    pipe = bench.attach()
    bench.open(MarketId("A")).put(quote(1))
    bench.turn()
    bench.refuse(b"SET", b"PUBLISH", b"SADD", text="BUSY running a script")
    for bid in range(2, 100):
        bench.open(MarketId("A")).put(quote(bid))
        bench.open(MarketId("B")).put(quote(bid))
    bench.turn()
    assert len(pipe.prices()) == 1
    assert bench.publisher.waiting == 2
    bench.tick(5)
    bench.refuse(b"SET", b"PUBLISH", b"SADD", text="BUSY running a script")
    assert bench.publisher.waiting == 2
    assert not bench.publisher.flowing
    bench.tick(5)
    bench.answer()
    assert bench.publisher.idle
    assert bench.publisher.flowing
    newest = {p["market_id"]: p["yes_bid"] for p in pipe.prices()}
    assert newest == {"A": 0.0099, "B": 0.0099}


def test_an_error_of_one_command_writes_nobody_else_again(bench: Bench) -> None:
    """Somebody made `:quote` of a market a string: its hash is tried, all else is left alone."""
    pipe = bench.attach()
    for name in "ABCDE":
        bench.open(MarketId(name)).put(quote(1))
    bench.turn()
    bench.answer()
    bench.tick(MIRROR_PHASES)
    new = pipe.commands[len(pipe.commands) - pipe.unanswered :]
    wrong = [n for n, c in enumerate(new) if c[:2] == [b"HSET", b"p:market:C:quote"]]
    bench.answer([(wrong[0], "WRONGTYPE Operation against a key")])
    since = len(pipe.commands)
    bench.tick(2 * MIRROR_PHASES)
    assert {c[1] for c in pipe.commands[since:] if c[0] == b"HSET"} == {b"p:market:C:quote"}
    assert bench.publisher.waiting == 0
    assert len(pipe.prices()) == 5


async def test_what_a_lost_connection_took_with_it_is_written_again(bench: Bench) -> None:
    """The hash, the place in the set and the end of a retired market, not prices alone."""
    bench.attach()
    for name in "AB":
        bench.open(MarketId(name)).put(quote(1))
    bench.turn()
    bench.answer()
    bench.tick(MIRROR_PHASES)
    bench.publisher.retire("kalshi", MarketId("B"), 600)
    bench.publisher._detach()
    again = bench.attach(FakePipe("one"))
    bench.tick(MIRROR_PHASES)
    assert again.prices() == []
    assert {c[1] for c in again.commands if c[0] == b"HSET"} == {
        b"p:market:A:quote",
        b"p:market:B:quote",
    }
    assert [c[2] for c in again.commands if c[0] == b"SADD"] == [b"A"]
    assert [c[2] for c in again.commands if c[0] == b"SREM"] == [b"B"]
    assert {c[1] for c in again.commands if c[0] == b"EXPIRE"} == {
        b"p:market:B:last",
        b"p:market:B:quote",
    }


def test_a_market_that_comes_back_goes_on_counting_and_its_keys_stay(bench: Bench) -> None:
    pipe = bench.attach()
    bench.open(MarketId("A")).put(quote(1))
    bench.turn()
    bench.publisher.retire("kalshi", MarketId("A"), 600)
    bench.turn()
    bench.answer()
    assert names_of(pipe).count(b"EXPIRE") == 2
    since = len(pipe.commands)
    bench.open(MarketId("A")).put(quote(2))
    bench.turn()
    bench.tick(MIRROR_PHASES)
    assert [p["seq"] for p in pipe.prices()] == [1, 2]
    assert {c[1] for c in pipe.commands[since:] if c[0] == b"PERSIST"} == {
        b"p:market:A:last",
        b"p:market:A:quote",
    }
    assert b"EXPIRE" not in names_of(pipe, since)
    assert b"SADD" in names_of(pipe, since)


def test_a_retired_market_is_forgotten_when_its_keys_have_gone(bench: Bench) -> None:
    bench.attach()
    bench.open(MarketId("A")).put(quote(1))
    bench.turn()
    bench.publisher.retire("kalshi", MarketId("A"), 600)
    bench.answer()
    assert bench.publisher.knows("kalshi", MarketId("A"))
    bench.tick(MIRROR_PHASES, now_s=1e12)
    assert not bench.publisher.knows("kalshi", MarketId("A"))


def test_a_server_that_does_not_say_who_it_is_gets_everything_after_each_connect(
    bench: Bench,
) -> None:
    bench.attach(FakePipe(""))
    bench.open(MarketId("A")).put(quote(1))
    bench.turn()
    bench.answer()
    bench.publisher._detach()
    again = bench.attach(FakePipe(""))
    bench.turn()
    assert len(again.prices()) == 1
    assert bench.replaced == 1


def test_late_replies_of_a_slow_server_do_not_end_the_connection(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each second one reply: it is slow, not gone; prices are conflated meanwhile."""
    clock = [100.0]
    monkeypatch.setattr(service.time, "monotonic", lambda: clock[0])
    pipe = bench.attach()
    outlets = [bench.open(MarketId(f"M{n}")) for n in range(20)]
    for outlet in outlets:
        outlet.put(quote(1))
    bench.turn()
    for _ in range(10):
        clock[0] += 1.0
        bench.tick(now_s=clock[0])
        bench.publisher.replies(1, ())
        pipe.unanswered -= 1
        assert bench.publisher.problem.startswith("slow: no reply for")
        assert not bench.publisher.flowing
    assert pipe.aborted == ""
    for bid in range(2, 50):
        outlets[0].put(quote(bid))
    assert bench.publisher.waiting == 1
    clock[0] += 2.1
    bench.tick(now_s=clock[0])
    assert pipe.aborted == "no reply in 2 s"
    assert not bench.publisher.send([b"never"])


def test_the_bound_of_what_is_under_way_follows_the_age_of_replies() -> None:
    bound = window.Window()
    for _ in range(20):
        bound.answered(window.SLOW_NS + 1)
    assert bound.limit == window.FEWEST
    bound.answered(window.SLOW_NS)
    assert bound.limit == window.FEWEST
    for _ in range(20):
        bound.answered(1_000)
    assert bound.limit == window.MOST


async def test_a_server_that_let_us_in_before_is_tried_again_soon(bench: Bench) -> None:
    """Somebody changes a password: that is no reason to wait as for one that never was right."""

    @asynccontextmanager
    async def refuse(owner: PipeOwner) -> AsyncIterator[FakePipe]:
        raise AuthenticationRejected("redis refuses our credentials: WRONGPASS")
        yield bench.pipe

    bench.publisher._dial = refuse
    with pytest.raises(AuthenticationRejected):
        await bench.publisher.run()
    bench.attach()
    bench.publisher._detach()
    with pytest.raises(RedisUnavailable, match="WRONGPASS"):
        await bench.publisher.run()
    assert "not connected: redis refuses our credentials" in bench.publisher.problem


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
    for _ in range(2 * MIRROR_PHASES):
        bench.publisher.tick(0.0)
        bench.turn()
    mirrors = [c for c in pipe.commands if c[0] == b"HSET"]
    assert len(mirrors) == 1
    fields = dict(zip(mirrors[0][2::2], mirrors[0][3::2], strict=True))
    assert (fields[b"yes_bid"], fields[b"seq"], fields[b"last_price"]) == (b"0.0049", b"49", b"")
    assert fields[b"updated_at"].endswith(b"Z")


def test_a_market_that_comes_back_late_goes_on_counting_all_the_same(bench: Bench) -> None:
    """A reader that has seen seq 3 of this session takes a second seq 1 for an old price."""
    pipe = bench.attach()
    bench.open(MarketId("A")).put(quote(1))
    bench.open(MarketId("A")).put(quote(2))
    bench.open(MarketId("A")).put(quote(0, Status.STALE))
    bench.turn()
    bench.publisher.retire("kalshi", MarketId("A"), 600)
    bench.answer()
    bench.tick(MIRROR_PHASES, now_s=1e12)
    bench.answer()
    assert not bench.publisher.knows("kalshi", MarketId("A"))
    bench.open(MarketId("A")).put(quote(4))
    bench.turn()
    assert [p["seq"] for p in pipe.prices()] == [1, 2, 3, 4]


def test_of_what_is_remembered_of_forgotten_markets_there_is_a_bound(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlets, "SEQS_KEPT", 2)
    bench.attach()
    for name, status in (("A", Status.STALE), ("B", Status.STALE), ("C", Status.CLOSED)):
        bench.open(MarketId(name)).put(quote(0, status))
    for name in ("D", "A"):
        bench.open(MarketId(name)).put(quote(0, Status.STALE))
    bench.turn()
    for name in "ABCD":
        bench.publisher.retire("kalshi", MarketId(name), 600)
    bench.answer()
    bench.tick(MIRROR_PHASES, now_s=1e12)
    seqs = {name: bench.open(MarketId(name)).seq for name in "ABCD"}
    assert seqs == {"A": 0, "B": 1, "C": 0, "D": 1}, "A is the oldest, and C does not come back"


def test_a_market_is_known_once_there_is_something_to_write_of_it(bench: Bench) -> None:
    """Of one that was opened and never shown, Redis may have what a dead daemon left."""
    outlet = bench.open(MarketId("A"))
    assert not bench.publisher.knows("kalshi", MarketId("A"))
    outlet.put(quote(1))
    assert bench.publisher.knows("kalshi", MarketId("A"))
