"""What a migration takes from the code of the release before it, read from the SQL that it runs."""

import re
from collections.abc import Iterator
from io import StringIO

from alembic import command

from tasks import migrate

_DOLLAR_QUOTED = re.compile(r"\$(\w*)\$.*?\$\1\$", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^']|'')*'")
_COMMENT = re.compile(r"--[^\n]*")
# Commas between the actions of one ALTER TABLE, not those within parentheses.
_BETWEEN_ACTIONS = re.compile(r",(?![^()]*\))")

_CREATE_TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", re.IGNORECASE)
_ALTER_TABLE = re.compile(r"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?(\w+) (.*)", re.IGNORECASE)
_DROP = re.compile(
    r"DROP (?:MATERIALIZED )?(TABLE|VIEW|FUNCTION|SEQUENCE|TYPE) (?:IF EXISTS )?(\w+)", re.IGNORECASE
)
_RENAME = re.compile(r"ALTER (?:VIEW|FUNCTION|SEQUENCE|TYPE) (\w+) RENAME", re.IGNORECASE)
_DEFAULT_SET = re.compile(r"ALTER (?:COLUMN )?(\w+) SET DEFAULT", re.IGNORECASE)
_COLUMN_ADDED = re.compile(
    r"ADD (?:COLUMN )?(?:IF NOT EXISTS )?(?!CONSTRAINT|CHECK|UNIQUE|FOREIGN|PRIMARY)(\w+) (.*)", re.IGNORECASE
)
_FILLED = re.compile(r"DEFAULT|GENERATED|SERIAL", re.IGNORECASE)

_ACTIONS = {
    "drops column": re.compile(r"DROP (?:COLUMN )?(?:IF EXISTS )?(?!CONSTRAINT)(\w+)", re.IGNORECASE),
    "renames column": re.compile(r"RENAME (?:COLUMN )?(?!TO |CONSTRAINT )(\w+) TO", re.IGNORECASE),
    "changes the type of": re.compile(r"ALTER (?:COLUMN )?(\w+) (?:SET DATA )?TYPE", re.IGNORECASE),
    "requires": re.compile(r"ALTER (?:COLUMN )?(\w+) SET NOT NULL", re.IGNORECASE),
    "drops the default of": re.compile(r"ALTER (?:COLUMN )?(\w+) DROP DEFAULT", re.IGNORECASE),
}


def upgrade_sql(revision: str, before: str | None) -> str:
    """All that a migration runs, without running it."""
    config = migrate._config("")
    config.output_buffer = StringIO()
    command.upgrade(config, f"{before or 'base'}:{revision}", sql=True)
    return config.output_buffer.getvalue()


def contractions(sql: str) -> list[str]:
    """What code that does not know of these statements would miss, or could no longer write."""
    statements = list(_statements(sql))
    new = {found[1] for statement in statements if (found := _CREATE_TABLE.match(statement))}
    return [
        contraction
        for statement in statements
        for table, contraction in _contractions(statement, statements)
        if table not in new
    ]


def _statements(sql: str) -> Iterator[str]:
    for pattern in (_DOLLAR_QUOTED, _QUOTED, _COMMENT):
        sql = pattern.sub("''" if pattern is not _COMMENT else "", sql)
    for statement in sql.split(";"):
        if statement.strip():
            yield " ".join(statement.split())


def _contractions(statement: str, statements: list[str]) -> Iterator[tuple[str, str]]:
    if dropped := _DROP.match(statement):
        yield dropped[2], f"drops {dropped[1].lower()} {dropped[2]}"
    elif renamed := _RENAME.match(statement):
        yield renamed[1], f"renames {renamed[1]}"
    elif altered := _ALTER_TABLE.match(statement):
        table, actions = altered.groups()
        for action in _BETWEEN_ACTIONS.split(actions):
            for contraction in _of_action(table, action.strip(), statements):
                yield table, contraction


def _of_action(table: str, action: str, statements: list[str]) -> Iterator[str]:
    if action.upper().startswith("RENAME TO"):
        yield f"renames {table}"
    if (
        (added := _COLUMN_ADDED.match(action))
        and "NOT NULL" in added[2].upper()
        and not _FILLED.search(added[2])
    ):
        yield f"requires {table}.{added[1]}"
    for what, pattern in _ACTIONS.items():
        if (found := pattern.match(action)) and not (
            what == "requires" and _has_default(table, found[1], statements)
        ):
            yield f"{what} {table}.{found[1]}"


def _has_default(table: str, column: str, statements: list[str]) -> bool:
    """Whether the same migration gives the column a value where none is written."""
    for statement in statements:
        altered = _ALTER_TABLE.match(statement)
        if altered is None or altered[1] != table:
            continue
        for action in map(str.strip, _BETWEEN_ACTIONS.split(altered[2])):
            found = _DEFAULT_SET.match(action)
            added = _COLUMN_ADDED.match(action)
            if (found and found[1] == column) or (added and added[1] == column and _FILLED.search(added[2])):
                return True
    return False
