"""What a reader knows, and which prices it hands over. Pure: no I/O, and time is an argument.

The rules, in the order in which they are asked:

1. A price of an earlier session of its feed is dropped once a newer session was heard of.
2. A price that is not newer than what is known of its market, by (session, seq), is dropped.
3. A hole in `seq` is counted as missed; the price behind it is the newest, and mends it.
4. A live price is believed while its feed is alive: its heartbeat came in the last `stale_after_s`.
   Else it is handed over as `stale`, with the session, seq, source and times that it has.
5. What was taken back while the connection stood is live again with the next heartbeat of the same
   session, since nothing can have been lost. After a loss it is live again only when `:last` or a
   message says so.

Rejected: marking everything stale as soon as a connection is lost (a reconnect takes milliseconds,
and the next heartbeat is due within a second); comparing the feed's clock with ours (they differ).
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.reader.incoming import (
    LIVE,
    UNREADABLE,
    Places,
    decode_price,
    has_room,
    is_sane,
)
from arbees_feed.reader.liveness import STOPPED, Beat, VenueLife, decode_beat
from arbees_feed.reader.outbox import Outbox
from arbees_feed.reader.shown import Shown
from arbees_feed.reader.stats import ReaderStats

CATCH_UP_S = 0.5
"""After this process itself stood still, heartbeats get so long to be read."""

_DIGITS: Final = 21
"""A session of so many digits is no time in ns."""


class PriceState:
    """Takes messages, values of `:last` and the passing of time; fills an outbox."""

    def __init__(
        self,
        outbox: Outbox,
        stats: ReaderStats,
        *,
        stale_after_s: float,
        names: Names = Names(),  # noqa: B008 - frozen
    ) -> None:
        self.shown = Shown(outbox, stats)
        self._unseen = self.shown.unseen
        self.book = self.shown.book
        """The newest price of each market, as it is to be believed."""
        self.venues: dict[str, VenueLife] = {}
        self.losses: Counter[str] = Counter()
        """Missed prices by market that nobody was told of yet."""
        self.stats = stats
        self._stale_after_s = stale_after_s
        self._ticked_s: float | None = None
        self.suspects: dict[str, tuple[int, int]] = {}
        """Markets whose `:last` was ahead of what is known here: to be looked at again."""
        places = Places(names)
        self._start, self._channel_end = places.start, places.channel_end
        self._last_end = places.last_end
        # While joining: the markets of which this connection has told something.
        self._confirmed: set[str] | None = None

    # -- published ---------------------------------------------------------------------------------

    def published_on(self, channel: bytes, data: bytes, now_s: float) -> None:
        """Take a message of a price channel."""
        try:
            price = decode_price(data)
        except UNREADABLE:
            self.stats.malformed += 1
            return
        market, venue = price.market_id, self.venues.get(price.platform)
        # `is_sane` in place: a call costs a tenth of all that is done here.
        if not (
            0.0 <= price.yes_bid < price.yes_ask <= 1.0
            and price.yes_bid_size >= 0.0 <= price.yes_ask_size
            and price.session > 0 < price.seq
            and channel[self._start : self._channel_end] == market.encode()
            and (venue is not None or has_room(self.venues))
        ):
            self.stats.malformed += 1
            return
        self.stats.received += 1
        before = self.book.get(market)
        is_next = (
            before is not None and price.seq == before.seq + 1 and price.session == before.session
        )
        if not is_next and not self._is_newer(price, before, now_s):
            return
        if self._confirmed is not None:
            self._confirmed.add(market)
        if venue is None:
            venue = self.venues.get(price.platform)
        if venue is not None and venue.alive and price.session == venue.session:
            if self._unseen:
                self.shown.replace_unseen(price)
            self.book[market] = price
            self.shown.outbox.put(market, price)
        else:
            self._question(price, before, now_s)

    def _is_newer(self, price: MarketPrice, before: MarketPrice | None, now_s: float) -> bool:
        if before is None or before.session != price.session:
            return self._enter(price, before, now_s)
        market, step = price.market_id, price.seq - before.seq
        if step <= 0:
            self.stats.repeated += 1
            if self._confirmed is not None:
                self._confirmed.add(market)
            venue = self.venue(price.platform, now_s)
            if price.session > venue.session:  # known from `:last` before its process spoke
                self._begin_session(venue, price.session, now_s)
            return False
        self.missed(market, step - 1)
        return True

    def _question(self, price: MarketPrice, before: MarketPrice | None, now_s: float) -> None:
        """Take a price of a feed that is silent, or of which another session is believed."""
        venue = self.venue(price.platform, now_s)
        if price.session < venue.session:
            self.stats.outdated += 1
            return
        if price.session > venue.session:
            self._begin_session(venue, price.session, now_s)
        self.shown.doubt(price, before)
        if venue.alive:
            self.shown.restore(price.market_id)

    def _enter(self, price: MarketPrice, before: MarketPrice | None, now_s: float) -> bool:
        """Take note of the session of *price*; return whether it is to be looked at."""
        venue = self.venue(price.platform, now_s)
        is_back = before is not None and price.session < before.session
        if price.session < venue.session or (is_back and not venue.beats(price.session)):
            self.stats.outdated += 1
            return False
        if price.session > venue.session:
            self._begin_session(venue, price.session, now_s)
        if before is not None and price.session > before.session:
            self.missed(price.market_id, price.seq - 1)
        return True

    def missed(self, market: str, count: int) -> None:
        """Count prices of a market that will never be handed over."""
        if count:
            self.stats.missed += count
            self.losses[market] += count

    # -- kept --------------------------------------------------------------------------------------

    def _read(self, data: bytes, key: str) -> MarketPrice | None:
        """Return what a `:last` holds, if that is a price of the market of its key."""
        try:
            price = decode_price(data)
        except UNREADABLE:
            price = None
        if (
            price is None
            or key.encode()[self._start : self._last_end] != price.market_id.encode()
            or not is_sane(price)
            or (price.platform not in self.venues and not has_room(self.venues))
        ):
            self.stats.malformed += 1
            return None
        return price

    def kept(self, data: bytes, key: str) -> None:
        """Take the value of a `:last`; what the connection has told since counts more."""
        if (price := self._read(data, key)) is None:
            return
        market = price.market_id
        venue = self.venue(price.platform)
        if self._confirmed is not None:
            if market in self._confirmed:
                return
            if venue.keyed:
                self._confirmed.add(market)
        before = self.book.get(market)
        if before is None or self._is_news(price, before):
            self._keep(price, before, venue)

    def _is_news(self, price: MarketPrice, before: MarketPrice) -> bool:
        """Return whether a `:last` tells something; count what was lost on the way to it."""
        if price.session == before.session:
            missed = price.seq - before.seq - 1
            if missed < 0:
                # Equal: it says that what was taken back is still the newest.
                return price.seq == before.seq and price.status != before.status
        elif price.session < before.session:
            return False
        else:
            missed = price.seq - 1
        self.stats.healed += 1
        self.missed(price.market_id, missed)
        return True

    def _keep(self, price: MarketPrice, before: MarketPrice | None, venue: VenueLife) -> None:
        trusted = venue.keyed and venue.alive and price.session == venue.session
        if trusted or price.status != LIVE:
            self.shown.show(price)
            return
        self.shown.doubt(price, before)
        if not venue.keyed:
            # Not even a heartbeat makes it good: Redis may have refused what is newer.
            self.shown.withheld.pop(price.market_id, None)

    def audit(self, data: bytes, key: str) -> None:
        """Compare a `:last` with what is known; what is ahead of it twice in a row was lost.

        Between the nodes of a cluster messages are lost without a sign, and the last one of a
        market leaves no hole behind it. Once is no proof: the message may be under way.
        """
        if (price := self._read(data, key)) is None:
            return
        market, stamp = price.market_id, (price.session, price.seq)
        before = self.book.get(market)
        known = (before.session, before.seq) if before is not None else (0, 0)
        suspected = self.suspects.pop(market, None)
        if stamp <= known:
            return
        if suspected is None or suspected <= known:
            self.suspects[market] = stamp
        elif before is None or self._is_news(price, before):
            self._keep(price, before, self.venue(price.platform))

    # -- heartbeats --------------------------------------------------------------------------------

    def beat(self, data: bytes, now_s: float) -> None:
        """Take a message of `feed:status`."""
        try:
            beat = decode_beat(data)
        except UNREADABLE:
            beat = None
        if beat is None or (beat.venue not in self.venues and not has_room(self.venues)):
            self.stats.malformed += 1
            return
        self._hear(self.venue(beat.venue, now_s), beat, now_s)

    def _hear(self, venue: VenueLife, beat: Beat, heard_s: float) -> None:
        if beat.session < venue.session and venue.alive:
            # Two feeds: the newer one counts. If the newer one falls silent, a clock was wrong.
            return
        if beat.session != venue.session:
            if beat.session < venue.session:
                # Back from what was no newer feed, or a short one: `:last` tells what it left.
                venue.keyed = False
            self._begin_session(venue, beat.session, heard_s)
        venue.heard_s, venue.state, venue.reason = heard_s, beat.state, beat.reason
        if beat.state == STOPPED:
            self._kill(venue, beat.reason or STOPPED)
        elif not venue.alive:
            self._revive(venue)

    def key_read(
        self, name: str, fields: Mapping[str, str], beat_age_s: float, now_s: float
    ) -> None:
        """Take `feed:venue:<name>`: its fields (none: it is not there), and how old they are."""
        venue = self.venue(name)
        session = fields.get("session", "")
        venue.keyed = session.isdecimal() and len(session) < _DIGITS
        if not venue.keyed:
            if not venue.session:
                venue.reason = "no feed writes to this Redis"
            return
        beat = Beat(name, fields.get("state", ""), int(session), fields.get("reason", ""))
        if beat.session < venue.session and venue.alive:
            venue.keyed = False  # of the process before: the new one has not written its own yet
            return
        heard_s = now_s - beat_age_s
        if beat.session == venue.session:
            heard_s = max(heard_s, venue.heard_s)
        if now_s - heard_s <= self._stale_after_s:
            self._hear(venue, beat, heard_s)
        else:
            venue.session = max(venue.session, beat.session)
            self._kill(venue, _silence(now_s - heard_s))

    def venue(self, name: str, now_s: float = 0.0) -> VenueLife:
        """Return what is known of a venue."""
        venue = self.venues.get(name)
        if venue is None:
            venue = self.venues[name] = VenueLife(name, heard_s=now_s)
        return venue

    def _begin_session(self, venue: VenueLife, session: int, now_s: float) -> None:
        """Believe a new process from now on, and nothing of the one before it."""
        venue.session, venue.heard_s, venue.state = session, now_s, ""
        self.shown.take_back(venue.venue, but=session)
        self._revive(venue)

    def _revive(self, venue: VenueLife) -> None:
        venue.alive = True
        self.shown.restore_all(venue.venue, venue.session)

    def _kill(self, venue: VenueLife, reason: str) -> None:
        venue.alive, venue.reason = False, reason
        self.shown.take_back(venue.venue)

    # -- time and connections ----------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Look at the clock; call at least a few times a second."""
        before_s, self._ticked_s = self._ticked_s, now_s
        stood_still = before_s is not None and now_s - before_s > CATCH_UP_S
        for venue in self.venues.values():
            if not venue.alive:
                continue
            if stood_still:
                venue.heard_s = max(venue.heard_s, now_s - self._stale_after_s + CATCH_UP_S)
            if (silent_s := now_s - venue.heard_s) > self._stale_after_s:
                self._kill(venue, _silence(silent_s))

    @property
    def silent(self) -> bool:
        """Whether venues are known, and none is alive."""
        return bool(self.venues) and not any(venue.alive for venue in self.venues.values())

    @property
    def unsure(self) -> bool:
        """Whether a feed beats whose `:last` could not be believed when it was read."""
        # A heartbeat and the key are one write: only a Redis that refuses the key lacks it then.
        return any(v.alive and v.state and not v.keyed for v in self.venues.values())

    def linked(self) -> None:
        """Take note of a new connection: what came over others can't be taken up again."""
        self.shown.forget_withheld(linked=True)
        self.suspects.clear()

    def lost(self) -> None:
        """Take note of the loss of the connection."""
        self.shown.forget_withheld(linked=False)
        self._confirmed = None

    def begin_join(self) -> None:
        """Note from now on of which markets the connection tells something."""
        self._confirmed = set()

    def end_join(self, *, whole: bool) -> None:
        """Take back what neither `:last` nor a message spoke of, if all was asked for (*whole*)."""
        confirmed, self._confirmed = self._confirmed, None
        if not whole or confirmed is None:
            return
        for market, price in self.book.items():
            if price.status == LIVE and market not in confirmed:
                self.shown.mark(price)


def _silence(seconds: float) -> str:
    return f"no heartbeat for {seconds:.1f} s"
