"""Kalshi: one authenticated WebSocket for tickers of all markets and books of chosen ones."""

import re

from arbees_feed.core.venue import VenueSpec
from arbees_feed.venues.kalshi.auth import signed_headers
from arbees_feed.venues.kalshi.catalogue import KalshiCatalogue
from arbees_feed.venues.kalshi.decoder import KalshiDecoder
from arbees_feed.venues.kalshi.fields import KNOWN_FIELDS

SPEC = VenueSpec(
    name="kalshi",
    new_decoder=KalshiDecoder,
    handshake_headers=signed_headers,
    # The server pings every 10 s; two lost pings and some slack.
    silence_timeout_s=30.0,
    # A session may carry 500,000 market subscriptions; a subscription's own limit is unpublished.
    markets_per_socket=10_000,
    new_catalogue=KalshiCatalogue,
    market_form=re.compile(r"[A-Z0-9][A-Z0-9._-]{0,127}"),
    # No document knows of a greatest age; a recorded sequence had passed 4.7 million on one `sid`.
    max_age_s=0.0,
    known_fields=KNOWN_FIELDS,
)
