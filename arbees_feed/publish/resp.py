"""Redis commands as bytes, with everything that is the same each time made once.

A price is two commands (`SET …:last`, then `PUBLISH …:price`, so that whoever subscribes and then
reads `:last` misses nothing); only the payload and its length differ from one to the next.
"""

from datetime import UTC, datetime

import hiredis


def command(*words: str | bytes | int | float) -> bytes:
    """Return one command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # stub: one-tuples only
    return packed


def bulk(data: bytes) -> bytes:
    """Return one word of a command."""
    return b"$%d\r\n%b\r\n" % (len(data), data)


def prefix(*words: str) -> bytes:
    """Return a command up to its last argument, which `with_payload` adds."""
    parts = [f"*{len(words) + 1}\r\n".encode()]
    parts += [bulk(word.encode()) for word in words]
    return b"".join([*parts, b"$"])


def with_payload(start: bytes, payload: bytes) -> bytes:
    """Complete a command that `prefix` began."""
    return b"%b%d\r\n%b\r\n" % (start, len(payload), payload)


def twice_with_payload(first: bytes, second: bytes, payload: bytes) -> bytes:
    """Complete two commands with the same last argument."""
    size = len(payload)
    return b"%b%d\r\n%b\r\n%b%d\r\n%b\r\n" % (first, size, payload, second, size, payload)


def rfc3339(unix_ns: int) -> str:
    """Return an instant as `2026-11-22T10:30:00.123Z`."""
    moment = datetime.fromtimestamp(unix_ns // 1_000_000 / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
