"""`/v1/organization/projects`: projects, made and archived."""

from flask import Blueprint, Response

from tasks import projects
from tasks.wire.organization.projects import (
    PROJECT_CREATE,
    PROJECT_UPDATE,
    ProjectBody,
    ProjectListBody,
    project_body,
    project_list_body,
)
from web import auth, bodies, queries
from web.admin_queries import ProjectListQuery
from web.api.organization.answers import body
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("projects", __name__, url_prefix="/projects")


@blueprint.post("")
@documented(
    Operation(
        tag="Admin",
        summary="Create a project",
        body=PROJECT_CREATE,
        replies={200: Reply("The project.", ProjectBody)},
        refusals=(400, 413, 415, 503),
    )
)
def create() -> Response:
    asked = bodies.read(PROJECT_CREATE)
    return body(project_body(projects.create_project(asked.name, actor=auth.actor())))


@blueprint.get("")
@documented(
    Operation(
        tag="Admin",
        summary="List projects",
        description="Oldest first; archived ones only with `include_archived`.",
        query=ProjectListQuery,
        replies={200: Reply("A page of projects.", ProjectListBody)},
        refusals=(400, 503),
    )
)
def index() -> Response:
    wanted = queries.read(ProjectListQuery)
    page = projects.project_page(auth.actor(), wanted.page(), include_archived=wanted.include_archived)
    return body(project_list_body(page))


@blueprint.get("/<id:project_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Read a project",
        replies={200: Reply("The project.", ProjectBody)},
        refusals=(404, 503),
    )
)
def read(project_id: str) -> Response:
    return body(project_body(projects.get_project(auth.actor(), project_id)))


@blueprint.post("/<id:project_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Rename a project",
        body=PROJECT_UPDATE,
        replies={200: Reply("The project.", ProjectBody)},
        refusals=(400, 404, 409, 413, 415, 503),
    )
)
def change(project_id: str) -> Response:
    asked = bodies.read(PROJECT_UPDATE)
    return body(project_body(projects.rename_project(auth.actor(), project_id, asked.name)))


@blueprint.post("/<id:project_id>/archive")
@documented(
    Operation(
        tag="Admin",
        summary="Archive a project",
        description="For good: its keys stop within a second. Its jobs and its bill stay readable.",
        replies={200: Reply("The project.", ProjectBody)},
        refusals=(404, 503),
    )
)
def archive(project_id: str) -> Response:
    return body(project_body(projects.archive_project(auth.actor(), project_id)))
