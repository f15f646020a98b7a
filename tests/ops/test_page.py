"""The status page over real HTTP: what it serves, to whom, and how much of it."""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from arbees_feed.ops.http import Readiness, serve
from arbees_feed.ops.listeners import MOST, Listeners, Pace
from arbees_feed.ops.metrics import Metrics
from arbees_feed.ops.overview import (
    Delay,
    Finding,
    Found,
    Hit,
    MarketNow,
    PairsNow,
    PriceNow,
    RedisNow,
    StatusNow,
    VenueNow,
    Verdict,
)
from arbees_feed.ops.statuspage import SEARCHES_AT_MOST

HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>\"' & $venues ${hits}"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class FakeOverview:
    """One venue, one market, with a title and a reason that mean harm."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.made = 0
        self.padding = ""
        self.matched: PairsNow | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def status(self) -> StatusNow:
        self.made += 1
        venue = VenueNow(
            venue="kalshi", state="stale", reason=HOSTILE, connections=1, connections_wanted=2,
            books=3, books_wanted=4, markets=6, markets_live=5, frames_per_s=None,
            prices_per_s=1.5, audit_ratio=0.5, audited=8, clock_offset_s=None, age_growth_s=0.0,
            incidents={"connections lost": 1}, problems={"last loss": self.padding},
        )  # fmt: skip
        redis = RedisNow(
            connected=True, problem="", published_per_s=None, bytes_per_s=None, waiting=0,
            unanswered=0, conflated=0, errors=0,
        )  # fmt: skip
        delay = Delay("publish lag", "frame read", 0.1, 0.2, None, 3, 0.0)
        finding = Finding("bad", "kalshi", HOSTILE, "wait", "FeedVenueNotLive")
        return StatusNow(
            version="1", at_ns=2, uptime_s=float(self.made), ready=False,
            missing={"kalshi": HOSTILE}, venues=[venue], redis=redis, delays=[delay],
            verdict=Verdict("bad", "No price of kalshi can be trusted", [finding]),
        )  # fmt: skip

    def pairs(self) -> PairsNow | None:
        return self.matched

    def prices(self, markets: Sequence[str]) -> list[PriceNow]:
        return [PriceNow(market, "live", bid=0.4) for market in markets]

    def market(self, market: str) -> MarketNow | None:
        if market != "KX-1":
            return None
        price = PriceNow(market, "live", bid=0.4)
        return MarketNow("kalshi", price, "", "live", [(0.4, 10.0)], [(0.5, 20.0)])

    async def search(self, text: str, limit: int) -> Found:
        self.asked.append((text, limit))
        await self.may_answer.wait()
        return Found([Hit("KX-1", "kalshi", HOSTILE, "", "", PriceNow("KX-1", "live", bid=0.4))])


class FakeHealth:
    def readiness(self) -> Readiness:
        return Readiness(missing={"kalshi": "stale"})


@pytest.fixture
def overview() -> FakeOverview:
    return FakeOverview()


@pytest.fixture
async def url(overview: FakeOverview) -> AsyncIterator[str]:
    async with serve(
        "127.0.0.1", 0, health=FakeHealth(), metrics=Metrics([]), overview=overview
    ) as base:
        yield base


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def text_of(client: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, str]:
    async with client.get(url, headers=headers) as answer:
        return answer.status, await answer.text()


# -- the page --------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


async def test_a_browser_gets_the_page_and_others_json(
    url: str, client: aiohttp.ClientSession
) -> None:
    async with client.get(url, headers=BROWSER) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert answer.headers["Vary"] == "Accept"
    async with client.get(url) as answer:
        page = await answer.json()
    assert page["missing"] == {"kalshi": "stale"}
    assert "pairs" not in page
    assert page["pages"][-3:] == ["/events", "/markets?q=<text>", "/market/<market>"]


async def test_who_asks_for_json_is_told_how_far_pairs_are_covered(
    url: str, overview: FakeOverview, client: aiohttp.ClientSession
) -> None:
    overview.matched = PairsNow(
        state="live", reason="", cross_pairs="3/4", mapped=1, found=4, live=3, probable=2,
        contradicted=0, markets=9, age_s=0.5, since_ns=1,
    )  # fmt: skip
    _, text = await text_of(client, url)
    told = json.loads(text)["pairs"]
    assert (told["cross_pairs"], told["mapped"], told["age_s"]) == ("3/4", 1, 0.5)


PARTS = sorted(
    file.name for file in (files("arbees_feed.ops") / "page").iterdir() if "html" not in file.name
)


async def test_all_that_the_page_loads_is_served_by_us(
    url: str, client: aiohttp.ClientSession
) -> None:
    """The script's own parts too: each part of the folder is wanted by another, and is there."""
    _, text = await text_of(client, url, **BROWSER)
    page = Elements(text)
    wanted = [element["src"] for tag in ("script", "img") for element in page.all(tag)]
    wanted += [element["href"] for element in page.all("link")]
    for path in (f"/page/{part}" for part in PARTS):
        status, text = await text_of(client, f"{url}{path}")
        assert status == 200
        # Nothing in them leads elsewhere; a namespace is a name only.
        assert set(re.findall(r"https?://[^\"'\s)]+", text)) <= {"http://www.w3.org/2000/svg"}
        wanted += [f"/page/{name}" for name in re.findall(r'from "\./(\w+\.js)"', text)]
    assert sorted(set(map(str, wanted))) == [f"/page/{part}" for part in PARTS]


