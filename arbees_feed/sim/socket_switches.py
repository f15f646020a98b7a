"""Faults of connections: silence, cuts, slowness, refusals."""

import math
from collections.abc import Iterable

from arbees_feed.sim.config import Venue
from arbees_feed.sim.faults import HandshakeDelay, HandshakeRefusal, retry_after
from arbees_feed.sim.switches import ENDLESS, Ending, Switches, venues_meant
from arbees_feed.sim.venue import Session

LAG_GROWTH = 0.5


class SocketSwitches(Switches):
    """What becomes of sockets, old and new."""

    # Silence.

    def freeze(
        self,
        venue: Venue | None = None,
        market: str | None = None,
        *,
        new_sockets: bool = True,
        answers: bool = False,
    ) -> None:
        """Send no data of a venue or of one market. Sockets, pings and acknowledgements go on.

        With `new_sockets=False` a client mends a venue's freeze by connecting anew. With *answers*
        a book is sent to whoever asks for it (subscribing, get_snapshot), and no change after it.
        """
        self._count("freezes")
        if market is not None:
            self._state.frozen_markets[self._market(market).id] = answers
        for name in _frozen_venues(venue, market):
            self._feed(name).each(lambda session: _set_frozen(session, answers=answers))
            if new_sockets:
                self._state.frozen_venues[name] = answers

    def thaw(self, venue: Venue | None = None, market: str | None = None) -> None:
        """End a freeze: send data again, beginning with fresh books."""
        if market is not None:
            found = self._market(market)
            self._state.frozen_markets.pop(market, None)
            self._feed(found.venue).resync(found)
        for name in _frozen_venues(venue, market):
            self._state.frozen_venues.pop(name, None)
            self._feed(name).each(_thaw)
            self._feed(name).resync(None)

    def omit_market(self, market: str) -> int:
        """Send the changes of one market no more to those who have it now; return to how many.

        Its siblings go on, questions are answered, and subscribing anew mends it. On Kalshi the
        book alone is left out; tickers and trades go on.
        """
        self._count("omissions")
        found = self._market(market)
        self._state.omitted_markets.add(market)
        return self._feed(found.venue).omit(found)

    def black_hole(self, venue: Venue, *, new_sockets: bool = True) -> int:
        """Keep sockets open and send nothing at all, nor heed what comes; return how many.

        With *new_sockets* later handshakes succeed, and end up in the hole too. A socket in it
        stays there, whatever ends, until its client leaves it or `abort_sockets` cuts it.
        """
        self._count("black_holes")
        if new_sockets:
            self._state.holes.add(venue)
        return self._feed(venue).each(lambda session: session.socket.fall_silent())

    def lag(self, venue: Venue, seconds: float, growth: float = LAG_GROWTH) -> int:
        """Deliver the frames of the present sockets later and later; return to how many.

        The delay grows by *growth* seconds each second, up to *seconds*; 0 seconds end it.
        """
        if seconds:
            self._count("lags")
        return self._feed(venue).each(lambda session: session.socket.lag(seconds, growth))

    # Ends and beginnings.

    def close_sockets(self, venue: Venue, code: int = 1001, reason: str = "") -> int:
        """Close all sockets of a venue with a close frame; return how many."""
        self._count("closed_sockets")
        return self._feed(venue).each(
            lambda session: self._shared.spawn(session.socket.close(code, reason))
        )

    def abort_sockets(self, venue: Venue) -> int:
        """Cut all sockets of a venue without a word; return how many."""
        self._count("aborted_sockets")
        return self._feed(venue).each(lambda session: session.socket.abort())

    def slow_handshake(self, venue: Venue, seconds: float = math.inf, count: int = ENDLESS) -> None:
        """Accept TCP connections, and leave the next WebSocket handshakes unanswered so long."""
        self._state.handshake_delays[venue] = HandshakeDelay(seconds, count)

    def refuse_handshakes(
        self,
        venue: Venue,
        status: int = 503,
        *,
        retry_after_s: float | None = None,
        as_date: bool = False,
        for_s: float | None = None,
        count: int | None = None,
    ) -> None:
        """Refuse WebSocket handshakes for a time, or a number of them, or until `clear`."""
        now_ms = self._shared.clock_ms()
        self._state.handshakes[venue] = HandshakeRefusal(
            status=status,
            headers=retry_after(retry_after_s, as_date=as_date, now_ms=now_ms),
            until_ms=None if for_s is None else now_ms + int(for_s * 1000),
            left=count,
        )

    async def stop_accepting(self, venue: Venue) -> None:
        """Refuse TCP connections; open ones live on."""
        self._count("stopped_accepting")
        await self._ports[venue].stop_listening()

    async def start_accepting(self, venue: Venue) -> None:
        """Accept TCP connections again, on the same port."""
        await self._ports[venue].listen()

    def _socket_endings(self) -> dict[str, Ending]:
        state = self._state
        return {
            "freeze": self._end_freezes,
            "omit_market": self._end_omissions,
            "black_hole": lambda venue, _: state.holes.difference_update(venues_meant(venue)),
            "lag": self._end_lags,
            "slow_handshake": self._end_handshake_delays,
            "refuse_handshakes": self._end_refusals,
            "stop_accepting": self._accept_again,
        }

    def _end_freezes(self, venue: Venue | None, market: str | None) -> None:
        if venue is None and market is None:
            for frozen in list(self._state.frozen_markets):
                self.thaw(market=frozen)
        self.thaw(venue, market)

    def _end_omissions(self, venue: Venue | None, market: str | None) -> None:
        for market_id in self._meant(self._state.omitted_markets, venue, market):
            self._state.omitted_markets.discard(market_id)
            found = self._market(market_id)
            self._feed(found.venue).readmit(found)
            self._feed(found.venue).resync(found)

    def _end_lags(self, venue: Venue | None, _: str | None) -> None:
        for name in venues_meant(venue):
            self.lag(name, 0)

    def _end_handshake_delays(self, venue: Venue | None, _: str | None) -> None:
        for name in venues_meant(venue):
            delay = self._state.handshake_delays.pop(name, None)
            if delay is not None:
                delay.over.set()

    def _end_refusals(self, venue: Venue | None, _: str | None) -> None:
        for name in venues_meant(venue):
            self._state.handshakes.pop(name, None)

    async def _accept_again(self, venue: Venue | None, _: str | None) -> None:
        for name in venues_meant(venue):
            await self.start_accepting(name)


def _frozen_venues(venue: Venue | None, market: str | None) -> Iterable[Venue]:
    """Return the venues meant: the named one; both when nothing is named."""
    return () if venue is None and market is not None else venues_meant(venue)


def _set_frozen(session: Session, *, answers: bool) -> None:
    session.frozen, session.answers = True, answers


def _thaw(session: Session) -> None:
    session.frozen = session.answers = False
