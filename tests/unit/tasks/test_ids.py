from tasks.ids import new_id


def test_ids_sort_in_the_order_they_were_made() -> None:
    ids = [new_id("job") for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(len(each) == len("job_") + 32 for each in ids)
