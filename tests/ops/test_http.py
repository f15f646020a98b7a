"""The HTTP endpoint over a real port, and the probe as a real process."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from arbees_feed import __version__
from arbees_feed.errors import SettingsError
from arbees_feed.ops import probe
from arbees_feed.ops.http import Readiness, serve
from arbees_feed.ops.metrics import Metrics, Sample

ROOT = Path(__file__).parent.parent.parent


class Fake:
    """Health as the test sets it."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}

    def readiness(self) -> Readiness:
        return Readiness(missing=dict(self.missing))


@pytest.fixture
def health() -> Fake:
    return Fake()


@pytest.fixture
async def url(health: Fake) -> AsyncIterator[str]:
    sample = Sample(name="books", help="Books.", kind="gauge", value=2)
    async with serve("127.0.0.1", 0, health=health, metrics=Metrics([lambda: [sample]])) as base:
        yield base


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_livez_answers_while_the_loop_turns(
    url: str, health: Fake, client: aiohttp.ClientSession
) -> None:
    health.missing = {"redis": "gone"}
    async with client.get(f"{url}/livez") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_readyz_is_200_when_nobody_is_missing(
    url: str, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{url}/readyz") as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.json() == {"ready": True, "missing": {}}


async def test_readyz_is_503_and_says_who_is_missing_and_why(
    url: str, health: Fake, client: aiohttp.ClientSession
) -> None:
    health.missing = {"kalshi": "connecting", "redis": "redis://u:pw@h refused"}
    async with client.get(f"{url}/readyz") as answer:
        assert answer.status == 503
        assert await answer.json() == {
            "ready": False,
            "missing": {"kalshi": "connecting", "redis": "redis://***@h refused"},
        }


async def test_metrics_are_in_the_format_of_prometheus(
    url: str, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{url}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert "\narbees_feed_books 2.0\n" in await answer.text()


async def test_the_status_page_says_what_this_is(
    url: str, health: Fake, client: aiohttp.ClientSession
) -> None:
    health.missing = {"kalshi": "connecting"}
    async with client.get(url) as answer:
        assert answer.status == 200
        page = await answer.json()
    assert (page["name"], page["version"]) == ("arbees-feed", __version__)
    assert (page["ready"], page["missing"]) == (False, health.missing)


async def test_nothing_can_be_written(url: str, client: aiohttp.ClientSession) -> None:
    async with client.post(f"{url}/readyz") as answer:
        assert answer.status == 405
    async with client.get(f"{url}/nothing") as answer:
        assert answer.status == 404


async def test_the_port_is_free_again_after_the_block(health: Fake) -> None:
    async with serve("127.0.0.1", 0, health=health, metrics=Metrics([])) as first:
        port = int(first.rpartition(":")[2])
    async with serve("127.0.0.1", port, health=health, metrics=Metrics([])) as second:
        assert second == first


async def test_a_port_in_use_is_named(health: Fake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError) as caught:
            async with serve("127.0.0.1", port, health=health, metrics=Metrics([])):
                pass
    message = str(caught.value)
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in message
    assert "http.port" in message


@pytest.mark.parametrize("host", ["192.0.2.1", "not..a.host"])
async def test_a_host_that_is_not_ours_is_named(host: str, health: Fake) -> None:
    with pytest.raises(SettingsError, match=f"cannot listen on {host}:0: "):
        async with serve(host, 0, health=health, metrics=Metrics([])):
            pass


async def run_probe(*args: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "arbees_feed.ops.probe", *args),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_probe_is_content_when_the_feed_is_ready(url: str) -> None:
    assert await run_probe(url) == (0, "")
    assert await run_probe(f"{url}/readyz") == (0, "")


async def test_the_probe_says_in_one_line_who_is_missing(url: str, health: Fake) -> None:
    health.missing = {"kalshi": "connecting", "redis": "no answer"}
    assert await run_probe(url) == (1, "not ready: kalshi: connecting; redis: no answer\n")


async def test_the_probe_says_in_one_line_that_nobody_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert probe.probe(f"http://127.0.0.1:{port}") == 1
    assert f"cannot ask http://127.0.0.1:{port}: Connection refused\n" == capsys.readouterr().out


@pytest.mark.parametrize("bad", ["https://h", "nonsense", "http://h:port"])
def test_the_probe_refuses_what_it_cannot_ask(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.probe(bad) == 1
    assert bad in capsys.readouterr().out


async def test_the_probe_gives_up_on_a_server_that_is_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert probe.probe(f"http://127.0.0.1:{port}", timeout_s=0.05) == 1
    assert "timed out" in capsys.readouterr().out


async def test_the_probe_needs_no_more_than_the_standard_library() -> None:
    code = (
        "import sys, arbees_feed.ops.probe; "
        "sys.exit(any(m in sys.modules for m in ('aiohttp', 'pydantic', 'structlog', 'msgspec')))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT)
    assert await process.wait() == 0
