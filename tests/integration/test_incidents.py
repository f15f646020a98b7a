"""What goes wrong leaves a file, and the file brings it about again."""

import asyncio
import subprocess
from pathlib import Path

import pytest
from support.feed import reading, running, settings_for, settle
from support.processes import COMMAND

from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(90)


async def replayed(file: Path) -> tuple[int, str]:
    """Run `arbees-feed replay FILE` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "replay", str(file), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("gap", "gap"), ("freeze", "freeze"), ("disconnect", "disconnect"), ("mismatch", "mismatch")],
)
async def test_an_incident_leaves_a_file_that_reproduces_it(
    sim: SimServer, redis_url: str, tmp_path: Path, fault: str, kind: str
) -> None:
    folder = tmp_path / "incidents"
    settings = settings_for(sim, redis_url, incidents__dir=str(folder), polymarket__enabled="false")
    markets = list(sim.kalshi_tickers)
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        venue = daemon.venues[0]
        await reader.until(lambda: reader.all_are("live", markets))
        writer = venue.flights.writer
        assert writer is not None
        await reader.until(lambda: venue.feed.decoded().frames > 1_000, timeout_s=40)
        if fault == "gap":
            sim.faults.drop_frames(markets[0])
        elif fault == "freeze":
            sim.faults.freeze("kalshi", new_sockets=True)
        elif fault == "disconnect":
            sim.faults.abort_sockets("kalshi")
        else:
            sim.faults.corrupt_level(markets[0])
            frames = venue.feed.decoded().frames
            await reader.until(lambda: venue.feed.decoded().frames > frames + 200)
            session = venue.feed.links[0].session
            assert session is not None
            venue.feed.prober.ask_canaries(session, markets[:1])
        await reader.until(lambda: any(folder.glob(f"*-{kind}*.incident.gz")), timeout_s=30)
        sim.faults.clear()
        await settle(sim, reader, markets)
    file = next(folder.glob(f"*-{kind}*.incident.gz"))
    code, out = await replayed(file)
    assert (code, out.rstrip().splitlines()[-1]) == (0, "reproduced"), out
