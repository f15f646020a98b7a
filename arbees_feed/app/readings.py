"""The feed's counters as metrics."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from arbees_feed.app.venue import Venue
from arbees_feed.ops.metrics import Durations, Sample
from arbees_feed.publish.service import Publisher
from arbees_feed.supervisor import Supervisor

Reading = Sample | Durations


def venue_readings(venues: Sequence[Venue]) -> Callable[[], Iterable[Reading]]:
    """Return the provider for all venues."""
    return lambda: (reading for venue in venues for reading in _of_venue(venue))


Row = tuple[Literal["counter", "gauge"], str, str, float]


def _of_venue(venue: Venue) -> Iterable[Reading]:
    labels = {"venue": venue.venue}
    for rows in (_state_rows, _frame_rows, _quote_rows, _service_rows):
        for kind, name, text, value in rows(venue):
            yield Sample(name=name, help=text, kind=kind, value=value, labels=labels)
    for (host, kind_of_answer), calls in venue.http.stats.calls.items():
        yield Sample(
            name="rest_calls_total",
            help="REST calls by host and class of answer",
            kind="counter",
            value=calls,
            labels={**labels, "host": host, "status": kind_of_answer},
        )
    yield from _gate_rows(venue)


def _gate_rows(venue: Venue) -> Iterable[Reading]:
    gate = venue.http.stats.gate
    for family, state in gate.breaker_state.items():
        yield Sample(
            name="rest_breaker_state",
            help="Circuit breaker of a family of endpoints: 0 closed, 1 half open, 2 open",
            kind="gauge",
            value=state,
            labels={"venue": venue.venue, "family": family},
        )


def _state_rows(venue: Venue) -> Iterable[Row]:
    state, _reason = venue.state()
    feed = venue.feed
    return (
        ("gauge", "venue_live", "1 while the venue's prices can be trusted", state == "live"),
        ("gauge", "connections", "Open WebSocket connections", feed.open_links),
        ("gauge", "markets", "Markets seen", len(venue.table)),
        ("gauge", "markets_live", "Markets whose price is live", venue.table.live),
        ("gauge", "books", "Full books to be carried", feed.books_wanted),
        ("gauge", "books_live", "Full books in step (counted every 2 s)", feed.books_live),
        ("counter", "connects_total", "WebSocket connections made", feed.stats.connects),
        ("counter", "connection_losses_total", "WebSocket connections lost", feed.stats.losses),
    )


def _frame_rows(venue: Venue) -> Iterable[Row]:
    decoded = venue.feed.decoded()
    return (
        ("counter", "frames_total", "Frames received", decoded.frames),
        ("counter", "unknown_kinds_total", "Frames of a kind not known", decoded.unknown_kinds),
        ("counter", "malformed_total", "Frames that could not be understood", decoded.malformed),
        ("counter", "sequence_gaps_total", "Gaps in sequence numbers", decoded.gaps),
        ("counter", "sequence_duplicates_total", "Repeated sequence numbers", decoded.duplicates),
        ("counter", "sequence_resets_total", "Sequence numbers that fell back", decoded.resets),
        ("counter", "resyncs_total", "Snapshots asked for to mend a book", decoded.resyncs),
        (
            "counter",
            "outdated_total",
            "Changes older than the book, dropped",
            decoded.stale_dropped,
        ),
        ("counter", "venue_errors_total", "Errors the venue answered", decoded.venue_errors),
    )


def _quote_rows(venue: Venue) -> Iterable[Row]:
    stats = venue.table.stats
    return (
        ("counter", "quotes_total", "Changes of a top of book", stats.quotes),
        ("counter", "stale_total", "Markets marked stale", stats.stale),
        ("counter", "closed_total", "Markets that ended", stats.closed),
        ("counter", "books_lost_total", "Books that went out of step", stats.books_lost),
        ("counter", "held_total", "Quotes held back as not to be trusted", stats.held),
        (
            "counter",
            "filtered_total",
            "Tickers of markets that the filter keeps out",
            stats.filtered,
        ),
    )


def _service_rows(venue: Venue) -> Iterable[Row]:
    written = venue.writer.stats.markets_written
    yield ("counter", "metadata_written_total", "Market hashes written", written)
    if venue.demand is not None:
        demand = venue.demand.stats
        yield ("gauge", "demand_followed", "Markets followed by lease", demand.followed)
        yield ("gauge", "demand_waiting", "Leases beyond demand.max_markets", demand.refused_full)
        yield ("counter", "demand_refused_total", "Leases on what is no id", demand.refused_form)
    if venue.refresher is not None:
        refreshed = venue.refresher.stats.refreshed
        yield ("counter", "refreshed_total", "Silent markets refreshed over REST", refreshed)


def publisher_readings(publisher: Publisher) -> Callable[[], Iterable[Reading]]:
    """Return the provider for the publisher."""

    def counter(name: str, text: str, value: float) -> Sample:
        return Sample(name=name, help=text, kind="counter", value=value)

    def read() -> Iterable[Reading]:
        stats = publisher.stats
        yield Sample(
            name="redis_connected",
            help="1 while the publishing connection is open",
            kind="gauge",
            value=publisher.connected,
        )
        yield Sample(
            name="markets_waiting",
            help="Markets with a price newer than was written",
            kind="gauge",
            value=publisher.waiting,
        )
        yield counter("published_total", "Prices published", stats.published)
        yield counter(
            "conflated_total", "Prices replaced before they were written", stats.conflated
        )
        yield counter("mirrored_total", "Quote hashes written", stats.mirrored)
        yield counter("trades_published_total", "Trades published", stats.trades)
        yield counter("trades_dropped_total", "Trades dropped", stats.trades_dropped)
        yield counter("redis_bytes_total", "Bytes written to Redis", stats.bytes)
        yield counter("redis_errors_total", "Error replies of Redis", stats.redis_errors)
        yield counter("redis_connects_total", "Publishing connections made", stats.connects)
        yield Durations(
            name="publish_lag_seconds",
            help="Frame read from the socket to price encoded",
            histogram=publisher.publish_latency,
        )
        yield Durations(
            name="redis_reply_seconds",
            help="Batch written to its last reply",
            histogram=publisher.reply_latency,
        )

    return read


def restart_readings(supervisors: Sequence[Supervisor]) -> Callable[[], Iterable[Reading]]:
    """Return the provider for restarts of services."""

    def read() -> Iterable[Reading]:
        for supervisor in supervisors:
            for (service, cause), count in supervisor.restarts.items():
                yield Sample(
                    name="restarts_total",
                    help="Restarts by service and cause",
                    kind="counter",
                    value=count,
                    labels={"service": service, "cause": cause},
                )

    return read
