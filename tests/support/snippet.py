"""Runs a Python block of a document as a program: `python snippet.py FILE`.

Two things are different from `python FILE`. A block may await outside of a function, where the text
around it says that this is a part of a program. And the clients of venues have the addresses of
simulated ones as their defaults (SIM_REST_URL and so on), so that a block shows them as they are
used: without addresses.
"""

import ast
import asyncio
import inspect
import os
import sys
from importlib import import_module
from pathlib import Path

NO_ADDRESS = {"KalshiClient": ("rest_url", "ws_url"), "PolymarketClient": (
    "gamma_url", "clob_url", "data_url", "ws_url",
)}  # fmt: skip


def use_simulated_venues() -> None:
    """Give the clients other defaults."""
    clients = import_module("arbees_feed.clients")  # half a second that few blocks need
    for name, arguments in NO_ADDRESS.items():
        defaults = getattr(clients, name).__init__.__kwdefaults__
        for argument in arguments:
            assert argument in defaults
            defaults[argument] = os.environ[f"SIM_{name[:-6]}_{argument}".upper()]


def main(path: Path) -> None:
    """Run the file as `__main__`."""
    text = path.read_text()
    if "arbees_feed.clients" in text:
        use_simulated_venues()
    code = compile(text, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    namespace = {"__name__": "__main__", "__file__": str(path)}
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, namespace))  # noqa: S307 - a document of ours
    else:
        exec(code, namespace)  # noqa: S102 - a document of ours


if __name__ == "__main__":
    main(Path(sys.argv[1]))
