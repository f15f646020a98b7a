"""A token bucket; the time is an argument."""


class TokenBucket:
    """Allow *rate_per_s* requests a second on average and *burst* at once."""

    __slots__ = ("_burst", "_filled_s", "_rate_per_s", "_tokens")

    def __init__(self, rate_per_s: float, burst: float, now_s: float = 0.0) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = burst
        self._filled_s = now_s

    def take(self, now_s: float, cost: float = 1.0) -> float:
        """Take *cost* tokens and return the seconds to wait before acting on them (0.0: now).

        Tokens may go below zero: the caller that waits has reserved its place.
        """
        gained = (now_s - self._filled_s) * self._rate_per_s
        self._tokens = min(self._burst, self._tokens + max(0.0, gained)) - cost
        self._filled_s = now_s
        return max(0.0, -self._tokens / self._rate_per_s)
