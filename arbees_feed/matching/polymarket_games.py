"""Polymarket's markets on single games: two-way ("Nets vs. Grizzlies") or yes and no. Pure."""

import re
from decimal import Decimal
from typing import Any, Final

from arbees_feed.matching import games
from arbees_feed.matching.assemble import Readings
from arbees_feed.matching.dates import day_of, eastern, iso_day_in, named_day
from arbees_feed.matching.listing import PolymarketListing
from arbees_feed.matching.placeholders import Pairs
from arbees_feed.matching.ranges import number, plain
from arbees_feed.matching.tables import data
from arbees_feed.matching.words import fold, fold_start, fold_title

_SCHEDULED: Final = re.compile(
    r"scheduled for ([a-z]{3,9}) (\d{1,2})(?: (20\d\d))?(?: at (\d{1,2}):(\d\d) ?([ap])m et)?"
)
# "mlb-tor-det-2026-05-10-game-2"
_SLUG_GAME: Final = re.compile(r"-20\d\d-\d\d-\d\d-g(?:ame)?-?([12])(?![0-9])")
# "nba-bkn-mem-2026-01-11": a league, two teams and the day.
_SLUG_LEAGUE: Final = re.compile(r"([a-z0-9]+)-[a-z0-9]+-[a-z0-9]+-20\d\d-\d\d-\d\d")
_RULES_READ: Final = 400


def read(listing: PolymarketListing) -> Readings | None:
    """Return the readings of a market on a game, or None if it is not worded as one."""
    words = fold_title(listing.title)
    form = games.match_form("polymarket", words)
    if form is None or (listing.outcomes and fold(listing.outcomes[0]) == "no"):
        return None
    row, fields = form
    sides = _sides(fields, listing)
    if sides is None:
        return None
    league = _league(fields, sides, listing)
    if not league:
        return None
    readings = Readings()
    _read_day(readings, fields, listing)
    period = f"map {fields['map']}" if fields.get("map") else row["period"]
    _read_kind(readings, league, {**row, "period": period}, listing)
    one, other = (games.team(league, side) for side in sides)
    readings.tell("title", games.pair_of(one, other))
    _read_outcome(readings, league, row, fields, listing)
    _check_line(readings, fields, listing)
    return readings


def _sides(fields: dict[str, str], listing: PolymarketListing) -> tuple[str, str] | None:
    if fields.get("a") and fields.get("b"):
        return fields["a"], fields["b"]
    one, other = games.folded_sides(listing.event_title)
    return (one, other) if one else None


def _league(fields: dict[str, str], sides: tuple[str, str], listing: PolymarketListing) -> str:
    """Return the one league in which both sides play; slug and description choose among several.

    A slug that names a league we do not know (a women's, a youth league) is not guessed away.
    """
    if fields.get("game"):
        return games.league_titled(fields["game"])
    fits = [name for name, row in games.leagues().items() if _plays(name, row, sides)]
    for slug in (listing.event_slug, listing.slug):
        found = _SLUG_LEAGUE.match(slug)
        if found:
            named = [name for name in fits if found[1] in games.leagues()[name]["slugs"]]
            return named[0] if named else ""
    rules = fold_start(listing.rules, _RULES_READ)
    said = [n for n in fits if any(f" {w} " in rules for w in games.leagues()[n]["says"])]
    return said[0] if len(said) == 1 else _only(fits)


def _plays(league: str, row: dict[str, Any], sides: tuple[str, str]) -> bool:
    return not row.get("open") and all(games.team(league, side) for side in sides)


def _only(fits: list[str]) -> str:
    """Return the league of the one table that fits; cups share the clubs of the leagues."""
    singles = [league for league in fits if len(games.names_of(league)) == 1]
    tables = {games.names_of(league) for league in singles}
    return singles[0] if len(tables) == 1 else ""


