"""What the settings say of each venue, in words that fit every venue."""

from collections.abc import Mapping, Sequence

import msgspec

from arbees_feed.config import Settings, TrustSettings
from arbees_feed.core.model import ONE_CONTRACT
from arbees_feed.core.venue import Credentials, DecoderOptions, Selection, VenueSpec
from arbees_feed.feed.filter import MarketFilter
from arbees_feed.feed.prober import ProbeOptions
from arbees_feed.feed.service import Carriage
from arbees_feed.venues import VENUES


class VenuePlan(msgspec.Struct, frozen=True):
    """One venue that is on."""

    spec: VenueSpec
    ws_urls: Sequence[str]
    rest_urls: Mapping[str, str]
    rest_alternatives: Sequence[Sequence[str]]
    """Addresses of the same interface, each list beginning with one of `rest_urls`."""
    carriage: Carriage
    selection: Selection
    market_filter: MarketFilter
    min_volume: float
    """Of markets that discovery finds, in the venue's own unit."""
    credentials: Credentials | None


def plans(settings: Settings, credentials: Credentials | None) -> list[VenuePlan]:
    """Return a plan for each venue that is on."""
    makers = {"kalshi": _kalshi_plan, "polymarket": _polymarket_plan}
    return [makers[name](settings, credentials) for name in settings.active_venues]


def _kalshi_plan(settings: Settings, credentials: Credentials | None) -> VenuePlan:
    kalshi = settings.kalshi
    spec = VENUES["kalshi"]
    few = kalshi.subscribe_all and kalshi.depth == "listed"
    return VenuePlan(
        spec=spec,
        ws_urls=kalshi.ws_url,
        rest_urls={"rest": kalshi.rest_url[0]},
        rest_alternatives=(kalshi.rest_url,),
        carriage=Carriage(
            options=DecoderOptions(
                tickers=kalshi.subscribe_all, lifecycle=True, trades=settings.publish.trades
            ),
            # Named books ride along with the tickers; many are spread over sockets of their own.
            capacity=spec.markets_per_socket if few else kalshi.tickers_per_socket,
            max_age_s=_max_age_s(spec, settings.trust),
            probes=_probes(settings.trust),
        ),
        selection=Selection(
            markets=kalshi.markets,
            events=kalshi.events,
            series=kalshi.series,
            everything=kalshi.depth == "all",
        ),
        market_filter=MarketFilter(
            form=spec.market_form,
            include=(*kalshi.include_series, *kalshi.include_events),
            exclude_prefixes=kalshi.exclude_prefixes,
            min_volume=round(kalshi.min_volume * ONE_CONTRACT),
        ),
        min_volume=kalshi.min_volume,
        credentials=credentials,
    )


def _polymarket_plan(settings: Settings, _credentials: Credentials | None) -> VenuePlan:
    polymarket = settings.polymarket
    spec = VENUES["polymarket"]
    named = polymarket.markets or polymarket.events or polymarket.tags
    return VenuePlan(
        spec=spec,
        ws_urls=polymarket.ws_url,
        rest_urls={"gamma": polymarket.gamma_url, "clob": polymarket.clob_url},
        rest_alternatives=(),
        carriage=Carriage(
            options=DecoderOptions(lifecycle=True, trades=settings.publish.trades),
            capacity=spec.markets_per_socket,
            max_age_s=_max_age_s(spec, settings.trust),
            probes=_probes(settings.trust),
        ),
        selection=Selection(
            markets=polymarket.markets,
            events=polymarket.events,
            tags=polymarket.tags,
            top=0 if named or polymarket.all_active else polymarket.top,
            everything=polymarket.all_active,
        ),
        market_filter=MarketFilter(form=spec.market_form),
        min_volume=polymarket.min_volume,
        credentials=None,
    )


def _max_age_s(spec: VenueSpec, trust: TrustSettings) -> float:
    age_s = trust.max_connection_age_s
    return spec.max_age_s if age_s == "auto" else age_s


def _probes(trust: TrustSettings) -> ProbeOptions:
    return ProbeOptions(probes_per_s=trust.probes_per_s, audit_sample=trust.audit_per_minute)
