"""Which metadata is to go, and when."""

from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.venue import Found
from arbees_feed.enrich.leaving import Leaving


def market(name: str, status: str = "open") -> MarketMeta:
    """Return the metadata of a market."""
    return MarketMeta(market_id=MarketId(name), platform="p", status=status)


def ids(*names: str) -> list[MarketId]:
    """Return ids."""
    return [MarketId(name) for name in names]


def test_what_has_ended_is_written_and_goes_later() -> None:
    leaving = Leaving(10)
    found = Found(markets=[market("A"), market("B", "closed")])
    assert leaving.living(found, due_s=100.0).markets == found.markets
    leaving.living(found, due_s=200.0)
    assert leaving.due(99.0, 5) == []
    assert leaving.due(100.0, 5) == ids("B")


def test_what_is_gone_is_not_written_again_for_being_listed_as_ended() -> None:
    leaving = Leaving(10)
    ended = Found(
        markets=[market("B", "settled")],
        events=[EventMeta("E", "p", market_ids=tuple(ids("B")))],
    )
    leaving.living(ended, 1.0)
    leaving.left(leaving.due(1.0, 5))
    assert leaving.living(ended, 2.0) == Found(markets=[], events=[])
    assert leaving.due(9.0, 5) == []


def test_what_lives_after_all_is_written_and_stays() -> None:
    leaving = Leaving(10)
    leaving.living(Found(markets=[market("B", "closed")]), 1.0)
    leaving.living(Found(markets=[market("B")]), 1.0)
    assert leaving.due(9.0, 5) == []
    leaving.left(ids("B"))
    again = Found(markets=[market("B")])
    assert leaving.living(again, 1.0).markets == again.markets


def test_an_event_without_markets_is_not_written() -> None:
    event = EventMeta("E", "p")
    assert Leaving(10).living(Found(events=[event]), 1.0).events == []


def test_what_was_given_up_goes_first() -> None:
    leaving = Leaving(10)
    leaving.living(Found(markets=[market("A", "closed"), market("B", "closed")]), 50.0)
    leaving.give_up(ids("B", "C"), 10.0)
    assert leaving.due(10.0, 5) == ids("B", "C")
    assert leaving.due(50.0, 2) == ids("B", "C")
    assert len(leaving) == 3


def test_it_is_bounded() -> None:
    leaving = Leaving(2)
    leaving.living(Found(markets=[market(f"M{n}", "closed") for n in range(5)]), 1.0)
    assert (len(leaving), leaving.dropped) == (2, 3)
