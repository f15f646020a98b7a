"""How far a listing has got, for people: counted always, said now and then."""

import msgspec
import structlog

_log = structlog.get_logger("arbees_feed.enrich")

SAY_EVERY_S = 10.0


class EnrichStats(msgspec.Struct):
    """How far enrichment has got; plain numbers, read by metrics and logs."""

    listings_done: int = 0
    requests: int = 0
    """Requests of the listing that is under way or was last."""
    requests_total: int = 0
    """All requests: listings and lookups."""
    markets_found: int = 0
    listing_markets: int = 0
    """Markets of the listing that is under way or was last."""
    listing_expected: int = 0
    """How many it is likely to have in the end; 0: nobody knows."""
    lookups: int = 0
    lookups_dropped: int = 0
    """Markets whose lookup was given up because too many were waiting."""
    announced_dropped: int = 0
    leaving: int = 0
    """Markets that have ended and whose metadata will go."""
    last_listing_s: float = 0.0
    """How long the last listing took."""
    last_done_unix_s: float = 0.0


class Progress:
    """Says how a listing goes: a line every ten seconds, and one at the end of a long one."""

    def __init__(self, venue: str, stats: EnrichStats) -> None:
        self._venue = venue
        self._stats = stats
        self._started_s = 0.0
        self._said_s = 0.0
        self._said = False

    def begin(self, now_s: float, expected: int) -> None:
        """Start counting a listing of about *expected* markets (0: unknown)."""
        self._started_s = self._said_s = now_s
        self._said = False
        self._stats.listing_markets = self._stats.requests = 0
        self._stats.listing_expected = expected

    def found(self, markets: int, requests: int, now_s: float) -> None:
        """Count *markets* more, after so many requests."""
        stats = self._stats
        stats.markets_found += markets
        stats.listing_markets += markets
        stats.requests_total += requests - stats.requests
        stats.requests = requests
        if now_s - self._said_s >= SAY_EVERY_S:
            self._said_s = now_s
            self._said = True
            _log.info("enrichment under way", **self._figures(now_s), eta_s=self._eta_s(now_s))

    def done(self, now_s: float) -> None:
        """End the listing."""
        self._stats.last_listing_s = now_s - self._started_s
        if self._said:
            _log.info("enrichment done", **self._figures(now_s))

    def _figures(self, now_s: float) -> dict[str, object]:
        return {
            "venue": self._venue,
            "markets": self._stats.listing_markets,
            "pages": self._stats.requests,
            "took_s": round(now_s - self._started_s, 1),
        }

    def _eta_s(self, now_s: float) -> float | None:
        stats = self._stats
        left = stats.listing_expected - stats.listing_markets
        if left <= 0 or not stats.listing_markets:
            return None
        return round(left * (now_s - self._started_s) / stats.listing_markets, 1)
