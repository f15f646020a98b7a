"""`arbees-feed sim`: simulated venues to rehearse on."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from arbees_feed.cli.options import ConfigFile, Overrides, run_until_stopped, settings_from
from arbees_feed.cli.waiting import until
from arbees_feed.errors import FatalError, SettingsError
from arbees_feed.sim import SCENARIOS, SimConfig, SimServer, Step, rehearse, schedule, serve
from arbees_feed.sim.scenarios import END


def sim(
    *,
    config: ConfigFile = None,
    override: Overrides = None,
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    kalshi_port: int = typer.Option(9701, help="Port of the simulated Kalshi; 0: any."),
    polymarket_port: int = typer.Option(9702, help="Port of the simulated Polymarket; 0: any."),
    markets: int = typer.Option(20, min=0, help="Markets on each venue."),
    rate: float = typer.Option(200.0, min=0.0, help="Changes a second, over all markets."),
    seed: int = typer.Option(1, help="The same seed makes the same markets."),
    pairs: bool = typer.Option(True, help="Let some questions be asked on both venues."),
    key_file: Path | None = typer.Option(
        None, help="Write to this file the private key that a feed needs to log in at Kalshi's."
    ),
    scenario: list[str] | None = typer.Option(
        None, metavar="NAME", help="Let this go wrong, again and again; several: repeat, or a,b,c."
    ),
    fault_every: float = typer.Option(
        20.0, min=0.1, help="Seconds from one fault of a scenario to the next."
    ),
) -> None:
    """Serve simulated Kalshi and Polymarket.

    Both with WebSocket and REST, on loopback. The lines that it prints are the settings of a feed
    that follows these venues. With --scenario things go wrong, the same for the same seed; a line
    beginning with # tells of each fault (times are UTC), and another one of its end.

    \b
    Scenarios:
      freeze         A venue sends no data, while pings and answers go on.
      market-freeze  One market is silent, its siblings go on.
      gap            Book frames of a market are lost.
      dup            Book frames come twice.
      reorder        Two book frames of a market swap places.
      reset          Kalshi's sequence numbers fall back to 1.
      flap           Sockets are closed and cut, and new ones refused for a while.
      black-hole     Sockets stay open and dead; new handshakes hang or end dead too.
      garbage        Frames come that no client expects.
      drift          Fields are renamed, added, left out, or all prices are zero.
      slow           Frames come later and later; REST answers late.
      rest-storm     REST fails, answers 429, HTML, old books or ghosts, or not at all.
      errors         Kalshi ends subscriptions and refuses commands; some get no answer.
      wrong-hash     Polymarket's hashes are wrong, or right beside a wrong level.
      crossed        A book is crossed for a moment, or until a whole one comes.
      tick-change    Polymarket gives a market another tick.
      time-jump      A venue's clock is wrong, ahead or behind.
      end-of-life    Markets open, and end.
      storm          All of these at random; only new markets end.

    \b
    Examples:
      arbees-feed sim --key-file /tmp/sim.pem
      arbees-feed sim --markets 500 --rate 5000 --kalshi-port 0 --polymarket-port 0
      arbees-feed sim --scenario freeze,gap --fault-every 60
      arbees-feed sim --scenario storm --fault-every 5 --seed 7
    """
    settings_from(config, override, venue_needed=False)  # nothing here is set by them
    sim_config = SimConfig(
        seed=seed, kalshi_markets=markets, polymarket_markets=markets, rate=rate, pairs=pairs
    )
    rehearsal = rehearsal_of(scenario_names(scenario), seed, fault_every)

    async def main(stop: asyncio.Event) -> None:
        serving = serve(
            sim_config,
            host=host,
            kalshi_port=kalshi_port,
            polymarket_port=polymarket_port,
            on_ready=lambda server: announce(server, key_file),
            rehearsal=rehearsal,
        )
        await until(stop, serving)

    serve_until_stopped(main)


def serve_until_stopped(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        FatalError: there is no listening on the address.
    """
    try:
        run_until_stopped(main)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise FatalError(f"cannot serve: {exc.strerror or exc}") from exc


def announce(server: SimServer, key_file: Path | None) -> None:
    """Write the key and print the settings, now that the ports are known."""
    if key_file is not None:
        write_key(key_file, server.credentials.private_key_pem)
    for line in settings_lines(server, key_file):
        print(line, flush=True)


def rehearsal_of(
    names: list[str], seed: int, every_s: float
) -> Callable[[SimServer], Awaitable[None]] | None:
    """Return what plays the scenarios; None if there are none."""

    async def rehearsal(server: SimServer) -> None:
        try:
            steps = schedule(names, server.market_ids, seed=seed, every_s=every_s)
        except ValueError as exc:
            raise SettingsError(f"--scenario: {exc}") from None
        await rehearse(server, steps, on_step=print_step)

    return rehearsal if names else None


def scenario_names(given: list[str] | None) -> list[str]:
    """Return the named scenarios, in order.

    Raises:
        BadParameter: there is no such scenario.
    """
    names = [name.strip() for text in given or () for name in text.split(",") if name.strip()]
    for name in names:
        if name not in SCENARIOS:
            known = ", ".join(SCENARIOS)
            raise typer.BadParameter(f"no scenario {name!r}; there are {known}")
    return names


def print_step(step: Step, problem: str) -> None:
    """Print a line about a fault that begins or ends."""
    print(step_line(step, problem, datetime.now(UTC)), flush=True)


def step_line(step: Step, problem: str, now: datetime) -> str:
    """Return when what happened to whom; a comment, so that the settings before it can be read."""
    about = "".join(f" {k}={v}" for k, v in step.arguments.items() if k != "fault")
    ends = "end " if step.action == END else ""
    line = f"# {now:%H:%M:%S} {ends}{step.fault}{about}"
    return f"{line} ({problem})" if problem else line


def write_key(path: Path, pem: str) -> None:
    """Write a private key to a file that only its owner can read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(pem)


def settings_lines(server: SimServer, key_file: Path | None) -> list[str]:
    """Return the environment that points the feed at the simulated venues."""
    lines = [
        f"ARBEES_KALSHI__WS_URL={server.kalshi_ws_url}",
        f"ARBEES_KALSHI__REST_URL={server.kalshi_rest_url}",
        f"ARBEES_KALSHI__API_KEY_ID={server.credentials.api_key_id}",
    ]
    if key_file is not None:
        lines.append(f"ARBEES_KALSHI__PRIVATE_KEY_PATH={key_file}")
    lines += [
        f"ARBEES_POLYMARKET__WS_URL={server.polymarket_ws_url}",
        f"ARBEES_POLYMARKET__GAMMA_URL={server.gamma_url}",
        f"ARBEES_POLYMARKET__CLOB_URL={server.clob_url}",
    ]
    return lines
