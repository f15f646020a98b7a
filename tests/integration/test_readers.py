"""The promises of the reader, shown by `benchmarks/readers.py` in its short form.

Real processes: a venue, the daemon, servers, readers, and a bare subscriber that notes the truth.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "readers.py"
PROMISES = {"join": 5, "kills": 4, "overflow": 5, "failover": 3, "killed": 4, "slow": 16}
"""How many there are in each section: none is to be left out in silence."""

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("section", PROMISES)
async def test_a_promise_is_kept(section: str, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), "--only", section, "--quick", "--json", str(told),
        cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    results = json.loads(told.read_text())["results"] if told.exists() else []
    judged = [row for row in results if row["passed"] is not None]
    assert process.returncode == 0, output.decode()
    assert len(judged) == PROMISES[section]
    assert all(row["passed"] for row in judged)
