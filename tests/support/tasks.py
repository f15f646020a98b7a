"""Tasks that end when they are told to."""

import asyncio

AGAIN_S = 0.2


async def ended(*tasks: "asyncio.Task[None]") -> None:
    """Cancel *tasks* until all of them are done.

    Again and again, as on Python 3.11 `asyncio.wait_for` (and with it redis-py) may swallow a
    cancellation.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
