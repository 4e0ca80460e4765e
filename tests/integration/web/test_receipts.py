"""Receipts over HTTP and at the command line."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tasks import keys, projects
from tasks.admission import submit
from tasks.keys import Principal
from tasks.receipts.chain import sign_receipts
from tasks.wire.job import JOB_REQUEST
from tasks.wire.job_plan import job_plan
from tests.integration.tasks.bookkeeping import finish
from tests.integration.tasks.conftest import MODEL
from tests.integration.tasks.test_receipts import use_key
from tests.integration.web.conftest import Api
from web.cli import cli


def submitted(principal: Principal) -> str:
    asked = {"type": "completion", "model": MODEL, "prompt": "Once upon", "max_tokens": 8}
    plan = job_plan(JOB_REQUEST.validate_python(asked))
    return submit(principal, plan, idempotency_key=None, request_id=None).job.id


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["billing", *arguments])


def test_receipt_is_read_and_its_key_is_public(
    api: Api, principal: Principal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submitted(principal)
    place = f"/v1/jobs/{job_id}/receipt"
    early = api.http.get(place)
    assert (early.status_code, early.json()["error"]["code"]) == (409, "job_not_ended")
    finish(job_id)
    for address in (place, "/v1/receipts/key"):
        unset = api.http.get(address)
        assert (unset.status_code, unset.json()["error"]["code"]) == (404, "receipts_not_configured")
    use_key(tmp_path / "key.pem", monkeypatch)
    waits = api.http.get(place)
    assert (waits.status_code, waits.json()["error"]["code"]) == (503, "receipt_not_ready")
    assert waits.headers["Retry-After"]
    sign_receipts()
    receipt = api.http.get(place).json()
    public = api.http.get("/v1/receipts/key").json()
    assert receipt["receipt"]["key_id"] == public["id"]
    assert public["public_key"].startswith("-----BEGIN PUBLIC KEY-----")
    stranger = keys.create_key(projects.create_project("other").id, "other").secret
    other = api.http.get(place, headers={"Authorization": f"Bearer {stranger}"})
    assert (other.status_code, other.json()["error"]["code"]) == (404, "job_not_found")


def test_exported_chain_verifies_without_the_database_until_it_is_touched(
    principal: Principal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_key(tmp_path / "key.pem", monkeypatch)
    for _ in range(3):
        finish(submitted(principal))
    sign_receipts()
    file, public = tmp_path / "receipts.jsonl", tmp_path / "public.pem"
    exported = run("export-receipts", principal.project_id, "-o", str(file), "--public-key", str(public))
    assert exported.exit_code == 0, exported.output
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    right = run("verify-receipts", str(file), "--public-key", str(public))
    assert right.exit_code == 0, right.output
    assert "3 receipts of 0.00000084 USD are right" in right.output
    first, _, last = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + last)
    wrong = run("verify-receipts", str(file), "--public-key", str(public))
    assert wrong.exit_code == 1
    assert "line 2: receipt 2 of" in wrong.output
    nothing = run("verify-receipts", str(file), "--public-key", str(file))
    assert nothing.exit_code == 1
    assert "public key" in nothing.output
