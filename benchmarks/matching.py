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
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from arbees_feed.matching.evaluate import Judged, Report, Score, judge_rows, report
from arbees_feed.matching.kalshi import parse_kalshi
from arbees_feed.matching.labelled import Row, is_tuning, row_of
from arbees_feed.matching.listing import KalshiListing, PolymarketListing
from arbees_feed.matching.matches import Match, Matches
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
    if one.confirmed:
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


def fullest(snapshots: Iterable[Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return each market once, of several snapshots the one that tells most.

    Snapshots name a market by different ids. One whose title stands once in each of two snapshots
    is one market: listed twice it would be its own rival.
    """
    held: dict[str, dict[str, Any]] = {}
    by_title: dict[str, str] = {}
    for snapshot in snapshots:
        fresh = {record["id"]: record for record in snapshot}
        titles = Counter(record.get("title") for record in fresh.values())
        for market, record in fresh.items():
            title = record.get("title") or ""
            known = by_title.get(title, market) if titles[title] == 1 else market
            if len(str(record)) > len(str(held.get(known, ""))):
                held[known] = {**record, "id": known}
        known_titles = Counter(record.get("title") or "" for record in held.values())
        by_title = {r.get("title") or "": m for m, r in held.items()
                    if known_titles[r.get("title") or ""] == 1}  # fmt: skip
    return list(held.values())


def listings() -> tuple[list[KalshiListing], list[PolymarketListing]]:
    """Return the markets of all listings, each once."""
    files = sorted((folder() / "listings").glob("*.jsonl.gz"))
    kalshi = fullest(records(file) for file in files if "_kalshi" in file.name)
    polymarket = fullest(records(file) for file in files if "_polymarket" in file.name)
    return (
        [kalshi_listing(record) for record in kalshi],
        [polymarket_listing(record) for record in polymarket],
    )


def filled(ours: Iterable[KalshiListing], theirs: Iterable[PolymarketListing]) -> Matches:
    """Return the matches among markets, found as the service finds them."""
    matches = Matches()
    for frame in (*map(parse_kalshi, ours), *map(parse_polymarket, theirs)):
        matches.put(frame)
    return matches


def run_listings(sample: int) -> None:
    """Match the listings with each other and print a sample of confirmed pairs with reasons."""
    ours, theirs = listings()
    titles = {one.market_id: one.title for one in ours}
    titles.update({one.market_id: one.title for one in theirs})
    matches = filled(ours, theirs)
    found = list(matches)
    confirmed = [match for match in found if match.verdict.confirmed]
    print(f"{len(ours)} Kalshi, {len(theirs)} Polymarket, {matches.judged} candidates")
    print("grades", Counter(match.verdict.grade for match in found))
    print("kinds of confirmed", Counter(kind(match) for match in confirmed))
    print("what is open in the others", Counter(
        left_open(match) for match in found if not match.verdict.confirmed))  # fmt: skip
    chosen = (
        random.Random(1).sample(confirmed, min(sample, len(confirmed))) if sample else confirmed
    )
    for match in chosen:
        verdict, (kalshi, polymarket) = match.verdict, match.key
        print(f"\n{verdict.grade} {verdict.polarity} {', '.join(verdict.conflicts)}")
        print(" K", kalshi, "|", titles[kalshi])
        print(" P", polymarket[:20], "|", titles[polymarket])
        for reason in verdict.reasons:
            print("    ", reason.text())


def kind(match: Match) -> str:
    """Return what kind of question a match asks."""
    return next(reason.kalshi for reason in match.verdict.reasons if reason.slot == "kind")


def left_open(match: Match) -> str:
    """Return why a match is not confirmed."""
    if "ambiguous" in match.verdict.conflicts:
        return "ambiguous"
    told = [f"{one.slot} {one.outcome}" for one in match.verdict.reasons if one.outcome != "agrees"]
    return ", ".join(told) or "a venue contradicts itself"


Listing = TypeVar("Listing", KalshiListing, PolymarketListing)


TEXTS = ("title", "event_id", "event_title", "rules", "slug", "event_slug", "end_time")
YEAR = re.compile(r"(?<![0-9])20(2[4-9])(?![0-9])|(?<=-)(2[4-9])(?![0-9])")
YEARS_A_ROUND = 3


def moved(text: str, turn: int) -> str:
    """Return a text or a ticker with its years moved on by a number of rounds."""

    def later(found: re.Match[str]) -> str:
        year = int(found[1] or found[2]) + YEARS_A_ROUND * turn
        return f"20{year}" if found[1] else f"{year}"

    return YEAR.sub(later, text) if turn else text


def names_a_year(one: Listing) -> bool:
    """Return whether a listing becomes another question in another year."""
    return bool(YEAR.search(one.title) or YEAR.search(one.event_id))


def copies(many: list[Listing], count: int) -> Iterator[Listing]:
    """Yield *count* listings of the forms of *many*: these first, then rounds of later years.

    So blocks stay as large as real ones. What names no year would ask the same again in each
    round, which no venue does: it is in the first round alone.
    """
    turning = [one for one in many if names_a_year(one)]
    rounds = chain([(0, many)], ((turn, turning) for turn in range(1, count)))
    every = ((turn, one) for turn, listed in rounds for one in listed)
    for turn, one in islice(every, count):
        texts = {name: moved(getattr(one, name), turn) for name in TEXTS if hasattr(one, name)}
        ticker = f"{turn}~{moved(one.market_id, turn)}"
        yield msgspec.structs.replace(one, market_id=ticker, **texts)


def run_size(kalshi: int, polymarket: int) -> None:
    """Measure a first pass over many markets, and then each of some new ones."""
    ours, theirs = listings()
    many = list(copies(ours, kalshi)), list(copies(theirs, polymarket))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    frames = [*map(parse_kalshi, many[0]), *map(parse_polymarket, many[1])]
    parsed = time.process_time()
    matches = Matches()
    for frame in frames:
        matches.put(frame)
    ended = time.process_time()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    grades = Counter(match.verdict.grade for match in matches)
    print(f"{len(matches)} markets, {matches.judged} compared {dict(grades)}, {grown:.0f} MB")
    print(f"processor time: parsed {parsed - started:.1f} s, matched {ended - parsed:.1f} s")
    some = random.Random(2).sample(many[1], 2000)
    times = sorted(one_market(matches, listing) for listing in some)
    print(f"one market: median {times[1000] * 1e3:.2f} ms, 99 % {times[1980] * 1e3:.2f} ms, "
          f"most {times[-1] * 1e3:.2f} ms")  # fmt: skip


def one_market(matches: Matches, listing: PolymarketListing) -> float:
    """Return the processor seconds of a market that comes, from its texts to its pairs."""
    matches.drop(listing.market_id)
    fresh = msgspec.structs.replace(listing, title=listing.title + " ")
    started = time.process_time()
    for key in matches.put(parse_polymarket(fresh)):
        matches.get(key)
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
