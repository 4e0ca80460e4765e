"""The commands and the banner beside a running platform, as a newcomer pastes and types them."""

import json
import stat
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import EmbeddedServer, LiveServer, RunTokenmill

COUNTING = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,"


@pytest.mark.embedded("processes print no banner")
def test_curl_lines_of_the_banner_work_when_pasted(live_server: EmbeddedServer) -> None:
    lines = [line for line in live_server.output.splitlines() if line.startswith("curl ")]
    assert len(lines) == 3
    answers = [
        json.loads(subprocess.run(["bash", "-c", line], capture_output=True, check=True, timeout=60).stdout)
        for line in lines
    ]
    submitted, listed, models = answers
    assert submitted["object"] == "job"
    assert listed["data"][0]["id"] == submitted["id"]
    assert models["data"][0]["id"] == submitted["model"]
    assert "Paris" in live_server.job(submitted["id"], wait=60)["output"]["message"]["content"]


@pytest.mark.embedded("an operator makes the keys of processes")
def test_key_file_is_readable_by_its_owner_alone(live_server: LiveServer) -> None:
    file = live_server.data_dir / "api-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == live_server.key


@pytest.mark.embedded("processes have no data directory of their own to defend")
def test_data_directory_in_use_is_told(live_server: LiveServer, tokenmill: RunTokenmill) -> None:
    result = tokenmill("serve", "--embedded", "--port", "0", "--data-dir", str(live_server.data_dir))
    assert result.returncode == 1
    assert str(live_server.data_dir) in result.stderr
    assert "Traceback" not in result.stderr
    assert live_server.http.get("/readyz").status_code == 200


def test_port_in_use_is_told(live_server: LiveServer, tokenmill: RunTokenmill, data_dir: Path) -> None:
    port = live_server.url.rpartition(":")[2]
    result = tokenmill("serve", "--embedded", "--port", port, "--data-dir", str(data_dir))
    assert result.returncode == 1
    assert "in use" in result.stderr
    assert "Traceback" not in result.stderr


def test_projects_and_keys_are_made_and_revoked_by_command(
    live_server: LiveServer, tokenmill: RunTokenmill
) -> None:
    database = {"DATABASE_URL": live_server.database_url}
    project_id = tokenmill("projects", "create", "acme", "--limit-usd", "0.5", **database).stdout.strip()
    assert project_id in tokenmill("projects", "list", **database).stdout
    created = json.loads(tokenmill("keys", "create", "--project", "acme", "--json", **database).stdout)
    assert created["project_id"] == project_id
    with live_server.client(created["secret"]) as client:
        assert client.get("/v1/jobs").status_code == 200
        assert tokenmill("keys", "revoke", created["id"], **database).returncode == 0
        assert client.get("/v1/jobs").status_code == 401
    reader = ["keys", "create", "--project", "acme", "--scope", "read", "--json"]
    with live_server.client(json.loads(tokenmill(*reader, **database).stdout)["secret"]) as client:
        assert client.get("/v1/jobs").status_code == 200
        refused = client.post("/v1/jobs", json={})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")
    listed = tokenmill("keys", "list", "--project", project_id, **database).stdout
    assert "revoked" in listed
    assert created["secret"] not in listed
    unknown = tokenmill("keys", "create", "--project", "nobody", **database)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "nobody" in unknown.stderr


def test_status_shows_the_platform_on_a_screen_and_as_json(
    live_server: LiveServer, tokenmill: RunTokenmill
) -> None:
    live_server.ended(live_server.submit(prompt=COUNTING, max_tokens=2)["id"])
    database = {"DATABASE_URL": live_server.database_url, "BROKER_URL": "memory://"}
    shown = tokenmill("status", **database)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert max(map(len, shown.stdout.splitlines())) <= 80
    kind = "embedded" if isinstance(live_server, EmbeddedServer) else "scheduler"
    for part in ("smollm2-135m-instruct", kind, "jobs/min", "this month $"):
        assert part in shown.stdout
    read = json.loads(tokenmill("status", "--json", **database).stdout)
    assert {worker["model"] for worker in read["workers"]} >= {"smollm2-135m-instruct"}
    assert read["traffic"]["windows"][2]["jobs_per_minute"] > 0


def test_database_commands_tell_the_revision(live_server: LiveServer, tokenmill: RunTokenmill) -> None:
    database = {"DATABASE_URL": live_server.database_url}
    assert tokenmill("db", "check", **database).returncode == 0
    current = tokenmill("db", "current", **database).stdout.strip()
    assert current in tokenmill("db", "upgrade", **database).stdout
