"""The ledger as files, invoices and views."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tasks import corrections
from tasks.admission import Submission
from tasks.billing.columns import LEDGER_COLUMNS
from tasks.billing.entries import all_entries, entry_page
from tasks.billing.export import Format, export
from tasks.billing.focus import FOCUS_COLUMNS
from tasks.billing.invoice import invoice
from tasks.billing.period import Period
from tasks.db import transaction
from tasks.errors import InvalidRequest
from tasks.keys import Principal
from tasks.projects import create_project, find_project
from tests.integration.tasks.bookkeeping import CHARGE, change, finish, row
from web.invoice import invoice_html

Submit = Callable[..., Submission]
# Reports its own peak, which the parent could only sample.
PEAK = """
import resource, sys
from tasks.billing.export import export
from tasks.billing.period import Period
for form in ("csv", "parquet"):
    total = sum(map(len, export(Period.always(), form, focus=True)))
    print(total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
REPEAT = """
INSERT INTO ledger_entries (business_key, project_id, job_id, kind, amount_usd, prompt_tokens,
    cached_tokens, completion_tokens)
SELECT gen_random_uuid(), project_id, job_id, kind, amount_usd, prompt_tokens,
    cached_tokens, completion_tokens
FROM ledger_entries, generate_series(1, :times) WHERE business_key LIKE 'charge:%'
"""


@pytest.fixture
def books(submit_job: Submit, principal: Principal) -> None:
    """Two charges, an adjustment and a grant."""
    for _ in range(2):
        finish(submit_job().job.id)
    corrections.adjust(principal.project_id, Decimal("-0.5"), key="a", reason="<b>an outage</b>")
    corrections.grant(principal.project_id, Decimal(9), key="b", reason="paid")


def exported(form: Format, *, focus: bool = False, project_id: str | None = None) -> bytes:
    return b"".join(export(Period.parse_month(None), form, focus=focus, project_id=project_id))


@pytest.mark.usefixtures("books")
def test_every_format_says_the_same_to_the_last_digit(principal: Principal) -> None:
    table = list(csv.DictReader(io.StringIO(exported("csv").decode())))
    documents = [json.loads(line) for line in exported("jsonl").splitlines()]
    parquet = pq.read_table(io.BytesIO(exported("parquet"))).to_pylist()
    assert [one["amount_usd"] for one in table] == ["0.00000028", "0.00000028", "-0.5", "-9"]
    assert [one["amount_usd"] for one in documents] == [one["amount_usd"] for one in table]
    assert [one["amount_usd"] for one in parquet] == [Decimal(one["amount_usd"]) for one in table]
    for rows in (table, documents, parquet):
        assert list(rows[0]) == [column.name for column in LEDGER_COLUMNS]
        assert rows[0]["api_key_id"] == principal.api_key_id
        assert rows[2]["reason"] == "<b>an outage</b>"
    assert parquet[0]["created_at"].tzinfo is not None


@pytest.mark.usefixtures("books")
def test_focus_rows_add_up_to_the_ledger(principal: Principal) -> None:
    documents = [json.loads(line) for line in exported("jsonl", focus=True).splitlines()]
    assert list(documents[0]) == [column.name for column in FOCUS_COLUMNS]
    owed = row("SELECT sum(amount_usd) FROM ledger_entries")[0]
    assert sum(Decimal(one["BilledCost"]) for one in documents) == owed
    assert [one["ChargeCategory"] for one in documents] == ["Usage"] * 4 + ["Adjustment", "Credit"]
    assert [one["SkuMeter"] for one in documents[:2]] == ["Input Tokens", "Output Tokens"]
    for one in documents[:4]:
        assert Decimal(one["ListUnitPrice"]) * Decimal(one["PricingQuantity"]) == Decimal(one["ListCost"])
        assert one["Tags"]["api_key_id"] == principal.api_key_id
        assert one["BillingPeriodStart"].endswith("-01T00:00:00Z")
    table = pq.read_table(io.BytesIO(exported("parquet", focus=True)))
    assert table.num_rows == 6


@pytest.mark.usefixtures("books")
def test_other_projects_and_other_months_are_not_in_it(principal: Principal) -> None:
    neighbour = create_project("neighbour").id
    assert len(exported("csv", project_id=neighbour).splitlines()) == 1
    assert exported("jsonl", project_id=principal.project_id) == exported("jsonl")
    assert list(all_entries(Period.parse_month("2020-01"))) == []
    first = entry_page(principal.project_id, Period.always(), limit=1, after=None).items[0].id
    with pytest.raises(InvalidRequest, match="after names no entry"):
        entry_page(neighbour, Period.always(), limit=1, after=first)


@pytest.mark.usefixtures("books")
def test_pages_of_the_ledger_meet_without_gap_or_overlap(principal: Principal) -> None:
    whole = [entry.id for entry in all_entries(Period.always(), principal.project_id)]
    assert len(whole) == 4
    seen: list[int] = []
    more = True
    while more:
        page = entry_page(principal.project_id, Period.always(), limit=3, after=seen[-1] if seen else None)
        seen += [entry.id for entry in page.items]
        more = page.has_more
    assert seen == whole


def test_month_ends_where_the_next_begins(submit_job: Submit) -> None:
    finish(submit_job().job.id)
    unlock = "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_is_append_only"
    change(unlock, "UPDATE ledger_entries SET created_at = '2026-12-01T00:00:00Z'")
    assert list(all_entries(Period.parse_month("2026-11"))) == []
    assert len(list(all_entries(Period.parse_month("2026-12")))) == 1
    change("UPDATE ledger_entries SET created_at = '2026-11-30T23:59:59.999999Z'")
    assert len(list(all_entries(Period.parse_month("2026-11")))) == 1
    assert Period.parse_month("2026-12").end == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "26-01", "2026-11-01", "9999-12", ""])
