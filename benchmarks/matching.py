"""How well and how fast questions are matched: labelled pairs, listings of a week, and size.

    python benchmarks/matching.py evaluate [--part tuning|untouched] [--errors]
    python benchmarks/matching.py listings [--sample N]
    python benchmarks/matching.py size [--kalshi N] [--polymarket N]

The data are not part of the project: `ARBEES_MATCHING` names their folder, or they lie in
`matching` beside the folder that `ARBEES_CORPUS` names.
"""

import argparse
import gzip
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from arbees_feed.matching.evaluate import Judged, Report, Score, judge_rows, report
from arbees_feed.matching.index import Index
from arbees_feed.matching.kalshi import parse_kalshi
from arbees_feed.matching.labelled import Row, is_tuning, row_of
from arbees_feed.matching.listing import KalshiListing, PolymarketListing
from arbees_feed.matching.polymarket import parse_polymarket


def folder() -> Path:
    """Return the folder of the data, or end with a word of what is missing."""
    named = os.environ.get("ARBEES_MATCHING")
    corpus = os.environ.get("ARBEES_CORPUS")
    found = Path(named) if named else Path(corpus).parent / "matching" if corpus else None
    if found is None or not (found / "pairs.jsonl.gz").exists():
        sys.exit("no data: set ARBEES_MATCHING to the folder of pairs.jsonl.gz")
    return found


def records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a gzipped file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def rows(part: str) -> list[Row]:
    """Return the labelled pairs of a part."""
    all_rows = [row_of(record) for record in records(folder() / "pairs.jsonl.gz")]
    return [row for row in all_rows if is_tuning(row.group) == (part == "tuning")]


def line(name: str, score: Score) -> str:
    """Return one line of the table."""
    return (
        f"{name:28} {score.positives:5} {score.found:5} {score.recall:6.2f} {score.negatives:6} "
        f"{score.wrong:5} {score.turned:6} {score.unsure:6} {score.precision_low:8.4f}"
    )


def show(made: Report) -> None:
    """Print the tables."""
    head = f"{'':28} pairs found recall others wrong turned unsure prec.low"
    print(head)
    print(line("all", made.total))
    print("by category")
    for name, score in sorted(made.by_category.items()):
        print(line(name, score))
    print("by trap")
    for name, score in sorted(made.by_tag.items()):
        print(line(name, score))
    print("grades", dict(sorted(made.grades.items())))


def is_error(one: Judged, *, missed: bool) -> bool:
    """Return whether *one* is a wrong or turned match, or (where wanted) a missed one."""
    if one.verdict.confirmed:
        return not one.is_right or one.is_turned
    return missed and one.is_right


def evaluate(part: str, *, errors: str) -> None:
    """Print the scores of *part*, and its errors; those of the untouched part are not shown."""
    judged = list(judge_rows(rows(part)))
    show(report(judged))
    if errors and part == "tuning":
        for one in judged:
            if is_error(one, missed=errors == "missed") and errors:
                print(f"\n{one.row.label} {one.row.category} {one.verdict.grade}"
                      f" {one.verdict.polarity} {','.join(one.row.tags)}")  # fmt: skip
                print(" K", one.row.kalshi.market_id, "|", one.row.kalshi.title)
                print(" P", one.row.polymarket.title, "|", one.row.polymarket.event_title)
                for reason in one.verdict.reasons:
                    print("    ", reason.text())


def kalshi_listing(record: dict[str, Any]) -> KalshiListing:
    """Return a market of the listings."""
    event = str(record.get("event_id") or "").rpartition(":")[2]
    return KalshiListing(
        market_id=record["id"],
        title=record.get("title") or "",
        yes_sub_title=record.get("sub") or "",
        event_id=event or record["id"].rpartition("-")[0],
        event_title=record.get("event_title") or "",
        rules=record.get("rules") or "",
        open_time=record.get("open") or "",
        close_time=record.get("close") or "",
    )


def polymarket_listing(record: dict[str, Any]) -> PolymarketListing:
    """Return a market of the listings."""
    outcomes = record.get("outcomes") or ()
    named = json.loads(outcomes) if isinstance(outcomes, str) else outcomes
    start = record.get("start") or "" if record.get("type") else ""
    return PolymarketListing(
        market_id=record["id"],
        title=record.get("title") or "",
        slug=record.get("slug") or ("" if record["id"].startswith("0x") else record["id"]),
        event_id=str(record.get("event_id") or ""),
        event_title=record.get("event_title") or "",
        event_slug=record.get("event_slug") or "",
        rules=record.get("rules") or "",
        end_time=record.get("close") or "",
        game_start=start.replace(" ", "T").replace("+00", "Z"),
        market_type=record.get("type") or "",
        outcomes=tuple(named),
    )


