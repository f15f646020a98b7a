"""What the commands in a terminal are told by a reader, without one."""

from collections.abc import Mapping

from arbees_feed.cli.topstate import TopState
from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader import ReaderStats, VenueLife


def beating(venue: str, state: str = "live", reason: str = "", heard_s: float = 10.0) -> VenueLife:
    """Return what is known of a venue whose feed beats."""
    return VenueLife(
        venue, session=1, state=state, reason=reason, alive=True, keyed=True, heard_s=heard_s
    )


class Told:
    """A state of `top`, and the views of a reader that it looks at."""

    def __init__(self, *lives: VenueLife) -> None:
        self.book: dict[str, MarketPrice] = {}
        self.lives = {life.venue: life for life in lives}
        self.stats = ReaderStats(joins=1)
        self.state = TopState(self.book, self.lives, self.stats, 0.0)
        self.state.tick(0.0, "")

    def hand(
        self, *prices: MarketPrice, losses: Mapping[str, int] | None = None, now_s: float = 0.0
    ) -> None:
        """Let the reader hand over these prices, and say what it has missed."""
        self.book.update({price.market_id: price for price in prices})
        self.state.take(prices, losses or {}, now_s)
