"""nautilus_trader on Polymarket: its data client, data engine and message bus, without strategies.

A job of kind `redis` also gives the bus its Redis backing, which adds each quote to a stream: the
only other way here from a venue to Redis. Instruments are made here, where it would ask REST.
"""

import asyncio
from typing import Any

import msgspec
import tally
from nautilus_trader.adapters.polymarket.common.constants import POLYMARKET_VENUE
from nautilus_trader.adapters.polymarket.common.symbol import get_polymarket_instrument_id
from nautilus_trader.adapters.polymarket.config import PolymarketDataClientConfig
from nautilus_trader.adapters.polymarket.data import PolymarketDataClient
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus, init_logging
from nautilus_trader.common.config import DatabaseConfig, MessageBusConfig, pyo3_config_json
from nautilus_trader.common.enums import LogLevel
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.data.messages import SubscribeQuoteTicks
from nautilus_trader.live.config import LiveDataEngineConfig
from nautilus_trader.live.data_engine import LiveDataEngine
from nautilus_trader.model.currencies import USDC
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.enums import AssetClass
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId
from nautilus_trader.model.instruments import BinaryOption
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.serialization.serializer import MsgSpecSerializer

QUEUE = 1_000_000
BUFFER_MS = 10
"""Between writes to Redis; the least that its documentation recommends."""


def instrument(named: InstrumentId) -> BinaryOption:
    """Return what the venue's catalogue would tell of a token."""
    return BinaryOption(
        named, Symbol(named.symbol.value), AssetClass.ALTERNATIVE, USDC, 3, 6,
        Price.from_str("0.001"), Quantity.from_str("0.000001"), 0, 2**62, 0, 0,
    )  # fmt: skip


def new_bus(job: tally.Job, clock: LiveClock) -> MessageBus:
    """Return a message bus, with Redis behind it where the job wants it."""
    database = DatabaseConfig(host="127.0.0.1", port=job.redis_port)
    config = MessageBusConfig(
        database=database if job.kind == "redis" else None,
        encoding="msgpack",
        buffer_interval_ms=BUFFER_MS,
        types_filter=[OrderBookDeltas],
    )
    trader, instance = TraderId("BENCH-001"), UUID4()
    backing = None
    if job.kind == "redis":
        backing = nautilus_pyo3.RedisMessageBusBacking(
            trader_id=nautilus_pyo3.TraderId(trader.value),
            instance_id=nautilus_pyo3.UUID4.from_str(instance.value),
            config_json=pyo3_config_json(config),
        )
    serializer = MsgSpecSerializer(encoding=msgspec.msgpack, timestamps_as_str=True)
    return MessageBus(trader, clock, instance, None, serializer, backing, config)


async def follow(job: tally.Job) -> None:
    """Count the quotes that an actor would be handed: one for each change of a best price."""
    mark = next(pair for pair in job.pairs if pair[0] == job.mark)
    seen = tally.Tally(str(get_polymarket_instrument_id(mark[2], job.mark)), timed=job.timed).seen
    loop, clock = asyncio.get_running_loop(), LiveClock()
    bus, cache = new_bus(job, clock), Cache()
    engine = LiveDataEngine(loop, bus, cache, clock, LiveDataEngineConfig(qsize=QUEUE))
    config = PolymarketDataClientConfig(
        base_url_ws=f"ws://127.0.0.1:{job.port}/ws/",
        ws_connection_initial_delay_secs=0.2,
        ws_max_subscriptions_per_connection=500,
        update_instruments_interval_mins=None,
    )
    provider = InstrumentProvider()
    client = PolymarketDataClient(loop, None, bus, cache, clock, provider, config, None)
    engine.register_client(client)

    def on_quote(quote: Any) -> None:
        seen(quote.instrument_id.value)

    bus.subscribe("data.quotes.*", on_quote)
    engine.start()
    for yes, no, condition in job.pairs:
        for token in (yes, no):  # a change tells both, and one that it does not know is an error
            cache.add_instrument(instrument(get_polymarket_instrument_id(condition, token)))
        named = get_polymarket_instrument_id(condition, yes)
        command = SubscribeQuoteTicks(named, None, POLYMARKET_VENUE, UUID4(), 0)
        client.subscribe_quote_ticks(command)
    await asyncio.Event().wait()


guard = init_logging(level_stdout=LogLevel.ERROR)
tally.run(follow)
