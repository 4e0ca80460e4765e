"""A platform that runs already, described in a file for whoever wants to use it."""

import os
from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict

# Not one of the settings' own names: tests take those out of their environment.
VARIABLE = "RUNNING_PLATFORM"


class RunningPlatform(BaseModel):
    """Where it is, a key to it, and where its data and logs lie."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str
    api_key: str
    database_url: str
    broker_url: str
    redis_url: str
    data_dir: Path
    logs: Path
    pid: int

    def write(self, path: Path) -> None:
        """For its owner's eyes alone, since it has the key."""
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(self.model_dump_json(indent=2) + "\n")

    @classmethod
    def of_environment(cls) -> Self | None:
        """The one that the environment names, if any."""
        path = os.environ.get(VARIABLE)
        return cls.model_validate_json(Path(path).read_text()) if path else None

    def web_processes(self) -> list[psutil.Process]:
        """Those that run now, with the children that each has."""
        return [process for process in psutil.Process(self.pid).children(recursive=True) if _is_web(process)]


def _is_web(process: psutil.Process) -> bool:
    try:
        return {"web.cli", "web"} <= set(process.cmdline())
    except psutil.NoSuchProcess:
        return False
