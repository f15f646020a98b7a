"""What a reader counts."""

import msgspec


class ReaderStats(msgspec.Struct):
    """Counters of one reader since it was made; plain numbers, read them at any time."""

    received: int = 0
    """Published prices that reached this reader."""
    missed: int = 0
    """Published prices that the reader did not hand over and never will: lost on the way, given up
    because its buffer was full, or (`every=True`) of a feed that was not believed when they came.
    The market's newest price follows all the same."""
    overflowed: int = 0
    """Those of `missed` that the buffer gave up (`every=True` only)."""
    healed: int = 0
    """Markets brought up to date from `:last` after a loss, once for each loss."""
    conflated: int = 0
    """Prices replaced by a newer one of their market before they were asked for."""
    repeated: int = 0
    """Prices that came twice or late, and were not handed over again."""
    outdated: int = 0
    """Prices of an earlier session of the feed, dropped."""
    malformed: int = 0
    """Messages and values that no feed writes, dropped: no prices or heartbeats, impossible prices,
    of another market than their channel or key says, keys of another kind."""
    marked: int = 0
    """Prices that the reader itself took back as `stale`."""
    joins: int = 0
    """Times the reader has subscribed and read `:last`."""
    reconnects: int = 0
    """Joins after the first."""
    failures: int = 0
    """Attempts to connect that failed, and connections that were lost."""
    lease_errors: int = 0
    """Renewals of leases that Redis refused."""
    lag_s: float = 0.0
    """How old the price handed over last was: now less its `ts_pub_ns`. Not of prices read from
    `:last`, which are as old as their market is quiet."""
    worst_lag_s: float = 0.0
    """The largest `lag_s` so far."""

    def note_lag(self, lag_ns: int) -> None:
        """Take the age of a price that is handed over."""
        self.lag_s = lag_s = lag_ns / 1e9
        self.worst_lag_s = max(self.worst_lag_s, lag_s)
