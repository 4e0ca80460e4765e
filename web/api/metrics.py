"""`/metrics`: what Prometheus reads, without a key but only from networks that are told."""

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from tasks.addresses import among, listed_networks, parse_address
from tasks.metrics.exposition import CONTENT_TYPE, exposition
from tasks.settings import settings
from web.client_address import client_address
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("metrics", __name__)

# What proxies add to a request that they pass on.
_PASSED_ON = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")


@blueprint.get("/metrics")
@documented(
    Operation(
        tag="Health",
        summary="Metrics for Prometheus",
        description="Of all processes of this server together. Only networks that the operator has named, by "
        "default private ones, find anything at this address.",
        replies={200: Reply("The metrics, in Prometheus' text format.", media="text/plain")},
        refusals=(404,),
    )
)
def read() -> Response:
    if not _may_be_told():
        raise NotFound
    return Response(exposition(), content_type=CONTENT_TYPE)


def _may_be_told() -> bool:
    address = client_address()
    peer = parse_address(request.remote_addr)
    if address == peer and any(name in request.headers for name in _PASSED_ON):
        # A proxy nobody trusts lives in a private network, too; whoever is behind it need not.
        return False
    return among(address, listed_networks(settings().metrics_networks, param="metrics_networks"))
