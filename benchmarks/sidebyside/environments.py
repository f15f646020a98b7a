"""Virtual environments of the clients that are compared with: the project needs none of them."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements"
FOLDER = Path(__file__).parents[2] / "build" / "peers"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
_STARTS = "import ensurepip, sys, venv; print('{}.{}'.format(*sys.version_info))"


class Unavailable(Exception):
    """A client can't be installed or run here; the message is the reason."""


@dataclass(frozen=True)
class Environment:
    """What is installed (`requirements/NAME.txt`), and the Python that it needs."""

    name: str
    python: str = HERE
    options: tuple[str, ...] = ()


CLIENTS = Environment("clients", options=("--ignore-requires-python",))
"""On the daemon's own Python. kalshi-sdk asks for 3.12, and works on 3.11 as well."""
NAUTILUS = Environment("nautilus", "3.12")
CRYPTOFEED = Environment("cryptofeed", "3.13")


def python_of(environment: Environment, folder: Path = FOLDER) -> Path:
    """Return the Python of an environment, which is made when it is not there.

    Raises:
        Unavailable: there is no such Python, or the installation fails.
    """
    made = _made(environment, folder)
    if isinstance(made, Unavailable):
        raise made
    return made


@cache
def _made(environment: Environment, folder: Path) -> Path | Unavailable:
    """Return its Python, or why there is none; tried once."""
    place = folder / environment.name
    python, stamp = place / "bin" / "python", place / "installed"
    listed = REQUIREMENTS / f"{environment.name}.txt"
    wanted = hashlib.sha256(listed.read_bytes() + environment.python.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(place, ignore_errors=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    try:
        _run([_interpreter(environment.python), "-m", "venv", str(place)])
        _run([*pip, *environment.options, "--requirement", str(listed)])
    except Unavailable as failure:
        return failure
    stamp.write_text(wanted)
    return python


def version_in(environment: Environment, package: str, folder: Path = FOLDER) -> str:
    """Return the version of a package that an environment has.

    Raises:
        Unavailable: as `python_of`, or the package is not in it.
    """
    asked = f"import importlib.metadata as m; print(m.version({package!r}))"
    return _run([str(python_of(environment, folder)), "-c", asked])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        errors = [line for line in said if "error" in line.lower()] or said
        raise Unavailable(f"{' '.join(command[1:3])}: {errors[-1].strip()[:200]}")
    return done.stdout.strip()


def _interpreter(version: str) -> str:
    """Return a Python of this version that starts and can make environments."""
    for python in _candidates(version):
        asked = subprocess.run([python, "-c", _STARTS], capture_output=True, text=True, check=False)
        if asked.stdout.strip() == version:
            return python
    raise Unavailable(f"no Python {version} on the PATH or among those of pyenv")


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    if found := shutil.which(f"python{version}"):
        yield found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    # A name that pyenv puts on the PATH may belong to a version that is not switched on.
    yield from map(str, sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True))
