import socket
import threading

from web import disconnects


def test_a_client_that_closes_its_connection_is_noticed_at_once() -> None:
    ours, theirs = socket.socketpair()
    gone = threading.Event()
    with ours, disconnects.watched({disconnects.SOCKET: ours}, gone.set) as client:
        assert not gone.wait(0.05)
        assert not client.gone
        theirs.close()
        assert gone.wait(5)
        assert client.gone


def test_a_client_that_left_before_is_noticed_too() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    gone = threading.Event()
    with ours, disconnects.watched({disconnects.SOCKET: ours}, gone.set):
        assert gone.wait(5)


def test_a_client_that_sends_more_is_still_there() -> None:
    ours, theirs = socket.socketpair()
    gone = threading.Event()
    with ours, theirs, disconnects.watched({disconnects.SOCKET: ours}, gone.set) as client:
        theirs.send(b"the next request")
        assert not gone.wait(0.05)
        assert not client.gone


def test_one_connection_after_another_is_watched() -> None:
    ours, theirs = socket.socketpair()
    first, second = threading.Event(), threading.Event()
    with ours:
        with disconnects.watched({disconnects.SOCKET: ours}, first.set):
            pass
        with disconnects.watched({disconnects.SOCKET: ours}, second.set):
            theirs.close()
            assert second.wait(5)
    assert not first.is_set()


def test_where_the_server_shows_no_socket_the_client_seems_to_stay() -> None:
    with disconnects.watched({}, lambda: None) as client:
        assert not client.gone
