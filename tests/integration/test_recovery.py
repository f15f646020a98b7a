"""What breaks mends without a restart, and readers are told in the meantime."""

import asyncio
import os
import signal
import time

import pytest
from support.feed import (
    Reader,
    last_of,
    reading,
    running,
    settings_for,
    settle,
    top_of,
    url_of,
    valkey,
)
from support.patience import within

from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(120)


def all_markets(sim: SimServer) -> list[str]:
    return [*sim.kalshi_tickers, *sim.polymarket_tokens]


def statuses(reader: Reader, market: str, since: int) -> list[str]:
    """Return the statuses of a market's messages from number *since* on, without repeats."""
    told = [m["status"] for m in reader.prices[market][since:]]
    return [s for i, s in enumerate(told) if i == 0 or told[i - 1] != s]


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
async def test_a_closed_socket_gives_one_stale_message_a_market_and_then_live_ones(
    sim: SimServer, redis_url: str, venue: str
) -> None:
    """The venue refuses to have us back for two seconds; the other venue notices nothing."""
    hurt = sim.kalshi_tickers if venue == "kalshi" else sim.polymarket_tokens
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", all_markets(sim)))
        await reader.until(lambda: reader.state(venue) == "live")
        before = {market: len(reader.prices[market]) for market in all_markets(sim)}
        sim.faults.refuse_handshakes(venue, status=503, for_s=2.0)
        sim.faults.close_sockets(venue)
        await reader.until(lambda: reader.all_are("stale", hurt))
        assert all(top_of(reader.prices[m][-1]) == (0, 0, 10_000, 0) for m in hurt)
        await reader.until(lambda: reader.all_are("live", hurt))
        await settle(sim, reader, all_markets(sim))
        for market in hurt:
            told = statuses(reader, market, before[market])
            assert told in (["live", "stale", "live"], ["stale", "live"])
            assert [m["status"] for m in reader.prices[market]].count("stale") == 1
        for market in set(all_markets(sim)).difference(hurt):
            assert set(statuses(reader, market, 0)) == {"live"}
        states = [s["state"] for s in reader.states if s["venue"] == venue]
        assert "stale" in states[states.index("live") :]
        assert daemon.venues[0].feed.stats.connects + daemon.venues[1].feed.stats.connects == 3


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
async def test_a_cut_that_mends_within_the_grace_leaves_no_stale_message(
    sim: SimServer, redis_url: str, venue: str
) -> None:
    settings = settings_for(sim, redis_url, publish__stale_grace_s="10")
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", all_markets(sim)))
        sim.faults.abort_sockets(venue)
        feeds = {v.venue: v.feed for v in daemon.venues}
        await reader.until(lambda: feeds[venue].stats.connects == 2)
        await reader.until(lambda: daemon.venues[0].table.live + daemon.venues[1].table.live == 40)
        await settle(sim, reader, all_markets(sim))
        assert {m["status"] for ms in reader.prices.values() for m in ms} == {"live"}


async def test_retry_after_is_obeyed(sim: SimServer, redis_url: str) -> None:
    settings = settings_for(sim, redis_url, polymarket__enabled="false")
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        sim.faults.refuse_handshakes("kalshi", status=429, retry_after_s=3, count=1)
        closed_s = time.monotonic()
        sim.faults.close_sockets("kalshi")
        await reader.until(lambda: daemon.venues[0].feed.stats.connects == 2)
        assert 3.0 <= time.monotonic() - closed_s < within(6.0)


async def test_a_sequence_gap_voids_the_books_and_mends_them_on_the_same_connection(
    sim: SimServer, redis_url: str
) -> None:
    settings = settings_for(sim, redis_url, polymarket__enabled="false")
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        feed = daemon.venues[0].feed
        for ticker in sim.kalshi_tickers[:3]:
            seen = feed.decoded().gaps
            sim.faults.drop_frames(ticker)
            await reader.until(lambda seen=seen: feed.decoded().gaps > seen)
        await settle(sim, reader, sim.kalshi_tickers)
        assert feed.decoded().gaps >= 3
        assert feed.decoded().resyncs >= len(sim.kalshi_tickers)
        assert feed.stats.connects == 1


async def test_a_gap_that_is_not_mended_is_told_as_stale_until_it_is(
    sim: SimServer, redis_url: str
) -> None:
    """The venue ignores the first request for snapshots; no ticker is there to carry on."""
    settings = settings_for(
        sim, redis_url, polymarket__enabled="false", kalshi__subscribe_all="false"
    )
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        sim.faults.ignore_commands("kalshi", count=1)
        sim.faults.drop_frames(sim.kalshi_tickers[0])
        await reader.until(lambda: reader.all_are("stale", sim.kalshi_tickers))
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        await settle(sim, reader, sim.kalshi_tickers)
        assert daemon.venues[0].feed.stats.connects == 1


