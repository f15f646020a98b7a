"""What is loaded, and when: the daemon never loads orders, and readers of prices don't either."""

import subprocess
import sys

import pytest

ORDERS = "arbees_feed.clients.kalshi_orders", "arbees_feed.clients.polymarket_orders"


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has after *code*."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import arbees_feed.app.daemon, arbees_feed.__main__",
        "import arbees_feed.cli\nfrom arbees_feed.cli import run, demo, check, watch, markets",
    ],
)
def test_the_daemon_loads_no_client(code: str) -> None:
    assert not {name for name in loaded_by(code) if name.startswith("arbees_feed.clients")}


def test_clients_load_neither_orders_nor_the_daemon() -> None:
    loaded = loaded_by("from arbees_feed.clients import KalshiClient, PolymarketClient")
    assert not loaded & {*ORDERS, "polymarket", "redis", "cryptography", "arbees_feed.app"}
    assert not {name for name in loaded if name.startswith("arbees_feed.publish")}


def test_a_client_that_may_not_trade_never_loads_orders() -> None:
    code = """
import asyncio
from arbees_feed.clients import KalshiClient, OrderRequest, TradingDisabled
order = OrderRequest(market_id="KXA", side="buy", price="0.1", size="1")
async def main():
    async with KalshiClient() as client:
        try:
            await client.place_order(order)
        except TradingDisabled:
            print("refused")
asyncio.run(main())
"""
    loaded = loaded_by(code)
    assert "refused" in loaded
    assert not loaded & set(ORDERS)
