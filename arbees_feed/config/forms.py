"""The forms of values: what a URL, a list, a market or a slug must look like.

Each function takes what the user wrote and returns what the settings hold; a ValueError says
what is wrong without repeating the value, which may be a secret.
"""

import json
import re
from collections.abc import Callable
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Secret, SecretStr

from arbees_feed.config.redact import redact_url
from arbees_feed.core.redisaddress import Address
from arbees_feed.errors import SettingsError

EMBEDDED = "embedded"

_KALSHI_TICKER = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,127}")
_SLUG = re.compile(r"[a-z0-9-]{1,255}")
_TOKEN_ID = re.compile(r"[0-9]{1,78}")  # an unsigned 256-bit number
_CONDITION_ID = re.compile(r"0x(?:[0-9a-fA-F]{62}|[0-9a-fA-F]{64})")
_DIGITS = re.compile(r"[0-9]+")
_HEX = re.compile(r"0x[0-9a-fA-F]*")
_ANYTHING = re.compile(r".*", re.DOTALL)
_KEY_ID = re.compile(r"[!-~]{1,200}")  # it travels in an HTTP header
_KEY_PREFIX = re.compile(r"[!-~]{0,64}")

_SWITCH = {
    "auto": "auto",
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def switch(value: object) -> object:
    """Read auto, true or false, in any of the usual spellings."""
    found = _SWITCH.get(str(value).strip().lower())
    if found is None:
        raise ValueError("must be auto, true or false")
    return found


def items(value: object) -> object:
    """Read a list: one of TOML, a JSON array, or text with commas; repeated items count once."""
    if isinstance(value, str):
        text = value.strip()
        value = _json_array(text) if text.startswith("[") else text.split(",")
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list: JSON, or items with commas between them")  # noqa: TRY004 - pydantic reports ValueErrors only
    trimmed = (item.strip() if isinstance(item, str) else item for item in value)
    return tuple(dict.fromkeys(item for item in trimmed if item != ""))


def addresses(value: object) -> object:
    """Read a list that must not be empty."""
    found = items(value)
    if not found:
        raise ValueError("must name at least one address")
    return found


def _json_array(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("begins like a JSON array but is not valid JSON") from None


def nothing_if_empty(value: object) -> object:
    """Read an empty text as "not set", since TOML has no null."""
    return None if value == "" else value


def lower(value: object) -> object:
    """Read a word in any case."""
    return value.strip().lower() if isinstance(value, str) else value


def matching(form: re.Pattern[str], what: str) -> Callable[[str], str]:
    """Return a check that a text is entirely of *form*; the error says that it is not *what*."""

    def check(value: str) -> str:
        if not form.fullmatch(value):
            raise ValueError(f"is not {what}")
        return value

    return check


def polymarket_market(value: str) -> str:
    """Check a YES token id (decimal), a condition id (0x and 62 or 64 hex digits) or a slug."""
    # All digits, or 0x and hex digits, would pass as slugs as well; nobody means that.
    forms = ((_DIGITS, _TOKEN_ID), (_HEX, _CONDITION_ID), (_ANYTHING, _SLUG))
    form = next(form for kind, form in forms if kind.fullmatch(value))
    if not form.fullmatch(value):
        raise ValueError(
            "is not a token id (up to 78 digits), condition id (0x and 62 or 64 hex digits) "
            "or slug (a-z, 0-9, '-')"
        )
    return value


def service_url(*schemes: str) -> Callable[[str], str]:
    """Return a check of a venue's URL: one of *schemes*, a host, and nothing secret."""

    def check(value: str) -> str:
        parts = _split(value)
        if parts.scheme not in schemes:
            raise ValueError(f"must begin with {' or '.join(f'{name}://' for name in schemes)}")
        if "@" in parts.netloc:
            raise ValueError("must not carry a user name or password")
        if parts.query or parts.fragment:
            raise ValueError("must not carry a query or a fragment")
        _check_host(parts.netloc)
        return value.rstrip("/")

    return check


def redis_url(value: str) -> str:
    """Check a URL of Redis, or the word `embedded`."""
    value = value.strip()
    if value == EMBEDDED:
        return value
    _split(value)
    try:
        Address(value)
    except SettingsError as exc:
        hint = f", or be '{EMBEDDED}'" if "begin with" in str(exc) else ""
        raise ValueError(f"{str(exc).removeprefix('redis url: ')}{hint}") from None
    return value


def _split(url: str) -> SplitResult:
    # urlsplit() would silently drop line breaks and tabs.
    if not url.isprintable() or " " in url:
        raise ValueError("holds blanks or unprintable characters")
    try:
        return urlsplit(url)
    except ValueError:
        # The text of urlsplit's error quotes the host part, and with it a password.
        raise ValueError("is not a valid URL") from None


def _check_host(netloc: str) -> None:
    try:
        host, port = urlsplit(f"//{netloc}").hostname, urlsplit(f"//{netloc}").port
    except ValueError:
        raise ValueError("has a malformed host or a port outside 0..65535") from None
    if not host or "," in netloc or port == 0:
        raise ValueError("needs a host, and a port of 1..65535 if any")


class RedisUrl(Secret[str]):
    """A URL that may hold a password; it prints itself without."""

    def _display(self) -> str:
        return redact_url(self.get_secret_value())


def _secret_url(value: object) -> object:
    return redis_url(value) if isinstance(value, str) else value


Switch = Annotated[Literal["auto"] | bool, BeforeValidator(switch)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(nothing_if_empty)]

WsUrl = Annotated[str, AfterValidator(service_url("wss", "ws"))]
HttpUrl = Annotated[str, AfterValidator(service_url("https", "http"))]
WsUrls = Annotated[tuple[WsUrl, ...], BeforeValidator(addresses)]
HttpUrls = Annotated[tuple[HttpUrl, ...], BeforeValidator(addresses)]
RedisAddress = Annotated[RedisUrl, BeforeValidator(_secret_url)]
KeyPrefix = Annotated[
    str,
    AfterValidator(matching(_KEY_PREFIX, "up to 64 printable ASCII characters without blanks")),
]

_Ticker = Annotated[
    str,
    AfterValidator(
        matching(_KALSHI_TICKER, "a Kalshi ticker (capital letters, digits, '.', '_', '-')")
    ),
]
_PolymarketMarket = Annotated[str, AfterValidator(polymarket_market)]
_Slug = Annotated[str, AfterValidator(matching(_SLUG, "a slug (a-z, 0-9, '-')"))]
Tickers = Annotated[tuple[_Ticker, ...], BeforeValidator(items)]
PolymarketMarkets = Annotated[tuple[_PolymarketMarket, ...], BeforeValidator(items)]
Slugs = Annotated[tuple[_Slug, ...], BeforeValidator(items)]


def _check_key_id(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not _KEY_ID.fullmatch(value.get_secret_value()):
        raise ValueError("must be printable ASCII without blanks")
    return value


KeyId = Annotated[
    SecretStr | None, BeforeValidator(nothing_if_empty), AfterValidator(_check_key_id)
]