@pytest.mark.parametrize("name", ["index.html", "..%2Fhttp.py", "x.js", "page%2Fdom.js"])
async def test_nothing_but_the_parts_of_the_page_is_served(
    name: str, url: str, client: aiohttp.ClientSession
) -> None:
    status, text = await text_of(client, f"{url}/page/{name}")
    assert status == 404
    assert "import" not in text


async def test_the_policy_lets_no_inline_script_in_and_the_page_has_none(
    url: str, client: aiohttp.ClientSession
) -> None:
    async with client.get(url, headers=BROWSER) as answer:
        policy = answer.headers["Content-Security-Policy"]
        page = Elements(await answer.text())
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert [script["src"] for script in page.all("script")] == ["/page/status.js"]
    for _, attributes in page.found:
        assert not any(name == "style" or name.startswith("on") for name in attributes)
    assert page.all("style") == []


@pytest.mark.parametrize(
    "path",
    [*(f"/page/{part}" for part in PARTS), "/page/x", "/markets", "/market/KX-1", "/market/X"],
)
async def test_every_answer_carries_the_policy(
    path: str, url: str, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{url}{path}") as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_without_a_script_there_are_tables_and_hostile_text_stays_text(
    url: str, overview: FakeOverview, client: aiohttp.ClientSession
) -> None:
    async with client.get(url, headers=BROWSER, params={"q": '"><script>x'}) as answer:
        page = Elements(await answer.text())
    assert overview.asked == [('"><script>x', 25)]
    assert page.all("script") == [{"src": "/page/status.js", "type": "module"}]
    assert {img["src"] for img in page.all("img")} == {"/page/status.svg"}
    assert next(i for i in page.all("input"))["value"] == '"><script>x'
    # The reason (above and in its row) and the title, as they were written.
    assert page.text.count(HOSTILE) == 3
    for part in (
        "No price of kalshi can be trusted",
        "wait",
        "docs/operations.md: FeedVenueNotLive",
    ):
        assert part in page.text
    assert {"data-tone": "bad"} in page.all("li")
    for cell in ("1 of 2", "3 of 4", "5 of 6", "50.00%", "KX-1", "0.4"):
        assert cell in page.text


@pytest.mark.parametrize("part", [part for part in PARTS if part.endswith(".js")])
def test_the_script_never_takes_text_for_markup(part: str) -> None:
    script = (files("arbees_feed.ops") / "page" / part).read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


# -- searches and single markets -------------------------------------------------------------------


async def test_a_search_is_passed_on_with_its_limit(
    url: str, overview: FakeOverview, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{url}/markets", params={"q": "fed cut", "limit": "50"}) as answer:
        found = await answer.json()
    assert [hit["market"] for hit in found["hits"]] == ["KX-1"]
    assert found["hits"][0]["title"] == HOSTILE
    await text_of(client, f"{url}/markets")
    assert overview.asked == [("fed cut", 50), ("", 25)]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"q": "x" * 201}, "q: 200 characters at most"),
        *(
            ({"limit": limit}, "limit: a number from 1 to 50")
            for limit in ("0", "51", "-1", "1.5", "", "all", "9" * 5_000, "\u0663")
        ),
    ],
)
async def test_a_search_beyond_its_limits_is_refused(
    query: dict[str, str], error: str, url: str, overview: FakeOverview
) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{url}/markets", params=query) as answer,
    ):
        assert (answer.status, await answer.json()) == (400, {"error": error})
    assert overview.asked == []


