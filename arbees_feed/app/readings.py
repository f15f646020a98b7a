"""The feed's counters as metrics."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from arbees_feed.app.venue import Venue
from arbees_feed.core.model import Liveness
from arbees_feed.ops.samples import Durations, Sample
from arbees_feed.publish.service import Publisher
from arbees_feed.publish.subscribers import SubscriberWatch
from arbees_feed.supervisor import Supervisor

Reading = Sample | Durations


def venue_readings(venues: Sequence[Venue]) -> Callable[[], Iterable[Reading]]:
    """Return the provider for all venues."""
    return lambda: (reading for venue in venues for reading in _of_venue(venue))


Row = tuple[Literal["counter", "gauge"], str, str, float]


def _of_venue(venue: Venue) -> Iterable[Reading]:
    labels = {"venue": venue.venue}
    for rows in (_state_rows, _frame_rows, _quote_rows, _trust_rows, _service_rows):
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
    yield from _clock_rows(venue)
    yield from _liveness_rows(venue)
    yield from _drift_rows(venue)
    yield from _stage_rows(venue)


def _stage_rows(venue: Venue) -> Iterable[Reading]:
    stages = venue.feed.stages
    for name, text, histogram in (
        ("arrival_seconds", "Venue's time of a change to its frame read", stages.arrival),
        ("decode_seconds", "A frame's bytes to events", stages.decode),
        ("apply_seconds", "Events to books, and to prices encoded", stages.apply),
    ):
        yield Durations(
            name=name,
            help=f"{text} (a sample of frames)",
            histogram=histogram,
            labels={"venue": venue.venue},
        )


def _drift_rows(venue: Venue) -> Iterable[Reading]:
    sentinels = venue.feed.sentinels
    yield Sample(
        name="degraded",
        help="1 while the venue's messages are not what they used to be",
        kind="gauge",
        value=bool(sentinels.reason),
        labels={"venue": venue.venue},
    )
    yield Sample(
        name="another_daemon",
        help="1 while another daemon feeds this venue into the same Redis",
        kind="gauge",
        value=venue.rivals is not None and venue.rivals.of(venue.venue) > 0,
        labels={"venue": venue.venue},
    )
    for (kind, path), seen in sentinels.drift.unknown.items():
        yield Sample(
            name="unknown_fields_total",
            help="Fields that no document names, in the frames that were looked at in full",
            kind="counter",
            value=seen,
            labels={"venue": venue.venue, "kind": kind, "field": path},
        )


def _liveness_rows(venue: Venue) -> Iterable[Reading]:
    books, connections = venue.feed.prober.patrol.counts, venue.feed.liveness()
    for state in Liveness:
        for name, text, counts in (
            ("books_by_state", "Books by what is known of their source", books),
            ("connections_by_state", "Connections by what is known of their data", connections),
        ):
            yield Sample(
                name=name,
                help=text,
                kind="gauge",
                value=counts.get(state, 0),
                labels={"venue": venue.venue, "state": state.value},
            )


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


def _clock_rows(venue: Venue) -> Iterable[Reading]:
    offset_s = venue.http.stats.clock.offset_s
    if offset_s is not None:
        yield Sample(
            name="clock_offset_seconds",
            help="The venue's clock less ours, by the dates of REST answers",
            kind="gauge",
            value=offset_s,
            labels={"venue": venue.venue},
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


def _trust_rows(venue: Venue) -> Iterable[Row]:
    probes, decoded, feed = venue.feed.prober.stats, venue.feed.decoded(), venue.feed
    return (
        ("counter", "probes_total", "Books the venue was asked for, to compare", probes.asked),
        ("counter", "probes_agreed_total", "Answers that agreed with our book", probes.agreed),
        ("counter", "probes_differed_total", "Answers that proved it wrong", probes.differed),
        ("counter", "probes_unanswered_total", "Probes without an answer", probes.unanswered),
        ("gauge", "audit_ratio", "Share of answers that agreed", probes.ratio),
        ("counter", "frozen_total", "Connections replaced because data stopped", probes.frozen),
        ("counter", "reliefs_total", "Connections replaced without a hole", feed.reliefs),
        ("gauge", "age_growth_seconds", "Data is so much older than at best", feed.grown_ms / 1e3),
        ("counter", "hashes_right_total", "Checksums that came out", decoded.hashes_right),
        ("counter", "hashes_wrong_total", "Checksums that did not", decoded.hashes_wrong),
        ("counter", "mirror_breaks_total", "Twins missing or different", decoded.mirror_breaks),
        ("counter", "off_grid_total", "Prices off the tick grid", decoded.off_grid),
    )


def _service_rows(venue: Venue) -> Iterable[Row]:
    written = venue.writer.stats.markets_written
    yield ("counter", "metadata_written_total", "Market hashes written", written)
    if venue.flights.writer is not None:
        incidents = venue.flights.writer.stats
        yield ("counter", "incidents_total", "Incidents seen", incidents.seen)
        yield ("counter", "incidents_written_total", "Incident files written", incidents.written)
        yield ("counter", "incidents_failed_total", "Incident files not written", incidents.failed)
    if venue.demand is not None:
        demand = venue.demand.stats
        yield ("gauge", "demand_followed", "Markets followed by lease", demand.followed)
        yield ("gauge", "demand_waiting", "Leases beyond demand.max_markets", demand.refused_full)
        yield ("counter", "demand_refused_total", "Leases on what is no id", demand.refused_form)
    if venue.refresher is not None:
        refreshed = venue.refresher.stats.refreshed
        yield ("counter", "refreshed_total", "Silent markets refreshed over REST", refreshed)


def of_all(
    venues: Sequence[Venue], publisher: Publisher, subscribers: SubscriberWatch
) -> list[Callable[[], Iterable[Reading]]]:
    """Return the providers for venues, publisher and subscribers."""
    return [venue_readings(venues), publisher_readings(publisher), subscriber_readings(subscribers)]


def publisher_readings(publisher: Publisher) -> Callable[[], Iterable[Reading]]:
    """Return the provider for the publisher."""

    def read() -> Iterable[Reading]:
        for kind, name, text, value in _publisher_rows(publisher):
            yield Sample(name=name, help=text, kind=kind, value=value)
        for error, count in publisher.trouble.kinds.items():
            yield Sample(
                name="redis_errors_by_kind_total",
                help="Error replies of Redis by their first word",
                kind="counter",
                value=count,
                labels={"kind": error},
            )
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


def _publisher_rows(publisher: Publisher) -> Iterable[Row]:
    stats, late = publisher.stats, publisher.written.commands
    return (
        ("gauge", "redis_connected", "1 while the connection is open", publisher.connected),
        ("gauge", "markets_waiting", "Markets newer than was written", publisher.waiting),
        ("gauge", "redis_unanswered", "Commands without a reply yet", late),
        ("counter", "published_total", "Prices published", stats.published),
        ("counter", "conflated_total", "Prices replaced before written", stats.conflated),
        ("counter", "mirrored_total", "Quote hashes written", stats.mirrored),
        ("counter", "trades_published_total", "Trades published", stats.trades),
        ("counter", "trades_dropped_total", "Trades dropped", stats.trades_dropped),
        ("counter", "redis_bytes_total", "Bytes written to Redis", stats.bytes),
        ("counter", "redis_errors_total", "Error replies of Redis", stats.redis_errors),
        ("counter", "last_rewritten_total", "`:last` written again", stats.rewritten),
        ("counter", "redis_missing_total", "Markets looked up and gone", stats.missing),
        ("counter", "redis_connects_total", "Publishing connections made", stats.connects),
    )


def subscriber_readings(watch: SubscriberWatch) -> Callable[[], Iterable[Reading]]:
    """Return the provider for the subscribers of Redis, ours or not."""

    def read() -> Iterable[Reading]:
        stats = watch.stats
        rows: tuple[Row, ...] = (
            ("gauge", "redis_pubsub_clients", "Subscribed connections", stats.clients),
            ("gauge", "redis_subscriber_buffer_bytes", "Largest backlog", stats.largest_bytes),
            ("gauge", "redis_subscriber_buffer_share", "Its share of what Redis allows",
             stats.largest_share),
            ("counter", "redis_subscribers_cut_total", "Clients cut as too slow", stats.cut),
        )  # fmt: skip
        for kind, name, text, value in rows:
            yield Sample(name=name, help=text, kind=kind, value=value)

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
