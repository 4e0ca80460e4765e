"""Whose spending a budget counts: an organization's, a project's or a key's."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class SubjectKind(StrEnum):
    ORGANIZATION = "organization"
    PROJECT = "project"
    KEY = "key"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """One that may have a budget. Written ``kind:id``."""

    kind: SubjectKind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        kind, _, subject_id = text.partition(":")
        return cls(SubjectKind(kind), subject_id)

    @property
    def params(self) -> dict[str, str]:
        """As parameters of a statement."""
        return {"kind": self.kind.value, "id": self.id}
