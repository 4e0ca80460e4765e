"""Receipts of real charges: each in its project's chain once, in the order in which it was signed."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tasks import claiming, corrections, deletion, jobs, keys
from tasks.admission import Submission
from tasks.db import transaction
from tasks.errors import JobNotFound
from tasks.jobs import Ending
from tasks.keys import Principal
from tasks.models import JobStatus
from tasks.pricing import usd_text
from tasks.projects import create_project
from tasks.receipts.chain import sign_receipts
from tasks.receipts.document import tokens_sha256
from tasks.receipts.errors import JobNotEnded, ReceiptNotFound, ReceiptNotReady, ReceiptsNotConfigured
from tasks.receipts.reading import export_receipts, get_receipt
from tasks.receipts.signing import new_key_file, signing_key
from tasks.receipts.verify import verify_receipts
from tasks.settings import settings
from tests.integration.tasks.bookkeeping import CHARGE, change, finish, row
from tests.integration.tasks.conftest import MODEL

Submit = Callable[..., Submission]


def use_key(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_key_file(file)
    monkeypatch.setenv("TOKENMILL_RECEIPT_KEY", str(file))
    settings.cache_clear()


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_key(tmp_path / "key.pem", monkeypatch)


def chain_of(project_id: str) -> list[dict[str, Any]]:
    """Verified."""
    lines = list(export_receipts(project_id))
    found = verify_receipts(lines, [signing_key().public])
    assert found.wrong is None
    return [json.loads(line)["receipt"] for line in lines]


@pytest.mark.usefixtures("key")
def test_receipt_says_what_was_charged_and_for_what(submit_job: Submit, principal: Principal) -> None:
    job = submit_job(temperature=0.7, top_p=0.5, seed=2**63 - 1).job
    finish(job.id)
    assert sign_receipts() == 1
    receipt = get_receipt(principal.project_id, job.id)
    content = receipt.content
    entry = row("SELECT id, created_at FROM ledger_entries")
    prompt = row("SELECT prompt_token_ids FROM jobs").prompt_token_ids
    assert (content["sequence"], content["previous_sha256"]) == (1, None)
    assert (content["project_id"], content["job"]["id"]) == (principal.project_id, job.id)
    assert content["job"]["ended_at"] == entry.created_at.isoformat(timespec="microseconds").replace(
        "+00:00", "Z"
    )
    assert content["model"]["name"] == MODEL
    assert content["model"]["quantization"]
    assert (content["parameters"]["temperature"], content["parameters"]["max_tokens"]) == ("0.7", 8)
    assert content["seed"] == str(2**63 - 1)
    assert content["usage"] == {"prompt_tokens": 2, "cached_tokens": 0, "completion_tokens": 3}
    assert content["price_usd_per_million_tokens"]["output"] == "0.08"
    assert content["cost_usd"] == usd_text(CHARGE)
    assert content["ledger_entry"] == {"id": str(entry.id), "business_key": f"charge:{job.id}"}
    assert content["input_sha256"] == tokens_sha256([prompt])
    assert content["output_sha256"] == tokens_sha256([[1, 2, 3]])
    assert chain_of(principal.project_id) == [content]


@pytest.mark.usefixtures("key")
def test_each_project_has_a_chain_of_its_own(submit_job: Submit, principal: Principal) -> None:
    other = keys.authenticate(keys.create_key(create_project("other").id, "other").secret)
    for by in (principal, other, principal):
        finish(submit_job(by=by).job.id)
    assert sign_receipts() == 3
    finish(submit_job().job.id)
    assert sign_receipts() == 1
    assert [one["sequence"] for one in chain_of(principal.project_id)] == [1, 2, 3]
    assert [one["sequence"] for one in chain_of(other.project_id)] == [1]


@pytest.mark.usefixtures("key")
def test_job_of_a_killed_worker_has_one_receipt(submit_job: Submit, principal: Principal) -> None:
    job_id = submit_job().job.id
    with transaction() as connection:
        dead = claiming.claim(connection, job_id, "worker_dead")
        assert dead is not None
        jobs.take_from_dead(connection, [(job_id, dead.attempt)])
    finish(job_id)
    late = Ending(
        job_id=job_id, attempt=dead.attempt, status=JobStatus.COMPLETED, prompt_tokens=2, completion_tokens=9
    )
    with transaction() as connection:
        assert jobs.end(connection, [late]) == []
    assert sign_receipts() == 1
    assert sign_receipts() == 0
    assert [one["usage"]["completion_tokens"] for one in chain_of(principal.project_id)] == [3]


@pytest.mark.usefixtures("key")
def test_schedulers_that_sign_at_once_make_one_chain(submit_job: Submit, principal: Principal) -> None:
    for _ in range(12):
        finish(submit_job().job.id)
    with ThreadPoolExecutor(6) as threads:
        signed = list(threads.map(lambda _: sign_receipts(), range(6)))
    assert sum(signed) == 12
    assert len(chain_of(principal.project_id)) == 12


@pytest.mark.usefixtures("key")
def test_what_was_not_charged_has_no_receipt(submit_job: Submit, principal: Principal) -> None:
    failed, running, charged = (submit_job().job.id for _ in range(3))
    finish(failed, JobStatus.FAILED)
    finish(charged)
    corrections.refund(charged, reason="test")
    corrections.grant(principal.project_id, CHARGE, key="a", reason="test")
    assert sign_receipts() == 1
    with pytest.raises(ReceiptNotFound):
        get_receipt(principal.project_id, failed)
    with pytest.raises(JobNotEnded):
        get_receipt(principal.project_id, running)
    with pytest.raises(JobNotFound):
        get_receipt(create_project("other").id, charged)
    assert len(chain_of(principal.project_id)) == 1


def test_without_a_key_receipts_wait_for_one(
    submit_job: Submit, principal: Principal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit_job().job.id
    finish(job_id)
    assert sign_receipts() == 0
    with pytest.raises(ReceiptsNotConfigured):
        get_receipt(principal.project_id, job_id)
    use_key(tmp_path / "key.pem", monkeypatch)
    with pytest.raises(ReceiptNotReady):
        get_receipt(principal.project_id, job_id)
    assert sign_receipts() == 1
    assert len(chain_of(principal.project_id)) == 1


@pytest.mark.usefixtures("key")
def test_chain_goes_on_with_another_key(
    submit_job: Submit, principal: Principal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(submit_job().job.id)
    sign_receipts()
    first = signing_key().public
    use_key(tmp_path / "second.pem", monkeypatch)
    finish(submit_job().job.id)
    sign_receipts()
    lines = list(export_receipts(principal.project_id))
    assert verify_receipts(lines, [first, signing_key().public]).wrong is None
    wrong = verify_receipts(lines, [first]).wrong
    assert wrong is not None
    assert (wrong.fault, wrong.line) == ("wrong_key", 2)


@pytest.mark.usefixtures("key")
def test_receipt_of_what_was_erased_tells_of_the_money_alone(
    submit_job: Submit, principal: Principal
) -> None:
    job_id = submit_job().job.id
    finish(job_id)
    deletion.delete_job(principal.project_id, job_id)
    deletion.erase_deleted()
    sign_receipts()
    (receipt,) = chain_of(principal.project_id)
    assert (receipt["input_sha256"], receipt["output_sha256"], receipt["parameters"]) == (None, None, None)
    assert receipt["cost_usd"] == usd_text(CHARGE)


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    "tampering",
    ["UPDATE receipts SET document = '{}'", "DELETE FROM receipts", "TRUNCATE receipts"],
)
def test_signed_receipt_stays_as_it_is(submit_job: Submit, tampering: str) -> None:
    finish(submit_job().job.id)
    sign_receipts()
    with pytest.raises(DBAPIError, match="receipts are for good"):
        change(tampering)


@pytest.mark.usefixtures("key")
def test_charge_that_is_taken_back_with_its_transaction_leaves_no_receipt(submit_job: Submit) -> None:
    job_id = submit_job().job.id
    with transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO ledger_entries (business_key, project_id, job_id, kind, amount_usd)"
                " SELECT 'x', project_id, id, 'charge', 1 FROM jobs WHERE id = :id"
            ),
            {"id": job_id},
        )
        connection.rollback()
    assert sign_receipts() == 0
    assert row("SELECT count(*) AS receipts FROM receipts").receipts == 0
