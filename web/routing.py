"""What may stand in a path."""

from werkzeug.routing import BaseConverter


class ObjectId(BaseConverter):
    """An identifier such as `job_0199…`; anything else can name nothing, so it is not found."""

    regex = r"[A-Za-z0-9_\-]{1,100}"
