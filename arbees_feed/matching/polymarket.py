"""A Polymarket market as a frame: description, question, outcomes, and what its event adds. Pure.

YES is `outcomes[0]`. Polymarket US writes the outcome into the slug alone; such slugs begin with a
short code ("tec-nba-champ-2026-07-01-chi").
"""

import re
from functools import cache
from typing import Final

from arbees_feed.matching import polymarket_games
from arbees_feed.matching.assemble import Readings
from arbees_feed.matching.clocks import CLOCK, LEAD
from arbees_feed.matching.dates import ISSUANCE, MONTH_NAMES, Window, day_of, eastern, find_window
from arbees_feed.matching.frame import Frame
from arbees_feed.matching.listing import RULES_READ, PolymarketListing, within
from arbees_feed.matching.placeholders import Pairs
from arbees_feed.matching.propositions import proposition
from arbees_feed.matching.tables import PERSON, data, table
from arbees_feed.matching.templates import read
from arbees_feed.matching.words import fold, fold_start, fold_title

VENUE: Final = "polymarket"

_US_SLUG: Final = re.compile(
    r"t[ae]c-(?P<what>[a-z0-9-]+?)-(?P<date>20\d\d-\d\d-\d\d)-(?P<who>\w+)"
)
_US_WHO: Final = re.compile(r"t[a-z]c-.+-([a-z]{2,6})")
_US_ROUND: Final = re.compile(r"(?P<event>.+)-round(?P<round>\d)leader")
_ELECTION: Final = re.compile(r"(20\d\d) (?:\w+ ){0,4}?(?:elections?|midterms?|primary)")
_DEADLINE: Final = re.compile(
    r"(?:by|on or before|before|prior to|not? later than)"
    rf"{LEAD} (?:{MONTH_NAMES}) \d{{1,2}}(?!\d)(?:st|nd|rd|th)?(?: 20\d\d)?{CLOCK}"
)
_OFFICES: Final = ("party_wins", "nominee", "person_wins")
_AUTUMN: Final = ("10", "11", "12")


def parse_polymarket(listing: PolymarketListing) -> Frame:
    """Return what *listing* asks, slot by slot; a frame without `kind` was not understood."""
    listing = within(listing)
    game = polymarket_games.read(listing)
    if game is not None:
        return game.frame(VENUE, listing.market_id, listing.event_id)
    readings = Readings()
    if not _is_yes_no(listing):
        # What `outcomes[0]` pays on is then not what the title asks.
        return readings.frame(VENUE, listing.market_id, listing.event_id)
    hint = day_of(listing.end_time)
    title, rules = fold_title(listing.title), fold_start(listing.rules, RULES_READ)
    readings.note_rules(rules)
    readings.note_texts(listing.names, rules)
    readings.tell("title", read(title, hint))
    _read_us_slug(readings, listing, title)
    _read_season(readings, listing, rules)
    if readings.find("kind") == "price_at":
        hour = data("economics")["price_default_hour"][VENUE]
        readings.guess("venue's rule", (("time", hour),))
    if not readings.find("kind"):
        readings.tell("title", proposition(title, hint))
    if readings.find("end") or readings.find("kind") == "proposition_dated":
        _read_deadline(readings, rules, hint, listing.open_time)
    return readings.frame(VENUE, listing.market_id, listing.event_id)


def _is_yes_no(listing: PolymarketListing) -> bool:
    """Return whether YES is the first outcome, as it is where outcomes are not told."""
    return [fold(outcome) for outcome in listing.outcomes] in ([], ["yes", "no"])


def _read_season(readings: Readings, listing: PolymarketListing, rules: str) -> None:
    """Read the year of an election from the description, or guess it from the end."""
    if readings.find("kind") not in _OFFICES:
        return
    years, end = set(_ELECTION.findall(rules)), day_of(listing.end_time)
    if len(years) == 1:
        readings.guess("rules", (("season", years.pop()),))
    elif end[5:7] in _AUTUMN or readings.find("kind") == "nominee":
        readings.guess("end_time", (("season", end[:4]),))


@cache
def _us_codes() -> dict[str, str]:
    rows = data("competitions").items()
    return {code: name for name, row in rows for code in row.get("us", "").split()}


@cache
def _us_golf() -> dict[str, str]:
    rows = data("competitions").items()
    return {code: name for name, row in rows for code in row.get("us_golf", "").split()}


def _read_us_slug(readings: Readings, listing: PolymarketListing, title: str) -> None:
    if readings.find("kind") == "golf_leader":
        who = _US_WHO.fullmatch(listing.slug)
        readings.tell("slug", (("code", who[1]),) if who else ())
        # A tournament is over within days of the year in which its market ends.
        readings.guess("end_time", (("season", day_of(listing.end_time)[:4]),))
    found = _US_SLUG.fullmatch(listing.slug)
    if not found:
        return
    season = _title_year(title) or found["date"][:4]
    readings.guess("slug", (("season", season),))
    golf = _US_ROUND.fullmatch(found["what"])
    if golf and golf["event"] in _us_golf():
        stage = ("stage", f"round {golf['round']}")
        told: Pairs = (("kind", "golf_leader"), ("competition", _us_golf()[golf["event"]]), stage)
    elif found["what"] in _us_codes():
        name = _us_codes()[found["what"]]
        told = (("kind", data("competitions")[name]["kind"]), ("competition", name))
    else:
        return
    readings.tell(
        "slug", (*told, ("season", season), *_who(dict(told)["competition"], found["who"]))
    )


def _title_year(title: str) -> str:
    found = re.search(r"\b20\d\d\b", title)
    return found[0] if found else ""


def _who(competition: str, code: str) -> Pairs:
    name = data("competitions")[competition]["entity"]
    if name == PERSON:
        return (("code", code),)
    team = table(name).codes.get(code.upper(), "")
    return (("subject", team),) if team else ()


def _read_deadline(readings: Readings, rules: str, hint: str, open_time: str) -> None:
    """Read the last day that the description names first: rules beat titles, and must agree."""
    window = _deadline(rules, hint)
    if window is not None:
        readings.tell("rules", (("end", window.end),))
    readings.doubt_end(rules, window)
    if "between market creation and" in rules:
        readings.tell("rules", (("start", f"{ISSUANCE} {eastern(open_time)[0]}".strip()),))


def _deadline(rules: str, hint: str) -> Window | None:
    """Return the first deadline on a day, with its place in *rules*."""
    for found in _DEADLINE.finditer(rules):
        window = find_window(found[0], hint)
        if window is not None:
            first, last = window.span
            span = found.start() + first, found.start() + last
            return Window(window.word, window.start, window.end, span)
    return None