async def test_a_duplicate_frame_is_dropped(sim: SimServer, redis_url: str) -> None:
    settings = settings_for(sim, redis_url, polymarket__enabled="false")
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        sim.faults.duplicate_frames(sim.kalshi_tickers[0], count=3)
        await reader.until(lambda: daemon.venues[0].feed.decoded().duplicates == 3)
        await settle(sim, reader, sim.kalshi_tickers)
        assert daemon.venues[0].feed.decoded().gaps == 0


async def test_a_change_that_polymarket_never_sent_is_found_and_mended(
    sim: SimServer, redis_url: str
) -> None:
    """There are no sequence numbers: the best prices that each change names give it away."""
    settings = settings_for(sim, redis_url, kalshi__enabled="false")
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", sim.polymarket_tokens))
        decoded = daemon.venues[0].feed.decoded
        for token in sim.polymarket_tokens * 5:
            sim.faults.drop_frames(token)
        await reader.until(lambda: decoded().resyncs > 0)
        sim.faults.clear()
        await reader.until(lambda: reader.all_are("live", sim.polymarket_tokens))
        assert daemon.venues[0].feed.stats.connects == 1


async def test_redis_killed_and_started_anew_gets_every_price_again(sim: SimServer) -> None:
    """Nothing of it survives the kill; the feed writes the newest state of every market."""
    with valkey() as first:
        port, url = first.port, url_of(first)
        async with reading(url) as reader, running(settings_for(sim, url)):
            await reader.until(lambda: reader.all_are("live", all_markets(sim)))
            await asyncio.to_thread(first.terminate)
            await asyncio.sleep(1.5)  # the outage
            sim.pause()
            await sim.drained()
            with valkey(port) as second:
                async with asyncio.timeout(30):
                    for market in all_markets(sim):
                        for kind in ("last", "quote", "meta"):
                            while not await reader.client.exists(f"market:{market}:{kind}"):
                                await reader.heartbeat()
                for market in all_markets(sim):
                    price = await last_of(reader.client, market)
                    assert price["status"] == "live"
                    assert top_of(price) == sim.world.market(market).top()
                assert second.is_running()


async def test_redis_that_hangs_neither_wedges_the_feed_nor_fills_its_memory(
    sim: SimServer, redis_url: str
) -> None:
    """SIGSTOP: the socket stays open and takes bytes until its buffers are full."""
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", all_markets(sim)))
        pid = int((await reader.client.info("server"))["process_id"])
        frames = daemon.venues[0].feed.decoded().frames
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(3.0)
            assert daemon.venues[0].feed.decoded().frames > frames + 100
        finally:
            os.kill(pid, signal.SIGCONT)
        await settle(sim, reader, all_markets(sim))
        assert reader.all_are("live", all_markets(sim))


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
async def test_a_busy_connection_that_lives_without_data_is_made_anew(
    sim: SimServer, redis_url: str, venue: str
) -> None:
    """Pings and PONG go on; the venue's own answers show that data does not."""
    hurt = sim.kalshi_tickers if venue == "kalshi" else sim.polymarket_tokens
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", all_markets(sim)))
        feed = {v.venue: v.feed for v in daemon.venues}[venue]
        sim.faults.freeze(venue, new_sockets=False)
        await reader.until(lambda: feed.stats.losses + feed.reliefs == 1)
        await settle(sim, reader, list(hurt))


async def test_total_silence_ends_a_connection(sim: SimServer, redis_url: str) -> None:
    """A peer that neither sends nor closes: half-open, as after a cut cable."""
    settings = settings_for(sim, redis_url, polymarket__enabled="false")
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        feed = daemon.venues[0].feed
        session = feed.links[0].session
        assert session is not None
        session._silence_timeout_s = 1.0  # the real one, 30 s, only waits longer
        sim.faults.freeze("kalshi", new_sockets=False)
        await reader.until(lambda: feed.stats.losses == 1)
        assert "no frame of any kind" in feed.stats.last_loss
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))


async def test_markets_that_stay_silent_after_a_reconnect_are_refreshed_over_rest(
    sim: SimServer, redis_url: str
) -> None:
    """Tickers tell changes only: without REST a quiet market would be stale for ever."""
    settings = settings_for(sim, redis_url, polymarket__enabled="false", kalshi__markets="")
    async with reading(redis_url) as reader, running(settings):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        await settle(sim, reader, sim.kalshi_tickers)  # nothing moves from here on
        sim.faults.refuse_handshakes("kalshi", status=503, for_s=1.5)
        sim.faults.close_sockets("kalshi")
        await reader.until(lambda: reader.all_are("stale", sim.kalshi_tickers))
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        for ticker in sim.kalshi_tickers:
            newest = reader.prices[ticker][-1]
            assert top_of(newest) == sim.world.market(ticker).top()
        assert {reader.prices[t][-1]["source"] for t in sim.kalshi_tickers} == {"rest"}
