"""What the daemon makes of the failures of its services."""

from types import SimpleNamespace

import pytest

from arbees_feed.app.daemon import Daemon
from arbees_feed.config import Settings
from arbees_feed.errors import ConnectionLost


@pytest.mark.parametrize(
    ("service", "open_links", "reason"),
    [
        ("kalshi-0", 0, "no answer (again in 2.0 s)"),
        ("kalshi-0", 1, ""),  # another connection still serves
        ("kalshi-demand", 0, ""),  # leases can't be read: not why there are no prices
        ("kalshi-enrich", 0, ""),
        ("polymarket-0", 0, ""),
    ],
)
def test_only_a_lost_connection_is_why_a_venue_has_no_prices(
    service: str, open_links: int, reason: str
) -> None:
    feed = SimpleNamespace(
        links=[SimpleNamespace(name="kalshi-0")], open_links=open_links, reason=""
    )
    daemon = Daemon(Settings())
    daemon.venues = [SimpleNamespace(venue="kalshi", feed=feed)]
    daemon._on_failure(service, ConnectionLost("no answer"), 2.0)
    assert feed.reason == reason
