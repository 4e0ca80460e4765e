"""Identifiers: a prefix that tells what it names, then a UUID of version 7, so they sort by time.

A job is shown by the OpenAI endpoints under a name of their own (``chatcmpl-…``, ``resp_…``) with the
same digits.
"""

from uuid_utils import uuid7

JOB_PREFIX = "job_"
CHAT_COMPLETION_PREFIX = "chatcmpl-"
COMPLETION_PREFIX = "cmpl-"
RESPONSE_PREFIX = "resp_"
FILE_PREFIX = "file-"


def new_id(prefix: str) -> str:
    """``prefix_`` and 32 hexadecimal digits, later ones greater (RFC 9562, section 5.7)."""
    return f"{prefix}_{uuid7().hex}"


def earliest_id(prefix: str, unix_ms: int) -> str:
    """What every id made at this moment or later is greater than."""
    return f"{prefix}_{unix_ms:012x}" + "0" * 20


def new_file_id() -> str:
    """``file-`` and digits as above: the API writes the ids of files with a dash."""
    return FILE_PREFIX + uuid7().hex


def shown_as(job_id: str, prefix: str) -> str:
    """A job's id under another prefix: ``resp_`` makes ``resp_0199…`` of ``job_0199…``."""
    return prefix + job_id.removeprefix(JOB_PREFIX)


def job_id_of(shown: str, prefix: str) -> str | None:
    """The job's id behind one that ``shown_as`` made; None for an id with another prefix."""
    return JOB_PREFIX + shown.removeprefix(prefix) if shown.startswith(prefix) else None
