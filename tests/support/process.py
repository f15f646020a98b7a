"""The command as users run it: a process of its own, with its environment."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from arbees_feed.sim import SimServer
from support.feed import overrides_for


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return an environment that holds these settings and no others of ours."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ARBEES_", "KALSHI_"))}
    named = {f"ARBEES_{k.upper().replace('.', '__')}": v for k, v in settings.items()}
    return {**kept, **named}


def environment_for(sim: SimServer, redis_url: str, **more: str) -> dict[str, str]:
    """Return the environment that points the feed at simulated venues."""
    return environment(overrides_for(sim, redis_url, **more))


@asynccontextmanager
async def feed_process(
    env: Mapping[str, str], arguments: Sequence[str] = ("run",)
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the command while the block runs; what is left of it is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "arbees_feed", *arguments,
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.communicate()


async def outcome(
    env: Mapping[str, str], *arguments: str, timeout_s: float = 15.0
) -> tuple[int, str, str]:
    """Run the command to its end; return exit code, standard output and standard error."""
    async with feed_process(env, arguments) as process, asyncio.timeout(timeout_s):
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()
