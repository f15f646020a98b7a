"""Read settings from the command line, the environment and a file, key by key.

Each value keeps its origin, so that an error can say where to look; that is why the library's
own readers of TOML and environment are not used (they drop unknown variables and forget names).
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple, NoReturn

from arbees_feed.errors import SettingsError

PREFIX = "ARBEES_"
COMMAND_LINE = "command line"

# Names that other Kalshi tools use, too; our own name wins when both are set.
ALIASES = {
    "KALSHI_API_KEY_ID": "kalshi.api_key_id",
    "KALSHI_PRIVATE_KEY_PATH": "kalshi.private_key_path",
    "KALSHI_STREAM_SUBSCRIBE_ALL": "kalshi.subscribe_all",
}

# No settings: folders of recorded frames and of labelled pairs, for tests and benchmarks.
_EXEMPT = frozenset({"ARBEES_CORPUS", "ARBEES_MATCHING"})

# Kubernetes gives each container such variables for each service near it, and a service may well
# be called `arbees-feed`. A plain ..._PORT is theirs only if it holds an address.
_KUBERNETES = re.compile(
    r"\w+_SERVICE_(HOST|PORT(_\w+)?)=.*"
    r"|\w+_PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://.*"
    r"|\w+_PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)=.*"
)


class Given(NamedTuple):
    """A value as somebody wrote it, and where."""

    value: object
    origin: str


def from_overrides(overrides: Mapping[str, str], known: Iterable[str]) -> dict[str, Given]:
    """Return the values given by dotted keys on the command line.

    Raises:
        SettingsError: a key is unknown.
    """
    for key in overrides:
        if key not in known:
            _reject_unknown(key, known, COMMAND_LINE)
    return {key: Given(value, COMMAND_LINE) for key, value in overrides.items()}


def from_environment(environ: Mapping[str, str], known: Iterable[str]) -> dict[str, Given]:
    """Return the values of variables that are ours and not empty.

    Raises:
        SettingsError: a variable begins with ARBEES_ and is no setting.
    """
    variables = {_variable(key): key for key in known}
    for name, value in environ.items():
        if name not in variables and _looks_ours(name, value):
            _reject_unknown(name, variables, "environment")
    keys_by_variable = ALIASES | variables  # ours come last and win
    return {
        key: Given(environ[name], f"environment variable {name}")
        for name, key in keys_by_variable.items()
        if environ.get(name)
    }


def from_file(path: Path, known: Iterable[str]) -> dict[str, Given]:
    """Return the values of a TOML file.

    Raises:
        SettingsError: the file can't be read, is not TOML, or holds an unknown key.
    """
    origin = f"file {path}"
    sections = {key.partition(".")[0] for key in known}
    values: dict[str, Given] = {}
    for section, table in _read_toml(path).items():
        if section not in sections:
            _reject_unknown(section, sections, origin)
        if not isinstance(table, dict):
            raise SettingsError(f"{section}: must be a table, [{section}] ({origin})")
        for name, value in table.items():
            key = f"{section}.{name}"
            if key not in known:
                _reject_unknown(key, known, origin)
            values[key] = Given(value, origin)
    return values


def _variable(key: str) -> str:
    return PREFIX + key.replace(".", "__").upper()


def _looks_ours(name: str, value: str) -> bool:
    if not name.upper().startswith(PREFIX) or name in _EXEMPT:
        return False
    return not _KUBERNETES.fullmatch(f"{name}={value}")


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise SettingsError(f"cannot read config file {path}: {reason}") from exc
    except UnicodeDecodeError:
        raise SettingsError(f"config file {path} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"config file {path} is not valid TOML: {exc}") from None


def _reject_unknown(name: str, known: Iterable[str], origin: str) -> NoReturn:
    shape = str.upper if name.upper().startswith(PREFIX) else str.lower
    near = get_close_matches(shape(name), sorted(known), n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise SettingsError(f"unknown setting {' '.join(name.split())} ({origin}){hint}")
