"""Inventing events and markets that read like the real ones."""

import random
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from arbees_feed.sim.config import KALSHI, POLYMARKET, SimConfig, Venue
from arbees_feed.sim.grid import kalshi_grids, polymarket_grids
from arbees_feed.sim.money import HUNDREDTH, PRICE_SCALE, SIZE_SCALE
from arbees_feed.sim.pairs import Listed, SharedQuestion, shared_questions
from arbees_feed.sim.world import Chance, Event, Market, World

TOKEN_DIGITS = 77
STRIKES = 3
STRIKE_STEP = 5
DAY_MS = 86_400_000
CENTS = {KALSHI: kalshi_grids()[0], POLYMARKET: polymarket_grids()[0]}
"""Prices of what both venues ask: the same at both, so that they can be compared at a glance."""

TEAMS = (
    ("SEA", "Seattle"), ("SF", "San Francisco"), ("DAL", "Dallas"), ("NYG", "New York"),
    ("CHI", "Chicago"), ("GB", "Green Bay"), ("BOS", "Boston"), ("LAL", "Los Angeles"),
    ("DEN", "Denver"), ("PHX", "Phoenix"), ("MIA", "Miami"), ("PHI", "Philadelphia"),
    ("KC", "Kansas City"), ("BUF", "Buffalo"), ("HOU", "Houston"), ("TOR", "Toronto"),
    ("ATL", "Atlanta"), ("DET", "Detroit"), ("MIN", "Minnesota"), ("CLE", "Cleveland"),
)  # fmt: skip

