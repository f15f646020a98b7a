"""`match run` as a process, over a real server: pairs, their prices, and what becomes of them."""

import asyncio
import json
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
from support.feed import url_of, valkey
from support.pairing import Message, Venues, game, judged, pair_of
from support.process import environment, environment_for, feed_process
from support.questions import polymarket

from arbees_feed.pairs.ledger import pair_id_of
from arbees_feed.pairs.metadata import Meta
from arbees_feed.sim import SimServer

OURS, OTHERS, THEIRS = game(8)
SAME, INVERTED = pair_of(OURS, THEIRS), pair_of(OTHERS, THEIRS)
STALE_S = 15.0
"""A feed that is not heard for 2.5 s is not believed; the rest is room for a busy machine."""
pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def matching(url: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the matcher as a process."""
    named = {key.replace("__", "."): value for key, value in settings.items()}
    env = environment({"redis.url": url, "log.level": "error", **named})
    async with feed_process(env, ("match", "run")) as process:
        yield process


async def state(client: Any) -> dict[str, str]:
    found = await client.hgetall("feed:pairs:state")
    return {name.decode(): value.decode() for name, value in found.items()}


async def until_state(client: Any, seconds: float = 40.0, **expected: str) -> None:
    """Wait for the state, which is written once a second and announced nowhere."""
    async with asyncio.timeout(seconds):
        while not expected.items() <= (await state(client)).items():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def quote(venues: Venues, *metas: Meta) -> None:
    """Give each market a price."""
    for meta in metas:
        await venues.price(meta, 40, 42, (100.0, 50.0))


async def test_each_price_of_a_pair_is_what_the_two_true_books_give(redis_url: str) -> None:
    games = [game(day) for day in range(8, 14)]
    markets = [meta for metas in games for meta in metas]
    draw = random.Random(3)
    async with judged(redis_url) as (venues, judge), matching(redis_url):
        # Of the last game, Kalshi lists nothing; of another one, Polymarket its spread as well.
        traps = [game(20)[2], polymarket("9900", title="Spread: Fever (-1.5)", line="-1.5",
                                         sports_market_type="spreads")]  # fmt: skip
        await venues.list(*markets, *traps)
        await quote(venues, *markets, *traps)
        pairs = {pair_of(team, theirs) for *teams, theirs in games for team in teams}
        await judge.until(lambda: all(judge.status(pair) == "live" for pair in pairs))
        for number in range(600):
            bid = draw.randrange(1, 98)
            sizes = (float(draw.choice([0, number + 1])), number + 0.5)
            await venues.price(
                draw.choice(markets), bid if sizes[0] else 0, draw.randrange(bid + 1, 100), sizes
            )
        for number, meta in enumerate(markets):
            await venues.price(meta, 30, 31 + number, (7_000.0 + number, 9_000.0 + number))
        await judge.until(
            lambda: all(
                judge.newest(pair)["kalshi_bid_size"] >= 7_000.0
                and min(judge.newest(pair)[f"polymarket_{side}_size"] for side in ("bid", "ask"))
                >= 7_000.0
                for pair in pairs
            )
        )
        assert set(judge.pairs) == pairs
        assert {judge.newest(pair)["polarity"] for pair in pairs} == {"same", "inverted"}
        assert judge.told > 3 * len(pairs)
        members = {pair.decode() for pair in await venues.client.zrange("feed:pairs", 0, -1)}
        assert members == pairs


async def test_nothing_is_live_once_a_leg_or_a_feed_is_not(redis_url: str) -> None:
    async with judged(redis_url) as (venues, judge), matching(redis_url):
        await venues.list(OURS, OTHERS, THEIRS)
        await quote(venues, OURS, OTHERS, THEIRS)
        both = (SAME, INVERTED)
        await judge.until(lambda: all(judge.status(pair) == "live" for pair in both))
        await venues.price(OURS, 0, 100, (0.0, 0.0), "stale")
        await judge.until(lambda: judge.status(SAME) == "stale")
        assert judge.newest(SAME)["reason"] == "kalshi: stale"
        assert judge.status(INVERTED) == "live"
        venues.beating = False
        silent_s = time.monotonic()
        await judge.until(lambda: judge.status(INVERTED) == "stale")
        assert time.monotonic() - silent_s < STALE_S
        venues.beating = True
        await judge.until(lambda: judge.status(INVERTED) == "live")
        assert judge.status(SAME) == "stale"


async def test_the_pairs_of_a_feed_have_its_true_books_until_it_is_killed(
    sim: SimServer, redis_url: str, tmp_path: Path
) -> None:
    """The user's file brings markets together whose books the simulated venues know."""
    file = tmp_path / "pairs.csv"
    legs = list(zip(sim.kalshi_tickers[:10], sim.polymarket_tokens[:10], strict=True))
    polarities = ["same", "inverted"] * 5
    lines = [f"add,{k},{p},{turned}," for (k, p), turned in zip(legs, polarities, strict=True)]
    file.write_text("\n".join(["action,kalshi,polymarket,polarity,note", *lines]))
    async with (
        judged(redis_url, daemon=True) as (_, judge),
        matching(redis_url, pairs__mapping=str(file)),
        feed_process(environment_for(sim, redis_url)) as daemon,
    ):
        ids = [pair_id_of(key) for key in legs]
        await judge.until(lambda: all(judge.status(pair) == "live" for pair in ids), 40.0)
        sim.pause()
        await sim.drained()
        expected = [tuple(sim.world.market(market).top() for market in key) for key in legs]
        await judge.until(lambda: [both_tops(judge.newest(pair)) for pair in ids] == expected)
        sim.resume()
        daemon.send_signal(signal.SIGKILL)
        killed_s = time.monotonic()
        await judge.until(lambda: {judge.status(pair) for pair in ids} == {"stale"})
        assert time.monotonic() - killed_s < STALE_S
        assert set(judge.pairs) == set(ids)


def both_tops(pair: Message) -> tuple[tuple[int, ...], ...]:
    """Return the tops that a pair's price was made of, each as its venue has it."""
    tops = []
    for venue in ("kalshi", "polymarket"):
        bid, ask = (round(pair[f"{venue}_{side}"] * 10_000) for side in ("bid", "ask"))
        bid_size, ask_size = (
            round(pair[f"{venue}_{side}_size"] * 1_000_000) for side in ("bid", "ask")
        )
        if venue == "polymarket" and pair["polarity"] == "inverted":
            tops.append((10_000 - ask, ask_size, 10_000 - bid, bid_size))
        else:
            tops.append((bid, bid_size, ask, ask_size))
    return tuple(tops)


async def test_a_market_that_changes_its_rules_or_ends_has_no_pair(redis_url: str) -> None:
    async with judged(redis_url) as (venues, judge), matching(redis_url):
        client = venues.client
        await venues.list(OURS, OTHERS, THEIRS)
        await quote(venues, OURS, OTHERS, THEIRS)
        await judge.until(lambda: judge.status(SAME) == judge.status(INVERTED) == "live")
        # Kalshi says in its rules that it is the game of another day.
        moved = replace(OURS, rules_primary=game(9)[0].fields["rules_primary"])
        await venues.list(moved)
        await judge.until(lambda: judge.status(SAME) == "closed")
        assert judge.newest(SAME)["reason"] == "what a venue says of it has changed"
        assert not await client.exists(f"pair:{SAME}", f"market:{OURS.market_id}:pairs")
        assert 0 < await client.ttl(f"pair:{SAME}:last") <= 3_600
        assert judge.status(INVERTED) == "live"
        await venues.list(OURS)
        await judge.until(lambda: judge.status(SAME) == "live")
        assert await client.ttl(f"pair:{SAME}:last") == -1
        await venues.list(replace(OURS, status="closed"))
        await judge.until(lambda: judge.status(SAME) == "closed")
        assert judge.newest(SAME)["reason"] == "kalshi: the market has ended"
        await venues.delist(THEIRS)
        await judge.until(lambda: judge.status(INVERTED) == "closed")
        assert judge.newest(INVERTED)["reason"] == "a market is not listed any more"
        assert await client.zcard("feed:pairs") == 0
        assert not await client.exists(f"market:{THEIRS.market_id}:pairs")


async def test_what_a_person_has_decided_wins_and_wrong_lines_are_named(
    redis_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text(
        "action,kalshi,polymarket,polarity,note\n"
        f"forbid,{OURS.market_id},{THEIRS.fields['slug']},,other rules\n"
        f"add,{OURS.market_id},9900,inverted,\n"
        f"wish,{OURS.market_id},9900,same,\n"
        "add,KX-NOT-THERE,9900,same,\n"
    )
    added = pair_of(OURS, polymarket("9900"))
    settings = {"pairs__mapping": str(file), "log__level": "warning"}
    async with judged(redis_url) as (venues, judge):
        await venues.list(OURS, OTHERS, THEIRS, polymarket("9900", "2026-08-19"))
        await quote(venues, OURS, OTHERS, THEIRS, polymarket("9900"))
        async with matching(redis_url, **settings) as matcher:
            await judge.until(lambda: judge.status(added) == judge.status(INVERTED) == "live")
            assert judge.newest(added)["polarity"] == "inverted"
            await until_state(venues.client, state="live", pairs="2", by_user="1", live="2")
            assert await venues.client.hget(f"pair:{added}", "by") == b"user"
            matcher.terminate()
            _, err = await matcher.communicate()
        assert SAME not in judge.pairs
        said = [json.loads(line) for line in err.decode().splitlines()]
        assert [line["error"] for line in said if line["event"] == "wrong line in the mapping"] == [
            f"{file}:4: unknown action 'wish': confirm, add or forbid"
        ]
        unknown = [line for line in said if line["event"] == "unknown market"]
        assert [(line["file"], line["market"]) for line in unknown] == [
            (f"{file}:5", "KX-NOT-THERE")
        ]


async def test_a_matcher_that_is_killed_is_taken_back_by_the_next_before_all_else(
    redis_url: str,
) -> None:
    async with judged(redis_url) as (venues, judge):
        client = venues.client
        await venues.list(OURS, OTHERS, THEIRS)
        await quote(venues, OURS, OTHERS, THEIRS)
        async with matching(redis_url) as matcher:
            await judge.until(lambda: judge.status(SAME) == judge.status(INVERTED) == "live")
            matcher.kill()
            await matcher.wait()
        killed = judge.newest(SAME)
        assert (await client.ttl("feed:pairs:state")) <= 10
        await venues.delist(OTHERS)
        # As if the clock had been set back since.
        last = msgpack.unpackb(await client.get(f"pair:{SAME}:last"))
        late = last["session"] + 3_600 * 10**9
        await client.set(f"pair:{SAME}:last", msgpack.packb({**last, "session": late}))
        at = len(judge.pairs[SAME])
        async with matching(redis_url):
            await judge.until(lambda: len(judge.pairs[SAME]) > at and judge.status(SAME) == "live")
            since = judge.pairs[SAME][at:]
            assert (since[0]["status"], since[0]["seq"]) == ("stale", 1)
            assert since[0]["reason"] == "the matcher was started again"
            assert since[0]["session"] > late > killed["session"]
            await judge.until(lambda: judge.status(INVERTED) == "closed")
            assert await client.zrange("feed:pairs", 0, -1) == [SAME.encode()]


async def test_a_matcher_that_stops_takes_its_prices_back(redis_url: str) -> None:
    async with judged(redis_url) as (venues, judge), matching(redis_url) as matcher:
        await venues.list(OURS, OTHERS, THEIRS)
        await quote(venues, OURS, OTHERS, THEIRS)
        await judge.until(lambda: judge.status(SAME) == judge.status(INVERTED) == "live")
        matcher.terminate()
        await judge.until(lambda: judge.status(SAME) == judge.status(INVERTED) == "stale")
        assert judge.newest(SAME)["reason"] == "the matcher was stopped"
        assert await matcher.wait() == 0
        assert not await venues.client.exists("feed:pairs:state")
        assert await venues.client.zcard("feed:pairs") == 2


async def test_a_redis_that_comes_back_empty_has_everything_within_seconds() -> None:
    async with AsyncExitStack() as stack:
        with valkey() as server:
            url = url_of(server)
            matcher = await stack.enter_async_context(matching(url))
            async with judged(url) as (venues, judge):
                await venues.list(OURS, OTHERS, THEIRS)
                await quote(venues, OURS, OTHERS, THEIRS)
                await judge.until(lambda: judge.status(SAME) == judge.status(INVERTED) == "live")
                before = judge.newest(SAME)
            port = server.port
        with valkey(port):
            async with judged(url) as (venues, judge):
                venues.session = time.time_ns()
                await until_state(venues.client, state="live", pairs="2", live="0")
                keys = [f"pair:{pair}{what}" for pair in (SAME, INVERTED) for what in ("", ":last")]
                async with asyncio.timeout(40):
                    while await venues.client.exists("feed:pairs", *keys) < 5:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                # Enrichment comes back as well, later; and the prices.
                await venues.list(OURS, OTHERS, THEIRS)
                await quote(venues, OURS, OTHERS, THEIRS)
                await judge.until(lambda: judge.status(SAME) == judge.status(INVERTED) == "live")
                after = judge.newest(SAME)
                assert after["session"] == before["session"]
                assert after["seq"] > before["seq"]
                assert not [m for ms in judge.pairs.values() for m in ms if m["status"] == "closed"]
                assert matcher.returncode is None


async def test_a_redis_that_is_emptied_has_all_pairs_again_at_once(redis_url: str) -> None:
    async with judged(redis_url) as (venues, judge), matching(redis_url) as matcher:
        await venues.list(OURS, OTHERS, THEIRS)
        await quote(venues, OURS, OTHERS, THEIRS)
        both = (SAME, INVERTED)
        await judge.until(lambda: all(judge.status(pair) == "live" for pair in both))
        await until_state(venues.client, state="live", live="2")
        before = {pair: judge.newest(pair)["seq"] for pair in both}
        await venues.client.flushall()
        await judge.until(lambda: all(judge.newest(pair)["seq"] > before[pair] for pair in both))
        # It takes a second to notice. The next scan, which would see it too, is half an hour off.
        assert {judge.status(pair) for pair in both} == {"live"}
        members = {pair.decode() for pair in await venues.client.zrange("feed:pairs", 0, -1)}
        assert members == set(both)
        keys = [f"pair:{SAME}", f"pair:{INVERTED}:last", f"market:{THEIRS.market_id}:pairs"]
        assert await venues.client.exists("feed:pairs:owner", *keys) == 4
        await until_state(venues.client, state="live", live="2")
        assert matcher.returncode is None


async def test_a_second_matcher_is_refused_and_the_first_one_goes_on(redis_url: str) -> None:
    async with judged(redis_url) as (venues, judge), matching(redis_url) as first:
        await venues.list(OURS, THEIRS)
        await quote(venues, OURS, THEIRS)
        await judge.until(lambda: judge.status(SAME) == "live")
        messages = len(judge.pairs[SAME])
        async with matching(redis_url) as second:
            async with asyncio.timeout(40):
                _, err = await second.communicate()
            assert second.returncode == 1
            assert err.decode() == (
                f"arbees-feed: another `match run` (process {first.pid}) writes the pairs of this "
                "redis, as feed:pairs:owner says: stop one of them\n"
            )
        # Nothing was taken back, and prices still come from the first one.
        await venues.price(OURS, 45, 46, (100.0, 50.0))
        await judge.until(lambda: judge.newest(SAME)["kalshi_bid"] == 0.45)
        assert {message["session"] for message in judge.pairs[SAME]} == {
            judge.newest(SAME)["session"]
        }
        assert len(judge.pairs[SAME]) == messages + 1
        # Under another prefix it disturbs nobody.
        async with matching(redis_url, redis__key_prefix="other:"):
            async with asyncio.timeout(40):
                while not await venues.client.exists("other:feed:pairs:state"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        assert first.returncode is None


async def test_a_matcher_that_stood_still_ends_if_another_one_has_taken_over(
    redis_url: str,
) -> None:
    async with judged(redis_url) as (venues, judge), matching(redis_url) as first:
        await venues.list(OURS, THEIRS)
        await quote(venues, OURS, THEIRS)
        await judge.until(lambda: judge.status(SAME) == "live")
        session = judge.newest(SAME)["session"]
        first.send_signal(signal.SIGSTOP)
        async with matching(redis_url) as second:
            await judge.until(
                lambda: judge.status(SAME) == "live" and judge.newest(SAME)["session"] > session
            )
            await venues.price(OURS, 45, 46, (100.0, 50.0))
            await judge.until(lambda: judge.newest(SAME)["kalshi_bid"] == 0.45)
            at = len(judge.pairs[SAME])
            first.send_signal(signal.SIGCONT)
            async with asyncio.timeout(40):
                _, err = await first.communicate()
            assert first.returncode == 1
            assert f"another `match run` (process {second.pid})" in err.decode()
            await venues.price(OURS, 47, 48, (100.0, 50.0))
            await judge.until(lambda: judge.newest(SAME)["kalshi_bid"] == 0.47)
            assert {message["session"] > session for message in judge.pairs[SAME][at:]} == {True}
            await until_state(venues.client, pid=str(second.pid), live="1")


async def test_fees_that_change_while_a_pair_runs_are_in_its_next_price(redis_url: str) -> None:
    async with judged(redis_url, usual_fees=False) as (venues, judge), matching(redis_url):
        await venues.list(replace(OURS, fee_type="quadratic", fee_multiplier="1"), THEIRS)
        await quote(venues, OURS, THEIRS)
        await judge.until(lambda: judge.status(SAME) == "live")
        # YES at 0.42, NO at 0.60, 50 of each: 0.07 and 0.05 times C x P x (1 - P).
        theirs = 0.05 * 0.6 * 0.4
        net = judge.newest(SAME)["yes_at_kalshi_net"]
        assert net == pytest.approx(1.02 + 0.86 / 50 + theirs)
        # Nothing but the fee changes, and no price comes.
        for multiplier, fee in (("0.5", 0.43), ("0", 0.0)):
            told = len(judge.pairs[SAME])
            await venues.list(replace(OURS, fee_type="quadratic", fee_multiplier=multiplier))
            await judge.until(lambda told=told: len(judge.pairs[SAME]) > told)
            net = judge.newest(SAME)["yes_at_kalshi_net"]
            assert net == pytest.approx(1.02 + fee / 50 + theirs)
        told = len(judge.pairs[SAME])
        await venues.list(replace(THEIRS, fees_enabled="true", fee_rate="0.03"))
        await judge.until(lambda: len(judge.pairs[SAME]) > told)
        net = judge.newest(SAME)["yes_at_kalshi_net"]
        assert net == pytest.approx(1.02 + 0.03 * 0.6 * 0.4)


async def test_metadata_of_another_kind_costs_its_market_only(redis_url: str) -> None:
    async with judged(redis_url) as (venues, judge):
        await venues.client.set("market:KXODD-1:meta", "a string")
        await venues.client.zadd("feed:volume:kalshi", {"KXODD-1": 0})
        async with matching(redis_url):
            await venues.list(OURS, THEIRS)
            await quote(venues, OURS, THEIRS)
            await judge.until(lambda: judge.status(SAME) == "live")
            await venues.client.publish("feed:meta", b"\xc1")
            await until_state(venues.client, state="live", live="1", unreadable="2")


@pytest.mark.parametrize("follow", ["true", "false"])
async def test_the_feed_is_asked_to_follow_both_legs(redis_url: str, follow: str) -> None:
    async with judged(redis_url) as (venues, judge), matching(redis_url, pairs__follow=follow):
        await venues.list(OURS, THEIRS, game(20)[2])
        await judge.until(lambda: judge.status(SAME) == "stale")
        await until_state(venues.client, state="live", confirmed="1")
        if follow == "false":
            assert not await venues.client.exists("feed:watch:kalshi", "feed:watch:polymarket")
            return
        for meta in (OURS, THEIRS):
            key = f"feed:watch:{meta.venue}"
            async with asyncio.timeout(40):
                while not await venues.client.exists(key):  # noqa: ASYNC110 - it is not announced
                    await asyncio.sleep(0.1)
            ((market, end_s),) = await venues.client.zrange(key, 0, -1, withscores=True)
            assert market.decode() == meta.market_id
            assert time.time() < end_s <= time.time() + 30


def replace(meta: Meta, **fields: str) -> Meta:
    return msgspec.structs.replace(meta, fields={**meta.fields, **fields})
