"""The demo, from an empty folder to a ledger."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tasks import keys, ledger, projects
from tasks.settings import settings
from web.demo.client import DemoClient
from web.demo.server import ServerProcess
from web.demo.show import demo_console, job_state, progress, show_job, show_ledger
from web.embedded import embedded_platform

_LOOK_EVERY_SECONDS = 0.25
_ENDED = frozenset({"completed", "failed", "cancelled", "expired"})


@dataclass(frozen=True, slots=True)
class Question:
    """A job to submit, and how to speak of it."""

    title: str
    asked: str
    body: Mapping[str, Any]


def run(data_dir: Path) -> None:
    """Start everything, ask, show, stop."""
    console = demo_console()
    console.print("Starting Tokenmill: Postgres, HTTP server, worker and scheduler.")
    with embedded_platform(data_dir):
        project = projects.create_project("demo")
        secret = keys.create_key(project.id, "demo").secret
        console.print(f"Created project {project.id} and a key for it.")
        with ServerProcess(data_dir / "server.log") as server, DemoClient(server.url, secret) as client:
            _wait_until_ready(console, server, client)
            _ask(console, client)
        show_ledger(console, ledger.entries(project.id))
    console.print("Everything is stopped.")


def _wait_until_ready(console: Console, server: ServerProcess, client: DemoClient) -> None:
    started = time.monotonic()
    with progress(console) as say:
        while missing := client.missing():
            server.check()
            say(f"Waiting for {', '.join(missing)}… (the first start prepares the model)")
            time.sleep(_LOOK_EVERY_SECONDS)
    console.print(f"Ready on {server.url} after {time.monotonic() - started:.1f} s.")


def _ask(console: Console, client: DemoClient) -> None:
    questions = _questions(settings().served_model().name)
    job_ids = [client.submit(question.body) for question in questions]
    with progress(console) as say:
        while True:
            jobs = [client.job(job_id) for job_id in job_ids]
            say(
                "  |  ".join(
                    job_state(question.title, job) for question, job in zip(questions, jobs, strict=True)
                )
            )
            if all(job["status"] in _ENDED for job in jobs):
                break
    for question, job in zip(questions, jobs, strict=True):
        show_job(console, question.title, question.asked, job)


def _questions(model: str) -> list[Question]:
    chat, completion = "What is the capital of France?", "Bread is made from flour, water,"
    return [
        Question(
            "Chat job",
            chat,
            {
                "type": "chat",
                "model": model,
                "messages": [{"role": "user", "content": chat}],
                "temperature": 0,
                "max_tokens": 64,
            },
        ),
        Question(
            "Completion job",
            completion,
            {
                "type": "completion",
                "model": model,
                "prompt": completion,
                "temperature": 0,
                "max_tokens": 32,
                "stop": "\n",
            },
        ),
    ]