def fullest(records: Iterator[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the records by id; of several snapshots of one market the one that tells most."""
    held: dict[str, dict[str, Any]] = {}
    for record in records:
        if len(str(record)) > len(str(held.get(record["id"], ""))):
            held[record["id"]] = record
    return held


def listings() -> tuple[list[KalshiListing], list[PolymarketListing]]:
    """Return the markets of all listings, each once."""
    held: dict[str, dict[str, dict[str, Any]]] = {}
    for venue in ("kalshi", "polymarket"):
        files = sorted((folder() / "listings").glob(f"*_{venue}*.jsonl.gz"))
        held[venue] = fullest(record for file in files for record in records(file))
    return (
        [kalshi_listing(record) for record in held["kalshi"].values()],
        [polymarket_listing(record) for record in held["polymarket"].values()],
    )


def run_listings(sample: int) -> None:
    """Match the listings with each other and print a sample of confirmed pairs with reasons."""
    ours, theirs = listings()
    titles = {one.market_id: one.title for one in ours}
    titles.update({one.market_id: one.title for one in theirs})
    index = Index()
    for frame in (*map(parse_kalshi, ours), *map(parse_polymarket, theirs)):
        index.add(frame)
    pairs = list(index.pairs())
    confirmed = [pair for pair in pairs if pair.verdict.confirmed]
    print(f"{len(ours)} Kalshi, {len(theirs)} Polymarket, {len(pairs)} candidates")
    print("grades", Counter(pair.verdict.grade for pair in pairs))
    print("kinds of confirmed", Counter(pair.kalshi.get("kind") for pair in confirmed))
    chosen = (
        random.Random(1).sample(confirmed, min(sample, len(confirmed))) if sample else confirmed
    )
    for pair in chosen:
        verdict = pair.verdict
        print(f"\n{verdict.grade} {verdict.polarity} {', '.join(verdict.conflicts)}")
        print(" K", pair.kalshi.market_id, "|", titles[pair.kalshi.market_id])
        print(" P", pair.polymarket.market_id[:20], "|", titles[pair.polymarket.market_id])
        for reason in verdict.reasons:
            print("    ", reason.text())


Listing = TypeVar("Listing", KalshiListing, PolymarketListing)


def copies(many: list[Listing], count: int, year: int) -> Iterator[Listing]:
    """Yield *count* listings of the forms of *many*, each round with ids and years of its own.

    The year in all texts moves on with each round, so that blocks stay as large as real ones.
    """
    for number in range(count):
        one, turn = many[number % len(many)], number // len(many)
        later = str(year + turn)
        moved = {
            name: getattr(one, name)
            .replace(str(year), later)
            .replace(f"-{year % 100}", f"-{later[2:]}")
            for name in ("title", "event_id", "rules", "slug", "event_slug", "end_time")
            if hasattr(one, name)
        }
        yield msgspec.structs.replace(one, market_id=f"{one.market_id}~{turn}", **moved)


def run_size(kalshi: int, polymarket: int) -> None:
    """Measure a first pass over many markets, and then each of some new ones."""
    ours, theirs = listings()
    many = list(copies(ours, kalshi, 2026)), list(copies(theirs, polymarket, 2026))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    index = Index()
    for frame in (*map(parse_kalshi, many[0]), *map(parse_polymarket, many[1])):
        index.add(frame)
    parsed = time.process_time()
    grades = Counter(pair.verdict.grade for pair in index.pairs())
    ended = time.process_time()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{len(index)} markets, {sum(grades.values())} pairs {dict(grades)}, {grown:.0f} MB")
    print(f"processor time: parsed {parsed - started:.1f} s, judged {ended - parsed:.1f} s")
    some = random.Random(2).sample(many[1], 2000)
    times = sorted(one_market(index, listing) for listing in some)
    print(f"one market: median {times[1000] * 1e3:.2f} ms, 99 % {times[1980] * 1e3:.2f} ms, "
          f"most {times[-1] * 1e3:.2f} ms")  # fmt: skip


def one_market(index: Index, listing: PolymarketListing) -> float:
    """Return the processor seconds of a changed market from its texts to its verdicts."""
    fresh = msgspec.structs.replace(listing, title=listing.title + " ")
    started = time.process_time()
    index.verdicts(parse_polymarket(fresh))
    return time.process_time() - started


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    evaluation = commands.add_parser("evaluate")
    evaluation.add_argument("--part", choices=("tuning", "untouched"), default="tuning")
    evaluation.add_argument("--errors", choices=("wrong", "missed", ""), default="")
    commands.add_parser("listings").add_argument("--sample", type=int, default=0)
    size = commands.add_parser("size")
    size.add_argument("--kalshi", type=int, default=100_000)
    size.add_argument("--polymarket", type=int, default=50_000)
    given = parser.parse_args()
    if given.command == "evaluate":
        evaluate(given.part, errors=given.errors)
    elif given.command == "listings":
        run_listings(given.sample)
    else:
        run_size(given.kalshi, given.polymarket)


if __name__ == "__main__":
    main()
