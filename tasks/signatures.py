"""Signed requests: HMAC-SHA256 over what a request is, under a key that never travels.

The HMAC's key is the SHA-256 digest of the whole API key. The client computes it from its key; the
database keeps it anyway, to know keys by, and so no secret in the clear. A client that signs names its
key by the prefix alone. That is good only for keys that must sign: whoever reads the database could sign
for those, but can't use any other key with what it holds.
"""

import hmac
import re
import time
from dataclasses import dataclass, field
from hashlib import sha256

from tasks import known_keys, nonces
from tasks.errors import AuthenticationFailed
from tasks.key_secret import digest
from tasks.known_keys import PREFIX_LENGTH, KnownKey
from tasks.principal import Principal

WINDOW_SECONDS = 300
_VERSION = "v1"
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_NONCE = re.compile(r"[A-Za-z0-9_\-]{16,64}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """What a request says of itself. ``target`` is its path with the query, as it was sent."""

    method: str
    target: str
    timestamp: str
    nonce: str
    body_sha256: str
    signature: str = field(repr=False)

    def message(self) -> bytes:
        """What is signed."""
        lines = (_VERSION, self.method, self.target, self.timestamp, self.nonce, self.body_sha256)
        return "\n".join(lines).encode(errors="surrogatepass")


def authenticate(token: str, signed: SignedRequest) -> Principal:
    """Who signed a request; ``token`` is the key, or the prefix of one that must sign.

    That the body is the one signed for is still to be checked against ``body_sha256``.

    Raises:
        AuthenticationFailed: the key is wrong, or the request is not as it was signed, or old, or a replay.
        ReplayGuardUnavailable: whether it is one can't be told now.
    """
    _check_form(signed)
    known = known_keys.find(token[:PREFIX_LENGTH])
    by_prefix = known is not None and known.must_sign and len(token) == PREFIX_LENGTH
    whole = known_keys.opens(token, known)
    genuine = _is_genuine(signed, known)
    if known is None or not genuine or not (whole or by_prefix):
        # One answer to all: prefixes are no secret, and which of them exist is.
        raise _refusal("There is no such API key, or the request is not as this key signed it.")
    known_keys.refuse_expired(known)
    _check_age(signed)
    if not nonces.use(f"{known.principal.api_key_id}:{signed.nonce}", 2 * WINDOW_SECONDS):
        raise _refusal("This request has been received before.", "replayed_signature")
    return known.principal


def sign(secret: str, signed: SignedRequest) -> str:
    """The signature that a client with this API key gives."""
    return _hmac(digest(secret), signed)


def _is_genuine(signed: SignedRequest, known: KnownKey | None) -> bool:
    given = signed.signature.encode(errors="surrogatepass")
    secrets_sha256 = known_keys.secrets_of(known)
    equal = [hmac.compare_digest(_hmac(secret, signed).encode(), given) for secret in secrets_sha256]
    return any(equal)


def _check_form(signed: SignedRequest) -> None:
    """Raises AuthenticationFailed, whoever asks."""
    forms = (
        (_TIMESTAMP, signed.timestamp, "timestamp must be seconds since 1970"),
        (_NONCE, signed.nonce, "nonce must be 16 to 64 letters, digits, dashes and underscores"),
        (_DIGEST, signed.body_sha256, "content digest must be a SHA-256 in hexadecimal"),
    )
    for form, value, wanted in forms:
        if form.fullmatch(value) is None:
            raise _refusal(f"The signature's {wanted}.")


def _check_age(signed: SignedRequest) -> None:
    if abs(time.time() - int(signed.timestamp)) > WINDOW_SECONDS:
        raise _refusal(
            f"The signature's time is more than {WINDOW_SECONDS} seconds from ours.", "stale_signature"
        )


def _hmac(secret_sha256: bytes, signed: SignedRequest) -> str:
    return hmac.new(secret_sha256, signed.message(), sha256).hexdigest()


def _refusal(message: str, code: str = "invalid_signature") -> AuthenticationFailed:
    return AuthenticationFailed(message, code=code)
