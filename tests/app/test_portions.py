"""Commands sent in portions, against a real server."""

from collections.abc import Iterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from support.feed import url_of, valkey

from arbees_feed.app.portions import Portioned


class Counting:
    """A client that counts how many pipelines were asked for."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.pipelines = 0

    def pipeline(self, *, transaction: bool) -> object:
        self.pipelines += 1
        return self.client.pipeline(transaction=transaction)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with valkey() as server:
        yield url_of(server)


async def test_answers_come_in_the_order_of_the_commands(url: str) -> None:
    async with Redis.from_url(url) as client:
        await client.sadd("s", *range(10))
        counting = Counting(client)
        pipeline = Portioned(counting, most=20).pipeline()
        for number in range(30):
            pipeline.sismember("s", number)
        pipeline.smismember("s", list(range(50)))  # more than a portion by itself
        pipeline.scard("s")
        answers = await pipeline.execute()
    assert answers == [1] * 10 + [0] * 20 + [[1] * 10 + [0] * 40] + [10]
    assert counting.pipelines == 5  # of ten with two arguments each: three; the long one; the rest


async def test_the_first_error_ends_it(url: str) -> None:
    async with Redis.from_url(url) as client:
        await client.set("text", "no set")
        pipeline = Portioned(client, most=2).pipeline()
        pipeline.scard("text")
        pipeline.set("later", "1")
        with pytest.raises(ResponseError):
            await pipeline.execute()
        assert await client.get("later") is None


async def test_nothing_to_send_is_no_error_and_all_else_is_the_client(url: str) -> None:
    async with Redis.from_url(url) as client:
        portioned = Portioned(client)
        assert await portioned.pipeline().execute() == []
        assert await portioned.ping()
        with pytest.raises(ValueError, match="transaction"):
            portioned.pipeline(transaction=True)
