"""The status page in a real browser, of a real daemon over simulated venues.

`PICTURES=docs/images python -m pytest tests/integration/test_page.py` makes the pictures of the
documents anew. With `AXE=node_modules/axe-core/axe.min.js` (`npm install axe-core`) its rules are
asked as well, beside those below.
"""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from support.chromium import Page, browsing, executable
from support.coverage import matcher
from support.feed import reading, running, settings_for, url_of, valkey
from support.process import environment_for, feed_process

from arbees_feed.sim import SimServer

pytestmark = [
    pytest.mark.skipif(executable() is None, reason="no Chromium is installed"),
    pytest.mark.timeout(120),
]

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202e&amp;" + "W" * 200

# Contrast as WCAG 2.2 (1.4.3) has it, of each element that has text of its own; 4.5 is asked for.
# Where a ground has several colours (shares of a ladder, the bars over what is old), all are tried.
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
  const grounds = (element) => {
    if (!element) return [[255, 255, 255]];
    const style = getComputedStyle(element);
    const own = rgba(style.backgroundColor);
    const flat = own[3] === 255 ? [own.slice(0, 3)]
      : grounds(element.parentElement).map((g) => over(own, g));
    const more = (style.backgroundImage.match(/(rgb|color)a?\\([^)]*\\)/g) || []).map(rgba);
    return [...flat, ...more.flatMap((colour) => flat.map((g) => over(colour, g)))];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!text || !element.checkVisibility() || element.closest("noscript")) continue;
    for (const behind of grounds(element)) {
      const [a, b] = [light(over(rgba(getComputedStyle(element).color), behind)), light(behind)];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) low.push(`${element.tagName} ${element.textContent.trim()}: ${ratio}`);
    }
  }
  return low;
})()"""
NAMELESS = """[...document.querySelectorAll("a, button, input, svg[role=img], section, summary")]
  .filter((e) => e.checkVisibility() && !e.textContent.trim() && !e.getAttribute("aria-label")
    && !e.getAttribute("aria-labelledby") && !(e.labels && e.labels.length))
  .map((e) => e.outerHTML)"""

HEADLINE = "document.getElementById('headline').textContent"
WELL = f"/^(All is well|Prices are live; )/.test({HEADLINE})"
"""A machine that is short of time has slow prices, and the page says so: that is well, here."""
LOST = "document.getElementById('lost')"
# When the page last heard the feed, when it said that it hears nothing, and by how much its own
# timers were late meanwhile: all by one clock, so that a busy machine changes none of it.
LISTENING = """(() => {
  const seen = (window.seen = {heard_ms: 0, silent_ms: 0, late_ms: 0});
  let due_ms = performance.now();
  setInterval(() => {
    seen.late_ms = Math.max(seen.late_ms, performance.now() - due_ms);
    due_ms = performance.now() + 50;
  }, 50);
  window.EventSource = class extends EventSource {
    constructor(url) {
      super(url);
      this.addEventListener("status", () => { seen.heard_ms = performance.now(); });
    }
  };
  document.addEventListener("DOMContentLoaded", () => {
    const lost = document.getElementById("lost");
    new MutationObserver(() => {
      if (!lost.hidden) seen.silent_ms = performance.now() - seen.heard_ms;
    }).observe(lost, {attributeFilter: ["hidden"]});
  });
})()"""


NEXT_SEARCH_FAILS = """(() => {
  const real = window.fetch;
  window.fetch = (path, ...more) => {
    if (!path.startsWith("/markets")) return real(path, ...more);
    window.fetch = real;
    return Promise.reject(new Error("planted"));
  };
})()"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """An empty tab of a wide window."""
    async with browsing() as tab:
        await tab.look(width=1_280, height=900)
        yield tab


def pill(venue: str) -> str:
    """Return JavaScript for the state that the page shows of a venue."""
    return f"document.querySelector('[aria-labelledby=venue-{venue}] .pill')?.textContent"


CARD = "document.querySelector('[aria-labelledby=venue-pairs]')"


def rows(condition: str) -> str:
    """Return JavaScript for how many markets are listed whose row fulfils a condition."""
    return f"[...document.querySelectorAll('#hits tr')].filter((row) => {condition}).length"


BELIEVED = rows("row.dataset.tone === 'good'")


async def open_page(page: Page, url: str | None) -> None:
    """Load the page, and wait until both venues and their markets are live on it."""
    await page.open(str(url))
    for venue in ("kalshi", "polymarket"):
        await page.until(f"{pill(venue)} === 'live'")
    await page.until(f"{BELIEVED} >= 20")


async def all_are_titled(page: Page) -> None:
    """Wait for the titles: they come later than prices, and the list is made anew then."""
    await page.until(f"{rows('row.innerText.includes(`?`)')} === 25")


async def broken_rules(page: Page) -> list[str]:
    """Return the rules of accessibility that axe-core sees broken, where it was given."""
    path = os.environ.get("AXE")
    if path is None:
        return []
    await page.value(f"{await asyncio.to_thread(Path(path).read_text)}; 0")
    found = "axe.run().then((r) => r.violations.map((v) => v.id + ' ' + v.nodes[0].html))"
    return list(await page.value(found))


async def picture(page: Page, name: str, after_s: float = 0.0) -> None:
    if folder := os.environ.get("PICTURES"):
        await asyncio.sleep(after_s)  # charts fill with time
        image = await page.picture()
        if shutil.which("pngquant"):
            image = await smaller(image)
        (Path(folder) / f"status-{name}.png").write_bytes(image)


async def smaller(image: bytes) -> bytes:
    """Return a picture with a palette: a third of the size, and nobody sees it."""
    process = await asyncio.create_subprocess_exec(
        "pngquant", "--quality=80-100", "-", stdin=PIPE, stdout=PIPE
    )
    out, _ = await process.communicate(image)
    return out


async def test_a_person_searches_sees_a_price_move_and_a_venue_go_stale(
    page: Page, redis_url: str, sim: SimServer
) -> None:
    async with running(settings_for(sim, redis_url)) as (_, found):
        async with matcher(redis_url):
            await open_page(page, found.http_url)
            await page.until(WELL)
            await page.until("/^[\u2713!] (All is well|Prices are live)/.test(document.title)")
            await search_and_see_a_price_move(page)
            await pairs_are_covered(page)
        await kalshi_goes_stale(page, sim)
        await picture(page, "stale")

        sim.faults.clear()
        await page.until(f"{pill('kalshi')} === 'live'")
        await page.until(WELL)
        await the_matcher_is_silent(page)
        assert page.errors == []


async def search_and_see_a_price_move(page: Page) -> None:
    await page.value("document.getElementById('q').focus()")
    await page.type("basketball xyzzy")
    await page.until("document.getElementById('found').textContent.includes('no market has')")
    assert await page.value("document.querySelectorAll('#hits tr').length") == 0
    await page.value("document.getElementById('q').select()")
    await page.type("basketball points")
    await page.until("/^[1-9][0-9]* markets? found/.test(document.querySelector('#found').value)")
    assert await page.value(f"{rows('!/basketball.*points/i.test(row.innerText)')}") == 0
    bid = "document.querySelector('#hits tr td span').textContent"
    # The first that is one, and then another.
    await page.until(f"Number({bid}) > 0 && (window.first ??= {bid}) !== {bid}")
    await page.until("document.querySelectorAll('#hits svg path[d*=L]').length > 0")


async def pairs_are_covered(page: Page) -> None:
    await page.until(f"{pill('pairs')} === 'live'")
    told = await page.value(f"{CARD}.innerText")
    for words in ("both prices live\n12 of 15", "mapped by hand\n2", "contradicted\n1"):
        assert words in told
    assert await page.value(f"{CARD}.tagName + {CARD}.querySelector('h3').textContent") == (
        "ARTICLEpairs"
    )


async def the_matcher_is_silent(page: Page) -> None:
    """Ten seconds after its last word; market prices are well all the same."""
    await page.until(f"{pill('pairs')} === 'silent'")
    await page.until("document.getElementById('findings').innerText.includes('FeedPairsSilent')")
    assert "no word from the matcher since" in await page.value(f"{CARD}.innerText")
    assert await page.value("document.getElementById('verdict').dataset.tone") != "good"
    assert await page.value(LOW_CONTRAST) == []
    await page.until("/pairs\\s*silent/.test(document.getElementById('log').innerText)")


async def kalshi_goes_stale(page: Page, sim: SimServer) -> None:
    """Cut Kalshi off; see that the page says so, what to do, and none of its prices."""
    sim.faults.refuse_handshakes("kalshi", status=503, for_s=60.0)
    sim.faults.close_sockets("kalshi")
    await page.until(f"{pill('kalshi')} === 'stale'")
    await page.until(f"{HEADLINE} === 'No price of kalshi can be trusted'")
    stale = "row.innerText.includes('kalshi') && row.innerText.includes('stale')"
    await page.until(rows(stale))
    assert await page.value(rows(f"{stale} && row.cells[1].innerText !== '\u2013'")) == 0
    await page.until(rows("row.innerText.includes('polymarket') && row.dataset.tone === 'good'"))
    # The reason is first that the socket was closed, and then what the next try has met.
    for words in ("kalshi", "HTTP 503", "tried again by itself", "FeedVenueNotLive"):
        await page.until(f"document.getElementById('findings').innerText.includes('{words}')")
    await page.until("/kalshi\\s*stale\\s/.test(document.getElementById('log').innerText)")
    await page.until("document.title[0] === '\u25b2'")
    assert await page.value(LOW_CONTRAST) == []
    await page.until(f"{pill('polymarket')} === 'live'")
    spoken = "document.getElementById('spoken').textContent"
    await page.until(f"{spoken} === 'No price of kalshi can be trusted'")


async def silence_s(page: Page) -> float:
    """Wait until the page says that it hears nothing; return after how long a silence that was.

    What its timers were late by is not the page's fault, and left out.
    """
    await page.until(f"!{LOST}.hidden && document.title.includes('No word')")
    seen = await page.value("seen")
    return float(seen["silent_ms"] - seen["late_ms"]) / 1e3


async def test_the_page_says_that_it_has_lost_the_feed_and_finds_it_again(
    page: Page, redis_url: str, sim: SimServer, unused_tcp_port: int
) -> None:
    """Within 3 s, whether its process was killed or hangs; nothing on it passes for current."""
    env = environment_for(sim, redis_url, http__port=str(unused_tcp_port))
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with reading(redis_url) as reader, feed_process(env) as process:
        await reader.until(lambda: reader.state("kalshi") == "live", 20.0)
        await page.call("Page.addScriptToEvaluateOnNewDocument", source=LISTENING)
        await open_page(page, url)
        process.send_signal(signal.SIGSTOP)
        assert await silence_s(page) < 3.0
        process.send_signal(signal.SIGCONT)
        await page.until(f"{LOST}.hidden && {WELL}")
        process.kill()
        assert await silence_s(page) < 3.0
    text = await page.value(f"{LOST}.innerText")
    assert "what you see is old" in text
    assert "FeedDown" in text
    seen = "getComputedStyle(document.querySelector('.pill'), '::before').content"
    assert "was" in await page.value(seen)
    assert await page.value(LOW_CONTRAST) == []
    assert await broken_rules(page) == []
    async with feed_process(env):
        await page.until(f"{LOST}.hidden && {WELL}")
        await page.until("/this page\\s*started/.test(document.getElementById('log').innerText)")
        await page.until(f"{BELIEVED} >= 20")
        # What the browser says of a server that was away is no fault of the page.
        assert [e for e in page.errors if "ERR_" not in e] == []


async def test_a_redis_that_is_away_comes_first(page: Page, sim: SimServer) -> None:
    with valkey() as server:
        settings = settings_for(sim, url_of(server), redis__io_timeout_s="0.5")
        async with running(settings) as (_, found):
            await open_page(page, found.http_url)
            server.stop()
            await page.until(f"{HEADLINE} === 'Readers get no prices: Redis is away'")
            assert await page.value(pill("redis")) == "away"
            told = await page.value("document.querySelector('#findings li').innerText")
            assert "FeedRedisDisconnected" in told
            # Titles are in Redis; ids are known here.
            await page.value("document.getElementById('q').focus()")
            await page.type(sim.kalshi_tickers[0].lower())
            await page.until(
                "/titles cannot be searched/.test(document.querySelector('#found').value)"
            )
            assert await page.value("document.querySelectorAll('#hits tr').length") >= 1
            assert page.errors == []


async def test_the_keyboard_is_enough(page: Page, redis_url: str, sim: SimServer) -> None:
    focused = "document.activeElement"
    async with running(settings_for(sim, redis_url)) as (_, found):
        await open_page(page, found.http_url)
        await all_are_titled(page)
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
        await page.until("!location.href.includes('#')")  # going back takes its time
        assert page.errors == []


async def test_arrows_walk_the_list_and_the_way_back_closes_a_market(
    page: Page, redis_url: str, sim: SimServer
) -> None:
    focused = "document.activeElement"
    async with running(settings_for(sim, redis_url)) as (_, found):
        await open_page(page, found.http_url)
        await all_are_titled(page)
        await page.value("document.getElementById('q').focus()")
        await page.press("ArrowDown", 40)
        await page.press("ArrowDown", 40)
        second = await page.value(f"{focused}.textContent")
        assert second == await page.value(
            "document.querySelectorAll('#hits button')[1].textContent"
        )
        await page.press("Enter", 13)
        await page.until(f"{focused}.textContent === {second!r} && {focused}.id === 'market-title'")
        await page.value("history.back()")
        await page.until("document.getElementById('market').hidden")
        assert await page.value(f"{focused}.textContent") == second
        await page.value("history.forward()")
        await page.until("!document.getElementById('market').hidden")
        assert await page.value("document.getElementById('market-title').textContent") == second
        assert page.errors == []


async def test_a_hostile_title_is_text(page: Page, redis_url: str, sim: SimServer) -> None:
    """It is the market of the address, too, which comes to be known later than the page."""
    market = sim.kalshi_tickers[0]
    sim.faults.refuse_handshakes("kalshi", status=503, for_s=60.0)
    async with (
        running(settings_for(sim, redis_url, enrich__enabled="false")) as (_, found),
        Redis.from_url(redis_url) as client,
    ):
        await client.hset(f"market:{market}:meta", mapping={"title": HOSTILE})
        await page.open(f"{found.http_url}/#market={market}")
        await page.until(f"{BELIEVED} >= 20")
        assert await page.value("document.getElementById('market').hidden")
        sim.faults.clear()
        await page.until("!document.getElementById('market').hidden")
        shown = HOSTILE.replace("\u202e", "")
        assert await page.value("document.getElementById('market-title').textContent") == shown
        await page.value("document.getElementById('q').value = location.hash.split('=')[1]")
        await page.value(NEXT_SEARCH_FAILS)  # and is tried again
        await page.value("document.getElementById('search').requestSubmit()")
        titles = "[...document.querySelectorAll('#hits button')].map((b) => b.textContent)"
        await page.until(f"JSON.stringify({titles}) === JSON.stringify([{shown!r}])")
        assert await page.value("document.querySelectorAll('main img, main script').length") == 0
        assert await page.value("document.documentElement.scrollWidth") == 1_280
        sticking_out = "[...document.querySelectorAll('#market, #list')]"
        sticking_out += ".filter((e) => e.scrollWidth > e.clientWidth).length"
        assert await page.value(sticking_out) == 0
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
    async with running(settings_for(sim, redis_url)) as (_, found), matcher(redis_url):
        await open_page(page, found.http_url)
        await page.until(f"{pill('pairs')} === 'live'")
        await page.value("document.querySelectorAll('#hits button')[2].click()")
        await page.value("document.activeElement.blur()")  # no ring: nobody uses the keyboard here
        await page.until("document.querySelectorAll('#levels tr').length > 2")
        await page.value("document.getElementById('why').open = true")
        await page.until("document.getElementById('because').innerText.includes('live price')")
        assert await page.value("document.documentElement.scrollWidth") == width
        wide = "[...document.querySelectorAll('.wide')].some((e) => e.scrollWidth > e.clientWidth)"
        assert width < 390 or not await page.value(wide)
        assert await page.value(LOW_CONTRAST) == []
        assert await page.value(NAMELESS) == []
        assert await broken_rules(page) == []
        # What moves costs a processor of whoever looks.
        assert await page.value("document.getAnimations().length") == 0
        assert await page.value("getComputedStyle(document.body).colorScheme") == "light dark"
        assert page.errors == []
        await page.until("document.getElementById('market-title').innerText.includes('?')")
        if name == "narrow":
            await page.value("document.getElementById('close').click()")
            await page.value("scrollTo(0, 0)")
        if name != "least":
            await picture(page, name, after_s=25.0)
