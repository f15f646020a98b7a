"""The terminal of `top`: keys one by one, a screen of its own, and everything put back at the end.

Only lines that changed are written, each from its beginning, so that a screen of prices costs few
bytes over SSH. Writing is done in a thread: a terminal that takes nothing (Ctrl-S, a slow link)
holds the picture up, not the reader.
"""

import asyncio
import contextlib
import os
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style

from arbees_feed.cli.output import ReaderGone
from arbees_feed.cli.toplines import Line

FALLBACK_SIZE: Final = (80, 24)
_LAST_WORDS_S: Final = 1.0
_CHUNK: Final = 4096
# Alternate screen, no cursor, no automatic wrapping; and back.
_ENTER: Final = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE: Final = b"\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
# Terminals that know it show what stands between these at once; others ignore it.
_BEGIN: Final = "\x1b[?2026h"
_END: Final = "\x1b[?2026l"


class Painter:
    """Turns lines into what makes the terminal show them, given what it shows already."""

    def __init__(self, color_system: ColorSystem | None, *, colours: bool) -> None:
        self._color_system = color_system
        self._colours = colours
        self._shown: list[Line] = []
        self._size = (0, 0)

    def changes(self, lines: Sequence[Line], size: tuple[int, int]) -> bytes:
        """Return the bytes that change what is shown into *lines*."""
        parts: list[str] = []
        if size != self._size:
            self.forget()
            self._size = size
            parts.append("\x1b[0m\x1b[2J")
        for number, line in enumerate(lines):
            if number >= len(self._shown) or self._shown[number] != line:
                # Cleared first: in the last column, clearing would take the last character.
                parts.append(f"\x1b[{number + 1};1H\x1b[K{self._styled(line)}\x1b[0m")
        self._shown = list(lines)
        return "".join([_BEGIN, *parts, _END]).encode(errors="replace") if parts else b""

    def forget(self) -> None:
        """Take for granted that the terminal shows nothing of ours."""
        self._shown, self._size = [], (0, 0)

    def _styled(self, line: Line) -> str:
        return "".join(self._span(text, style) for text, style in line)

    def _span(self, text: str, name: str) -> str:
        if not name or self._color_system is None:
            return text
        style = Style.parse(name)
        if not self._colours:
            style = style.without_color
        return style.render(text, color_system=self._color_system)


class Terminal:
    """The terminal while it is ours; a context manager that gives it back whatever happens."""

    def __init__(
        self, console: Console, on_keys: Callable[[bytes], None], on_resize: Callable[[], None]
    ) -> None:
        self._on_keys = on_keys
        self._on_resize = on_resize
        self._out = sys.stdout.fileno()
        self._in: int | None = sys.stdin.fileno() if sys.stdin and sys.stdin.isatty() else None
        self._before: list[Any] | None = None
        self._writing = threading.Lock()
        self._loop = asyncio.get_running_loop()
        system = ColorSystem.STANDARD if console.color_system else None
        self.painter = Painter(system, colours=not console.no_color)

    @property
    def has_keys(self) -> bool:
        """Whether there is a keyboard."""
        return self._in is not None

    def __enter__(self) -> Self:
        """Take the terminal."""
        with contextlib.ExitStack() as undo:
            undo.callback(self._give_back)
            self._take()
            self._loop.add_signal_handler(signal.SIGWINCH, self._on_resize)
            self._loop.add_signal_handler(signal.SIGTSTP, self._suspend)
            undo.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Give the terminal back."""
        for number in (signal.SIGWINCH, signal.SIGTSTP):
            self._loop.remove_signal_handler(number)
        self._give_back()

    def size(self) -> tuple[int, int]:
        """Return (columns, lines)."""
        with contextlib.suppress(OSError):
            width, height = os.get_terminal_size(self._out)
            if width and height:
                return width, height
        return FALLBACK_SIZE

    async def show(self, lines: Sequence[Line], size: tuple[int, int]) -> None:
        """Show these lines; returns when the terminal has taken them."""
        data = self.painter.changes(lines, size)
        if data:
            await asyncio.to_thread(self._write, data)

    # -- taking and giving back --------------------------------------------------------------------

    def _take(self) -> None:
        if self._in is not None:
            self._before = termios.tcgetattr(self._in)
            tty.setcbreak(self._in, termios.TCSANOW)  # signals stay: Ctrl-C is one
            self._loop.add_reader(self._in, self._read)
        self.painter.forget()
        self._write(_ENTER)

    def _give_back(self) -> None:
        if self._in is not None:
            self._loop.remove_reader(self._in)
        # A terminal that takes nothing must not keep us here.
        free = self._writing.acquire(timeout=_LAST_WORDS_S)
        try:
            with contextlib.suppress(OSError):
                if free:
                    _write_all(self._out, _LEAVE)
        finally:
            if free:
                self._writing.release()
            if self._in is not None and self._before is not None:
                with contextlib.suppress(termios.error):
                    termios.tcsetattr(self._in, termios.TCSANOW, self._before)

    def _suspend(self) -> None:
        """Ctrl-Z: give the terminal back while we sleep, and take it again after."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
        self._on_resize()

    # -- bytes -------------------------------------------------------------------------------------

    def _read(self) -> None:
        assert self._in is not None  # noqa: S101 - it is what is read
        try:
            data = os.read(self._in, _CHUNK)
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._in)  # nobody is at the keyboard any more
        self._on_keys(data)

    def _write(self, data: bytes) -> None:
        try:
            with self._writing:
                _write_all(self._out, data)
        except OSError:
            raise ReaderGone from None  # the terminal is gone: nobody looks


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
