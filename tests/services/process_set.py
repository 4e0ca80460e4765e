"""What a platform consists of, as `docker/processes.toml` says."""

import shlex
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tests.services.errors import ServiceError
from tests.services.platform import REPOSITORY

FILE = REPOSITORY / "docker" / "processes.toml"


class ProcessKind(BaseModel):
    """Processes that run the same command."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str = Field(pattern="^tokenmill ")
    count: int = Field(1, ge=1)
    ports: tuple[str, ...] = ()
    ready: str = Field(min_length=1)

    @property
    def arguments(self) -> list[str]:
        """What follows `tokenmill` in the command."""
        return shlex.split(self.command)[1:]


_FILE = TypeAdapter(dict[str, ProcessKind])


def read_process_set(path: Path = FILE) -> dict[str, ProcessKind]:
    """The kinds by name, in their order. Raises ServiceError, which says what is wrong where."""
    try:
        return _FILE.validate_python(tomllib.loads(path.read_text()))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ServiceError(f"{path} is wrong: {'; '.join(faults)}") from error
    except tomllib.TOMLDecodeError as error:
        raise ServiceError(f"{path} is wrong: {error}") from error
