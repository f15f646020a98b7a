"""`arbees-feed check`: would `run` work? Each thing it needs is tried, and told in one line."""

import asyncio

import msgspec
import typer

from arbees_feed.cli.options import (
    ConfigFile,
    Overrides,
    quiet_log,
    run_until_stopped,
    settings_from,
)
from arbees_feed.cli.output import put
from arbees_feed.cli.probes import KEY, Finding, probe_all
from arbees_feed.cli.waiting import until

BAD_SETTINGS = 2
_WORDS = {True: "OK", False: "FAIL", None: "WARN"}


def check(
    config: ConfigFile = None,
    override: Overrides = None,
    json: bool = typer.Option(False, "--json", help="One JSON object a line."),
) -> None:
    """Try everything that `run` needs.

    That is: settings, keys, Redis, the venues' WebSockets and REST, the HTTP port.
    Exit code 0 only if `run` would work. WARN is something that can wait, such as a second
    address that does not answer.

    \b
    Examples:
      arbees-feed check
      arbees-feed check --config config/feed.toml
      arbees-feed check --json | jq -c 'select(.ok == false)'
    """
    settings = settings_from(config, override)
    quiet_log()
    found: list[Finding] = []

    def tell(finding: Finding) -> None:
        found.append(finding)
        if json:
            put(msgspec.json.encode(finding).decode())
        else:
            put(line_of(finding))

    async def main(stop: asyncio.Event) -> None:
        if await until(stop, probe_all(settings, tell)) is None:
            raise typer.Exit(1)

    run_until_stopped(main)
    failed = {finding.what for finding in found if finding.ok is False}
    if KEY in failed:
        raise typer.Exit(BAD_SETTINGS)
    if failed:
        raise typer.Exit(1)


def line_of(finding: Finding) -> str:
    """Return a finding as a line for people."""
    ms = "" if finding.ms is None else f"{finding.ms:.1f} ms"
    # Errors mostly name the address themselves.
    told = not finding.where or finding.where in finding.detail
    detail = finding.detail if told else f"{finding.where}: {finding.detail}"
    return f"{_WORDS[finding.ok]:<4}  {finding.what:<20} {ms:>9}  {detail}"
