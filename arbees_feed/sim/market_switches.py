"""What happens to a market, and to a venue's clock."""

from decimal import Decimal

from arbees_feed.sim.config import KALSHI, POLYMARKET, Venue
from arbees_feed.sim.grid import uniform
from arbees_feed.sim.money import PRICE_SCALE, SIZE_SCALE
from arbees_feed.sim.switches import Ending, Switches, venues_meant
from arbees_feed.sim.world import Change

GHOST_SIZE = 10 * SIZE_SCALE


class MarketSwitches(Switches):
    """What is rare and legal, and what looks like it."""

    def change_tick(self, market: str, tick: float | str) -> None:
        """Give a Polymarket market another tick, in dollars, and announce it.

        Orders between the new prices move away from the touch, or leave at the end of the grid.
        """
        found = self._market(market)
        step = int(Decimal(str(tick)) * PRICE_SCALE)
        if found.venue != POLYMARKET:
            raise ValueError(f"{market}: only Polymarket's ticks change")
        if step < 1 or PRICE_SCALE % step:
            raise ValueError(f"no tick: {tick}")
        self._count("tick_changes")
        self._publish(self._flow.retick(found, uniform(step)))
        self._feed(POLYMARKET).flush()

    def change_fees(
        self, market: str, fee_type: str | None = None, multiplier: float | None = None
    ) -> None:
        """Let a Kalshi market's event have other fees than its series, and announce it.

        They hold for all markets of the event; with neither, those of the series hold again.
        """
        found = self._market(market)
        if found.venue != KALSHI:
            raise ValueError(f"{market}: only Kalshi's fees change")
        found.event.fee_type, found.event.fee_multiplier = fee_type, multiplier
        self._count("fee_changes")
        self._kalshi().tell_fees(found.event)

    def cross(self, market: str, *, lasting: bool = False) -> None:
        """Cross a market's book within one venue time; *lasting*, by an order that is not there.

        That one stays in the books of those who heard of it until they are sent a whole one.
        """
        found = self._market(market)
        feed = self._feed(found.venue)
        if lasting:
            ask = found.best_ask()
            if not found.yes_asks:
                raise ValueError(f"{market}: nothing to cross")
            before = found.yes_bids.get(ask, 0)
            feed.mislead(found, Change("bid", ask, before, before + GHOST_SIZE))
        else:
            self._publish(self._flow.cross(found))
            feed.flush()
        self._count("crosses")

    def time_jump(self, venue: Venue, seconds: float) -> None:
        """Set a venue's clock ahead of the true time, or back (negative); 0 ends it.

        All that the venue stamps from now on has that time. It judges signatures by the true one.
        """
        if seconds:
            self._count("time_jumps")
        self._shared.jump(venue, round(seconds * 1000))

    def _market_endings(self) -> dict[str, Ending]:
        return {"cross": self._send_whole_books, "time_jump": self._set_right}

    def _send_whole_books(self, venue: Venue | None, market: str | None) -> None:
        if market is not None:
            found = self._market(market)
            self._feed(found.venue).resync(found)
            return
        for name in venues_meant(venue):
            self._feed(name).resync(None)

    def _set_right(self, venue: Venue | None, _: str | None) -> None:
        for name in venues_meant(venue):
            if self._shared.has_jumped(name):
                self._shared.jump(name, 0)
