"""Load the private key of a Kalshi account; no error repeats any of it.

"RSASSA-PSS, SHA-256, MGF1 with SHA-256, salt as long as the digest" for RSA keys, plain Ed25519
for the keys that Kalshi hands out since 2026-10-01. The key itself says which it is.
"""

from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from arbees_feed.config.model import KalshiSettings
from arbees_feed.core.venue import Credentials
from arbees_feed.errors import SettingsError

_PATH = "kalshi.private_key_path"
_PEM = "kalshi.private_key_pem"
_LARGEST_PEM_BYTES = 65_536
_PSS = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=SHA256.digest_size)

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


def load_credentials(kalshi: KalshiSettings) -> Credentials | None:
    """Return what signs requests to Kalshi, or None when Kalshi is off.

    Raises:
        SettingsError: part of the key is missing, it can't be read, or it is of the wrong kind.
    """
    if not kalshi.active:
        return None
    _check_complete(kalshi)
    assert kalshi.api_key_id is not None  # noqa: S101 - checked in the line above
    key = _private_key(*_pem_and_origin(kalshi))
    return Credentials(key_id=kalshi.api_key_id.get_secret_value(), sign=_signer(key))


def _check_complete(kalshi: KalshiSettings) -> None:
    has_key = kalshi.private_key_path is not None or kalshi.private_key_pem is not None
    if kalshi.private_key_path is not None and kalshi.private_key_pem is not None:
        raise SettingsError(f"{_PATH} and {_PEM} are both set: set only one of them")
    if kalshi.api_key_id is None and not has_key:
        raise SettingsError(
            f"kalshi.enabled is true, but no key is configured: set kalshi.api_key_id and {_PATH} "
            f"(or {_PEM})"
        )
    if not has_key:
        raise SettingsError(
            f"kalshi.api_key_id is set, but the private key is not: set {_PATH} or {_PEM}"
        )
    if kalshi.api_key_id is None:
        origin = _PATH if kalshi.private_key_path is not None else _PEM
        raise SettingsError(f"{origin} is set, but the key's id is not: set kalshi.api_key_id")


def _pem_and_origin(kalshi: KalshiSettings) -> tuple[bytes, str]:
    if kalshi.private_key_pem is not None:
        # One-line environments carry a PEM with \n spelt out.
        text = kalshi.private_key_pem.get_secret_value()
        return text.replace("\\r", "").replace("\\n", "\n").strip().encode(), _PEM
    assert kalshi.private_key_path is not None  # noqa: S101 - one of the two is set
    path = kalshi.private_key_path.expanduser()
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_PEM_BYTES), f"{_PATH} {path}"
    except OSError as exc:
        raise SettingsError(f"{_PATH}: cannot read {path}: {exc.strerror}") from exc


def _private_key(pem: bytes, origin: str) -> PrivateKey:
    if b"-----BEGIN " not in pem:
        raise SettingsError(f"{origin}: is not a PEM file (it has no BEGIN line)")
    if b"PRIVATE KEY-----" not in pem:
        raise SettingsError(f"{origin}: holds no private key, but something else in PEM form")
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:  # what cryptography raises when a pass phrase is missing
        raise SettingsError(
            f"{origin}: is encrypted; store it without pass phrase (openssl pkey -in OLD -out NEW)"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(f"{origin}: is not a readable private key; is it complete?") from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        kind = type(key).__name__.removesuffix("PrivateKey").lstrip("_")
        raise SettingsError(f"{origin}: is a key of type {kind}; Kalshi takes RSA and Ed25519 keys")
    return key


def _signer(key: PrivateKey) -> Callable[[bytes], bytes]:
    if isinstance(key, Ed25519PrivateKey):
        return key.sign
    return lambda message: key.sign(message, _PSS, SHA256())
