"""A key's terms: what it is good for beyond its scopes, and what it may be called."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from inference.errors import UnknownModel
from tasks.addresses import parse_networks
from tasks.errors import InvalidRequest, UnknownModelRequested
from tasks.settings import settings

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTerms:
    """What a key is good for; None is no restriction, and aliases of models are taken for their names."""

    models: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    expires_at: datetime | None = None
    must_sign: bool = False


def checked_name(name: str) -> str:
    """Names are shown on terminals and in tables: no control character gets into one."""
    if not (0 < len(name) <= _LONGEST_NAME and name.isprintable()):
        raise InvalidRequest(f"A name has 1 to {_LONGEST_NAME} printable characters.", param="name")
    return name


def kept_terms(terms: KeyTerms) -> dict[str, Any]:
    """A key's terms as its row holds them. Raises UnknownModelRequested, InvalidRequest."""
    if terms.expires_at is not None and terms.expires_at <= datetime.now(UTC):
        raise InvalidRequest("The key would have expired already.", param="expires_at")
    networks = None if terms.networks is None else parse_networks(terms.networks, param="networks")
    if networks == () or terms.models == ():
        raise InvalidRequest(
            "An empty list would let nobody in.", param="networks" if networks == () else "models"
        )
    return {
        "models": None if terms.models is None else sorted({_model_name(name) for name in terms.models}),
        "networks": None if networks is None else [str(network) for network in networks],
        "expires_at": terms.expires_at,
        "must_sign": terms.must_sign,
    }


def _model_name(name: str) -> str:
    try:
        return settings().model_catalog().get(name).name
    except UnknownModel:
        raise UnknownModelRequested(f"The model {name!r} does not exist.", param="models") from None
