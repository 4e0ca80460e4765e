"""Batches of keys that may not use every model, on a real Postgres."""

import pytest

from tasks import batch_estimate, batch_validation, keys
from tasks.batch import BatchStatus
from tasks.batch_ending import end_due
from tasks.batch_plan import BatchPlan
from tasks.batches import cancel_batch, retry_batch
from tasks.keys import KeyTerms, Principal
from tasks.plan import Endpoint
from tests.integration.tasks.batch_work import again, begin_batch, lines

pytestmark = pytest.mark.usefixtures("batch_storage")


@pytest.fixture
def restricted(principal: Principal) -> Principal:
    """A key of the same project for embeddings alone."""
    made = keys.create_key(principal.project_id, "vectors", terms=KeyTerms(models=["minilm"]))
    return keys.authenticate(made.secret)


def test_every_line_for_a_model_that_its_key_may_not_use_is_named(restricted: Principal) -> None:
    batch = begin_batch(restricted, lines(2))
    assert batch.status is BatchStatus.FAILED
    assert batch.errors is not None
    assert [(fault["line"], fault["code"], fault["param"]) for fault in batch.errors] == [
        (1, "model_not_allowed", "body.model"),
        (2, "model_not_allowed", "body.model"),
    ]


def test_estimate_counts_no_line_for_a_model_that_the_key_may_not_use(
    principal: Principal, restricted: Principal
) -> None:
    batch = begin_batch(principal, lines(2))
    plan = BatchPlan(endpoint=Endpoint.COMPLETIONS, input_file_id=batch.input_file_id)
    assert batch_estimate.estimate(principal, plan).invalid == 0
    assert batch_estimate.estimate(restricted, plan).invalid == 2


def test_lines_are_not_run_again_with_a_key_that_may_not_use_their_model(
    principal: Principal, restricted: Principal
) -> None:
    ended = begin_batch(principal, lines(2))
    cancel_batch(principal.project_id, ended.id)
    end_due()
    end_due()
    batch = retry_batch(restricted, ended.id)
    batch_validation.validate_waiting()
    refused = again(batch)
    assert refused.status is BatchStatus.FAILED
    assert refused.errors is not None
    assert refused.errors[0]["code"] == "model_not_allowed"
