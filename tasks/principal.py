"""A principal: who is asking, and what they may do."""

from dataclasses import dataclass, field

from tasks.addresses import Address, Network, among
from tasks.errors import ModelNotAllowed, PermissionDenied
from tasks.scopes import END_USER, EVERYTHING, Action, Role, allows


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, and for what their key or token is good.

    ``models`` and ``networks`` are None where there is no restriction. A token's bearer has a row among
    the keys too, so limits and bills go by ``api_key_id`` whoever asks.
    """

    project_id: str
    api_key_id: str
    scopes: frozenset[str] = frozenset(EVERYTHING)
    models: frozenset[str] | None = None
    networks: tuple[Network, ...] | None = field(default=None, repr=False)
    role: Role | None = None
    user_id: str | None = None

    @property
    def sees_jobs_of(self) -> str | None:
        """The key whose jobs alone it may read; None: all of the project."""
        return self.api_key_id if self.role == END_USER else None


def demand(principal: Principal, action: Action, resource: str | None = None) -> None:
    """Raises PermissionDenied where the key or token is not good for this."""
    if not allows(principal.scopes, resource, action):
        scope = action if resource is None else f"{resource}:{action}"
        raise PermissionDenied(f"This API key has no scope `{scope}`.")


def demand_address(principal: Principal, address: Address | None) -> None:
    """Raises PermissionDenied where the key may not be used from there."""
    if principal.networks is not None and not among(address, principal.networks):
        raise PermissionDenied("This API key may not be used from this address.", code="address_not_allowed")


def may_use(models: frozenset[str] | None, model: str) -> bool:
    """Whether a list of models, or None for all, has this one, which is named as in the catalogue."""
    return models is None or model in models


def demand_model(models: frozenset[str] | None, model: str) -> None:
    """Raises ModelNotAllowed."""
    if not may_use(models, model):
        raise ModelNotAllowed(f"This API key may not use the model {model!r}.", param="model")
