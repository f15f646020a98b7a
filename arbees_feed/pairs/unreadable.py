"""What is in Redis and is none of ours, or can't be read: counted, named once, and left alone.

Anybody may write to Redis. One key of another kind, or one text that means nothing, costs what it
would have told and nothing else.
"""

from threading import Lock
from typing import Final

import structlog
from redis.exceptions import RedisError, ResponseError

from arbees_feed.errors import RedisUnavailable
from arbees_feed.reader.source import is_wrong_type

_log = structlog.get_logger("arbees_feed.pairs")

MOST_NAMED: Final = 1_000
"""What comes after so many is only counted."""


class Unreadable:
    """Counts what was left out, by whichever thread."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = Lock()
        self._named: set[str] = set()

    def note(self, what: str, why: object) -> None:
        """Count *what* was left out, and name it if it is new."""
        with self._lock:
            self.count += 1
            is_new = what not in self._named and len(self._named) < MOST_NAMED
            if is_new:
                self._named.add(what)
        if is_new:
            _log.warning("left out, for it can't be read", what=what, error=str(why))

    def is_odd(self, key: str, answer: object) -> bool:
        """Return whether Redis has answered that a key holds another kind of value than ours.

        Raises:
            RedisUnavailable: it is another error.
        """
        if not isinstance(answer, RedisError):
            return False
        if not isinstance(answer, ResponseError) or not is_wrong_type(answer):
            raise RedisUnavailable(f"{key}: {answer}")
        self.note(key, answer)
        return True
