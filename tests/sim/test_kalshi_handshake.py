"""Who may open a WebSocket at the simulated Kalshi."""

import aiohttp
import pytest

from arbees_feed.sim.credentials import SIGNATURE_HEADER, TIMESTAMP_HEADER
from arbees_feed.sim.shared import wall_clock_ms

WS_PATH = "/trade-api/ws/v2"


async def refused(http, sim, headers):
    """Return (status, JSON body) of a refused handshake."""
    url = sim.kalshi_ws_url.replace("ws:", "http:")
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    async with http.get(url, headers=headers | upgrade) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("kind", ["ed25519_credentials", "rsa_credentials"])
async def test_both_kinds_of_keys_are_accepted(open_sim, http, kind):
    sim = await open_sim()
    headers = getattr(sim, kind).headers("GET", WS_PATH, wall_clock_ms())
    async with http.ws_connect(sim.kalshi_ws_url, headers=headers) as ws:
        await ws.send_json({"id": 1, "cmd": "list_subscriptions"})
        assert (await ws.receive_json())["msg"] == []


async def test_an_unsigned_handshake_gets_401_and_json(open_sim, http):
    sim = await open_sim()
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(sim.kalshi_ws_url)
    assert caught.value.status == 401
    status, body = await refused(http, sim, {})
    assert (status, body["code"]) == (401, "authentication_required")


@pytest.mark.parametrize("off_ms", [-31_000, 31_000])
async def test_a_clock_that_is_off_gets_its_own_code(open_sim, http, off_ms):
    sim = await open_sim()
    headers = sim.credentials.headers("GET", WS_PATH, wall_clock_ms() + off_ms)
    status, body = await refused(http, sim, headers)
    assert (status, body["code"]) == (401, "header_timestamp_expired")


async def test_ten_seconds_are_forgiven(open_sim, http):
    sim = await open_sim()
    headers = sim.credentials.headers("GET", WS_PATH, wall_clock_ms() - 10_000)
    async with http.ws_connect(sim.kalshi_ws_url, headers=headers) as ws:
        assert not ws.closed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda h: h | {"KALSHI-ACCESS-KEY": "nobody"},
        lambda h: h | {SIGNATURE_HEADER: "AAAA"},
        lambda h: h | {SIGNATURE_HEADER: "not base64!"},
        lambda h: h | {TIMESTAMP_HEADER: str(int(h[TIMESTAMP_HEADER]) + 1)},
        lambda h: h | {TIMESTAMP_HEADER: "now"},
    ],
)
@pytest.mark.parametrize("kind", ["ed25519_credentials", "rsa_credentials"])
async def test_a_spoilt_signature_is_refused(open_sim, http, kind, spoil):
    sim = await open_sim()
    headers = getattr(sim, kind).headers("GET", WS_PATH, wall_clock_ms())
    status, _ = await refused(http, sim, spoil(headers))
    assert status == 401


async def test_the_path_is_part_of_the_signature(open_sim, http):
    sim = await open_sim()
    headers = sim.credentials.headers("GET", "/trade-api/v2/markets", wall_clock_ms())
    assert (await refused(http, sim, headers))[0] == 401


async def test_a_key_of_our_own_is_accepted_and_handed_out(open_sim, http):
    donor = await open_sim()
    own = donor.rsa_credentials
    sim = await open_sim(api_key_id="mine", private_key_pem=own.private_key_pem)
    assert sim.credentials.api_key_id == "mine"
    headers = sim.credentials.headers("GET", WS_PATH, wall_clock_ms())
    async with http.ws_connect(sim.kalshi_ws_url, headers=headers) as ws:
        assert not ws.closed
    assert own.private_key_pem not in repr(sim.credentials)


async def test_compression_is_used_when_offered(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim, compress=15)
    assert client.ws.compress == 15
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    sim.step(200)
    await client.settle()
    assert not client.gaps
    assert len(client.frames) > 100
