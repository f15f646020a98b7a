"""A Kalshi market as a frame: rules, titles, sub-title and the grammar of its ticker. Pure."""

import re
from functools import cache
from typing import Final

from arbees_feed.matching import kalshi_games
from arbees_feed.matching.assemble import Readings
from arbees_feed.matching.dates import ISSUANCE, eastern, find_window, ticker_month
from arbees_feed.matching.frame import Frame
from arbees_feed.matching.listing import KalshiListing, within
from arbees_feed.matching.placeholders import Pairs, district
from arbees_feed.matching.propositions import is_condition, names_the_outcome, proposition
from arbees_feed.matching.ranges import number, parse_range, plain
from arbees_feed.matching.tables import competition_by_series, data
from arbees_feed.matching.templates import read
from arbees_feed.matching.words import fold_start, fold_title

VENUE: Final = "kalshi"

# Several markets in one, made to order: no other venue asks them.
_COMBINATION: Final = "KXMVE"
_WHO: Final = re.compile(r"^who will (?:be|win) (.+)$")
_SUBJECT: Final = re.compile(r"(?:will )?(?:the )?(.+?) (?:wins?|be|finish|make|reach|qualify)\b.*")
_LEADING_YEAR: Final = re.compile(r"[0-9]{2}(?![0-9])")
_RANGED: Final = ("figure", "count", "price_at")
_CLAUSE: Final = re.compile(r"^(.*?then the (?:market|associated market) [^.]*)", re.DOTALL)
# Rules are read up to here; what follows are definitions.
_RULES_READ: Final = 500
_NAMED_WITHIN: Final = 200


def parse_kalshi(listing: KalshiListing) -> Frame:
    """Return what *listing* asks, slot by slot; a frame without `kind` was not understood."""
    listing = within(listing)
    game = kalshi_games.read(listing)
    if game is not None:
        return game.frame(VENUE, listing.market_id, listing.event_id)
    readings = Readings()
    series, _, rest = _event(listing).partition("-")
    if series.startswith(_COMBINATION):
        return readings.frame(VENUE, listing.market_id, listing.event_id)
    rules = fold_start(listing.rules, _RULES_READ)
    more = fold_start(listing.rules_secondary, _RULES_READ)
    readings.note_rules(f"{rules} {more}".strip())
    readings.note_texts((listing.title, listing.event_title), rules)
    readings.tell("rules", read(rules))
    title = _title(listing)
    readings.tell("title", read(title))
    _read_series(readings, series, rest, listing, title)
    _read_sub_title(readings, listing)
    if not readings.find("kind"):
        _read_proposition(readings, listing, title)
    if readings.find("end") or readings.find("kind") == "proposition_dated":
        _read_deadline(readings, rules, listing.open_time)
    return readings.frame(VENUE, listing.market_id, listing.event_id)


def _event(listing: KalshiListing) -> str:
    return listing.event_id or listing.market_id.rpartition("-")[0]


def _title(listing: KalshiListing) -> str:
    """Return the folded title with the outcome put in where it only asks who."""
    words = fold_title(listing.title)
    found = _WHO.match(words)
    if found and listing.yes_sub_title:
        verb = "win" if words.startswith("who will win") else "be"
        return f"will {fold_title(listing.yes_sub_title)} {verb} {found[1]}"
    return words


def _read_series(
    readings: Readings, series: str, rest: str, listing: KalshiListing, title: str
) -> None:
    competition = competition_by_series().get(series)
    if competition:
        _read_competition(readings, competition, rest, listing, title)
    for pattern, row in _office_series():
        found = pattern.fullmatch(_event(listing))
        if found:
            _read_office(readings, found.groupdict(), row, listing)
    _read_figures(readings, series, rest, listing)
    _read_golf(readings, series, rest, listing)


def _read_competition(
    readings: Readings, competition: str, rest: str, listing: KalshiListing, title: str
) -> None:
    kind = data("competitions")[competition]["kind"]
    told = (title, fold_title(listing.event_title), fold_start(listing.rules, _NAMED_WITHIN))
    if not _names(competition, " | ".join(told)):
        return
    found_year = _LEADING_YEAR.match(rest)
    year = found_year[0] if found_year else ""
    pairs: Pairs = (("kind", kind), ("competition", competition))
    readings.tell("ticker", (*pairs, *((("season", f"20{year}"),) if year else ())))
    if not readings.find("subject"):
        found = None if title.startswith("who ") else _SUBJECT.fullmatch(title)
        if found:
            readings.tell("title", (("subject", found[1]),))
    code = listing.market_id.rpartition("-")[2].lower()
    readings.tell("ticker", (("code", code.rstrip("0123456789")),))


def _names(competition: str, words: str) -> bool:
    """Return whether title, event or rules name the competition that the series stands for."""
    return any(pattern.search(words) for pattern in _phrases(competition))


@cache
def _phrases(competition: str) -> tuple[re.Pattern[str], ...]:
    row = data("competitions")[competition]
    told = (*row["phrases"], *row.get("bare", ()))
    return tuple(re.compile(text.replace("{season}", r"20\d\d(?:-\d\d)?")) for text in told)


@cache
def _office_series() -> tuple[tuple[re.Pattern[str], dict[str, str]], ...]:
    rows = data("offices")["series"]
    return tuple((re.compile(row["event"]), row) for row in rows)


