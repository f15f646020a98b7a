"""Changed fees pass the table of markets by: whoever keeps metadata hears of them."""

from support.outlets import FakeClock, Outlets, RecordingLink

from arbees_feed.core.events import FeesChanged, MarketListed, NoBook
from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.feed.market import Hooks, MarketsConfig
from arbees_feed.feed.markets import MarketTable

M = MarketId("M")


def test_changed_fees_are_handed_on_and_make_no_market() -> None:
    heard: list[object] = []
    table = MarketTable(
        Outlets().__getitem__,
        MarketsConfig(),
        monotonic=FakeClock(),
        hooks=Hooks(on_listed=heard.append, on_fees_changed=heard.append, on_no_book=heard.append),
    )
    news = [FeesChanged("E"), MarketListed(MarketMeta(M, "kalshi")), NoBook((M,))]
    link = RecordingLink()
    table.apply(news, link, 1)
    table.apply(news[:1], link, 2)
    assert heard == [*news, news[0]]
    assert len(table) == 0


def test_nobody_has_to_listen() -> None:
    table = MarketTable(Outlets().__getitem__, MarketsConfig(), monotonic=FakeClock())
    table.apply([FeesChanged("E"), FeesChanged("E")], RecordingLink(), 1)
    assert len(table) == 0
