"""The server, asked what its OpenAPI document allows and what it does not, answers as the document says."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tests.acceptance.conftest import EmbeddedServer, StartServer
from tests.integration.inference.tiny_model import save_tiniest
from tests.unit.inference.chat_templates import TURNS

MODEL, ENCODER = "tiny", "all-minilm-l6-v2"
CATALOG = """
[models.{model}]
source = "{folder}"
quantization = "fp32"
context_length = 512
prices = {{ input_usd = 1, cached_input_usd = 1, output_usd = 2 }}

[models.{encoder}]
source = "packaged:all-minilm-l6-v2"
task = "embed"
context_length = 256
prices = {{ input_usd = 1 }}
"""
SEED = "7"
BUDGET_SECONDS = 30
# A job that has not ended in time is no failure of the server, and what the document says of it is checked.
CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 504]
"""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@pytest.fixture
def quick_server(start_server: StartServer, data_dir: Path, tmp_path: Path) -> EmbeddedServer:
    """One with a model of next to no size, so that the time goes into requests."""
    folder = tmp_path / "model"
    save_tiniest(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TURNS
    tokenizer.save_pretrained(folder)
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(model=MODEL, folder=folder, encoder=ENCODER))
    limits = {"TOKENMILL_REQUESTS_PER_MINUTE": "0", "TOKENMILL_DEFAULT_MAX_TOKENS": "16"}
    catalogs = {"TOKENMILL_CATALOG": str(catalog), "TOKENMILL_CATALOG_OVERRIDES": ""}
    return start_server(**catalogs, **limits).wait_until_ready()


def models_of_requests(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the document says of the field ``model``, wherever a body has one."""
    for schema in document["components"]["schemas"].values():
        if "model" in schema.get("properties", {}) and schema.get("additionalProperties") is False:
            yield schema["properties"]["model"]


def with_models(document: dict[str, Any]) -> dict[str, Any]:
    """The document for this server alone: names made up would end nearly every request too early."""
    for schema in models_of_requests(document):
        schema.clear()
        schema.update({"type": "string", "enum": [MODEL, ENCODER]})
    return document


@pytest.mark.embedded("it has a catalogue of its own")
@pytest.mark.timeout(BUDGET_SECONDS + 180)
def test_no_answer_breaks_the_document(quick_server: EmbeddedServer, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(with_models(quick_server.http.get("/openapi.json").json())))
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", quick_server.url),
        *("--header", f"Authorization: Bearer {quick_server.key}", "--checks", ",".join(CHECKS)),
        *("--seed", SEED, "--max-time", str(BUDGET_SECONDS), "--request-timeout", "30"),
        *("--no-color", "--suppress-health-check", "all", "--warnings", "off"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    failed = [line for line in quick_server.log.splitlines() if "request_failed" in line]
    assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *failed[:5]])
    completed = quick_server.http.get("/v1/jobs", params={"status": "completed"}).json()["data"]
    assert completed, "no request got as far as the model"
