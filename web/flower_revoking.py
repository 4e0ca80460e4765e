"""Flower's way to revoke a task, answered by cancelling its job rather than by asking the workers."""

import asyncio
from http import HTTPStatus

from flower.api.control import ControlHandler
from tornado import web

from tasks import revoking
from tasks.errors import DatabaseUnavailable, JobAlreadyEnded, JobNotFound, TokenmillError

_STATUSES = {
    JobNotFound: HTTPStatus.NOT_FOUND,
    JobAlreadyEnded: HTTPStatus.CONFLICT,
    DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


class RevokeJob(ControlHandler):
    """`POST /api/task/revoke/ID`, which the buttons Revoke and Terminate use too."""

    @web.authenticated
    async def post(self, task_id: str) -> None:
        """Cancel a job, or say why that can't be."""
        if self.application.options.read_only:
            raise web.HTTPError(HTTPStatus.FORBIDDEN, "Without a password Flower only shows.")
        try:
            said = await asyncio.get_running_loop().run_in_executor(None, revoking.revoke, task_id)
        except TokenmillError as error:
            status = _STATUSES.get(type(error), HTTPStatus.BAD_REQUEST)
            raise web.HTTPError(status, error.message) from error
        self.write({"message": said})
