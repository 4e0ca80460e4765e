from web.commands.table import table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("ID", "NAME"), [("a", "first"), ("long", "")]) == "ID    NAME\na     first\nlong"


def test_table_without_rows_is_its_headings() -> None:
    assert table(("ID", "NAME"), []) == "ID  NAME"
