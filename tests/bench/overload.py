"""Ten times the work that the platform can do: what it takes, what it refuses, and what that costs it.

    python -m tests.bench.overload [--times 10] [--seconds 60]

One web process, one worker and one scheduler on a Postgres and a RabbitMQ of their own. First the rate at
which short jobs are done; then so many times that rate of posts, with a limit on the queue's age that is
reached soon; then the time until a job is taken again and until all that was taken has ended.
"""

import argparse
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.whole_platform import MODEL, whole_platform
from tests.services.platform import Platform, PlatformProcess

JOB = {"type": "completion", "model": MODEL, "prompt": "The sea is", "max_tokens": 4, "temperature": 0}
POSTERS = 24
WARM_UP_JOBS = 100
LOOK_EVERY_SECONDS = 0.5
LONGEST_RECOVERY_SECONDS = 300
SETTINGS = {
    "web_processes": 1,
    "max_queue_seconds_flex": 2,
    "max_queue_seconds_default": 4,
    "max_queue_seconds_priority": 8,
    "catalog_overrides": f'[models.{MODEL}]\nquantization = "fp32"',
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tokenmill-bench-") as name,
        whole_platform(Path(name)) as platform,
    ):
        processes = [
            platform.start_web(**SETTINGS),
            platform.start_scheduler(**SETTINGS),
            platform.start_worker(**SETTINGS),
        ]
        rate = _rate_of_one_burst(platform)
        print(f"done in peace: {rate:.1f} jobs/s")
        with _memory_of(processes) as peaks:
            answers, retry_after = _offer(platform, rate * options.times, options.seconds)
            taken_again, all_ended = _recover(platform)
        _report(answers, retry_after, options.seconds)
        print(f"a job taken again after {taken_again:.1f} s, all ended after {all_ended:.1f} s")
        for process, (before, most) in peaks.items():
            print(f"{process}: {before:.0f} MiB before, {most:.0f} MiB at most")


def _rate_of_one_burst(platform: Platform) -> float:
    with ThreadPoolExecutor(POSTERS) as posters:
        platform.wait_for(platform.submit(**JOB)["id"], "completed")
        begun = time.monotonic()
        jobs = list(posters.map(lambda _: platform.submit(**JOB)["id"], range(WARM_UP_JOBS)))
        for job_id in jobs:
            platform.wait_for(job_id, "completed")
    return WARM_UP_JOBS / (time.monotonic() - begun)


def _offer(platform: Platform, rate: float, seconds: float) -> tuple[Counter[str], list[int]]:
    """Posts at a steady pace, late ones at once; what they were told."""
    begun = time.monotonic()
    answers: Counter[str] = Counter()
    retry_after: list[int] = []

    def post(number: int) -> None:
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        answer = platform.request("POST", "/v1/jobs", json=JOB)
        code = "taken" if answer.status_code == 202 else answer.json()["error"]["code"]
        answers[code] += 1
        if "Retry-After" in answer.headers:
            retry_after.append(int(answer.headers["Retry-After"]))

    with ThreadPoolExecutor(POSTERS) as posters:
        for _ in posters.map(post, range(int(rate * seconds))):
            if time.monotonic() - begun > seconds * 2:
                posters.shutdown(cancel_futures=True)
                break
    return answers, sorted(retry_after)


def _recover(platform: Platform) -> tuple[float, float]:
    """Until a job is taken, and until that one has ended, behind all the others."""
    begun = time.monotonic()
    while (answer := platform.request("POST", "/v1/jobs", json=JOB)).status_code != 202:
        time.sleep(LOOK_EVERY_SECONDS)
    taken_again = time.monotonic() - begun
    platform.wait_for(answer.json()["id"], "completed", seconds=LONGEST_RECOVERY_SECONDS)
    return taken_again, time.monotonic() - begun


@contextmanager
def _memory_of(processes: list[PlatformProcess]) -> Iterator[dict[str, tuple[float, float]]]:
    """MiB of each process with its children: at the beginning, and the most of all looks."""
    before = {process.name: _mebibytes(process) for process in processes}
    peaks = {name: (mebibytes, mebibytes) for name, mebibytes in before.items()}
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK_EVERY_SECONDS):
            for process in processes:
                first, most = peaks[process.name]
                peaks[process.name] = (first, max(most, _mebibytes(process)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def _mebibytes(process: PlatformProcess) -> float:
    root = psutil.Process(process.pid)
    return sum(member.memory_info().rss for member in [root, *root.children(recursive=True)]) / 1024**2


def _report(answers: Counter[str], retry_after: list[int], seconds: float) -> None:
    offered = sum(answers.values())
    print(f"offered: {offered} jobs in {seconds:.0f} s")
    for code, count in answers.most_common():
        print(f"  {code}: {count} ({count / offered:.0%})")
    if retry_after:
        middle = retry_after[len(retry_after) // 2]
        print(f"  Retry-After: {retry_after[0]} to {retry_after[-1]} s, median {middle} s")


if __name__ == "__main__":
    main()
