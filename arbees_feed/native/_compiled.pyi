"""What the C files beside this one offer."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

_Id = TypeVar("_Id", bound=str)
_Market = TypeVar("_Market")
_Outlet = TypeVar("_Outlet")
_Quote = TypeVar("_Quote")
_Tracker = TypeVar("_Tracker")

REVISION: int

class Deltas:
    """Reads the `orderbook_delta` frames of one connection, in sequence."""

    def __init__(self, trackers: dict[int, _Tracker], tracker_type: type[_Tracker], /) -> None: ...
    @property
    def ts_ns(self) -> int:
        """Venue time of the newest change, Unix ns; 0: there was none."""

class Levels(Generic[_Market]):
    """Changes levels of books."""

    def __init__(
        self,
        markets: dict[_Id, _Market],
        settle: Callable[[_Market, int], None],
        live: object,
        market_type: type[_Market],
        book_type: type,
        ladder_type: type,
        /,
    ) -> None: ...
    def run(
        self,
        deltas: Deltas,
        link: object,
        keep: Callable[[tuple[int, bytes]], None] | None,
        frames: Sequence[bytes],
        first: int,
        last: int,
        recv_ns: int,
        /,
    ) -> int:
        """Apply frames[first:last] up to the first that is no plain change; return how many."""

class Prices(Generic[_Outlet, _Quote]):
    """Writes prices as Redis commands; what it can't write, *plain* does."""

    def __init__(
        self,
        outlet_type: type[_Outlet],
        quote_type: type[_Quote],
        session: int,
        plain: Callable[[_Outlet, _Quote, int, int, int], bytes],
        /,
    ) -> None: ...
    def commands(self, outlet: _Outlet, quote: _Quote, seq: int, now_ns: int, /) -> bytes:
        """Return `SET :last` and `PUBLISH :price` with the same payload."""
