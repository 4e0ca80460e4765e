"""Signatures of webhooks, as Standard Webhooks wants them and `client.webhooks.unwrap` checks them."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

_PREFIX = "whsec_"
_SECRET_BYTES = 32
_SHOWN = 4


def new_secret() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def hint(secret: str) -> str:
    """Enough to tell two secrets apart, and not to guess either."""
    return f"{_PREFIX}…{secret[-_SHOWN:]}"


def headers(signing_secrets: Iterable[str], *, event_id: str, sent_at_unix: int, body: str) -> dict[str, str]:
    """What goes with a body; a signature by every secret, of which a receiver knows one."""
    signed = f"{event_id}.{sent_at_unix}.{body}".encode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(sent_at_unix),
        "webhook-signature": " ".join(_signature(secret, signed) for secret in signing_secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
