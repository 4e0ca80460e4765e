"""When a slice of a batch may enter the engine."""

from tasks.slice_consumer import Hatch


def test_slice_enters_while_few_lines_run() -> None:
    hatch = Hatch(slots=16)
    assert hatch.opens(79, alone=False)
    assert not hatch.opens(80, alone=False)


def test_slice_that_is_to_be_alone_waits_until_nothing_runs() -> None:
    hatch = Hatch(slots=16)
    assert not hatch.opens(1, alone=True)
    assert hatch.opens(0, alone=True)


def test_slice_that_is_alone_keeps_others_out_until_it_has_ended() -> None:
    hatch = Hatch(slots=16)
    hatch.entered(alone=True)
    assert not hatch.opens(1, alone=False)
    assert hatch.opens(0, alone=False)
    hatch.entered(alone=False)
    assert hatch.opens(1, alone=False)
