"""Every setting, its type and its default; config/feed.toml says the same to people.

A component is handed its section or two plain values, never the whole `Settings`.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from arbees_feed.config.forms import (
    HttpUrl,
    HttpUrls,
    KeyId,
    KeyPrefix,
    OptionalSecret,
    PolymarketMarkets,
    RedisAddress,
    RedisUrl,
    Slugs,
    Switch,
    Tickers,
    WsUrls,
    lower,
    nothing_if_empty,
)

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Grace = Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)]

SECRET_KEYS = frozenset({"redis.url", "kalshi.api_key_id", "kalshi.private_key_pem"})
"""Keys whose values appear in no message."""


class _Section(BaseModel):
    """One table of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RedisSettings(_Section):
    """How to reach Redis."""

    url: RedisAddress = RedisUrl("redis://127.0.0.1:6379/0")
    key_prefix: KeyPrefix = ""
    io_timeout_s: Seconds = 2.0


class KalshiSettings(_Section):
    """Which of Kalshi to follow, and with which key."""

    enabled: Switch = "auto"
    api_key_id: KeyId = None
    private_key_path: Annotated[Path | None, BeforeValidator(nothing_if_empty)] = None
    private_key_pem: OptionalSecret = None
    ws_url: WsUrls = (
        "wss://external-api-ws.kalshi.com/trade-api/ws/v2",
        "wss://api.elections.kalshi.com/trade-api/ws/v2",
    )
    rest_url: HttpUrls = (
        "https://external-api.kalshi.com/trade-api/v2",
        "https://api.elections.kalshi.com/trade-api/v2",
    )
    subscribe_all: bool = True
    markets: Tickers = ()
    events: Tickers = ()
    series: Tickers = ()
    depth: Annotated[Literal["listed", "all"], BeforeValidator(lower)] = "listed"
    tickers_per_socket: Annotated[int, Field(ge=1, le=10_000)] = 250
    include_series: Tickers = ()
    include_events: Tickers = ()
    exclude_prefixes: Tickers = ()
    min_volume: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @property
    def active(self) -> bool:
        """Whether Kalshi is followed; `auto` means: when any part of a key is configured."""
        if isinstance(self.enabled, bool):
            return self.enabled
        return any((self.api_key_id, self.private_key_path, self.private_key_pem))


class PolymarketSettings(_Section):
    """Which of Polymarket to follow; no account is needed."""

    enabled: bool = True
    ws_url: WsUrls = ("wss://ws-subscriptions-clob.polymarket.com/ws/market",)
    gamma_url: HttpUrl = "https://gamma-api.polymarket.com"
    clob_url: HttpUrl = "https://clob.polymarket.com"
    markets: PolymarketMarkets = ()
    events: Slugs = ()
    tags: Slugs = ()
    top: Annotated[int, Field(ge=0, le=100_000)] = 200
    all_active: bool = False
    min_volume: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class HttpSettings(_Section):
    """Where health, metrics and the status page are served."""

    enabled: bool = True
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 9464


class LogSettings(_Section):
    """What is logged, and how it looks."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower)] = "info"
    format: Annotated[Literal["auto", "json", "console"], BeforeValidator(lower)] = "auto"


class PublishSettings(_Section):
    """What is published besides prices, and when doubt is told to readers."""

    trades: bool = False
    depth: Annotated[int, Field(ge=0, le=1_000)] = 0
    stale_grace_s: Grace = 1.0
    drain_timeout_s: Grace = 5.0
    forget_after_s: Seconds = 600.0


class DemandSettings(_Section):
    """What readers may ask for through `feed:watch:<venue>`."""

    enabled: bool = True
    max_markets: Annotated[int, Field(ge=0, le=100_000)] = 1_000


class TrustSettings(_Section):
    """How prices are checked, how long connections live, and whether compiled code is used."""

    probes_per_s: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)] = 20.0
    audit_per_minute: Annotated[int, Field(ge=0, le=10_000)] = 50
    max_connection_age_s: Literal["auto"] | Annotated[float, Field(ge=0, le=86_400)] = "auto"
    compiled: bool = True


class IncidentSettings(_Section):
    """Whether incidents leave files with what led to them, and how many."""

    dir: Annotated[Path | None, BeforeValidator(nothing_if_empty)] = None
    max_files: Annotated[int, Field(ge=1, le=10_000)] = 50
    max_bytes: Annotated[int, Field(ge=65_536, le=8_388_608)] = 4_194_304


class EnrichSettings(_Section):
    """How often titles and other facts about markets are looked up, and new markets found."""

    enabled: bool = True
    refresh_s: Seconds = 300.0
    discovery_s: Seconds = 60.0


class PairSettings(_Section):
    """How markets of two venues that ask the same question are brought together."""

    mapping: Annotated[Path | None, BeforeValidator(nothing_if_empty)] = None
    follow: bool = True
    max_age_s: Seconds = 600.0
    alarm_gap: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.15
    alarm_after_s: Seconds = 120.0


class Settings(BaseSettings):
    """All settings of the daemon; made by `load_settings`.

    `Settings()` gives the defaults, whatever the environment holds.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis: RedisSettings = RedisSettings()
    kalshi: KalshiSettings = KalshiSettings()
    polymarket: PolymarketSettings = PolymarketSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    publish: PublishSettings = PublishSettings()
    demand: DemandSettings = DemandSettings()
    enrich: EnrichSettings = EnrichSettings()
    trust: TrustSettings = TrustSettings()
    incidents: IncidentSettings = IncidentSettings()
    pairs: PairSettings = PairSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave out the library's own readers: `load_settings` knows where each value came from."""
        return (init_settings,)

    @property
    def active_venues(self) -> tuple[str, ...]:
        """Names of the venues that are followed."""
        followed = {"kalshi": self.kalshi.active, "polymarket": self.polymarket.enabled}
        return tuple(name for name, active in followed.items() if active)


def known_keys() -> frozenset[str]:
    """Return every setting by its dotted path, as in `redis.url`."""
    return frozenset(
        f"{section}.{name}"
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for name in field.annotation.model_fields
    )
