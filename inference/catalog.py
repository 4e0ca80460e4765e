"""The models on offer: where each comes from, how it is loaded, what it costs. Torch-free."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from inference.catalog_prices import Prices, read_prices
from inference.catalog_source import CatalogSource, Table
from inference.catalog_values import Value, aliases, choice, flag, identifier, positive_int, text
from inference.errors import CatalogError, UnknownModel

Task = Literal["generate", "embed"]
Quantization = Literal["auto", "int8", "nf4", "bf16", "fp32"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]

PACKAGED_FILE = "catalog.toml"
DTYPES_OF_PLAIN_WEIGHTS = {"bf16": "bfloat16", "fp32": "float32"}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of the catalogue.

    ``source`` is ``packaged:NAME`` for a model that a Python package carries, a folder, or a hub
    id; ``revision`` pins a hub id. ``task`` is what it is for. ``context_length`` bounds prompt and
    output tokens together, or the tokens of one input to embed. ``max_concurrency`` is how many
    requests one worker generates at the same time. Vectors of a ``matryoshka`` model keep their
    meaning when they are cut short.
    """

    name: str
    source: str
    context_length: int
    prices: Prices
    task: Task = "generate"
    revision: str | None = None
    quantization: Quantization = "auto"
    dtype: Dtype = "auto"
    aliases: tuple[str, ...] = ()
    max_concurrency: int = 32
    matryoshka: bool = False


@dataclass(frozen=True)
class Catalog:
    """All models, in the order of the file."""

    models: Mapping[str, ModelSpec]

    @cached_property
    def _by_any_name(self) -> dict[str, ModelSpec]:
        pinned = {
            f"{name}@{spec.revision}": spec
            for spec in self.models.values()
            if spec.revision is not None
            for name in (spec.name, *spec.aliases)
        }
        return pinned | {name: spec for spec in self.models.values() for name in (spec.name, *spec.aliases)}

    def get(self, name: str) -> ModelSpec:
        """The model called ``name``, by its name or an alias, with or without ``@`` and the revision
        that it is pinned to. Raises UnknownModel."""
        try:
            return self._by_any_name[name]
        except KeyError:
            raise UnknownModel(f"The model {name!r} is not in the catalogue.") from None

    def __iter__(self) -> Iterator[ModelSpec]:
        return iter(self.models.values())


REQUIRED = ("source", "context_length", "prices")
READERS: dict[str, Callable[[object], Value]] = {
    "source": text,
    "task": choice(*get_args(Task)),
    "revision": text,
    "quantization": choice(*get_args(Quantization)),
    "dtype": choice(*get_args(Dtype)),
    "context_length": positive_int,
    "aliases": aliases,
    "max_concurrency": positive_int,
    "matryoshka": flag,
}


def load_catalog(path: Path | None, overrides_toml: str = "") -> Catalog:
    """Read the catalogue at ``path`` (None: the packaged one) with ``overrides_toml`` merged over it.

    Overrides are TOML of the same shape; each key given replaces that key of that model, and a
    model that the file lacks is added. Raises CatalogError naming the file (or "overrides"), the
    line and the key.
    """
    sources = [_read_file(path)]
    if overrides_toml.strip():
        sources.append(CatalogSource.parse("overrides", overrides_toml))
    tables: dict[str, Table] = {}
    for source in sources:
        for name, table in source.models().items():
            tables[name] = tables[name].merged_with(table) if name in tables else table
    if not tables:
        raise CatalogError(f"{sources[0].label}, line 1: the catalogue has no models")
    models = {name: _read_model(name, table) for name, table in tables.items()}
    _refuse_shared_names(models, tables)
    return Catalog(MappingProxyType(models))


def _read_file(path: Path | None) -> CatalogSource:
    if path is None:
        content = resources.files("inference").joinpath(PACKAGED_FILE).read_text("utf-8")
        return CatalogSource.parse(PACKAGED_FILE, content)
    try:
        return CatalogSource.parse(str(path), path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: can't be read: {error}") from error


def _read_model(name: str, table: Table) -> ModelSpec:
    table.check("", identifier, name)
    table.refuse_unknown_keys((*READERS, "prices"))
    table.require(REQUIRED)
    values: dict[str, Value] = {key: table.read(key, READERS[key]) for key in READERS if key in table}
    embeds = values.get("task") == "embed"
    prices = read_prices(table.subtable("prices"), embeds=embeds)
    spec = ModelSpec(name=name, prices=prices, **values)  # type: ignore[arg-type]
    if spec.matryoshka and not embeds:
        raise table.error("matryoshka", "only models whose task is 'embed' have vectors to cut")
    plain = DTYPES_OF_PLAIN_WEIGHTS.get(spec.quantization)
    if plain and spec.dtype not in ("auto", plain):
        raise table.error("dtype", f"quantization {spec.quantization!r} means dtype {plain!r}")
    return spec


def _refuse_shared_names(models: Mapping[str, ModelSpec], tables: Mapping[str, Table]) -> None:
    owners = {name: name for name in models}
    for spec in models.values():
        for alias in spec.aliases:
            if alias in owners:
                raise tables[spec.name].error("aliases", f"{alias!r} already names {owners[alias]!r}")
            owners[alias] = spec.name
