"""`arbees-feed record` and `replay`: raw frames to disk, and back through the same decoders."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import typer

from arbees_feed import log
from arbees_feed.app.daemon import Daemon, Running
from arbees_feed.cli import incident
from arbees_feed.cli.options import ConfigFile, Overrides, run_until_stopped, settings_from
from arbees_feed.cli.output import put, say
from arbees_feed.cli.player import Player, play, tops
from arbees_feed.cli.recorder import Tape
from arbees_feed.cli.text import amount, quoted
from arbees_feed.cli.text import dollars as price_text
from arbees_feed.cli.waiting import stopped_within
from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR
from arbees_feed.errors import SettingsError
from arbees_feed.venues import VENUES


def record(
    folder: Path = typer.Argument(metavar="DIR", help="Where the files go; made if need be."),
    config: ConfigFile = None,
    override: Overrides = None,
    embedded: bool = typer.Option(
        False, "--embedded", help="Publish to a Redis-compatible server of our own."
    ),
    seconds: float | None = typer.Option(None, min=1, help="Stop after so long."),
) -> None:
    """Run the feed and keep every raw frame.

    There is one file for each venue, .jsonl.gz.

    \b
    Examples:
      arbees-feed record tapes --embedded --seconds 600
      arbees-feed record tapes --config config/feed.toml
    """
    settings = settings_from(config, override, {"redis.url": "embedded"} if embedded else None)
    log.set_up(settings.log)
    tape = Tape(folder, datetime.now(UTC))
    daemon = Daemon(settings, tap=tape.tap)
    run_until_stopped(lambda stop: _record(daemon, tape, seconds, stop))
    for line in tape.summary():
        put(line)
    tape.check()


async def _record(daemon: Daemon, tape: Tape, seconds: float | None, stop: asyncio.Event) -> None:
    def on_ready(running: Running) -> None:
        say(f"recording {', '.join(running.venues)}; redis: {running.redis_url}")

    async def end_in_time() -> None:
        if seconds is not None:
            await stopped_within(stop, seconds)
            stop.set()

    finished = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(tape.run(stop, finished))
        timing = group.create_task(end_in_time())
        try:
            await daemon.run(stop, on_ready)
        finally:
            timing.cancel()
            finished.set()
        await writing


def replay(
    file: Path = typer.Argument(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="A recording, frames one a line, or an incident's file.",
    ),
    config: ConfigFile = None,
    override: Overrides = None,
    venue: str = typer.Option(
        "", metavar="VENUE", help="kalshi or polymarket, where the file does not tell."
    ),
    limit: int = typer.Option(20, min=0, help="Show the last quotes of so many markets."),
    json: bool = typer.Option(False, "--json", help="One JSON object for each venue."),
) -> None:
    """Play recorded frames through the decoders.

    What they came to is printed. Lines may be of `record`, plain frames, or
    {"recv_ms": …, "event": {…}}; .gz too. The file of an incident (incidents.dir) is brought about
    again; the exit code is 1 if something else comes of it this time.

    \b
    Examples:
      arbees-feed replay tapes/kalshi-20261122T120000Z.jsonl.gz
      arbees-feed replay frames.jsonl --venue polymarket --json
      arbees-feed replay incidents/20261122T120000.123Z-kalshi-1-gap.incident.gz
    """
    if venue and venue not in VENUES:
        raise SettingsError(f"--venue {venue}: must be one of {', '.join(VENUES)}")
    settings_from(config, override, venue_needed=False)  # nothing of them matters here
    if incident.is_incident(file):
        _replay_incident(file, limit, json=json)
        return
    started_s = time.perf_counter()
    players = play(file, venue)
    took_s = time.perf_counter() - started_s
    for player in players:
        if json:
            report = {**_counters(player), "tops": tops(player)}
            put(msgspec.json.encode(report).decode())
        else:
            for line in _lines(player, limit):
                put(line)
    if not json:
        frames = sum(player.counters.frames for player in players)
        put(f"{frames:,} frames in {took_s:.2f} s, {frames / max(took_s, 1e-9):,.0f} a second")


def _counters(player: Player) -> dict[str, Any]:
    decoded, markets, counters = player.decoded(), player.table.stats, player.counters
    live = sum(market.is_shown_live for market in player.table)
    return {
        "venue": player.venue,
        "frames": counters.frames,
        "seconds": round((counters.last_ns - counters.first_ns) / 1e9, 3),
        "connections": counters.connections,
        "ended": counters.ended,
        "broken": counters.broken,
        "events": dict(player.events.most_common()),
        "markets": len(player.table),
        "live": live,
        "books": player.events["BookSnapshot"],
        "quotes": markets.quotes,
        "crossed": counters.crossed,
        "held": markets.held,
        "stale": markets.stale,
        "closed": markets.closed,
        "gaps": decoded.gaps,
        "duplicates": decoded.duplicates,
        "resets": decoded.resets,
        "outdated": decoded.stale_dropped,
        "malformed": decoded.malformed,
        "unknown_kinds": dict(decoded.unknown_kind_names),
        "venue_errors": decoded.venue_errors,
        "last_problem": decoded.last_problem,
    }


def _lines(player: Player, limit: int) -> Iterator[str]:
    for name, value in _counters(player).items():
        if isinstance(value, dict):
            text = ", ".join(f"{kind} {count:,}" for kind, count in value.items()) or "none"
        else:
            text = f"{value:,}" if isinstance(value, int) else str(value)
        yield f"{name.replace('_', ' '):<13} {text}".rstrip()
    quotes = tops(player)
    for quote in quotes[:limit]:
        bid, bid_size = quote["bid"] / ONE_DOLLAR, quote["bid_size"] / ONE_CONTRACT
        ask, ask_size = quote["ask"] / ONE_DOLLAR, quote["ask_size"] / ONE_CONTRACT
        last = None if quote["last_price"] is None else quote["last_price"] / ONE_DOLLAR
        yield (
            f"  {quote['status']:<6} bid {quoted(bid, bid_size)} x {amount(bid_size):<7}"
            f" ask {quoted(ask, ask_size)} x {amount(ask_size):<7}"
            f" last {price_text(last)} {quote['market_id']}"
        )
    if len(quotes) > limit:
        yield f"  … and {len(quotes) - limit:,} more markets (--limit)"


# -- incidents -------------------------------------------------------------------------------------


def _replay_incident(file: Path, limit: int, *, json: bool) -> None:
    again = incident.Reenactment(incident.load(file))
    again.run()
    told = incident.report(again)
    for line in [msgspec.json.encode(told).decode()] if json else _incident_lines(told, limit):
        put(line)
    if not told["reproduced"]:
        raise typer.Exit(1)


def _incident_lines(told: dict[str, Any], limit: int) -> Iterator[str]:
    concerns = told["market"] or "the whole connection"
    yield f"{told['kind']} on {told['connection']}, {_clock(told['at_ns'])}: {concerns}"
    yield f"  {told['reason']}"
    missing = "; some book has no start among them" if told["cut"] else ""
    yield f"{told['frames']:,} frames{', from the first' if told['whole'] else ''}{missing}"
    yield "decisions:"
    for made in told["decisions"][-limit:] if limit else ():
        yield f"  {_clock(made['at_ns'])} {made['what']:<10} {made['market']} {made['detail']}"
    yield "this time:"
    for made in told["came_out"]:
        yield f"  frame {made['frame']:,}: {made['reason']}"
    for book in told["books"]:
        bid, ask = max(book["bids"], default=None), min(book["asks"], default=None)
        yield (
            f"  {book['market']}: {book['state']}, {len(book['bids'])} bids {_level(bid)},"
            f" {len(book['asks'])} asks {_level(ask)}"
        )
    if told["reproduced"]:
        yield "reproduced"
    else:
        yield f"differs: {'; '.join(told['differences'])}"


def _clock(at_ns: int) -> str:
    seconds, ns = divmod(at_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}.{ns // 1_000_000:03}"


def _level(level: tuple[int, int] | None) -> str:
    if level is None:
        return "(none)"
    return f"(best {level[0] / ONE_DOLLAR:g} x {amount(level[1] / ONE_CONTRACT)})"
