"""Without compiled code everything works, and the same comes out."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest
from support import ways
from support.feed import reading, running, settings_for, settle, url_of, valkey
from support.native import needs_compiled
from support.twoprices import a_price

from arbees_feed import native
from arbees_feed.publish.payloads import price_commands
from arbees_feed.sim import SimConfig, SimServer

TESTS = Path(ways.__file__).parents[1]

TELL = """
import sys
sys.modules["arbees_feed.native._compiled"] = None  # as if it had never been made
from arbees_feed import native
assert native.compiled is None
import runpy
runpy.run_path(sys.argv[1], run_name="told")["tell"]()
"""


def told() -> Iterator[str]:
    """Yield what comes of some frames and prices."""
    for seed in range(3):
        for twins in ways.compare_ways(ways.WideWorld(seed), Random(seed), 8, lambda frame: frame):
            way = twins.ways[0]
            yield repr([(m.id, m.changes, m.ts_ns, m.quote) for m in way.table])
            yield repr((way.session._count, way.decoder.stats.frames))
    random = Random(1)
    for _ in range(300):
        outlet, quote, seq, now_ns, session = a_price(random)
        try:
            yield price_commands(session)(outlet, quote, seq, now_ns).hex()
        except OverflowError as error:
            yield repr(error)


def tell() -> None:
    """Print it."""
    sys.stdout.write("\n".join(told()))


def without() -> str:
    done = subprocess.run(
        [sys.executable, "-c", TELL, __file__],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


@needs_compiled
def test_a_process_without_it_comes_to_the_same() -> None:
    assert native.compiled is not None
    assert without().splitlines() == list(told())


def test_a_process_without_it_works() -> None:
    assert without().count("Quote(") > 50


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    config = SimConfig(seed=7, kalshi_markets=5, polymarket_markets=2, rate=400.0)
    async with SimServer(config, kalshi_port=0, polymarket_port=0) as server:
        yield server


@pytest.mark.parametrize("compiled", [pytest.param("true", marks=needs_compiled), "false"])
async def test_a_daemon_publishes_the_true_books_either_way(compiled: str, sim: SimServer) -> None:
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    with valkey() as server:
        url = url_of(server)
        settings = settings_for(sim, url, trust__compiled=compiled)
        async with reading(url) as reader, running(settings) as (daemon, _):
            await reader.until(lambda: reader.all_are("live", markets))
            await reader.until(lambda: sum(map(len, reader.prices.values())) > 300)
            await settle(sim, reader, markets)
            shortcuts = [
                link.session._shortcut
                for venue in daemon.venues
                for link in venue.feed.links
                if venue.venue == "kalshi" and link.session is not None
            ]
    assert shortcuts
    taken = [shortcut is not None and shortcut.deltas.ts_ns > 0 for shortcut in shortcuts]
    assert any(taken) == (compiled == "true")


@needs_compiled
@pytest.mark.parametrize("revision", ["-1", "None"])
def test_what_was_built_from_other_sources_is_not_used(revision: str) -> None:
    code = (
        "from arbees_feed.native import _compiled\n"
        f"_compiled.REVISION = {revision}\n"
        "import importlib, arbees_feed.native as native\n"
        "assert importlib.reload(native).compiled is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
