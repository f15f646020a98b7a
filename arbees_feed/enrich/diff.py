"""What a hash holds, and whether it differs from what was last written. Pure."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from arbees_feed.core.model import EventMeta, MarketMeta
from arbees_feed.core.text import clean

LONGEST = 2_000
"""Characters of a field that every venue has: the titles of combinations are the longest."""
LONGEST_EXTRA = 20_000
"""Characters of a venue's own field: rules and descriptions are the longest."""
DIGEST_BYTES = 8
KEPT = 2_000_000

_encode = msgspec.msgpack.Encoder().encode

Fields = dict[str, str]


def market_fields(meta: MarketMeta) -> Fields:
    """Return the fields of `market:<id>:meta`; absent facts are absent.

    Each is one line of bounded length, without control characters. The volume is left out: it
    changes all the time, and would make every market a changed one.
    """
    fields = {
        "platform": meta.platform,
        "title": meta.title,
        "subtitle": meta.subtitle,
        "event_id": meta.event_id,
        "event_title": meta.event_title,
        "category": meta.category,
        "status": meta.status,
        "open_time": meta.open_time,
        "close_time": meta.close_time,
        "outcome_yes": meta.outcome_yes,
        "outcome_no": meta.outcome_no,
        "tick_size": meta.tick_size,
        "url": meta.url,
    }
    return _fit(meta.extras, LONGEST_EXTRA) | _fit(fields, LONGEST)


def event_fields(meta: EventMeta) -> Fields:
    """Return the fields of `event:<id>:meta`; absent facts are absent."""
    fields = {
        "platform": meta.platform,
        "title": meta.title,
        "category": meta.category,
        "start_time": meta.start_time,
        "end_time": meta.end_time,
        "market_count": str(len(meta.market_ids)) if meta.market_ids else "",
    }
    return _fit(meta.extras, LONGEST_EXTRA) | _fit(fields, LONGEST)


def digest(value: Mapping[str, str] | Sequence[str]) -> bytes:
    """Return 8 bytes that stand for *value*: they are only compared with those of one key."""
    return hashlib.blake2b(_encode(value), digest_size=DIGEST_BYTES).digest()


def _fit(fields: Mapping[str, str], limit: int) -> Fields:
    """Return the fields that say something, fit to be stored and shown."""
    fit = ((name, clean(value, limit)) for name, value in fields.items() if value)
    return {name: value for name, value in fit if value}


class Written:
    """Digests of what was written, by key. Bounded: the oldest are forgotten, and written again.

    Of a market: eight bytes for its fields, then eight for the words it is found by.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._digests: dict[str, bytes] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._digests

    def __len__(self) -> int:
        return len(self._digests)

    def differs(self, key: str, found: bytes) -> bool:
        """Return whether *found* is not what the record of *key* begins with."""
        return not self._digests.get(key, b"\0").startswith(found)

    def rest(self, key: str) -> bytes:
        """Return what is recorded for *key* after its first digest."""
        return self._digests.get(key, b"")[DIGEST_BYTES:]

    def record(self, key: str, found: bytes) -> None:
        """Remember what was written at *key*."""
        self._digests.pop(key, None)
        self._digests[key] = found
        if len(self._digests) > self._kept:
            del self._digests[next(iter(self._digests))]

    def drop(self, key: str) -> None:
        """Forget one: it is gone."""
        self._digests.pop(key, None)

    def clear(self) -> None:
        """Forget everything: it may be gone."""
        self._digests.clear()
