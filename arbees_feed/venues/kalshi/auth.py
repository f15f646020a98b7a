"""Headers of a signed Kalshi request or WebSocket upgrade.

Signed text: Unix milliseconds, method and path joined without separators; the path goes from the
host's root and has no query (docs.kalshi.com, "API keys", read 2026-10-08). A signature is never
used twice: the venue checks the time.
"""

import base64
from collections.abc import Mapping

from arbees_feed.core.venue import Credentials


def signed_headers(
    credentials: Credentials | None, path: str, now_ms: int, method: str = "GET"
) -> Mapping[str, str]:
    """Return the headers that prove who we are, or none without credentials."""
    if credentials is None:
        return {}
    signature = credentials.sign(f"{now_ms}{method}{path}".encode())
    return {
        "KALSHI-ACCESS-KEY": credentials.key_id,
        "KALSHI-ACCESS-TIMESTAMP": str(now_ms),
        "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
    }
