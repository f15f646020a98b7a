"""Questions that both venues ask, each in its own words, and some that only look alike.

Tickers, slugs, dates and the wording of titles have the forms of the real venues: whoever brings
these markets together has to read them as he reads real ones. Who plays, and which figure is asked
for, is drawn; when, follows from the time that is handed in.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple
from zoneinfo import ZoneInfo

from arbees_feed.sim.config import KALSHI, POLYMARKET, Venue

EASTERN = ZoneInfo("America/New_York")
WEEK = timedelta(weeks=1)
GAME = timedelta(hours=4)
MONDAY, FRIDAY, SUNDAY = 0, 4, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One market, before it has numbers."""

    code: str
    """The last part of Kalshi's ticker; Polymarket's slug."""
    title: str
    rules: str
    outcomes: tuple[str, str] = ("Yes", "No")
    floor_strike: float | None = None
    inverted: bool = False
    """Whether its NO pays when the YES of the others does."""
    look_alike: bool = False
    """Whether it asks something else than the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An event as one venue lists it."""

    venue: Venue
    code: str
    """What follows the series in Kalshi's ticker; Polymarket's slug."""
    title: str
    start: datetime
    end: datetime
    markets: tuple[Asked, ...]
    sub_title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedQuestion:
    """What is asked, and by whom."""

    series: str
    series_title: str
    category: str
    tags: tuple[str, ...]
    between: tuple[float, float]
    """The probabilities between which it begins."""
    listed: tuple[Listed, ...]
    exclusive: bool = True
    is_game: bool = False

    def size(self, venue: Venue) -> int:
        """Return how many markets it has at a venue."""
        return sum(len(event.markets) for event in self.listed if event.venue == venue)


class Team(NamedTuple):
    """A football team: its code at both venues, its city and its name."""

    code: str
    city: str
    name: str


TEAMS = (
    Team("KC", "Kansas City", "Chiefs"), Team("DEN", "Denver", "Broncos"),
    Team("DET", "Detroit", "Lions"), Team("GB", "Green Bay", "Packers"),
    Team("PHI", "Philadelphia", "Eagles"), Team("DAL", "Dallas", "Cowboys"),
    Team("BUF", "Buffalo", "Bills"), Team("MIA", "Miami", "Dolphins"),
)  # fmt: skip
RATES = (4.0, 4.1, 4.2, 4.3, 4.4, 4.5)
RISES = (0.1, 0.2, 0.3)


def shared_questions(draw: random.Random, now: datetime) -> Iterator[SharedQuestion]:
    """Yield the questions, in the order in which they are listed while there is room."""
    today = now.astimezone(EASTERN).replace(hour=0, minute=0, second=0, microsecond=0)
    away, home = draw.sample(TEAMS, 2)
    in_weeks, rate, rise = draw.randrange(3), draw.choice(RATES), draw.choice(RISES)
    sunday = _weekday(today + timedelta(days=3), SUNDAY) + in_weeks * WEEK
    yield _game(away, home, sunday.replace(hour=20, minute=20))
    yield _champion(home, today)
    yield _presidency(today)
    figures_of = _next_month(today)
    released = _weekday(_next_month(figures_of) + timedelta(days=3), FRIDAY)
    yield _unemployment(rate, figures_of, released.replace(hour=8, minute=30))
    yield _consumer_prices(rise, figures_of, released.replace(hour=8, minute=30) + WEEK)


def _game(away: Team, home: Team, start: datetime) -> SharedQuestion:
    """Kalshi has a market for each team, Polymarket one for both. And one for the return match."""
    title = f"{away.city} at {home.city}"
    day = f"{start:%b} {start.day}"
    kalshi = Listed(
        venue=KALSHI,
        code=f"{start:%y%b%d}{away.code}{home.code}".upper(),
        title=title,
        sub_title=f"{away.code} at {home.code} ({day})",
        start=start,
        end=start + GAME,
        markets=tuple(
            Asked(
                code=team.code,
                title=f"{title} Winner?",
                outcomes=(team.city, team.city),
                rules=f"If {team.city} wins the {title} professional football game originally "
                f"scheduled for {day}, {start.year}, then the market resolves to Yes.",
                inverted=team is home,
            )
            for team in (away, home)
        ),
    )
    return SharedQuestion(
        series="KXNFLGAME",
        series_title="Pro Football Game",
        category="Sports",
        tags=("Sports", "NFL"),
        between=(0.35, 0.65),
        listed=(
            kalshi,
            _versus(away, home, start),
            _versus(away, home, start + 4 * WEEK, look_alike=True),
        ),
        is_game=True,
    )


