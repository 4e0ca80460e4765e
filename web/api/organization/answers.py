"""How the admin API answers."""

from flask import Response
from pydantic import BaseModel


def body(shown: BaseModel) -> Response:
    return Response(shown.model_dump_json(), mimetype="application/json")
