"""What is known of the world, out of `data/*.toml`. Read once, at first use; pure afterwards."""

import tomllib
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

from arbees_feed.matching.words import fold, name_key

PERSON: Final = "person"
_CLUB_TABLES: Final = ("epl", "laliga", "bundesliga", "seriea", "ligue1")


@cache
def data(name: str) -> dict[str, Any]:
    """Return the contents of `data/<name>.toml`."""
    text = files("arbees_feed.matching").joinpath("data", f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)


class Names:
    """The names of a table's members: names told in words, and codes told in tickers."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}
        self.codes: dict[str, str] = {}
        self._shared: set[str] = set()

    def add_word(self, alias: str, member: str) -> None:
        """Note that *alias* names *member*; an alias of two members names neither."""
        key = name_key(alias)
        if not key or key in self._shared:
            return
        if self.words.setdefault(key, member) != member:
            del self.words[key]
            self._shared.add(key)

    def update(self, other: "Names") -> None:
        """Add all that *other* knows."""
        for alias, member in other.words.items():
            self.add_word(alias, member)
        for code, member in other.codes.items():
            if self.codes.setdefault(code, member) != member:
                self.codes[code] = ""


@cache
def table(name: str) -> Names:
    """Return the names of a table of teams, clubs or countries.

    Raises:
        KeyError: there is no such table.
    """
    if name == "countries":
        return _countries()
    if name == "clubs":
        return _merged(_CLUB_TABLES)
    rows = data("clubs").get(name)
    if rows is not None:
        return _clubs(name, rows)
    return _american(name, data("teams")[name])


def _merged(names: tuple[str, ...]) -> Names:
    made = Names()
    for name in names:
        made.update(table(name))
    return made


def _clubs(name: str, rows: dict[str, list[str]]) -> Names:
    made = Names()
    for member, (codes, *aliases) in rows.items():
        for code in codes.split():
            made.codes[code] = f"{name}:{member}"
        for alias in aliases:
            made.add_word(alias, f"{name}:{member}")
            made.add_word(_core(alias), f"{name}:{member}")
    return made


def _american(name: str, rows: dict[str, Any]) -> Names:
    made = Names()
    for member, row in rows.items():
        if member == "style":
            continue
        entity = f"{name}:{member}"
        codes, cities, *others = row
        nickname = others[0] if others and rows["style"] == "american" else ""
        for code in codes.split():
            made.codes[code] = entity
            made.add_word(f"{code} {nickname}", entity)
        for city in cities.split("|"):
            made.add_word(city, entity)
            made.add_word(f"{city} {nickname}", entity)
        for alias in others:
            made.add_word(alias, entity)
    return made


def _countries() -> Names:
    made = Names()
    places = data("places")
    for code, aliases in {**places["countries"], **places["teams"]}.items():
        for alias in aliases:
            made.add_word(alias, f"country:{code.rstrip('_')}{'_' if code.endswith('_') else ''}")
    for code, country in places["codes"].items():
        made.codes[code] = f"country:{country}"
    return made


def _core(name: str) -> str:
    dropped = data("clubs")["drop"]
    return " ".join(word for word in name_key(name).split() if word not in dropped)


@lru_cache(maxsize=1 << 15)
def entity(kind: str, name: str) -> str:
    """Return the id of who *name* (folded or not) is in table *kind*, or an empty text.

    A person is its folded name; placeholders ("Player W", "Other") are nobody.
    """
    key = name_key(name)
    if not key or _is_placeholder(key):
        return ""
    if kind == PERSON:
        return key
    names = table(kind)
    found = names.words.get(key)
    if found is None and (kind in data("clubs") or kind == "clubs"):
        found = names.words.get(_core(name))
    return found or ""


def _is_placeholder(key: str) -> bool:
    spec = data("names")["placeholders"]
    words = key.split()
    return (
        key in spec["exact"]
        or len(key) == 1
        or (len(words) == 2 and words[0] in spec["words"] and len(words[1]) <= 2)  # noqa: PLR2004
    )


@lru_cache(maxsize=1 << 12)
def country(name: str) -> str:
    """Return the id of a country by its name or adjective, or an empty text."""
    return table("countries").words.get(name_key(name), "").removeprefix("country:")


@cache
def states() -> dict[str, str]:
    """Return the postal codes of the states by folded name."""
    return {fold(name): code for code, name in data("places")["states"].items()}


@cache
def parties() -> dict[str, str]:
    """Return the parties by folded name."""
    rows = data("places")["parties"].items()
    return {fold(alias): party for party, aliases in rows for alias in aliases}


@cache
def competition_by_series() -> dict[str, str]:
    """Return the competitions by Kalshi's series ticker."""
    rows = data("competitions").items()
    return {series: name for name, row in rows for series in row.get("series", ())}


@cache
def nicknames() -> dict[str, str]:
    """Return the short first names by their long forms."""
    rows = data("names")["nicknames"].items()
    return {long: short for short, longs in rows for long in longs}
