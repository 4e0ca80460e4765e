"""Fields of rows as COPY's text format has them."""

from decimal import Decimal

import pytest

from tasks.row_spool import _field


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, "\\N"),
        (True, "t"),
        (7, "7"),
        (Decimal("0.000012"), "0.000012"),
        ("a\tb\\c\nd\re", "a\\tb\\\\c\\nd\\re"),
        ([1, 2, 3], "{1,2,3}"),
        ([], "{}"),
        ({"a": "b\n"}, '{"a":"b\\\\n"}'),
    ],
)
def test_field(value: object, field: str) -> None:
    assert _field(value) == field


def test_value_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        _field(object())
