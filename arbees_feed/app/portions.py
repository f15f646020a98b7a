"""A Redis client whose pipelines are sent in portions.

Packing a thousand arguments and unpacking as many answers keeps the event loop for milliseconds.
Whoever asks for much and is in no hurry asks in portions, so that frames are read in between.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

ARGUMENTS: Final = 1_000
"""So many in one portion, unless a single command has more."""

Command = tuple[str, tuple[Any, ...]]


class Portioned:
    """Everything but its pipelines is the client's own."""

    def __init__(self, client: Any, most: int = ARGUMENTS) -> None:
        self._client = client
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def pipeline(self, *, transaction: bool = False) -> "Portions":
        """Begin to collect commands.

        Raises:
            ValueError: a transaction cannot be had in portions.
        """
        if transaction:
            raise ValueError("a transaction cannot be sent in portions")
        return Portions(self._client, self._most)


class Portions:
    """Commands that wait to be sent."""

    def __init__(self, client: Any, most: int) -> None:
        self._client = client
        self._most = most
        self._commands: list[Command] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self._commands.append((name, arguments))

    async def execute(self) -> list[Any]:
        """Send them all, and return the answers in the same order or raise the first error."""
        answers: list[Any] = []
        for commands in self._portions():
            pipeline = self._client.pipeline(transaction=False)
            for name, arguments in commands:
                getattr(pipeline, name)(*arguments)
            answers += await pipeline.execute()
        return answers

    def _portions(self) -> Iterator[list[Command]]:
        portion: list[Command] = []
        size = 0
        for command in self._commands:
            own = sum(len(a) if isinstance(a, list | tuple) else 1 for a in command[1])
            if portion and size + own > self._most:
                yield portion
                portion, size = [], 0
            portion.append(command)
            size += own
        if portion:
            yield portion
