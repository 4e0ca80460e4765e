"""`/v1/jobs/{id}/receipt` and `/v1/receipts/key`: signed receipts, and what to verify them with."""

from flask import Blueprint, Response

from tasks.receipts.reading import get_receipt
from tasks.receipts.signing import signing_key
from tasks.wire.receipts import ReceiptBody, ReceiptKeyBody, receipt_body, receipt_key_body
from web import auth
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("receipts", __name__, url_prefix="/v1")


@blueprint.get("/jobs/<id:job_id>/receipt")
@documented(
    Operation(
        tag="Billing",
        summary="Read a job's receipt",
        description="What was charged for the job, signed seconds after it ended. No charge, no receipt.",
        replies={200: Reply("The receipt.", ReceiptBody)},
        refusals=(404, 409, 429, 503),
    )
)
def read(job_id: str) -> Response:
    receipt = get_receipt(auth.principal().project_id, job_id)
    return Response(receipt_body(receipt).model_dump_json(), mimetype="application/json")


@blueprint.get("/receipts/key")
@documented(
    Operation(
        tag="Billing",
        summary="Read the public key of receipts",
        replies={200: Reply("The key.", ReceiptKeyBody)},
        refusals=(404, 429, 503),
    )
)
def key() -> Response:
    return Response(receipt_key_body(signing_key().public).model_dump_json(), mimetype="application/json")