async def test_searches_beyond_what_may_be_under_way_are_told_to_come_again(
    url: str, overview: FakeOverview, client: aiohttp.ClientSession
) -> None:
    overview.may_answer.clear()
    waiting = [
        asyncio.ensure_future(text_of(client, f"{url}/markets?q={n}"))
        for n in range(SEARCHES_AT_MOST)
    ]
    async with asyncio.timeout(5):
        while len(overview.asked) < SEARCHES_AT_MOST:  # noqa: ASYNC110 - nobody else waits for it
            await asyncio.sleep(0)
    refused = {"error": "too many searches at a time: ask again"}
    status, text = await text_of(client, f"{url}/markets?q=more")
    assert (status, json.loads(text)) == (503, refused)
    # The page itself comes all the same.
    status, text = await text_of(client, f"{url}/?q=more", **BROWSER)
    assert (status, refused["error"] in text) == (200, True)
    assert len(overview.asked) == SEARCHES_AT_MOST
    waiting.pop().cancel()  # who goes away makes room
    overview.may_answer.set()
    assert [status for status, _ in await asyncio.gather(*waiting)] == [200] * len(waiting)
    status, _ = await text_of(client, f"{url}/markets?q=again")
    assert status == 200


async def test_a_market_comes_with_its_ladder(url: str, client: aiohttp.ClientSession) -> None:
    status, text = await text_of(client, f"{url}/market/KX-1")
    told = json.loads(text)
    assert (status, told["bids"], told["asks"]) == (200, [[0.4, 10.0]], [[0.5, 20.0]])


@pytest.mark.parametrize(
    ("market", "error"), [("KX-2", "KX-2 is not followed"), ("a%3Cb", "this is no market id")]
)
async def test_an_unknown_market_is_404(
    market: str, error: str, url: str, client: aiohttp.ClientSession
) -> None:
    status, text = await text_of(client, f"{url}/market/{market}")
    assert (status, json.loads(text)) == (404, {"error": error})


@pytest.mark.parametrize("path", ["/", "/events", "/markets", "/market/KX-1", "/page/status.js"])
async def test_other_names_and_other_methods_are_sent_away(
    path: str, url: str, client: aiohttp.ClientSession
) -> None:
    """A name of another that was made to lead here (DNS rebinding) reads nothing."""
    status, text = await text_of(client, f"{url}{path}", Host="evil.example")
    assert (status, "localhost" in text) == (421, True)
    async with client.post(f"{url}{path}") as answer:
        assert answer.status == 405


@pytest.mark.parametrize("path", ["/events", "/markets", "/market/KX-1"])
async def test_what_another_site_makes_a_browser_ask_is_refused(
    path: str, url: str, overview: FakeOverview, client: aiohttp.ClientSession
) -> None:
    for site in ("cross-site", "same-site"):
        status, _ = await text_of(client, f"{url}{path}", **{"Sec-Fetch-Site": site})
        assert status == 403
    assert (overview.asked, overview.made) == ([], 0)
    async with client.get(f"{url}{path}", headers={"Sec-Fetch-Site": "same-origin"}) as answer:
        assert answer.status == 200
        assert not any(name.startswith("Access-Control") for name in answer.headers)


async def test_another_site_may_lead_to_the_page_but_not_make_it_search(
    url: str, overview: FakeOverview, client: aiohttp.ClientSession
) -> None:
    from_there = {**BROWSER, "Sec-Fetch-Site": "cross-site"}
    async with client.get(url, headers=from_there, params={"q": "fed"}) as answer:
        page = Elements(await answer.text())
    assert (answer.status, overview.asked) == (200, [])
    # The page itself searches once it is loaded.
    assert next(i for i in page.all("input"))["value"] == "fed"


async def test_a_stream_without_a_body_is_not_begun(
    url: str, overview: FakeOverview, client: aiohttp.ClientSession
) -> None:
    async with client.head(f"{url}/events") as answer:
        assert answer.status == 405
    assert overview.made == 0


# -- the stream ------------------------------------------------------------------------------------


@asynccontextmanager
async def streaming(
    overview: FakeOverview, pace: Pace, monotonic: Callable[[], float] = time.monotonic
) -> AsyncIterator[tuple[Listeners, str]]:
    """Serve nothing but a stream."""
    listeners = Listeners(overview, pace, monotonic)

    async def events(request: web.Request) -> web.StreamResponse:
        return await listeners.listen(request, [], {})

    app = web.Application()
    app.router.add_get("/events", events)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield listeners, f"http://127.0.0.1:{site.port}/events"
    finally:
        await runner.cleanup()


