from tests.chaos.plan import DECK, PROCESSES, FaultKind, draw_plan


def test_same_seed_is_the_same_plan_and_another_is_another() -> None:
    assert draw_plan(7, 200) == draw_plan(7, 200)
    assert draw_plan(7, 200) != draw_plan(8, 200)


def test_short_plan_is_the_beginning_of_a_long_one() -> None:
    assert draw_plan(7, 200)[:20] == draw_plan(7, 20)


def test_twenty_faults_are_one_of_each_kind_and_more() -> None:
    plan = draw_plan(3, len(DECK))
    assert {fault.kind for fault in plan} == set(FaultKind)


def test_frozen_processes_outlast_their_lease() -> None:
    frozen = [fault for fault in draw_plan(1, 400) if fault.kind is FaultKind.FREEZE]
    assert {fault.target for fault in frozen} == set(PROCESSES)
    assert min(fault.seconds for fault in frozen) > 4
