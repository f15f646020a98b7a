"""Writes configuration-reference.md: every setting, from the models and from config/feed.toml.

    python docs/configuration_reference.py

Names, types, limits and defaults are those of the models (arbees_feed/config/model.py); what a
setting is for is the comment that stands above it in config/feed.toml, so that it is said once.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le
from pydantic import Secret
from pydantic.fields import FieldInfo

from arbees_feed.config import forms
from arbees_feed.config.model import SECRET_KEYS, Settings
from arbees_feed.config.sources import ALIASES, PREFIX

ROOT = Path(__file__).parents[1]
SENTENCES = ROOT / "config" / "feed.toml"
WIDTH = 105
PAGE = ROOT / "docs" / "configuration-reference.md"

HEAD = """\
# Every setting

What each setting takes, its default, and what it is for. How settings are given, and how some of
them work together, is told in [configuration.md](configuration.md). The same list as a file to copy
from is [config/feed.toml](../config/feed.toml).

Lists may be TOML lists, JSON, or text with commas. An empty text is "not set".

This page is written by `python docs/configuration_reference.py` out of the models of the settings:
change those, not the page.
"""

KINDS: tuple[tuple[object, str], ...] = (
    (forms.RedisAddress, "address of Redis"),
    (forms.KeyPrefix, "text, up to 64 characters without blanks"),
    (forms.Switch, "`auto`, `true` or `false`"),
    (forms.KeyId, "text"),
    (forms.OptionalSecret, "text"),
    (forms.WsUrls, "list of `wss://` or `ws://` addresses, at least one"),
    (forms.HttpUrls, "list of `https://` or `http://` addresses, at least one"),
    (forms.HttpUrl, "`https://` or `http://` address"),
    (forms.Tickers, "list of tickers"),
    (forms.PolymarketMarkets, "list of token ids, condition ids or slugs"),
    (forms.Slugs, "list of slugs"),
)
"""The forms of values that have names of their own, in words."""

PLAIN = {bool: "`true` or `false`", int: "whole number", float: "number", str: "text", Path: "path"}


def page() -> str:
    """Return the whole document."""
    sections = (section(name, field) for name, field in Settings.model_fields.items())
    return "\n".join([HEAD, *sections])


def section(name: str, field: FieldInfo) -> str:
    """Return all of one table of the settings."""
    model: Any = field.annotation
    sentences = comments(SENTENCES.read_text(), name)
    types = get_type_hints(model, include_extras=True)
    settings = (
        setting(f"{name}.{key}", types[key], field.default, sentences[key])
        for key, field in model.model_fields.items()
    )
    return "\n".join([f"## {name}\n\n{model.__doc__}\n", *settings])


def setting(key: str, kind: object, default: object, sentence: str) -> str:
    """Return what is told of one setting: what for, what it takes, and its variables."""
    variables = [PREFIX + key.replace(".", "__").upper()]
    variables += [alias for alias, aliased in ALIASES.items() if aliased == key]
    lines = [
        f"### {key}\n",
        f"{wrapped(prose(sentence))}\n",
        f"- **Takes** {takes(kind, key)}",
        f"- **Default** {shown(default)}",
        f"- **Variable** {' or '.join(f'`{name}`' for name in variables)}",
    ]
    if key in SECRET_KEYS:
        lines.append("- **Secret**: in no log, error or metric")
    return "\n".join([*lines, ""])


def comments(text: str, table: str) -> dict[str, str]:
    """Return what is said of each key of a table of a TOML file: the comment above it."""
    part = text.partition(f"\n[{table}]\n")[2].partition("\n[")[0]
    found: dict[str, str] = {}
    said: list[str] = []
    for line in part.splitlines():
        if line.startswith("#"):
            said.append(line.removeprefix("#").strip())
        elif key := re.match(r"(\w+) =", line):
            found[key[1]] = " ".join(said)
            said = []
    return found


def prose(sentence: str) -> str:
    """Return a plain sentence as Markdown: addresses and names of keys as code."""
    code = re.sub(r"[^\s()]*(?:://|:<)[^\s()]*[^\s().,:;]", r"`\g<0>`", sentence)
    code = re.sub(r"(?<![`\w])(\w+://)(?=[\s,.])", r"`\1`", code)
    spans = re.split(r"(`[^`]*`)", code)
    escaped = [
        part if part.startswith("`") else part.replace("<", "&lt;").replace(">", "&gt;")
        for part in spans
    ]
    return "".join(escaped)


def wrapped(text: str) -> str:
    """Return a paragraph in lines of the usual length."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def takes(kind: object, key: str) -> str:
    """Return in words what values a setting takes, with unit and limits.

    Raises:
        KeyError: the type is new here: give it words in KINDS or PLAIN.
    """
    for named, words in KINDS:
        if kind == named:
            return words
    return "; or ".join(_of(part, key) for part in _alternatives(kind))


def _alternatives(kind: object) -> Iterator[object]:
    """Yield the parts of a union, without None; what is annotated keeps its annotations."""
    inner, *extras = _unwrapped(kind)
    parts = get_args(inner) if get_origin(inner) not in (None, Literal, tuple) else (inner,)
    for part in parts:
        if part is not type(None):
            yield Annotated[part, *extras] if extras else part


def _unwrapped(kind: object) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is Annotated else (kind,)


def _of(kind: object, key: str) -> str:
    inner, *extras = _unwrapped(kind)
    if get_origin(inner) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(inner))
    words = PLAIN[inner]
    if key.endswith("_s") and not key.endswith("_per_s"):
        words = "seconds"
    elif key.endswith("_bytes"):
        words = "bytes"
    return words + limits(extras)


def limits(extras: list[Any]) -> str:
    """Return the least and the greatest value in words."""
    bounds = {
        type(bound): bound
        for extra in extras
        for bound in (extra.metadata if isinstance(extra, FieldInfo) else [extra])
    }
    least, above, most = (bounds.get(kind) for kind in (Ge, Gt, Le))
    if least is not None and most is not None:
        return f", {least.ge:,} to {most.le:,}"
    parts = []
    if above is not None:
        parts.append(f"above {above.gt:,}")
    if least is not None:
        parts.append(f"at least {least.ge:,}")
    if most is not None:
        parts.append(f"at most {most.le:,}")
    return "".join(f", {part}" for part in parts)


def shown(default: object) -> str:
    """Return a default as people write it."""
    if default is None or default == "":
        return "not set"
    if isinstance(default, Secret):
        default = default.get_secret_value()
    if isinstance(default, tuple):
        return ", ".join(f"`{item}`" for item in default) or "empty"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(page())
