"""A stand-in for redis-cli, for machines that have none: what our documents paste into a shell.

It prints the very bytes that redis-cli 7 does, in its form for pipes (the default here, as a test
has no terminal) and in its form for people (`--no-raw`). It speaks RESP itself: redis-py does not
tell a status from a string, and redis-cli prints them differently.

    install(tmp_path)                      puts a `redis-cli` there, for PATH
    python tests/support/redis_cli.py -u redis://127.0.0.1:6379/0 HGETALL market:X:quote
"""

import argparse
import itertools
import os
import shlex
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from redis.connection import parse_url

FLAGS = {
    "--raw": ("form", "raw"),
    "--no-raw": ("form", "people"),
    "--scan": ("is_scan", True),
    "-x": ("takes_stdin", True),
    "-e": ("fails_on_error", True),
    "-2": ("protocol", 2),
    "--no-auth-warning": ("warns", False),
}
VALUES = {
    "-h": "host",
    "-p": "port",
    "-s": "socket",
    "-u": "url",
    "-n": "db",
    "-a": "password",
    "--pass": "password",
    "--user": "username",
    "-r": "repeat",
    "-i": "interval",
    "--pattern": "pattern",
    "--count": "count",
}
DEFAULTS = dict.fromkeys(
    ["socket", "url", "username", "password", "is_scan", "pattern", "count", "takes_stdin"]
) | {
    "host": "127.0.0.1",
    "port": "6379",
    "db": None,
    "form": "raw",
    "fails_on_error": False,
    "warns": True,
    "repeat": "1",
    "interval": "0",
}
WARNING = (
    "Warning: Using a password with '-a' or '-u' option "
    "on the command line interface may not be safe.\n"
)
UNQUOTED = {("INFO",), ("LOLWUT",), ("CLIENT", "LIST"), ("CLIENT", "INFO"), ("MEMORY", "DOCTOR")}
SHORT = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\a": r"\a", "\b": r"\b"}
ESCAPES = [
    SHORT.get(chr(byte)) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}")
    for byte in range(256)
]


class Status(bytes):
    """A simple string, such as OK."""


class Failure(bytes):
    """What the server says of a command that it refuses."""


Reply = bytes | int | list["Reply"] | None


class Connection:
    """A socket that sends commands and reads their replies."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._file: BinaryIO = link.makefile("rb")

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()
        self._link.close()

    def send(self, words: list[bytes]) -> None:
        """Send a command."""
        parts = [b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)]
        self._link.sendall(b"".join(parts))

    def read(self) -> Reply:
        """Return the next reply. Raises: EOFError if the server hangs up."""
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        kind, text = line[:1], line[1:-2]
        match kind:
            case b"+":
                return Status(text)
            case b"-":
                return Failure(text)
            case b":":
                return int(text)
            case b"$":
                return None if text == b"-1" else self._file.read(int(text) + 2)[:-2]
            case b"*":
                return None if text == b"-1" else [self.read() for _ in range(int(text))]
        raise EOFError

    def ask(self, *words: str | bytes) -> Reply:
        """Send a command and return its reply."""
        self.send([os.fsencode(word) for word in words])
        return self.read()


def raw(reply: Reply) -> bytes:
    """Return *reply* as redis-cli writes it into a pipe, without the last line feed."""
    match reply:
        case None:
            return b""
        case int():
            return b"%d" % reply
        case list():
            return b"\n".join(map(raw, reply))
        case Failure():
            return reply + b"\n"
    return bytes(reply)


def quoted(data: bytes) -> str:
    """Return *data* in quotes, with all that can't be printed escaped."""
    return f'"{"".join(ESCAPES[byte] for byte in data)}"'


def single(reply: bytes | int | None) -> str:
    """Return one value as redis-cli writes it on a terminal."""
    match reply:
        case None:
            return "(nil)"
        case int():
            return f"(integer) {reply}"
        case Failure():
            return f"(error) {reply.decode()}"
    return reply.decode() if isinstance(reply, Status) else quoted(reply)


def for_people(reply: Reply, indent: str = "") -> str:
    """Return *reply* as redis-cli writes it on a terminal, with the last line feed."""
    if not isinstance(reply, list):
        return f"{single(reply)}\n"
    if not reply:
        return "(empty array)\n"
    width = len(str(len(reply)))
    deeper = indent + " " * (width + 2)
    rows = (f"{i:>{width}}) {for_people(item, deeper)}" for i, item in enumerate(reply, 1))
    return indent.join(rows)


def shown(reply: Reply, words: list[bytes], form: str) -> bytes:
    """Return what is printed of *reply* to the command *words*."""
    names = tuple(word.decode(errors="replace").upper() for word in words[:2])
    if isinstance(reply, bytes) and {names, names[:1]} & UNQUOTED:
        return raw(reply)
    if form == "raw":
        return raw(reply) + b"\n"
    return for_people(reply).encode()


