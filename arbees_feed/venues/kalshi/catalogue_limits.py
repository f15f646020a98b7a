"""How fast Kalshi may be asked.

Every account may spend 200 tokens a second on reads, a request costs 10, and the bucket holds three
seconds' worth (docs.kalshi.com, rate limits, read 2026-11-21). Requests without a signature are not
billed, and have no published limit; they are held to the same. A fifth is left to whoever else uses
the account.
"""

import msgspec

from arbees_feed.core.ratelimit import Rates

_TOKENS_A_REQUEST = 10
_SHARE = 0.8


class Bucket(msgspec.Struct, frozen=True):
    """One of the account's buckets, in tokens (a second)."""

    refill_rate: float
    bucket_capacity: float


class AccountLimits(msgspec.Struct, frozen=True):
    """The answer of `/account/limits`, as far as it is about reading."""

    read: Bucket


def rates_of(bucket: Bucket) -> Rates | None:
    """Return the rates to keep to, or None when the bucket makes no sense."""
    if not (bucket.refill_rate >= _TOKENS_A_REQUEST and bucket.bucket_capacity > 0):
        return None
    requests_per_s = bucket.refill_rate / _TOKENS_A_REQUEST
    burst = max(1.0, bucket.bucket_capacity / _TOKENS_A_REQUEST * _SHARE)
    return Rates(rate_per_s=requests_per_s * _SHARE, burst=burst)


BASIC = Rates(rate_per_s=16.0, burst=48.0)
"""Of the lowest tier."""
