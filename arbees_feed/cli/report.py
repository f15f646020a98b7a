"""The demo in plain lines: one a second, and a summary at the end."""

from collections import Counter
from collections.abc import Iterator, Sequence

from arbees_feed.cli.board import Board
from arbees_feed.cli.latency import Durations
from arbees_feed.cli.text import ms


def progress_line(board: Board) -> str:
    """Say how things stand in one line."""
    venues = "  ".join(
        f"{venue} {word} {line.fields.get('markets_live', '0')} markets"
        f" {line.price_rate.per_s():,.0f}/s"
        for (venue, line), (word, _) in zip(
            board.venues.items(), board.conditions().values(), strict=True
        )
    )
    return (
        f"{board.elapsed_s():4.0f} s  {venues}  feed to here {_both(board.latency.lately())}"
        f"  gaps {_sum(board, 'gaps')}  stale {_sum(board, 'stale')}"
    )


def summary_lines(board: Board) -> Iterator[str]:
    """Yield what the run came to."""
    elapsed_s = board.elapsed_s()
    prices = board.totals.prices
    counts = Counter(row.price.platform for row in board.rows.values())
    per_venue = ", ".join(f"{venue} {counts[venue]}" for venue in board.venues)
    yield f"ran                 {elapsed_s:.1f} s"
    yield f"markets             {per_venue}"
    yield f"prices published    {prices:,} ({prices / elapsed_s if elapsed_s else 0:,.0f} a second)"
    yield (f"feed to subscriber  {_both(board.latency.total)}  (since the feed read the frame)")
    yield (
        f"tick to subscriber  {_both(board.tick_latency.total)}  (since the venue's time, whole ms)"
    )
    yield f"gaps                {_sum(board, 'gaps')}"
    yield f"stale               {_sum(board, 'stale')}"


def silent_venues(board: Board) -> Sequence[str]:
    """Return the venues that gave no live price."""
    return [
        venue
        for venue in board.venues
        if not any(
            row.price.platform == venue and row.price.status == "live"
            for row in board.rows.values()
        )
    ]


def _both(durations: Durations) -> str:
    p50, p99 = durations.percentile_ms(50), durations.percentile_ms(99)
    return f"p50 {ms(p50)} ms, p99 {ms(p99)} ms"


def _sum(board: Board, counter: str) -> int:
    return sum(line.count(counter) for line in board.venues.values())
