"""A shard put to the proof: opportunities are planted for it, and what it makes of them is judged.

    PYTHONPATH=tests:examples:tests/examples python -m shard_rehearsal --seconds 60 --csv found.csv

The shard runs as people run it, a process beside a feed, on simulated venues and a real server.
Game markets stand still but for what is planted, so that every opportunity is known beforehand; the
other markets trade beside them. In between a venue falls silent on a price that would make a fine
pair and is gone in truth; at the end the feed is killed.
"""

import argparse
import asyncio
import csv
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

from game_shard.outputs import COLUMNS, STREAM
from game_shard.venues import Traded, games_of
from ledger import MAX_AGE_S, Ledger, legs_of
from planting import CONTRACT, Books, Expected, ShardLog, Trio, told, worth
from redis.asyncio import Redis
from support.feed import Reader, reading, top_of, url_of, valkey
from support.patience import within
from support.process import environment_for, feed_process

from arbees_feed.sim import SimConfig, SimServer

EXAMPLES = Path(__file__).parents[2] / "examples"
HOME = Fraction(5714, 10_000)
"""Phi(2.5 / 13.9): nobody has scored, all of the game is left."""
TOUCH_S = 0.3
LONG_S = 1e7
AN_HOUR_NS = 3_600_000_000_000
GRACE_NS = 1_000_000_000
"""How long before it was received a price may have been true last."""


class Table:
    """All that takes part in a test."""

    def __init__(
        self, sim: SimServer, games: list[Traded], reader: Reader, folder: Path, ledger: Ledger
    ) -> None:
        self.sim = sim
        self.ledger = ledger
        self.reader = reader
        self.live, self.over = (Trio(game.home_markets[0], *game.away_markets) for game in games)
        self.books = Books(sim, (*self.live.ids, *self.over.ids))
        self.csv = folder / "opportunities.csv"
        self.log: ShardLog
        self.shard: asyncio.subprocess.Process
        self.feed: asyncio.subprocess.Process

    def worth(self) -> dict[tuple[object, ...], Expected]:
        """Return what is to be found now."""
        return worth(self.sim, self.live, HOME)

    async def seen(self, market: str) -> None:
        """Wait until a reader of the feed has the true price of a market."""
        truth = self.sim.world.market(market).top
        prices = self.reader.prices[market]
        await self.reader.until(lambda: bool(prices) and top_of(prices[-1]) == truth())

    async def set_level(self, market: str, side: str, price: int, contracts: int) -> set[Expected]:
        """Set a level, and wait until the shard has told just what follows from it."""
        before, mark, began_s = self.worth(), len(self.log.lines), time.perf_counter()
        self.books.set_level(market, side, price, contracts)
        after = self.worth()
        opened = {found for key, found in after.items() if key not in before}
        self.ledger.planted += opened
        told_gone = self.log.counts["gone"] + len(before.keys() - after.keys())
        await self.log.until(
            lambda: (
                {e for _, e in self.log.decided(mark)} >= opened
                and self.log.counts["gone"] >= told_gone
            )
        )
        self.ledger.waits_ms.append((time.perf_counter() - began_s) * 1e3)
        assert sorted(self.log.decided(mark)) == sorted(("LIVE", each) for each in opened)
        return opened


def write_games(folder: Path, games: list[Traded]) -> None:
    """One game by its markets, one by its events, and all pairs."""
    live, over = games
    markets = [(name, "home") for name in live.home_markets]
    markets += [(name, "away") for name in live.away_markets]
    lines = [
        f'{{ id = "{name}", platform = "{"polymarket" if name.isdigit() else "kalshi"}",'
        f' pays_on = "{team}" }},'
        for name, team in markets
    ]
    (folder / "games.toml").write_text(
        f"""
[limits]
max_age_s = {MAX_AGE_S}

[[games]]
id = "LIVE"
home = "{live.home}"
away = "{live.away}"
length_s = {LONG_S}
markets = [
{chr(10).join(lines)}
]

[[games]]
id = "OVER"
home = "{over.home}"
away = "{over.away}"
start_s = 1000.0
length_s = 60.0
events = {{ kalshi = ["{over.events["kalshi"]}"], polymarket = ["{over.events["polymarket"]}"] }}
"""
    )
    rows = ["kalshi,polymarket,polarity"]
    for game in games:
        away, both = game.away_markets
        rows += [f"{away},{both},same", f"{game.home_markets[0]},{both},inverted"]
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n")


