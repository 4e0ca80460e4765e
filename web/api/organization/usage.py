"""`/v1/organization/usage` and `/v1/organization/costs`: what the organization used and what it cost."""

from flask import Blueprint, Response

from tasks import organization_costs, organization_usage
from tasks.wire.organization.usage import (
    CompletionsUsagePage,
    CostsPage,
    EmbeddingsUsagePage,
    completions_usage_page,
    costs_page,
    embeddings_usage_page,
)
from web import auth, queries
from web.api.organization.answers import body
from web.openapi import Operation, Reply, documented
from web.usage_queries import CompletionsUsageQuery, CostsQuery, EmbeddingsUsageQuery

blueprint = Blueprint("usage", __name__)


@blueprint.get("/usage/completions")
@documented(
    Operation(
        tag="Admin",
        summary="Read the usage of chats, completions and responses",
        description="Tokens that were charged, by the time at which their jobs ended.",
        query=CompletionsUsageQuery,
        replies={200: Reply("A page of buckets.", CompletionsUsagePage)},
        refusals=(400, 503),
    )
)
def completions() -> Response:
    asked = queries.read(CompletionsUsageQuery)
    page = organization_usage.usage(
        auth.actor(), "completions", asked.stretch, asked.usage_filter, asked.group_by
    )
    return body(completions_usage_page(page))


@blueprint.get("/usage/embeddings")
@documented(
    Operation(
        tag="Admin",
        summary="Read the usage of embeddings",
        description="Tokens that were charged, by the time at which their jobs ended.",
        query=EmbeddingsUsageQuery,
        replies={200: Reply("A page of buckets.", EmbeddingsUsagePage)},
        refusals=(400, 503),
    )
)
def embeddings() -> Response:
    asked = queries.read(EmbeddingsUsageQuery)
    page = organization_usage.usage(
        auth.actor(), "embeddings", asked.stretch, asked.usage_filter, asked.group_by
    )
    return body(embeddings_usage_page(page))


@blueprint.get("/costs")
@documented(
    Operation(
        tag="Admin",
        summary="Read costs",
        description="The ledger by the day: charges, refunds and adjustments. Grants pay; they cost nothing.",
        query=CostsQuery,
        replies={200: Reply("A page of days.", CostsPage)},
        refusals=(400, 503),
    )
)
def costs() -> Response:
    asked = queries.read(CostsQuery)
    page = organization_costs.costs(
        auth.actor(),
        asked.stretch,
        asked.usage_filter,
        group_by=asked.group_by,
        line_items=asked.line_items,
    )
    return body(costs_page(page))
