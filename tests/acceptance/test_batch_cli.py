"""`tokenmill batch` against the live platform, as a user with a key runs it."""

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import openai
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.acceptance.conftest import LiveServer, RunTokenmill, environment

CHAT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
BATCH_ID = re.compile(r"batch_[0-9a-f]{32}")


def chat(number: int, **more: Any) -> dict[str, Any]:
    asked = f"Say the number {number}."
    body = {"model": "smollm2", "messages": [{"role": "user", "content": asked}], "max_tokens": 4, **more}
    return {"custom_id": f"chat-{number}", "method": "POST", "url": CHAT, "body": body}


def written(path: Path, lines: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def fresh(count: int, **more: Any) -> list[dict[str, Any]]:
    """Chats that no other test has sent."""
    return [chat(number, user=f"{time.time_ns()}", **more) for number in range(count)]


@pytest.fixture
def connected(live_server: LiveServer) -> dict[str, str]:
    return {"OPENAI_BASE_URL": f"{live_server.url}/v1", "OPENAI_API_KEY": live_server.key}


def batch_count(sdk: openai.OpenAI) -> int:
    return sum(1 for _ in sdk.batches.list(limit=100))


def test_file_is_run_and_its_results_are_written(
    tokenmill: RunTokenmill, connected: dict[str, str], tmp_path: Path
) -> None:
    file = written(tmp_path / "in.jsonl", fresh(3))
    done = tokenmill("batch", "run", str(file), **connected)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "in.output.jsonl"
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["custom_id"] for line in lines} == {"chat-0", "chat-1", "chat-2"}
    assert all(line["response"]["status_code"] == 200 for line in lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "in.output.jsonl"]
    assert "completed: 3 answers, 0 errors" in done.stderr


