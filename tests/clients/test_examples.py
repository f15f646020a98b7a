"""The examples run as they stand, against simulated venues."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def output_of(name: str, *arguments: str) -> str:
    """Run an example to its end and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), "--simulated", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_kalshi() -> None:
    printed = output_of("kalshi_client.py", "--seconds", "0.5", "--trade")
    assert "  bid 0." in printed
    assert "  ask 0." in printed
    assert "candles of an hour" in printed
    assert " live\n" in printed
    assert "is resting, 1.00 remain" in printed
    assert "canceled 1.00" in printed


def test_kalshi_places_no_order_unless_asked_to() -> None:
    assert "order" not in output_of("kalshi_client.py", "--seconds", "0.1")


def test_polymarket() -> None:
    printed = output_of("polymarket_client.py", "--seconds", "0.5")
    assert " bids, " in printed
    assert "candles of an hour" in printed
    assert " live\n" in printed
    assert "followed 5 markets" in printed
