"""A circuit breaker: what keeps failing is left alone for a while. The time is an argument."""

from enum import IntEnum

import msgspec


class BreakerState(IntEnum):
    """The state as a metric shows it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class BreakerOptions(msgspec.Struct, frozen=True):
    """When a breaker opens and for how long; times in seconds."""

    failures: int = 5
    """So many in a row open it."""
    cool_s: float = 5.0
    """The first rest; each that ends in another failure is twice as long."""
    cool_cap_s: float = 120.0


class Breaker:
    """Closed: all pass. Open: none does. After the rest one may try (half-open): it decides."""

    __slots__ = ("_cool_s", "_failures", "_open_until_s", "_options", "opened", "state")

    def __init__(self, options: BreakerOptions = BreakerOptions()) -> None:  # noqa: B008 (frozen)
        self.state = BreakerState.CLOSED
        self.opened = 0
        """How often it has opened."""
        self._options = options
        self._failures = 0
        self._cool_s = options.cool_s
        self._open_until_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Return after how many seconds to come again; 0.0: now."""
        if self.state is BreakerState.CLOSED:
            return 0.0
        if self.state is BreakerState.HALF_OPEN:
            # Somebody is trying; nobody knows for how long.
            return self._options.cool_s
        return max(0.0, self._open_until_s - now_s)

    def enter(self, now_s: float) -> float:
        """Return 0.0 to whoever may pass, else as `wait_s`.

        Who passes must call `succeeded`, `failed` or `gave_up` afterwards.
        """
        wait_s = self.wait_s(now_s)
        if wait_s == 0.0 and self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN
        return wait_s

    def succeeded(self) -> None:
        """Close: the other side works."""
        self.state = BreakerState.CLOSED
        self._failures = 0
        self._cool_s = self._options.cool_s

    def failed(self, now_s: float) -> None:
        """Count a failure; open when there were enough, or when the one that tried failed."""
        self._failures += 1
        if self.state is BreakerState.HALF_OPEN:
            self._cool_s = min(self._cool_s * 2, self._options.cool_cap_s)
        elif self.state is BreakerState.OPEN or self._failures < self._options.failures:
            return
        self.state = BreakerState.OPEN
        self.opened += 1
        self._open_until_s = now_s + self._cool_s

    def gave_up(self) -> None:
        """Nothing was learnt (cancelled): whoever comes next may try."""
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.OPEN
