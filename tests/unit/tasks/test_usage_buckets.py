import pytest

from tasks.errors import InvalidRequest
from tasks.usage_buckets import stretch

DAY = 86_400


def test_buckets_are_whole_though_the_time_asked_for_is_not() -> None:
    page = stretch("1d", DAY + 5, 2 * DAY + 1, 7, None)
    assert (page.start, page.end, page.more) == (DAY, 3 * DAY, False)
    assert [(bucket.start, bucket.end) for bucket in page.fill({DAY: ["a"]}).buckets] == [
        (DAY, 2 * DAY),
        (2 * DAY, 3 * DAY),
    ]


def test_pages_follow_each_other_without_gaps_to_the_end() -> None:
    starts: list[int] = []
    cursor = None
    while True:
        page = stretch("1h", 0, 10 * 3600, 4, cursor).fill({0: ["first"]})
        starts += [bucket.start for bucket in page.buckets]
        cursor = page.next_page
        if cursor is None:
            break
    assert starts == [hour * 3600 for hour in range(10)]


def test_empty_bucket_is_there() -> None:
    page = stretch("1m", 0, 120, 60, None).fill({60: ["a"]})
    assert [bucket.results for bucket in page.buckets] == [[], ["a"]]


@pytest.mark.parametrize(
    "cursor", ["", "page_", "page_x", "page_-60", "page_61", "page_120", "60", "page_" + "9" * 40]
)
def test_page_that_is_of_no_answer_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        stretch("1m", 0, 120, 1, cursor)
    assert caught.value.param == "page"


def test_time_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        stretch("1d", 10, 10, 7, None)
    assert caught.value.param == "end_time"
    with pytest.raises(InvalidRequest) as caught:
        stretch("1d", 10**11, None, 7, None)
    assert caught.value.param == "start_time"
