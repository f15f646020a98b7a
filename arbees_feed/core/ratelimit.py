"""How fast a server may be asked: token buckets and pace. The time is an argument."""

import msgspec


class PathRate(msgspec.Struct, frozen=True):
    """What one part of a REST interface allows."""

    path: str
    """The path itself and all below it, such as `/markets`."""
    rate_per_s: float
    burst: float


class Rates(msgspec.Struct, frozen=True):
    """What a REST interface allows each caller; the first rate holds where no path is named."""

    rate_per_s: float = 8.0
    burst: float = 8.0
    paths: tuple[PathRate, ...] = ()

    def of(self, path: str) -> PathRate:
        """Return the rate that holds for *path*; its own path is empty when it is the host's."""
        for limit in self.paths:
            if path == limit.path or path.startswith(f"{limit.path}/"):
                return limit
        return PathRate("", self.rate_per_s, self.burst)


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
        self._filled_s = max(self._filled_s, now_s)
        paused_s = self._filled_s - now_s
        return paused_s + max(0.0, -self._tokens / self._rate_per_s)

    def pause(self, until_s: float) -> None:
        """Give out nothing before *until_s*, and no burst then."""
        if until_s > self._filled_s:
            self._filled_s = until_s
            self._tokens = min(self._tokens, 0.0)


SLOWEST = 1 / 32
_AFTER_REFUSAL = 0.5
_AFTER_SLOW = 0.75
_AFTER_QUICK = 0.05


class Pace:
    """How much of the allowed rate is used: less when the server groans, more again when not.

    Some servers delay what is over the limit before they refuse it, so slowness counts too.
    """

    __slots__ = ("_refusals", "_slow_s", "share")

    def __init__(self, slow_s: float = 2.0) -> None:
        self.share = 1.0
        """From SLOWEST to 1."""
        self._slow_s = slow_s
        self._refusals = 0

    def answered(self, took_s: float) -> None:
        """Take note of an answer."""
        self._refusals = 0
        if took_s >= self._slow_s:
            self.share = max(SLOWEST, self.share * _AFTER_SLOW)
        else:
            self.share = min(1.0, self.share + _AFTER_QUICK)

    def refused(self) -> int:
        """Take note of a refusal for asking too fast; return how many came in a row before it."""
        self.share = max(SLOWEST, self.share * _AFTER_REFUSAL)
        self._refusals += 1
        return self._refusals - 1
