"""`/v1/billing`: a project's own ledger, to read, to download and to verify."""

from flask import Blueprint, Response
from pydantic import BaseModel

from tasks.billing.entries import entry_page
from tasks.billing.export import export as export_pieces
from tasks.billing.invoice import invoice as make_invoice
from tasks.billing.verify import verify as verify_books
from tasks.projects import find_project
from tasks.wire.billing import LedgerBody, VerificationBody, ledger_body, verification_body
from web import auth, queries
from web.billing_queries import ExportQuery, LedgerQuery, MonthQuery
from web.invoice import invoice_html
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("billing", __name__, url_prefix="/v1/billing")


@blueprint.get("/ledger")
@documented(
    Operation(
        tag="Billing",
        summary="Read the ledger",
        description="A month's entries, oldest first; `after` takes the `last_id` of a page to the next one.",
        query=LedgerQuery,
        replies={200: Reply("A page of entries.", LedgerBody)},
        refusals=(400, 429, 503),
    )
)
def ledger() -> Response:
    asked = queries.read(LedgerQuery)
    page = entry_page(auth.principal().project_id, asked.period, limit=asked.limit, after=asked.after)
    return _json(ledger_body(page))


@blueprint.get("/export")
@documented(
    Operation(
        tag="Billing",
        summary="Download the ledger",
        description="A month's entries as CSV, JSON lines or Parquet, in columns of our own or FOCUS's.",
        query=ExportQuery,
        replies={200: Reply("The file.", media="application/octet-stream")},
        refusals=(400, 429, 503),
    )
)
def export() -> Response:
    asked = queries.read(ExportQuery)
    project_id = auth.principal().project_id
    pieces = export_pieces(asked.period, asked.format, focus=asked.focus, project_id=project_id)
    response = Response(pieces, mimetype="application/octet-stream")
    filename = f"ledger-{asked.period.start:%Y-%m}.{asked.format}"
    response.headers.set("Content-Disposition", "attachment", filename=filename)
    return response


@blueprint.get("/invoice")
@documented(
    Operation(
        tag="Billing",
        summary="Read the invoice",
        description="Of a month, as a page made to be printed; of the present one, what there is so far.",
        query=MonthQuery,
        replies={200: Reply("The invoice.", media="text/html")},
        refusals=(400, 429, 503),
    )
)
def invoice() -> Response:
    asked = queries.read(MonthQuery)
    project = find_project(auth.principal().project_id)
    return Response(invoice_html(make_invoice(project, asked.period)), mimetype="text/html")


@blueprint.get("/verify")
@documented(
    Operation(
        tag="Billing",
        summary="Verify the ledger",
        description="Whether a month's charges are those of the jobs that ended in it, at the prices they "
        "were admitted at, and whether holds, spending and budgets agree with them now.",
        query=MonthQuery,
        replies={200: Reply("What was found.", VerificationBody)},
        refusals=(400, 429, 503),
    )
)
def verify() -> Response:
    asked = queries.read(MonthQuery)
    found = verify_books(asked.period, auth.principal().project_id, read_bodies=False)
    return _json(verification_body(found))


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), mimetype="application/json")