def _versus(away: Team, home: Team, start: datetime, *, look_alike: bool = False) -> Listed:
    title = f"{away.name} vs. {home.name}"
    slug = f"nfl-{away.code}-{home.code}-{start:%Y-%m-%d}".lower()
    rules = (
        f"In the upcoming NFL game, scheduled for {start:%B} {start.day} at "
        f"{start.hour - 12}:{start:%M}PM ET: the market resolves to the team that wins, overtime "
        "included. It waits for a game that is postponed. A tie, or a game that is called off, "
        "resolves 50-50."
    )
    return Listed(
        venue=POLYMARKET,
        code=slug,
        title=title,
        start=start,
        end=start + GAME,
        markets=(
            Asked(
                code=slug,
                title=title,
                outcomes=(away.name, home.name),
                rules=rules,
                look_alike=look_alike,
            ),
        ),
    )


def _champion(team: Team, today: datetime) -> SharedQuestion:
    start = _first_after(today, lambda year: _weekday(_day(year, 2, 8), SUNDAY))
    year, name = start.year, f"{team.city} {team.name}"
    ours = Asked(
        code=team.code,
        title=f"Will {team.city} win the {year} Pro Football Championship?",
        outcomes=(team.city, team.city),
        rules=f"If {team.city} wins the {year} Pro Football Championship, then the market resolves "
        "to Yes.",
    )
    theirs = Asked(
        code=_slug(f"will the {name} win super bowl {year}"),
        title=f"Will the {name} win Super Bowl {year}?",
        rules=f'This market resolves to "Yes" if the {name} win Super Bowl {year}, and to "No" as '
        "soon as they no longer can.",
    )
    return SharedQuestion(
        series="KXSB",
        series_title="Pro Football Champion",
        category="Sports",
        tags=("Sports", "NFL"),
        between=(0.1, 0.3),
        listed=_both(
            (start.replace(hour=18, minute=30), start.replace(hour=23)),
            (f"{year % 100}", f"{year} Pro Football Champion", (ours,)),
            (f"super-bowl-champion-{year}", f"Super Bowl Champion {year}", (theirs,)),
        ),
    )


def _presidency(today: datetime) -> SharedQuestion:
    """Ask for both parties; whoever else may run has no market, and no chance."""
    start = _first_after(today, lambda year: _election_day(year - year % 4))
    year = start.year
    ours = tuple(
        Asked(
            code=party[0],
            title=f"Will the {party} party win the Presidency in {year}?",
            outcomes=(f"{party} party", f"{party} party"),
            rules=f"If a representative of the {party} party is inaugurated as President for the "
            f"term beginning in January {year + 1}, then the market resolves to Yes.",
            inverted=party == "Republican",
        )
        for party in ("Democratic", "Republican")
    )
    theirs = tuple(
        Asked(
            code=_slug(f"will the {party}s win the {year} us presidential election"),
            title=f"Will the {party}s win the {year} US Presidential Election?",
            rules=f'This market resolves to "Yes" if the {party}s\' candidate wins the {year} US '
            'presidential election, and to "No" otherwise.',
            inverted=party == "Republican",
        )
        for party in ("Democrat", "Republican")
    )
    return SharedQuestion(
        series="KXPRESPARTY",
        series_title="Presidential election winner (party)",
        category="Politics",
        tags=("Politics", "Elections"),
        between=(0.4, 0.6),
        listed=_both(
            (start, start + timedelta(days=1)),
            (f"{year}", f"{year} Presidential Election winner? (Party)", ours),
            (
                f"which-party-wins-{year}-us-presidential-election",
                f"Which party wins {year} US Presidential Election?",
                theirs,
            ),
        ),
    )


