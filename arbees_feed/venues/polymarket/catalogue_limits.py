"""How fast Polymarket may be asked.

By IP address, in windows of 10 s: Gamma `/markets` 300, `/events` 500; CLOB `/book` 1,500, `/books`
500 (docs.polymarket.com, rate limits, read 2026-08-22). What is over is delayed before it is
refused. A fifth is left to whoever else shares the address.
"""

from arbees_feed.core.ratelimit import PathRate, Rates

_SHARE = 0.8
_WINDOW_S = 10.0


def _path(path: str, requests_a_window: int) -> PathRate:
    rate_per_s = requests_a_window * _SHARE / _WINDOW_S
    # One burst of a second on top of a whole window is still within the limit.
    return PathRate(path, rate_per_s, burst=rate_per_s)


PUBLIC = Rates(
    rate_per_s=8.0,
    burst=8.0,
    paths=(
        _path("/markets", 300),
        _path("/events", 500),
        _path("/books", 500),
        _path("/book", 1500),
    ),
)
"""Of everybody; other paths are asked at a leisurely rate of our own."""
