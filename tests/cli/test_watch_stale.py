"""`watch` in a pipe: whoever reads lines is told, too, that a feed has gone."""

import json
import subprocess

import redis
from support.prices import price
from support.processes import process


def test_live_prices_of_a_feed_that_goes_are_printed_once_more_as_stale(server: str) -> None:
    with redis.Redis.from_url(server) as client:
        client.hset("feed:venue:kalshi", mapping={"state": "live", "session": 1})
        client.set("market:A:last", price("A").to_msgpack())
        closed = price("C", status="closed", yes_bid_size=0.0)
        client.set("market:C:last", closed.to_msgpack())
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
