"""`arbees-feed match`: brings the venues together, and tells how well that is done."""

import asyncio
import csv
import gzip
import io
import json as jsons
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from arbees_feed import log
from arbees_feed.cli.options import (
    ConfigFile,
    Overrides,
    quiet_log,
    run_until_stopped,
    settings_from,
)
from arbees_feed.cli.output import put, say
from arbees_feed.cli.pairs import Shown, read_pairs
from arbees_feed.cli.waiting import until
from arbees_feed.errors import SettingsError
from arbees_feed.matching.evaluate import Report, Score, judge_rows, report
from arbees_feed.matching.labelled import Row, is_tuning, row_of
from arbees_feed.pairs import process
from arbees_feed.pairs.mapping import COLUMNS

match = typer.Typer(
    help="Bring together the markets of two venues that ask the same question.",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@match.command()
def run(config: ConfigFile = None, override: Overrides = None) -> None:
    """Find pairs and price them until SIGTERM or SIGINT, beside a running feed.

    It reads metadata and prices from Redis, and writes `pair:<pair_id>` and
    `pair:<pair_id>:price`. One process serves one Redis and prefix.

    \b
    Examples:
      arbees-feed match run
      arbees-feed match run --set pairs.mapping=pairs.csv
    """
    settings = settings_from(config, override, venue_needed=False)
    log.set_up(settings.log)

    async def main(stop: asyncio.Event) -> None:
        await process.run(settings, stop)

    run_until_stopped(main)


@match.command()
def evaluate(
    file: Path = typer.Argument(..., metavar="FILE", help="Labelled pairs, JSON lines (or .gz)."),
    part: str = typer.Option("all", help="all, tuning or untouched: by the hash of the group."),
    json: bool = typer.Option(False, "--json", help="One JSON object."),
    errors: bool = typer.Option(False, "--errors", help="Print each wrong verdict."),
) -> None:
    """Judge labelled pairs, and say how often that is right: by category and by trap.

    A row is `{id, kalshi{ticker, title, ...}, polymarket{question, ...}, label, category, tags,
    group}`; labels are same, inverted, different and unsure.

    \b
    Examples:
      arbees-feed match evaluate pairs.jsonl.gz
      arbees-feed match evaluate pairs.jsonl.gz --part untouched --json
    """
    rows = [row for row in _rows(file) if _is_in(part, row)]
    if not rows:
        raise SettingsError(f"{file}: no rows in part {part}")
    judged = list(judge_rows(rows))
    if errors:
        for one in judged:
            if one.verdict.confirmed and (not one.is_right or one.is_turned):
                put(f"{one.row.row_id}\t{one.row.label}\t{one.verdict.polarity}")
    made = report(judged)
    if json:
        put(msgspec.json.encode(_numbers(made)).decode())
    else:
        _draw(made)


@match.command()
def suggest(config: ConfigFile = None, override: Overrides = None) -> None:
    """Print probable pairs as lines for the mapping file, for a person to decide on.

    Each line says `forbid`; change it into `confirm` or `add` where it is a pair.

    \b
    Examples:
      arbees-feed match suggest > pairs.csv
    """
    settings = settings_from(config, override, venue_needed=False)
    quiet_log()
    found = run_until_stopped(lambda stop: until(stop, read_pairs(settings)))
    if found is None:
        return  # stopped
    probable = [pair for pair in found if pair.fields.get("grade") == "probable"]
    put(",".join(COLUMNS))
    for pair in probable:
        line = io.StringIO()
        ids = [pair.fields.get(name, "") for name in ("kalshi_id", "polymarket_id", "polarity")]
        csv.writer(line, lineterminator="").writerow(["forbid", *ids, _note(pair)])
        put(line.getvalue())
    say(f"{len(probable):,} probable pairs")


def _note(pair: Shown) -> str:
    """Return what a person needs to decide: both questions, and what is open."""
    reasons = pair.fields.get("reasons", "").split("; ")
    opens = [reason for reason in reasons if reason and " agrees: " not in reason]
    conflicts = filter(None, [pair.fields.get("conflicts", "")])
    return "; ".join([f"{pair.question} | {pair.theirs}", *opens, *conflicts])


# -- labelled pairs --------------------------------------------------------------------------------


def _rows(file: Path) -> Iterator[Row]:
    try:
        data = file.read_bytes()
        text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise SettingsError(f"{file}: cannot be read: {reason}") from exc
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.strip():
                yield row_of(jsons.loads(line))
        except (ValueError, TypeError, AttributeError) as exc:
            raise SettingsError(f"{file}:{number}: not a labelled pair: {exc}") from exc


def _is_in(part: str, row: Row) -> bool:
    match part:
        case "all":
            return True
        case "tuning":
            return is_tuning(row.group)
        case "untouched":
            return not is_tuning(row.group)
        case _:
            raise SettingsError(f"--part {part}: must be all, tuning or untouched")


def _numbers(made: Report) -> dict[str, object]:
    return {
        "total": _score(made.total),
        "categories": {name: _score(score) for name, score in made.by_category.items()},
        "traps": {name: _score(score) for name, score in made.by_tag.items()},
    }


def _score(score: Score) -> dict[str, float]:
    counts = msgspec.structs.asdict(score)
    rates = (("precision", score.precision), ("precision_low", score.precision_low))
    return {**counts, **{name: round(rate, 4) for name, rate in rates}, "recall": score.recall}


def _draw(made: Report) -> None:
    console = Console(width=None if sys.stdout.isatty() else 110)
    sections = (("CATEGORY", made.by_category), ("TRAP", made.by_tag))
    for header, scores in (*sections, ("", {"all": made.total})):
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        table.add_column(header, no_wrap=True, min_width=28)
        for column in ("PAIRS", "FOUND", "RECALL", "OTHERS", "WRONG", "TURNED", "PRECISION >="):
            table.add_column(column, justify="right", no_wrap=True)
        for name, score in sorted(scores.items()):
            low = f"{score.precision_low:.3f}" if score.found + score.wrong else "-"
            recall = f"{score.recall:.2f}" if score.positives else "-"
            cells = (score.positives, score.found, recall, score.negatives, score.wrong)
            table.add_row(name, *(str(cell) for cell in cells), str(score.turned), low)
        console.print(table)
        console.print()
