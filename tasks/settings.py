"""Every setting, read from the environment once."""

import base64
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeInt, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from inference.catalog import Catalog, ModelSpec, load_catalog
from tasks.addresses import PRIVATE_NETWORKS, listed_networks
from tasks.errors import InvalidRequest, ModelNotSupported
from tasks.limit_amounts import Amount, KeyAmount
from tasks.scopes import Role
from tasks.secure_url import checked_url

_KEY_BYTES = 32
# Flower compares no others.
_PASSWORD = re.compile(r"[!-~]+")


def _alias(name: str) -> str:
    """The three service URLs carry the names every platform uses; the rest is prefixed."""
    return (
        name.upper() if name in {"database_url", "broker_url", "redis_url"} else f"TOKENMILL_{name.upper()}"
    )


def _checked_networks(text: str) -> str:
    try:
        listed_networks(text, param="networks")
    except InvalidRequest as error:
        raise ValueError(error.message) from None
    return text


class Settings(BaseSettings):
    """What an operator may set. Names are the environment variables without their prefix."""

    model_config = SettingsConfigDict(
        alias_generator=_alias,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        # A key that is not quite right must not be printed.
        hide_input_in_errors=True,
    )

    database_url: str = "postgresql://localhost:5432/tokenmill"
    broker_url: str = "amqp://guest:guest@127.0.0.1:5672//"
    redis_url: str | None = None

    data_dir: Path = Path.home() / ".local" / "share" / "tokenmill"
    model_cache_dir: Path = Path.home() / ".cache" / "tokenmill"
    catalog: Path | None = None
    catalog_overrides: str = ""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    web_processes: int = Field(2, ge=1)
    web_threads: int = Field(1400, ge=1, description="three quarters of them may wait or stream")
    sync_timeout_seconds: float = Field(600.0, gt=0, description="of a request that waits for its job")
    header_timeout_seconds: float = Field(20.0, gt=0, description="for a request's headers to be all there")
    body_timeout_seconds: float = Field(
        30.0, gt=0, description="for its body, and a second more for each 4 KiB of it"
    )
    send_timeout_seconds: float = Field(60.0, gt=0, description="for a client to take a piece of its answer")
    max_body_bytes: int = Field(4 * 1024 * 1024, ge=1024)
    storage_url: str | None = Field(
        None, description="where files lie, any URL of fsspec's; the folder `files` in data_dir when not set"
    )
    max_file_bytes: int = Field(200 * 1024 * 1024, ge=1024)
    max_file_lines: int = Field(50_000, ge=1)
    max_upload_part_bytes: int = Field(64 * 1024 * 1024, ge=1024)
    upload_expires_in_seconds: int = Field(3600, ge=1)
    file_expires_in_seconds: int = Field(
        30 * 86_400, ge=1, description="of files for batches that are to be kept for no other time"
    )
    deleted_file_grace_seconds: int = Field(
        3600, ge=0, description="what has begun to read a file may go on for so long"
    )
    trusted_proxies: Annotated[str, AfterValidator(_checked_networks)] = Field(
        "", description="networks, comma-separated, whose X-Forwarded-For is believed"
    )
    oidc_issuer: Annotated[str, AfterValidator(checked_url)] | None = Field(
        None, description="whose bearer tokens are taken beside keys"
    )
    oidc_audience: str | None = Field(None, description="whom those tokens must be for")
    oidc_jwks_url: Annotated[str, AfterValidator(checked_url)] | None = Field(
        None, description="where its keys are; by default where the issuer's discovery says"
    )
    oidc_refresh_seconds: float = Field(30.0, gt=0, description="between two looks for an unknown key")
    oidc_leeway_seconds: float = Field(10.0, ge=0, le=300, description="that clocks may differ")
    oidc_project_claim: str = "project"
    oidc_role_claim: str = "role"
    oidc_roles: dict[str, Role] = Field({}, description="the issuer's names of roles → ours")
    oidc_default_role: Role | None = None
    requests_per_minute: int = Field(6000, ge=0, description="per API key; 0 switches the limit off")
    tokens_per_minute: int = Field(10_000_000, ge=0, description="per API key; 0 switches the limit off")
    key_limits: dict[KeyAmount, NonNegativeInt] = Field({}, description="further ones of each API key")
    project_limits: dict[Amount, NonNegativeInt] = Field(
        {}, description="of each project, all models together"
    )
    model_limits: dict[Amount, NonNegativeInt] = Field(
        {}, description="of each model and service tier in each project"
    )
    limits_when_redis_is_away: Literal["open", "closed"] = Field(
        "open", description="whether each process then counts for itself, or requests get 503"
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="of workers and schedulers, for /metrics; none when not set",
    )
    metrics_host: str = "127.0.0.1"
    metrics_networks: Annotated[str, AfterValidator(_checked_networks)] = Field(
        PRIVATE_NETWORKS, description="networks, comma-separated, that are told"
    )
    max_queue_seconds_flex: float = Field(
        600.0, ge=0, description="jobs may wait before the tier takes no more of them; 0 is however long"
    )
    max_queue_seconds_default: float = Field(1800.0, ge=0)
    max_queue_seconds_priority: float = Field(3600.0, ge=0)
    queue_timeout_seconds: float = Field(
        0.0, ge=0, description="a job that nobody has begun by then expires; 0 leaves it its whole life"
    )
    generation_timeout_seconds: float = Field(
        3600.0, ge=0, description="a job that runs for longer expires; 0 leaves it its whole life"
    )
    log_level: str = "INFO"
    log_format: Literal["auto", "json", "text"] = "auto"
    traces_endpoint: str | None = Field(
        None, pattern=r"^https?://[^/]+", description="where traces go, by OTLP over HTTP"
    )
    traces_file: Path | None = Field(None, description="where they go as lines of JSON")
    traces_sample_ratio: float = Field(1.0, ge=0, le=1, description="of the traces that begin here")

    default_max_tokens: int = Field(1024, ge=1)
    default_expires_in_seconds: int = Field(86_400, ge=1)
    max_expires_in_seconds: int = Field(30 * 86_400, ge=1)
    idempotency_ttl_seconds: int = Field(86_400, ge=60)

    database_pool_size: int = Field(16, ge=1)
    database_connect_timeout_seconds: int = Field(3, ge=1)
    database_statement_timeout_seconds: int = Field(15, ge=1)
    broker_connect_timeout_seconds: float = Field(2.0, gt=0)
    redis_timeout_seconds: float = Field(0.25, gt=0, description="to connect, and for each answer")
    min_free_disk_bytes: int = Field(
        1024**3, ge=0, description="with less in the data directory, /readyz says so"
    )

    worker_model: str | None = Field(
        None, description="the catalogue's first model that generates when not set"
    )
    worker_slots: int = Field(64, ge=1, le=1024)
    worker_batch_tokens: int = Field(512, ge=16)
    worker_step_timeout_seconds: float = Field(300.0, ge=0, description="0 waits for a step however long")
    worker_kv_cache_bytes: int | None = Field(None, ge=1, description="from free memory when not set")
    lease_seconds: float = Field(15.0, gt=0)
    renew_interval_seconds: float = Field(2.0, gt=0)
    checkpoint_interval_seconds: float = Field(1.0, gt=0)
    worker_silence_seconds: float = Field(5.0, gt=0)
    drain_grace_seconds: float = Field(30.0, ge=0)
    early_ack_seconds: float = Field(900.0, gt=0)
    max_worker_losses: int = Field(3, ge=1)

    relay_interval_seconds: float = Field(1.0, gt=0)
    sweep_interval_seconds: float = Field(2.0, gt=0)
    republish_after_seconds: float = Field(60.0, gt=0)
    batch_interval_seconds: float = Field(0.5, gt=0)
    feed_interval_seconds: float = Field(0.5, gt=0)

    smtp_url: str | None = Field(
        None,
        pattern=r"^(smtp|smtps|smtp\+starttls)://[^/]+$",
        description="smtp://, smtp+starttls:// or smtps://, as user:password@host:port",
    )
    mail_from: str = Field("tokenmill@localhost", pattern=r"^[!-~]+@[!-~]+$")
    webhook_interval_seconds: float = Field(1.0, gt=0)
    webhook_timeout_seconds: float = Field(15.0, gt=0, le=120)
    webhook_concurrency: int = Field(32, ge=1, le=512)
    webhook_allow_http: bool = Field(False, description="plain http:// too")
    webhook_allow_private_addresses: bool = Field(False, description="of this network, and any port")
    webhook_retention_days: int = Field(30, ge=1, description="of deliveries that are over")

    encryption_keys: SecretStr | None = Field(
        None, description="of secrets at rest: Fernet keys, the newest first, with commas between them"
    )

    receipt_key: str | None = Field(
        None, repr=False, description="the private Ed25519 key that receipts are signed with, or its path"
    )

    queue_prefix: str = Field("tokenmill", pattern=r"^[a-z0-9][a-z0-9._-]*$")

    flower_host: str = "127.0.0.1"
    flower_port: int = Field(5555, ge=1, le=65535)
    flower_user: str = Field("admin", pattern=r"^[!-9;-~]+$")
    flower_password: SecretStr | None = None
    flower_broker_api: SecretStr | None = Field(
        None, description="RabbitMQ's management interface, for the lengths of queues"
    )

    @model_validator(mode="after")
    def _check_identity(self) -> Self:
        if self.oidc_issuer is not None and not self.oidc_audience:
            raise ValueError(
                "TOKENMILL_OIDC_ISSUER needs TOKENMILL_OIDC_AUDIENCE: tokens for others are no proof"
            )
        return self

    @field_validator("encryption_keys")
    @classmethod
    def _check_keys(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and not all(map(_is_key, _split(given))):
            raise ValueError("must be keys of 32 bytes in URL-safe base64, with commas between them")
        return given

    @field_validator("flower_password")
    @classmethod
    def _check_password(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and not _PASSWORD.fullmatch(given.get_secret_value()):
            raise ValueError("must be of letters, digits and signs of ASCII, without spaces")
        return given

    def flower_credentials(self) -> str | None:
        """What Flower asks for, as ``user:password``; None where there is no password."""
        if self.flower_password is None:
            return None
        return f"{self.flower_user}:{self.flower_password.get_secret_value()}"

    def secret_keys(self) -> tuple[str, ...]:
        """What secrets are encrypted with, the newest first; none where they are not."""
        return () if self.encryption_keys is None else _split(self.encryption_keys)

    @property
    def traced(self) -> bool:
        """Whether traces are recorded."""
        return self.traces_endpoint is not None or self.traces_file is not None

    def storage_location(self) -> str:
        """Where files lie, as fsspec understands it."""
        return self.storage_url or str(self.data_dir.expanduser().resolve() / "files")

    def model_catalog(self) -> Catalog:
        """The models this platform serves. Raises :class:`inference.errors.CatalogError`."""
        return _load_catalog(self.catalog, self.catalog_overrides)

    def generating_models(self) -> tuple[ModelSpec, ...]:
        """The models that generate. Raises CatalogError."""
        return tuple(spec for spec in self.model_catalog() if spec.task == "generate")

    def served_model(self) -> ModelSpec:
        """The model that this process, as a worker, runs.

        Raises CatalogError, UnknownModel, ModelNotSupported.
        """
        if self.worker_model:
            return self.model_catalog().get(self.worker_model)
        spec = next(iter(self.generating_models()), None)
        if spec is None:
            raise ModelNotSupported("The catalogue has no model that generates: say which to run.")
        return spec

    def embedded_models(self) -> tuple[ModelSpec, ...]:
        """What the platform in one process runs: the worker's model, and all that embed.

        Raises CatalogError, UnknownModel, ModelNotSupported.
        """
        served = self.served_model()
        others = (spec for spec in self.model_catalog() if spec.task == "embed" and spec != served)
        return (served, *others)


def _split(keys: SecretStr) -> tuple[str, ...]:
    return tuple(key.strip() for key in keys.get_secret_value().split(",") if key.strip())


def _is_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == _KEY_BYTES
    except ValueError:
        return False


@cache
def _load_catalog(path: Path | None, overrides_toml: str) -> Catalog:
    return load_catalog(path, overrides_toml)


@cache
def settings() -> Settings:
    """The process's settings; read on first use and never again."""
    return Settings()
