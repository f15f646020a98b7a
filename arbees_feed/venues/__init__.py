"""Every venue the feed knows: one line each."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final

from arbees_feed.core.venue import VenueSpec

_FOLDERS: Final = (
    "kalshi",
    "polymarket",
)


class _Venues(Mapping[str, VenueSpec]):
    """Imports a venue when it is looked up: who feeds one of them need not load the others."""

    def __getitem__(self, name: str) -> VenueSpec:
        if name not in _FOLDERS:
            raise KeyError(name)
        spec: VenueSpec = import_module(f"{__name__}.{name}").SPEC
        return spec

    def __contains__(self, name: object) -> bool:
        return name in _FOLDERS

    def __iter__(self) -> Iterator[str]:
        return iter(_FOLDERS)

    def __len__(self) -> int:
        return len(_FOLDERS)


VENUES: Final[Mapping[str, VenueSpec]] = _Venues()
