"""Playing a schedule of faults on a running simulation."""

import asyncio
import inspect
from collections.abc import Callable, Iterable

from arbees_feed.sim.control import Controlled, actions
from arbees_feed.sim.scenarios import Step
from arbees_feed.sim.timing import delay


async def rehearse(
    sim: Controlled,
    steps: Iterable[Step],
    *,
    on_step: Callable[[Step, str], None] = lambda *_: None,
) -> None:
    """Carry out *steps*, each when it is due, counted from now.

    `on_step` is told of each, and why it came to nothing if it did, such as crossing an empty book.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    known = actions(sim)
    for step in steps:
        await delay(max(began_s + step.at_s - loop.time(), 0.0))
        problem = ""
        try:
            result = known[step.action](**step.arguments)
            if inspect.isawaitable(result):
                await result
        except ValueError as exc:
            problem = str(exc)
        on_step(step, problem)
