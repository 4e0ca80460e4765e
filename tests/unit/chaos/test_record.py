from typing import Any

from tests.chaos.record import Record, Story, Tenant

TENANT = Tenant("acme", "proj_1", "secret")


def story(*bodies: dict[str, Any]) -> Story:
    told = Record().job("job_1", TENANT)
    for body in bodies:
        told.see("poll", body)
    return told


def test_job_that_goes_its_way_has_no_fault() -> None:
    ended = {"status": "completed", "cost_usd": "1"}
    told = story({"status": "queued"}, {"status": "in_progress"}, {"status": "queued"}, ended, dict(ended))
    assert told.faults == []
    assert told.ended == ended


def test_job_that_changes_after_its_end_is_a_fault() -> None:
    ended = {"status": "completed", "cost_usd": "1"}
    assert "cost_usd" in story(ended, ended | {"cost_usd": "2"}).faults[0]
    assert "after it had been completed" in story(ended, {"status": "in_progress"}).faults[0]


def test_secret_of_a_tenant_is_not_shown() -> None:
    assert "secret" not in repr(TENANT)


def test_faults_around_a_moment_are_found_while_they_last() -> None:
    record = Record()
    with record.happening("freeze web-1"):
        assert [one.what for one in record.around(0, 10**6)] == ["freeze web-1"]
    (over,) = record.around(0, 10**6)
    assert over.until is not None
    assert record.around(over.until + 1, over.until + 2) == []