def _read_day(readings: Readings, fields: dict[str, str], listing: PolymarketListing) -> None:
    day, time = eastern(listing.game_start) if listing.game_start else ("", "")
    readings.tell("game_start", (("day", day), ("time", time)))
    readings.tell("game_day", (("day", listing.game_day),))
    readings.tell("title", (("day", fields.get("iso", "")),))
    rules = fold_start(listing.rules, _RULES_READ)
    readings.note_rules(rules)
    readings.note_texts(listing.names, rules)
    found = _SCHEDULED.search(rules)
    near = day or listing.game_day or day_of(listing.end_time)
    if found:
        named = named_day(found[1], int(found[2]), found[3] or "", near)
        readings.tell("rules", (("day", named), ("time", _clock(found))))
    slug = iso_day_in(listing.event_slug) or iso_day_in(listing.slug)
    readings.guess("slug", (("day", slug),))


def _clock(found: re.Match[str]) -> str:
    if not found[4]:
        return ""
    hour = int(found[4]) % 12 + (12 if found[6] == "p" else 0)
    return f"{hour:02d}:{found[5]}"


def _read_kind(
    readings: Readings, league: str, row: dict[str, Any], listing: PolymarketListing
) -> None:
    ways: Pairs = ()
    if row["kind"] == "game_winner":
        ways = (("ways", "2" if row.get("two_way") else "3"),)
    told = (("kind", row["kind"]), ("period", row["period"]), ("league", league))
    readings.tell("title", (*told, *ways))
    if not games.leagues()[league].get("open"):  # there a game is a map
        found = _SLUG_GAME.search(listing.event_slug) or _SLUG_GAME.search(listing.slug)
        readings.tell("slug", games.of_two(found[1]) if found else ())
    known = data("leagues")["market_types"].get(listing.market_type)
    if known:
        kind, period = known.split()
        readings.tell("market_type", (("kind", kind), ("period", period)))
    elif listing.market_type:
        # A type that we do not know may mean anything.
        readings.tell("market_type", (("kind", f"unknown {listing.market_type}"),))


def _read_outcome(
    readings: Readings,
    league: str,
    row: dict[str, Any],
    fields: dict[str, str],
    listing: PolymarketListing,
) -> None:
    """Read what `outcomes[0]` pays on: the first-named team where outcomes are not told."""
    first = fold(listing.outcomes[0]) if listing.outcomes else ""
    if row.get("draw"):
        readings.tell("title", (("subject", "draw"),))
    elif row.get("two_way"):
        _read_two_way(readings, league, fields, listing)
    elif row["kind"] == "game_spread":
        subject = games.team(league, fields["x"])
        agrees = not first or games.team(league, first) == subject
        readings.tell("title", (("subject", subject if agrees else ""), _handicap(fields)))
    elif row["kind"] == "game_total":
        readings.tell("title", (("range", _total(fields["line"], first)),))
    elif fields.get("x"):
        readings.tell("title", (("subject", games.team(league, fields["x"])),))


def _check_line(readings: Readings, fields: dict[str, str], listing: PolymarketListing) -> None:
    """Note a `line` that is not the title's: a contradiction."""
    titled, told = fields.get("line") or fields.get("handicap"), number(listing.line)
    if titled and told is not None and abs(told) != abs(Decimal(titled)):
        readings.tell("line", (("range", games.over(abs(told))),))


def _read_two_way(
    readings: Readings, league: str, fields: dict[str, str], listing: PolymarketListing
) -> None:
    named = listing.outcomes if len(listing.outcomes) == 2 else (fields["a"], fields["b"])  # noqa: PLR2004
    source = "outcomes" if listing.outcomes else "title"
    one, other = (games.team(league, fold(name)) for name in named)
    if one and other:
        readings.tell(source, (("subject", one), ("against", other)))


def _handicap(fields: dict[str, str]) -> tuple[str, str]:
    """Return the range of "X (-1.5)": X wins by more than 1.5; none for a whole line."""
    line = -Decimal(fields["handicap"])
    return "range", "" if _is_whole(line) else games.over(line)


def _total(line: str, first: str) -> str:
    """Return what `outcomes[0]` pays on, or nothing for a whole line."""
    bound = Decimal(line)
    if _is_whole(bound):
        return ""
    return f"(-inf,{plain(bound)}]" if first == "under" else games.over(bound)


def _is_whole(line: Decimal) -> bool:
    """Return whether the score can meet the line: what is paid then, no title says."""
    return line == line.to_integral_value()
