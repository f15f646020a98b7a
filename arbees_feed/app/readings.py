"""The feed's counters as metrics."""

from collections.abc import Callable, Iterable, Sequence

from arbees_feed.app.venue import Venue
from arbees_feed.ops.metrics import Durations, Sample
from arbees_feed.publish.service import Publisher
from arbees_feed.supervisor import Supervisor

Reading = Sample | Durations


def venue_readings(venues: Sequence[Venue]) -> Callable[[], Iterable[Reading]]:
    """Return the provider for all venues."""
    return lambda: (reading for venue in venues for reading in _of_venue(venue))


def _of_venue(venue: Venue) -> Iterable[Reading]:
    labels = {"venue": venue.venue}

    def counter(name: str, text: str, value: float) -> Sample:
        return Sample(name=name, help=text, kind="counter", value=value, labels=labels)

    def gauge(name: str, text: str, value: float) -> Sample:
        return Sample(name=name, help=text, kind="gauge", value=value, labels=labels)

    state, _reason = venue.state()
    decoded, feed, markets = venue.feed.decoded(), venue.feed.stats, venue.table.stats
    yield gauge("venue_live", "1 while the venue's prices can be trusted", state == "live")
    yield gauge("connections", "Open WebSocket connections", venue.feed.open_links)
    yield gauge("markets", "Markets seen", len(venue.table))
    yield gauge("markets_live", "Markets whose price is live", venue.table.live)
    yield counter("connects_total", "WebSocket connections made", feed.connects)
    yield counter("connection_losses_total", "WebSocket connections lost", feed.losses)
    yield counter("frames_total", "Frames received", decoded.frames)
    yield counter("unknown_kinds_total", "Frames of a kind not known", decoded.unknown_kinds)
    yield counter("malformed_total", "Frames that could not be understood", decoded.malformed)
    yield counter("sequence_gaps_total", "Gaps in sequence numbers", decoded.gaps)
    yield counter("sequence_duplicates_total", "Repeated sequence numbers", decoded.duplicates)
    yield counter("sequence_resets_total", "Sequence numbers that fell back", decoded.resets)
    yield counter("resyncs_total", "Snapshots asked for to mend a book", decoded.resyncs)
    yield counter("outdated_total", "Changes older than the book, dropped", decoded.stale_dropped)
    yield counter("venue_errors_total", "Errors the venue answered", decoded.venue_errors)
    yield counter("quotes_total", "Changes of a top of book", markets.quotes)
    yield counter("stale_total", "Markets marked stale", markets.stale)
    yield counter("closed_total", "Markets that ended", markets.closed)
    yield counter("books_lost_total", "Books that went out of step", markets.books_lost)
    yield counter("held_total", "Quotes held back as not to be trusted", markets.held)
    yield counter(
        "metadata_written_total", "Market hashes written", venue.writer.stats.markets_written
    )
    for (host, kind), calls in venue.fetcher.stats.calls.items():
        yield Sample(
            name="rest_calls_total",
            help="REST calls by host and class of answer",
            kind="counter",
            value=calls,
            labels={**labels, "host": host, "status": kind},
        )


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