def parsed(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options and the command. Raises: SystemExit on an option that is not known."""
    options = argparse.Namespace(**DEFAULTS)
    words = list(argv)
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in FLAGS:
            name, value = FLAGS[option]
            setattr(options, name, value)
        elif option in VALUES and words:
            setattr(options, VALUES[option], words.pop(0))
        else:
            sys.stderr.write(f"Unrecognized option or bad number of args for: '{option}'\n")
            raise SystemExit(1)
    return options, words


def connect(options: argparse.Namespace) -> Connection:
    """Return a connection, logged in and with its database chosen. Raises: SystemExit."""
    place = {
        name: getattr(options, name) for name in ("host", "port", "db", "username", "password")
    }
    if options.url:
        place |= parse_url(options.url)  # type: ignore[no-untyped-call]
    try:
        link = opened(options.socket, place["host"], int(place["port"]))
    except OSError as exc:
        where = options.socket or f"{place['host']}:{place['port']}"
        sys.stderr.write(f"Could not connect to Redis at {where}: {exc.strerror}\n")
        raise SystemExit(1) from exc
    connection = Connection(link)
    if place["password"]:
        log_in(connection, [w for w in (place["username"], place["password"]) if w], options)
    if database := options.db or place["db"]:
        connection.ask("SELECT", str(database))
    return connection


def opened(path: str | None, host: str, port: int) -> socket.socket:
    """Return a socket to the server. Raises: OSError."""
    if path is None:
        return socket.create_connection((host, port))
    link = socket.socket(socket.AF_UNIX)
    link.connect(path)
    return link


def log_in(connection: Connection, login: list[str], options: argparse.Namespace) -> None:
    """Log in, and say so as redis-cli does; a login that fails does not end it."""
    if options.warns:
        sys.stderr.write(WARNING)
    reply = connection.ask("AUTH", *login)
    if isinstance(reply, Failure):
        sys.stderr.write(f"AUTH failed: {reply.decode()}\n")


def scanned(connection: Connection, options: argparse.Namespace) -> Iterator[bytes]:
    """Yield every key that matches, once for each time that the server names it."""
    extra = ["MATCH", options.pattern] if options.pattern else []
    extra += ["COUNT", options.count] if options.count else []
    cursor = b"0"
    while True:
        cursor, keys = connection.ask("SCAN", cursor, *extra)  # type: ignore[misc, assignment]
        yield from keys  # type: ignore[misc]
        if cursor == b"0":
            return


def write(data: bytes) -> None:
    """Print at once: whoever follows a channel waits for it."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def execute(connection: Connection, words: list[bytes], options: argparse.Namespace) -> int:
    """Run one command, and print what it returns. Return the exit code."""
    connection.send(words)
    is_subscription = words[0].upper() in {b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"MONITOR"}
    if is_subscription and options.form == "people":
        write(b"Reading messages... (press Ctrl-C to quit)\n")
    # One confirmation for each channel comes first, then messages: all are replies.
    while True:
        reply = connection.read()
        if isinstance(reply, Failure) and options.fails_on_error:
            sys.stderr.write(f"{reply.decode()}\n")
            return 1
        write(shown(reply, words, options.form))
        if isinstance(reply, Failure) or not is_subscription:
            return 0


def commands(words: list[str], options: argparse.Namespace, stdin: TextIO) -> Iterator[list[bytes]]:
    """Yield each command to run: the one of the command line, or those of standard input."""
    if not words:
        yield from ([os.fsencode(w) for w in shlex.split(line)] for line in stdin if line.strip())
        return
    command = [os.fsencode(word) for word in words]
    if options.takes_stdin:
        command.append(stdin.buffer.read())
    count = int(options.repeat)
    for turn in range(count) if count >= 0 else itertools.count():
        if turn:
            time.sleep(float(options.interval))
        yield command


def main(argv: list[str]) -> int:
    """Do what `redis-cli ARGV` does. Return its exit code."""
    options, words = parsed(argv)
    with connect(options) as connection:
        if options.is_scan:
            for key in scanned(connection, options):
                write(raw(key) + b"\n" if options.form == "raw" else for_people(key).encode())
            return 0
        try:
            asked = commands(words, options, sys.stdin)
            return max((execute(connection, command, options) for command in asked), default=0)
        except EOFError:
            sys.stderr.write("Error: Server closed the connection\n")
            return 1


def install(folder: Path) -> Path:
    """Write a `redis-cli` into *folder*, to be put in front of PATH. Return its path."""
    script = folder / "redis-cli"
    here = shlex.join([sys.executable, str(Path(__file__).resolve())])
    script.write_text(f'#!/bin/sh\nexec {here} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


if __name__ == "__main__":
    # As in any tool of the shell: Ctrl-C and a pipe that is closed end it without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
