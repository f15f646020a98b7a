"""What can be said of a command without running it: does it exist, does it take these words?

For what a test can't do: start containers, reach other machines, install, measure for an hour.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import typer
import yaml

from arbees_feed.cli import app
from support.documents import ROOT

TAKES_A_MINUTE = {"shard_rehearsal": "tests/examples/shard_rehearsal.py"}
_PYTHON_PATH = os.pathsep.join(str(ROOT / path) for path in ("tests", "examples", "tests/examples"))
_COMPOSE_COMMANDS = (
    "up", "down", "ps", "logs", "exec", "build", "restart", "stop", "kill", "pull", "cp", "run",
)  # fmt: skip


def problem_with(line: str) -> str | None:
    """Return what is wrong with a command that can't be run here, "" if nothing.

    None is for commands that can.
    """
    words = _words(line)
    for beginning, check in _CHECKS.items():
        if words[: len(beginning)] == list(beginning):
            return check(words[len(beginning) :])
    if words[0] == "python":
        return _problem_with_long_script(words[1:])
    return None


def _problem_with_long_script(words: Sequence[str]) -> str | None:
    if words[:1] == ["-m"]:
        path = TAKES_A_MINUTE.get(words[1])
        return problem_with_script([path, *words[2:]]) if path else None
    return problem_with_script(words) if words[0].startswith("benchmarks/") else None


def _words(line: str) -> list[str]:
    """Split a line; variables set in front of the command are left out."""
    words = shlex.split(line, comments=True)
    while words and re.match(r"[A-Za-z_]+=", words[0]):
        words.pop(0)
    return words or [""]


def problem_with_make(words: Sequence[str]) -> str:
    """Say whether the targets exist, and what make itself says of them."""
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for word in words if "=" not in word}
    if named - targets:
        return f"no such target: {named - targets}"
    # It would look for a Python first, which takes longer than all the rest.
    return _refusal("make", "--dry-run", f"PYTHON={sys.executable}", *words)


def problem_with_compose(words: Sequence[str]) -> str:
    """Say whether docker-compose.yml has these services and profiles, and compose these words."""
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    profiles = {p for service in document["services"].values() for p in service.get("profiles", [])}
    try:
        told = _compose_parser().parse_args(words)
        rest = _service_parser(told.command).parse_args(_services_of(told.command, told.rest))
    except (argparse.ArgumentError, SystemExit) as exc:
        return str(exc)
    missing = set(told.profile) - profiles | set(rest.services) - set(document["services"])
    missing |= {path for path in told.file if not (ROOT / path).is_file()}
    if missing:
        return f"not there: {missing}"
    inside = getattr(rest, "inside", None)
    return _problem_inside(told.command, inside) if inside else ""


def _services_of(command: str, words: list[str]) -> list[str]:
    """Leave out paths, as in `cp SERVICE:PATH .`."""
    return [word.partition(":")[0] for word in words if ":" in word] if command == "cp" else words


def _compose_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("docker compose", exit_on_error=False)
    parser.add_argument("-f", "--file", action="append", default=[])
    parser.add_argument("--profile", action="append", default=[])
    parser.add_argument("command", nargs="?", choices=(*_COMPOSE_COMMANDS, None))
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    return parser


def _service_parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"docker compose {command}", exit_on_error=False)
    for flag in ("-d", "-a", "-f", "-T", "--build", "--rm", "--volumes", "--wait"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--tail", type=int)
    has_command = command in ("exec", "run")
    parser.add_argument("services", nargs=1 if has_command else "*")
    if has_command:
        parser.add_argument("inside", nargs=argparse.REMAINDER)
    return parser


def _problem_inside(command: str, words: Sequence[str]) -> str:
    """Say what is wrong with what is to run in a container of ours."""
    if command == "run":  # the image's entry point is the program
        return problem_with_program(words)
    return problem_with_program(words[1:]) if words[0] == "arbees-feed" else ""


def _refusal(name: str, *arguments: str) -> str:
    """Return what a program says on stderr if it fails; "" also if it is not installed."""
    program = shutil.which(name)
    if program is None:
        return ""
    done = subprocess.run(
        [program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode else ""


def problem_with_script(words: Sequence[str]) -> str:
    """Say whether a script is there, and its help names every option given to it."""
    path, *options = words
    if not (ROOT / path).is_file():
        return f"no script {path}"
    return _options_missing(_help_of(path), options) if options else ""


@cache
def _help_of(path: str) -> str:
    done = subprocess.run(
        [sys.executable, path, "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": _PYTHON_PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""


def _options_missing(shown: str, options: Sequence[str]) -> str:
    missing = [word for word in options if word.startswith("-") and word not in shown]
    return f"no option {missing}" if missing else ""


def problem_with_ssh(words: Sequence[str]) -> str:
    """Say what ssh thinks of its arguments, without going anywhere."""
    return _refusal("ssh", "-G", *words)


def problem_with_pip(words: Sequence[str]) -> str:
    """Say whether the project has the extras that are to be installed."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if words[:1] == ["-r"]:
        return "" if (ROOT / words[1]).is_file() else f"no file {words[1]}"
    for word in words:
        found = re.fullmatch(r"arbees-feed\[(\w+)\]", word)
        if found and found[1] not in known["optional-dependencies"]:
            return f"no extra {found[1]}"
    return ""


def problem_with_program(words: Sequence[str]) -> str:
    """Say what `arbees-feed` would say of these arguments before it does anything."""
    group: Any = typer.main.get_command(app)
    name, *rest = words
    command = group.get_command(None, name)
    if command is None:
        return f"no command {name}"
    if not rest:
        return ""  # a command that is named only
    try:
        command.make_context(name, rest)
    except Exception as exc:  # noqa: BLE001 - whatever the parser raises is what is wrong
        return str(exc) or type(exc).__name__
    return ""


def problem_with_module(name: str) -> str:
    """Say whether Python finds a module."""
    return "" if find_spec(name) else f"no module {name}"


def _container_or_program(words: Sequence[str]) -> str:
    if words[:1] == ["compose"]:
        return problem_with_compose(words[1:])
    return f"no document of ours needs docker {' '.join(words)}"


_CHECKS: dict[tuple[str, ...], Callable[[Sequence[str]], str]] = {
    ("make",): problem_with_make,
    ("docker-compose",): problem_with_compose,
    ("docker",): _container_or_program,
    ("ssh",): problem_with_ssh,
    ("pip", "install"): problem_with_pip,
}
