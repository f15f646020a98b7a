"""Settings from all sources, or one line that says what is wrong and where it came from."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import InitSettingsSource

from arbees_feed.config.model import SECRET_KEYS, Settings, known_keys
from arbees_feed.config.redact import redact_text
from arbees_feed.config.sources import Given, from_environment, from_file, from_overrides
from arbees_feed.errors import SettingsError

_SHOWN_CHARACTERS = 60


def load_settings(
    config_file: Path | None,
    overrides: Mapping[str, str],
    *,
    environ: Mapping[str, str] = os.environ,
    venue_needed: bool = True,
) -> Settings:
    """Return the settings: overrides (by dotted key), else environment, file, defaults.

    Pass `venue_needed=False` for a command that only reads Redis.

    Raises:
        SettingsError: a value, key or file is wrong, or no venue is left to follow.
    """
    known = known_keys()
    given = [
        from_overrides(overrides, known),
        from_environment(environ, known),
        from_file(config_file, known) if config_file else {},
    ]
    sources = tuple(InitSettingsSource(Settings, _nested(values)) for values in given)
    # A dict, because type checkers know no keyword but the fields.
    readers: dict[str, Any] = {"_build_sources": (sources, {})}
    try:
        settings = Settings(**readers)
    except ValidationError as exc:
        # The cause is dropped because its text may hold a secret.
        raise SettingsError(_explain(exc, given)) from None
    if venue_needed and not settings.active_venues:
        raise SettingsError(
            "no venue is enabled: set polymarket.enabled = true, or kalshi.api_key_id "
            "and kalshi.private_key_path"
        )
    return settings


def _nested(values: Mapping[str, Given]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for key, given in values.items():
        section, _, name = key.partition(".")
        tables.setdefault(section, {})[name] = given.value
    return tables


def _explain(error: ValidationError, given: list[dict[str, Given]]) -> str:
    details = error.errors(include_url=False)
    key = ".".join(str(part) for part in details[0]["loc"][:2])
    origin = next((values[key].origin for values in given if key in values), "default")
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return " ".join(f"{key}: {_problem(key, details[0])} ({origin}){more}".split())


def _problem(key: str, details: ErrorDetails) -> str:
    problem = details["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if key in SECRET_KEYS:
        return problem
    shown = redact_text(repr(details["input"]))
    if len(shown) > _SHOWN_CHARACTERS:
        shown = f"{shown[:_SHOWN_CHARACTERS]}..."
    return f"{shown} {problem}"
