"""What `watch` says on stderr: each change once, and what was missed."""

import pytest
from support.prices import price
from support.terminal import beating

from arbees_feed.cli.watchnews import MISSED_EVERY_S, News
from arbees_feed.reader import ReaderStats, VenueLife


class Reader:
    """What the news are of; fields are set by tests."""

    def __init__(self) -> None:
        self.trouble = ""
        self.stats = ReaderStats(joins=1)
        self.venues: dict[str, VenueLife] = {}
        self.losses: dict[str, int] = {}

    def take_losses(self) -> dict[str, int]:
        losses, self.losses = self.losses, {}
        return losses


class Heard:
    """News, a clock, and what was said since it was asked last."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.reader = Reader()
        self._said: list[str] = []
        self.news = News(self.reader, self._said.append, monotonic=lambda: self.now_s)  # type: ignore[arg-type]

    def look(self) -> list[str]:
        self.news.look()
        said = list(self._said)
        self._said.clear()
        return said


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_a_venue_is_told_when_it_goes_and_comes_and_only_once(heard: Heard) -> None:
    life = heard.reader.venues["kalshi"] = beating("kalshi", heard_s=97.0)
    assert heard.look() == [], "at the start only what is wrong"
    life.alive = False
    gone = "kalshi is GONE: no heartbeat for 3 s; its prices are stale"
    assert heard.look() == [gone]
    assert heard.look() == []
    life.alive = True
    assert heard.look() == ["kalshi is live"]
    life.state, life.reason = "stale", "no connection is up"
    assert heard.look() == ["kalshi is stale: no connection is up"]


def test_a_venue_that_nothing_was_heard_of_is_told_once_its_prices_come(heard: Heard) -> None:
    heard.reader.venues["kalshi"] = VenueLife("kalshi", reason="no feed writes to this Redis")
    assert heard.look() == []
    heard.news.note([price()])
    assert heard.look() == ["kalshi is GONE: no feed writes to this Redis; its prices are stale"]


def test_an_outage_of_redis_is_told_once_and_its_end(heard: Heard) -> None:
    heard.reader.trouble, heard.reader.stats.failures = "redis: refused", 1
    assert heard.look() == ["redis: refused; trying again"]
    heard.reader.stats.failures = 2
    assert heard.look() == []
    heard.reader.trouble = ""
    assert heard.look() == ["redis answers again"]
    heard.reader.stats.failures = 3
    assert heard.look() == ["redis: the connection was lost, and made again"]
    assert heard.look() == []


def test_what_was_missed_is_told_at_once_and_then_in_sums(heard: Heard) -> None:
    heard.reader.losses = {"A": 2, "B": 1}
    assert heard.look() == ["missed 3 prices of 2 markets; the newest follow"]
    for _ in range(3):
        heard.reader.losses = {"A": 1}
        heard.reader.stats.overflowed += 1
        assert heard.look() == []
    heard.now_s += MISSED_EVERY_S
    assert heard.look() == [
        "missed 3 prices of 1 markets (3 of them came faster than lines are taken);"
        " the newest follow"
    ]
    heard.reader.losses = {"A": 1}
    assert heard.look() == []
    heard.news.last_words()
    assert heard.look() == ["missed 1 prices of 1 markets; the newest follow"]
