"""Readers are light: what they load, and how long it takes."""

import subprocess
import sys
from collections.abc import Set as AbstractSet

from arbees_feed.reader.wanted import VENUES
from arbees_feed.venues import VENUES as ALL_VENUES

ALLOWED = {"arbees_feed", "hiredis", "msgspec", "redis", "typing_extensions", "cryptography"}
"""redis-py looks whether `cryptography` is installed; nothing of it may be loaded."""

SCRIPT = """
import sys
before = set(sys.modules)
import arbees_feed.reader
new = set(sys.modules) - before
print("\\n".join(name for name in new if name.partition(".")[0] not in sys.stdlib_module_names))
"""


def loaded() -> AbstractSet[str]:
    """Return the modules that `import arbees_feed.reader` loads, without the standard library."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_a_reader_loads_redis_and_msgspec_and_nothing_of_the_feed() -> None:
    modules = loaded()
    assert {name.partition(".")[0] for name in modules} <= ALLOWED
    assert not {name for name in modules if name.startswith("cryptography.hazmat")}
    ours = {".".join(name.split(".")[:2]) for name in modules if name.startswith("arbees_feed.")}
    assert ours == {"arbees_feed.core", "arbees_feed.errors", "arbees_feed.reader"}


def test_it_loads_fast() -> None:
    """It costs less than 0.25 s of a processor beside what redis-py takes, the best of three."""
    script = """
import redis.asyncio, redis.asyncio.sentinel, redis.asyncio.cluster, msgspec, time
began_s = time.process_time()
import arbees_feed.reader
print(time.process_time() - began_s)
"""
    took_s = [
        float(
            subprocess.run(
                [sys.executable, "-c", script], capture_output=True, check=True, timeout=60
            ).stdout
        )
        for _ in range(3)
    ]
    assert min(took_s) < 0.25


def test_the_venues_it_looks_for_are_those_of_the_feed() -> None:
    assert set(VENUES) == set(ALL_VENUES)
