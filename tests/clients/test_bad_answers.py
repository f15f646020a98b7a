"""Answers that no client should believe: a clear outcome for each, nothing stuck."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from support.clients import Client, Peer, now

from arbees_feed.clients import KalshiClient
from arbees_feed.errors import AuthenticationRejected, ProtocolViolation, RequestFailed

IDS = {"kalshi": "KXAAA-26NOV22-T1", "polymarket": "11"}
HTML = b"<html><body><h1>Just a moment...</h1></body></html>"


def market(client: Client, number: int) -> dict[str, Any]:
    """Return a record of the venue's listing; it has no title."""
    if client.venue == "kalshi":
        return {"ticker": f"KXAAA-26NOV22-T{number}", "event_ticker": "KXAAA-26NOV22"}
    tokens = f'["{number}1", "{number}2"]'
    return {"id": str(number), "conditionId": f"0x{number:064x}", "clobTokenIds": tokens}


def page(client: Client, numbers: list[int], cursor: str) -> dict[str, Any]:
    told = "cursor" if client.venue == "kalshi" else "next_cursor"
    return {"markets": [market(client, number) for number in numbers], told: cursor}


async def listed(client: Client) -> list[str]:
    return [found.market_id async for found in client.get_markets(status="open")]


async def test_pages_are_turned_and_duplicates_left_out(peer_client: Client, peer: Peer) -> None:
    """The second page repeats the end of the first, as when a market is added meanwhile."""
    peer.say_in_turn(
        page(peer_client, [1, 2, 3], "a"),
        page(peer_client, [3, 4], "b"),
        page(peer_client, [5], ""),
    )
    found = await listed(peer_client)
    assert len(found) == len(set(found)) == 5
    sent = "cursor" if peer_client.venue == "kalshi" else "after_cursor"
    assert [request.query.get(sent) for request in peer.asked] == [None, "a", "b"]
    filters = [{k: v for k, v in r.query.items() if k != sent} for r in peer.asked]
    assert filters[0] == filters[1] == filters[2]


async def test_a_market_without_title_has_an_empty_one(peer_client: Client, peer: Peer) -> None:
    peer.say(page(peer_client, [1], ""))
    (found,) = [found async for found in peer_client.get_markets()]
    assert found.title == ""


async def test_a_record_that_is_none_costs_only_itself(peer_client: Client, peer: Peer) -> None:
    body = page(peer_client, [1], "")
    body["markets"] += [{"nonsense": 1}, None, market(peer_client, 2)]
    peer.say(body)
    assert len(await listed(peer_client)) == 2
    assert peer_client.stats.skipped == 2


async def test_an_endless_cursor_ends_in_an_error(peer_client: Client, peer: Peer) -> None:
    peer.say(page(peer_client, [1, 2], "again"))
    markets = peer_client.get_markets()
    assert await anext(markets) != await anext(markets)
    with pytest.raises(ProtocolViolation, match=r"/markets.*cut short"):
        await anext(markets)
    assert len(peer.asked) == 2


async def test_empty_pages_without_end_end_in_an_error(peer_client: Client, peer: Peer) -> None:
    numbers = iter(range(1000))

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(page(peer_client, [], f"c{next(numbers)}"))

    peer.answers = answer
    with pytest.raises(ProtocolViolation, match="empty pages"):
        await listed(peer_client)
    assert len(peer.asked) < 10


async def test_trades_that_go_in_circles_end_in_an_error(peer_client: Client, peer: Peer) -> None:
    if peer_client.venue == "kalshi":
        peer.say({"trades": [], "cursor": "again"})
    else:

        async def answer(request: web.Request) -> web.StreamResponse:
            if request.path == "/v2/trades":
                return web.json_response({"data": [], "pagination": {"next_cursor": "again"}})
            return web.json_response(page(peer_client, [1], ""))

        peer.answers = answer
    with pytest.raises(ProtocolViolation, match=r"/trades.*(circles|came twice)"):
        await anext(peer_client.get_trades(IDS[peer_client.venue]))


@pytest.mark.parametrize(
    "body", [HTML, b"", b"[]", b"{}", b'{"markets": 1}', b'{"markets": [{"ti', b"null"]
)
async def test_a_body_that_is_no_answer_names_its_url(
    peer_client: Client, peer: Peer, body: bytes
) -> None:
    market_id = IDS[peer_client.venue]
    peer.say(body)
    with pytest.raises(ProtocolViolation, match=peer.url):
        await listed(peer_client)
    with pytest.raises(ProtocolViolation, match=peer.url):
        await peer_client.get_market(market_id)
    with pytest.raises(ProtocolViolation, match=peer.url):
        await peer_client.get_orderbook(market_id)
    with pytest.raises(ProtocolViolation, match=peer.url):
        await anext(peer_client.get_trades(market_id))
    history = peer_client.get_price_history(market_id, now() - timedelta(days=1), now())
    with pytest.raises(ProtocolViolation, match=peer.url):
        await anext(history)


@pytest.mark.parametrize("level", [["1.2000", "5.00"], ["NaN", "5.00"], ["0.5", "-1"], ["x", "1"]])
async def test_a_level_that_is_none_voids_the_book(peer: Peer, level: list[str]) -> None:
    peer.say({"orderbook_fp": {"yes_dollars": [level], "no_dollars": []}})
    async with KalshiClient(rest_url=peer.url) as client:
        with pytest.raises(ProtocolViolation, match="/orderbook"):
            await client.get_orderbook(IDS["kalshi"])


async def test_a_side_that_is_absent_or_null_is_empty(peer: Peer) -> None:
    peer.say({"orderbook_fp": {"yes_dollars": None}})
    async with KalshiClient(rest_url=peer.url) as client:
        book = await client.get_orderbook(IDS["kalshi"])
    assert (book.bids, book.asks, book.best_bid, book.best_ask) == ((), (), None, None)


async def test_a_server_that_goes_away_is_a_failed_request(peer_client: Client, peer: Peer) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    peer.answers = answer
    with pytest.raises(RequestFailed) as caught:
        await peer_client.get_market(IDS[peer_client.venue])
    assert caught.value.status == 0


async def test_a_refused_key_is_not_tried_again(peer_client: Client, peer: Peer) -> None:
    peer.say({"code": "unauthorized"}, status=401)
    with pytest.raises(AuthenticationRejected):
        await listed(peer_client)
    assert len(peer.asked) == 1


async def test_many_requests_at_once_share_one_client(peer_client: Client, peer: Peer) -> None:
    peer.say(page(peer_client, [1, 2, 3], ""))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(listed(peer_client)) for _ in range(20)]
    assert all(len(task.result()) == 3 for task in tasks)
