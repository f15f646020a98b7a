"""Figures for the tables of docs/reliability.md, told by the tests that measure them."""

import json
import os
from pathlib import Path


def record(table: str, **row: object) -> None:
    """Append one row, as a line of JSON, to the file that FEED_RELIABILITY_LOG names, if any."""
    name = os.environ.get("FEED_RELIABILITY_LOG")
    if name:
        line = json.dumps({"table": table, **row}, ensure_ascii=False)
        with Path(name).open("a", encoding="utf-8") as log:
            log.write(line + "\n")
