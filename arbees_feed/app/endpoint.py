"""The HTTP endpoint of a feed: everything it tells, put together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from arbees_feed.app import readings
from arbees_feed.app.explain import Explainer
from arbees_feed.app.inside import Inside
from arbees_feed.app.overview import FeedOverview, Parts
from arbees_feed.app.venue import Venue
from arbees_feed.config import HttpSettings
from arbees_feed.ops.http import Readiness, serve
from arbees_feed.ops.metrics import Metrics
from arbees_feed.publish.leftovers import Leftovers
from arbees_feed.publish.service import Publisher


@asynccontextmanager
async def endpoint(http: HttpSettings, inside: Inside) -> AsyncIterator[tuple[str, FeedOverview]]:
    """Serve while the block runs; yield the base URL, and the service behind the status page.

    Raises:
        SettingsError: host and port can't be listened on.
    """
    health = _Health(inside.venues, inside.publisher, inside.left)
    overview = FeedOverview(
        Parts(
            inside.venues,
            inside.publisher,
            inside.stalls,
            health,
            inside.matcher,
            inside.redis,
            inside.names,
        )
    )
    async with serve(
        http.host,
        http.port,
        health=health,
        metrics=_metrics(inside),
        explains=Explainer(inside.venues, inside.names),
        overview=overview,
    ) as url:
        yield url, overview


def _metrics(inside: Inside) -> Metrics:
    sources = readings.of_all(inside.venues, inside.publisher, inside.subscribers)
    restarts = readings.restart_readings(inside.supervisors)
    return Metrics([inside.stalls.readings, inside.matcher.readings, *sources, restarts])


class _Health:
    """Whether prices can be relied on now."""

    def __init__(
        self, venues: Sequence[Venue], publisher: Publisher, left: Sequence[Leftovers]
    ) -> None:
        self._venues = venues
        self._publisher = publisher
        self._left = left

    def readiness(self) -> Readiness:
        """Return which venues have no live data, and whether Redis takes what we write."""
        missing = {}
        for venue in self._venues:
            state, reason = venue.state()
            if state != "live":
                missing[venue.venue] = f"{state.value}: {reason}" if reason else state.value
        if problem := self._publisher.problem:
            missing["redis"] = problem
        elif not all(left.done for left in self._left):
            missing["redis"] = "no heartbeat yet: what a former session left is to be marked first"
        return Readiness(missing)
