"""Settings: frozen, checked once at the start; the only reader of files and environment.

Private keys are loaded by `arbees_feed.config.keys`, which is imported apart because it brings
the cryptography package with it.
"""

from arbees_feed.config.load import load_settings
from arbees_feed.config.model import (
    DemandSettings,
    EnrichSettings,
    HttpSettings,
    IncidentSettings,
    KalshiSettings,
    LogSettings,
    PolymarketSettings,
    PublishSettings,
    RedisSettings,
    Settings,
    TrustSettings,
)
from arbees_feed.config.redact import redact_text, redact_url

__all__ = [
    "DemandSettings",
    "EnrichSettings",
    "HttpSettings",
    "IncidentSettings",
    "KalshiSettings",
    "LogSettings",
    "PolymarketSettings",
    "PublishSettings",
    "RedisSettings",
    "Settings",
    "TrustSettings",
    "load_settings",
    "redact_text",
    "redact_url",
]
