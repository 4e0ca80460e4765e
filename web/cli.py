"""The `tokenmill` command."""

import click
from pydantic import ValidationError

from inference.errors import CatalogError, InferenceError
from tasks.errors import TokenmillError
from tasks.version import version
from web.commands.admin_keys import admin_keys
from web.commands.batch import batch
from web.commands.billing import billing
from web.commands.budgets import budgets
from web.commands.db import db
from web.commands.demo import demo
from web.commands.flower import flower
from web.commands.keys import keys
from web.commands.prices import prices
from web.commands.projects import projects
from web.commands.scheduler import scheduler
from web.commands.serve import serve
from web.commands.status import status
from web.commands.users import users
from web.commands.web import web
from web.commands.worker import worker


class Failure(click.ClickException):
    """One clear line on stderr instead of a traceback."""


class SettingsFailure(Failure):
    """The settings are wrong, and so is every further try with them."""

    exit_code = 2


class Commands(click.Group):
    """Subcommands whose expected failures are told in one line."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ValidationError as error:
            raise SettingsFailure(_settings_faults(error)) from error
        except CatalogError as error:
            raise SettingsFailure(f"The model catalogue is wrong: {error}") from error
        except (TokenmillError, InferenceError) as error:
            raise Failure(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version(), prog_name="tokenmill", message="%(prog)s %(version)s")
def cli() -> None:
    """Asynchronous inference for language models.

    \b
    To try it, with nothing else running:
      tokenmill demo                 submit two jobs and watch them being run and billed
      tokenmill serve --embedded     the whole platform on this machine

    \b
    To run it for real, with Postgres and RabbitMQ at DATABASE_URL and BROKER_URL:
      tokenmill db upgrade           prepare the database
      tokenmill projects create acme
      tokenmill keys create --project acme
      tokenmill admin-keys create    for OpenAI's admin API, /v1/organization
      tokenmill web                  the HTTP API; any number of these
      tokenmill worker               runs a model; any number of these
      tokenmill scheduler            expiries, retries, dead workers; one or two of these
      tokenmill status               how it stands, on one screen
      tokenmill flower               workers and their tasks, in a browser

    Settings come from the environment: DATABASE_URL, BROKER_URL, REDIS_URL and TOKENMILL_….
    """


for command in (
    serve,
    demo,
    web,
    worker,
    scheduler,
    status,
    flower,
    db,
    projects,
    users,
    keys,
    admin_keys,
    batch,
    budgets,
    prices,
    billing,
):
    cli.add_command(command)


def main() -> None:
    cli(prog_name="tokenmill")


def _settings_faults(error: ValidationError) -> str:
    faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
    return "These settings are wrong: " + "; ".join(faults)


if __name__ == "__main__":
    main()
