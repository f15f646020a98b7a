"""URLs of Redis: one server, one found by Sentinels, or a Cluster. Pure."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from arbees_feed.core.text import clean
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
_NAME_CHARS: Final = 40
_OURS: Final = frozenset(
    {"protocol", "legacy_responses", "decode_responses", "encoding", "encoding_errors"}
)
"""Options that change what redis-py hands over; ours suit what we do with it."""
_OPTIONS: Final = frozenset(
    {"db", "username", "password", "client_name", "max_connections", "health_check_interval",
     "retry_on_timeout", "socket_timeout", "socket_connect_timeout", "socket_keepalive",
     "socket_read_size", "ssl_keyfile", "ssl_certfile", "ssl_password", "ssl_cert_reqs",
     "ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_check_hostname", "ssl_min_version",
     "ssl_ciphers", "ssl_include_verify_flags", "ssl_exclude_verify_flags"}
)  # fmt: skip
_OPTIONS_OF_MANY: Final = frozenset({"ssl", "sentinel_username", "sentinel_password"})


@contextmanager
def options_checked() -> Iterator[None]:
    """Raise SettingsError for what redis-py makes of the options of a URL."""
    try:
        yield
    except (TypeError, ValueError) as exc:
        text = str(exc).rpartition("__init__() ")[2]  # whose it is would help nobody
        raise SettingsError(f"redis url: {text}") from exc


class Address:
    """Where Redis is. Prints itself without what is secret.

    Forms: `redis://[user:password@]host:port/db`, `rediss://…` (TLS), `unix:///path`,
    `redis+sentinel://[user:password@]host:port,host:port/service[/db]`,
    `redis+cluster://[user:password@]host:port,host:port`. Options of redis-py may follow as a
    query; for Sentinels and Clusters also `ssl=true`, and `sentinel_username`, `sentinel_password`.
    Those of them that change what is read (`decode_responses`, `protocol`) are left out of `url`.
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
            if not self.service:
                raise SettingsError(
                    "redis url: must name the service, as in redis+sentinel://h1:26379/mymaster"
                )
        _check_path(path, parts.scheme, hosts)
        self._shown = f"{parts.scheme}://{hosts}{parts.path}"
        options = dict(parse_qsl(parts.query))
        _check_options(options, kind)
        self.sentinel_options = {
            name.removeprefix(_SENTINEL): options.pop(name)
            for name in list(options)
            if name.startswith(_SENTINEL)
        }
        for name in _OURS & set(options):
            del options[name]
        is_plain = kind == "server"
        self.url = _bare(url) if is_plain else _plain_url(credentials + at, path, options)

    def __repr__(self) -> str:
        """Name it without user, password and options."""
        return self._shown


def _check_path(path: str, scheme: str, hosts: str) -> None:
    if scheme == "unix":
        if hosts or len(path) < len("/x"):
            raise SettingsError("redis url: must name a socket file, as in unix:///run/redis.sock")
    elif not (path.strip("/") or "0").isdecimal():
        raise SettingsError(
            "redis url: the database after the host must be a number, as in redis://host:6379/0"
        )


def _check_options(options: Mapping[str, str], kind: Kind) -> None:
    known = _OPTIONS | _OURS | (frozenset() if kind == "server" else _OPTIONS_OF_MANY)
    if unknown := sorted(set(options) - known):
        raise SettingsError(f"redis url: there is no option {clean(unknown[0], _NAME_CHARS)!r}")
    if not options.get("db", "0").isdecimal():
        raise SettingsError("redis url: the option db must be a number")


def _bare(url: str) -> str:
    """Return a URL without options of ours; all else as it is."""
    start, _, query = url.strip().partition("?")
    kept = [one for one in query.split("&") if one.partition("=")[0] not in _OURS]
    return f"{start}?{'&'.join(kept)}" if any(kept) else start


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
