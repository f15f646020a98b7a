"""A real Prometheus with our rules, over a real feed: alerts fire, and stop when it has mended.

Needs `prometheus` (`apt-get install prometheus`); skipped without.
"""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from support.coverage import matcher
from support.feed import reading, running, settings_for, url_of, valkey
from support.ports import free_port

from arbees_feed.sim import SimConfig, SimServer

FOLDER = Path(__file__).parents[2] / "config" / "observability"
PROMETHEUS = shutil.which("prometheus")
PATIENCE_S = 60.0

pytestmark = [
    pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus here: apt-get install prometheus"),
    pytest.mark.timeout(180),
]


class Prometheus:
    """Answers of a server that has just been started."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of *expression* now; fails if it is none."""
        async with self._session.get(
            f"{self._url}/api/v1/query", params={"query": expression}
        ) as answer:
            told = await answer.json()
        assert told["status"] == "success", f"{expression}: {told.get('error')}"
        return list(told["data"]["result"])

    async def firing(self) -> set[tuple[str, str]]:
        """Return (alert, venue) of all that fire, warnings (of a busy machine) left out."""
        found = await self.ask('ALERTS{alertstate="firing",severity="critical"}')
        labels = [sample["metric"] for sample in found]
        return {(label["alertname"], label.get("venue", "")) for label in labels}

    async def until(self, condition: Callable[[set[tuple[str, str]]], bool]) -> None:
        """Wait until *condition* holds of what fires."""

        async def holds() -> bool:
            return condition(await self.firing())

        await eventually(holds)


async def eventually(holds: Callable[[], Awaitable[object]]) -> None:
    """Ask again and again: a server of its own gives no event."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 - nothing of ours to wait for
            await asyncio.sleep(0.2)


def configure(folder: Path, target: str) -> Path:
    """Write our configuration with one target, looked at each second; alerts wait a second."""
    rules = yaml.safe_load((FOLDER / "rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "1s"
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "evaluation_interval": "1s",
    }
    (job,) = (job for job in config["scrape_configs"] if job["job_name"] == "arbees-feed")
    config["scrape_configs"] = [
        {"job_name": job["job_name"], "static_configs": [{"targets": [target]}]}
    ]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@asynccontextmanager
async def watching(folder: Path, target: str) -> AsyncIterator[Prometheus]:
    """Run Prometheus over one feed while the block runs."""
    assert PROMETHEUS is not None
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        PROMETHEUS,
        f"--config.file={configure(folder, target)}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session:
            await eventually(partial(is_ready, session, url))
            yield Prometheus(session, url)
    finally:
        process.terminate()
        await process.wait()


async def is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/-/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


def expressions() -> list[tuple[str, str]]:
    """Return (panel, expression) of all that the dashboard draws, for all feeds and venues."""
    dashboard = json.loads((FOLDER / "dashboards" / "arbees-feed.json").read_text())
    return [
        (
            panel["title"],
            re.sub(
                r"\$__rate_interval", "10s", re.sub(r"\$(instance|venue)", ".*", target["expr"])
            ),
        )
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


async def test_an_alert_fires_while_a_venue_is_away_and_stops_when_it_is_back(
    tmp_path: Path,
) -> None:
    config = SimConfig(seed=5, kalshi_markets=6, polymarket_markets=6, rate=200.0)
    with valkey() as server:
        async with SimServer(config) as sim, reading(url_of(server)) as reader:
            settings = settings_for(sim, url_of(server), incidents__dir=str(tmp_path / "incidents"))
            async with running(settings) as (_, found), matcher(url_of(server)):
                await reader.until(
                    lambda: reader.state("kalshi") == reader.state("polymarket") == "live"
                )
                target = str(found.http_url).removeprefix("http://")
                async with watching(tmp_path, target) as prometheus:
                    await all_is_well(prometheus)
                    sim.faults.refuse_handshakes("polymarket", status=503)
                    sim.faults.abort_sockets("polymarket")
                    await prometheus.until(lambda f: ("FeedVenueNotLive", "polymarket") in f)
                    assert ("FeedVenueNotLive", "kalshi") not in await prometheus.firing()
                    sim.faults.clear()
                    await reader.until(lambda: reader.state("polymarket") == "live", 60.0)
                    await prometheus.until(lambda f: ("FeedVenueNotLive", "polymarket") not in f)
                    sim.faults.refuse_handshakes("polymarket", status=401)
                    sim.faults.abort_sockets("polymarket")
                    await prometheus.until(lambda f: ("FeedRefused", "") in f)
                    await every_panel_has_an_answer(prometheus)


async def all_is_well(prometheus: Prometheus) -> None:
    """Wait for the first scrapes; then nothing fires."""
    await prometheus.until(lambda firing: not firing)
    await eventually(partial(prometheus.ask, "count_over_time(arbees_feed_venue_live[1m]) > 5"))
    assert await prometheus.firing() == set()


EMPTY_WITHOUT_FAILURES = {"Errors", "Oddities"}


async def every_panel_has_an_answer(prometheus: Prometheus) -> None:
    """Wait until all have: the first looks into markets come some seconds after the start."""
    empty: set[str] = set()

    async def all_have() -> bool:
        shown: dict[str, int] = {}
        for panel, expression in expressions():
            shown[panel] = shown.get(panel, 0) + len(await prometheus.ask(expression))
        empty.clear()
        empty.update(panel for panel, samples in shown.items() if not samples)
        return empty <= EMPTY_WITHOUT_FAILURES

    try:
        await eventually(all_have)
    except TimeoutError:
        pytest.fail(f"nothing to draw: {sorted(empty - EMPTY_WITHOUT_FAILURES)}")


async def test_an_alert_fires_when_the_feed_is_gone(tmp_path: Path) -> None:
    async with watching(tmp_path, f"127.0.0.1:{free_port()}") as prometheus:
        await prometheus.until(lambda firing: firing == {("FeedDown", "")})
