"""What the publisher counts."""

import msgspec


class PublisherStats(msgspec.Struct):
    """Counted over the life of the process; plain integers, read by metrics."""

    published: int = 0
    conflated: int = 0
    mirrored: int = 0
    rewritten: int = 0
    """`:last` written once more, because Redis had refused it."""
    trades: int = 0
    trades_dropped: int = 0
    depths: int = 0
    bytes: int = 0
    batches: int = 0
    redis_errors: int = 0
    connects: int = 0
    missing: int = 0
    """Markets looked up in Redis and not found; each was written again."""
