"""Kalshi's markets on single games: `KX<LEAGUE><WHAT>-<YY><MON><DD>[HHMM]<TEAMS>-<YES>[n]`. Pure.

Day and time are US Eastern. Both codes of the teams stand glued; which is first is no evidence of
anything, titles turn them round.
"""

import re
from decimal import Decimal
from typing import Any, Final

from arbees_feed.matching import games
from arbees_feed.matching.assemble import Readings
from arbees_feed.matching.dates import named_day, ticker_day
from arbees_feed.matching.listing import KalshiListing
from arbees_feed.matching.placeholders import Pairs
from arbees_feed.matching.ranges import number
from arbees_feed.matching.words import fold_start, fold_title

_EVENT: Final = re.compile(r"(\d\d[A-Z]{3}\d\d)(\d{4})?([A-Z0-9]+)(?:-(\d))?")
_HOUR: Final = re.compile(r"(\d\d[A-Z]{3}\d\d)(\d\d)(\d\d)?")
# "TORDETG2", the second game of a day; a team's code may end alike.
_DOUBLE: Final = re.compile(r"([A-Z0-9]+)G([12])")
_SCHEDULED: Final = re.compile(r"originally scheduled for ([a-z]{3,9}) (\d{1,2}) (20\d\d)")
_RULES_READ: Final = 400
_LINED: Final = ("game_spread", "game_total", "game_team_total")
_DRAW: Final = ("TIE", "DRAW")


def hour_of(code: str) -> Pairs:
    """Return the instant of `26JUL0212`: noon Eastern of 2 July 2026."""
    found = _HOUR.fullmatch(code)
    day = ticker_day(found[1]) if found else ""
    if not found or not day:
        return ()
    return (("day", day), ("time", f"{found[2]}:{found[3] or '00'}"))


def read(listing: KalshiListing) -> Readings | None:
    """Return the readings of a market on a game, or None if its series is not one."""
    event = listing.event_id or listing.market_id.rpartition("-")[0]
    series, _, rest = event.partition("-")
    known = games.game_series().get(series)
    found = _EVENT.fullmatch(rest)
    if known is None or not found:
        return None
    league, row = known
    readings = Readings()
    _read_rules(readings, listing)
    _read_titles(readings, league, listing)
    _read_ticker(readings, league, row, found)
    _read_yes(readings, league, row, listing)
    _read_against(readings, league, row)
    return readings


def _read_rules(readings: Readings, listing: KalshiListing) -> None:
    """Read the day from "originally scheduled for Aug 9, 2026 at 8:20 PM EDT"."""
    rules = fold_start(listing.rules, _RULES_READ)
    more = fold_start(listing.rules_secondary, _RULES_READ)
    readings.note_rules(f"{rules} {more}".strip())
    readings.note_texts((listing.title, listing.event_title), rules)
    found = _SCHEDULED.search(rules)
    if found:
        readings.tell("rules", (("day", named_day(found[1], int(found[2]), found[3], "")),))


def _read_titles(readings: Readings, league: str, listing: KalshiListing) -> None:
    texts = [("title", listing.title), ("event_title", listing.event_title)]
    if games.leagues()[league].get("open"):
        # Any words are a team there; only the event's title has nothing but teams.
        texts = texts[1:]
    for source, text in texts:
        one, other = games.folded_sides(text)
        readings.tell(source, games.pair_of(games.team(league, one), games.team(league, other)))


def _read_ticker(
    readings: Readings, league: str, row: dict[str, Any], found: re.Match[str]
) -> None:
    day, clock, glued = ticker_day(found[1]), found[2], found[3]
    time = f"{clock[:2]}:{clock[2:]}" if clock else ""
    draws = row.get("draws", games.leagues()[league].get("draws", False))
    ways = (("ways", "3" if draws else "2"),) if row["kind"] == "game_winner" else ()
    period = f"map {found[4]}" if found[4] else row["period"]
    told = (("kind", row["kind"]), ("period", period), ("league", league))
    readings.tell("ticker", (*told, ("day", day), ("time", time), *ways))
    teams, marked = games.split_codes(league, glued), _DOUBLE.fullmatch(glued)
    if marked and not all(teams):
        teams = games.split_codes(league, marked[1])
        readings.tell("ticker", games.of_two(marked[2]) if all(teams) else ())
    readings.tell("ticker", games.pair_of(*teams))


def _read_yes(readings: Readings, league: str, row: dict[str, Any], listing: KalshiListing) -> None:
    """Read whom YES pays on, and the line: from the title first, the code must agree."""
    words = fold_title(listing.title)
    form = games.match_form("kalshi", words)
    if form is not None and form[0]["kind"] == row["kind"]:
        sides = (games.team(league, form[1].get(side) or "") for side in ("a", "b"))
        readings.tell("title", (*_fields(league, form[1]), *games.pair_of(*sides)))
    elif row["kind"] in _LINED:
        readings.tell("yes_sub_title", _fields(league, _of_sub_title(listing)))
    strike = number(listing.floor_strike)
    if row["kind"] in _LINED and listing.strike_type == "greater" and strike:
        readings.tell("strikes", (("range", games.over(strike)),))
    if row["kind"] in ("game_total", "game_both_score", "game_first_inning_run"):
        return
    code = listing.market_id.rpartition("-")[2]
    readings.tell("ticker", _subject(_code_team(league, code)))
    if row["kind"] in ("game_winner", "game_advance") and listing.yes_sub_title:
        outcome = fold_title(listing.yes_sub_title)
        draw = outcome in ("tie", "draw")
        readings.tell("yes_sub_title", _subject("draw" if draw else games.team(league, outcome)))


def _of_sub_title(listing: KalshiListing) -> dict[str, str]:
    form = games.match_form("kalshi", fold_title(listing.yes_sub_title))
    return form[1] if form else {}


def _fields(league: str, fields: dict[str, str]) -> Pairs:
    told: Pairs = ()
    if fields.get("x"):
        told = _subject(games.team(league, fields["x"]))
    if fields.get("line"):
        told = (*told, ("range", games.over(Decimal(fields["line"]))))
    return told


def _code_team(league: str, code: str) -> str:
    """Return the team of `BKN`, of `KOE2` (a line follows) or of `M052`; "draw" for a tie."""
    if code in _DRAW:
        return "draw"
    for end in range(min(len(code), games.LONGEST_CODES), 1, -1):
        found = games.team_of_code(league, code[:end])
        if found and (end == len(code) or code[end:].isdigit()):
            return found
    return ""


def _subject(team: str) -> Pairs:
    return (("subject", team),) if team else ()


def _read_against(readings: Readings, league: str, row: dict[str, Any]) -> None:
    """Note the only other outcome, where NO pays on it."""
    draws = row.get("draws", games.leagues()[league].get("draws", False))
    two_way = row["kind"] == "game_advance" or (row["kind"] == "game_winner" and not draws)
    subject, teams = readings.find("subject"), readings.find("participants").split()
    if two_way and subject in teams:
        other = teams[0] if teams[1] == subject else teams[1]
        readings.tell("participants", (("against", other),))
