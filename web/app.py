"""The Flask application."""

from flask import Flask

from tasks.settings import settings
from web import auth, docs, errors, limits, metrics, requests, tracing
from web.api import (
    batches,
    billing,
    chat,
    completions,
    conversations,
    embeddings,
    files,
    health,
    job_events,
    jobs,
    models,
    organization,
    receipts,
    responses,
    uploads,
    webhook_deliveries,
    webhooks,
)
from web.api.metrics import blueprint as metrics_page
from web.longpoll import LongPolls
from web.routing import ObjectId


def create_app(threads: int | None = None) -> Flask:
    """The application, for a server that runs so many requests at a time."""
    app = Flask(__name__, static_folder=None)
    app.url_map.converters["id"] = ObjectId
    app.extensions["long_polls"] = LongPolls.leaving_room(threads or settings().web_threads)
    # In this order: a request has an id before it is refused, and is counted for whoever sent it.
    metrics.install(app)
    requests.install(app)
    tracing.install(app)
    errors.install(app)
    auth.install(app)
    limits.install(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics_page)
    app.register_blueprint(models.blueprint)
    app.register_blueprint(jobs.blueprint)
    app.register_blueprint(job_events.blueprint)
    app.register_blueprint(chat.blueprint)
    app.register_blueprint(completions.blueprint)
    app.register_blueprint(embeddings.blueprint)
    app.register_blueprint(responses.blueprint)
    app.register_blueprint(conversations.blueprint)
    app.register_blueprint(batches.blueprint)
    app.register_blueprint(files.blueprint)
    app.register_blueprint(uploads.blueprint)
    app.register_blueprint(organization.blueprint)
    app.register_blueprint(billing.blueprint)
    app.register_blueprint(receipts.blueprint)
    app.register_blueprint(webhooks.blueprint)
    app.register_blueprint(webhook_deliveries.blueprint)
    docs.install(app)
    return app
