"""Ed25519 keys of receipts: one private, in a setting; public ones for everybody."""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from tasks.receipts.errors import ReceiptKeyInvalid, ReceiptsNotConfigured
from tasks.settings import settings

_PEM = "-----BEGIN"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """``id`` is the beginning of the SHA-256 of the key's 32 bytes, in hexadecimal."""

    id: str
    key: Ed25519PublicKey

    @classmethod
    def of(cls, key: Ed25519PublicKey) -> "PublicKey":
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return cls(sha256(raw).hexdigest()[:16], key)

    @classmethod
    def read(cls, pem: bytes) -> "PublicKey":
        """Raises ReceiptKeyInvalid."""
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ReceiptKeyInvalid("The public key is not in PEM.") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ReceiptKeyInvalid("The public key is not one of Ed25519.")
        return cls.of(key)

    @property
    def pem(self) -> str:
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def signed(self, document: bytes, signature: str) -> bool:
        try:
            self.key.verify(b64decode(signature, validate=True), document)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    key: Ed25519PrivateKey
    public: PublicKey

    def sign(self, document: bytes) -> str:
        return b64encode(self.key.sign(document)).decode()


def signing_key() -> SigningKey:
    """The one of the settings. Raises ReceiptsNotConfigured, ReceiptKeyInvalid."""
    configured = settings().receipt_key
    if configured is None:
        raise ReceiptsNotConfigured
    return _load(configured)


def new_key_file(path: Path) -> None:
    """A new private key, that its owner alone may read, unless there is one."""
    if path.exists():
        return
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # Whole under another name first: a key cut short would be there for good.
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_bytes(pem)
    draft.rename(path)


@cache
def _load(configured: str) -> SigningKey:
    try:
        pem = configured.encode() if configured.startswith(_PEM) else Path(configured).read_bytes()
        key = load_pem_private_key(pem, password=None)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        # Neither the setting nor the error's own words: they may hold the key.
        raise ReceiptKeyInvalid(
            "TOKENMILL_RECEIPT_KEY is neither a private key in PEM nor the path of one that can be read."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ReceiptKeyInvalid("TOKENMILL_RECEIPT_KEY is not a key of Ed25519.")
    return SigningKey(key, PublicKey.of(key.public_key()))
