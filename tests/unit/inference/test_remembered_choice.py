from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import pytest

from inference.remembered_choice import remembered_choice

BOTH = ("fp32", "int8")


def never() -> str:
    raise AssertionError("measured again")


def says(choice: str) -> Callable[[], str]:
    return lambda: choice


def test_second_start_chooses_the_same_without_measuring(tmp_path: Path) -> None:
    assert remembered_choice(tmp_path / "new", "this CPU", BOTH, says("int8")) == "int8"
    assert remembered_choice(tmp_path / "new", "this CPU", BOTH, never) == "int8"


def test_other_circumstances_are_measured(tmp_path: Path) -> None:
    remembered_choice(tmp_path, "this CPU", BOTH, says("int8"))
    assert remembered_choice(tmp_path, "another CPU", BOTH, says("fp32")) == "fp32"


@pytest.mark.parametrize("content", [b"", b"bf16\n", b"\xff"])
def test_file_that_says_nothing_of_use_is_measured_again(tmp_path: Path, content: bytes) -> None:
    remembered_choice(tmp_path, "this CPU", BOTH, says("int8"))
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert remembered_choice(tmp_path, "this CPU", BOTH, says("fp32")) == "fp32"


def test_processes_that_measure_at_once_agree(tmp_path: Path) -> None:
    together = Barrier(2)
    chosen: list[str] = []

    def start(measured: str) -> None:
        def measure() -> str:
            together.wait()
            return measured

        chosen.append(remembered_choice(tmp_path, "this CPU", BOTH, measure))

    threads = [Thread(target=start, args=(measured,)) for measured in BOTH]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert chosen[0] == chosen[1]
    assert [file.suffix for file in tmp_path.iterdir()] == [".txt"]


def test_folder_that_can_not_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert remembered_choice(tmp_path / "file", "this CPU", BOTH, says("int8")) == "int8"