def _read_office(
    readings: Readings, groups: dict[str, str], row: dict[str, str], listing: KalshiListing
) -> None:
    state = groups.get("state", "").lower()
    place = state
    if "number" in groups:
        place = district(f"{state}-{groups['number']}")
    elif state and state not in data("places")["states"]:
        return
    party = groups.get("party") or (
        listing.market_id.rpartition("-")[2] if "outcome" in row else ""
    )
    parties = {"D": "dem", "R": "rep", "I": "ind"}
    told = (
        ("kind", row["kind"]),
        ("office", row["office"]),
        ("place", place or row.get("place", "")),
        ("party", parties.get(party, "")),
    )
    readings.tell("ticker", told)
    _read_year(readings, f"20{groups['year'][-2:]}")


def _read_year(readings: Readings, year: str) -> None:
    """Read a ticker's year: it may be one off (that of the inauguration), never more.

    GOVPARTYKS-27 is the election of 2026 by its rules; rules that disagree by more are a mistake
    of the one or the other.
    """
    told = readings.find("season")
    if told and abs(int(told) - int(year)) > 1:
        readings.tell("ticker", (("season", year),))
    else:
        readings.guess("ticker", (("season", year),))


def _read_figures(readings: Readings, series: str, rest: str, listing: KalshiListing) -> None:
    economics = data("economics")
    indicator = economics["figure_series"].get(series)
    if indicator:
        month = ticker_month(rest)
        readings.tell("ticker", (("indicator", indicator), ("period", month)))
    asset = economics["price_series"].get(series)
    if asset:
        if series in economics["price_above"]:
            readings.guess("ticker", _above(listing))
        day = kalshi_games.hour_of(rest)
        readings.tell("ticker", (("kind", "price_at"), ("indicator", f"{asset} price"), *day))


def _above(listing: KalshiListing) -> Pairs:
    """Return the range of `-T61999.99` where a series has no other meaning for T than above."""
    code = listing.market_id.rpartition("-")[2]
    low = number(code[1:]) if code.startswith("T") else None
    return (("range", f"({plain(low)},inf)"),) if low is not None else ()


def _read_golf(readings: Readings, series: str, rest: str, listing: KalshiListing) -> None:
    found = re.fullmatch(
        r"KXPGA(?:R(?P<round>\d)(?P<what>LEAD|TOP\d+)|(?P<all>TOP\d+|TOUR))", series
    )
    event = re.match(r"([A-Z]+)(\d\d)$", rest)
    if not found or not event:
        return
    names = [n for n, row in data("competitions").items() if event[1] in row.get("golf", ())]
    kind = {"LEAD": "golf_leader", "TOUR": "champion"}.get(found["what"] or found["all"])
    stage = f"round {found['round']}" if found["round"] else ""
    top = (found["what"] or found["all"] or "")[3:] if kind is None else ""
    stage = " ".join(filter(None, (stage, f"top {top}" if top else "")))
    pairs: Pairs = (("kind", kind or "golf_finish"), ("season", f"20{event[2]}"), ("stage", stage))
    named = (("competition", names[0]),) if len(names) == 1 else ()
    readings.tell(
        "ticker", (*named, *pairs, ("code", listing.market_id.rpartition("-")[2].lower()))
    )


def _read_sub_title(readings: Readings, listing: KalshiListing) -> None:
    outcome = fold_title(listing.yes_sub_title)
    kind = readings.find("kind")
    if kind in _RANGED:
        readings.tell("yes_sub_title", _ranged(outcome.replace("cuts", "").replace("cut", "")))
        readings.tell("strikes", _strikes(listing))
    elif kind in data("kinds") and "subject" in data("kinds")[kind]["required"] and outcome:
        readings.tell("yes_sub_title", (("subject", outcome),))


def _ranged(words: str) -> Pairs:
    found = parse_range(words) if words else ""
    return (("range", found),) if found else ()


def _strikes(listing: KalshiListing) -> Pairs:
    """Return the range of the strike fields (docs.kalshi.com, market object: `strike_type`)."""
    low, high = number(listing.floor_strike), number(listing.cap_strike)
    bounds = {
        "greater": f"({plain(low)},inf)" if low is not None else "",
        "greater_or_equal": f"[{plain(low)},inf)" if low is not None else "",
        "less": f"(-inf,{plain(high)})" if high is not None else "",
        "less_or_equal": f"(-inf,{plain(high)}]" if high is not None else "",
        "between": f"[{plain(low)},{plain(high)}]" if low is not None and high is not None else "",
    }
    found = bounds.get(listing.strike_type, "")
    return (("range", found),) if found else ()


def _read_proposition(readings: Readings, listing: KalshiListing, title: str) -> None:
    outcome = fold_title(listing.yes_sub_title)
    if not is_condition(outcome):
        if names_the_outcome(title, outcome):
            readings.tell("title", proposition(title, ""))
        return
    window = find_window(outcome)
    if find_window(title) is None:
        readings.tell("title", proposition(f"{title} {outcome}", ""))
    elif window is not None:
        readings.tell("title", proposition(title, ""))
        readings.tell("yes_sub_title", (("end", window.end),))
        readings.doubt_end(outcome, window)


def _read_deadline(readings: Readings, rules: str, open_time: str) -> None:
    """Read the window of the settling sentence: rules beat titles, and must agree with them."""
    clause = _CLAUSE.match(rules)
    window = find_window(clause[1] if clause else "")
    if window is not None:
        # Nothing counts that came before the market, whether the rules say so or not.
        issue = f"{ISSUANCE} {eastern(open_time)[0]}".strip()
        readings.tell("rules", (("end", window.end), ("start", window.start or issue)))
    readings.doubt_end(rules, window)
