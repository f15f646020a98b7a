"""What can go wrong with a client's request, one class for each decision a caller can make.

They join the tree of arbees_feed/errors.py:

FeedError
├── NotFound               the venue does not know what was asked for
├── OrderInvalid           the order can't be right: nothing was sent
├── OrderRejected          the venue refused the order: it does not exist
├── OrderOutcomeUnknown    nobody can tell whether the order exists: look before acting
└── FatalError
    ├── TradingDisabled    trading was not switched on
    └── MissingExtra       a package of an optional extra is not installed
"""

from arbees_feed.errors import FatalError, FeedError


class NotFound(FeedError):
    """The venue does not know this market or order, or has no book of it any more."""


class OrderInvalid(FeedError):
    """The order is off the market's grid or contradicts itself; nothing was sent."""


class OrderRejected(FeedError):
    """The venue refused the order (`status` is HTTP's, 0 if there was none): it does not exist."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class OrderOutcomeUnknown(FeedError):
    """An order was sent and its answer lost, and looking it up did not tell.

    It may exist, or begin to exist a little later. On Kalshi placing the very same request again is
    safe: the venue takes an order of one `client_order_id` once. On Polymarket look at the open
    orders first.
    """

    def __init__(self, message: str, *, client_order_id: str) -> None:
        super().__init__(message)
        self.client_order_id = client_order_id


class TradingDisabled(FatalError):
    """Orders are refused unless the client was made with `trading=True`."""


class MissingExtra(FatalError):
    """A package is needed that only an optional extra installs; the message names it."""
