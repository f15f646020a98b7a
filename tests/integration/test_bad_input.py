"""Bad settings stop the start with one clear line; bad frames cost nothing but themselves."""

from pathlib import Path

import pytest
from redis.asyncio import Redis
from support.feed import reading, running, settings_for, settle
from support.process import environment, environment_for, outcome

from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(60)

KEY = "0fd2c5e6-1111-2222-3333-444455556666"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"redis.ulr": "redis://127.0.0.1:6379"}, "ARBEES_REDIS__ULR"),
        ({"redis.url": "http://127.0.0.1"}, "redis.url"),
        ({"kalshi.ws_url": "https://example.com"}, "kalshi.ws_url"),
        ({"kalshi.enabled": "true"}, "kalshi.api_key_id"),
        ({"kalshi.api_key_id": KEY}, "kalshi.private_key_path"),
        ({"kalshi.api_key_id": KEY, "kalshi.private_key_path": "/nowhere/key.pem"}, "/nowhere"),
        ({"kalshi.api_key_id": KEY, "kalshi.private_key_pem": "junk"}, "private_key_pem"),
        ({"kalshi.enabled": "false", "polymarket.enabled": "false"}, "polymarket.enabled"),
        ({"kalshi.markets": "not a ticker"}, "kalshi.markets"),
        ({"polymarket.markets": "Two Words"}, "polymarket.markets"),
        ({"polymarket.markets": "0xabc"}, "polymarket.markets"),
        ({"http.port": "99999"}, "http.port"),
        ({"publish.depth": "many"}, "publish.depth"),
    ],
)
async def test_a_bad_setting_is_one_line_that_names_it_and_exit_2(
    settings: dict[str, str], named: str
) -> None:
    code, out, err = await outcome(environment(settings), "run")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert named in err
    assert KEY not in err


async def test_a_wrong_key_file_names_the_file_and_shows_none_of_it(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(
        "-----BEGIN PRIVATE KEY-----\nc2VjcmV0IG1hdGVyaWFs\n-----END PRIVATE KEY-----\n"
    )
    settings = {"kalshi.api_key_id": KEY, "kalshi.private_key_path": str(path)}
    code, _, err = await outcome(environment(settings), "run")
    assert code == 2
    assert str(path) in err
    assert "c2VjcmV0" not in err
    assert len(err.splitlines()) == 1


async def test_a_wrong_option_and_an_unknown_command_are_usage_errors() -> None:
    wrong = (["run", "--bogus"], ["fly"], ["run", "--set", "nonsense"], ["run", "--venue", "nope"])
    for arguments in wrong:
        code, _, err = await outcome(environment({}), *arguments)
        assert code == 2
        assert len(err.splitlines()) == 1, err


async def test_a_cluster_is_refused_at_the_start() -> None:
    env = environment({"redis.url": "redis+cluster://h1:7000,h2:7000", "kalshi.enabled": "false"})
    code, _, err = await outcome(env, "run")
    assert code == 1
    assert "does not write to a Cluster" in err
    assert len(err.splitlines()) == 1


async def test_redis_that_refuses_the_password_ends_the_start_with_exit_1(
    sim: SimServer, redis_url: str
) -> None:
    client = Redis.from_url(redis_url)
    await client.config_set("requirepass", "correct")
    await client.aclose()
    url = redis_url.replace("redis://", "redis://:hunter2@")
    code, _, err = await outcome(environment_for(sim, url), "run")
    assert code == 1
    assert "hunter2" not in err
    assert "redis" in err.splitlines()[-1]


BOTH = ["kalshi", "polymarket"]
CONFINED = [
    ("kalshi", '{"type":"brand_new_kind","sid":99,"msg":{"x":1}}', "unknown_kinds"),
    ("kalshi", '{"type":"ticker","sid":1,"msg":{"market_ticker":"KXNOSUCH","price_dollars":7}}',
     "malformed"),
    ("polymarket", '{"event_type":"brand_new_kind","x":[1,2,3]}', "unknown_kinds"),
    ("polymarket", "INVALID OPERATION", "unknown_kinds"),
    ("polymarket", '{"event_type":"last_trade_price","price":3}', "malformed"),
]  # fmt: skip
UNREADABLE = ['{"type":"orderbook_delta","sid":1,', "[[[[", "{}", '{"type":7}', "\x00\x01" * 300]


@pytest.mark.parametrize(("venue", "text", "counter"), CONFINED)
async def test_a_frame_that_can_be_confined_is_counted_and_the_stream_goes_on(
    sim: SimServer, redis_url: str, venue: str, text: str, counter: str
) -> None:
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", markets))
        feed = {v.venue: v.feed for v in daemon.venues}[venue]
        sim.faults.send_text(venue, text)
        await reader.until(lambda: getattr(feed.decoded(), counter) == 1)
        await settle(sim, reader, markets)
        assert feed.stats.connects == 1
        assert {m["status"] for ms in reader.prices.values() for m in ms} == {"live"}


@pytest.mark.parametrize("venue", BOTH)
async def test_frames_that_cannot_be_read_cost_a_new_connection_and_no_wrong_price(
    sim: SimServer, redis_url: str, venue: str
) -> None:
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", markets))
        feed = {v.venue: v.feed for v in daemon.venues}[venue]
        for count, text in enumerate(UNREADABLE[:2], start=1):
            sim.faults.send_text(venue, text)
            await reader.until(lambda count=count: feed.stats.connects == 1 + count)
            await reader.until(lambda: feed.table.live == 20)
        sim.faults.send_bytes(venue, b"\xff\xfe\x00binary" * 50)
        await reader.until(lambda: feed.stats.connects == 4)
        await settle(sim, reader, markets)
        assert feed.decoded().malformed == 3
        for messages in reader.prices.values():
            assert all(m["yes_bid"] < m["yes_ask"] for m in messages)


async def test_a_huge_frame_of_an_unknown_kind_is_only_counted(
    sim: SimServer, redis_url: str
) -> None:
    settings = settings_for(sim, redis_url, polymarket__enabled="false")
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        sim.faults.send_text("kalshi", '{"type":"huge","pad":"%s"}' % ("x" * (20 << 20)))
        await reader.until(lambda: daemon.venues[0].feed.decoded().unknown_kinds == 1)
        await settle(sim, reader, sim.kalshi_tickers)
        assert daemon.venues[0].feed.stats.connects == 1