CANDIDATES = (
    "Avery Brooks", "Jordan Ellis", "Casey Morgan", "Riley Hayes", "Quinn Parker",
    "Rowan Blake", "Emerson Shaw", "Skyler Reed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Topic:
    """A kind of event: how its series, titles and answers are made."""

    series: str
    series_title: str
    category: str
    tags: tuple[str, ...]
    kind: str


TOPICS = (
    Topic("KXNFLGAME", "Pro Football Game", "Sports", ("Sports", "NFL"), "game"),
    Topic("KXNBAGAME", "Pro Basketball Game", "Sports", ("Sports", "NBA"), "game"),
    Topic("KXNHLGAME", "Pro Hockey Game", "Sports", ("Sports", "NHL"), "game"),
    Topic("KXBTC15M", "Bitcoin price up or down", "Crypto", ("Crypto", "Bitcoin"), "strike"),
    Topic("KXNBATOTAL", "Pro Basketball Total Points", "Sports", ("Sports", "NBA"), "total"),
    Topic("KXGOVCA", "Governor of California", "Politics", ("Politics", "Elections"), "field"),
    Topic("KXETHD", "Ethereum price", "Crypto", ("Crypto", "Ethereum"), "strike"),
    Topic("KXFED", "Fed decision", "Economics", ("Economics", "Fed Rates"), "rates"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One market of an event, before it has ids."""

    code: str
    title: str
    outcomes: tuple[str, str] = ("Yes", "No")


@dataclass(frozen=True, slots=True)
class Question:
    """An event before it has ids."""

    code: str
    title: str
    answers: tuple[Answer, ...]


class Catalog:
    """A seeded source of events and markets. The time is handed in."""

    def __init__(self, config: SimConfig, clock_ms: Callable[[], int]) -> None:
        self._config = config
        self._clock_ms = clock_ms
        self._random = random.Random(f"catalog {config.seed}")
        self._number = 1000
        self._codes: set[str] = set()

    def fill(self, world: World) -> None:
        """Create the markets a simulation starts with.

        What both venues ask takes the place of the last ones. These are invented all the same, so
        that the others do not depend on it.
        """
        room = {KALSHI: self._config.kalshi_markets, POLYMARKET: self._config.polymarket_markets}
        asked = self._asked(room)
        invented = {venue: list(islice(self._stream(venue), many)) for venue, many in room.items()}
        draw = random.Random(f"listed {self._config.seed}")
        paired = [market for question in asked for market in self._listed(question, draw)]
        for venue, many in room.items():
            listed = [market for market in paired if market.venue == venue]
            for market in (*invented[venue][: many - len(listed)], *listed):
                world.add(market)

    def one_market(self, venue: Venue, *, close_in_s: float | None = None) -> Market:
        """Invent a market with an event of its own, opening now."""
        market = next(self._stream(venue, first_topic=self._random.randrange(len(TOPICS))))
        market.open_ms = self._clock_ms()
        if close_in_s is not None:
            market.close_ms = market.open_ms + int(close_in_s * 1000)
        return market

    def recorded_kalshi(self, ticker: str) -> Market:
        """Return a market known from a recording, without a book."""
        market = next(self._stream(KALSHI))
        event_id = ticker.rpartition("-")[0] or ticker
        market.event.id, market.event.series = event_id, ticker.partition("-")[0]
        market.event.title = market.title = ticker
        market.id, market.grid = ticker, kalshi_grids()[0]
        market.status = "initialized"
        return market

    def recorded_polymarket(self, condition: str, tokens: list[str]) -> Market:
        """Return a market known from a recording; a token that never appears is invented."""
        market = next(self._stream(POLYMARKET))
        market.condition_id, market.version, market.grid = condition, "v1", polymarket_grids()[0]
        spare = (_token(self._random), _token(self._random))
        market.id, market.other_id = (*tokens, *spare)[:2]
        market.status = "initialized"
        return market

    def _asked(self, room: Mapping[Venue, int]) -> list[SharedQuestion]:
        """Return what both venues ask: as much as half of their markets have room for."""
        if not self._config.pairs:
            return []
        draw = random.Random(f"asked {self._config.seed}")
        now = datetime.fromtimestamp(self._clock_ms() / 1000, UTC)
        asked: list[SharedQuestion] = []
        for question in shared_questions(draw, now):
            if any(2 * _size((*asked, question), venue) > many for venue, many in room.items()):
                break
            asked.append(question)
        for question in asked:
            # No invented game may be the very one.
            codes = (event.code for event in question.listed if event.venue == KALSHI)
            self._codes.update(f"{KALSHI} {question.series} {code}" for code in codes)
        return asked

    def _listed(self, question: SharedQuestion, draw: random.Random) -> Iterator[Market]:
        """Yield the markets of a question that both venues ask; they follow one probability."""
        chance = Chance(draw.uniform(*question.between) * PRICE_SCALE)
        for listed in question.listed:
            event = self._listed_event(question, listed, draw)
            for asked in listed.markets:
                answer = Answer(asked.code, asked.title, asked.outcomes)
                market = self._market(event, answer, draw)
                market.slug, market.rules = asked.code, asked.rules
                market.grid, market.floor_strike = CENTS[listed.venue], asked.floor_strike
                if not asked.look_alike:
                    market.chance, market.inverted = chance, asked.inverted
                    chance.markets.append(market)
                yield market

    def _listed_event(self, question: SharedQuestion, listed: Listed, draw: random.Random) -> Event:
        self._number += 1
        return Event(
            venue=listed.venue,
            id=f"{question.series}-{listed.code}" if listed.venue == KALSHI else str(self._number),
            slug=listed.code,
            number=self._number,
            series=question.series,
            series_title=question.series_title,
            title=listed.title,
            sub_title=listed.sub_title,
            category=question.category,
            tags=question.tags,
            start_ms=int(listed.start.timestamp() * 1000),
            end_ms=int(listed.end.timestamp() * 1000),
            exclusive=question.exclusive,
            is_game=question.is_game,
            volume=round(draw.lognormvariate(10, 1.5), 2),
        )

    def _stream(self, venue: Venue, first_topic: int = 0) -> Iterator[Market]:
        topic_index = first_topic
        while True:
            topic = TOPICS[topic_index % len(TOPICS)]
            topic_index += 1
            event, question = self._event(venue, topic)
            for answer in self._chosen(question, venue):
                yield self._market(event, answer, self._random)

    def _chosen(self, question: Question, venue: Venue) -> tuple[Answer, ...]:
        """Polymarket asks one question about a game; Kalshi has a market for each team."""
        if venue == POLYMARKET and question.answers[0].outcomes != ("Yes", "No"):
            return question.answers[:1]
        return question.answers[: self._config.max_markets_per_event]

    def _event(self, venue: Venue, topic: Topic) -> tuple[Event, Question]:
        start = self._start()
        question = self._question(topic, start)
        while f"{venue} {topic.series} {question.code}" in self._codes:
            start += timedelta(days=1)
            question = self._question(topic, start)
        self._codes.add(f"{venue} {topic.series} {question.code}")
        self._number += 1
        slug = _slug(question.title) + f"-{start:%Y-%m-%d}-{self._number}"
        return Event(
            venue=venue,
            id=f"{topic.series}-{question.code}" if venue == KALSHI else str(self._number),
            slug=slug,
            number=self._number,
            series=topic.series,
            series_title=topic.series_title,
            title=question.title,
            sub_title=f"{question.code} ({start:%b %d})",
            category=topic.category,
            tags=topic.tags,
            start_ms=int(start.timestamp() * 1000),
            end_ms=int((start + timedelta(hours=4)).timestamp() * 1000),
            exclusive=topic.kind in ("game", "field", "rates"),
            is_game=topic.category == "Sports",
            volume=round(self._random.lognormvariate(10, 1.5), 2),
        ), question

    def _start(self) -> datetime:
        now = datetime.fromtimestamp(self._clock_ms() / 1000, UTC)
        hours = self._random.randint(3, 24 * 20)
        return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)

    def _question(self, topic: Topic, start: datetime) -> Question:
        day = f"{start:%y%b%d}".upper()
        match topic.kind:
            case "game":
                return self._game(day)
            case "field":
                return self._field(topic, day)
            case "rates":
                return self._rates(day)
            case _:
                return self._strikes(topic, day, f"{start:%H%M}")

    def _game(self, day: str) -> Question:
        (away, away_city), (home, home_city) = self._random.sample(TEAMS, 2)
        title = f"{away_city} at {home_city}"
        answers = tuple(
            Answer(code, f"Will {city} win the {title} game?", outcomes)
            for code, city, outcomes in (
                (away, away_city, (away_city, home_city)),
                (home, home_city, (home_city, away_city)),
            )
        )
        return Question(f"{day}{away}{home}", title, answers)

    def _field(self, topic: Topic, day: str) -> Question:
        names = self._random.sample(CANDIDATES, len(CANDIDATES))
        answers = tuple(
            Answer("".join(part[0] for part in name.split()), f"Will {name} win?") for name in names
        )
        return Question(f"{day}{self._random.randint(1, 99):02d}", topic.series_title, answers)

    def _rates(self, day: str) -> Question:
        cuts = (("H0", "keep rates"), ("C25", "cut by 25 bps"), ("C50", "cut by 50 bps"))
        answers = tuple(Answer(code, f"Will the Fed {words}?") for code, words in cuts)
        return Question(f"{day}{self._random.randint(1, 99):02d}", "Fed decision", answers)

    def _strikes(self, topic: Topic, day: str, time: str) -> Question:
        base = self._random.randint(80, 240)
        unit = "points" if topic.kind == "total" else "thousand dollars"
        answers = tuple(
            Answer(f"T{base + step}", f"{topic.series_title} above {base + step} {unit}?")
            for step in range(0, STRIKES * STRIKE_STEP, STRIKE_STEP)
        )
        return Question(f"{day}{time}", f"{topic.series_title} on {day} at {time}", answers)

    def _market(self, event: Event, answer: Answer, draw: random.Random) -> Market:
        self._number += 1
        kalshi = event.venue == KALSHI
        grids = kalshi_grids() if kalshi else polymarket_grids()
        market = Market(
            venue=event.venue,
            id=f"{event.id}-{answer.code}" if kalshi else _token(draw),
            other_id=str(uuid.UUID(int=draw.getrandbits(128), version=4))
            if kalshi
            else _token(draw),
            event=event,
            title=answer.title,
            outcomes=answer.outcomes,
            slug=f"{_slug(answer.title)}-{self._number}",
            number=self._number,
            grid=draw.choice(grids),
            size_step=HUNDREDTH if kalshi else 1,
            open_ms=self._clock_ms() - draw.randint(1, 20) * DAY_MS,
            close_ms=event.end_ms,
        )
        market.volume = draw.randint(0, 50_000) * SIZE_SCALE
        market.open_interest = market.volume // 2 // HUNDREDTH * HUNDREDTH
        market.ts_ms = self._clock_ms()
        if not kalshi:
            self._name_condition(market, draw)
        return market

    def _name_condition(self, market: Market, draw: random.Random) -> None:
        """Give a Polymarket market its condition: 32 bytes, on v2 31 that begin with 01 or 02."""
        market.neg_risk = market.event.exclusive and market.outcomes == ("Yes", "No")
        market.question_id = f"0x{draw.getrandbits(256):064x}"
        market.condition_id = f"0x{draw.getrandbits(256):064x}"
        if draw.random() < self._config.v2_share:
            market.version = "v2"
            kind = 2 if market.neg_risk else 1
            market.condition_id = f"0x{kind:02x}{draw.getrandbits(240):060x}"


def _size(asked: Iterable[SharedQuestion], venue: Venue) -> int:
    return sum(question.size(venue) for question in asked)


def _token(draw: random.Random) -> str:
    return str(draw.randrange(10 ** (TOKEN_DIGITS - 1), 10**TOKEN_DIGITS))


def _slug(title: str) -> str:
    words = "".join(char if char.isalnum() else " " for char in title.lower())
    return "-".join(words.split())