async def event_of(answer: aiohttp.ClientResponse) -> tuple[str, Any]:
    """Read one event of a stream, skipping what is none; its lines are as the format wants them."""
    kind = ""
    while True:
        line = (await answer.content.readline()).decode()
        assert line.endswith("\n"), "the stream has ended"
        name, colon, value = line.rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            assert await answer.content.readline() == b"\n"
            return kind, json.loads(value)
        else:
            assert (name, colon) in (("", ""), ("retry", ": "))


async def settled(listeners: Listeners, count: int) -> None:
    """Let other tasks run until so many listen."""
    async with asyncio.timeout(5):
        while listeners.count != count:  # noqa: ASYNC110 - nobody but this test waits for it
            await asyncio.sleep(0)


async def test_the_stream_has_the_status_and_the_prices_that_were_asked_for(
    url: str, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{url}/events?markets=KX-1,KX-2") as answer:
        assert answer.content_type == "text/event-stream"
        assert (await answer.content.readline()).startswith(b"retry: ")
        kind, status = await event_of(answer)
        assert (kind, status["venues"][0]["reason"]) == ("status", HOSTILE)
        kind, prices = await event_of(answer)
        assert (kind, [price["market"] for price in prices]) == ("prices", ["KX-1", "KX-2"])
        assert (await event_of(answer))[1]["uptime_s"] == status["uptime_s"] + 1


@pytest.mark.parametrize("markets", [",".join(["A"] * 51), "A,", "A,b c", "x" * 129])
async def test_a_stream_of_too_many_markets_or_of_none_is_refused(
    markets: str, url: str, overview: FakeOverview, client: aiohttp.ClientSession
) -> None:
    async with client.get(f"{url}/events", params={"markets": markets}) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"].startswith("markets: ")
    assert overview.made == 0


async def test_listeners_share_what_is_made_and_one_too_many_is_told_so(
    overview: FakeOverview, client: aiohttp.ClientSession
) -> None:
    """A round for sixteen listeners is made of one snapshot, and the next of another."""
    now_s = [100.0]
    async with streaming(overview, Pace(every_s=0.1), lambda: now_s[0]) as (listeners, url):
        answers = [await client.get(url) for _ in range(MOST)]
        for answer in answers:
            await event_of(answer)
        assert overview.made == 1
        async with client.get(url) as refused:
            assert refused.status == 503
            assert await refused.text() == "16 pages listen already: close one\n"
        now_s[0] += 0.1
        for answer in answers:
            while (await event_of(answer))[1]["uptime_s"] == 1:
                pass
        assert overview.made == 2
        answers[0].close()
        await settled(listeners, MOST - 1)
        async with client.get(url) as answer:
            assert answer.status == 200
        for answer in answers:
            answer.close()


async def test_nothing_is_left_of_a_listener_that_goes_and_nothing_made_for_nobody(
    overview: FakeOverview, client: aiohttp.ClientSession
) -> None:
    async with streaming(overview, Pace(every_s=0.02)) as (listeners, url):
        before = asyncio.all_tasks()
        answer = await client.get(url)
        await event_of(answer)
        assert asyncio.all_tasks() > before
        answer.close()
        await settled(listeners, 0)
        async with asyncio.timeout(5):
            while asyncio.all_tasks() - before:
                await asyncio.wait(asyncio.all_tasks() - before)
        made = overview.made
        await asyncio.sleep(0.1)  # five times as long as it took to make one
        assert overview.made == made


async def test_a_listener_that_does_not_read_is_cut_off(overview: FakeOverview) -> None:
    """What is kept for it is bounded: by what the kernel and one buffer hold."""
    overview.padding = "x" * 1_000_000
    async with streaming(overview, Pace(every_s=0.001, patience_s=0.2)) as (listeners, url):
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            silent.connect(("127.0.0.1", int(url.split(":")[2].split("/")[0])))
            silent.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await settled(listeners, 1)
            await settled(listeners, 0)
            made = overview.made
            assert made < 30
            await asyncio.sleep(0.05)
            assert overview.made == made


async def test_listeners_do_not_hold_up_the_end(
    overview: FakeOverview, client: aiohttp.ClientSession
) -> None:
    """They are let go; one that had to be thrown out would find its stream broken off."""
    async with serve(
        "127.0.0.1", 0, health=FakeHealth(), metrics=Metrics([]), overview=overview
    ) as base:
        answer = await client.get(f"{base}/events")
        await event_of(answer)
    await answer.content.read()  # to the end of the stream
    answer.close()
