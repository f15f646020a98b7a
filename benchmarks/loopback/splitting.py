"""A process for both venues, against one for each: what the second core is worth."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from loopback.pairs import polymarket_play
from loopback.processes import all_followed, bench, books_of
from loopback.report import Row
from loopback.sections import SETTLE_S, Options

KALSHI_FRAMES = 30_000
POLYMARKET_FRAMES = 20_000
"""About as much work as the others."""


def processes(options: Options) -> Sequence[Row]:
    """Frames of both venues flat out, until a subscriber has the last price of each."""
    one, two = (_per_s(options, split=split) for split in (False, True))
    text = f"{two / one:.2f} x ({one:,.0f} to {two:,.0f} frames/s, all on two cores)"
    values = {"one_per_s": one, "two_per_s": two}
    return [Row("processes", "a process for each venue, to one for both", "", text, None, values)]


def _per_s(options: Options, *, split: bool) -> float:
    with bench(options.tree) as run:
        kalshi = run.venue("tops", 1_000, KALSHI_FRAMES)
        plays = options.rounds + 1
        polymarket, settings, mark = polymarket_play(run, POLYMARKET_FRAMES * plays)
        on = {"kalshi.enabled": "true"}
        if split:
            run.feed(kalshi, books_of(kalshi))
            run.feed(polymarket, settings, "second")
        else:
            run.feed(kalshi, books_of(kalshi, **{**settings, **on}))
        for played in (kalshi, polymarket):
            all_followed(played)
        ends = (run.marks(), run.marks(mark))
        time.sleep(SETTLE_S + 2)
        took_s = []
        with ThreadPoolExecutor(len(ends)) as pool:
            for _ in range(plays):
                for end in ends:
                    end.clear()
                began_s = time.monotonic()
                pool.submit(kalshi.call, "play", KALSHI_FRAMES, None)
                pool.submit(polymarket.call, "play", POLYMARKET_FRAMES, None)
                for waited in [pool.submit(end.wait) for end in ends]:
                    waited.result()
                took_s.append(time.monotonic() - began_s)
        return (KALSHI_FRAMES + POLYMARKET_FRAMES) / median(took_s[1:])
