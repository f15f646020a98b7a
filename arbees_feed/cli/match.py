"""`arbees-feed match`: brings the venues together, and tells how well that is done."""

import asyncio
import csv
import gzip
import io
import json as jsons
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from arbees_feed import log
from arbees_feed.cli.lookalikes import Suggested, read_look_alikes
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
from arbees_feed.core.text import clean
from arbees_feed.errors import SettingsError
from arbees_feed.matching.evaluate import CLAIMED, Report, Score, judge_rows, report
from arbees_feed.matching.labelled import Row, is_tuning, row_of
from arbees_feed.pairs import process
from arbees_feed.pairs.mapping import COLUMNS

LEGEND = (
    "PAIRS: labelled same or inverted; FOUND: those of them that are confirmed;",
    "OTHERS: labelled different; WRONG: those of them that are confirmed;",
    "TURNED: found with the wrong polarity; LOW: the lower end of the 95 % interval",
    "(Wilson) of the rate before it. A category with * is one that the matcher",
    "claims to read. A grade is counted as if it alone were taken for a pair.",
    "Rows labelled unsure do not count.",
)
_CLAIMED = " *"
_WIDTH = 80
_NAME_WIDTH = 24
_COLUMNS = ("PAIRS", "FOUND", "RECALL", "LOW", "OTHERS", "WRONG", "TURNED", "PREC", "LOW")
_NO_RATE = ("-", "-")

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
    `pair:<pair_id>:price`. One process serves one Redis and prefix: a second one
    ends with exit code 1.

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
    """Judge labelled pairs, and say how often that is right: by category, trap, grade and part.

    Six tenths of the rows are the part on which the matcher was tuned, the rest is untouched; rows
    of one group are in one part. A row is `{id, kalshi{ticker, title, ...}, polymarket{question,
    ...}, label, category, tags, group}`; labels are same, inverted, different and unsure.

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
            if one.confirmed and (not one.is_right or one.is_turned):
                put(f"{one.row.row_id}\t{one.row.label}\t{one.verdict.polarity}")
    made = report(judged)
    if json:
        put(msgspec.json.encode(_numbers(made)).decode())
    else:
        _draw(made)


@match.command()
def suggest(
    config: ConfigFile = None,
    override: Overrides = None,
    look_alikes: bool = typer.Option(
        False, "--look-alikes", help="Also markets in no pair whose titles are alike."
    ),
    limit: int = typer.Option(500, min=1, help="So many look-alikes at most, the likest first."),
) -> None:
    """Print probable pairs as lines for the mapping file, for a person to decide on.

    Each line says `forbid`; change it into `confirm` or `add` where it is a pair. A look-alike has
    no polarity: write `same` or `inverted` beside `add`. About half of them are the same question.

    \b
    Examples:
      arbees-feed match suggest > pairs.csv
      arbees-feed match suggest --look-alikes --limit 100 > pairs.csv
    """
    settings = settings_from(config, override, venue_needed=False)
    quiet_log()

    async def read() -> tuple[list[Shown], list[Suggested]]:
        known = await read_pairs(settings)
        return known, await read_look_alikes(settings, known, limit) if look_alikes else []

    found = run_until_stopped(lambda stop: until(stop, read()))
    if found is None:
        return  # stopped
    known, alike = found
    probable = [pair for pair in known if pair.fields.get("grade") == "probable"]
    put(",".join(COLUMNS))
    for pair in probable:
        told = [pair.fields.get(name, "") for name in ("kalshi_id", "polymarket_id", "polarity")]
        put(_line(*told, _note(pair)))
    for one in alike:
        put(_line(one.kalshi, one.polymarket, "", one.note))
    more = f", {len(alike):,} look-alikes" if look_alikes else ""
    say(f"{len(probable):,} probable pairs{more}")


def _line(*told: str) -> str:
    """Return a line that forbids a pair: Kalshi's id, Polymarket's, polarity and note."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["forbid", *told])
    return line.getvalue()


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
        "claimed": sorted(CLAIMED),
        "categories": {name: _score(score) for name, score in made.by_category.items()},
        "traps": {name: _score(score) for name, score in made.by_tag.items()},
        "grades": {name: _score(score) for name, score in made.by_grade.items()},
        "parts": {name: _score(score) for name, score in made.by_part.items()},
    }


def _score(score: Score) -> dict[str, float]:
    rates = {
        "precision": score.precision, "precision_low": score.precision_low,
        "recall": score.recall, "recall_low": score.recall_low,
    }  # fmt: skip
    counts = msgspec.structs.asdict(score)
    return {**counts, **{name: round(rate, 4) for name, rate in rates.items()}}


def _draw(made: Report) -> None:
    console = Console(width=_WIDTH)
    categories = {f"{name}{_CLAIMED * (name in CLAIMED)}": score
                  for name, score in sorted(made.by_category.items())}  # fmt: skip
    parts = dict(sorted(made.by_part.items())) if len(made.by_part) > 1 else {}
    sections = (
        ("CATEGORY", categories), ("TRAP", dict(sorted(made.by_tag.items()))),
        ("GRADE", made.by_grade), ("PART", {**parts, "all": made.total}),
    )  # fmt: skip
    for header, scores in sections:
        console.print(_table(header, scores))
        console.print()
    for line in LEGEND:
        put(line)


def _table(header: str, scores: Mapping[str, Score]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(header, no_wrap=True, min_width=_NAME_WIDTH, max_width=_NAME_WIDTH)
    for column in _COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for name, score in scores.items():
        recall = (f"{score.recall:.2f}", f"{score.recall_low:.2f}") if score.positives else _NO_RATE
        told = score.found + score.wrong
        precision = (f"{score.precision:.3f}", f"{score.precision_low:.3f}") if told else _NO_RATE
        table.add_row(
            clean(name, _NAME_WIDTH), str(score.positives), str(score.found), *recall,
            str(score.negatives), str(score.wrong), str(score.turned), *precision,
        )  # fmt: skip
    return table
