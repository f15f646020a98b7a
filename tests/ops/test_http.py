"""The HTTP endpoint over a real port, and the probe as a real process."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from arbees_feed import __version__
from arbees_feed.errors import SettingsError
from arbees_feed.ops import probe
from arbees_feed.ops.http import Readiness, Told, serve
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


class Explainer:
    """Knows one market, and remembers whom it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def explain(self, market: str) -> Told:
        self.asked.append(market)
        if market == "KX-1":
            return Told(found=True, page={"market": market, "state": "live"})
        return Told(found=False, page={"error": f"{market} is not known"})


async def test_a_market_is_explained(health: Fake, client: aiohttp.ClientSession) -> None:
    explainer = Explainer()
    async with serve(
        "127.0.0.1", 0, health=health, metrics=Metrics([]), explains=explainer
    ) as base:
        async with client.get(f"{base}/explain/KX-1") as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"
            assert await answer.json() == {"market": "KX-1", "state": "live"}
        async with client.get(f"{base}/explain/KX-2") as answer:
            assert (answer.status, await answer.json()) == (404, {"error": "KX-2 is not known"})
        async with client.get(base) as answer:
            assert "/explain/<market>" in (await answer.json())["pages"]


@pytest.mark.parametrize(
    "market", ["a%0Ab", "%1b[2J", "x" * 129, "a%2Fb", "..%2f..", "a:b", "%c3%a9"]
)
async def test_what_is_no_market_id_is_not_looked_for(
    market: str, health: Fake, client: aiohttp.ClientSession
) -> None:
    explainer = Explainer()
    async with serve(
        "127.0.0.1", 0, health=health, metrics=Metrics([]), explains=explainer
    ) as base:
        url = URL(f"{base}/explain/{market}", encoded=True)
        async with client.get(url) as answer:
            assert answer.status == 404
            assert await answer.json() == {"error": "this is no market id"}
    assert explainer.asked == []


async def test_nothing_is_explained_where_nobody_can(
    url: str, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{url}/explain/KX-1") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "LOCALHOST:9464", "127.0.0.1", "127.0.0.1:80", "[::1]:80"]
)
async def test_on_loopback_our_own_names_are_answered(
    host: str, url: str, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{url}/livez", headers={"Host": host}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9464",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "192.0.2.1",
        "[2001:db8::1]:80",
        "localhost:80:80",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/livez", "/metrics", "/explain/KX-1", "/nothing", "/"])
async def test_on_loopback_other_names_are_sent_away(
    host: str, path: str, url: str, client: aiohttp.ClientSession
) -> None:
    """A page of a browser whose name was made to lead here (DNS rebinding) reads nothing."""
    async with client.get(f"{url}{path}", headers={"Host": host}) as answer:
        assert answer.status == 421
        assert "localhost" in await answer.text()


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"400"),
        (b"GET /livez HTTP/1.0\r\n\r\n", b"421"),
    ],
)
async def test_two_names_or_none_are_sent_away(
    request_head: bytes, status: bytes, url: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(request_head)
    assert (await reader.readline()).split()[1] == status
    writer.close()
    await writer.wait_closed()


async def test_where_everybody_may_ask_any_name_will_do(
    health: Fake, client: aiohttp.ClientSession
) -> None:
    async with serve("0.0.0.0", 0, health=health, metrics=Metrics([])) as base:  # noqa: S104
        local = base.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        async with client.get(f"{local}/livez", headers={"Host": "feed.internal"}) as answer:
            assert answer.status == 200


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
