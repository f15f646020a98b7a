"""Every error of the feed, one class for each decision a caller can make.

FeedError
├── RetryableError          trying again later can work
│   ├── ConnectionLost      the socket is gone or silent: reconnect, resubscribe
│   ├── ProtocolViolation   the peer sent what its protocol rules out: local state is void
│   ├── RequestFailed       one REST request was refused or broke: back off, keep the feed
│   └── RedisUnavailable    the server is away or refuses writes: keep prices, try again
└── FatalError              trying again cannot work until a person changes something
    ├── SettingsError       a setting is missing, unknown or malformed (exit code 2)
    └── AuthenticationRejected  the venue or Redis refused our credentials
"""


class FeedError(Exception):
    """Base of all errors the feed raises on purpose."""


class RetryableError(FeedError):
    """Trying again later can work; the peer may have said when (`retry_after_s`)."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConnectionLost(RetryableError):
    """The connection ended or fell silent: reconnect, then resubscribe."""


class ProtocolViolation(RetryableError):
    """The peer sent what its specification rules out; local state is void."""


class RequestFailed(RetryableError):
    """A REST request was refused (`status`) or broke off (`status` 0)."""

    def __init__(
        self, message: str, *, status: int = 0, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.status = status


class RedisUnavailable(RetryableError):
    """Redis cannot be reached or refuses what we write."""


class FatalError(FeedError):
    """Trying again cannot work until a person changes something."""


class SettingsError(FatalError):
    """A setting is missing, unknown or malformed; the message names it."""


class AuthenticationRejected(FatalError):
    """The other side refused our credentials."""