def _unemployment(rate: float, month: datetime, released: datetime) -> SharedQuestion:
    """Told in tenths, so above 4.3 % is what at least 4.4 % is."""
    named, least = f"{month:%B %Y}", f"{rate + 0.1:.1f}"
    ours = Asked(
        code=f"T{rate}",
        title=f"Will the unemployment rate (U-3) be above {rate}% in {month:%B}?",
        outcomes=(f"Above {rate}%", f"Above {rate}%"),
        rules=f"If the unemployment rate is above {rate}% in {named}, then the market resolves to "
        "Yes. The figure is the first one that the Bureau of Labor Statistics tells.",
        floor_strike=rate,
    )
    theirs = Asked(
        code=f"{_slug(f'will the {named} unemployment rate be')}-{_pt(least)}-or-higher",
        title=f"Will the {named} unemployment rate be ≥{least}%?",
        rules=f'This market resolves to "Yes" if the U-3 rate for {named} is {least}% or higher, '
        "by the first figure of the Bureau of Labor Statistics.",
    )
    return SharedQuestion(
        series="KXU3",
        series_title="Unemployment",
        category="Economics",
        tags=("Economics", "Jobs"),
        between=(0.3, 0.7),
        listed=_both(
            (released, released + timedelta(minutes=30)),
            (f"{month:%y%b}".upper(), f"Unemployment rate in {named}?", (ours,)),
            (_slug(f"{month:%B} unemployment rate"), f"{month:%B} unemployment rate", (theirs,)),
        ),
        exclusive=False,
    )


def _consumer_prices(rise: float, month: datetime, released: datetime) -> SharedQuestion:
    """Look alike: Kalshi asks for the core index, Polymarket for the whole one."""
    named, more = f"{month:%B %Y}", f"{rise + 0.1:.1f}"
    ours = Asked(
        code=f"T{rise}",
        title=f"Will CPI core rise more than {rise}% in {named}?",
        outcomes=(f"Above {rise}%", f"Above {rise}%"),
        rules=f"If the core consumer price index rises by more than {rise}% in {named}, then the "
        "market resolves to Yes.",
        floor_strike=rise,
        look_alike=True,
    )
    theirs = Asked(
        code=f"will-monthly-inflation-increase-by-{_pt(more)}-or-more-in-{month:%B-%Y}".lower(),
        title=f"Will monthly inflation increase by ≥{more}% in {named}?",
        rules=f'This market resolves to "Yes" if the consumer price index of {named} is {more}% or '
        "more above that of the month before.",
        look_alike=True,
    )
    return SharedQuestion(
        series="KXCPICORE",
        series_title="CPI core",
        category="Economics",
        tags=("Economics", "Inflation"),
        between=(0.3, 0.7),
        listed=_both(
            (released, released + timedelta(minutes=30)),
            (f"{month:%y%b}".upper(), f"CPI core in {named}?", (ours,)),
            (_slug(f"{month:%B} inflation us"), f"{month:%B} inflation US", (theirs,)),
        ),
        exclusive=False,
    )


def _both(
    times: tuple[datetime, datetime],
    kalshi: tuple[str, str, tuple[Asked, ...]],
    polymarket: tuple[str, str, tuple[Asked, ...]],
) -> tuple[Listed, Listed]:
    """Return an event of each venue, of (code, title, markets)."""
    one, other = (
        Listed(venue=venue, code=code, title=title, start=times[0], end=times[1], markets=markets)
        for venue, (code, title, markets) in ((KALSHI, kalshi), (POLYMARKET, polymarket))
    )
    return one, other


def _day(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=EASTERN)


def _weekday(day: datetime, wanted: int) -> datetime:
    """Return the first such day of a week that is not before *day*."""
    return day + timedelta(days=(wanted - day.weekday()) % 7)


def _next_month(day: datetime) -> datetime:
    return _day(day.year + day.month // 12, day.month % 12 + 1, 1)


def _election_day(year: int) -> datetime:
    """Return the Tuesday after the first Monday of November."""
    return _weekday(_day(year, 11, 1), MONDAY) + timedelta(days=1)


def _first_after(today: datetime, of_year: Callable[[int], datetime]) -> datetime:
    """Return the first day after *today* of those that years have."""
    days = (of_year(today.year + ahead) for ahead in count())
    return next(day for day in days if day > today)


def _slug(words: str) -> str:
    return words.lower().replace(" ", "-")


def _pt(number: object) -> str:
    return str(number).replace(".", "pt")
