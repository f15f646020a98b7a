"""What is believed of each market now, and what of it is handed over. Pure."""

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader.incoming import LIVE, STALE, stale_of
from arbees_feed.reader.outbox import Outbox
from arbees_feed.reader.stats import ReaderStats


class Shown:
    """The newest price of each market as it is to be believed; fills an outbox."""

    def __init__(self, outbox: Outbox, stats: ReaderStats) -> None:
        self.book: dict[str, MarketPrice] = {}
        self.outbox = outbox
        self.withheld: dict[str, MarketPrice] = {}
        """Live prices that were taken back, as they came, over the connection that stands."""
        self.unseen: set[str] = set()
        """Markets whose newest price nobody was handed: its feed was not believed."""
        self._stats = stats
        self._linked = False

    def show(self, price: MarketPrice) -> None:
        """Hand over a price that was kept, or withheld."""
        market, before = price.market_id, self.book.get(price.market_id)
        was_seen = market not in self.unseen and _stamp(before) == _stamp(price)
        self.replace_unseen(price)
        self.book[market] = price
        (self.outbox.put_again if was_seen else self.outbox.put_known)(market, price)

    def replace_unseen(self, price: MarketPrice) -> None:
        """Take note that *price* takes the place of one that nobody was handed, if there is one."""
        market = price.market_id
        if market in self.unseen:
            self.unseen.discard(market)
            if _stamp(self.book[market]) != _stamp(price):
                self.outbox.skip(market)

    def doubt(self, price: MarketPrice, before: MarketPrice | None) -> None:
        """Take a price whose feed is not believed now; *before* is what is known of its market."""
        if price.status != LIVE:
            self.show(price)
            return
        market, mark = price.market_id, stale_of(price)
        if self._linked:
            self.withheld[market] = price
        if before is None or before.status != STALE:
            self._stats.marked += 1
            self.outbox.put_known(market, mark)
        elif _stamp(before) != _stamp(price):
            # One `stale` of the market is enough; this price may be handed over yet, if live.
            self.replace_unseen(price)
            self.unseen.add(market)
        self.book[market] = mark

    def mark(self, price: MarketPrice) -> None:
        """Take back a live price that was handed over."""
        # Replaces a value under a key that is there: safe while the book is walked through.
        self.book[price.market_id] = mark = stale_of(price)
        self._stats.marked += 1
        self.outbox.put_again(price.market_id, mark)

    def take_back(self, platform: str, *, but: int | None = None) -> None:
        """Mark the live prices of a venue, but those of one session."""
        for market, price in self.book.items():
            if price.status == LIVE and price.platform == platform and price.session != but:
                self.mark(price)
                if self._linked:
                    self.withheld[market] = price

    def restore_all(self, platform: str, session: int) -> None:
        """Hand over again what was taken back of a session of a venue, and forget the rest."""
        for market, price in list(self.withheld.items()):
            if price.platform == platform:
                if price.session == session:
                    self.restore(market)
                else:
                    del self.withheld[market]

    def restore(self, market: str) -> None:
        """Hand over again what was taken back, unless something newer is known."""
        price = self.withheld.pop(market, None)
        known = self.book.get(market)
        if price is None or known is None:
            return
        if _stamp(known) == _stamp(price) and known.status == STALE:
            self.show(price)

    def forget_withheld(self, *, linked: bool) -> None:
        """Take note of the beginning or the end of a connection: nothing can be taken up again."""
        self._linked = linked
        self.withheld.clear()

    def forget(self, market: str) -> None:
        """Know nothing of a market any more."""
        self.book.pop(market, None)
        self.withheld.pop(market, None)
        self.unseen.discard(market)


def _stamp(price: MarketPrice | None) -> tuple[int, int]:
    return (price.session, price.seq) if price is not None else (0, 0)
