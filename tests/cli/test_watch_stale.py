"""`watch` in a pipe: whoever reads lines is told, too, that a feed has gone."""

import json
import subprocess

import redis
from support.processes import process

from arbees_feed.core.wire import MarketPrice


def price(market: str, **more: object) -> bytes:
    fields = {
        "platform": "kalshi",
        "yes_bid": 0.4,
        "yes_ask": 0.45,
        "yes_bid_size": 10.0,
        "yes_ask_size": 20.0,
        "last_price": None,
        "status": "live",
        "source": "book",
        "session": 1,
        "seq": 1,
        "ts_event_ns": 1,
        "ts_recv_ns": 2,
        "ts_pub_ns": 3,
        **more,
    }
    return MarketPrice(market_id=market, **fields).to_msgpack()  # type: ignore[arg-type]


def test_live_prices_of_a_feed_that_goes_are_printed_once_more_as_stale(server: str) -> None:
    with redis.Redis.from_url(server) as client:
        client.hset("feed:venue:kalshi", mapping={"state": "live", "session": 1})
        client.set("market:A:last", price("A"))
        client.set("market:C:last", price("C", status="closed", yes_bid_size=0.0))
        client.sadd("feed:markets:kalshi", "A", "C")
        watch = process(
            *("watch", "--json", "--set", f"redis.url={server}"), stderr=subprocess.PIPE
        )
        with watch as running:
            assert running.stdout is not None
            assert running.stderr is not None
            lines = [json.loads(running.stdout.readline()) for _ in range(3)]
            assert {line["market_id"]: line["status"] for line in lines[:2]} == {
                "A": "live",
                "C": "closed",
            }
            gone = lines[2]
            assert (gone["market_id"], gone["status"]) == ("A", "stale")
            assert (gone["yes_bid"], gone["yes_ask"], gone["yes_bid_size"]) == (0.0, 1.0, 0.0)
            assert "kalshi is GONE" in running.stderr.readline()
