"""How a client's errand can fail, in one line each."""

import click


class ClientFailure(click.ClickException):
    """It did not work; the message says why."""


class ApiRefusal(ClientFailure):
    """The platform said no."""

    def __init__(self, message: str, *, status: int, code: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
