"""Logging set-up: one line a decision, on stderr, without secrets.

Lines of other libraries (asyncio, aiohttp) go the same way and look the same. Code gets its
logger from `structlog.get_logger()`; only the application calls `set_up`. Texts of venues get into
lines (errors, notices): what could act on a terminal or make a second line is written out.
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import Protocol, TextIO

import structlog
from structlog.typing import EventDict, Processor

from arbees_feed.config import LogSettings, redact_text, redact_url
from arbees_feed.core.text import escaped

__all__ = ["RateLimitedWarnings", "redact", "redact_url", "set_up"]

HIDDEN = "***"
_SECRET_NAME = re.compile(
    r"private_?key|api_?key|access_?key|signature|authorization|password|passphrase|secret",
    re.IGNORECASE,
)
_PLAIN = (bool, int, float, type(None))
_MOST_EVENTS = 256
_LONGEST_TEXT = 4_000
_LONGEST_TRACEBACK = 50_000
# Fields of several lines: tracebacks.
_SEVERAL_LINES = frozenset({"exception", "stack"})


class _FeedHandler(logging.StreamHandler[TextIO]):
    """Ours, so that a second set-up replaces it and leaves the handlers of others."""


def set_up(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send all logging to *stream* (stderr), as the settings say; may be called again."""
    stream = sys.stderr if stream is None else stream
    handler = _FeedHandler(stream)
    handler.setFormatter(_formatter(_renderer(settings.format, stream)))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _FeedHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_COMMON,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace what looks like a secret, by the name of its field or by its form."""
    return {name: _redacted(name, value) for name, value in event.items()}


def fit_to_show(_logger: object, _method: str, event: EventDict) -> EventDict:
    r"""Write out what cannot be seen (`\u001b`), and bound the length of every text.

    The lines of a traceback are set in, so that none of them looks like a line of the log.
    """
    return {escaped(name): _shown(name, value) for name, value in event.items()}


class Warner(Protocol):
    """What a rate-limited warning is written with."""

    def warning(self, event: str, **fields: object) -> object:
        """Log one line."""


class RateLimitedWarnings:
    """Lets each warning through once in *interval_s* and counts what it swallowed.

    The next line of the same event says `swallowed=N`.
    """

    def __init__(
        self,
        logger: Warner,
        *,
        interval_s: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.swallowed = 0
        """How many lines were never written, over all events."""
        self._logger = logger
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._last_s: dict[str, float] = {}
        self._pending: dict[str, int] = {}

    def warning(self, event: str, **fields: object) -> None:
        """Log *event* with *fields*, or count it if it was logged a short while ago."""
        now_s = self._monotonic()
        # Events are meant to be constants; a table of made-up ones must not grow for ever.
        key = event if event in self._last_s or len(self._last_s) < _MOST_EVENTS else ""
        last_s = self._last_s.get(key)
        if last_s is not None and now_s - last_s < self._interval_s:
            self.swallowed += 1
            self._pending[key] = self._pending.get(key, 0) + 1
            return
        self._last_s[key] = now_s
        swallowed = self._pending.pop(key, 0)
        if swallowed:
            fields["swallowed"] = swallowed
        self._logger.warning(event, **fields)


def _redacted(name: str, value: object) -> object:
    if _SECRET_NAME.search(name.replace("-", "_")) and not _is_harmless(name, value):
        return HIDDEN
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return {str(key): _redacted(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", inner) for inner in value]
    return redact_text(_text_of(value))


def _shown(name: str, value: object) -> object:
    if isinstance(value, str):
        if name not in _SEVERAL_LINES:
            return escaped(value, _LONGEST_TEXT)
        return escaped(value, _LONGEST_TRACEBACK, keep="\n").replace("\n", "\n  ")
    if isinstance(value, Mapping):
        return {escaped(str(key)): _shown("", inner) for key, inner in value.items()}
    return [_shown("", inner) for inner in value] if isinstance(value, list) else value


def _is_harmless(name: str, value: object) -> bool:
    # Where a key lies may be told, and whether there is one.
    return value is None or isinstance(value, bool) or name.lower().endswith("_path")


def _text_of(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="backslashreplace")
    return value if isinstance(value, str) else str(value)


def _renderer(chosen: str, stream: TextIO) -> Processor:
    terminal = stream.isatty()
    if chosen == "json" or (chosen == "auto" and not terminal):
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=terminal, exception_formatter=structlog.dev.plain_traceback
    )


def _formatter(renderer: Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_COMMON, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Before redaction, which must see the text of tracebacks.
            structlog.processors.format_exc_info,
            redact,
            fit_to_show,
            renderer,
        ],
    )


_COMMON: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