@asynccontextmanager
async def shard_process(folder: Path, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the shard as its README says."""
    files = (str(folder / "games.toml"), "--pairs", str(folder / "pairs.csv"))
    out = ("--csv", str(folder / "opportunities.csv"), "--redis-url", url)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "game_shard", *files, *out),
        cwd=EXAMPLES,
        stderr=subprocess.PIPE,
        limit=2**20,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def table_laid(url: str, folder: Path, ledger: Ledger) -> AsyncIterator[Table]:
    """Run venues, feed and shard; the shard has all prices when the block begins."""
    config = SimConfig(
        seed=7, kalshi_markets=12, polymarket_markets=12, rate=200.0, history_s=600.0
    )
    async with (
        SimServer(config) as sim,
        asyncio.TaskGroup() as group,
        reading(url) as reader,
    ):
        games = games_of(sim, 2, LONG_S, time.time())
        table = Table(sim, games, reader, folder, ledger)
        write_games(folder, games)
        touching = group.create_task(
            table.books.keep_young((*table.live.ids, *table.over.ids), TOUCH_S)
        )
        async with feed_process(environment_for(sim, url)) as feed:
            for market in (*table.live.ids, *table.over.ids):
                await table.seen(market)
            async with shard_process(folder, url) as shard:
                assert shard.stderr is not None
                table.log, table.shard, table.feed = ShardLog(shard.stderr), shard, feed
                following = group.create_task(table.log.follow())
                await table.log.until(lambda: table.log.counts["started"])
                yield table
            await following
        touching.cancel()


# -- what is planted -------------------------------------------------------------------------------


async def plant(table: Table, draw: random.Random, count: int) -> int:
    """Plant levels and take them back, one after another; return how many were found."""
    planted: dict[str, tuple[str, int]] = {}
    found = 0
    for _ in range(count):
        market = draw.choice(table.live.ids)
        if market in planted:
            side, price = planted.pop(market)
            await table.set_level(market, side, price, 0)
            continue
        side, price, contracts = drawn(draw)
        if not changes_anything(table, market, side, price, contracts):
            await try_in_vain(table, market, side, price, contracts)
            continue
        found += len(await table.set_level(market, side, price, contracts))
        planted[market] = (side, price)
    for market, (side, price) in planted.items():
        await table.set_level(market, side, price, 0)
    return found


def drawn(draw: random.Random) -> tuple[str, int, int]:
    """Draw a level between the outermost prices, at which somebody may have been mistaken."""
    side = draw.choice(("bid", "ask"))
    return side, draw.randrange(3_100, 7_900, 100), draw.choice((4, 5, 40, 250))


def changes_anything(table: Table, market: str, side: str, price: int, contracts: int) -> bool:
    """Tell whether a level would make an opportunity; nobody hears of it."""
    truth = table.sim.world.market(market)
    before = table.worth()
    history, truth.history = truth.history, None
    truth.set_level(side, price, contracts * CONTRACT)
    after = table.worth()
    truth.set_level(side, price, 0)
    truth.history = history
    return before.keys() != after.keys()


async def try_in_vain(table: Table, market: str, side: str, price: int, contracts: int) -> None:
    """Set a level that is worth nothing, and take it away: nothing may be told of it."""
    table.ledger.worthless += 1
    for size in (contracts, 0):
        table.books.set_level(market, side, price, size)
        await table.seen(market)


# -- what goes wrong -------------------------------------------------------------------------------


async def deceive(table: Table, venue: str, *, cut: bool) -> None:
    """Let a venue fall silent on a good price that is gone in truth, and move the other one.

    What stood on the silent venue makes a fine pair with what comes on the other. It is not there.
    """
    away, both = table.live.away, table.live.both
    bait = {"kalshi": (away, "ask", 3_800), "polymarket": (both, "bid", 4_700)}
    market, side, price = bait.pop(venue)
    (moving,) = bait.values()
    assert len(await table.set_level(market, side, price, 80)) == 1
    mark = len(table.log.lines)
    silence(table, venue, cut=cut)
    reason = "not live" if cut else "too old"
    await table.log.until(lambda: len(of_pair(table, mark, reason)) == 2)
    doubted_ns = time.time_ns()
    table.books.set_level(market, side, price, 0)
    mark = len(table.log.lines)
    table.books.set_level(*moving, 80)
    await table.log.until(lambda: any(table.log.decided(mark)))
    ((_, only),) = table.log.decided(mark)
    assert (only.kind, only.legs[0][0]) == ("model", moving[0])
    table.ledger.planted.append(only)
    table.books.set_level(*moving, 0)
    await table.log.until(lambda: gone(table.log, mark, moving[0]))
    table.ledger.doubts.append((venue, doubted_ns, time.time_ns()))
    await unsilence(table, venue, cut=cut)
    # It comes back with the true book: nothing of the bait is left. The feed tries again after up
    # to half a minute, if connections were lost often.
    await table.log.until(lambda: gone(table.log, mark, market), timeout_s=40.0)
    await table.seen(away)
    await table.seen(both)
    assert len(list(table.log.decided(mark))) == 1


def silence(table: Table, venue: str, *, cut: bool) -> None:
    """Cut a venue off, or freeze it: sockets stay, and nothing comes."""
    if cut:
        table.sim.faults.refuse_handshakes(venue)
        table.sim.faults.abort_sockets(venue)
    else:
        table.sim.faults.freeze(venue=venue)


async def unsilence(table: Table, venue: str, *, cut: bool) -> None:
    if cut:
        await table.sim.faults.end("refuse_handshakes", venue)
    else:
        table.sim.faults.thaw(venue=venue)


def of_pair(table: Table, since: int, reason: str) -> list[object]:
    """Return the refusals of the pair that is tempting, one for each way to buy it."""
    markets = [table.live.away, table.live.both]
    return list(table.log.refused(since, reason=reason, kind="cross", markets=markets))


def gone(log: ShardLog, since: int, market: str) -> bool:
    """Tell whether an opportunity of a market alone has been told to be gone."""
    return any(
        line["event"] == "gone" and line["markets"] == [market] for line in log.lines[since:]
    )


async def kill_feed(table: Table) -> None:
    """End the feed without a word: all it has said is doubtful within 3 s."""
    assert len(await table.set_level(table.live.both, "bid", 4_700, 80)) == 1
    mark, began_s = len(table.log.lines), time.monotonic()
    table.feed.send_signal(signal.SIGKILL)

    def all_refused() -> bool:
        refused = table.log.refused(mark, kind="model", reason="not live")
        return {line["markets"][0] for line in refused} >= set(table.live.ids)

    await table.log.until(all_refused)
    assert time.monotonic() - began_s < within(4.0)
    assert not any(table.log.decided(mark))
    for venue in ("kalshi", "polymarket"):
        table.ledger.doubts.append((venue, time.time_ns(), time.time_ns() + AN_HOUR_NS))


# -- what is written -------------------------------------------------------------------------------


async def read_outputs(table: Table, url: str) -> None:
    """Put what the shard wrote into the ledger."""
    with table.csv.open(newline="") as file:
        table.ledger.rows = list(csv.DictReader(file))
    async with Redis.from_url(url, decode_responses=True, protocol=2) as client:
        table.ledger.entries = [row for _, row in await client.xrange(STREAM)]


def check_outputs(table: Table) -> None:
    """CSV, stream and log tell the same, as documented, and nothing but the truth."""
    rows = table.ledger.rows
    assert tuple(rows[0]) == COLUMNS
    acted = table.log.acted()
    assert [told(row) for row in rows] == [told(line) for line in acted]
    assert {row["game"] for row in rows} == {"LIVE"}
    for row in rows:
        check_row(table.sim, row)


def check_row(sim: SimServer, row: dict[str, str]) -> None:
    """Each leg's price and size were true, and young; the sums are right."""
    legs = legs_of(row)
    assert len(legs) == {"model": 1, "cross": 2}[row["kind"]]
    assert (row["score"], row["remaining"]) == ("0-0", "1.0000")
    for leg in legs:
        market = sim.world.market(row[f"{leg}_market"])
        recv_ns = int(row[f"{leg}_recv_ns"])
        price, size = Fraction(row[f"{leg}_price"]), Fraction(row[f"{leg}_available"])
        tops = market.tops_between(recv_ns - GRACE_NS, recv_ns)
        offers = {(ask, at_ask) for _, _, ask, at_ask in tops}
        if row[f"{leg}_side"] == "no":
            offers = {(10_000 - bid, at_bid) for bid, at_bid, _, _ in tops}
        assert (price * 10_000, size * CONTRACT) in offers
        assert -0.1 < float(row[f"{leg}_age_s"]) <= MAX_AGE_S
    contracts = Fraction(row["contracts"])
    prices = sum(Fraction(row[f"{leg}_price"]) for leg in legs)
    spent = prices * contracts + sum(Fraction(row[f"{leg}_fee"]) for leg in legs)
    edge = Fraction(row["worth"]) - spent / contracts
    assert abs(edge - Fraction(row["edge"])) < Fraction(1, 10**6)
    assert abs(edge * contracts - Fraction(row["profit"])) < Fraction(1, 1_000)


async def stop_shard(table: Table) -> None:
    """End it with SIGTERM: it leaves with 0 and says what it did."""
    table.shard.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        assert await table.shard.wait() == 0
    await table.log.until(lambda: table.log.counts["stopped"])
    last = table.log.lines[-1]
    acted = table.log.acted()
    for kind in ("model", "cross"):
        assert last[f"found: {kind}"] == sum(line["kind"] == kind for line in acted)
    assert (last["stream_written"], last["stream_dropped"]) == (len(acted), 0)


async def rehearse(folder: Path, ledger: Ledger, *, seconds: float, plants: int) -> None:
    """Plant, and deceive, in turn, for so long; at least once with each venue.

    What comes to pass is in *ledger*, whatever goes wrong.

    Raises:
        AssertionError: the shard did not do what it should.
    """
    with valkey() as server:
        url = url_of(server)
        async with table_laid(url, folder, ledger) as table:
            try:
                await play(table, seconds=seconds, plants=plants)
            finally:
                await read_outputs(table, url)
            check_outputs(table)


async def play(table: Table, *, seconds: float, plants: int) -> None:
    """Do to the shard what is to be done to it."""
    draw = random.Random(11)
    over = table.over
    # As good as it gets, and of a game that is over.
    for market, side, price in ((over.home, "ask", 3_200), (over.both, "bid", 7_500)):
        table.books.set_level(market, side, price, 100)
    found = rounds = 0
    began_s = time.monotonic()
    while rounds < 2 or time.monotonic() - began_s < seconds:
        found += await plant(table, draw, plants)
        venue = ("polymarket", "kalshi")[rounds % 2]
        await deceive(table, venue, cut=rounds % 4 in (1, 2))
        rounds += 1
    assert found > rounds * plants / 4
    assert {line["kind"] for line in table.log.acted()} == {"model", "cross"}
    await kill_feed(table)
    refused = table.log.refused(0, game="OVER", reason="game over")
    assert {line["markets"][0] for line in refused} == {over.home, over.away, over.both}
    await stop_shard(table)


def main() -> int:
    """Print the verdict and return the exit code: 0 if the shard has passed."""
    parser = argparse.ArgumentParser(prog="shard_rehearsal", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to plant (60)")
    parser.add_argument("--csv", type=Path, help="keep what was found in this file")
    given = parser.parse_args()
    ledger, problem = Ledger(), ""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shard-rehearsal-") as name:
        try:
            asyncio.run(rehearse(Path(name), ledger, seconds=given.seconds, plants=150))
        except* (AssertionError, OSError, TimeoutError) as failed:
            problem = "".join(traceback.format_exception(failed))
        found = Path(name) / "opportunities.csv"
        if given.csv and found.exists():
            shutil.copy(found, given.csv)
    passed = ledger.passed and not problem
    verdict = f"{'passed' if passed else 'FAILED'} after {time.monotonic() - began_s:.0f} s"
    sys.stdout.write(f"{problem}{ledger.report()}\n{verdict}\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
