"""Rows of tables, and prompts made of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.batch_client.errors import ClientFailure
from web.batch_client.tables import Table, open_table
from web.batch_client.template import PromptTemplate

ADDED: dict[str, type] = {"answer": str, "tokens": int}
MORE: list[tuple[object, ...]] = [("one, two", 3), (None, None)]


def opened(path: Path) -> Table:
    table = open_table(path)
    assert table is not None
    return table


def write(table: Table, out: Path, more: Sequence[Sequence[object]] = MORE) -> None:
    rows: Iterator[Sequence[object]] = iter(more)
    table.write(out, ADDED, rows)


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    path.write_text('id,my text\n1,"a ""b"",\nc"\n\n2,\n', "utf-8-sig")
    return path


@pytest.fixture
def parquet_file(tmp_path: Path) -> Path:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"id": pa.array([1, 2], pa.int16()), "my text": ["é", None]}), path)
    return path


def test_csv_rows_are_read_with_quotes_line_ends_and_a_byte_order_mark(csv_file: Path) -> None:
    table = opened(csv_file)
    assert list(table.columns) == ["id", "my text"]
    assert list(table.rows()) == [{"id": "1", "my text": 'a "b",\nc'}, {"id": "2", "my text": ""}]


def test_csv_is_written_with_its_rows_in_order_and_columns_added(csv_file: Path, tmp_path: Path) -> None:
    write(opened(csv_file), tmp_path / "out.csv")
    again = opened(tmp_path / "out.csv")
    assert list(again.columns) == ["id", "my text", "answer", "tokens"]
    assert list(again.rows()) == [
        {"id": "1", "my text": 'a "b",\nc', "answer": "one, two", "tokens": "3"},
        {"id": "2", "my text": "", "answer": "", "tokens": ""},
    ]


def test_parquet_keeps_its_types_and_gets_columns(parquet_file: Path, tmp_path: Path) -> None:
    table = opened(parquet_file)
    assert list(table.rows()) == [{"id": 1, "my text": "é"}, {"id": 2, "my text": None}]
    write(table, tmp_path / "out.parquet")
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.schema.field("id").type == pa.int16()
    assert written.to_pydict() == {
        "id": [1, 2],
        "my text": ["é", None],
        "answer": ["one, two", None],
        "tokens": [3, None],
    }


def test_parquet_of_several_batches_keeps_its_order(tmp_path: Path) -> None:
    count = 3000
    pq.write_table(pa.table({"id": list(range(count))}), tmp_path / "in.parquet")
    write(opened(tmp_path / "in.parquet"), tmp_path / "out.parquet", [(str(n), n) for n in range(count)])
    written = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert written["id"] == written["tokens"] == list(range(count))


def test_file_of_another_kind_is_no_table(tmp_path: Path) -> None:
    assert open_table(tmp_path / "in.jsonl") is None


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("in.csv", b"", "empty"),
        ("in.csv", b"a,a\n1,2\n", "two columns of one name"),
        ("in.csv", b"a\n\xff\n", "no CSV in UTF-8"),
        ("in.csv", b"a,b\n1\n", "Row 1 .* has 1 cells"),
        ("in.parquet", b"a,b\n", "no Parquet file"),
    ],
)
def test_table_that_can_not_be_read_is_refused(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClientFailure, match=why):
        list(opened(tmp_path / name).rows())


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "web.batch_client.parquet", None)
    with pytest.raises(ClientFailure, match=r"tokenmill\[parquet\]"):
        open_table(tmp_path / "in.parquet")


def test_prompt_is_filled_from_the_columns_it_names() -> None:
    template = PromptTemplate.parse("{{Sum up}}: {my text} ({id})")
    assert template.columns == ["my text", "id"]
    assert template.fill({"my text": "{id}", "id": 7, "other": 1}) == "{Sum up}: {id} (7)"
    assert template.fill({"my text": None, "id": 0}) == "{Sum up}:  (0)"


@given(st.text())
def test_text_with_its_braces_doubled_is_a_prompt_of_itself(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert PromptTemplate.parse(escaped).fill({}) == text


@pytest.mark.parametrize("text", ["{", "}", "{}", "{a!r}", "{a:>3}"])
def test_prompt_with_other_braces_is_refused(text: str) -> None:
    with pytest.raises(ClientFailure, match="can't be read"):
        PromptTemplate.parse(text)


def test_prompt_with_an_unknown_column_names_those_that_are_there() -> None:
    with pytest.raises(ClientFailure, match="'c'; the file has 'a', 'b'"):
        PromptTemplate.parse("{a} {c}").check(["a", "b"])
