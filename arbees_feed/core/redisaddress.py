"""URLs of Redis: one server, one found by Sentinels, or a Cluster. Pure."""

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from arbees_feed.errors import SettingsError

Kind = Literal["server", "sentinel", "cluster"]

_KINDS: Final[dict[str, Kind]] = {
    "redis": "server",
    "rediss": "server",
    "unix": "server",
    "redis+sentinel": "sentinel",
    "redis+cluster": "cluster",
}
_PORTS: Final[dict[Kind, int]] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
_SENTINEL: Final = "sentinel_"


class Address:
    """Where Redis is. Prints itself without what is secret.

    Forms: `redis://[user:password@]host:port/db`, `rediss://…` (TLS), `unix:///path`,
    `redis+sentinel://[user:password@]host:port,host:port/service[/db]`,
    `redis+cluster://[user:password@]host:port,host:port`. Options of redis-py may follow as a
    query; for Sentinels and Clusters also `ssl=true`, and `sentinel_username`, `sentinel_password`.
    """

    def __init__(self, url: str) -> None:
        """Read *url*.

        Raises:
            SettingsError: it is no URL of Redis; the message never holds its password.
        """
        try:
            parts = urlsplit(url.strip())
            kind = _KINDS.get(parts.scheme)
        except ValueError:
            raise SettingsError("redis url: is not a valid URL") from None
        if kind is None:
            known = ", ".join(f"{name}://" for name in _KINDS)
            raise SettingsError(f"redis url: must begin with one of {known}")
        if "@" in parts.path or "@" in parts.fragment:
            raise SettingsError("redis url: write %2F for '/' and %23 for '#' in a password")
        self.kind: Kind = kind
        credentials, at, hosts = parts.netloc.rpartition("@")
        self.hosts = _hosts(hosts, kind) if parts.scheme != "unix" else ()
        self.service = ""
        path = parts.path
        if kind == "sentinel":
            self.service, _, database = path.strip("/").partition("/")
            path = f"/{database or 0}"
            if not self.service or not path[1:].isdecimal():
                raise SettingsError(
                    "redis url: must name the service, as in redis+sentinel://h1:26379/mymaster/0"
                )
        self._shown = f"{parts.scheme}://{hosts}{parts.path}"
        options = dict(parse_qsl(parts.query))
        self.sentinel_options = {
            name.removeprefix(_SENTINEL): options.pop(name)
            for name in list(options)
            if name.startswith(_SENTINEL)
        }
        self.url = url.strip() if kind == "server" else _plain_url(credentials + at, path, options)

    def __repr__(self) -> str:
        """Name it without user, password and options."""
        return self._shown


def _plain_url(credentials: str, path: str, options: Mapping[str, str]) -> str:
    """Return a URL of one server with the same options, for redis-py to read."""
    rest = dict(options)
    scheme = "rediss" if rest.pop("ssl", "").lower() in {"true", "yes", "1"} else "redis"
    query = f"?{urlencode(rest, quote_via=quote)}" if rest else ""
    return f"{scheme}://{credentials}localhost{path if path.strip('/') else ''}{query}"


def _hosts(text: str, kind: Kind) -> tuple[tuple[str, int], ...]:
    names = text.split(",")
    if kind == "server" and len(names) > 1:
        raise SettingsError("redis url: names several hosts; use redis+sentinel or redis+cluster")
    return tuple(_host(name, _PORTS[kind]) for name in names)


def _host(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("redis url: has a malformed host, or a port outside 1..65535") from None
    if not host or port == 0:
        raise SettingsError("redis url: needs a host, and a port of 1..65535 if any")
    return host, port or default_port
