"""`arbees-feed sim`: simulated venues to rehearse on."""

import asyncio
from pathlib import Path

import typer

from arbees_feed.cli.options import ConfigFile, Overrides, run_until_stopped, settings_from
from arbees_feed.cli.waiting import until
from arbees_feed.errors import FatalError
from arbees_feed.sim import SimConfig, SimServer, serve


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
    key_file: Path | None = typer.Option(
        None, help="Write the private key that the simulated Kalshi accepts to this file."
    ),
) -> None:
    """Serve simulated Kalshi and Polymarket.

    Both with WebSocket and REST, on loopback. The lines that it prints are the settings of a feed
    that follows these venues.

    \b
    Examples:
      arbees-feed sim --key-file /tmp/sim.pem
      arbees-feed sim --markets 500 --rate 5000 --kalshi-port 0 --polymarket-port 0
    """
    settings_from(config, override, venue_needed=False)  # nothing here is set by them
    sim_config = SimConfig(seed=seed, kalshi_markets=markets, polymarket_markets=markets, rate=rate)

    def on_ready(server: SimServer) -> None:
        if key_file is not None:
            write_key(key_file, server.credentials.private_key_pem)
        for line in settings_lines(server, key_file):
            print(line, flush=True)

    async def main(stop: asyncio.Event) -> None:
        serving = serve(
            sim_config,
            host=host,
            kalshi_port=kalshi_port,
            polymarket_port=polymarket_port,
            on_ready=on_ready,
        )
        await until(stop, serving)

    try:
        run_until_stopped(main)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise FatalError(f"cannot serve: {exc.strerror or exc}") from exc


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
