"""What holds for all tests: Ctrl-C works, and workers (`pytest -n`) get them one by one, mostly."""

import os
import signal
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import settings

# How long an example takes is a matter of what else the machine does; benchmarks/ measures.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

FIRST = "tests of speed"
TOGETHER: Mapping[str, str] = {
    # They keep both processors busy, or measure how soon something comes: one at a time.
    "tests/integration/test_readers.py": FIRST,
    "tests/integration/test_redis_faults.py": FIRST,
    "tests/integration/test_storm.py": FIRST,
    "tests/reader/test_import.py": FIRST,
    # They share what takes long to start.
    "tests/cli/test_check.py": "check",
    "tests/cli/test_markets.py": "markets",
    "tests/cli/test_redis_kinds.py": "cluster of commands",
    "tests/cli/test_tape.py": "tape",
    "tests/cli/test_top.py": "top",
    "tests/cli/test_watch.py": "watch",
    "tests/deploy/test_compose.py": "docker",
    "tests/docs/test_snippets.py": "snippets",
    "tests/reader/test_redis_kinds.py": "cluster of readers",
}
"""Which files a worker gets as a whole, and which of them go to the same one."""


def pytest_configure() -> None:
    """See to it that the commands that tests start run as they do from a terminal.

    A shell makes what it starts in the background deaf to Ctrl-C, and its children with it. And in
    asyncio's debug mode a command tells of slow steps, which is more than it is to say.
    """
    os.environ.pop("PYTHONASYNCIODEBUG", None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def group_of(nodeid: str) -> str:
    """Return what a test is handed out with; by itself it is a group of its own."""
    return TOGETHER.get(nodeid.partition("::")[0], nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out groups, those of most tests first.

    pytest-xdist's own way, `--dist loadgroup`, has no effect with pytest 9.2: the marks of a test
    no longer reach the process that hands it out.
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - not there without workers

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Scheduling(config, log)
