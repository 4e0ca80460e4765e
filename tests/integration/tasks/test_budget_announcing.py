"""A threshold that is reached is told to the webhook endpoints of the projects that it counts."""

import json
from collections.abc import Callable
from decimal import Decimal

from tasks import budget_alerts, budget_announcing, budgets
from tasks.admission import Submission
from tasks.budget_subject import Subject, SubjectKind
from tasks.db import transaction
from tasks.keys import Principal
from tasks.organization_projects import organization_of
from tasks.pricing import usd_text
from tests.integration.tasks.bookkeeping import CHARGE, finish, row
from tests.integration.tasks.webhook_work import WebhookWork

Submit = Callable[..., Submission]
REACHED = "budget.threshold_reached"


def test_threshold_is_told_once_to_projects_whose_spending_it_counts(
    submit_job: Submit, principal: Principal
) -> None:
    with transaction() as connection:
        organization_id = organization_of(connection, principal.project_id)
    assert organization_id is not None
    organization = Subject(SubjectKind.ORGANIZATION, organization_id)
    budgets.set_budget(organization, hard_usd=Decimal(1), soft_usd=CHARGE)
    work = WebhookWork(principal.project_id, "https://hooks.example.com/")
    endpoint = work.endpoint(event_types=[REACHED]).endpoint
    finish(submit_job().job.id)
    assert budget_alerts.note_crossed() == 1
    assert (budget_announcing.announce_due(), budget_announcing.announce_due()) == (1, 0)
    assert work.told(endpoint.id) == [REACHED]
    (body,) = row("SELECT body FROM webhook_deliveries")
    data = json.loads(str(body))["data"]
    assert data["id"] == organization_id
    assert (data["subject"], data["alert"]) == ("organization", "soft_limit")
    assert (data["threshold_usd"], data["spent_usd"]) == (usd_text(CHARGE), usd_text(CHARGE))
