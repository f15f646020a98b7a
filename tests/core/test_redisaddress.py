"""URLs of Redis: what is read of them, and what is never shown."""

import pytest

from arbees_feed.core.redisaddress import Address
from arbees_feed.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "kind", "hosts"),
    [
        ("redis://h", "server", (("h", 6379),)),
        ("rediss://u:p@h:1/2", "server", (("h", 1),)),
        ("redis://[::1]:7", "server", (("::1", 7),)),
        ("unix:///run/redis.sock", "server", ()),
        ("redis+sentinel://a,b:2/m", "sentinel", (("a", 26379), ("b", 2))),
        ("redis+cluster://a,b:2", "cluster", (("a", 6379), ("b", 2))),
    ],
)
def test_kinds_and_hosts(url: str, kind: str, hosts: tuple[tuple[str, int], ...]) -> None:
    address = Address(url)
    assert (address.kind, address.hosts) == (kind, hosts)


def test_a_sentinel_url_names_service_database_and_both_passwords() -> None:
    address = Address("redis+sentinel://u:p%2F@h:1/mymaster/3?sentinel_password=s&ssl=true&db=1")
    assert address.service == "mymaster"
    assert address.sentinel_options == {"password": "s"}
    assert address.url == "rediss://u:p%2F@localhost/3?db=1"


@pytest.mark.parametrize(
    "url",
    ["redis://u:p@h/1?{}&db=2", "unix:///a?{}&db=2", "redis+sentinel://h/m?{}&db=2"],
)
@pytest.mark.parametrize("option", ["decode_responses=true", "protocol=3", "encoding=utf-16"])
def test_options_that_change_what_is_read_are_left_out(url: str, option: str) -> None:
    made = Address(url.format(option)).url
    assert made.endswith("?db=2")
    assert option not in made


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:secret@h:1/0?password=secret",
        "redis+sentinel://user:secret@h:1/m?sentinel_password=secret",
        "redis+cluster://:secret@h:1",
    ],
)
def test_it_prints_itself_without_secrets(url: str) -> None:
    assert "secret" not in f"{Address(url)} {Address(url)!r}"
    assert "h:1" in str(Address(url))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "begin with"),
        ("http://h", "begin with"),
        ("redis://[", "valid URL"),
        ("redis://:secret@h:port", "malformed host"),
        ("redis://:secret@h:0", "1..65535"),
        ("redis://:sec/ret@h", "%2F"),
        ("redis://a,b", "several hosts"),
        ("redis+sentinel://h:1", "service"),
        ("redis+sentinel://h:1/m/x", "must be a number"),
        ("redis+cluster://", "needs a host"),
        ("redis://:secret@h/first", "must be a number"),
        ("unix:///", "socket file"),
        ("unix://run/redis.sock", "socket file"),
        ("redis://:secret@h?nonsense=secret", "no option 'nonsense'"),
        ("redis://h?ssl=true", "no option 'ssl'"),
        ("redis+sentinel://h/m?\x1b[2J=1", r"no option '\[2J'"),
        ("redis://h?db=secret", "db must be a number"),
    ],
)
def test_what_is_wrong_is_said_without_secrets(url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        Address(url)
    assert "sec" not in str(caught.value)
