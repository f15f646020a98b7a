"""Keys that the simulated Kalshi accepts, and its check of a signed request."""

import base64
import binascii
import hashlib
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from arbees_feed.sim.config import KeyType, SimConfig

KEY_HEADER = "KALSHI-ACCESS-KEY"
TIMESTAMP_HEADER = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER = "KALSHI-ACCESS-SIGNATURE"
PSS_SALT_LENGTH = 32
RSA_BITS = 2048

PrivateKey = Ed25519PrivateKey | rsa.RSAPrivateKey


class Refusal(Exception):
    """A request was not signed as it must be."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key and its private key in PEM (PKCS#8)."""

    api_key_id: str
    private_key_pem: str = field(repr=False)

    def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        """Return the headers of a signed request; *path* without host and query."""
        message = f"{now_ms}{method}{path}".encode()
        return {
            KEY_HEADER: self.api_key_id,
            TIMESTAMP_HEADER: str(now_ms),
            SIGNATURE_HEADER: base64.b64encode(_sign(self.private_key_pem, message)).decode(),
        }


class KeyRing:
    """The keys of a simulation. RSA keys are slow to make, so they are made when asked for."""

    def __init__(self, config: SimConfig, clock_ms: Callable[[], int]) -> None:
        self._config = config
        self._clock_ms = clock_ms
        self._seed = f"keys {config.seed}"
        self._issued: dict[KeyType, Credentials] = {}
        self._keys: dict[str, PrivateKey] = {}
        if config.private_key_pem:
            self._adopt(config.api_key_id or self._new_id("own"), config.private_key_pem)

    def credentials(self, kind: KeyType | None = None) -> Credentials:
        """Return accepted credentials of a kind, by default the configured one."""
        wanted = next(iter(self._issued), self._config.key_type) if kind is None else kind
        if wanted not in self._issued:
            key = self._new_key(wanted)
            pem = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode()
            key_id = self._config.api_key_id if wanted == self._config.key_type else None
            self._adopt(key_id or self._new_id(wanted), pem)
        return self._issued[wanted]

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        """Return the API key id of a rightly signed request, else raise `Refusal`."""
        key_id = headers.get(KEY_HEADER, "")
        stamp = headers.get(TIMESTAMP_HEADER, "")
        signature = headers.get(SIGNATURE_HEADER, "")
        if not (key_id and stamp and signature):
            raise Refusal("authentication_required", "missing authentication headers")
        if not stamp.isdecimal():
            raise Refusal("header_timestamp_invalid", "the timestamp is not in milliseconds")
        if abs(int(stamp) - self._clock_ms()) > self._config.clock_skew_limit_s * 1000:
            raise Refusal("header_timestamp_expired", "the timestamp is too far from ours")
        key = self._keys.get(key_id)
        if key is None:
            raise Refusal("authentication_error", "unknown API key")
        if not _verified(key, signature, f"{stamp}{method}{path}".encode()):
            raise Refusal("authentication_error", "the signature does not match")
        return key_id

    def _adopt(self, key_id: str, pem: str) -> None:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
        if not isinstance(key, Ed25519PrivateKey | rsa.RSAPrivateKey):
            raise TypeError(f"Kalshi has no keys like {type(key).__name__}")
        kind: KeyType = "ed25519" if isinstance(key, Ed25519PrivateKey) else "rsa"
        self._keys[key_id] = key
        self._issued[kind] = Credentials(key_id, pem)

    def _new_key(self, kind: KeyType) -> PrivateKey:
        if kind == "rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        # Seeded: a simulation with the same seed takes the same key after a restart.
        return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(self._seed.encode()).digest())

    def _new_id(self, kind: str) -> str:
        draw = random.Random(f"{self._seed} {kind}")
        return str(uuid.UUID(int=draw.getrandbits(128), version=4))


def _sign(pem: str, message: bytes) -> bytes:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, _pss(), hashes.SHA256())
    raise TypeError(f"Kalshi has no keys like {type(key).__name__}")


def _verified(key: PrivateKey, signature: str, message: bytes) -> bool:
    public = key.public_key()
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(public, Ed25519PublicKey):
            public.verify(raw, message)
        else:
            public.verify(raw, message, _pss(), hashes.SHA256())
    except (InvalidSignature, binascii.Error):
        return False
    return True


def _pss() -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=PSS_SALT_LENGTH)
