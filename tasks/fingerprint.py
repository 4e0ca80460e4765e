"""What outputs depend on besides the request, in a word: OpenAI's ``system_fingerprint``."""

import hashlib
from importlib import metadata

from inference.catalog import ModelSpec


def fingerprint(spec: ModelSpec, quantization: str) -> str:
    """The same for the same model, revision, quantization and version of the engine; else another."""
    parts = (spec.source, spec.revision or "", quantization, _version())
    return "fp_" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _version() -> str:
    try:
        return metadata.version("tokenmill")
    except metadata.PackageNotFoundError:
        return "0"
