"""Why a market's price is what it is: gathered from where it is known, changing nothing.

Books are judged by their checksum on patrol (feed/patrol.py) and not here: judging counts, and
costs up to 3 ms.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from arbees_feed.app.because import because
from arbees_feed.app.explanation import (
    Book,
    Clock,
    Connection,
    Explanation,
    Happened,
    Level,
    Liveliness,
    Shown,
    Ticker,
)
from arbees_feed.app.venue import Venue
from arbees_feed.config import redact_url
from arbees_feed.core.book import BookState, OrderBook
from arbees_feed.core.clock import ClockOffset
from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR, MarketId, Quote
from arbees_feed.core.text import clean
from arbees_feed.core.wire import Names
from arbees_feed.feed.market import Link, Market, Watch
from arbees_feed.feed.patrol import state_of
from arbees_feed.feed.session import Session
from arbees_feed.ops.http import Told
from arbees_feed.publish.outlet import Outlet

LEVELS: Final = 5
_HISTORY: Final = 20
_CHARS: Final = 300


class Explainer:
    """Answers for all venues, as the HTTP endpoint asks."""

    def __init__(
        self,
        venues: Sequence[Venue],
        names: Names,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._venues = venues
        self._names = names
        self._monotonic = monotonic
        self._now_ns = now_ns

    def explain(self, market: str) -> Told:
        """Return what is known of a market, or why nothing is."""
        market_id, now_s, now_ns = MarketId(market), self._monotonic(), self._now_ns()
        for venue in self._venues:
            page = explain(venue, market_id, now_s, now_ns)
            if page is not None:
                return Told(found=True, page=msgspec.to_builtins(page))
        return Told(found=False, page={"error": unknown(self._venues, market_id, self._names)})


def explain(venue: Venue, market_id: MarketId, now_s: float, now_ns: int) -> Explanation | None:
    """Return all that a venue's feed knows of a market; None: it has never seen it.

    *now_s* is of the monotonic clock that the feed uses, *now_ns* Unix time.
    """
    market = venue.feed.table.get(market_id)
    if market is None:
        return None
    state, reason = venue.feed.state()
    page = Explanation(
        market=market.id,
        venue=venue.venue,
        venue_state=state.value,
        venue_reason=_text(reason),
        at_ns=now_ns,
        phase=market.phase,
        state=state_of(market, now_s).value,
        doubt=_text(market.doubt),
        event_ts_ns=market.ts_ns or None,
        event_age_s=_ago_ns(market.ts_ns, now_ns) if market.ts_ns else None,
        wanted_by=venue.feed.wanted_by(market.id),
        shown=_shown(market, now_ns),
        book=_book(market, market.book) if market.book is not None else None,
        ticker=_ticker(venue, market),
        liveliness=_liveliness(venue, market, market.watch, now_s) if market.watch else None,
        connection=_connection(venue, market, now_s),
        clock=_clock(venue.http.stats.clock),
        history=[
            Happened(_ago_ns(made.at_ns, now_ns), _text(made.what), _text(made.detail))
            for made in venue.flights.decisions.of(market.id)[-_HISTORY:]
        ],
    )
    return msgspec.structs.replace(page, because=because(page))


# -- parts -----------------------------------------------------------------------------------------


def _shown(market: Market, now_ns: int) -> Shown | None:
    quote, outlet = market.quote, market.outlet
    if quote is None:
        return None
    published = outlet if isinstance(outlet, Outlet) else None
    return Shown(
        status=quote.status.value,
        source=quote.source.value,
        bid=quote.bid / ONE_DOLLAR,
        bid_size=quote.bid_size / ONE_CONTRACT,
        ask=quote.ask / ONE_DOLLAR,
        ask_size=quote.ask_size / ONE_CONTRACT,
        last_price=_last(quote),
        event_ts_ns=quote.ts_event_ns or None,
        ago_s=_ago_ns(quote.ts_recv_ns, now_ns),
        seq=published.seq if published else None,
        waiting=published is not None and published.sent is not quote,
    )


def _last(quote: Quote) -> float | None:
    return None if quote.last_price is None else quote.last_price / ONE_DOLLAR


def _book(market: Market, book: OrderBook) -> Book:
    bids, asks = book.depth(LEVELS)
    return Book(
        state=book.state.value,
        reason=_text(book.reason),
        agrees=market.agrees,
        changes=market.changes,
        bid_levels=len(book.bids.keys),
        ask_levels=len(book.asks.keys),
        bids=[_level(*level) for level in bids],
        asks=[_level(*level) for level in asks],
    )


def _level(price: int, size: int) -> Level:
    return price / ONE_DOLLAR, size / ONE_CONTRACT


def _ticker(venue: Venue, market: Market) -> Ticker | None:
    ticker = market.ticker
    if ticker is None:
        return None
    carrier = _carrier(venue, market.ticker_link)
    return Ticker(
        source=market.ticker_source.value,
        bid=ticker.bid / ONE_DOLLAR,
        bid_size=ticker.bid_size / ONE_CONTRACT,
        ask=ticker.ask / ONE_DOLLAR,
        ask_size=ticker.ask_size / ONE_CONTRACT,
        event_ts_ns=ticker.ts_ns or None,
        connection=carrier[0] if carrier else "",
    )


def _liveliness(venue: Venue, market: Market, watch: Watch, now_s: float) -> Liveliness:
    difference = venue.feed.prober.stats.last_difference
    wrong_s = _ago_s(watch.wrong_since_s, now_s)
    return Liveliness(
        silent_s=round(now_s - watch.heard_s, 3),
        usual_s=round(watch.usual_s, 3),
        proved_s=_ago_s(watch.proved_s, now_s),
        asked_s=_ago_s(watch.asked_s, now_s),
        suspicion=_text(watch.suspicion),
        checksum=_checksum(market, watch),
        checksum_wrong_s=wrong_s,
        last_mismatch=_text(difference) if difference.startswith(f"{market.id}: ") else "",
    )


def _checksum(market: Market, watch: Watch) -> str:
    link = market.book_link
    if not isinstance(link, Session) or not link.stats.hashes_right + link.stats.hashes_wrong:
        return "none"
    if watch.wrong_since_s:
        return "wrong"
    return "pending" if watch.unverified else "holds"


def _connection(venue: Venue, market: Market, now_s: float) -> Connection | None:
    """Describe the connection that the price comes from, or that it is to come from."""
    book = market.book
    in_step = book is not None and book.state is BookState.LIVE
    source = market.book_link if in_step else market.ticker_link
    carrier = _carrier(venue, source) or _subscriber(venue, market.id)
    if carrier is None:
        return None
    name, opened_s, session = carrier
    age = session.age.newest_ms
    return Connection(
        name=name,
        url=_text(redact_url(venue.fields()["url"])),
        open_s=None if opened_s is None else round(now_s - opened_s, 3),
        liveness=session.pulse.state(now_s).value,
        suspicion=_text(session.pulse.suspicion),
        silent_s=round(now_s - session.pulse.data_s, 3),
        frames=session.stats.frames,
        message_age_s=None if age is None else round(age / 1e3, 3),
        age_growth_s=round(max(0.0, session.age.grown_ms) / 1e3, 3),
    )


Carrier = tuple[str, float | None, Session]
"""(name, when it was opened or None while it is about to take over, the connection)"""


def _carrier(venue: Venue, source: Link | None) -> Carrier | None:
    for link in venue.feed.links:
        for session in link.sessions():
            if session is source:
                opened_s = link.opened_s if session is link.session else None
                return link.name, opened_s, session
    return None


def _subscriber(venue: Venue, market: MarketId) -> Carrier | None:
    for link in venue.feed.links:
        if market in link.markets and link.session is not None:
            return link.name, link.opened_s, link.session
    return None


def _clock(clock: ClockOffset) -> Clock | None:
    if clock.offset_s is None or clock.uncertainty_s is None:
        return None
    return Clock(round(clock.offset_s, 3), round(clock.uncertainty_s, 3))


# -- markets that are not known --------------------------------------------------------------------


def unknown(venues: Sequence[Venue], market: MarketId, names: Names) -> str:
    """Say why a market is not known, and what one can do."""
    fitting = [venue for venue in venues if venue.plan.spec.market_form.fullmatch(market)]
    if not fitting:
        named = " or ".join(venue.venue for venue in venues)
        return f"{_text(market)} is no market id of {named}: `arbees-feed markets TEXT` finds ids"
    return "; ".join(_unknown_at(venue, market, names) for venue in fitting)


def _unknown_at(venue: Venue, market: MarketId, names: Names) -> str:
    wanted = ", ".join(venue.feed.wanted_by(market))
    if wanted:
        state, reason = venue.feed.state()
        told = f"{venue.venue} is {state.value}{f', {_text(reason)}' if reason else ''}"
        return f"{market} is wanted (by {wanted}), but no book of it has come yet: {told}"
    why = _kept_out(venue, market)
    return f"{market} is not followed at {venue.venue}{why}: {_advice(venue, market, names)}"


def _kept_out(venue: Venue, market: MarketId) -> str:
    rules = venue.plan.market_filter
    if rules.passes(market):
        volume = f", or has traded less than {venue.venue}.min_volume" if rules.min_volume else ""
        return f" or has ended{volume}"
    prefix = next((p for p in rules.exclude_prefixes if market.startswith(p)), None)
    if prefix is not None:
        return f", as {venue.venue}.exclude_prefixes has {_text(prefix)}"
    return f", as {venue.venue}.include_series and include_events do not have it"


def _advice(venue: Venue, market: MarketId, names: Names) -> str:
    if venue.demand is None:
        return f"name it in {venue.venue}.markets, as demand.enabled is false"
    lease = f"redis-cli ZADD {names.watch(venue.venue)} $(($(date +%s)+3600)) {market}"
    return f"name it in {venue.venue}.markets, or ask for it for an hour: {lease}"


def _text(text: str) -> str:
    return clean(text, _CHARS)


def _ago_ns(then_ns: int, now_ns: int) -> float:
    return round((now_ns - then_ns) / 1e9, 3)


def _ago_s(then_s: float, now_s: float) -> float | None:
    """Return how long ago something was; 0.0 is how the feed writes never."""
    return round(now_s - then_s, 3) if then_s else None
