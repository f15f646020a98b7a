"""Settings: which source wins, what is refused, and that refusals help and leak nothing."""

import re
import tomllib
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import BaseModel, Secret, SecretStr, ValidationError

from arbees_feed.config import KalshiSettings, Settings, load_settings
from arbees_feed.config.keys import load_credentials
from arbees_feed.config.model import SECRET_KEYS, known_keys
from arbees_feed.errors import SettingsError

FEED_TOML = Path(__file__).parent.parent / "config" / "feed.toml"
PASSWORD = "hunter2-very-secret"  # noqa: S105 - it is not

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a config file and returns its path."""

    def write_file(text: str) -> Path:
        path = tmp_path / "feed.toml"
        path.write_text(text)
        return path

    return write_file


def load(
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    config_file: Path | None = None,
) -> Settings:
    return load_settings(config_file, overrides or {}, environ=environ or {})


def refusal(
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    config_file: Path | None = None,
) -> str:
    """Return the one line that refuses these settings."""
    with pytest.raises(SettingsError) as caught:
        load(overrides, environ, config_file)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, OSError)
    return message


# --- defaults and the documented file ---


def test_defaults_are_those_of_the_contract() -> None:
    settings = load()
    assert settings.redis.url.get_secret_value() == "redis://127.0.0.1:6379/0"
    assert settings.redis.key_prefix == ""
    assert settings.kalshi.enabled == "auto"
    assert settings.kalshi.subscribe_all is True
    assert settings.kalshi.markets == settings.kalshi.events == settings.kalshi.series == ()
    assert settings.kalshi.ws_url[0] == "wss://external-api-ws.kalshi.com/trade-api/ws/v2"
    assert settings.kalshi.rest_url[0] == "https://external-api.kalshi.com/trade-api/v2"
    assert settings.polymarket.enabled is True
    assert settings.polymarket.ws_url == ("wss://ws-subscriptions-clob.polymarket.com/ws/market",)
    assert settings.polymarket.top == 200
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 9464)
    assert (settings.log.level, settings.log.format) == ("info", "auto")
    publish = settings.publish
    assert (publish.trades, publish.depth, publish.stale_grace_s) == (False, 0, 1.0)


def flat(tables: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    return {
        f"{table}.{key}": value for table, keys in tables.items() for key, value in keys.items()
    }


def test_the_documented_file_has_every_key_and_no_other() -> None:
    assert flat(tomllib.loads(FEED_TOML.read_text())).keys() == known_keys()


@pytest.mark.parametrize("key", sorted(known_keys()))
def test_the_documented_file_shows_the_default(key: str, write: Write) -> None:
    """Each value alone gives the default settings, and a file of defaults changes nothing."""
    section, _, name = key.partition(".")
    shown = tomllib.loads(FEED_TOML.read_text())[section][name]
    default = Settings().model_dump()[section][name]
    if default is None:
        assert shown == ""
    else:
        plain = default.get_secret_value() if isinstance(default, Secret) else default
        assert shown == (list(plain) if isinstance(plain, tuple) else plain)


def test_the_documented_file_loads_to_the_defaults() -> None:
    assert load(config_file=FEED_TOML) == Settings()


def test_every_key_of_the_documented_file_has_a_comment() -> None:
    lines = FEED_TOML.read_text().splitlines()
    for before, line in pairwise(lines):
        if re.match(r"\w+ =", line):
            assert before.startswith("#"), f"no comment above: {line}"


# --- which source wins ---


def test_command_line_beats_environment_beats_file_beats_default(write: Write) -> None:
    file = write("[http]\nhost = 'file'\nport = 1\n[publish]\ndepth = 1\n")
    environ = {"ARBEES_HTTP__PORT": "2", "ARBEES_PUBLISH__DEPTH": "2"}
    settings = load({"publish.depth": "3"}, environ, file)
    assert (settings.http.host, settings.http.port, settings.publish.depth) == ("file", 2, 3)
    assert settings.http.enabled is True


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARBEES_HTTP__PORT", "1234")
    assert load_settings(None, {}).http.port == 1234


def test_defaults_ignore_variables_that_only_look_like_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP", '{"port": 1}')
    assert Settings().http.port == load_settings(None, {}, environ={"HTTP": "x"}).http.port == 9464


def test_plain_kalshi_names_are_read_and_ours_win() -> None:
    environ = {
        "KALSHI_API_KEY_ID": "plain",
        "KALSHI_PRIVATE_KEY_PATH": "/k.pem",
        "KALSHI_STREAM_SUBSCRIBE_ALL": "false",
    }
    kalshi = load(environ=environ).kalshi
    assert kalshi.api_key_id == SecretStr("plain")
    assert kalshi.private_key_path == Path("/k.pem")
    assert kalshi.subscribe_all is False
    both = load(environ={**environ, "ARBEES_KALSHI__API_KEY_ID": "ours"}).kalshi
    assert both.api_key_id == SecretStr("ours")


def test_an_empty_variable_is_not_set(write: Write) -> None:
    file = write("[http]\nport = 1\n")
    environ = {"ARBEES_HTTP__PORT": "", "KALSHI_API_KEY_ID": "", "ARBEES_KALSHI__MARKETS": ""}
    settings = load(environ=environ, config_file=file)
    assert settings.http.port == 1
    assert settings.kalshi.api_key_id is None


def test_an_empty_override_clears_a_list() -> None:
    environ = {"ARBEES_KALSHI__MARKETS": "A,B"}
    assert load({"kalshi.markets": ""}, environ).kalshi.markets == ()


@pytest.mark.parametrize("text", ["A,B", " A , B ,", '["A", "B"]', "A,B,A"])
def test_lists_are_json_or_have_commas_everywhere(text: str, write: Write) -> None:
    expected = ("A", "B")
    assert load({"kalshi.markets": text}).kalshi.markets == expected
    assert load(environ={"ARBEES_KALSHI__MARKETS": text}).kalshi.markets == expected
    assert load(config_file=write(f"[kalshi]\nmarkets = '{text}'")).kalshi.markets == expected


def test_toml_lists_are_lists(write: Write) -> None:
    assert load(config_file=write("[kalshi]\nmarkets = ['A', 'B']")).kalshi.markets == ("A", "B")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", "auto"),
        ("AUTO", "auto"),
        ("true", True),
        ("1", True),
        ("off", False),
        ("no", False),
    ],
)
def test_kalshi_is_switched_on_off_or_auto(text: str, expected: object) -> None:
    assert load({"kalshi.enabled": text}).kalshi.enabled == expected


# --- unknown keys ---


@pytest.mark.parametrize(
    ("overrides", "environ", "parts"),
    [
        ({"http.prot": "1"}, {}, ["http.prot", "command line", "did you mean http.port?"]),
        ({"http": "1"}, {}, ["unknown setting http ", "command line"]),
        ({}, {"ARBEES_HTTP__PROT": "1"}, ["ARBEES_HTTP__PROT", "ARBEES_HTTP__PORT?"]),
        ({}, {"ARBEES_REDIS_URL": "x"}, ["ARBEES_REDIS_URL ", "ARBEES_REDIS__URL?"]),
        ({}, {"arbees_redis__url": "x"}, ["arbees_redis__url", "ARBEES_REDIS__URL?"]),
        ({}, {"ARBEES_HTTP_PORT": "9464"}, ["ARBEES_HTTP_PORT", "ARBEES_HTTP__PORT?"]),
        ({}, {"ARBEES_ZZZ": ""}, ["ARBEES_ZZZ", "environment"]),
    ],
)
def test_unknown_keys_are_named_with_the_nearest_known(
    overrides: dict[str, str], environ: dict[str, str], parts: list[str]
) -> None:
    message = refusal(overrides, environ)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[redis]\nio_timeuot_s = 3", ["redis.io_timeuot_s", "redis.io_timeout_s?"]),
        ("[reddis]\nurl = 'x'", ["reddis", "did you mean redis?"]),
        ("port = 1", ["unknown setting port"]),
        ("redis = 'x'", ["redis", "[redis]"]),
    ],
)
def test_unknown_keys_in_a_file_are_named(text: str, parts: list[str], write: Write) -> None:
    path = write(text)
    message = refusal(config_file=path)
    for part in [*parts, str(path)]:
        assert part in message


def test_variables_of_others_are_left_alone() -> None:
    """The test corpus, and what Kubernetes sets for a service called arbees-feed."""
    told = load(
        environ={
            "ARBEES_CORPUS": "/frames",
            "ARBEES_MATCHING": "/labels",
            "ARBEES_FEED_SERVICE_HOST": "10.0.0.1",
            "ARBEES_FEED_SERVICE_PORT": "9464",
            "ARBEES_FEED_SERVICE_PORT_HTTP": "9464",
            "ARBEES_FEED_PORT": "tcp://10.0.0.1:9464",
            "ARBEES_FEED_PORT_9464_TCP": "tcp://10.0.0.1:9464",
            "ARBEES_FEED_PORT_9464_TCP_ADDR": "10.0.0.1",
            "PATH": "/bin",
        }
    )
    assert told == load()


# --- malformed values ---


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("http.port", "70000", "'70000'"),
        ("http.port", "-1", "'-1'"),
        ("http.port", "abc", "integer"),
        ("http.host", "", "at least 1"),
        ("http.enabled", "maybe", "boolean"),
        ("redis.io_timeout_s", "0", "greater than 0"),
        ("redis.io_timeout_s", "nan", "finite"),
        ("redis.key_prefix", "a b", "blanks"),
        ("publish.stale_grace_s", "inf", "finite"),
        ("publish.depth", "-1", "greater than or equal to 0"),
        ("kalshi.enabled", "maybe", "auto, true or false"),
        ("kalshi.markets", "[1", "not valid JSON"),
        ("kalshi.markets", "KXA,kxb", "'kxb' is not a Kalshi ticker"),
        ("kalshi.markets", ".A", "Kalshi ticker"),
        ("kalshi.events", "A B", "Kalshi ticker"),
        ("kalshi.series", "A/B", "Kalshi ticker"),
        ("kalshi.ws_url", "https://x", "wss:// or ws://"),
        ("kalshi.ws_url", "wss://a,https://b", "'https://b'"),
        ("kalshi.ws_url", ",", "at least one"),
        ("kalshi.ws_url", "wss://", "needs a host"),
        ("kalshi.ws_url", "wss://h:99999/x", "port outside"),
        ("kalshi.ws_url", "wss://h/x?a=b", "query"),
        ("kalshi.rest_url", "wss://x", "https:// or http://"),
        ("polymarket.gamma_url", "gamma-api.polymarket.com", "https://"),
        ("polymarket.gamma_url", "https://a b", "blanks"),
        ("polymarket.clob_url", "https://[::1", "valid URL"),
        ("polymarket.markets", "1" * 79, "token id"),
        ("polymarket.markets", "0x" + "a" * 63, "condition id"),
        ("polymarket.markets", "Big_Slug", "slug"),
        ("polymarket.events", "A", "slug"),
        ("polymarket.tags", "a_b", "slug"),
        ("polymarket.top", "1.5", "integer"),
        ("log.level", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("log.format", "xml", "'auto', 'json' or 'console'"),
        ("redis.url", "http://x", "redis+sentinel://"),
        ("redis.url", "", "redis://"),
        ("redis.url", "redis://", "needs a host"),
        ("redis.url", "redis://h:99999", "port outside"),
        ("redis.url", "redis://h:6379/zero", "must be a number"),
        ("redis.url", "redis://:a/b@h", "%2F"),
        ("redis.url", "unix://", "socket file"),
        ("redis.url", "redis+sentinel://h1:26379,h2:26379", "name the service"),
        ("redis.url", "redis+cluster://h1,", "needs a host"),
        ("redis.url", "redis://h?nonsense=1", "no option 'nonsense'"),
    ],
)
def test_a_malformed_value_is_named_with_its_key_and_origin(
    key: str, value: str, part: str
) -> None:
    message = refusal({key: value})
    assert message.startswith(f"{key}: ")
    assert part in message
    assert "(command line)" in message


def test_the_origin_of_a_malformed_value_is_told(write: Write) -> None:
    path = write("[http]\nport = 70000")
    assert f"(file {path})" in refusal(config_file=path)
    environ = {"ARBEES_HTTP__PORT": "x"}
    assert "(environment variable ARBEES_HTTP__PORT)" in refusal(environ=environ)
    environ = {"KALSHI_STREAM_SUBSCRIBE_ALL": "x"}
    message = refusal(environ=environ)
    assert message.startswith("kalshi.subscribe_all: ")
    assert "(environment variable KALSHI_STREAM_SUBSCRIBE_ALL)" in message


def test_a_table_or_list_in_the_place_of_a_value_is_refused(write: Write) -> None:
    assert "redis.url: " in refusal(config_file=write("[redis.url]\na = 1"))
    assert "kalshi.enabled: " in refusal(config_file=write("[kalshi]\nenabled = [1]"))
    assert "kalshi.markets: " in refusal(config_file=write("[kalshi]\nmarkets = [1]"))


def test_several_problems_are_counted_in_one_line() -> None:
    message = refusal({"http.port": "x", "publish.depth": "y"})
    assert message.endswith("(and 1 more)")


def test_long_values_are_cut() -> None:
    assert len(refusal({"polymarket.markets": "X" * 10_000})) < 400


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://:p%40ss@h:6379/3",
        "redis://user:p@ss@[::1]:6379",
        "rediss://h:6380/0?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://u:p@h1:26379,h2:26379/mymaster/2",
        "redis+cluster://h1:7000,h2:7001",
        "embedded",
    ],
)
def test_every_kind_of_redis_url_is_taken(url: str) -> None:
    assert load({"redis.url": url}).redis.url.get_secret_value() == url


def test_markets_of_every_form_are_taken() -> None:
    forms = ("1" * 78, "0x" + "aF" * 32, "0x" + "0" * 62, "will-x-happen-2026", "0x-airdrop")
    assert load({"polymarket.markets": ",".join(forms)}).polymarket.markets == forms
    tickers = ("KXBTCD-25JAN0312-T95249.99", "A_B")
    assert load({"kalshi.markets": ",".join(tickers)}).kalshi.markets == tickers


def test_urls_lose_their_last_slash() -> None:
    assert load({"polymarket.gamma_url": "http://h:1/"}).polymarket.gamma_url == "http://h:1"


# --- the file itself ---


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    message = refusal(config_file=tmp_path / "absent.toml")
    assert "absent.toml" in message
    assert "No such file" in message


def test_a_directory_is_not_a_config_file(tmp_path: Path) -> None:
    assert "directory" in refusal(config_file=tmp_path)


def test_invalid_toml_is_refused_with_its_line(write: Write) -> None:
    path = write("[http]\nport = \n")
    message = refusal(config_file=path)
    assert str(path) in message
    assert "line 2" in message


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "feed.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal(config_file=path)


# --- venues ---


def test_without_any_venue_there_is_nothing_to_do() -> None:
    message = refusal({"polymarket.enabled": "false"})
    assert "polymarket.enabled" in message
    assert "kalshi.api_key_id" in message


def test_a_command_that_only_reads_needs_no_venue() -> None:
    overrides = {"polymarket.enabled": "false"}
    settings = load_settings(None, overrides, environ={}, venue_needed=False)
    assert settings.active_venues == ()


@pytest.mark.parametrize(
    ("overrides", "venues"),
    [
        ({}, ("polymarket",)),
        ({"kalshi.api_key_id": "id"}, ("kalshi", "polymarket")),
        ({"kalshi.private_key_path": "k"}, ("kalshi", "polymarket")),
        ({"kalshi.api_key_id": "id", "kalshi.enabled": "false"}, ("polymarket",)),
        ({"kalshi.enabled": "true", "polymarket.enabled": "no"}, ("kalshi",)),
    ],
)
def test_auto_means_on_when_a_key_is_configured(
    overrides: dict[str, str], venues: tuple[str, ...]
) -> None:
    assert load(overrides).active_venues == venues


# --- nothing leaks, nothing changes ---


def test_settings_print_no_secret() -> None:
    settings = load(
        {
            "redis.url": f"redis://user:{PASSWORD}@h:1/0",
            "kalshi.api_key_id": PASSWORD,
            "kalshi.private_key_pem": PASSWORD,
        }
    )
    texts = (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json())
    for text in texts:
        assert PASSWORD not in text
    assert "redis://***@h:1/0" in repr(settings)


@pytest.mark.parametrize(
    "overrides",
    [
        {"redis.url": f"http://u:{PASSWORD}@h"},
        {"redis.url": f"redis://u:{PASSWORD}@h:99999"},
        {"redis.url": f"redis://u:{PASSWORD}[@h"},
        {"redis.url": f"redis://u:{PASSWORD}\u2100@h"},
        {"redis.url": f"redis://u:{PASSWORD}/@h"},
        {"redis.url": PASSWORD},
        {"kalshi.api_key_id": f"{PASSWORD} {PASSWORD}"},
        {"kalshi.ws_url": f"wss://u:{PASSWORD}@h"},
        {"polymarket.gamma_url": f"https://u:{PASSWORD}\u2100@h"},
    ],
)
def test_refusals_print_no_secret(overrides: dict[str, str]) -> None:
    assert PASSWORD not in refusal(overrides)


def test_secret_keys_are_exactly_those_of_secret_types() -> None:
    secret = {
        f"{section}.{name}"
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for name, inner in field.annotation.model_fields.items()
        if "Secret" in str(inner.annotation) or "RedisUrl" in str(inner.annotation)
    }
    assert secret == SECRET_KEYS


def test_settings_cannot_be_changed() -> None:
    settings = load()
    with pytest.raises(ValidationError):
        settings.http.port = 1
    with pytest.raises(ValidationError):
        settings.http = settings.http


# --- keys ---

ED25519 = ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def pem_of(
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


def kalshi_with(pem: str, **more: object) -> KalshiSettings:
    return KalshiSettings.model_validate({"api_key_id": "id-1", "private_key_pem": pem, **more})


def key_refusal(kalshi: KalshiSettings) -> str:
    with pytest.raises(SettingsError) as caught:
        load_credentials(kalshi)
    message = str(caught.value)
    assert "\n" not in message
    assert "kalshi." in message
    return message


def test_an_ed25519_key_signs() -> None:
    credentials = load_credentials(kalshi_with(pem_of(ED25519)))
    assert credentials is not None
    assert credentials.key_id == "id-1"
    ED25519.public_key().verify(credentials.sign(b"message"), b"message")


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_rsa_key_signs_with_pss_and_a_salt_of_32(form: PrivateFormat) -> None:
    credentials = load_credentials(kalshi_with(pem_of(RSA, form)))
    assert credentials is not None
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    RSA.public_key().verify(credentials.sign(b"message"), b"message", pss, hashes.SHA256())


def test_a_key_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(pem_of(ED25519))
    kalshi = KalshiSettings.model_validate({"api_key_id": "id", "private_key_path": str(path)})
    credentials = load_credentials(kalshi)
    assert credentials is not None
    ED25519.public_key().verify(credentials.sign(b"x"), b"x")


def test_line_breaks_may_be_spelt_out() -> None:
    one_line = pem_of(ED25519).strip().replace("\n", "\\n")
    assert load_credentials(kalshi_with(one_line)) is not None
    assert load_credentials(kalshi_with(one_line.replace("\\n", "\\r\\n"))) is not None


def test_no_credentials_when_kalshi_is_off() -> None:
    assert load_credentials(KalshiSettings()) is None
    assert load_credentials(kalshi_with(pem_of(EC), enabled=False)) is None


def test_enabled_without_a_key_says_what_to_set() -> None:
    kalshi = KalshiSettings.model_validate({"enabled": "true", "ws_url": "ws://127.0.0.1:1"})
    message = key_refusal(kalshi)
    for key in ("kalshi.enabled", "kalshi.api_key_id", "kalshi.private_key_path"):
        assert key in message


def test_half_a_key_says_which_half_is_missing() -> None:
    only_id = KalshiSettings.model_validate({"api_key_id": "id"})
    assert "set kalshi.private_key_path or kalshi.private_key_pem" in key_refusal(only_id)
    only_key = KalshiSettings.model_validate({"private_key_path": "k"})
    assert "set kalshi.api_key_id" in key_refusal(only_key)


def test_two_keys_are_one_too_many() -> None:
    assert "both set" in key_refusal(kalshi_with(pem_of(RSA), private_key_path="k"))


def test_an_unreadable_key_file_is_named_with_the_reason(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "absent.pem", "No such file"), (tmp_path, "directory")):
        kalshi = KalshiSettings.model_validate({"api_key_id": "i", "private_key_path": str(path)})
        message = key_refusal(kalshi)
        assert str(path) in message
        assert reason in message


def damaged(pem: str) -> str:
    lines = pem.splitlines()
    return "\n".join([lines[0], lines[1][:20], lines[-1]])


@pytest.mark.parametrize(
    ("pem", "part"),
    [
        ("not a key at all", "not a PEM"),
        (
            RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "no private key",
        ),
        (pem_of(RSA, encryption=BestAvailableEncryption(b"x")), "encrypted"),
        (
            pem_of(RSA, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")),
            "encrypted",
        ),
        (pem_of(EC), "RSA and Ed25519"),
        (damaged(pem_of(ED25519)), "complete?"),
        (pem_of(RSA)[:400], "complete?"),
    ],
    ids=["text", "public", "encrypted", "encrypted-old", "ec", "damaged", "cut"],
)
def test_a_wrong_key_is_refused_without_printing_it(pem: str, part: str) -> None:
    message = key_refusal(kalshi_with(pem))
    assert part in message
    for line in filter(None, pem.splitlines()):
        assert line not in message


def test_credentials_print_nothing() -> None:
    assert "id-1" not in repr(load_credentials(kalshi_with(pem_of(ED25519))))