def test_second_run_picks_up_the_same_batch(
    tokenmill: RunTokenmill, connected: dict[str, str], tmp_path: Path
) -> None:
    file = written(tmp_path / "in.jsonl", fresh(1))
    first = tokenmill("batch", "run", str(file), "-o", str(tmp_path / "one.jsonl"), **connected)
    second = tokenmill("batch", "run", str(file), "-o", str(tmp_path / "two.jsonl"), **connected)
    again = tokenmill("batch", "run", str(file), "--again", "-o", str(tmp_path / "three.jsonl"), **connected)
    assert [first.returncode, second.returncode, again.returncode] == [0, 0, 0]
    ids = [BATCH_ID.findall(done.stderr)[0] for done in (first, second, again)]
    assert ids[0] == ids[1] != ids[2]
    assert "Going on with" in second.stderr
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_interrupted_run_goes_on_when_run_again(
    tokenmill: RunTokenmill, connected: dict[str, str], tmp_path: Path, sdk: openai.OpenAI
) -> None:
    file = written(tmp_path / "in.jsonl", fresh(4, max_tokens=200, ignore_eos=True))
    command = [sys.executable, "-m", "web.cli", "batch", "run", str(file)]
    process = subprocess.Popen(command, env=environment(**connected), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("Created"):
            break
    process.send_signal(signal.SIGINT)
    said += process.stderr.readlines()
    process.stderr.close()
    assert process.wait(20) == 130
    assert "Run the same command again" in "".join(said)
    (batch_id,) = set(BATCH_ID.findall("".join(said)))
    before = batch_count(sdk)
    done = tokenmill("batch", "run", str(file), **connected)
    assert done.returncode == 0, done.stderr
    assert f"Going on with {batch_id}" in done.stderr
    assert len((tmp_path / "in.output.jsonl").read_text().splitlines()) == 4
    assert batch_count(sdk) == before


def test_estimate_prices_a_file_and_starts_nothing(
    tokenmill: RunTokenmill, connected: dict[str, str], tmp_path: Path, sdk: openai.OpenAI
) -> None:
    before = batch_count(sdk)
    file = written(tmp_path / "in.jsonl", [*fresh(2), chat(0, temperature="hot")])
    done = tokenmill("batch", "run", str(file), "--estimate", **connected)
    assert done.returncode == 0, done.stderr
    assert "lines     3, of them 1 invalid" in done.stdout
    assert "output    at most 8 tokens" in done.stdout
    assert "line 3:" in done.stdout
    assert batch_count(sdk) == before
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


TABLE = ("--model", "smollm2", "--max-tokens", "4", "--prompt", "Say {word}, {{{id}}}.")


def test_csv_gets_its_answers_as_columns_in_the_order_of_its_rows(
    tokenmill: RunTokenmill, connected: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "in.csv"
    stamp = time.time_ns()
    file.write_text("id,word\n" + "".join(f'{number},"a ""b"", {stamp}"\n' for number in range(6)), "utf-8")
    done = tokenmill("batch", "run", str(file), *TABLE, "--system", "Be brief.", **connected)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "in.output.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["id"] for row in rows] == [str(number) for number in range(6)]
    assert {row["word"] for row in rows} == {f'a "b", {stamp}'}
    assert all(row["answer"] and not row["error"] for row in rows)
    assert all(int(row["input_tokens"]) > 0 < int(row["output_tokens"]) <= 4 for row in rows)


def test_parquet_gets_its_answers_as_columns(
    tokenmill: RunTokenmill, connected: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "in.parquet"
    words = [f"word {time.time_ns()}", "x " * 10_000, None]
    pq.write_table(pa.table({"id": pa.array([1, 2, 3], pa.int8()), "word": words}), file)
    out = str(tmp_path / "out.parquet")
    done = tokenmill("batch", "run", str(file), *TABLE, "--skip-invalid", "-o", out, **connected)
    assert done.returncode == 3, done.stderr
    table = pq.read_table(out)
    assert table.schema.names == ["id", "word", "answer", "error", "input_tokens", "output_tokens"]
    columns = table.to_pydict()
    assert (columns["id"], columns["word"]) == ([1, 2, 3], words)
    assert [answer is None for answer in columns["answer"]] == [False, True, False]
    assert "context length" in columns["error"][1]


def test_some_errors_have_an_exit_code_and_a_file_of_their_own(
    tokenmill: RunTokenmill, connected: dict[str, str], tmp_path: Path
) -> None:
    file = written(tmp_path / "in.jsonl", [*fresh(1), chat(1, temperature="hot")])
    done = tokenmill("batch", "run", str(file), "--skip-invalid", **connected)
    assert done.returncode == 3, done.stderr
    (line,) = (tmp_path / "in.output.errors.jsonl").read_text().splitlines()
    assert json.loads(line)["custom_id"] == "chat-1"


def test_batch_that_fails_says_which_lines_are_wrong(
    tokenmill: RunTokenmill, connected: dict[str, str], tmp_path: Path
) -> None:
    file = written(tmp_path / "in.jsonl", [*fresh(1), chat(1, temperature="hot")])
    done = tokenmill("batch", "run", str(file), **connected)
    assert done.returncode == 4
    assert "line 2: Invalid 'temperature'" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_terminal_shows_a_bar_with_rate_tokens_cost_and_time(
    connected: dict[str, str], tmp_path: Path
) -> None:
    file = written(tmp_path / "in.jsonl", fresh(8, max_tokens=64, ignore_eos=True))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "web.cli", "batch", "run", str(file)]
    variables = environment(**connected, TERM="xterm-256color", COLUMNS="140")
    process = subprocess.Popen(command, env=variables, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = _everything(ours)
    assert process.wait(60) == 0, shown
    assert "━" in shown
    assert "8/8" in shown
    for pattern in (r"Uploading", r"completed", r"[0-9.]+/s", r"[0-9,]+ tokens \$0\.0", r"left"):
        assert re.search(pattern, shown), (pattern, shown)


def _everything(descriptor: int) -> str:
    """What is written to a terminal until nobody has it open any more."""
    content = bytearray()
    with os.fdopen(descriptor, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(65_536)
            except OSError:
                return content.decode()
            content += piece or b""
            if not piece:
                return content.decode()


def test_batches_are_listed_shown_and_cancelled(
    tokenmill: RunTokenmill, connected: dict[str, str], sdk: openai.OpenAI
) -> None:
    content = "".join(json.dumps(line) + "\n" for line in fresh(2, max_tokens=1500, ignore_eos=True))
    file = sdk.files.create(file=("in.jsonl", content.encode()), purpose="batch")
    batch = sdk.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    listed = tokenmill("batch", "list", "--limit", "1", **connected)
    assert listed.stdout.splitlines()[1].startswith(batch.id)
    assert len(listed.stdout.splitlines()) == 2
    cancelled = tokenmill("batch", "cancel", batch.id, **connected)
    assert cancelled.stdout.split()[0] == batch.id
    shown = tokenmill("batch", "status", batch.id, **connected)
    assert shown.returncode == 0
    assert "cancel" in shown.stdout
    assert "cost     $0" in shown.stdout


def test_refusals_are_told_in_one_line(tokenmill: RunTokenmill, connected: dict[str, str]) -> None:
    wrong_key = tokenmill("batch", "list", **connected | {"OPENAI_API_KEY": "tm-wrong"})
    unknown = tokenmill("batch", "status", "batch_nothing", **connected)
    for refused in (wrong_key, unknown):
        assert refused.returncode == 1
        assert len(refused.stderr.strip().splitlines()) == 1
    assert "batch_nothing" in unknown.stderr


def test_platform_that_is_not_there_is_told_in_one_line(tokenmill: RunTokenmill) -> None:
    away = tokenmill(
        "batch", "cancel", "batch_1", OPENAI_BASE_URL="http://127.0.0.1:1/v1", OPENAI_API_KEY="tm-x"
    )
    assert (away.returncode, len(away.stderr.strip().splitlines())) == (1, 1)
    assert "Can't reach http://127.0.0.1:1/v1" in away.stderr
