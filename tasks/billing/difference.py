"""Where two books do not say the same."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """``check`` is a stable word for what is wrong; ``about`` the id of what it is wrong with."""

    check: str
    project_id: str
    about: str
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.about} of project {self.project_id}: {self.message}"
