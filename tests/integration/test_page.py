"""The status page in a real browser, of a real daemon over simulated venues.

`PICTURES=docs/images python -m pytest tests/integration/test_page.py` makes the pictures of the
documents anew.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from support.chromium import Page, browsing, executable
from support.feed import reading, running, settings_for

from arbees_feed.sim import SimServer

pytestmark = [
    pytest.mark.skipif(executable() is None, reason="no Chromium is installed"),
    pytest.mark.timeout(120),
]

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202e&amp;"

# Contrast as WCAG 2.2 (1.4.3) has it, of each element that has text of its own; 4.5 is asked for.
LOW_CONTRAST = """(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((c) => c / 255).map(
      (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const over = (top, ground) =>
    ground.map((c, i) => (top[i] * top[3] + c * (255 - top[3])) / 255).slice(0, 3);
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 255 ? own.slice(0, 3) : over(own, ground(element.parentElement));
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!text || !element.checkVisibility() || element.closest("noscript")) continue;
    const behind = ground(element);
    const [a, b] = [light(over(rgba(getComputedStyle(element).color), behind)), light(behind)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${element.tagName} ${element.textContent.trim()}: ${ratio}`);
  }
  return low;
})()"""
NAMELESS = """[...document.querySelectorAll("a, button, input, svg[role=img], section, summary")]
  .filter((e) => e.checkVisibility() && !e.textContent.trim() && !e.getAttribute("aria-label")
    && !e.getAttribute("aria-labelledby") && !(e.labels && e.labels.length))
  .map((e) => e.outerHTML)"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """An empty tab of a wide window."""
    async with browsing() as tab:
        await tab.look(width=1_280, height=900)
        yield tab


def pill(venue: str) -> str:
    """Return JavaScript for the state that the page shows of a venue."""
    return f"document.querySelector('[aria-labelledby=venue-{venue}] .pill')?.textContent"


def rows(condition: str) -> str:
    """Return JavaScript for how many markets are listed whose row fulfils a condition."""
    return f"[...document.querySelectorAll('#hits tr')].filter((row) => {condition}).length"


async def open_page(page: Page, url: str | None) -> None:
    """Load the page, and wait until both venues and their markets are live on it."""
    await page.open(str(url))
    for venue in ("kalshi", "polymarket"):
        await page.until(f"{pill(venue)} === 'live'")
    await page.until(f"{rows('row.innerText.includes(`live`)')} >= 20")


async def picture(page: Page, name: str, after_s: float = 0.0) -> None:
    if folder := os.environ.get("PICTURES"):
        await asyncio.sleep(after_s)  # charts fill with time
        (Path(folder) / f"status-{name}.png").write_bytes(await page.picture())


async def test_a_person_searches_sees_a_price_move_and_a_venue_go_stale(
    page: Page, redis_url: str, sim: SimServer
) -> None:
    async with running(settings_for(sim, redis_url)) as (_, found):
        await open_page(page, found.http_url)
        await page.until("document.getElementById('ready').textContent === 'ready'")

        await page.value("document.getElementById('q').focus()")
        await page.type("basketball xyzzy")
        await page.until("document.getElementById('found').textContent.includes('no market has')")
        await page.value("document.getElementById('q').select()")
        await page.type("basketball points")
        await page.until(
            "/^[1-9][0-9]* markets? found/.test(document.querySelector('#found').value)"
        )
        assert await page.value(f"{rows('!/basketball.*points/i.test(row.innerText)')}") == 0

        bid = "document.querySelector('#hits tr td span').textContent"
        before = await page.value(bid)
        await page.until(f"{bid} !== {before!r}")
        await page.until("document.querySelectorAll('#hits svg path[d*=L]').length > 0")

        sim.faults.refuse_handshakes("kalshi", status=503, for_s=60.0)
        sim.faults.close_sockets("kalshi")
        await page.until(f"{pill('kalshi')} === 'stale'")
        await page.until(rows("row.dataset.tone !== 'good' && /kalshi/.test(row.innerText)"))
        await page.until("/kalshi\\s*stale: /.test(document.getElementById('log').innerText)")
        assert await page.value(f"{pill('polymarket')}") == "live"
        assert await page.value("document.getElementById('ready').textContent") == "not ready"
        await picture(page, "stale")

        sim.faults.clear()
        await page.until(f"{pill('kalshi')} === 'live'")
        assert page.errors == []
    # The daemon has ended: what is there is old, and the page says so.
    await page.until("!document.getElementById('lost').hidden")
    assert "is old" in await page.value("document.getElementById('lost').textContent")


async def test_the_keyboard_is_enough(page: Page, redis_url: str, sim: SimServer) -> None:
    focused = "document.activeElement"
    async with running(settings_for(sim, redis_url)) as (_, found):
        await open_page(page, found.http_url)
        # Titles come a little later than prices, and the list is made anew then.
        await page.until(f"{rows('row.innerText.includes(`?`)')} === 25")
        await page.press("Tab", 9)
        assert await page.value(f"{focused}.textContent") == "Skip to markets"
        await page.press("Enter", 13)
        for _ in range(2):  # the search, and its button
            await page.press("Tab", 9)
        assert await page.value(f"{focused}.textContent") == "Search"
        for _ in range(2):  # the list, which scrolls, and its first market
            await page.press("Tab", 9)
        title = await page.value(f"{focused}.textContent")
        await page.press("Enter", 13)
        await page.until("document.querySelectorAll('#levels tr').length > 2")
        assert await page.value(f"{focused}.id") == "market-title"
        assert await page.value(f"{focused}.textContent") == title
        await page.value("document.getElementById('why').open = true")
        await page.until("document.getElementById('because').innerText.includes('live price')")
        market = await page.value("new URLSearchParams(location.hash.slice(1)).get('market')")
        assert (await page.value("document.getElementById('explain').href")).endswith(
            f"/explain/{market}"
        )
        assert sim.world.market(market) is not None
        await page.press("Escape", 27)
        await page.until("document.getElementById('market').hidden")
        assert await page.value(f"{focused}.textContent") == title
        assert page.errors == []


async def test_a_hostile_title_is_text(page: Page, redis_url: str, sim: SimServer) -> None:
    market = sim.kalshi_tickers[0]
    async with (
        reading(redis_url) as reader,
        running(settings_for(sim, redis_url, enrich__enabled="false")) as (_, found),
        Redis.from_url(redis_url) as client,
    ):
        await reader.until(lambda: reader.status(market) == "live")
        await client.hset(f"market:{market}:meta", mapping={"title": HOSTILE})
        await page.open(f"{found.http_url}/#market={market}")
        await page.until("!document.getElementById('market').hidden")
        shown = HOSTILE.replace("\u202e", "")
        assert await page.value("document.getElementById('market-title').textContent") == shown
        await page.value("document.getElementById('q').value = location.hash.split('=')[1]")
        await page.value("document.getElementById('search').requestSubmit()")
        await page.until(f"document.querySelector('#hits button')?.textContent === {shown!r}")
        assert await page.value("document.querySelectorAll('main img, main script').length") == 0
        assert page.errors == []


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        ("light", 1_280, "light"),
        ("dark", 1_280, "dark"),
        ("narrow", 390, "light"),
        ("least", 320, "dark"),
    ],
)
async def test_it_fits_and_can_be_read(
    name: str, width: int, scheme: str, page: Page, redis_url: str, sim: SimServer
) -> None:
    """Nothing sticks out, all texts stand out from their ground, all controls have names."""
    await page.look(width=width, height=1_000, dark=scheme == "dark")
    async with running(settings_for(sim, redis_url)) as (_, found):
        await open_page(page, found.http_url)
        await page.value("document.querySelectorAll('#hits button')[2].click()")
        await page.until("document.querySelectorAll('#levels tr').length > 2")
        await page.value("document.getElementById('why').open = true")
        await page.until("document.getElementById('because').innerText.includes('live price')")
        assert await page.value("document.documentElement.scrollWidth") == width
        wide = "[...document.querySelectorAll('.wide')].some((e) => e.scrollWidth > e.clientWidth)"
        assert width < 390 or not await page.value(wide)
        assert await page.value(LOW_CONTRAST) == []
        assert await page.value(NAMELESS) == []
        assert await page.value("getComputedStyle(document.body).colorScheme") == "light dark"
        assert page.errors == []
        await page.until("document.getElementById('market-title').innerText.includes('?')")
        if name == "narrow":
            await page.value("document.getElementById('market').scrollIntoView()")
        await picture(page, name, after_s=25.0)
