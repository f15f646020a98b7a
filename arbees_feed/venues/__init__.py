"""Every venue the feed knows: one line each."""

from collections.abc import Mapping

from arbees_feed.core.venue import VenueSpec
from arbees_feed.venues import kalshi, polymarket

VENUES: Mapping[str, VenueSpec] = {
    "kalshi": kalshi.SPEC,
    "polymarket": polymarket.SPEC,
}
