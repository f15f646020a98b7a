"""Polymarket (international CLOB): public market channel, books of YES tokens."""

import re
from collections.abc import Mapping

from arbees_feed.core.venue import Credentials, VenueSpec
from arbees_feed.venues.polymarket.catalogue import PolymarketCatalogue
from arbees_feed.venues.polymarket.decoder import PolymarketDecoder
from arbees_feed.venues.polymarket.fields import KNOWN_FIELDS


def _no_headers(credentials: Credentials | None, path: str, now_ms: int) -> Mapping[str, str]:
    """The market channel is public."""
    del credentials, path, now_ms
    return {}


SPEC = VenueSpec(
    name="polymarket",
    new_decoder=PolymarketDecoder,
    handshake_headers=_no_headers,
    # We ask PING every 10 s; a PONG queues behind data and was seen 11 s late.
    silence_timeout_s=30.0,
    # Above 500 tokens opening books go missing; 200 is what robust clients use.
    markets_per_socket=200,
    new_catalogue=PolymarketCatalogue,
    market_form=re.compile(r"[0-9]{1,78}"),
    # Sockets that live for hours were seen to fall silent, whole or token by token; robust clients
    # replace them each 20 to 30 minutes.
    max_age_s=1500.0,
    kind_key="event_type",
    known_fields=KNOWN_FIELDS,
)