def test_what_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Period.parse_month(month)
    assert caught.value.param == "month"


@pytest.mark.usefixtures("books")
def test_invoice_adds_up_and_escapes_other_peoples_words(principal: Principal) -> None:
    made = invoice(find_project(principal.project_id), Period.parse_month(None))
    assert made.due_usd == CHARGE * 2 - Decimal("0.5")
    assert [line.jobs for line in made.usage] == [2]
    page = invoice_html(made)
    assert "&lt;b&gt;an outage&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "-0.49999944 USD" in page
    assert "-9.00" in page


def test_export_of_many_entries_takes_no_more_memory(
    submit_job: Submit, principal: Principal, database_url: str
) -> None:
    finish(submit_job().job.id)
    peaks = []
    for entries in (3_000, 30_000):
        with transaction() as connection:
            connection.execute(text(REPEAT), {"times": entries})
        run = subprocess.run(
            [sys.executable, "-c", PEAK],
            env={"DATABASE_URL": database_url, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append([tuple(map(int, line.split())) for line in run.stdout.splitlines()])
    (few_csv, few_parquet), (many_csv, many_parquet) = peaks
    assert many_csv[0] > 10 * few_csv[0]
    # Kilobytes; what is held all at once would be hundreds of megabytes more.
    assert many_csv[1] < few_csv[1] + 30_000
    assert many_parquet[1] < few_parquet[1] + 120_000


@pytest.mark.usefixtures("books")
def test_views_have_a_role_that_may_read_them_and_nothing_else() -> None:
    daily = row("SELECT sum(amount_usd), sum(jobs) FROM billing_daily")
    assert daily == (CHARGE * 2 - Decimal("0.5"), 2)
    assert row("SELECT api_key, amount_usd, jobs FROM billing_by_key") == ("tests", CHARGE * 2, 2)
    assert row("SELECT endpoint, prompt_tokens, completion_tokens FROM usage_hourly") == ("/v1/jobs", 4, 6)
    described = row("SELECT obj_description('billing_daily'::regclass)")[0]
    assert "Grants are not in it" in described
    with transaction() as connection:
        connection.execute(text("SET LOCAL ROLE tokenmill_readonly"))
        for view in ("billing_daily", "billing_by_key", "usage_hourly"):
            assert connection.execute(text(f"SELECT count(*) FROM {view}")).scalar_one() > 0  # noqa: S608
    with pytest.raises(ProgrammingError, match="permission denied"):
        change("SET LOCAL ROLE tokenmill_readonly", "SELECT * FROM ledger_entries")
