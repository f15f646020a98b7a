"""A link that falls behind: what is written leaves later and later, in order."""

import asyncio
from collections import deque
from collections.abc import Callable


class Throttle:
    """Holds data back: by *growth* seconds more each second, up to *longest_s*."""

    def __init__(self, write: Callable[[bytes], None], *, longest_s: float, growth: float) -> None:
        self.waiting = 0
        self._write = write
        self._longest_s = longest_s
        self._growth = growth
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._late: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def put(self, data: bytes) -> None:
        """Write this when it is due."""
        now_s = self._loop.time()
        delay_s = min((now_s - self._began_s) * self._growth, self._longest_s)
        self._late.append((now_s + delay_s, data))
        self.waiting += len(data)
        if self._timer is None:
            self._timer = self._loop.call_at(self._late[0][0], self._write_due)

    def release(self) -> None:
        """Write all of it now."""
        late = [data for _, data in self._late]
        self.forget()
        self._write(b"".join(late))

    def forget(self) -> None:
        """Write none of it."""
        self._late.clear()
        self.waiting = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write_due(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        while self._late and self._late[0][0] <= now_s:
            data = self._late.popleft()[1]
            self.waiting -= len(data)
            self._write(data)
        if self._late:
            self._timer = self._loop.call_at(self._late[0][0], self._write_due)
