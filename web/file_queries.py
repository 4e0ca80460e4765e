"""Query parameters of files."""

from typing import Literal

from pydantic import Field

from tasks.files import FileFilter
from web.queries import Name, Query


class FileListQuery(Query):
    """Which files to list."""

    limit: int = Field(10_000, ge=1, le=10_000, description="How many at most.")
    after: Name | None = Field(None, description="The page behind this file.")
    order: Literal["asc", "desc"] = Field("desc", description="By time of creation.")
    purpose: Name | None = None

    def file_filter(self) -> FileFilter:
        return FileFilter(**self.model_dump())
