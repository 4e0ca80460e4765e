from tasks.wire.chunks import Event, Piece
from web.sse import Position, error_frame, frame, frames


def test_an_event_has_its_id_its_name_and_its_data() -> None:
    assert frame(Event(data='{"a":1}', event="tokens"), "12.7") == (
        b'id: 12.7\nevent: tokens\ndata: {"a":1}\n\n'
    )
    assert frame(Event(data="[DONE]")) == b"data: [DONE]\n\n"


def test_data_is_utf_8_and_its_line_breaks_are_no_end_of_the_event() -> None:
    assert frame(Event(data="é\n漢")) == "data: é\ndata: 漢\n\n".encode()


def test_a_position_is_reached_with_the_last_of_its_events() -> None:
    assert frames([Event(data="1"), Event(data="2")], "5") == b"data: 1\n\nid: 5\ndata: 2\n\n"
    assert frames([], "5") == b""


def test_a_position_counts_the_pieces_of_each_output() -> None:
    position = Position(3)
    for choice in (0, 0, 2):
        position.take(Piece(choice=choice, position=1, text=""))
    assert str(position) == "2.0.1"
    assert str(Position(0)) == "0"


def test_an_error_is_an_event_that_the_sdk_raises() -> None:
    assert error_frame({"error": {"message": "m"}}) == b'event: error\ndata: {"error": {"message": "m"}}\n\n'
